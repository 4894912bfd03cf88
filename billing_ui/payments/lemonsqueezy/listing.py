"""Lemon Squeezy's lists page by page, for copying a whole store: what of each customer stands on one page."""

from datetime import datetime
from typing import Any, Final, TypeVar

from billing_ui.payments.lemonsqueezy import mapping
from billing_ui.payments.lemonsqueezy.catalog import fetch_prices
from billing_ui.payments.lemonsqueezy.client import Client, parsed
from billing_ui.payments.lemonsqueezy.resources import (
    Created,
    CustomerAttributes,
    InvoiceAttributes,
    Resource,
    SubscriptionAttributes,
)
from billing_ui.payments.listing import Narrowed, by_customer, narrowed, page_number
from billing_ui.payments.types import ListedPage, Listing, Snapshot, SnapshotCustomer
from billing_ui.settings import Provider

_KINDS: Final = {
    Listing.CUSTOMERS: "customers",
    Listing.SUBSCRIPTIONS: "subscriptions",
    Listing.INVOICES: "subscription-invoices",
}

C = TypeVar("C", bound=Created)


async def list_page(
    client: Client,
    store_id: str,
    currency: str,
    mark_key: bytes,
    listing: Listing,
    *,
    created_from: datetime | None,
    created_to: datetime | None,
    cursor: str | None,
) -> ListedPage:
    """Return one page of what a store has, newest first.

    See `payments.driver.Driver.list_page`. Lemon Squeezy numbers its pages: whatever is created while they are
    walked moves others onto the next page, where they are listed once more; none is left out. It has no filter
    for the time of creation, so what lies outside of the range is left out here.

    Args:
        currency: the store's, lower case.
        mark_key: what the marks of our customers are signed with.

    Raises:
        CursorGone: the cursor is none of these pages.
        Refused, PaymentError, ExceptionGroup: a call failed.
    """
    number = page_number(cursor, "Lemon Squeezy")
    page = await client.get_page(_KINDS[listing], number, {"filter[store_id]": store_id})

    def inside(attributes: type[C]) -> Narrowed[Resource[C]]:
        found = [parsed(attributes, document) for document in page.data]
        return narrowed(found, lambda one: one.attributes.created_at, created_from, created_to)

    within: Narrowed[Any]
    match listing:
        case Listing.CUSTOMERS:
            within = customers = inside(CustomerAttributes)
            snapshots = [
                _partial(mapping.customer_of(customer, mark_key, currency))
                for customer in customers.inside
            ]
        case Listing.SUBSCRIPTIONS:
            within = subscriptions = inside(SubscriptionAttributes)
            prices = await fetch_prices(client, subscriptions.inside)
            snapshots = [
                _partial(
                    SnapshotCustomer(id=customer_id),
                    subscriptions=tuple(
                        mapping.subscription_of(one, prices.get(one.id), currency) for one in theirs
                    ),
                )
                for customer_id, theirs in by_customer(subscriptions.inside, _owner).items()
            ]
        case Listing.INVOICES:
            within = invoices = inside(InvoiceAttributes)
            snapshots = [
                _partial(
                    SnapshotCustomer(id=customer_id),
                    invoices=tuple(mapping.invoice_of(one) for one in theirs),
                )
                for customer_id, theirs in by_customer(invoices.inside, _owner).items()
            ]
    return ListedPage(
        snapshots=tuple(snapshots),
        count=len(within.inside),
        reached=within.reached,
        cursor=str(number + 1) if page.more and not within.past else None,
    )


def _owner(one: Resource[SubscriptionAttributes] | Resource[InvoiceAttributes]) -> str:
    return str(one.attributes.customer_id)


def _partial(customer: SnapshotCustomer, **fields: Any) -> Snapshot:
    return Snapshot(provider=Provider.LEMONSQUEEZY, customer=customer, partial=True, **fields)
