"""The way to Paddle: its SDK on threads of its own, with timeouts and retries, and its failures as our named errors."""

import asyncio
import json
import re
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Final, Generic, Protocol, TypeVar, cast

import requests
import structlog
from paddle_billing import Client, Environment, Options
from paddle_billing.Resources.Shared.Operations import OrderBy, Pager
from requests.adapters import HTTPAdapter

from billing_ui import metrics
from billing_ui.payments.client import ANSWER_SECONDS, CONNECT_SECONDS, repeated
from billing_ui.payments.proxies import proxy_for
from billing_ui.payments.types import (
    PaymentError,
    PermissionMissing,
    ProviderRejected,
    ProviderUnavailable,
)
from billing_ui.payments.unavailable import (
    UNCHANGED,
    Fleeting,
    in_trouble,
    late,
    too_busy,
    unreachable,
)
from billing_ui.settings import Provider

log = structlog.get_logger(__name__)

PAGE = 200
"""How many objects a page of a list has; where Paddle gives fewer, it says that there are more."""

THREADS = 16
"""How many calls can be under way at once; further ones wait."""

_KEY = re.compile(r"\bpdl_[\w*]+")

T = TypeVar("T")


# ---------------------------------------------------------------- failures


class Refused(ProviderRejected):
    """Paddle answered 4xx.

    Attributes:
        status: the HTTP status.
        code: Paddle's name of the error, such as `customer_already_exists`.
        detail: Paddle's sentence about it, without keys.
    """

    def __init__(self, message: str, *, status: int, code: str, detail: str) -> None:
        """Take the sentence to show, and what Paddle answered."""
        super().__init__(message)
        self.status = status
        self.code = code
        self.detail = detail

    @property
    def missing(self) -> bool:
        """Whether what was asked for does not exist."""
        return self.status == 404

    @property
    def unknown_id(self) -> bool:
        """Whether an id, where nothing else can be wrong, is nobody's, or not even one of Paddle's."""
        return self.status in (400, 404)


class Forbidden(Refused, PermissionMissing):
    """The key lacks a permission."""


class _Conflict(Refused):
    """Something else was being done to the same thing at the same moment."""


_KINDS: Final = {
    "forbidden": Forbidden,
    "conflict": _Conflict,
    "concurrent_modification": _Conflict,
}


# ---------------------------------------------------------------- one connection


class Session(requests.Session):
    """What the SDK sends its requests with: it stands between the SDK and an answer the SDK would misread.

    The SDK takes a page that is no JSON for an empty list, breaks over an error that lacks a field, and
    retries over https alone. So an answer gets through only when it is a good one.
    """

    def __init__(self, api_key: str, api_base: str) -> None:
        """Connect to nothing yet.

        Args:
            api_key: sent as a bearer token.
            api_base: address of the API; decides about a proxy.
        """
        super().__init__()
        # From the environment requests would also take a .netrc, which replaces the key.
        self.trust_env = False
        if proxy := proxy_for(api_base):
            self.proxies = {"http": proxy, "https": proxy}
        self.headers.update(
            {
                "Authorization": f"Bearer {api_key}",
                "Content-Type": "application/json",
                "Paddle-Version": "1",
            }
        )
        for scheme in ("http://", "https://"):
            self.mount(scheme, HTTPAdapter(max_retries=0))

    def request(  # type: ignore[override]
        self, method: str, url: str, data: str | None = None, **_: Any
    ) -> requests.Response:
        """Send one request and return its answer, which is a JSON object with `data`.

        Raises:
            PaymentError: there is no such answer.
        """
        began, status = time.perf_counter(), None
        try:
            # A redirect would carry the key to wherever it points; the API never sends one.
            response = super().request(
                method,
                url,
                data=data,
                timeout=(CONNECT_SECONDS, ANSWER_SECONDS),
                allow_redirects=False,
            )
            status = response.status_code
        # Left out of the traceback: they carry the request's headers.
        except requests.Timeout:
            raise late("Paddle") from None
        except requests.RequestException:
            raise unreachable("Paddle") from None
        finally:
            metrics.provider_called(Provider.PADDLE, time.perf_counter() - began, status)
        if status >= 400:
            raise _refusal(response)
        if status >= 300 or not _is_answer(response):
            raise ProviderUnavailable(f"What answered in Paddle's place is not Paddle.{UNCHANGED}")
        return response


def _is_answer(response: requests.Response) -> bool:
    if response.status_code == 204:
        return True
    body = _json_of(response)
    if "data" not in body:
        return False
    if isinstance(body["data"], list) and "pagination" in (body.get("meta") or {}):
        # Without this the rest of a list would silently be missing.
        return isinstance(body["meta"]["pagination"].get("has_more"), bool)
    return True


def _json_of(response: requests.Response) -> dict[str, Any]:
    try:
        body = json.loads(response.content)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _refusal(response: requests.Response) -> PaymentError:
    status, body = response.status_code, _json_of(response)
    said = body.get("error")
    said = said if isinstance(said, dict) else {}
    code = str(said.get("code") or "")
    request_id = str((body.get("meta") or {}).get("request_id") or "")
    log.warning(
        "provider_call_failed",
        provider=Provider.PADDLE,
        status=status,
        code=code,
        provider_request=request_id,
    )
    if status == 429:
        return too_busy("Paddle", response.headers)
    if status >= 500:
        return in_trouble("Paddle", response.headers)
    kind = _KINDS.get(code, Refused)
    detail = _detail(said)
    return kind(
        _sentence(status, code, detail, request_id), status=status, code=code, detail=detail
    )


def _detail(said: dict[str, Any]) -> str:
    """Return what Paddle says of an error, with the fields it is about."""
    parts = [str(said.get("detail") or "no reason given.")]
    for field in said.get("errors") or ():
        if isinstance(field, dict):
            parts.append(f"{field.get('field')}: {field.get('message')}")
    return _KEY.sub("…", " ".join(parts))


def _sentence(status: int, code: str, detail: str, request_id: str) -> str:
    said = f"{detail} (Paddle request {request_id})" if request_id else detail
    if code == "forbidden":
        return f"Paddle refused this site's API key: it lacks a permission. {said}"
    if status in (401, 403):
        return (
            "Paddle refused this site's API key. "
            "Whoever runs the site must set PADDLE_API_KEY to a valid one."
        )
    return f"Paddle refused the request: {said}"


# ---------------------------------------------------------------- all connections


class Resource(Protocol):
    """A part of the SDK's client that can list something."""

    @property
    def response(self) -> Any:
        """The HTTP answer to the last call."""
        ...

    def list(self, operation: Any) -> Any:
        """Return the first page."""
        ...


@dataclass(frozen=True)
class Page(Generic[T]):
    """One page of a list: what the SDK read, the JSON it read each of them from, and whether there is more."""

    items: list[T]
    raw: list[dict[str, Any]]
    more: bool

    @property
    def pairs(self) -> list[tuple[T, dict[str, Any]]]:
        """What the SDK read, each with its JSON."""
        return list(zip(self.items, self.raw, strict=True))

    @property
    def last_id(self) -> str | None:
        """The id to go on after."""
        last = self.raw[-1] if self.raw else {}
        return last.get("id") or last.get("event_id")


class Paddle:
    """The SDK's blocking client on a bounded number of threads, each with a client and connections of its own."""

    def __init__(self, api_key: str, api_base: str) -> None:
        """Connect to nothing, and start no thread yet."""
        self._api_key = api_key
        self._api_base = api_base
        self._threads: ThreadPoolExecutor | None = None
        self._local = threading.local()
        self._sessions: list[Session] = []
        self._lock = threading.Lock()

    async def call(self, operation: Callable[[Client], T]) -> T:
        """Return what `operation` does with an SDK client, in a thread.

        Raises:
            Refused: Paddle answered 4xx.
            ProviderUnavailable: it cannot be reached, is late, failed, or asks to wait.
        """
        return await repeated(lambda: self._attempt(operation), after=(Fleeting, _Conflict))

    async def page(
        self,
        resource: Callable[[Client], Resource],
        listing: Callable[[Pager], Any],
        *,
        after: str | None = None,
        per_page: int = PAGE,
    ) -> Page[Any]:
        """Return one page of a list, newest first.

        Args:
            resource: which part of the SDK's client lists it.
            listing: makes the SDK's list operation of a pager.
            after: the id that the page before ended with.
            per_page: how many objects to ask for.

        Raises:
            PaymentError: as `call`.
        """
        pager = Pager(after=after, order_by=OrderBy.id_descending(), per_page=per_page)

        def fetch(client: Client) -> Page[Any]:
            part = resource(client)
            found = part.list(listing(pager))
            # The address of the next page, which the SDK would follow with the key, is not looked at.
            more = bool(found.paginator.has_more) if found.paginator else False
            return Page(found.items, part.response.json()["data"], more)

        return await self.call(fetch)

    async def pages(
        self, resource: Callable[[Client], Resource], listing: Callable[[Pager], Any]
    ) -> AsyncIterator[Page[Any]]:
        """Walk the pages of a list, newest first."""
        after: str | None = None
        while True:
            page = await self.page(resource, listing, after=after)
            yield page
            after = page.last_id
            if not page.more or after is None:
                return

    async def everything(
        self, resource: Callable[[Client], Resource], listing: Callable[[Pager], Any]
    ) -> Page[Any]:
        """Return a whole list as one page."""
        found = [page async for page in self.pages(resource, listing)]
        return Page(
            [item for page in found for item in page.items],
            [raw for page in found for raw in page.raw],
            more=False,
        )

    async def close(self) -> None:
        """Close the connections and let the threads end; a later call begins anew."""
        with self._lock:
            threads, self._threads = self._threads, None
            sessions, self._sessions = self._sessions, []
            self._local = threading.local()
        if threads is not None:
            # What still hangs in a thread ends by its timeout; nobody waits for it.
            threads.shutdown(wait=False, cancel_futures=True)
        for session in sessions:
            session.close()

    async def _attempt(self, operation: Callable[[Client], T]) -> T:
        loop = asyncio.get_running_loop()
        with self._lock:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="paddle")
            threads = self._threads
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await loop.run_in_executor(threads, self._run, operation)
        except TimeoutError:
            raise late("Paddle") from None

    def _run(self, operation: Callable[[Client], T]) -> T:
        try:
            return operation(self._client())
        except (KeyError, TypeError, ValueError, AttributeError):
            log.exception("provider_answer_unreadable", provider=Provider.PADDLE)
            raise ProviderRejected(
                "Paddle answered something that this version can't read. An update may help."
            ) from None

    def _client(self) -> Client:
        client: Client | None = getattr(self._local, "client", None)
        if client is None:
            session = Session(self._api_key, self._api_base)
            # The SDK knows two environments; all it asks one for is its address.
            environment = cast(Environment, SimpleNamespace(base_url=self._api_base))
            client = Client(self._api_key, Options(environment), http_client=session)
            self._local.client = client
            with self._lock:
                self._sessions.append(session)
        return client


async def unless_missing(call: Coroutine[Any, Any, Page[T]]) -> Page[T]:
    """Return an empty page of what belongs to a customer that there is none of: the customer itself tells."""
    try:
        return await call
    except Refused as refusal:
        if refusal.unknown_id:
            return Page([], [], more=False)
        raise
