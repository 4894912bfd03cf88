"""One customer's whole billing state, fetched from Polar in the time of one round trip."""

import asyncio
from collections.abc import Collection, Sequence
from datetime import datetime

from polar.v2026_10.errors import ResourceNotFound
from polar.v2026_10.outputs import Customer, Order, PaymentMethod, Subscription

from billing_ui.payments.polar import mapping
from billing_ui.payments.polar.client import PAGE, PolarClient, is_id
from billing_ui.payments.polar.webhooks import was_deleted
from billing_ui.payments.snapshot import INVOICES, retrieved
from billing_ui.payments.types import NoCustomer, Snapshot, SnapshotCustomer, SnapshotInvoice
from billing_ui.settings import Provider

SNAPSHOT_CALLS = 4
"""How many calls a snapshot usually takes."""


async def fetch_snapshot(
    client: PolarClient,
    customer_id: str,
    asked_for: Collection[str] = (),
    since: datetime | None = None,
) -> Snapshot:
    """Return a customer's billing state; a customer deleted at Polar is one with `customer.deleted` set.

    Polar has no way to ask what will be charged next, so no next invoice is told.

    Args:
        asked_for: ids of orders that the snapshot must tell of, whatever their age.
        since: tell of every order created then or later (UTC), however many they are.

    Raises:
        NoCustomer: Polar knows no such customer.
        polar.base.PolarError, ExceptionGroup: one of the calls failed.
    """
    if not is_id(customer_id):
        raise _unknown(customer_id)
    async with asyncio.TaskGroup() as group:
        customer_call = group.create_task(_customer(client, customer_id))
        subscriptions_call = group.create_task(_subscriptions(client, customer_id))
        methods_call = group.create_task(_payment_methods(client, customer_id))
        orders_call = group.create_task(_orders(client, customer_id, since))
    customer, orders = customer_call.result(), orders_call.result()
    if customer is None and not await _deleted(client, customer_id, subscriptions_call.result()):
        raise _unknown(customer_id)
    invoices, gone = await _with_older(client, customer_id, orders, asked_for)
    if customer is None:
        return Snapshot(
            provider=Provider.POLAR,
            customer=SnapshotCustomer(id=customer_id, deleted=True),
            invoices=invoices,
            deleted_invoices=gone,
        )
    return Snapshot(
        provider=Provider.POLAR,
        customer=mapping.customer_of(customer),
        subscriptions=tuple(map(mapping.subscription_of, subscriptions_call.result())),
        payment_methods=tuple(map(mapping.payment_method_of, methods_call.result())),
        invoices=invoices,
        deleted_invoices=gone,
    )


def _unknown(customer_id: str) -> NoCustomer:
    return NoCustomer(f"Polar has no customer {customer_id} under the present access token.")


async def _customer(client: PolarClient, customer_id: str) -> Customer | None:
    try:
        return await client.customers.get(customer_id)
    except ResourceNotFound:
        return None


async def _deleted(
    client: PolarClient, customer_id: str, subscriptions: Sequence[Subscription]
) -> bool:
    """Return whether a customer whom Polar no longer answers for was deleted, and is not just unknown."""
    if any(one.customer.deleted_at is not None for one in subscriptions):
        return True
    return await was_deleted(client, customer_id=customer_id)


async def _subscriptions(client: PolarClient, customer_id: str) -> list[Subscription]:
    listed = client.subscriptions.iter_list(customer_id=customer_id, limit=PAGE)
    return [subscription async for subscription in listed]


async def _payment_methods(client: PolarClient, customer_id: str) -> list[PaymentMethod]:
    listed = client.customers.iter_list_payment_methods(customer_id, limit=PAGE)
    try:
        return [method async for method in listed]
    except ResourceNotFound:
        # Retrieving the customer itself tells deleted from unknown.
        return []


async def _orders(client: PolarClient, customer_id: str, since: datetime | None) -> list[Order]:
    found: list[Order] = []
    page = 1
    while True:
        listed = await client.orders.list(customer_id=customer_id, page=page, limit=INVOICES)
        found += listed.items
        reached = mapping.instant(found[-1].created_at) if found else None
        whole = page >= listed.pagination.max_page
        if whole or since is None or (reached is not None and reached < since):
            return found
        page += 1


async def _with_older(
    client: PolarClient, customer_id: str, newest: Sequence[Order], asked_for: Collection[str]
) -> tuple[tuple[SnapshotInvoice, ...], tuple[str, ...]]:
    """Return the newest orders and those asked for besides, and which of these no longer exist."""
    listed = {order.id for order in newest}

    async def retrieve(order_id: str) -> Order | None:
        if not is_id(order_id):
            return None
        try:
            found = await client.orders.get(order_id)
        except ResourceNotFound:
            return None
        return found if found.customer_id == customer_id else None

    found, gone = await retrieved((id_ for id_ in asked_for if id_ not in listed), retrieve)
    return tuple(map(mapping.invoice_of, [*newest, *found])), gone
