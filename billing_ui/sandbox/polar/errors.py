"""What Polar's API answers when it refuses something."""

from collections.abc import Mapping, Sequence
from typing import Any

from billing_ui.sandbox.shop.dialect import Answered
from billing_ui.sandbox.shop.model import Json


class Refused(Exception):
    """A request that is refused, with its answer."""

    def __init__(self, status: int, body: Json) -> None:
        super().__init__(str(body))
        self.answered = Answered(status, body)


def invalid(details: Sequence[Mapping[str, Any]]) -> Refused:
    """Return the refusal of a request whose parameters are wrong; each detail says which and why."""
    return Refused(422, {"error": "RequestValidationError", "detail": list(details)})


def wrong(place: str, name: str, message: str, value: Any, kind: str = "value_error") -> Refused:
    """Return the refusal of one parameter.

    Args:
        place: `body`, `query` or `path`.
        name: of the parameter.
        message: why, in a sentence.
        value: what it was.
        kind: the kind of fault, in Pydantic's words.
    """
    return invalid([{"type": kind, "loc": [place, name], "msg": message, "input": value}])


def missing(what: str) -> Refused:
    """Return the refusal of a request about something that does not exist."""
    return Refused(404, {"error": "ResourceNotFound", "detail": f"{what} not found"})


def unauthorized() -> Refused:
    """Return the refusal of a request without a good access token."""
    return Refused(
        401,
        {
            "error": "invalid_token",
            "error_description": "The access token provided is expired, revoked, malformed, or invalid "
            "for other reasons.",
        },
    )


def failure(status: int) -> Answered:
    """Return what Polar answers when it fails by itself."""
    names = {429: "TooManyRequests", 404: "ResourceNotFound", 405: "MethodNotAllowed"}
    sentences = {429: "Rate limit exceeded", 404: "Not Found", 405: "Method Not Allowed"}
    return Answered(
        status,
        {
            "error": names.get(status, "InternalServerError"),
            "detail": sentences.get(status, "Internal Server Error"),
        },
    )
