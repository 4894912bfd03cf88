"""What the ways to all providers have in common: limits of time, connections, second attempts, named failures."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import httpx
import structlog

from billing_ui import metrics
from billing_ui.payments.types import PaymentError
from billing_ui.payments.unavailable import Fleeting, late, unreachable
from billing_ui.settings import Provider, is_loopback

log = structlog.get_logger(__name__)

CONNECT_SECONDS: Final = 3.0
"""How long getting a connection may take, name resolution and TLS included."""

ANSWER_SECONDS: Final = 10.0
"""How long one attempt may take, from asking for a connection to the answer's last byte."""

RETRIES: Final = 2
"""How often a call is repeated after a 5xx or a lost connection; never when it was late, or we are to wait."""

KEEP_ALIVE_SECONDS: Final = 60.0
"""Someone who loads the page often clicks within the minute: spare them the handshake."""

_FIRST_PAUSE_SECONDS: Final = 0.25

T = TypeVar("T")
E = TypeVar("E", bound=Exception)


class Connections:
    """The connections to one provider over httpx, those of each event loop apart."""

    def __init__(
        self, provider: Provider, name: str, api_base: str, headers: dict[str, str] | None = None
    ) -> None:
        """Connect to nothing yet.

        Args:
            name: what people know the provider as.
            api_base: address of the API; decides about a proxy, and is what `request` begins with.
            headers: those of every `request`.
        """
        # It writes the address of each call at INFO, customers' ids included.
        logging.getLogger("httpx").setLevel(logging.WARNING)
        self._provider = provider
        self._name = name
        self._options: dict[str, Any] = {
            "base_url": api_base,
            "headers": headers,
            "timeout": httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS, pool=CONNECT_SECONDS),
            "limits": httpx.Limits(keepalive_expiry=KEEP_ALIVE_SECONDS),
            # A redirect would carry the key to wherever it points; no provider's API sends one.
            "follow_redirects": False,
            # The environment's proxy is for the world outside, never for this very machine.
            "trust_env": not is_loopback(urlsplit(api_base).hostname or ""),
        }
        self._by_loop: dict[asyncio.AbstractEventLoop, httpx.AsyncClient] = {}

    async def request(
        self, method: str, path: str, *, within: float, **parts: Any
    ) -> httpx.Response:
        """Make a request of `parts`, as httpx names them, send it, and return the whole answer; see `send`."""
        return await self.send(self._here().build_request(method, path, **parts), within=within)

    async def send(self, request: httpx.Request, *, within: float) -> httpx.Response:
        """Send a request and return the whole answer.

        Args:
            within: how many seconds that may take.

        Raises:
            ProviderUnavailable: no whole answer came in time.
        """
        began, status = time.perf_counter(), None
        try:
            async with asyncio.timeout(within):
                answer = await self._here().send(request)
            status = answer.status_code
            return answer
        # Their own words may hold the address, and with that a query.
        except (TimeoutError, httpx.TimeoutException) as error:
            self._note(error)
            raise late(self._name) from None
        except httpx.RequestError as error:
            self._note(error)
            raise unreachable(self._name) from None
        finally:
            metrics.provider_called(self._provider, time.perf_counter() - began, status)

    async def close(self) -> None:
        """Close the connections made in the running event loop."""
        if client := self._by_loop.pop(asyncio.get_running_loop(), None):
            await client.aclose()

    def _here(self) -> httpx.AsyncClient:
        loop = asyncio.get_running_loop()
        if loop not in self._by_loop:
            for ended in [other for other in self._by_loop if other.is_closed()]:
                del self._by_loop[ended]
            self._by_loop[loop] = httpx.AsyncClient(**self._options)
        return self._by_loop[loop]

    def _note(self, error: Exception) -> None:
        log.warning("provider_call_failed", provider=self._provider, kind=type(error).__name__)


async def repeated(
    attempt: Callable[[], Awaitable[T]],
    retries: int = RETRIES,
    *,
    after: tuple[type[PaymentError], ...] = (Fleeting,),
) -> T:
    """Return what `attempt` returns, made again at most `retries` times after a failure that may be over by then."""
    for made in range(retries):
        with suppress(*after):
            return await attempt()
        # Apart from each other, when many calls fail at once.
        jitter = 0.5 + random.random() / 2  # noqa: S311 - it guards nothing
        await asyncio.sleep(_FIRST_PAUSE_SECONDS * 2**made * jitter)
    return await attempt()


@contextmanager
def first_failure() -> Iterator[None]:
    """Raise of parallel calls' failures the first one alone."""
    try:
        yield
    except ExceptionGroup as failures:
        first: Exception = failures
        while isinstance(first, ExceptionGroup):
            first = first.exceptions[0]
        raise first from None


@contextmanager
def translating(kinds: tuple[type[E], ...], named: Callable[[E], PaymentError]) -> Iterator[None]:
    """Raise what of `kinds` is raised inside as our named error; of parallel calls, the first failure.

    It is left out of the traceback: it may hold the request's headers and the answer's body.
    """
    try:
        with first_failure():
            yield
    except kinds as error:
        raise named(error) from None
