"""A real HTTP server that answers as told: what no well-behaved provider can be made to answer."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Seen:
    """A request that came in."""

    method: str
    path: str
    form: dict[str, Any]
    headers: dict[str, str]


class ScriptedServer:
    """Answers each request with the next of `answers`, and the last one from then on."""

    def __init__(self) -> None:
        self.url = ""
        self.answers: list[Answer] = []
        self.seen: list[Seen] = []
        self.app = web.Application()
        self.app.router.add_route("*", "/{path:.*}", self._answer)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        form = dict(await request.post())
        self.seen.append(Seen(request.method, request.path, form, dict(request.headers)))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return await answer(request)


def json_answer(body: Any, status: int = 200, **headers: str) -> Answer:
    """Answer `body` as JSON; underscores in header names become dashes."""

    async def answer(request: web.Request) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.json_response(body, status=status, headers={"Request-Id": "req_1", **named})

    return answer


def error_answer(status: int, error: dict[str, Any], **headers: str) -> Answer:
    """Answer one of Stripe's errors."""
    return json_answer({"error": error}, status, **headers)


STORED_FAILURE = error_answer(
    500,
    {"type": "api_error", "message": "Something went wrong."},
    Idempotent_Replayed="true",
    Original_Request="req_failed",
    Stripe_Should_Retry="false",
)
"""What Stripe repeats for a day when the first call with an idempotency key failed."""


async def drop(request: web.Request) -> web.StreamResponse:
    """Close the connection instead of answering."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def drop_half_way(request: web.Request) -> web.StreamResponse:
    """Begin an answer and close the connection before its end."""
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"id": "cus_')
    assert request.transport is not None
    request.transport.abort()
    return response
