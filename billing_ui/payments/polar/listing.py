"""Polar's lists page by page, for copying a whole organization: what of each customer stands on one page."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, TypeAlias

from polar.v2026_10.outputs import Customer, Order, Pagination, Subscription

from billing_ui.payments.listing import by_customer, narrowed, page_number
from billing_ui.payments.polar import mapping
from billing_ui.payments.polar.client import PAGE, PolarClient
from billing_ui.payments.types import ListedPage, Listing, Snapshot, SnapshotCustomer
from billing_ui.settings import Provider

Found: TypeAlias = Sequence[Customer] | Sequence[Subscription] | Sequence[Order]


async def list_page(
    client: PolarClient,
    listing: Listing,
    *,
    created_from: datetime | None,
    created_to: datetime | None,
    cursor: str | None,
) -> ListedPage:
    """Return one page of what was created in a range of time, newest first.

    See `payments.driver.Driver.list_page`. Polar's pages have numbers. What is created during a walk moves the
    rest down and is seen twice, at worst; nothing but a customer can be deleted, which may move one up past
    the walk. The next walk finds it. Polar narrows only orders by time, so the range is looked at here.

    Raises:
        CursorGone: `cursor` is none of ours.
        polar.base.PolarError: the call failed.
    """
    number = page_number(cursor, "Polar")
    found, pagination = await _listed(client, listing, number)
    page = narrowed(found, _created, created_from, created_to)
    return ListedPage(
        snapshots=tuple(_grouped(page.inside)),
        count=len(page.inside),
        reached=page.reached,
        cursor=None if page.past or number >= pagination.max_page else str(number + 1),
    )


async def _listed(client: PolarClient, listing: Listing, number: int) -> tuple[Found, Pagination]:
    match listing:
        case Listing.CUSTOMERS:
            customers = await client.customers.list(page=number, limit=PAGE)
            return customers.items, customers.pagination
        case Listing.SUBSCRIPTIONS:
            # The nearest there is to their creation; what was never started comes first.
            subscriptions = await client.subscriptions.list(
                page=number, limit=PAGE, sorting=["-started_at"]
            )
            return subscriptions.items, subscriptions.pagination
        case Listing.INVOICES:
            orders = await client.orders.list(page=number, limit=PAGE)
            return orders.items, orders.pagination


def _created(one: Customer | Subscription | Order) -> datetime:
    """Return when something was created, by the clock that its list is sorted by."""
    if isinstance(one, Subscription) and one.started_at is not None:
        return mapping.instant(one.started_at)
    return mapping.instant(one.created_at)


def _grouped(found: Iterable[Customer | Subscription | Order]) -> Iterator[Snapshot]:
    for listed in found:
        if isinstance(listed, Customer):
            yield _partial(mapping.customer_of(listed))
    grouped = by_customer(
        (one for one in found if isinstance(one, Subscription | Order)), lambda one: one.customer_id
    )
    for customer_id, theirs in grouped.items():
        yield _partial(
            SnapshotCustomer(id=customer_id),
            subscriptions=tuple(
                mapping.subscription_of(one) for one in theirs if isinstance(one, Subscription)
            ),
            invoices=tuple(mapping.invoice_of(one) for one in theirs if isinstance(one, Order)),
        )


def _partial(customer: SnapshotCustomer, **fields: Any) -> Snapshot:
    return Snapshot(provider=Provider.POLAR, customer=customer, partial=True, **fields)
