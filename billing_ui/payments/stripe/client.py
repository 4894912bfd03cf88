"""The way to Stripe: its SDK on aiohttp, with timeouts, and its failures as our named errors."""

import asyncio
import logging
import re
import ssl
import time
from collections.abc import Awaitable, Mapping
from contextlib import AbstractContextManager
from typing import Any, TypeVar
from urllib.parse import urlsplit

import aiohttp
import stripe
import structlog

from billing_ui import metrics
from billing_ui.payments.client import (
    ANSWER_SECONDS,
    CONNECT_SECONDS,
    KEEP_ALIVE_SECONDS,
    RETRIES,
    translating,
)
from billing_ui.payments.mapping import header
from billing_ui.payments.proxies import proxy_for
from billing_ui.payments.types import (
    ConfigurationUnusable,
    CursorGone,
    CustomerDeleted,
    InvalidRequest,
    PaymentError,
    PermissionMissing,
    ProviderRejected,
)
from billing_ui.payments.unavailable import in_trouble, late, too_busy, unreachable
from billing_ui.settings import Provider

log = structlog.get_logger(__name__)

PAGE = 100
"""How many objects a page of a list has, the most Stripe gives."""

_KEY = re.compile(r"\b(?:sk|rk|pk|whsec|ek)_[\w*]+")

T = TypeVar("T", bound=stripe.StripeObject)


class _Late(stripe.APIConnectionError):
    """No whole answer came in time."""


class Transport(stripe.HTTPClient):
    """The SDK's HTTP interface on aiohttp, with a session for each event loop that calls.

    The SDK brings an aiohttp client too. It reads answers outside its error handling, so that a
    connection lost half-way is neither retried nor named, and it belongs to the loop of its first call.
    """

    name = "aiohttp"

    def __init__(self, api_base: str) -> None:
        """Connect to nothing yet; `api_base` decides about TLS and proxy."""
        super().__init__()
        self._tls = urlsplit(api_base).scheme == "https"
        self._proxy_url = proxy_for(api_base)
        self._sessions: dict[asyncio.AbstractEventLoop, aiohttp.ClientSession] = {}

    async def request_async(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        post_data: str | None = None,
    ) -> tuple[bytes, int, Mapping[str, str]]:
        """Send one request and return body, status and headers of the answer.

        Raises:
            stripe.APIConnectionError: no whole answer came in time; the SDK decides about a retry.
        """
        session = await self._session()
        began, status = time.perf_counter(), None
        try:
            # A redirect would carry the key to wherever it points; the API never sends one.
            async with session.request(
                method, url, headers=headers, data=post_data, allow_redirects=False
            ) as response:
                body = await response.read()
                status = response.status
                return body, status, response.headers
        # The SDK leaves this constructor untyped.
        except TimeoutError as error:
            raise _Late(type(error).__name__) from error  # type: ignore[no-untyped-call]
        except (aiohttp.ClientError, OSError) as error:
            raise stripe.APIConnectionError(type(error).__name__, should_retry=True) from error  # type: ignore[no-untyped-call]
        finally:
            metrics.provider_called(Provider.STRIPE, time.perf_counter() - began, status)

    def _should_retry(
        self,
        response: tuple[Any, int, Mapping[str, str] | None] | None,
        api_connection_error: stripe.APIConnectionError | None,
        num_retries: int,
        max_network_retries: int | None,
    ) -> bool:
        # The SDK disregards how long Stripe asks to wait. Who is told so does not stand waiting here.
        if response is not None and header(response[2], "retry-after"):
            return False
        again = super()._should_retry(
            response, api_connection_error, num_retries, max_network_retries
        )
        return bool(again)

    def sleep_async(self, secs: float) -> Awaitable[None]:
        """Wait `secs` seconds before a retry."""
        return asyncio.sleep(secs)

    async def close_async(self) -> None:
        """Close the connections made in the running event loop."""
        session = self._sessions.pop(asyncio.get_running_loop(), None)
        if session is not None:
            await session.close()

    async def _session(self) -> aiohttp.ClientSession:
        loop = asyncio.get_running_loop()
        session = self._sessions.get(loop)
        if session is None:
            session = self._sessions[loop] = self._open_session()
            for ended in [other for other in self._sessions if other.is_closed()]:
                await self._sessions.pop(ended).close()
        return session

    def _open_session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                # The SDK's own certificates: slim images have none.
                ssl=ssl.create_default_context(cafile=stripe.ca_bundle_path) if self._tls else True,
                keepalive_timeout=KEEP_ALIVE_SECONDS,
            ),
            timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS, connect=CONNECT_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            proxy=self._proxy_url,
        )


def open_client(secret_key: str, api_base: str) -> tuple[stripe.StripeClient, Transport]:
    """Return an SDK client for the API at `api_base`, and the transport to close when done."""
    # The SDK logs what Stripe says of a refused key, and at DEBUG whole answers, portal URLs included.
    logging.getLogger("stripe").setLevel(logging.WARNING)
    transport = Transport(api_base)
    client = stripe.StripeClient(
        secret_key,
        base_addresses={"api": api_base},
        max_network_retries=RETRIES,
        http_client=transport,
    )
    return client, transport


def translated() -> AbstractContextManager[None]:
    """Raise what the SDK raises inside as our named errors; see `payments.client.translating`.

    What of the SDK's exception helps to find the call in Stripe's own log is written to ours.
    """
    return translating((stripe.StripeError,), _noted)


def _noted(error: stripe.StripeError) -> PaymentError:
    log.warning(
        "provider_call_failed",
        provider=Provider.STRIPE,
        kind=type(error).__name__,
        status=error.http_status,
        code=error.code,
        provider_request=error.request_id,
    )
    return translate(error)


def translate(error: stripe.StripeError) -> PaymentError:
    """Return the named error that `error` is to a person, without keys or bodies."""
    if isinstance(error, _Late):
        return late("Stripe")
    if isinstance(error, stripe.APIConnectionError):
        return unreachable("Stripe")
    if isinstance(error, stripe.RateLimitError):
        return too_busy("Stripe", error.headers)
    if isinstance(error, stripe.AuthenticationError):
        return ProviderRejected(
            "Stripe refused this site's API key. "
            "Whoever runs the site must set STRIPE_SECRET_KEY to a valid one."
        )
    if isinstance(error, stripe.PermissionError):
        return PermissionMissing(
            f"Stripe refused this site's API key: it lacks a permission. {_said(error)}"
        )
    if isinstance(error, stripe.InvalidRequestError):
        return _refusal(error)
    if isinstance(error, stripe.APIError):
        return in_trouble("Stripe", error.headers)
    return ProviderRejected(f"Stripe refused the request: {_said(error)}")


def _refusal(error: stripe.InvalidRequestError) -> PaymentError:
    message, parameter = error.user_message or "", error.param or ""
    if is_missing(error) and parameter == "starting_after":
        return CursorGone(f"Stripe can't go on with a list: {_said(error)}")
    if is_missing(error) and message.startswith("No such customer"):
        if "a similar object exists in" in message:
            return CustomerDeleted(
                "Your billing account belongs to Stripe's other mode (test or live) and can't be used "
                "with the present key. Choose a plan to start again, or contact support."
            )
        return CustomerDeleted()
    if parameter == "configuration":
        return ConfigurationUnusable(f"Stripe can't use the portal configuration: {_said(error)}")
    if parameter.startswith(("flow_data", "line_items", "currency")):
        return InvalidRequest(f"Stripe can't open this page: {_said(error)}")
    return ProviderRejected(f"Stripe refused the request: {_said(error)}")


def is_missing(error: stripe.StripeError) -> bool:
    """Return whether `error` says that the thing asked for does not exist."""
    return error.code == "resource_missing"


def replayed(headers: Mapping[str, str] | None) -> bool:
    """Return whether Stripe repeated the stored answer of an earlier call with the same idempotency key."""
    return header(headers, "idempotent-replayed") == "true"


def stored_failure(error: stripe.StripeError) -> str:
    """Return the id of the earlier request whose failure Stripe repeats; empty when this failure is a new one."""
    return header(error.headers, "original-request") if replayed(error.headers) else ""


async def all_pages(first: Awaitable[stripe.ListObject[T]]) -> list[T]:
    """Return everything in a list, of which `first` is the first page."""
    return [found async for found in (await first).auto_paging_iter()]


def _said(error: stripe.StripeError) -> str:
    said = _KEY.sub("…", error.user_message or "no reason given.")
    return f"{said} (Stripe request {error.request_id})" if error.request_id else said
