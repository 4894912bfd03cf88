"""One customer's whole billing state, fetched from Paddle in the time of two round trips."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, Final

import structlog
from paddle_billing import Client
from paddle_billing.Entities.Customer import Customer
from paddle_billing.Entities.Shared import Status, TransactionStatus
from paddle_billing.Entities.Subscription import Subscription
from paddle_billing.Resources.Addresses.Operations import ListAddresses
from paddle_billing.Resources.Businesses.Operations import ListBusinesses
from paddle_billing.Resources.PaymentMethods.Operations import ListPaymentMethods
from paddle_billing.Resources.Shared.Operations import Pager
from paddle_billing.Resources.Subscriptions.Operations import (
    ListSubscriptions,
    SubscriptionIncludes,
)
from paddle_billing.Resources.Transactions.Operations import ListTransactions

from billing_ui.payments.client import first_failure
from billing_ui.payments.paddle import mapping
from billing_ui.payments.paddle.client import Paddle, Page, Refused, unless_missing
from billing_ui.payments.types import (
    NextInvoice,
    NoCustomer,
    Snapshot,
    SnapshotInvoice,
    SubscriptionState,
)
from billing_ui.settings import Provider

log = structlog.get_logger(__name__)

INVOICES: Final = 30
"""How many of the newest transactions a snapshot looks at, the most that Paddle gives at once."""

SNAPSHOT_CALLS: Final = 7
"""How many calls a snapshot usually takes."""

BILLED: Final = tuple(
    TransactionStatus(status) for status in ("billed", "paid", "completed", "past_due", "canceled")
)
"""What a transaction can be once it is no open checkout any more."""

ACTIVE_AND_ARCHIVED: Final = (Status("active"), Status("archived"))
"""What to ask for of a list that is of active entities alone unless it is told otherwise."""

_CHARGING: Final = (
    SubscriptionState.ACTIVE,
    SubscriptionState.TRIALING,
    SubscriptionState.PAST_DUE,
)


class OfCustomer:
    """One of the SDK's clients that list a part of a customer, as one that lists without being told whose."""

    def __init__(self, part: Any, customer_id: str) -> None:
        """Take one of the SDK's clients, and whose things it is to list."""
        self._part = part
        self._customer_id = customer_id

    @property
    def response(self) -> Any:
        """What was answered last."""
        return self._part.response

    def list(self, operation: Any) -> Any:
        """Return the first page."""
        return self._part.list(self._customer_id, operation)


async def fetch_snapshot(
    paddle: Paddle,
    customer_id: str,
    asked_for: Collection[str] = (),
    since: datetime | None = None,
) -> Snapshot:
    """Return a customer's billing state; an archived customer without a live subscription counts as deleted.

    Args:
        asked_for: ids of invoices that the snapshot must tell of, whatever their age.
        since: tell of every invoice created then or later (UTC), however many they are.

    Raises:
        NoCustomer: Paddle knows no such customer.
        PaymentError: one of the calls failed.
    """
    with first_failure():
        async with asyncio.TaskGroup() as group:
            customer_call = group.create_task(_customer(paddle, customer_id))
            subscriptions_call = group.create_task(_subscriptions(paddle, customer_id))
            transactions_call = group.create_task(_transactions(paddle, customer_id, since))
            methods_call = group.create_task(
                _part(
                    paddle, customer_id, lambda client: client.payment_methods, ListPaymentMethods
                )
            )
            addresses_call = group.create_task(
                _part(paddle, customer_id, lambda client: client.addresses, ListAddresses)
            )
            businesses_call = group.create_task(
                _part(paddle, customer_id, lambda client: client.businesses, ListBusinesses)
            )
    subscriptions = subscriptions_call.result().items
    transactions = transactions_call.result()
    with first_failure():
        async with asyncio.TaskGroup() as group:
            older_call = group.create_task(_older(paddle, transactions, asked_for))
            next_call = group.create_task(_next_invoice(paddle, subscriptions))
    older, gone = older_call.result()
    live = any(mapping.state_of(one).live for one in subscriptions)
    customer = customer_call.result()
    deleted = mapping.is_archived(customer) and not live
    return Snapshot(
        provider=Provider.PADDLE,
        customer=mapping.customer_of(
            customer,
            deleted=deleted,
            address=mapping.billing_address(addresses_call.result().items, subscriptions),
            businesses=businesses_call.result().items,
        ),
        subscriptions=tuple(
            mapping.subscription_of(one, raw) for one, raw in subscriptions_call.result().pairs
        ),
        payment_methods=mapping.payment_methods_of(
            methods_call.result().items, transactions.items, live=live
        ),
        invoices=(*invoices_in(transactions.pairs), *older),
        deleted_invoices=gone,
        next_invoice=next_call.result(),
    )


async def _customer(paddle: Paddle, customer_id: str) -> Customer:
    try:
        return await paddle.call(lambda client: client.customers.get(customer_id))
    except Refused as refusal:
        if refusal.unknown_id:
            raise NoCustomer(
                f"Paddle has no customer {customer_id} under the present API key."
            ) from None
        raise


async def _subscriptions(paddle: Paddle, customer_id: str) -> Page[Subscription]:
    return await unless_missing(
        paddle.everything(
            lambda client: client.subscriptions,
            lambda pager: ListSubscriptions(pager, customer_ids=[customer_id]),
        )
    )


async def _part(
    paddle: Paddle,
    customer_id: str,
    part: Callable[[Client], Any],
    listing: Callable[[Pager], Any],
) -> Page[Any]:
    """Return everything a customer has in one of the SDK's clients that list a part of a customer."""
    return await unless_missing(
        paddle.everything(lambda client: OfCustomer(part(client), customer_id), listing)
    )


async def _transactions(paddle: Paddle, customer_id: str, since: datetime | None) -> Page[Any]:
    def listing(pager: Pager) -> ListTransactions:
        return ListTransactions(pager, customer_ids=[customer_id], statuses=list(BILLED))

    page = await unless_missing(
        paddle.page(lambda client: client.transactions, listing, per_page=INVOICES)
    )
    while page.more and since is not None and page.items[-1].created_at >= since:
        following = await paddle.page(
            lambda client: client.transactions, listing, after=page.last_id, per_page=INVOICES
        )
        page = Page(page.items + following.items, page.raw + following.raw, following.more)
    return page


def invoices_in(
    transactions: Iterable[tuple[Any, dict[str, Any]]],
) -> tuple[SnapshotInvoice, ...]:
    """Return those of transactions, each with the JSON it was read from, that are invoices."""
    return tuple(
        mapping.invoice_of(one, raw) for one, raw in transactions if mapping.is_invoice(one)
    )


async def _older(
    paddle: Paddle, newest: Page[Any], asked_for: Collection[str]
) -> tuple[tuple[SnapshotInvoice, ...], tuple[str, ...]]:
    """Return the invoices asked for that are not among the newest, and which of them are none (any more)."""
    listed = {transaction.id for transaction in newest.items}
    wanted = [invoice_id for invoice_id in asked_for if invoice_id not in listed]
    found: list[SnapshotInvoice] = []
    for start in range(0, len(wanted), INVOICES):
        ids = wanted[start : start + INVOICES]
        page = await paddle.page(
            lambda client: client.transactions,
            lambda pager, ids=ids: ListTransactions(pager, ids=ids),  # type: ignore[misc]
            per_page=INVOICES,
        )
        found.extend(invoices_in(page.pairs))
    known = {invoice.id for invoice in found}
    return tuple(found), tuple(invoice_id for invoice_id in wanted if invoice_id not in known)


async def _next_invoice(
    paddle: Paddle, subscriptions: Sequence[Subscription]
) -> NextInvoice | None:
    """Return what is charged next, as Paddle foresees it; None when there is nothing to foresee."""
    renewing = [
        one
        for one in subscriptions
        if one.next_billed_at is not None and mapping.state_of(one) in _CHARGING
    ]
    if not renewing:
        return None
    first = min(renewing, key=lambda one: (one.next_billed_at, one.id))
    try:
        found = await paddle.call(
            lambda client: client.subscriptions.get(
                first.id, [SubscriptionIncludes("next_transaction")]
            )
        )
    except Refused as refusal:
        # What cannot be foreseen must not keep the rest from being known.
        log.warning("next_invoice_unforeseen", provider=Provider.PADDLE, code=refusal.code)
        return None
    return (
        mapping.next_invoice_of(found, found.next_transaction) if found.next_transaction else None
    )
