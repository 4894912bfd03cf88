"""What we read of Lemon Squeezy's objects: its JSON:API documents, parsed once, where they come in.

Lemon Squeezy has no SDK for Python. The names and what can be null are those of its API reference
(https://docs.lemonsqueezy.com/api) and of the types in its own SDK for JavaScript
(https://github.com/lmsqueezy/lemonsqueezy.js, version 4.0.0).
"""

from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict


class Attributes(BaseModel):
    """What an object says of itself; fields that we have no use for are left out."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Created(Attributes):
    """What every object that can be listed by its age has."""

    created_at: AwareDatetime


class UserAttributes(Attributes):
    """Whoever made the API key; only the answer's `meta` is of interest."""

    name: str


class StoreAttributes(Attributes):
    """A store; its currency is that of all its prices."""

    name: str
    currency: str


class CustomerUrls(Attributes):
    """`customer_portal` is null for who never bought a subscription; it is a credential."""

    customer_portal: str | None = None


class CustomerAttributes(Created):
    """A customer of one store. There is nowhere to put data of our own."""

    store_id: int
    name: str
    email: str
    city: str | None = None
    region: str | None = None
    country: str | None = None
    urls: CustomerUrls = CustomerUrls()


class SubscriptionUrls(Attributes):
    """Where a customer manages one subscription; credentials, all of them."""

    customer_portal: str | None = None
    customer_portal_update_subscription: str | None = None
    update_payment_method: str | None = None


class SubscriptionItemAttributes(Attributes):
    """What is paid for; null in a subscription that has none yet, as in a free trial."""

    id: int
    price_id: int
    quantity: int | None = None
    is_usage_based: bool = False


class PauseAttributes(Attributes):
    """Why nothing is collected, and until when."""

    resumes_at: AwareDatetime | None = None


class SubscriptionAttributes(Created):
    """A subscription, to one variant of one product.

    `renews_at` is the end of the period, and of one that is past due the next try to charge.
    """

    store_id: int
    customer_id: int
    product_id: int
    variant_id: int
    product_name: str
    status: str
    card_brand: str | None = None
    card_last_four: str | None = None
    pause: PauseAttributes | None = None
    trial_ends_at: AwareDatetime | None = None
    renews_at: AwareDatetime | None = None
    ends_at: AwareDatetime | None = None
    first_subscription_item: SubscriptionItemAttributes | None = None
    urls: SubscriptionUrls = SubscriptionUrls()


class InvoiceUrls(Attributes):
    """`invoice_url` is where the PDF is downloaded; signed, for good, and null while nothing was paid."""

    invoice_url: str | None = None


class InvoiceAttributes(Created):
    """An invoice of a subscription; amounts in minor units of `currency`."""

    store_id: int
    customer_id: int
    subscription_id: int
    currency: str
    status: str
    total: int
    refunded_amount: int | None = None
    urls: InvoiceUrls = InvoiceUrls()


class ProductAttributes(Created):
    """A product; its description is HTML."""

    store_id: int
    name: str
    description: str | None = None
    status: str


class VariantAttributes(Created):
    """What of a product can be bought. One that is `pending` and alone stands for the product itself."""

    product_id: int
    name: str
    status: str
    sort: int = 0


class PriceAttributes(Created):
    """What a variant costs, or did: a change makes a new price, and the newest counts.

    `unit_price` is in minor units of the store's currency.
    """

    variant_id: int
    category: str
    scheme: str
    usage_aggregation: str | None = None
    unit_price: int | None = None
    package_size: int | None = None
    renewal_interval_unit: str | None = None
    renewal_interval_quantity: int | None = None


class CheckoutAttributes(Attributes):
    """A checkout; its address is a credential."""

    url: str
    expires_at: AwareDatetime | None = None


class WebhookAttributes(Attributes):
    """An address of ours that events are sent to."""

    url: str
    events: tuple[str, ...]


A = TypeVar("A", bound=Attributes)


@dataclass(frozen=True, slots=True)
class Resource(Generic[A]):
    """One object: its id, what it says of itself, and the document it came in."""

    id: str
    attributes: A
    raw: dict[str, Any] = field(repr=False)


class _Identified(BaseModel):
    type: str
    id: str
    attributes: dict[str, Any]


def resource_of(attributes: type[A], document: object) -> Resource[A]:
    """Return a JSON:API resource object as ours.

    Raises:
        pydantic.ValidationError: it is none, or lacks what we need.
    """
    found = _Identified.model_validate(document)
    return Resource(
        id=found.id,
        attributes=attributes.model_validate(found.attributes),
        raw=found.model_dump(),
    )
