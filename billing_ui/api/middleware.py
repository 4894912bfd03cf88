"""What surrounds every request, pages included: its id and line in the log, and the host and origin it must have.

Plain ASGI, so that it can wrap the whole app of the roof as well as the API alone.
"""

import re
from collections.abc import Callable
from http import HTTPStatus
from time import perf_counter
from typing import Final
from urllib.parse import urlsplit

import structlog
from fastapi.routing import APIRoute
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from billing_ui import metrics
from billing_ui.accounts.clients import client_bound
from billing_ui.api.client_address import client_address
from billing_ui.settings import Settings
from billing_ui.telemetry import new_request_id

log = structlog.get_logger(__name__)

_ACCEPTABLE_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_PROBES: Final = frozenset({"/healthz", "/readyz", "/metrics", "/ping"})
_UNKNOWN: Final = "/api/{path}"
_PAGE: Final = "page"
"""What no route of the API answered: a page, or a file of one."""
_WEBHOOK: Final = "/api/webhooks/{provider}"
_UNEVENTFUL: Final = _PROBES | {_PAGE, _WEBHOOK}
"""What is asked for too often, and tells too little, for a line each time."""
# Anybody can make up a method, and with each one a time series.
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Observed:
    """Gives every request an id, counts and times it, and writes a line about each one of the API.

    From where it comes is bound beside the id, for sessions and the audit log; no line says it.
    The id stands in each log line of the request and in the answer's `X-Request-Id`; one that a proxy in front
    already gave is kept. A route is named by its template and a query never, because both can hold a ticket.
    Of pages, probes and webhooks only what failed here is written down: the inbox has a line of its own for all the
    events of a transaction, with the ids of their requests, and one for each webhook it refuses.
    """

    def __init__(self, app: ASGIApp, settings: Callable[[], Settings]) -> None:
        """Wrap `app`; `settings` is asked once a request, because they may not be known yet."""
        self.app = app
        self.settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = perf_counter()
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        identifier = given if _ACCEPTABLE_ID.fullmatch(given) else new_request_id()
        status = HTTPStatus.INTERNAL_SERVER_ERROR.value

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])
                MutableHeaders(scope=message)["X-Request-Id"] = identifier
            await send(message)

        address = client_address(scope, self.settings().trusted_proxy_hops)
        with (
            structlog.contextvars.bound_contextvars(request_id=identifier),
            client_bound(address, headers.get("user-agent")),
        ):
            try:
                await self.app(scope, receive, send_with_id)
            finally:
                _note(scope, status, perf_counter() - began)


class OneHost:
    """In the sandbox, sends a page that is asked for under another host name to BASE_URL.

    The built pages talk to BASE_URL's host only: under another name they would stay dead. Health probes
    are answered under any name.
    """

    def __init__(self, app: ASGIApp, settings: Callable[[], Settings]) -> None:
        """Wrap `app`; `settings` is asked once a request, because they may not be known yet."""
        self.app = app
        self.settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http" and scope["method"] in ("GET", "HEAD"):
            settings = self.settings()
            if settings.sandbox and scope["path"] not in _PROBES:
                wanted = urlsplit(settings.base_url).hostname
                if _host_name(Headers(scope=scope).get("host", "")) != wanted:
                    # Without the client's Host no part of the address but its path is taken over.
                    target = settings.base_url + _path_and_query(scope)
                    await RedirectResponse(target, 307)(scope, receive, send)
                    return
        await self.app(scope, receive, send)


class OwnWebsockets:
    """Opens a websocket only for our own pages: it would carry the cookie of whoever looks at another site's.

    Browsers always say which page asks, so a request that says nothing is none of theirs and is refused too.
    The answer is 403, before any handshake.
    """

    def __init__(self, app: ASGIApp, settings: Callable[[], Settings]) -> None:
        """Wrap `app`; `settings` is asked once a websocket, because they may not be known yet."""
        self.app = app
        self.settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one websocket through, or refuse it."""
        if scope["type"] == "websocket":
            origins = Headers(scope=scope).getlist("origin")
            if len(origins) != 1 or origins[0] not in self.settings().page_origins:
                await WebSocketClose()(scope, receive, send)
                return
        await self.app(scope, receive, send)


class QuietAnswers:
    """Keeps answers of the API and of signing in out of caches."""

    _PREFIXES: Final = ("/api/", "/auth/")

    def __init__(self, app: ASGIApp) -> None:
        """Wrap `app`."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or not scope["path"].startswith(self._PREFIXES):
            await self.app(scope, receive, send)
            return

        async def send_quietly(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Cache-Control"] = "no-store"
            await send(message)

        await self.app(scope, receive, send_quietly)


def _note(scope: Scope, status: int, seconds: float) -> None:
    route = _template(scope)
    method = scope["method"] if scope["method"] in _METHODS else "OTHER"
    metrics.http_answered(route, method, status, seconds)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or route not in _UNEVENTFUL:
        log.info("request", route=route, method=method, status=status, ms=round(seconds * 1000, 1))


def _template(scope: Scope) -> str:
    route = scope.get("route")
    if isinstance(route, APIRoute):
        return route.path
    return _UNKNOWN if scope["path"].startswith("/api/") else _PAGE


def _host_name(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _path_and_query(scope: Scope) -> str:
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    path = raw.partition(b"?")[0].decode("latin-1")
    query = scope["query_string"].decode("latin-1")
    return f"{path}?{query}" if query else path
