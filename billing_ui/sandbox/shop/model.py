"""What a shop keeps: customers, what is sold, subscriptions, invoices. All times are Unix seconds."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar

from pydantic import ConfigDict

Json = dict[str, Any]


class Kind(StrEnum):
    """What a record is. Ids are unique within a kind."""

    CUSTOMER = "customer"
    PRODUCT = "product"
    PRICE = "price"
    CARD = "card"
    SUBSCRIPTION = "subscription"
    INVOICE = "invoice"
    CHECKOUT = "checkout"
    ENDPOINT = "endpoint"
    EVENT = "event"


class Interval(StrEnum):
    """How often something is paid."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


@dataclass(frozen=True, kw_only=True)
class Record:
    """Something that is kept.

    Attributes:
        id: Its id at the provider.
        created: When it was made.
        updated: When it was last changed.
        metadata: What the provider's customer, us, may hang on to it.
        extra: What a dialect keeps on it that no other provider has.
    """

    kind: ClassVar[Kind]

    id: str
    created: int
    updated: int
    metadata: Json = field(default_factory=dict)
    extra: Json = field(default_factory=dict)

    @property
    def next_due(self) -> int | None:
        """When time itself next changes it; None when never."""
        return None


@dataclass(frozen=True, kw_only=True)
class Address:
    """A postal address; the country is an ISO 3166 code."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    line1: str | None = None
    line2: str | None = None
    postal_code: str | None = None
    city: str | None = None
    state: str | None = None
    country: str | None = None


@dataclass(frozen=True, kw_only=True)
class Customer(Record):
    """Who pays. E-mail addresses (in any case) and external ids are unique among those not deleted."""

    kind: ClassVar[Kind] = Kind.CUSTOMER

    email: str
    name: str | None = None
    external_id: str | None = None
    phone: str | None = None
    address: Address | None = None
    tax_id: str | None = None
    deleted_at: int | None = None


@dataclass(frozen=True, kw_only=True)
class Product(Record):
    """What is sold; `unit_label` (such as "seat") says that it is sold by the piece."""

    kind: ClassVar[Kind] = Kind.PRODUCT

    name: str
    description: str | None = None
    features: tuple[str, ...] = ()
    unit_label: str | None = None
    archived: bool = False


@dataclass(frozen=True, kw_only=True)
class Price(Record):
    """What a product costs every so often.

    Attributes:
        product: The product's id.
        amount: Minor units of `currency`, for one unit.
        currency: A lower-case ISO 4217 code.
        interval: See `interval_count`.
        interval_count: It is paid every so many intervals.
        per_unit: Whether a quantity can be chosen.
        trial_days: How long it is free at first.
    """

    kind: ClassVar[Kind] = Kind.PRICE

    product: str
    amount: int
    currency: str
    interval: Interval
    interval_count: int = 1
    per_unit: bool = False
    trial_days: int = 0
    archived: bool = False


@dataclass(frozen=True, kw_only=True)
class Card(Record):
    """A card of a customer; `number` is a test card's whole number, which says how it behaves."""

    kind: ClassVar[Kind] = Kind.CARD

    customer: str
    number: str
    brand: str
    exp_month: int
    exp_year: int
    default: bool

    @property
    def last4(self) -> str:
        """The last four digits."""
        return self.number[-4:]


class Status(StrEnum):
    """How a subscription stands."""

    TRIALING = "trialing"
    ACTIVE = "active"
    PAST_DUE = "past_due"
    UNPAID = "unpaid"
    PAUSED = "paused"
    ENDED = "ended"


@dataclass(frozen=True, kw_only=True)
class Subscription(Record):
    """A price that a customer pays again and again.

    Attributes:
        customer: The customer's id.
        price: The price's id.
        product: Its product's id.
        quantity: How many units.
        currency: That of the price.
        status: How it stands.
        anchor: Every period begins a whole number of intervals after it.
        period_start: When the present period began; of a trial, when that began.
        period_end: When it ends and the next one is paid.
        trial_end: When the trial ends or ended; None when there was none.
        cancel_at_period_end: Whether it ends with the present period.
        canceled_at: When it was decided that it ends.
        cancel_reason: Why, such as `too_expensive`.
        cancel_comment: Why, in the customer's own words.
        ended_at: When it ended.
        paused_at: Since when it is paused.
        resumes_at: When it goes on by itself.
        card: The card it is charged to; the customer's default card when None.
        credit: Minor units that later invoices need not charge.
    """

    kind: ClassVar[Kind] = Kind.SUBSCRIPTION

    customer: str
    price: str
    product: str
    quantity: int
    currency: str
    status: Status
    anchor: int
    period_start: int
    period_end: int
    trial_end: int | None = None
    cancel_at_period_end: bool = False
    canceled_at: int | None = None
    cancel_reason: str | None = None
    cancel_comment: str | None = None
    ended_at: int | None = None
    paused_at: int | None = None
    resumes_at: int | None = None
    card: str | None = None
    credit: int = 0

    @property
    def live(self) -> bool:
        """Whether it has not ended."""
        return self.status is not Status.ENDED

    @property
    def next_due(self) -> int | None:
        """When it renews, ends or goes on by itself."""
        if self.status in (Status.ENDED, Status.UNPAID):
            return None
        if self.status is Status.PAUSED and not self.cancel_at_period_end:
            return self.resumes_at
        return self.period_end


class InvoiceStatus(StrEnum):
    """How an invoice stands."""

    OPEN = "open"
    PAID = "paid"
    VOID = "void"
    UNCOLLECTIBLE = "uncollectible"
    REFUNDED = "refunded"


class Reason(StrEnum):
    """Why there is an invoice."""

    PURCHASE = "purchase"
    RENEWAL = "renewal"
    CHANGE = "change"


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of an invoice; `amount` is that of all units, in minor units, and may be negative.

    `price` is None, and `unit_amount` too, where the line is credit rather than something sold.
    """

    description: str
    amount: int
    quantity: int
    unit_amount: int | None
    price: str | None
    period_start: int
    period_end: int
    proration: bool = False


@dataclass(frozen=True, kw_only=True)
class Invoice(Record):
    """What is or was to be paid; without tax.

    Attributes:
        number: What people call it.
        customer: The customer's id.
        subscription: What it is for.
        reason: Why there is one.
        lines: Their amounts add up to `total`.
        total: Minor units of `currency`, never negative.
        currency: A lower-case ISO 4217 code.
        status: How it stands.
        due: When it is to be paid.
        attempts: How often a card was charged for it.
        next_attempt: When that is tried again; None when not by itself.
        paid_at: When it was paid.
        refunded: Minor units that were given back.
        card: What paid it: brand, last4, exp_month, exp_year. Cards can be removed afterwards.
    """

    kind: ClassVar[Kind] = Kind.INVOICE

    number: str
    customer: str
    subscription: str
    reason: Reason
    lines: tuple[Line, ...]
    total: int
    currency: str
    status: InvoiceStatus
    due: int
    attempts: int = 0
    next_attempt: int | None = None
    paid_at: int | None = None
    refunded: int = 0
    card: Json | None = None

    @property
    def next_due(self) -> int | None:
        """When it is charged again."""
        return self.next_attempt if self.status is InvoiceStatus.OPEN else None


class CheckoutStatus(StrEnum):
    """How a checkout stands."""

    OPEN = "open"
    COMPLETE = "complete"
    EXPIRED = "expired"


@dataclass(frozen=True, kw_only=True)
class Checkout(Record):
    """A page where a subscription is bought. Its `metadata` becomes the subscription's.

    Attributes:
        price: The price's id.
        quantity: How many units.
        customer: Who buys; None makes a customer, or takes the one of that e-mail address.
        email: What is filled in for a new customer; asked for when None.
        name: See `email`.
        external_id: That of a new customer.
        customer_metadata: That of a new customer.
        success_url: Where the page leads afterwards; `{CHECKOUT_ID}` in it becomes the id.
        return_url: Where "Back" leads; there is no such link when None.
        trial_days: How long it is free at first; what the price says when None.
        expires_at: Until when something can be bought.
        status: How it stands.
        subscription: What was bought.
    """

    kind: ClassVar[Kind] = Kind.CHECKOUT

    price: str
    quantity: int
    customer: str | None = None
    email: str | None = None
    name: str | None = None
    external_id: str | None = None
    customer_metadata: Json = field(default_factory=dict)
    success_url: str | None = None
    return_url: str | None = None
    trial_days: int | None = None
    expires_at: int
    status: CheckoutStatus = CheckoutStatus.OPEN
    subscription: str | None = None

    @property
    def next_due(self) -> int | None:
        """When it expires."""
        return self.expires_at if self.status is CheckoutStatus.OPEN else None


@dataclass(frozen=True, kw_only=True)
class Endpoint(Record):
    """Who is told of events; `events` are their types, or `*` for all."""

    kind: ClassVar[Kind] = Kind.ENDPOINT

    url: str
    secret: str
    events: tuple[str, ...] = ("*",)
    enabled: bool = True


@dataclass(frozen=True, kw_only=True)
class Event(Record):
    """Something that happened, as the provider tells of it."""

    kind: ClassVar[Kind] = Kind.EVENT

    type: str
    payload: Json
    customer: str | None = None


class Flow(StrEnum):
    """The one thing a portal link may be for."""

    UPDATE = "update"
    CANCEL = "cancel"
    PAYMENT_METHOD = "payment_method"
    INFORMATION = "information"


@dataclass(frozen=True, kw_only=True)
class PortalVisit:
    """What a portal link says. Nothing of it is kept: the link itself is signed.

    Attributes:
        customer: Whose portal it is.
        return_url: Where "Return to …" leads; there is no such link when None.
        expires_at: Until when the link can be opened.
        flow: The one page it is for; the start page when None.
        subscription: What the flow is about; the newest live one when None.
        url: The link.
    """

    customer: str
    return_url: str | None
    expires_at: int
    flow: Flow | None = None
    subscription: str | None = None
    url: str = ""
