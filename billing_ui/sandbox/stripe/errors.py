"""Stripe's errors, in Stripe's own shape and words."""

from typing import Any, Self


class StripeError(Exception):
    """An answer that is not 2xx.

    Args:
        message: The sentence Stripe would say.
        status: The HTTP status.
        type_: Stripe's error type, such as `invalid_request_error`.
        code: Stripe's error code, where it has one.
        param: The parameter at fault, written as on the wire: `items[0][price]`.
        commits: Whether what was written before the error stays written (a declined charge is a
            fact, a refused parameter is not).
        details: Further fields of the error object.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        type_: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        commits: bool = False,
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.type = type_
        self.code = code
        self.param = param
        self.commits = commits
        self.details = details or {}
        self.began = False  # whether the operation had begun: only then an answer is kept

    def body(self, request_id: str | None = None) -> dict[str, Any]:
        """Return the JSON answer."""
        error: dict[str, Any] = {"message": self.message, "type": self.type, **self.details}
        if self.code:
            error["code"] = self.code
            error["doc_url"] = "https://stripe.com/docs/error-codes/" + self.code.replace("_", "-")
        if self.param:
            error["param"] = self.param
        if request_id:
            error["request_log_url"] = (
                f"https://dashboard.stripe.com/test/workbench/logs?object={request_id}"
            )
        return {"error": error}

    @classmethod
    def no_such(cls, kind: str, object_id: str, param: str | None = "id") -> Self:
        """The object does not exist. On a path Stripe answers 404, in a parameter 400."""
        return cls(
            f"No such {kind}: '{object_id}'",
            status=404 if param == "id" else 400,
            code="resource_missing",
            param=param,
        )

    @classmethod
    def missing(cls, param: str) -> Self:
        """A required parameter was not sent."""
        return cls(f"Missing required param: {param}.", code="parameter_missing", param=param)

    @classmethod
    def unknown_url(cls, method: str, path: str) -> Self:
        """No operation stands at this method and path."""
        return cls(
            f"Unrecognized request URL ({method.upper()}: {path}). Please see "
            "https://stripe.com/docs or we can help at https://support.stripe.com/.",
            status=404,
        )

    @classmethod
    def unsupported(cls, param: str) -> Self:
        """Stripe takes this parameter and the sandbox does not: said, rather than ignored."""
        return cls(f"The sandbox does not support the parameter {param}.", param=param)

    @classmethod
    def card(
        cls, message: str, code: str, *, decline_code: str | None = None, param: str | None = None
    ) -> Self:
        """The card was refused."""
        details = {"decline_code": decline_code} if decline_code else None
        return cls(message, status=402, type_="card_error", code=code, param=param, details=details)
