"""Paddle's lists page by page, for copying a whole account: what of each customer stands on one page."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from paddle_billing import Client
from paddle_billing.Resources.Customers.Operations import ListCustomers
from paddle_billing.Resources.Shared.Operations import Pager
from paddle_billing.Resources.Subscriptions.Operations import ListSubscriptions
from paddle_billing.Resources.Transactions.Operations import ListTransactions

from billing_ui.payments.listing import by_customer, narrowed
from billing_ui.payments.paddle import mapping
from billing_ui.payments.paddle.client import Paddle, Resource
from billing_ui.payments.paddle.snapshot import ACTIVE_AND_ARCHIVED, BILLED, invoices_in
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
    kept = narrowed(
        page.pairs, lambda one: one[0].created_at.astimezone(UTC), created_from, created_to
    )
    return ListedPage(
        snapshots=tuple(_grouped(listing, kept.inside)),
        count=len(kept.inside),
        reached=kept.reached,
        cursor=page.last_id if page.more and not kept.past else None,
    )


def _grouped(listing: Listing, found: Iterable[tuple[Any, dict[str, Any]]]) -> Iterable[Snapshot]:
    if listing is Listing.CUSTOMERS:
        for customer, _ in found:
            # An archived customer may still have a live subscription, which a list does not tell.
            yield _partial(mapping.customer_of(customer))
        return
    # A transaction of a checkout that nobody has named themselves in is nobody's.
    for customer_id, theirs in by_customer(found, lambda one: one[0].customer_id).items():
        who = SnapshotCustomer(id=customer_id)
        if listing is Listing.INVOICES:
            yield _partial(who, invoices=invoices_in(theirs))
        else:
            yield _partial(
                who, subscriptions=tuple(mapping.subscription_of(one, raw) for one, raw in theirs)
            )


def _partial(customer: SnapshotCustomer, **fields: Any) -> Snapshot:
    return Snapshot(provider=Provider.PADDLE, customer=customer, partial=True, **fields)
