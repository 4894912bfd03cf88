"""One customer's whole billing state, fetched from Stripe in the time of one round trip."""

import asyncio
from collections.abc import Awaitable, Collection, Mapping, Sequence
from datetime import datetime

import stripe
import structlog

from billing_ui.clock import from_unix
from billing_ui.payments.snapshot import INVOICES, retrieved
from billing_ui.payments.stripe import mapping
from billing_ui.payments.stripe.catalog import options_path
from billing_ui.payments.stripe.client import PAGE, T, all_pages, is_missing
from billing_ui.payments.types import NoCustomer, Snapshot
from billing_ui.settings import Provider

log = structlog.get_logger(__name__)

SNAPSHOT_CALLS = 6
"""How many calls a snapshot usually takes."""


async def fetch_snapshot(
    client: stripe.StripeClient,
    customer_id: str,
    asked_for: Collection[str] = (),
    since: datetime | None = None,
) -> Snapshot:
    """Return a customer's billing state; a customer deleted at Stripe is one with `customer.deleted` set.

    A product's name lies five levels below a list of subscriptions, and Stripe expands four. So the
    newest hundred prices are listed beside it with their products. Only older prices, amounts in
    another currency than a price's own, items after a subscription's tenth, and invoices that are asked for
    and not among the newest take a second round trip.

    Args:
        asked_for: ids of invoices that the snapshot must tell of, whatever their age.
        since: tell of every invoice created then or later (UTC), however many they are.

    Raises:
        NoCustomer: Stripe knows no such customer.
        stripe.StripeError, ExceptionGroup: one of the calls failed.
    """
    async with asyncio.TaskGroup() as group:
        customer_call = group.create_task(_customer(client, customer_id))
        subscriptions_call = group.create_task(_subscriptions(client, customer_id))
        methods_call = group.create_task(_payment_methods(client, customer_id))
        invoices_call = group.create_task(_invoices(client, customer_id, since))
        prices_call = group.create_task(_newest_prices(client))
        preview_call = group.create_task(_preview(client, customer_id))
    customer = customer_call.result()
    invoices, deleted_invoices = await _with_older(client, invoices_call.result(), asked_for)
    if mapping.is_deleted(customer):
        return Snapshot(
            provider=Provider.STRIPE,
            customer=mapping.customer_of(customer),
            invoices=tuple(mapping.invoice_of(invoice) for invoice in invoices),
            deleted_invoices=deleted_invoices,
        )
    subscriptions = subscriptions_call.result()
    items = await _all_items(client, subscriptions)
    prices = await _with_missing(client, prices_call.result(), subscriptions, items)
    default = mapping.default_payment_method(customer, subscriptions)
    preview = preview_call.result()
    return Snapshot(
        provider=Provider.STRIPE,
        customer=mapping.customer_of(customer),
        subscriptions=tuple(
            mapping.subscription_of(subscription, items[subscription.id], prices)
            for subscription in subscriptions
        ),
        payment_methods=tuple(
            mapping.payment_method_of(method, default) for method in methods_call.result()
        ),
        invoices=tuple(mapping.invoice_of(invoice) for invoice in invoices),
        deleted_invoices=deleted_invoices,
        next_invoice=mapping.next_invoice_of(preview) if preview else None,
    )


async def _customer(client: stripe.StripeClient, customer_id: str) -> stripe.Customer:
    try:
        return await client.v1.customers.retrieve_async(customer_id, {"expand": ["tax_ids"]})
    except stripe.InvalidRequestError as error:
        if is_missing(error):
            raise NoCustomer(
                f"Stripe has no customer {customer_id} under the present API key."
            ) from None
        raise


async def _subscriptions(
    client: stripe.StripeClient, customer_id: str
) -> list[stripe.Subscription]:
    return await _unless_missing(
        all_pages(
            client.v1.subscriptions.list_async(
                {"customer": customer_id, "status": "all", "limit": PAGE}
            )
        )
    )


async def _payment_methods(
    client: stripe.StripeClient, customer_id: str
) -> list[stripe.PaymentMethod]:
    return await _unless_missing(
        all_pages(client.v1.payment_methods.list_async({"customer": customer_id, "limit": PAGE}))
    )


async def _invoices(
    client: stripe.StripeClient, customer_id: str, since: datetime | None
) -> list[stripe.Invoice]:
    return await _unless_missing(_newest_invoices(client, customer_id, since))


async def _newest_invoices(
    client: stripe.StripeClient, customer_id: str, since: datetime | None
) -> list[stripe.Invoice]:
    page = await client.v1.invoices.list_async({"customer": customer_id, "limit": INVOICES})
    found = page.data
    while page.has_more and since is not None and from_unix(found[-1].created) >= since:
        page = await page.next_page_async()
        found = [*found, *page.data]
    return found


async def _with_older(
    client: stripe.StripeClient, newest: list[stripe.Invoice], asked_for: Collection[str]
) -> tuple[list[stripe.Invoice], tuple[str, ...]]:
    """Return the newest invoices and those asked for besides, and which of these no longer exist."""
    listed = {invoice.id for invoice in newest}

    async def retrieve(invoice_id: str) -> stripe.Invoice | None:
        try:
            return await client.v1.invoices.retrieve_async(invoice_id)
        except stripe.InvalidRequestError as error:
            if is_missing(error):
                return None
            raise

    found, gone = await retrieved((id_ for id_ in asked_for if id_ not in listed), retrieve)
    return [*newest, *found], gone


async def _preview(client: stripe.StripeClient, customer_id: str) -> stripe.Invoice | None:
    """Return the next invoice of a customer as Stripe foresees it, None when there is none to foresee."""
    try:
        return await client.v1.invoices.create_preview_async({"customer": customer_id})
    except stripe.InvalidRequestError as error:
        # What cannot be foreseen (such as a tax without an address) must not keep the rest from being known.
        if error.code != "invoice_upcoming_none" and not is_missing(error):
            log.warning("next_invoice_unforeseen", provider=Provider.STRIPE, code=error.code)
        return None


async def _newest_prices(client: stripe.StripeClient) -> dict[str, stripe.Price]:
    page = await client.v1.prices.list_async({"limit": PAGE, "expand": ["data.product"]})
    return {price.id: price for price in page.data}


async def _all_items(
    client: stripe.StripeClient, subscriptions: Sequence[stripe.Subscription]
) -> dict[str, Sequence[stripe.SubscriptionItem]]:
    async with asyncio.TaskGroup() as group:
        longer = {
            subscription.id: group.create_task(_items(client, subscription.id))
            for subscription in subscriptions
            if subscription.items.has_more
        }
    return {
        subscription.id: longer[subscription.id].result()
        if subscription.id in longer
        else subscription.items.data
        for subscription in subscriptions
    }


async def _items(
    client: stripe.StripeClient, subscription_id: str
) -> list[stripe.SubscriptionItem]:
    return await all_pages(
        client.v1.subscription_items.list_async({"subscription": subscription_id, "limit": PAGE})
    )


async def _with_missing(
    client: stripe.StripeClient,
    prices: dict[str, stripe.Price],
    subscriptions: Sequence[stripe.Subscription],
    items: Mapping[str, Sequence[stripe.SubscriptionItem]],
) -> dict[str, stripe.Price]:
    missing: dict[str, list[str]] = {}
    for subscription in subscriptions:
        for item in items[subscription.id]:
            foreign = subscription.currency != item.price.currency
            if foreign or item.price.id not in prices:
                paths = missing.setdefault(item.price.id, ["product"])
                if foreign and (path := options_path(subscription.currency)) not in paths:
                    paths.append(path)
    async with asyncio.TaskGroup() as group:
        calls = [
            group.create_task(client.v1.prices.retrieve_async(price_id, {"expand": paths}))
            for price_id, paths in missing.items()
        ]
    return {**prices, **{call.result().id: call.result() for call in calls}}


async def _unless_missing(found: Awaitable[list[T]]) -> list[T]:
    """Return nothing of a customer that is gone: retrieving the customer itself tells deleted from unknown."""
    try:
        return await found
    except stripe.InvalidRequestError as error:
        if is_missing(error):
            return []
        raise
