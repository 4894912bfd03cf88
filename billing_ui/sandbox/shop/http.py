"""A dialect's API over HTTP: one request after the other, each whole, and faults on purpose."""

import asyncio
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from billing_ui.sandbox.core.control import Json, Refusal
from billing_ui.sandbox.core.dropping import DroppedConnection
from billing_ui.sandbox.core.faults import Faults
from billing_ui.sandbox.shop.dialect import Answered, Asked
from billing_ui.sandbox.shop.shop import Shop

log = logging.getLogger(__name__)


class ShopAPI:
    """The ASGI application under the paths of a shop's dialect."""

    def __init__(self, shop: Shop, faults: Faults) -> None:
        self._shop = shop
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        response = await self._strike(request.method, scope["path"])
        if response is None:
            try:
                body = await request.body()
            except ClientDisconnect:
                return
            # No await from here on: requests follow one another, each whole.
            asked = Asked(
                request.method,
                scope["path"],
                tuple(parse_qsl(request.url.query, keep_blank_values=True)),
                dict(request.headers),
                body,
            )
            response = _response(answer(self._shop, asked))
        await response(scope, receive, send)

    async def _strike(self, method: str, path: str) -> Response | None:
        """Do what the faults in force do to this request; return an answer when they give one."""
        for fault in self._faults.take(method, path):
            if fault.kind == "latency":
                await asyncio.sleep(fault.seconds)
            elif fault.kind == "drop":
                return DroppedConnection()
            elif fault.kind == "rate_limit":
                response = _response(self._shop.dialect.failure(429))
                if fault.retry_after is not None:
                    response.headers["Retry-After"] = str(fault.retry_after)
                return response
            else:
                return _response(self._shop.dialect.failure(fault.status))
        return None


def answer(shop: Shop, asked: Asked) -> Answered:
    """Let the dialect answer a request in one transaction, which an answer of 400 or more undoes."""
    try:
        with _undone_when_refused(shop) as answers:
            answers.append(shop.dialect.answer(shop, asked))
    except Exception:
        log.exception("%s %s failed", asked.method, asked.path)
        return shop.dialect.failure(500)
    return answers[0]


def call(
    shop: Shop, method: str, path: str, params: Json, *, at: int | None, wanted_id: str | None
) -> Json:
    """Run one API operation for the control API: no key, `params` as JSON or as the query of a GET.

    Raises:
        Refusal: What the provider would answer instead.
    """
    reading = method.upper() == "GET"
    asked = Asked(
        method.upper(),
        path,
        query=tuple((name, str(value)) for name, value in params.items()) if reading else (),
        headers={"content-type": "application/json"},
        body=b"" if reading else json.dumps(params).encode(),
        trusted=True,
    )
    with shop.at(at), shop.wishing(wanted_id):
        answered = answer(shop, asked)
    if answered.status >= 400:
        raise Refusal(answered.status, answered.body or {})
    result: Json = answered.body or {}
    return result


class _Refused(Exception):
    """Undoes a transaction."""


@contextmanager
def _undone_when_refused(shop: Shop) -> Iterator[list[Answered]]:
    answers: list[Answered] = []
    try:
        with shop.together():
            yield answers
            if answers[0].status >= 400:
                raise _Refused
    except _Refused:
        pass


def _response(answered: Answered) -> Response:
    if answered.body is None:
        return Response(status_code=answered.status, headers=dict(answered.headers))
    text = json.dumps(answered.body, separators=(",", ":"))
    headers = {"content-type": "application/json", **answered.headers}
    return Response(text, answered.status, headers)
