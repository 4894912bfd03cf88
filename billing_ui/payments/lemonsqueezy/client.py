"""The way to Lemon Squeezy: its JSON:API over HTTP, with timeouts and retries, and its failures as our named errors."""

import asyncio
import random
import re
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import structlog
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import from_json

from billing_ui import metrics
from billing_ui.payments.lemonsqueezy.resources import A, Resource, resource_of
from billing_ui.payments.types import PaymentError, ProviderRejected, ProviderUnavailable
from billing_ui.payments.unavailable import in_trouble, late, too_busy, unreachable, whole_seconds
from billing_ui.settings import Provider, is_loopback

log = structlog.get_logger(__name__)

CONNECT_SECONDS: Final = 3.0
"""How long getting a connection may take, name resolution and TLS included."""

ANSWER_SECONDS: Final = 10.0
"""How long one attempt may take, from asking for a connection to the answer's last byte."""

RETRIES: Final = 2
"""How often a call is repeated after a 5xx or a lost connection; never after a 429."""

PAGE: Final = 100
"""How many objects a page of a list has, the most Lemon Squeezy gives."""

_FIRST_DELAY_SECONDS: Final = 0.25
_KEEP_ALIVE_SECONDS: Final = 60.0
_MEDIA_TYPE: Final = "application/vnd.api+json"
# A key of Lemon Squeezy's is a JSON web token.
_KEY: Final = re.compile(r"\beyJ[\w.-]+|\bBearer\s+\S+")
_ID: Final = re.compile(r"[A-Za-z0-9-]{1,64}")
_NAME: Final = "Lemon Squeezy"


class Refused(Exception):
    """Lemon Squeezy refused a call for what it asks.

    Attributes:
        status: the HTTP status, 400 or above.
        detail: what Lemon Squeezy says, free of keys.
        pointers: which parts of the request it complains of, such as `/data/attributes/email`.
    """

    def __init__(self, status: int, detail: str, pointers: tuple[str, ...]) -> None:
        """Take what the answer says."""
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.pointers = pointers

    @property
    def missing(self) -> bool:
        """Whether the thing asked for does not exist under this key."""
        return self.status == 404

    def named(self) -> PaymentError:
        """Return the named error that this is to a person."""
        if self.status == 401:
            return ProviderRejected(
                "Lemon Squeezy refused this site's API key. "
                "Whoever runs the site must set LEMONSQUEEZY_API_KEY to a valid one."
            )
        return ProviderRejected(f"Lemon Squeezy refused the request: {self.detail}")


class _Source(BaseModel):
    pointer: str | None = None
    parameter: str | None = None


class _Error(BaseModel):
    title: str | None = None
    detail: str | None = None
    source: _Source | None = None


class _Errors(BaseModel):
    errors: tuple[_Error, ...] = ()


class _Paging(BaseModel):
    model_config = ConfigDict(extra="ignore")

    currentPage: int  # noqa: N815 - Lemon Squeezy's own name
    lastPage: int  # noqa: N815


class _Meta(BaseModel):
    page: _Paging | None = None
    test_mode: bool | None = None


class _Document(BaseModel):
    """An answer's outermost part."""

    data: dict[str, Any] | list[dict[str, Any]]
    included: list[dict[str, Any]] = []
    meta: _Meta = _Meta()


@dataclass(frozen=True, slots=True)
class One:
    """A single object as answered, not looked into yet.

    Attributes:
        test_mode: the mode of the key, where the answer tells it.
    """

    data: dict[str, Any] = field(repr=False)
    included: list[dict[str, Any]] = field(repr=False)
    test_mode: bool | None


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a list; `more` says whether another follows it."""

    data: list[dict[str, Any]] = field(repr=False)
    more: bool


class Client:
    """Calls of the API with one key, on connections of the event loop that calls."""

    def __init__(self, api_key: str, api_base: str) -> None:
        """Connect to nothing yet; `api_base` is without `/v1`."""
        self._key = api_key
        self._base = api_base
        self._by_loop: dict[asyncio.AbstractEventLoop, httpx.AsyncClient] = {}

    async def close(self) -> None:
        """Close the connections made in the running event loop."""
        client = self._by_loop.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.aclose()

    async def get(self, kind: str, id_: str, query: Mapping[str, str] | None = None) -> One:
        """Return the object of a kind, such as `customers`, that has the id.

        Raises:
            Refused: there is none, or the key may not see it.
            ProviderUnavailable, ProviderRejected: as `_call`.
        """
        # It becomes part of the path: what is no id must not lead elsewhere.
        if not _ID.fullmatch(id_):
            raise Refused(404, "there is no such thing.", ())
        return _one(await self._call("GET", f"/v1/{kind}/{id_}", query=query))

    async def get_page(self, kind: str, number: int, query: Mapping[str, str]) -> Page:
        """Return a page of everything of a kind that `query` leaves, the first being number 1.

        Raises:
            Refused: the list cannot be had so.
            ProviderUnavailable, ProviderRejected: as `_call`.
        """
        paged = {**query, "page[number]": str(number), "page[size]": str(PAGE)}
        document = await self._call("GET", f"/v1/{kind}", query=paged)
        if not isinstance(document.data, list) or document.meta.page is None:
            raise _unreadable()
        paging = document.meta.page
        return Page(data=document.data, more=paging.currentPage < paging.lastPage)

    async def walk(
        self, attributes: type[A], kind: str, query: Mapping[str, str]
    ) -> AsyncIterator[Resource[A]]:
        """Walk a whole list, page by page, in Lemon Squeezy's order: mostly newest first.

        Raises:
            Refused: the list cannot be had so.
            ProviderUnavailable, ProviderRejected: as `_call`.
        """
        number, more = 1, True
        while more:
            page = await self.get_page(kind, number, query)
            for document in page.data:
                yield parsed(attributes, document)
            number, more = number + 1, page.more

    async def create(
        self, kind: str, attributes: Mapping[str, Any], relationships: Mapping[str, tuple[str, str]]
    ) -> One:
        """Create an object of `kind`, such as `checkouts`, and return it.

        Args:
            relationships: name -> kind and id of the object it belongs to.

        Raises:
            Refused: it cannot be made so.
            ProviderUnavailable, ProviderRejected: as `_call`.
        """
        document = {
            "data": {
                "type": kind,
                "attributes": attributes,
                "relationships": {
                    name: {"data": {"type": related, "id": id_}}
                    for name, (related, id_) in relationships.items()
                },
            }
        }
        return _one(await self._call("POST", f"/v1/{kind}", body=document))

    async def _call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> _Document:
        """Send a request, repeat it where that may help, and return what is answered.

        Raises:
            Refused: a 4xx, except 429.
            ProviderUnavailable: no whole answer in time, a 5xx, or a 429.
            ProviderRejected: an answer that is not what the API is said to answer.
        """
        attempt = 0
        while True:
            try:
                response = await self._send(method, path, query, body)
            except ProviderUnavailable:
                if attempt == RETRIES:
                    raise
            else:
                if not self._to_repeat(response) or attempt == RETRIES:
                    return _document(response, method, path)
            # Apart from each other, when many calls fail at once.
            jitter = 0.5 + random.random()  # noqa: S311 - it guards nothing
            await asyncio.sleep(_FIRST_DELAY_SECONDS * 2**attempt * jitter)
            attempt += 1

    @staticmethod
    def _to_repeat(response: httpx.Response) -> bool:
        # Who is told how long to wait does not stand waiting here.
        return response.status_code >= 500 and _retry_after(response) is None

    async def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: Mapping[str, Any] | None,
    ) -> httpx.Response:
        client = await self._client()
        began, status = time.perf_counter(), None
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                response = await client.request(method, path, params=query, json=body)
            status = response.status_code
        except (TimeoutError, httpx.TimeoutException):
            _note(method, path, "timeout")
            raise late(_NAME) from None
        except httpx.HTTPError as error:
            # Its own words may hold the address, and with that a query.
            _note(method, path, type(error).__name__)
            raise unreachable(_NAME) from None
        finally:
            metrics.provider_called(Provider.LEMONSQUEEZY, time.perf_counter() - began, status)
        return response

    async def _client(self) -> httpx.AsyncClient:
        loop = asyncio.get_running_loop()
        client = self._by_loop.get(loop)
        if client is None:
            client = self._by_loop[loop] = self._open()
            for ended in [other for other in self._by_loop if other.is_closed()]:
                del self._by_loop[ended]
        return client

    def _open(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=self._base,
            headers={
                "Accept": _MEDIA_TYPE,
                "Content-Type": _MEDIA_TYPE,
                "Authorization": f"Bearer {self._key}",
            },
            timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
            limits=httpx.Limits(keepalive_expiry=_KEEP_ALIVE_SECONDS),
            # A redirect would carry the key to wherever it points; the API never sends one.
            follow_redirects=False,
            # A proxy of the environment's is for the world outside, never for this machine.
            trust_env=not is_loopback(urlsplit(self._base).hostname or ""),
        )


def parsed(attributes: type[A], document: object) -> Resource[A]:
    """Return an answered object as ours.

    Raises:
        ProviderRejected: it lacks what we need.
    """
    try:
        return resource_of(attributes, document)
    except ValidationError as error:
        log.warning(
            "provider_answer_unreadable",
            provider=Provider.LEMONSQUEEZY,
            fields=[".".join(map(str, part["loc"])) for part in error.errors()],
        )
        raise _unreadable() from None


def included(attributes: type[A], kind: str, answer: One) -> list[Resource[A]]:
    """Return those of the objects that came along which are of one kind, such as `subscriptions`.

    Raises:
        ProviderRejected: one of them lacks what we need.
    """
    return [
        parsed(attributes, document) for document in answer.included if document.get("type") == kind
    ]


def _one(document: _Document) -> One:
    if not isinstance(document.data, dict):
        raise _unreadable()
    return One(document.data, document.included, document.meta.test_mode)


def _document(response: httpx.Response, method: str, path: str) -> _Document:
    status = response.status_code
    if status >= 300:
        _note(method, path, f"HTTP {status}")
    if status == 429:
        raise too_busy(_NAME, _retry_after(response))
    if status >= 500:
        raise in_trouble(_NAME, retry_after=_retry_after(response))
    if status >= 400:
        raise _refusal(response)
    if status >= 300:
        raise _unreadable()
    try:
        return _Document.model_validate(from_json(response.content))
    except ValueError:
        raise _unreadable() from None


def _refusal(response: httpx.Response) -> Refused:
    try:
        errors = _Errors.model_validate(from_json(response.content)).errors
    except ValueError:
        errors = ()
    said = [error.detail or error.title for error in errors]
    sources = [error.source for error in errors if error.source is not None]
    return Refused(
        response.status_code,
        _KEY.sub("…", " ".join(part for part in said if part)) or "no reason given.",
        tuple(source.pointer or source.parameter or "" for source in sources),
    )


def _unreadable() -> ProviderRejected:
    return ProviderRejected(
        "Lemon Squeezy answered something that this program does not understand. "
        "LEMONSQUEEZY_API_BASE must be unset, unless the provider stands elsewhere."
    )


def _retry_after(response: httpx.Response) -> int | None:
    return whole_seconds(response.headers.get("retry-after", ""))


def _note(method: str, path: str, what: str) -> None:
    log.warning(
        "provider_call_failed",
        provider=Provider.LEMONSQUEEZY,
        call=f"{method} {path}",
        failure=what,
    )
