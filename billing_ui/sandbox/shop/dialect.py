"""What makes the shop one particular provider: its ids, its API, its events and their signatures."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from billing_ui.sandbox.core.courier import Parcel
from billing_ui.sandbox.shop.model import Endpoint, Event, Json, Kind, Record

if TYPE_CHECKING:
    from billing_ui.sandbox.shop.shop import Shop


class ChangeKind(StrEnum):
    """What happened; the part before the underscore is the kind of its subject."""

    CUSTOMER_CREATED = "customer_created"
    CUSTOMER_UPDATED = "customer_updated"
    CUSTOMER_DELETED = "customer_deleted"
    PRODUCT_CREATED = "product_created"
    PRODUCT_UPDATED = "product_updated"
    PRICE_CREATED = "price_created"
    PRICE_UPDATED = "price_updated"
    CARD_ADDED = "card_added"
    CARD_UPDATED = "card_updated"
    CARD_REMOVED = "card_removed"
    SUBSCRIPTION_CREATED = "subscription_created"
    SUBSCRIPTION_ACTIVATED = "subscription_activated"
    SUBSCRIPTION_UPDATED = "subscription_updated"
    SUBSCRIPTION_RENEWED = "subscription_renewed"
    SUBSCRIPTION_CANCEL_SCHEDULED = "subscription_cancel_scheduled"
    SUBSCRIPTION_KEPT = "subscription_kept"
    SUBSCRIPTION_PAUSED = "subscription_paused"
    SUBSCRIPTION_RESUMED = "subscription_resumed"
    SUBSCRIPTION_PAST_DUE = "subscription_past_due"
    SUBSCRIPTION_UNPAID = "subscription_unpaid"
    SUBSCRIPTION_RECOVERED = "subscription_recovered"
    SUBSCRIPTION_ENDED = "subscription_ended"
    INVOICE_CREATED = "invoice_created"
    INVOICE_PAID = "invoice_paid"
    INVOICE_FAILED = "invoice_failed"
    INVOICE_REFUNDED = "invoice_refunded"
    INVOICE_CLOSED = "invoice_closed"
    CHECKOUT_COMPLETED = "checkout_completed"


@dataclass(frozen=True)
class Change:
    """One thing that happened.

    Attributes:
        kind: What.
        subject: The record as it is now.
        before: As it was; None when it is new.
        at: When, in Unix seconds.
    """

    kind: ChangeKind
    subject: Record
    before: Record | None
    at: int


@dataclass(frozen=True)
class Told:
    """An event as a dialect tells of a change.

    Attributes:
        type: Its type, such as `subscription.updated`.
        payload: The JSON a webhook brings, whole.
        id: Its id; one from `Dialect.new_id` when None.
    """

    type: str
    payload: Json
    id: str | None = None


@dataclass(frozen=True)
class Asked:
    """One request to the provider's API.

    Attributes:
        method: In capitals.
        path: Such as `/v1/customers/1`, without the query.
        query: The names and values after the question mark, decoded, in their order.
        headers: By lower-case name.
        body: As it came.
        trusted: Whether the sandbox's own control API asks: then no key is needed.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    trusted: bool = False


@dataclass(frozen=True)
class Answered:
    """An answer of the provider's API; `body` is what becomes JSON, None for an empty answer."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)


class Dialect(Protocol):
    """One provider's way to speak of the shop. It keeps no state: that is all in the shop."""

    @property
    def name(self) -> str:
        """The provider's key, such as `polar`."""
        ...

    @property
    def title(self) -> str:
        """The provider's name as people know it, such as "Lemon Squeezy"."""
        ...

    @property
    def paths(self) -> tuple[str, ...]:
        """What the paths of its API begin with, such as `("/v1/",)`."""
        ...

    @property
    def event_types(self) -> Collection[str]:
        """Every type of event it can tell of."""
        ...

    @property
    def one_price_per_product(self) -> bool:
        """Whether the interval belongs to the product, so that a yearly plan is another product."""
        ...

    @property
    def checkout_becomes_invoice(self) -> bool:
        """Whether the first invoice has the id of the checkout it was bought in."""
        ...

    @property
    def portal_changes_plans(self) -> bool:
        """Whether people can switch to another plan in the portal."""
        ...

    def new_id(self, kind: Kind, shop: "Shop") -> str:
        """Return the id of a new record; `shop.number()` counts where ids are numbers."""
        ...

    def answer(self, shop: "Shop", asked: Asked) -> Answered:
        """Do what a request asks for.

        It runs in one transaction, in which no other request is served; an answer of 400 or more
        undoes it. An exception is answered with `failure(500)`.
        """
        ...

    def failure(self, status: int) -> Answered:
        """Return what the provider answers when it fails by itself: 429, 500 and the like."""
        ...

    def told(self, shop: "Shop", change: Change) -> Iterable[Told]:
        """Return the events that tell of a change: none, one or several."""
        ...

    def parcel(self, endpoint: Endpoint, event: Event, now: int) -> Parcel:
        """Return the request that brings an event, signed with `endpoint.secret` at `now` (Unix seconds)."""
        ...
