"""The way to Lemon Squeezy: its JSON:API over HTTP, with timeouts and retries, and its failures as our named errors."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
import structlog
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import from_json

from billing_ui.payments.client import ANSWER_SECONDS, Connections, repeated, translating
from billing_ui.payments.lemonsqueezy.resources import A, Resource, resource_of
from billing_ui.payments.types import PaymentError, ProviderRejected
from billing_ui.payments.unavailable import in_trouble, too_busy
from billing_ui.settings import Provider

log = structlog.get_logger(__name__)

PAGE: Final = 100
"""How many objects a page of a list has, the most Lemon Squeezy gives."""

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
        headers = {
            "Accept": _MEDIA_TYPE,
            "Content-Type": _MEDIA_TYPE,
            "Authorization": f"Bearer {api_key}",
        }
        self._connections = Connections(Provider.LEMONSQUEEZY, _NAME, api_base, headers)

    async def close(self) -> None:
        """Close the connections made in the running event loop."""
        await self._connections.close()

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

        async def once() -> _Document:
            response = await self._connections.request(
                method, path, within=ANSWER_SECONDS, params=query, json=body
            )
            return _document(response, method, path)

        return await repeated(once)


def translated() -> AbstractContextManager[None]:
    """Raise a refusal as the named error it is to a person; see `payments.client.translating`."""
    return translating((Refused,), Refused.named)


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
        log.warning(
            "provider_call_failed",
            provider=Provider.LEMONSQUEEZY,
            call=f"{method} {path}",
            status=status,
        )
    if status == 429:
        raise too_busy(_NAME, response.headers)
    if status >= 500:
        raise in_trouble(_NAME, response.headers)
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
