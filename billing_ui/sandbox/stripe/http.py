"""Stripe's API over HTTP: form bodies, keys, request ids, idempotency, and faults on purpose."""

import asyncio
import base64
import binascii
import hashlib
import json
import logging
import re
import time
from typing import Any
from urllib.parse import parse_qsl

import stripe
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from billing_ui.sandbox.core.dropping import DroppedConnection
from billing_ui.sandbox.core.faults import Faults
from billing_ui.sandbox.core.ids import random_text
from billing_ui.sandbox.stripe.account import Account
from billing_ui.sandbox.stripe.errors import StripeError
from billing_ui.sandbox.stripe.validator import Params
from billing_ui.sandbox.stripe.versions import modernize

KEPT_SECONDS = 24 * 3600
"""How long the answer to an idempotency key is kept."""

CHANGE_NOTHING = frozenset({"/v1/invoices/create_preview"})
"""Paths of POSTs that may be repeated at will: their answers need not be kept."""

TEST_KEY = re.compile(r"[sr]k_test_\w+", re.ASCII)
NAME = re.compile(r"[^\[\]]+(\[[^\[\]]*\])*")
PART = re.compile(r"[^\[\]]+|(?<=\[)(?=\])")

log = logging.getLogger(__name__)


class StripeAPI:
    """The ASGI application under `/v1`."""

    def __init__(self, account: Account, faults: Faults) -> None:
        self._account = account
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        path = scope["path"]
        response = await self._strike(request.method, path)
        if response is None:
            try:
                body = await request.body()
            except ClientDisconnect:
                return
            # No await from here on: requests follow one another, each whole.
            response = self._respond(request, path, body)
        await response(scope, receive, send)

    async def _strike(self, method: str, path: str) -> Response | None:
        """Do what the faults in force do to this request; return an answer when they give one."""
        for fault in self._faults.take(method, path):
            request_id = new_request_id()
            if fault.kind == "latency":
                await asyncio.sleep(fault.seconds)
            elif fault.kind == "drop":
                return DroppedConnection()
            elif fault.kind == "rate_limit":
                error = StripeError(
                    "Request rate limit exceeded. Learn more about rate limits here "
                    "https://stripe.com/docs/rate-limits.",
                    status=429,
                    code="rate_limit",
                )
                answer = _json(error.status, error.body(request_id), request_id)
                if fault.retry_after is not None:
                    answer.headers["Retry-After"] = str(fault.retry_after)
                return answer
            else:
                error = StripeError(
                    "An unknown error occurred.", status=fault.status, type_="api_error"
                )
                return _json(error.status, error.body(request_id), request_id)
        return None

    def _respond(self, request: Request, path: str, body: bytes) -> Response:
        request_id = new_request_id()
        version = request.headers.get("stripe-version")
        key = request.headers.get("idempotency-key")
        replayed = False
        try:
            _check_key(request.headers.get("authorization", ""))
            params = modernize(version, path, _decode(request, body))
            if key is not None and request.method == "POST" and path not in CHANGE_NOTHING:
                text, status, replayed = self._once(request, path, params, key, request_id)
                answer = Response(text, status, media_type="application/json")
            else:
                with self._account.asked_by(request_id, None):
                    result = self._account.perform(request.method, path, params)
                answer = Response(_dump(result), media_type="application/json")
        except StripeError as error:
            answer = _json(error.status, error.body(request_id), request_id)
        except Exception:
            log.exception("%s %s failed", request.method, path)
            failure = StripeError(
                "The sandbox failed; its log says why.", status=500, type_="api_error"
            )
            answer = _json(failure.status, failure.body(request_id), request_id)
        answer.headers["Request-Id"] = request_id
        answer.headers["Stripe-Version"] = version or stripe.api_version
        if key is not None:
            answer.headers["Idempotency-Key"] = key
            if replayed:
                answer.headers["Idempotent-Replayed"] = "true"
        return answer

    def _once(
        self, request: Request, path: str, params: Params, key: str, request_id: str
    ) -> tuple[str, int, bool]:
        """Run a POST, or return what the same key was answered before.

        Returns:
            The JSON text, the status, and whether it is a replay.
        """
        if len(key) > 255:
            raise StripeError("Idempotency keys may be at most 255 characters long.")
        account, store = self._account, self._account.store
        now = int(time.time())
        asked = f"{path} {json.dumps(params, sort_keys=True)}"
        fingerprint = hashlib.sha256(asked.encode()).hexdigest()
        with store.transaction():
            known = store.remembered(key, now - KEPT_SECONDS)
            if known and known[0] != fingerprint:
                raise StripeError(
                    "Keys for idempotent requests can only be used with the same parameters they "
                    f"were first used with. Try using a key other than '{key}' if you meant to "
                    "execute a different request.",
                    type_="idempotency_error",
                )
            if known:
                return known[2], known[1], True
            try:
                with account.asked_by(request_id, key):
                    text, status = _dump(account.perform(request.method, path, params)), 200
            except StripeError as error:
                # A request refused before it began may be mended and sent again with its key.
                if not error.began:
                    raise
                text, status = _dump(error.body(request_id)), error.status
            store.remember(key, fingerprint, status, text, now)
        return text, status, False


def new_request_id() -> str:
    """Return the id of one more request."""
    return f"req_{random_text(14)}"


def decode_form(pairs: list[tuple[str, str]]) -> Params:
    """Return what `a[b][0]=c` and `d[]=e` mean, as nested dicts of strings.

    Arrays stay dicts of numbers here: only the validator knows where an array is wanted.

    Raises:
        StripeError: A name is no such path, or is both a value and a hash.
    """
    decoded: Params = {}
    for name, value in pairs:
        if not NAME.fullmatch(name):
            raise StripeError(f"Invalid parameter name: {name}", param=name)
        path = PART.findall(name)
        here = decoded
        for part in path[:-1]:
            here = here.setdefault(part or str(len(here)), {})
            if not isinstance(here, dict):
                raise StripeError("Invalid object", param=name)
        here[path[-1] or str(len(here))] = value
    return decoded


def _decode(request: Request, body: bytes) -> Params:
    pairs = parse_qsl(request.url.query, keep_blank_values=True)
    if request.method == "GET":
        return decode_form(pairs)
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if body and kind != "application/x-www-form-urlencoded":
        raise StripeError(
            f"Invalid request (check that your POST content type is "
            f"application/x-www-form-urlencoded, not {kind}). If you have any questions, we can "
            "help at https://support.stripe.com/."
        )
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise StripeError("The request body is not valid UTF-8.") from None
    return decode_form(pairs + parse_qsl(text, keep_blank_values=True))


def _check_key(authorization: str) -> None:
    """Let any test key in, given as a bearer token or as the user name of basic authentication.

    Raises:
        StripeError: There is none, or it is not a test key.
    """
    scheme, _, key = authorization.partition(" ")
    if scheme.lower() == "basic":
        try:
            key = base64.b64decode(key, validate=True).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            key = ""
    if scheme.lower() not in ("basic", "bearer") or not key:
        raise StripeError(
            "You did not provide an API key. You need to provide your API key in the Authorization "
            "header, using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY'). See "
            "https://stripe.com/docs/api#authentication for details, or we can help at "
            "https://support.stripe.com/.",
            status=401,
        )
    if not TEST_KEY.fullmatch(key):
        shown = f"{key[:8]}{'*' * max(3, len(key) - 12)}{key[-4:] if len(key) > 12 else ''}"
        raise StripeError(f"Invalid API Key provided: {shown}", status=401)


def _dump(result: dict[str, Any]) -> str:
    return json.dumps(result, separators=(",", ":"))


def _json(status: int, body: dict[str, Any], request_id: str) -> Response:
    headers = {"Request-Id": request_id}
    return Response(_dump(body), status, headers, media_type="application/json")
