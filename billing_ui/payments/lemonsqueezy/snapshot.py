"""One customer's whole billing state, fetched from Lemon Squeezy in the time of two round trips."""

import asyncio
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from billing_ui.payments.lemonsqueezy import mapping
from billing_ui.payments.lemonsqueezy.catalog import AT_ONCE, fetch_prices
from billing_ui.payments.lemonsqueezy.client import Client, Refused, included, parsed
from billing_ui.payments.lemonsqueezy.resources import (
    CustomerAttributes,
    InvoiceAttributes,
    Resource,
    SubscriptionAttributes,
)
from billing_ui.payments.snapshot import INVOICES, retrieved
from billing_ui.payments.types import NoCustomer, Snapshot, SnapshotInvoice, SubscriptionState
from billing_ui.settings import Provider

SNAPSHOT_CALLS: Final = 3
"""How many calls a snapshot usually takes: the customer with its subscriptions, prices, and one's invoices."""


async def fetch_snapshot(
    client: Client,
    store_id: str,
    currency: str,
    mark_key: bytes,
    customer_id: str,
    asked_for: Collection[str] = (),
    since: datetime | None = None,
) -> Snapshot:
    """Return a customer's billing state.

    Invoices can be listed by subscription only, so each subscription takes a call, ended ones too.
    Lemon Squeezy foresees no next invoice. What was bought once, and not as a subscription, is left out.

    Args:
        store_id: the store that the customer must be of.
        currency: the store's, lower case.
        mark_key: what the marks of our customers are signed with.
        asked_for: ids of invoices that the snapshot must tell of, whatever their age.
        since: tell of every invoice created then or later (UTC), however many they are.

    Raises:
        NoCustomer: Lemon Squeezy knows no such customer, or knows it in another store. It does not tell a
            customer that is gone from one that never was.
        Refused, PaymentError, ExceptionGroup: one of the calls failed.
    """
    customer, subscriptions = await _customer(client, store_id, customer_id)
    async with asyncio.TaskGroup() as group:
        prices_call = group.create_task(fetch_prices(client, subscriptions))
        invoices_call = group.create_task(_invoices(client, subscriptions, since))
    prices = prices_call.result()
    invoices, gone = await _with_older(client, customer_id, invoices_call.result(), asked_for)
    return Snapshot(
        provider=Provider.LEMONSQUEEZY,
        customer=mapping.customer_of(customer, mark_key, currency),
        subscriptions=tuple(
            mapping.subscription_of(subscription, prices.get(subscription.id), currency)
            for subscription in subscriptions
        ),
        payment_methods=mapping.payment_methods_of(subscriptions),
        invoices=_with_next_attempts(invoices, subscriptions),
        deleted_invoices=gone,
    )


async def _customer(
    client: Client, store_id: str, customer_id: str
) -> tuple[Resource[CustomerAttributes], list[Resource[SubscriptionAttributes]]]:
    """Return a customer and its subscriptions, newest first."""
    try:
        found = await client.get("customers", customer_id, {"include": "subscriptions"})
    except Refused as error:
        if error.missing:
            raise _unknown(customer_id) from None
        raise
    customer = parsed(CustomerAttributes, found.data)
    if str(customer.attributes.store_id) != store_id:
        raise _unknown(customer_id)
    subscriptions = included(SubscriptionAttributes, "subscriptions", found)
    return customer, sorted(subscriptions, key=_newest_first)


def _unknown(customer_id: str) -> NoCustomer:
    return NoCustomer(
        f"Lemon Squeezy has no customer {customer_id} in this store under the present API key."
    )


def _newest_first(
    resource: Resource[SubscriptionAttributes] | Resource[InvoiceAttributes],
) -> tuple[float, int]:
    return -resource.attributes.created_at.timestamp(), -int(resource.id)


async def _invoices(
    client: Client,
    subscriptions: Sequence[Resource[SubscriptionAttributes]],
    since: datetime | None,
) -> list[Resource[InvoiceAttributes]]:
    """Return the newest invoices of all the subscriptions together, and all from `since` on."""
    at_once = asyncio.Semaphore(AT_ONCE)

    async def of(subscription_id: str) -> list[Resource[InvoiceAttributes]]:
        async with at_once:
            return await _invoices_of(client, subscription_id, since)

    async with asyncio.TaskGroup() as group:
        calls = [group.create_task(of(subscription.id)) for subscription in subscriptions]
    found = sorted((one for call in calls for one in call.result()), key=_newest_first)
    return [
        invoice
        for place, invoice in enumerate(found)
        if place < INVOICES or (since is not None and invoice.attributes.created_at >= since)
    ]


async def _invoices_of(
    client: Client, subscription_id: str, since: datetime | None
) -> list[Resource[InvoiceAttributes]]:
    query = {"filter[subscription_id]": subscription_id}
    found: list[Resource[InvoiceAttributes]] = []
    async for invoice in client.walk(InvoiceAttributes, "subscription-invoices", query):
        recent = since is not None and invoice.attributes.created_at >= since
        if len(found) >= INVOICES and not recent:
            break
        found.append(invoice)
    return found


async def _with_older(
    client: Client,
    customer_id: str,
    newest: list[Resource[InvoiceAttributes]],
    asked_for: Collection[str],
) -> tuple[list[Resource[InvoiceAttributes]], tuple[str, ...]]:
    """Return the newest invoices and those asked for besides, and which of these no longer exist."""
    listed = {invoice.id for invoice in newest}

    async def retrieve(invoice_id: str) -> Resource[InvoiceAttributes] | None:
        try:
            found = await client.get("subscription-invoices", invoice_id)
        except Refused as error:
            if error.missing:
                return None
            raise
        invoice = parsed(InvoiceAttributes, found.data)
        return invoice if str(invoice.attributes.customer_id) == customer_id else None

    found, gone = await retrieved(
        (id_ for id_ in asked_for if id_ not in listed), retrieve, AT_ONCE
    )
    return [*newest, *found], gone


def _with_next_attempts(
    invoices: Sequence[Resource[InvoiceAttributes]],
    subscriptions: Sequence[Resource[SubscriptionAttributes]],
) -> tuple[SnapshotInvoice, ...]:
    """Return invoices; when one that is open is tried again stands with its subscription."""
    attempts = {
        subscription.id: subscription.attributes.renews_at
        for subscription in subscriptions
        if mapping.state_of(subscription.attributes) is SubscriptionState.PAST_DUE
    }
    mapped = (mapping.invoice_of(invoice) for invoice in invoices)
    return tuple(
        invoice.model_copy(update={"next_attempt_at": attempts.get(invoice.subscription_id or "")})
        if invoice.status == "open"
        else invoice
        for invoice in mapped
    )
