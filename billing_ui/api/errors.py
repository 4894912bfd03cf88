"""How failures leave the API: every named error has its status and code here, once, and two shapes carry them."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from inspect import signature
from typing import Any, Final

import structlog
from fastapi import Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute

from billing_ui.accounts.entries import NotInTeam
from billing_ui.accounts.errors import (
    InvalidBearer,
    InvalidCredentials,
    IssuerUnavailable,
    NoTeam,
    Unauthenticated,
)
from billing_ui.accounts.limits import TooManyTries
from billing_ui.accounts.provisioning import CannotProvision
from billing_ui.payments.types import (
    InvalidRequest,
    InvalidReturnUrl,
    InvalidSignature,
    NoCustomer,
    NoInvoice,
    NotAllowed,
    PaymentError,
    ProviderMismatch,
    ProviderUnavailable,
)

log = structlog.get_logger(__name__)

RETRY_AFTER_SECONDS: Final = 5
"""What Retry-After says when the provider named no time."""


class Code(StrEnum):
    """What went wrong, for programs."""

    UNAUTHORIZED = "UNAUTHORIZED"
    FORBIDDEN = "FORBIDDEN"
    NOT_FOUND = "NOT_FOUND"
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED"
    INVALID_REQUEST = "INVALID_REQUEST"
    INVALID_RETURN_URL = "INVALID_RETURN_URL"
    RATE_LIMITED = "RATE_LIMITED"
    TOO_LARGE = "TOO_LARGE"
    PROVIDER_MISMATCH = "PROVIDER_MISMATCH"
    PROVIDER_ERROR = "PROVIDER_ERROR"
    PROVIDER_UNAVAILABLE = "PROVIDER_UNAVAILABLE"
    NOT_READY = "NOT_READY"
    INTERNAL_ERROR = "INTERNAL_ERROR"


STATUS: Final[dict[Code, HTTPStatus]] = {
    Code.UNAUTHORIZED: HTTPStatus.UNAUTHORIZED,
    Code.FORBIDDEN: HTTPStatus.FORBIDDEN,
    Code.NOT_FOUND: HTTPStatus.NOT_FOUND,
    Code.METHOD_NOT_ALLOWED: HTTPStatus.METHOD_NOT_ALLOWED,
    Code.INVALID_REQUEST: HTTPStatus.BAD_REQUEST,
    Code.INVALID_RETURN_URL: HTTPStatus.BAD_REQUEST,
    Code.RATE_LIMITED: HTTPStatus.TOO_MANY_REQUESTS,
    Code.TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Code.PROVIDER_MISMATCH: HTTPStatus.CONFLICT,
    Code.PROVIDER_ERROR: HTTPStatus.BAD_GATEWAY,
    Code.PROVIDER_UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    Code.NOT_READY: HTTPStatus.SERVICE_UNAVAILABLE,
    Code.INTERNAL_ERROR: HTTPStatus.INTERNAL_SERVER_ERROR,
}


class BadRequest(Exception):
    """The request cannot be read; the message starts with the wire name of the field, or with "body"."""


class BodyTooLarge(BadRequest):
    """The body is larger than this address takes."""

    def __init__(self, limit: int) -> None:
        """Name the limit, in bytes."""
        super().__init__(f"body: larger than {limit // 1024} KiB")


class ForeignOrigin(Exception):
    """A request that the cookie authenticates was not made by one of our own pages."""

    def __init__(self, base_url: str) -> None:
        """Say where such a request must come from."""
        super().__init__(
            f"Only pages of {base_url} may send this. Open that address and try again."
        )


class NoSuchPath(Exception):
    """There is nothing at this address, for this installation."""

    def __init__(self) -> None:
        """Say so."""
        super().__init__("There is nothing at this address")


# The nearest class in an error's ancestry decides, so a new PaymentError is a PROVIDER_ERROR until listed.
_CODES: Final[dict[type[Exception], Code]] = {
    Unauthenticated: Code.UNAUTHORIZED,
    InvalidCredentials: Code.UNAUTHORIZED,
    ForeignOrigin: Code.FORBIDDEN,
    BadRequest: Code.INVALID_REQUEST,
    BodyTooLarge: Code.TOO_LARGE,
    NoSuchPath: Code.NOT_FOUND,
    NoTeam: Code.NOT_FOUND,
    NotInTeam: Code.NOT_FOUND,
    CannotProvision: Code.INVALID_REQUEST,
    TooManyTries: Code.RATE_LIMITED,
    NotAllowed: Code.FORBIDDEN,
    NoCustomer: Code.NOT_FOUND,
    NoInvoice: Code.NOT_FOUND,
    ProviderMismatch: Code.PROVIDER_MISMATCH,
    InvalidRequest: Code.INVALID_REQUEST,
    InvalidReturnUrl: Code.INVALID_RETURN_URL,
    InvalidSignature: Code.UNAUTHORIZED,
    ProviderUnavailable: Code.PROVIDER_UNAVAILABLE,
    IssuerUnavailable: Code.PROVIDER_UNAVAILABLE,
    PaymentError: Code.PROVIDER_ERROR,
}

# The two addresses of the portal answer the same failures in different shapes: this one in bare words.
# What is not listed is the provider's failure or ours, and says nothing more.
_PLAIN: Final[dict[Code, tuple[HTTPStatus, str]]] = {
    Code.UNAUTHORIZED: (HTTPStatus.UNAUTHORIZED, "Unauthorized"),
    Code.FORBIDDEN: (HTTPStatus.FORBIDDEN, "Forbidden"),
    Code.NOT_FOUND: (HTTPStatus.NOT_FOUND, "No customer found"),
    Code.INVALID_REQUEST: (HTTPStatus.BAD_REQUEST, "Invalid request body"),
    Code.INVALID_RETURN_URL: (HTTPStatus.BAD_REQUEST, "Invalid return URL"),
    Code.RATE_LIMITED: (HTTPStatus.TOO_MANY_REQUESTS, "Too many requests"),
}


@dataclass(frozen=True)
class Problem:
    """A failure as it leaves: code, sentence, and seconds to wait where that helps.

    `challenge` is what a 401 says in WWW-Authenticate, where the reason a token was refused belongs (RFC 6750).
    """

    code: Code
    message: str
    retry_after: int | None = None
    challenge: str = "Bearer"


def problem_of(error: Exception) -> Problem:
    """Return what may be said of `error`; nothing of an unexpected one but that it happened."""
    code = next((_CODES[kind] for kind in type(error).__mro__ if kind in _CODES), None)
    if code is None:
        return Problem(Code.INTERNAL_ERROR, "Something went wrong here. Nothing was changed.")
    if isinstance(error, InvalidReturnUrl):
        return Problem(
            code, "returnUrl: must be a path, or a URL of this site or of an allowed origin"
        )
    if isinstance(error, InvalidBearer):
        challenge = f'Bearer error="invalid_token", error_description="{error.reason}"'
        return Problem(code, str(error), challenge=challenge)
    if isinstance(error, IssuerUnavailable):
        return Problem(code, str(error), RETRY_AFTER_SECONDS)
    if isinstance(error, TooManyTries):
        return Problem(code, str(error), error.retry_after)
    if isinstance(error, ProviderUnavailable):
        return Problem(code, str(error), error.retry_after or RETRY_AFTER_SECONDS)
    return Problem(code, str(error))


def envelope(problem: Problem) -> JSONResponse:
    """Return the answer of every route but one: `{"success": false, "error": {"code", "message"}}`."""
    return JSONResponse(
        {"success": False, "error": {"code": problem.code, "message": problem.message}},
        STATUS[problem.code],
        envelope_headers(problem),
    )


def envelope_headers(problem: Problem) -> dict[str, str]:
    """Return what the headers of that answer say of a failure: when to try again, and how to say who one is."""
    headers = _headers(problem)
    if problem.code is Code.UNAUTHORIZED:
        headers["WWW-Authenticate"] = problem.challenge
    return headers


def plain(problem: Problem) -> JSONResponse:
    """Return the answer of `/api/payments/portal`: `{"error": "…"}`."""
    if problem.code is Code.PROVIDER_MISMATCH:
        status, sentence = HTTPStatus.BAD_REQUEST, problem.message
    else:
        status, sentence = _PLAIN.get(
            problem.code, (HTTPStatus.INTERNAL_SERVER_ERROR, "Internal Server Error")
        )
    headers = _headers(problem) if problem.code is Code.RATE_LIMITED else None
    return JSONResponse({"error": sentence}, status, headers)


class EnvelopeRoute(APIRoute):
    """A route all of whose failures leave in the envelope."""

    shape: Callable[[Problem], Response] = staticmethod(envelope)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler, wrapped so that no exception leaves it."""
        # For an endpoint that reads its request by itself there is nothing to prepare.
        alone = list(signature(self.endpoint).parameters) == ["request"]
        handle = self.endpoint if alone else super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handle(request)
            except Exception as error:  # noqa: BLE001 - the edge: whatever it is, it leaves as an answer
                problem = problem_of(error)
                _log(self.path, problem, error)
                return self.refuse(request, problem)

        return answer

    def refuse(self, request: Request, problem: Problem) -> Response:
        """Return the answer that tells whoever asked of a failure."""
        return type(self).shape(problem)


class PlainRoute(EnvelopeRoute):
    """A route all of whose failures leave in bare words."""

    shape = staticmethod(plain)


def _headers(problem: Problem) -> dict[str, str]:
    return {"Retry-After": str(problem.retry_after)} if problem.retry_after is not None else {}


def _log(route: str, problem: Problem, error: Exception) -> None:
    # The route's template, not the path: a path can hold a ticket.
    if problem.code is Code.INTERNAL_ERROR:
        log.error("request_failed", route=route, exc_info=error)
    elif STATUS[problem.code] >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.warning("provider_failed", route=route, code=problem.code, reason=problem.message)
