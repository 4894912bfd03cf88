"""Paddle's lists page by page, for copying a whole account: what of each customer stands on one page."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from paddle_billing import Client
from paddle_billing.Resources.Customers.Operations import ListCustomers
from paddle_billing.Resources.Shared.Operations import Pager
from paddle_billing.Resources.Subscriptions.Operations import ListSubscriptions
from paddle_billing.Resources.Transactions.Operations import ListTransactions

from billing_ui.payments.paddle import mapping
from billing_ui.payments.paddle.client import Paddle, Page, Resource
from billing_ui.payments.paddle.snapshot import ACTIVE_AND_ARCHIVED, BILLED, invoices_on
from billing_ui.payments.types import ListedPage, Listing, Snapshot, SnapshotCustomer
from billing_ui.settings import Provider

_RESOURCES: Final[Mapping[Listing, Callable[[Client], Resource]]] = {
    Listing.CUSTOMERS: lambda client: client.customers,
    Listing.SUBSCRIPTIONS: lambda client: client.subscriptions,
    Listing.INVOICES: lambda client: client.transactions,
}
_OPERATIONS: Final[Mapping[Listing, Callable[[Pager], Any]]] = {
    Listing.CUSTOMERS: lambda pager: ListCustomers(pager, statuses=list(ACTIVE_AND_ARCHIVED)),
    Listing.SUBSCRIPTIONS: lambda pager: ListSubscriptions(pager),
    Listing.INVOICES: lambda pager: ListTransactions(pager, statuses=list(BILLED)),
}


async def list_page(
    paddle: Paddle,
    listing: Listing,
    *,
    created_from: datetime | None,
    created_to: datetime | None,
    cursor: str | None,
) -> ListedPage:
    """Return one page of what was created in a range of time, newest first.

    See `payments.driver.Driver.list_page`. Customers and subscriptions cannot be asked for by time, so a
    range is walked to from the newest: pages before it are empty, and the walk ends after it. Names of
    what was bought stand on Paddle's subscriptions themselves.

    Raises:
        PaymentError: the call failed.
    """
    page = await paddle.page(_RESOURCES[listing], _OPERATIONS[listing], after=cursor)
    moments = [item.created_at.astimezone(UTC) for item in page.items]
    inside = [
        (created_from is None or moment >= created_from)
        and (created_to is None or moment < created_to)
        for moment in moments
    ]
    kept = Page(
        [item for item, chosen in zip(page.items, inside, strict=True) if chosen],
        [raw for raw, chosen in zip(page.raw, inside, strict=True) if chosen],
        more=False,
    )
    past = created_from is not None and bool(moments) and moments[-1] < created_from
    return ListedPage(
        snapshots=tuple(_grouped(listing, kept)),
        count=len(kept.items),
        reached=moments[-1] if moments else None,
        cursor=page.last_id if page.more and not past else None,
    )


def _grouped(listing: Listing, page: Page[Any]) -> Iterable[Snapshot]:
    if listing is Listing.CUSTOMERS:
        for customer in page.items:
            # An archived customer may still have a live subscription, which a list does not tell.
            yield _partial(mapping.customer_of(customer))
        return
    by_customer: dict[str, Page[Any]] = {}
    for item, raw in zip(page.items, page.raw, strict=True):
        # A transaction of a checkout that nobody has named themselves in is nobody's.
        if item.customer_id:
            theirs = by_customer.setdefault(item.customer_id, Page([], [], more=False))
            theirs.items.append(item)
            theirs.raw.append(raw)
    for customer_id, theirs in by_customer.items():
        who = SnapshotCustomer(id=customer_id)
        if listing is Listing.INVOICES:
            yield _partial(who, invoices=invoices_on(theirs))
        else:
            yield _partial(
                who,
                subscriptions=tuple(
                    mapping.subscription_of(one, raw)
                    for one, raw in zip(theirs.items, theirs.raw, strict=True)
                ),
            )


def _partial(customer: SnapshotCustomer, **fields: Any) -> Snapshot:
    return Snapshot(provider=Provider.PADDLE, customer=customer, partial=True, **fields)
