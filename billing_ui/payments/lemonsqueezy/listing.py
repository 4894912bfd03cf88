"""Lemon Squeezy's lists page by page, for copying a whole store: what of each customer stands on one page."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Generic, TypeVar

from billing_ui.payments.lemonsqueezy import mapping
from billing_ui.payments.lemonsqueezy.catalog import fetch_prices
from billing_ui.payments.lemonsqueezy.client import Client, Page, parsed
from billing_ui.payments.lemonsqueezy.resources import (
    Created,
    CustomerAttributes,
    InvoiceAttributes,
    Resource,
    SubscriptionAttributes,
)
from billing_ui.payments.types import (
    CursorGone,
    ListedPage,
    Listing,
    Snapshot,
    SnapshotCustomer,
)
from billing_ui.settings import Provider

_KINDS: Final = {
    Listing.CUSTOMERS: "customers",
    Listing.SUBSCRIPTIONS: "subscriptions",
    Listing.INVOICES: "subscription-invoices",
}

C = TypeVar("C", bound=Created)
Owned = TypeVar("Owned", SubscriptionAttributes, InvoiceAttributes)


@dataclass(frozen=True)
class _Range:
    """A range of time; its end does not belong to it."""

    begin: datetime | None
    end: datetime | None

    def has(self, moment: datetime) -> bool:
        return not self.is_after(moment) and (self.end is None or moment < self.end)

    def is_after(self, moment: datetime) -> bool:
        return self.begin is not None and moment < self.begin


@dataclass(frozen=True)
class _Selection(Generic[C]):
    """What of a page lies within a range, when the last of the page was created, and whether the next may have more."""

    resources: list[Resource[C]]
    reached: datetime | None
    more: bool


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
    if cursor is not None and not (cursor.isascii() and cursor.isdigit()):
        raise CursorGone("Lemon Squeezy can't go on with a list: its pages have numbers.")
    number, within = int(cursor or 1), _Range(created_from, created_to)
    page = await client.get_page(_KINDS[listing], number, {"filter[store_id]": store_id})
    match listing:
        case Listing.CUSTOMERS:
            customers = _selected(CustomerAttributes, page, within)
            snapshots = [
                _partial(mapping.customer_of(customer, mark_key, currency))
                for customer in customers.resources
            ]
            return _listed(customers, snapshots, number)
        case Listing.SUBSCRIPTIONS:
            subscriptions = _selected(SubscriptionAttributes, page, within)
            prices = await fetch_prices(client, subscriptions.resources)
            snapshots = [
                _partial(
                    SnapshotCustomer(id=customer_id),
                    subscriptions=tuple(
                        mapping.subscription_of(one, prices.get(one.id), currency) for one in theirs
                    ),
                )
                for customer_id, theirs in _by_customer(subscriptions.resources)
            ]
            return _listed(subscriptions, snapshots, number)
        case Listing.INVOICES:
            invoices = _selected(InvoiceAttributes, page, within)
            snapshots = [
                _partial(
                    SnapshotCustomer(id=customer_id),
                    invoices=tuple(mapping.invoice_of(one) for one in theirs),
                )
                for customer_id, theirs in _by_customer(invoices.resources)
            ]
            return _listed(invoices, snapshots, number)


def _selected(attributes: type[C], page: Page, within: _Range) -> _Selection[C]:
    found = [parsed(attributes, document) for document in page.data]
    reached = found[-1].attributes.created_at if found else None
    return _Selection(
        resources=[one for one in found if within.has(one.attributes.created_at)],
        reached=reached,
        more=page.more and not (reached is not None and within.is_after(reached)),
    )


def _listed(selection: _Selection[Any], snapshots: Iterable[Snapshot], number: int) -> ListedPage:
    return ListedPage(
        snapshots=tuple(snapshots),
        count=len(selection.resources),
        reached=selection.reached,
        cursor=str(number + 1) if selection.more else None,
    )


def _by_customer(
    resources: Iterable[Resource[Owned]],
) -> Iterator[tuple[str, list[Resource[Owned]]]]:
    found: dict[str, list[Resource[Owned]]] = {}
    for resource in resources:
        found.setdefault(str(resource.attributes.customer_id), []).append(resource)
    yield from found.items()


def _partial(customer: SnapshotCustomer, **fields: Any) -> Snapshot:
    return Snapshot(provider=Provider.LEMONSQUEEZY, customer=customer, partial=True, **fields)
