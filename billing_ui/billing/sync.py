"""Bringing our copy of a customer up to date: fetch a snapshot, apply it, say what changed."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import case, func, null
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
from billing_ui.billing.purchases import claim_purchase
from billing_ui.billing.recorded_changes import record_changes
from billing_ui.billing.services import Services
from billing_ui.billing.stored_rows import customer_details, write_rows
from billing_ui.billing.sync_failures import SUCCESS, remember_failure
from billing_ui.billing.unknown_statuses import report_unknown
from billing_ui.billing.upsert import upsert
from billing_ui.billing.visit_outcomes import settle_visits
from billing_ui.clock import utc_now
from billing_ui.metrics import SyncOutcome, sync_finished
from billing_ui.models import ChangeSource, Customer, CustomerSnapshot, Invoice, Urgency
from billing_ui.payments.types import NoCustomer, PaymentError, ProviderUnavailable, Snapshot
from billing_ui.settings import Provider

UNSETTLED: Final = ("draft", "open", "uncollectible")
"""The states that an invoice can still leave. What is paid may be refunded: that shows while it is among the newest."""


@dataclass(frozen=True)
class SyncResult:
    """Our copy after a sync, and what this sync changed in it.

    `changes` is empty when a sync that was already running did the work: it has told them.
    """

    snapshot: Snapshot
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class _KnownInvoices:
    """What a fetch must tell of besides the newest invoices, so that our copy has no gaps.

    Attributes:
        unsettled: the ids of those that can still change.
        newest_at: when the newest was created (UTC), None when there is none.
    """

    unsettled: Sequence[str]
    newest_at: datetime | None


async def sync_customer(
    services: Services,
    customer_id: UUID,
    *,
    after: int | None = None,
    source: ChangeSource = ChangeSource.RECONCILE,
) -> SyncResult:
    """Bring our copy of a customer up to date with the provider, however often that failed before.

    One sync of a customer runs at a time, in whatever process. A call waits for a running one and is
    content with its result if that fetch began late enough; else it fetches by itself.

    Args:
        customer_id: our id of the customer.
        after: the count, as `mark_customer_out_of_date` returned it, that the fetch must have seen.
            None asks for a fetch that begins after this call.
        source: what a change is recorded to come from that belongs to no visit.

    Raises:
        NoCustomer: the provider does not know the customer, or it was never created there.
        ProviderUnavailable: the provider did not answer in time. What we have is kept.
        PaymentError: the provider refused. What we have is kept.
    """
    goal = await mark_customer_out_of_date(services, customer_id) if after is None else after
    result = await reach(
        services.database,
        services.fetched,
        Customer,
        customer_id,
        goal,
        lambda: sync_once(services, customer_id, goal, source),
    )
    return result or SyncResult(await _stored_snapshot(services, customer_id), ())


async def sync_once(
    services: Services,
    customer_id: UUID,
    goal: int,
    source: ChangeSource = ChangeSource.RECONCILE,
) -> SyncResult | None:
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
    return await carry_out(services, customer_id, fetch, source)


async def carry_out(
    services: Services, customer_id: UUID, fetch: Fetch, source: ChangeSource
) -> SyncResult | None:
    """Fetch and apply a customer whose lease was just taken; gives the lease back however that ends.

    Returns:
        The result, or None when a later fetch came first.

    Raises:
        PaymentError: as `sync_customer`. Why it failed is kept with the customer, of other exceptions too.
    """
    try:
        return await _fetch_and_apply(services, customer_id, fetch, source)
    except OutdatedFetch:
        return None
    except Exception as error:
        await remember_failure(services.database, customer_id, fetch, error)
        raise
    except BaseException:
        # Canceled: nobody should wait for a lease that no one uses.
        await abandon_fetch(services.database, Customer, customer_id, fetch)
        raise
    finally:
        services.fetched.ring()


async def apply_snapshot(
    session: AsyncSession,
    customer_id: UUID,
    snapshot: Snapshot,
    fetch: Fetch,
    source: ChangeSource = ChangeSource.RECONCILE,
) -> tuple[Change, ...]:
    """Make our tables say of a customer what `snapshot` says; the only writer of what was fetched whole.

    A full snapshot replaces subscriptions, items and payment methods, and adds to the invoices, of which it
    holds the newest and those that were asked for. A partial one only adds and overwrites: the customer
    stays out of date.

    Args:
        session: a write transaction; the caller commits it.
        source: what a change is recorded to come from that belongs to no visit.

    Returns:
        What changed since the last full snapshot; nothing when this is the first one, or partial. It is
        recorded with the customer.

    Raises:
        OutdatedFetch: a later fetch has begun.
    """
    await accept_fetch(
        session,
        Customer,
        customer_id,
        fetch,
        {} if snapshot.partial else _customer_values(snapshot, fetch),
        partial=snapshot.partial,
    )
    await write_rows(session, customer_id, snapshot)
    if snapshot.partial:
        return ()
    query = select(CustomerSnapshot.data).where(CustomerSnapshot.customer_id == customer_id)
    stored, document = (await session.exec(query)).one_or_none(), dump_snapshot(snapshot)
    if document != stored:
        row = {"customer_id": customer_id, "fetch_no": fetch.number, "data": document}
        await upsert(session, CustomerSnapshot, [row])
    changes: tuple[Change, ...] = ()
    if stored is not None and document != stored:
        changes = compare(Snapshot.model_validate(stored), snapshot)
        await record_changes(session, customer_id, fetch.number, changes, source)
    await settle_visits(session, customer_id, snapshot, fetch)
    return changes


def dump_snapshot(snapshot: Snapshot) -> dict[str, Any]:
    """Return a snapshot as the JSON document that is kept to compare with, without the provider's own documents."""
    without = {"__all__": {"raw"}}
    return snapshot.model_dump(
        mode="json",
        exclude={"subscriptions": without, "invoices": without, "deleted_invoices": True},
        exclude_defaults=True,
    )


async def _fetch_and_apply(
    services: Services, customer_id: UUID, fetch: Fetch, source: ChangeSource
) -> SyncResult:
    customer, invoices = await _look_up(services, customer_id)
    outcome, began = SyncOutcome.FAILED, time.perf_counter()
    try:
        snapshot = await _fetch_snapshot(services, customer, invoices)
        team_id = customer.team_id or await claim_purchase(services, customer)
        async with services.database.write() as session:
            changes = await apply_snapshot(session, customer_id, snapshot, fetch, source)
        outcome = SyncOutcome.APPLIED
        report_unknown([snapshot])
    except OutdatedFetch:
        outcome = SyncOutcome.SUPERSEDED
        raise
    except ProviderUnavailable:
        outcome = SyncOutcome.UNAVAILABLE
        raise
    except PaymentError:
        outcome = SyncOutcome.REFUSED
        raise
    finally:
        sync_finished(customer.provider, time.perf_counter() - began, outcome)
    if team_id is not None:
        # What was marked in bulk was not known to have changed, so nobody knows since when it had.
        since = customer.marked_at if customer.urgency < Urgency.BULK else None
        await services.live.publish(team_id, since=since)
    return SyncResult(snapshot, changes)


async def _look_up(services: Services, customer_id: UUID) -> tuple[Customer, _KnownInvoices]:
    """Return a customer, and what we know of its invoices."""
    unsettled = select(Invoice.id).where(
        Invoice.customer_id == customer_id, col(Invoice.status).in_(UNSETTLED)
    )
    newest = select(func.max(Invoice.created_at)).where(Invoice.customer_id == customer_id)
    async with services.database.read() as session:
        customer = (await session.exec(select(Customer).where(Customer.id == customer_id))).one()
        invoices = _KnownInvoices(
            unsettled=(await session.exec(unsettled)).all(),
            newest_at=(await session.exec(newest)).one(),
        )
    return customer, invoices


async def _fetch_snapshot(
    services: Services, customer: Customer, known: _KnownInvoices
) -> Snapshot:
    if customer.provider_customer_id is None:
        raise NoCustomer
    driver = services.drivers.get(Provider(customer.provider))
    try:
        async with asyncio.timeout(FETCH_TIMEOUT_SECONDS):
            return await driver.fetch_snapshot(
                customer.provider_customer_id,
                invoices=known.unsettled,
                invoices_since=known.newest_at,
            )
    except TimeoutError:
        raise ProviderUnavailable(f"{driver.display_name} didn't answer in time.") from None


async def _stored_snapshot(services: Services, customer_id: UUID) -> Snapshot:
    async with services.database.read() as session:
        query = select(CustomerSnapshot.data).where(CustomerSnapshot.customer_id == customer_id)
        return Snapshot.model_validate((await session.exec(query)).one())


def _customer_values(snapshot: Snapshot, fetch: Fetch) -> dict[str, Any]:
    customer, now = snapshot.customer, utc_now()
    values: dict[str, Any] = {
        **SUCCESS,
        "synced_at": now,
        "partial": False,
        "marked_at": case((col(Customer.wanted) > fetch.wanted, now), else_=null()),
    }
    if customer.deleted:
        # The provider says nothing more of a deleted customer: who it was stays.
        deleted_at = func.coalesce(col(Customer.deleted_at), now)
        return values | {"deleted_at": deleted_at, "next_invoice": None}
    return values | {
        "deleted_at": None,
        **customer_details(customer),
        "next_invoice": snapshot.next_invoice.model_dump(mode="json", exclude_defaults=True)
        if snapshot.next_invoice
        else None,
    }
