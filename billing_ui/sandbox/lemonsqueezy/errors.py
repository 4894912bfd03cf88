"""Lemon Squeezy's refusals, in the shape that JSON:API gives errors."""

from http import HTTPStatus

from billing_ui.sandbox.shop.dialect import Answered

MEDIA_TYPE = "application/vnd.api+json"


class Refusal(Exception):
    """A request that is not done; raised anywhere, answered in one place.

    Args:
        status: The HTTP status.
        problems: What is wrong: a sentence, and where in the body (a JSON pointer) or in which parameter.
        title: What people call the status, when not as HTTP does.
    """

    def __init__(
        self, status: int, *problems: tuple[str, dict[str, str] | None], title: str = ""
    ) -> None:
        super().__init__(problems[0][0])
        self.status = status
        self.problems = problems
        self.title = title or _title(status)

    def answered(self) -> Answered:
        """Return the answer."""
        errors = [
            {"detail": detail, "status": str(self.status), "title": self.title}
            | ({"source": source} if source else {})
            for detail, source in self.problems
        ]
        return answered(self.status, {"jsonapi": {"version": "1.0"}, "errors": errors})


def answered(status: int, body: object) -> Answered:
    """Return an answer of the media type that all of them have."""
    return Answered(status, body, {"content-type": MEDIA_TYPE})


def failure(status: int) -> Answered:
    """Return what is answered when nothing is wrong with the request."""
    return Refusal(status, (_title(status), None)).answered()


def not_found() -> Refusal:
    """Return that there is no such thing."""
    return Refusal(404, ("The requested resource was not found.", None))


def bad_parameter(name: str, detail: str) -> Refusal:
    """Return that a query parameter is not one that this list or object has."""
    return Refusal(400, (detail, {"parameter": name}), title="Invalid Query Parameter")


def invalid(pointer: str, detail: str) -> Refusal:
    """Return that one part of the body is not as it must be; `pointer` is a JSON pointer to it."""
    return Refusal(422, (detail, {"pointer": pointer}))


def _title(status: int) -> str:
    if status == 422:
        return "Unprocessable Entity"
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
