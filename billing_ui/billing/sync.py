"""Bringing our copy of a customer up to date: fetch a snapshot, apply it, say what changed."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import delete, func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from billing_ui.billing.changes import Change
from billing_ui.billing.comparison import compare
from billing_ui.billing.customers import mark_customer_out_of_date
from billing_ui.billing.fetches import (
    FETCH_TIMEOUT_SECONDS,
    Fetch,
    OutdatedFetch,
    abandon_fetch,
    accept_fetch,
    begin_fetch,
    reach,
)
from billing_ui.billing.services import Services
from billing_ui.billing.upsert import upsert
from billing_ui.billing.visit_outcomes import settle_visits
from billing_ui.clock import utc_now
from billing_ui.models import (
    Customer,
    CustomerSnapshot,
    Invoice,
    PaymentMethod,
    Subscription,
    SubscriptionItem,
)
from billing_ui.payments.types import (
    NoCustomer,
    PaymentError,
    ProviderUnavailable,
    Snapshot,
    SnapshotSubscription,
)
from billing_ui.settings import Provider

_MAX_ERROR_LENGTH: Final = 500


@dataclass(frozen=True)
class SyncResult:
    """Our copy after a sync, and what this sync changed in it.

    `changes` is empty when a sync that was already running did the work: it has told them.
    """

    snapshot: Snapshot
    changes: tuple[Change, ...]


async def sync_customer(
    services: Services, customer_id: UUID, *, after: int | None = None
) -> SyncResult:
    """Bring our copy of a customer up to date with the provider.

    One sync of a customer runs at a time, in whatever process. A call waits for a running one and is
    content with its result if that fetch began late enough; else it fetches by itself.

    Args:
        customer_id: our id of the customer.
        after: the count, as `mark_customer_out_of_date` returned it, that the fetch must have seen.
            None asks for a fetch that begins after this call.

    Raises:
        NoCustomer: the provider does not know the customer, or it was never created there.
        ProviderUnavailable: the provider did not answer in time. What we have is kept.
        PaymentError: the provider refused. What we have is kept.
    """
    goal = await mark_customer_out_of_date(services, customer_id) if after is None else after
    result = await reach(
        services.database,
        Customer,
        customer_id,
        goal,
        lambda: sync_once(services, customer_id, goal),
    )
    return result or SyncResult(await _stored_snapshot(services, customer_id), ())


async def sync_once(services: Services, customer_id: UUID, goal: int) -> SyncResult | None:
    """Fetch and apply a customer that has not reached `goal`, unless another sync of it is running.

    Returns:
        The result, or None when there was nothing to do here: `goal` is reached, another sync is
        running, or a later one came first.

    Raises:
        PaymentError: as `sync_customer`.
    """
    fetch = await begin_fetch(services.database, Customer, customer_id, goal)
    if fetch is None:
        return None
    try:
        snapshot = await _fetch_snapshot(services, customer_id)
        async with services.database.write() as session:
            changes = await apply_snapshot(session, customer_id, snapshot, fetch)
    except OutdatedFetch:
        return None
    except BaseException as error:
        # Also when the task is cancelled: nobody should wait for a lease that no one uses.
        values = (
            {"sync_error": str(error)[:_MAX_ERROR_LENGTH]}
            if isinstance(error, PaymentError)
            else {}
        )
        await abandon_fetch(services.database, Customer, customer_id, fetch, values)
        raise
    return SyncResult(snapshot, changes)


async def apply_snapshot(
    session: AsyncSession, customer_id: UUID, snapshot: Snapshot, fetch: Fetch
) -> tuple[Change, ...]:
    """Make our tables say of a customer what `snapshot` says; the only writer of billing data.

    A full snapshot replaces subscriptions, items and payment methods, and adds to the invoices, of which
    it holds the newest only. A partial one only adds and overwrites: the customer stays out of date.

    Args:
        session: a write transaction; the caller commits it.

    Returns:
        What changed since the last full snapshot; nothing when this is the first one, or partial.

    Raises:
        OutdatedFetch: a later fetch was already applied.
    """
    await accept_fetch(
        session,
        Customer,
        customer_id,
        fetch,
        _customer_values(snapshot),
        partial=snapshot.partial,
    )
    await _write_subscriptions(session, customer_id, snapshot)
    await _write_payment_methods(session, customer_id, snapshot)
    await upsert(session, Invoice, _invoice_rows(customer_id, snapshot))
    if snapshot.partial:
        return ()
    stored = await session.get(CustomerSnapshot, customer_id)
    before = Snapshot.model_validate(stored.data) if stored else None
    await upsert(
        session,
        CustomerSnapshot,
        [
            {
                "customer_id": customer_id,
                "fetch_no": fetch.number,
                "data": dump_snapshot(snapshot),
            }
        ],
    )
    await settle_visits(session, customer_id, snapshot, fetch)
    return compare(before, snapshot) if before else ()


def dump_snapshot(snapshot: Snapshot) -> dict[str, Any]:
    """Return a snapshot as the JSON document that is kept to compare with, without the provider's own documents."""
    without = {"__all__": {"raw"}}
    return snapshot.model_dump(
        mode="json", exclude={"subscriptions": without, "invoices": without}, exclude_defaults=True
    )


async def _fetch_snapshot(services: Services, customer_id: UUID) -> Snapshot:
    async with services.database.read() as session:
        customer = (await session.exec(select(Customer).where(Customer.id == customer_id))).one()
    if customer.provider_customer_id is None:
        raise NoCustomer
    driver = services.drivers.get(Provider(customer.provider))
    try:
        async with asyncio.timeout(FETCH_TIMEOUT_SECONDS):
            return await driver.fetch_snapshot(customer.provider_customer_id)
    except TimeoutError:
        raise ProviderUnavailable(f"{driver.display_name} didn't answer in time.") from None


async def _stored_snapshot(services: Services, customer_id: UUID) -> Snapshot:
    async with services.database.read() as session:
        query = select(CustomerSnapshot.data).where(CustomerSnapshot.customer_id == customer_id)
        return Snapshot.model_validate((await session.exec(query)).one())


def _customer_values(snapshot: Snapshot) -> dict[str, Any]:
    customer, now = snapshot.customer, utc_now()
    if snapshot.partial:
        return {}
    foreseen = snapshot.next_invoice
    values: dict[str, Any] = {
        "synced_at": now,
        "sync_error": None,
        "next_invoice": foreseen.model_dump(mode="json") if foreseen else None,
    }
    if customer.deleted:
        # The provider says nothing more of a deleted customer: who it was stays.
        return values | {"deleted_at": func.coalesce(col(Customer.deleted_at), now)}
    return values | {
        "deleted_at": None,
        "email": customer.email,
        "name": customer.name,
        "phone": customer.phone,
        "address": customer.address.model_dump() if customer.address else None,
        "tax_ids": [tax_id.model_dump() for tax_id in customer.tax_ids],
        "currency": customer.currency,
    }


async def _write_subscriptions(
    session: AsyncSession, customer_id: UUID, snapshot: Snapshot
) -> None:
    subscriptions = snapshot.subscriptions
    await upsert(
        session, Subscription, [_subscription_row(customer_id, snapshot, s) for s in subscriptions]
    )
    await upsert(
        session, SubscriptionItem, [row for s in subscriptions for row in _item_rows(snapshot, s)]
    )
    if not snapshot.partial:
        await _delete_vanished(session, Subscription, customer_id, {s.id for s in subscriptions})
    await session.exec(
        delete(SubscriptionItem).where(
            col(SubscriptionItem.provider) == snapshot.provider,
            col(SubscriptionItem.subscription_id).in_([s.id for s in subscriptions]),
            col(SubscriptionItem.id).not_in([item.id for s in subscriptions for item in s.items]),
        )
    )


async def _write_payment_methods(
    session: AsyncSession, customer_id: UUID, snapshot: Snapshot
) -> None:
    rows = [
        {"provider": snapshot.provider, "customer_id": customer_id, **method.model_dump()}
        for method in snapshot.payment_methods
    ]
    await upsert(session, PaymentMethod, rows)
    if not snapshot.partial:
        await _delete_vanished(session, PaymentMethod, customer_id, {row["id"] for row in rows})


async def _delete_vanished(
    session: AsyncSession,
    model: type[Subscription] | type[PaymentMethod],
    customer_id: UUID,
    kept: Collection[str],
) -> None:
    await session.exec(
        delete(model).where(col(model.customer_id) == customer_id, col(model.id).not_in(kept))
    )


def _subscription_row(
    customer_id: UUID, snapshot: Snapshot, subscription: SnapshotSubscription
) -> dict[str, Any]:
    return {
        "provider": snapshot.provider,
        "customer_id": customer_id,
        **subscription.model_dump(exclude={"items"}),
        "state": subscription.state.value,
    }


def _item_rows(snapshot: Snapshot, subscription: SnapshotSubscription) -> list[dict[str, Any]]:
    return [
        {
            "provider": snapshot.provider,
            "subscription_id": subscription.id,
            "position": position,
            **item.model_dump(),
        }
        for position, item in enumerate(subscription.items)
    ]


def _invoice_rows(customer_id: UUID, snapshot: Snapshot) -> list[dict[str, Any]]:
    return [
        {"provider": snapshot.provider, "customer_id": customer_id, **invoice.model_dump()}
        for invoice in snapshot.invoices
    ]
