"""What goes into a driver and what comes out of it, and the named errors it raises."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SkipValidation


def _absolute_http_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an absolute http or https URL")
    return value


AbsoluteUrl = Annotated[str, AfterValidator(_absolute_http_url), Field(max_length=2048)]
NonEmpty = Annotated[str, Field(min_length=1, max_length=255)]

MAX_QUANTITY = 999_999
"""How many units of a price can be bought, the most Stripe allows."""
Quantity = Annotated[int, Field(ge=1, le=MAX_QUANTITY)]


class Frozen(BaseModel):
    """A value: parsed once, never changed, no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


# ---------------------------------------------------------------- who and what


class Payer(Frozen):
    """For whom a provider is asked.

    Attributes:
        team_id: the team that pays; stands in the provider's metadata.
        generation: 1 for the team's first customer, one more after each that was deleted there.
        customer_id: the provider's id, or None while no customer exists.
        email: billing e-mail the customer is created with.
        name: name the customer is created with.
        claimed_at: when this claim was first made (UTC). The provider's memory of an idempotency
            key ends after a day, so an older claim is searched for before it is created.
    """

    team_id: UUID
    generation: Annotated[int, Field(ge=1)] = 1
    customer_id: NonEmpty | None = None
    email: str | None = None
    name: str | None = None
    claimed_at: datetime | None = None


class FlowType(StrEnum):
    """The places in a hosted portal that a session can open at."""

    PAYMENT_METHOD_UPDATE = "payment_method_update"
    SUBSCRIPTION_CANCEL = "subscription_cancel"
    SUBSCRIPTION_UPDATE = "subscription_update"
    SUBSCRIPTION_UPDATE_CONFIRM = "subscription_update_confirm"
    CUSTOMER_UPDATE = "customer_update"

    @property
    def about_subscription(self) -> bool:
        """Whether a flow of this type names the subscription it is about."""
        return self.value.startswith("subscription_")


class PortalFlow(Frozen):
    """Where in the portal to begin, and what the flow is about.

    Attributes:
        subscription_id: which subscription, for the flows about one.
        item_id: which of its items a change to be confirmed is of.
        price_id: the price that change is to; None keeps it.
        quantity: the quantity that change is to; None keeps it.
    """

    type: FlowType
    subscription_id: NonEmpty | None = None
    item_id: NonEmpty | None = None
    price_id: NonEmpty | None = None
    quantity: Quantity | None = None


class Capabilities(Frozen):
    """What a provider can do; a page offers nothing else.

    Attributes:
        events_as_delivered: whether the list of events has them under the ids that webhooks bring them with.
        returns: whether its portal links back to an address that we name.
        checkout_returns: whether its checkout does, once something was bought.
        plan_changes: whether its portal lets people switch to another plan.
        portal_configurations: whether its portal is told by a configuration what to offer, which we make.
        lists_by_time: whether its lists can be narrowed down to a range of `created`.
        payment_method_list: whether it tells of every payment method, and not only of what subscriptions are paid by.
        invoice_pdf_on_demand: whether an invoice's PDF has no lasting address, and is asked for each time.
        snapshot_calls: how many calls of its API a snapshot usually takes.
        background_calls_per_second: how many calls work in the background may make; None when nothing
            limits them.
    """

    flows: frozenset[FlowType]
    checkout: bool
    event_list: bool
    events_as_delivered: bool = True
    returns: bool = True
    checkout_returns: bool = True
    plan_changes: bool = True
    portal_configurations: bool = False
    lists_by_time: bool = True
    payment_method_list: bool = True
    invoice_pdf_on_demand: bool = False
    snapshot_calls: int = 1
    background_calls_per_second: float | None = None


class StartPortalSessionInput(Frozen):
    """What a portal session is made of.

    Attributes:
        return_url: absolute http(s) URL the portal links back to; passed on untouched.
        configuration: the provider's portal configuration id; None lets the driver find or make one.
        flow: where in the portal to begin, or None for its first page.
        locale: IETF language tag of the portal's pages; None lets the provider choose.
    """

    payer: Payer
    return_url: AbsoluteUrl
    configuration: NonEmpty | None = None
    flow: PortalFlow | None = None
    locale: NonEmpty | None = None


class PortalSession(Frozen):
    """An open portal session. `portal_url` is a credential: never stored, never logged."""

    provider: str
    customer: str
    portal_url: str = Field(repr=False)
    session_id: str
    configuration: str | None = None
    expires_at: datetime | None = None


class StartCheckoutInput(Frozen):
    """What a checkout session is made of.

    Attributes:
        quantity: how many units to begin with.
        adjustable_quantity: whether the quantity can still be changed on the checkout page.
        currency: ISO code in lower case, or None for the price's own currency.
        success_url, cancel_url: absolute http(s) URLs; passed on untouched.
    """

    payer: Payer
    price_id: NonEmpty
    quantity: Quantity = 1
    adjustable_quantity: bool = False
    currency: Annotated[str, Field(pattern="^[a-z]{3}$")] | None = None
    success_url: AbsoluteUrl
    cancel_url: AbsoluteUrl
    locale: NonEmpty | None = None


class CheckoutSession(Frozen):
    """An open checkout session. `checkout_url` is a credential: never stored, never logged."""

    provider: str
    customer: str
    checkout_url: str = Field(repr=False)
    session_id: str
    expires_at: datetime | None = None


class PortalConfigurationRef(Frozen):
    """A portal configuration at the provider and the hash of the content it was made of."""

    id: str
    hash: str


# ---------------------------------------------------------------- snapshot


class SubscriptionState(StrEnum):
    """One vocabulary for all providers' statuses; `Subscription.status` keeps the provider's word."""

    ACTIVE = "active"
    TRIALING = "trialing"
    PAST_DUE = "past_due"
    UNPAID = "unpaid"
    CANCELING = "canceling"
    ENDED = "ended"
    PAUSED = "paused"
    INCOMPLETE = "incomplete"
    UNKNOWN = "unknown"

    @property
    def live(self) -> bool:
        """Whether a subscription in this state still exists and may charge again, for all we know."""
        return self is not SubscriptionState.ENDED


class Address(Frozen):
    """A postal address; the country is an ISO 3166 code."""

    line1: str | None = None
    line2: str | None = None
    city: str | None = None
    state: str | None = None
    postal_code: str | None = None
    country: str | None = None


class TaxId(Frozen):
    """A tax number and its kind, such as `eu_vat`."""

    type: str
    value: str


class SnapshotCustomer(Frozen):
    """The customer itself. `team_id` and `generation` are what our metadata at the provider says, if anything."""

    id: str
    deleted: bool = False
    team_id: UUID | None = None
    generation: int = 1
    email: str | None = None
    name: str | None = None
    phone: str | None = None
    address: Address | None = None
    tax_ids: tuple[TaxId, ...] = ()
    currency: str | None = None


class SnapshotItem(Frozen):
    """One price and quantity; `unit_amount` in minor units of `currency`, None for tiered or metered prices.

    `unit_label` (such as "seat") says what is counted, when the product says so.
    """

    id: str
    price_id: str
    product_id: str
    plan_name: str
    unit_label: str | None = None
    quantity: int | None = None
    unit_amount: int | None = None
    currency: str
    interval: str | None = None
    interval_count: int = 1
    current_period_start: datetime | None = None
    current_period_end: datetime | None = None


class SnapshotSubscription(Frozen):
    """One subscription with all its items.

    Attributes:
        cancel_at: set whenever it is going to end.
        pauses_at: set while it goes on, and is going to be paused instead of renewed.
        ends_unpaid: whether it ends with its trial, and nothing is charged, when no payment method is there by then.
    """

    id: str
    status: str
    state: SubscriptionState
    currency: str
    created_at: datetime
    items: tuple[SnapshotItem, ...]
    current_period_start: datetime | None = None
    current_period_end: datetime | None = None
    cancel_at: datetime | None = None
    canceled_at: datetime | None = None
    ended_at: datetime | None = None
    trial_end: datetime | None = None
    ends_unpaid: bool = False
    pauses_at: datetime | None = None
    resumes_at: datetime | None = None
    raw: dict[str, Any] = Field(default_factory=dict, repr=False)


class SnapshotPaymentMethod(Frozen):
    """One payment method, never more of it than brand, last four digits and expiry."""

    id: str
    type: str
    brand: str | None = None
    last4: str | None = None
    exp_month: int | None = None
    exp_year: int | None = None
    is_default: bool = False


class SnapshotInvoice(Frozen):
    """One invoice; amounts in minor units of `currency`."""

    id: str
    number: str | None
    status: str
    currency: str
    total: int
    amount_due: int
    amount_paid: int
    amount_remaining: int
    created_at: datetime
    due_at: datetime | None = None
    next_attempt_at: datetime | None = None
    attempt_count: int = 0
    subscription_id: str | None = None
    hosted_url: str | None = None
    pdf_url: str | None = None
    raw: dict[str, Any] = Field(default_factory=dict, repr=False)


class NextInvoice(Frozen):
    """What will be charged next, as the provider foresees it; amounts in minor units of `currency`.

    Attributes:
        at: when the period ends that it bills, and it is made (UTC), if the provider says so.
        amount_due: what will be charged.
        total: what the invoice comes to, before the balance that the customer has.
        proration: what of `total` is for changes within a period, and 0 when nothing is.
        prorated_at: when that change was made (UTC), None when there were several.
    """

    subscription_id: str | None = None
    at: datetime | None = None
    currency: str
    amount_due: int
    total: int
    proration: int = 0
    prorated_at: datetime | None = None


class Snapshot(Frozen):
    """One customer's whole billing state as fetched.

    `invoices` are the newest, and those that were asked for; other ones stay as they are in our tables.
    Of those asked for, `deleted_invoices` no longer exist at the provider.
    `partial` says that more than that is missing, as after a backfill.
    """

    provider: str
    customer: SnapshotCustomer
    subscriptions: tuple[SnapshotSubscription, ...] = ()
    payment_methods: tuple[SnapshotPaymentMethod, ...] = ()
    invoices: tuple[SnapshotInvoice, ...] = ()
    deleted_invoices: tuple[str, ...] = ()
    next_invoice: NextInvoice | None = None
    partial: bool = False


class Listing(StrEnum):
    """What can be listed of all customers together."""

    CUSTOMERS = "customers"
    SUBSCRIPTIONS = "subscriptions"
    INVOICES = "invoices"


class ListedPage(Frozen):
    """One page of a listing, newest first.

    Attributes:
        snapshots: what of each customer stands on the page, all of them partial.
        count: how many objects stand on the page, those that belong to no customer included.
        reached: when the last object on the page was created (UTC); None of an empty page.
        cursor: what to ask for the next page with; None when this is the last one.
    """

    snapshots: tuple[Snapshot, ...]
    count: int
    reached: datetime | None
    cursor: str | None


# ---------------------------------------------------------------- catalogue


class CatalogPrice(Frozen):
    """One price; `amounts` maps lower-case ISO currencies to minor units, `currency` is the default one."""

    id: str
    product_id: str
    active: bool
    currency: str
    amounts: dict[str, int]
    interval: Literal["day", "week", "month", "year"] | None = None
    interval_count: int = 1


class CatalogProduct(Frozen):
    """One product with its prices; `unit_label` (such as "seat") says that its quantity can be chosen.

    Of `prices` with the same interval the newest stands first.
    """

    id: str
    name: str
    description: str | None = None
    active: bool
    features: tuple[str, ...] = ()
    unit_label: str | None = None
    default_price_id: str | None = None
    prices: tuple[CatalogPrice, ...] = ()


class CatalogSnapshot(Frozen):
    """Every product of the provider, archived ones included, in the order they are shown."""

    provider: str
    products: tuple[CatalogProduct, ...]


# ---------------------------------------------------------------- events


class ProviderEvent(Frozen):
    """A provider's event, reduced to what it makes out of date.

    Attributes:
        customer_id: the provider's customer it concerns, or None.
        payment_method_id: the payment method it is about; when it names no customer, whose it was tells.
        catalog: whether it makes the catalogue out of date.
        foreign: whether it is of the account's other mode (test or live) than our key: nothing we can
            fetch changed by it, so it names neither customer nor payment method nor catalogue.
    """

    id: str
    type: str
    created_at: datetime
    customer_id: str | None = None
    payment_method_id: str | None = None
    catalog: bool = False
    foreign: bool = False
    # As it came: large, and of no concern to anybody here.
    payload: SkipValidation[dict[str, Any]] = Field(default_factory=dict, repr=False)


# ---------------------------------------------------------------- errors


class PaymentError(Exception):
    """A failure a person can act on; `str(error)` is the sentence to show, free of secrets."""

    default: ClassVar[str] = "The payment provider refused the request."

    def __init__(self, message: str | None = None) -> None:
        """Take a sentence of its own, or the class's default one."""
        super().__init__(message or self.default)


class NoCustomer(PaymentError):
    """The team has no customer at the provider yet."""

    default = "No billing customer record found"


class NothingBought(NoCustomer):
    """The provider has a portal only for those who bought something, and this customer never did."""

    default = "There is no billing portal before the first purchase. Choose a plan first."


class NoInvoice(PaymentError):
    """The team has no such invoice, or there is no PDF of it."""

    default = "There is no such invoice."


class CustomerDeleted(PaymentError):
    """The customer was deleted at the provider."""

    default = (
        "Your billing account no longer exists at the payment provider. "
        "Choose a plan to start again, or contact support."
    )


class ProviderMismatch(PaymentError):
    """The team's customer belongs to a provider that is neither the active one nor a legacy one."""

    def __init__(self, customer_provider: str, active_provider: str) -> None:
        """Name both providers, by their setting's value."""
        self.customer_provider = customer_provider
        self.active_provider = active_provider
        super().__init__(
            f"Customer provider ({customer_provider}) does not match active provider ({active_provider})"
        )


class ProductNotActive(PaymentError):
    """No product can be offered in the portal: none is active."""

    default = "The product is not active at the payment provider. Activate a product there, then try again."


class NoActivePrices(PaymentError):
    """No price can be offered in the portal: no active product has an active recurring price."""

    default = "No active prices were found at the payment provider. Activate a recurring price there, then try again."


class InvalidReturnUrl(PaymentError):
    """The return URL is not on an allowed origin."""

    default = "Invalid return URL"


class InvalidRequest(PaymentError):
    """The request names something that does not exist or cannot be had here."""


class NotAllowed(PaymentError):
    """The person may not do this in this team."""

    default = "Only an owner or billing manager can change billing."


class ProviderRejected(PaymentError):
    """The provider answered with an error that trying again will not mend (a wrong key, a bad request)."""


class PermissionMissing(ProviderRejected):
    """The provider takes the key, but not for what was asked."""


class CursorGone(ProviderRejected):
    """The object that a page of a list was to begin after no longer exists at the provider."""


class ConfigurationUnusable(ProviderRejected):
    """The named portal configuration does not exist at the provider or is no longer active.

    When it is the one we made, `ensure_portal_configuration` without `known` finds or remakes it.
    """


class ProviderUnavailable(PaymentError):
    """The provider could not be reached, or asks us to wait.

    `retry_after` is in whole seconds; None when the provider named no time.
    """

    default = "The payment provider can't be reached right now. Nothing was changed. Try again in a moment."

    def __init__(self, message: str | None = None, *, retry_after: int | None = None) -> None:
        """Take a sentence of its own and the seconds to wait, when known."""
        super().__init__(message)
        self.retry_after = retry_after


class InvalidSignature(PaymentError):
    """A webhook's signature does not verify."""

    default = "The signature does not verify."


class NoWebhookSecret(InvalidSignature):
    """No webhook's signature can verify: no secret is configured."""

    default = "No webhook secret is configured."
