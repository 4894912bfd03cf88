"""Writing what was listed of many customers at once: pages of a provider's lists in a few statements.

A customer first met here is stored as partial: its row says that more is to be fetched. Of a customer that is
known better, nothing is overwritten; only invoices that we have never seen are added.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel.ext.asyncio.session import AsyncSession

from billing_ui.billing.fetches import mark_values
from billing_ui.billing.stored_rows import (
    customer_details,
    invoice_row,
    item_rows,
    subscription_row,
)
from billing_ui.billing.upsert import insert_into, upsert
from billing_ui.models import Customer, Invoice, Subscription, SubscriptionItem, Team
from billing_ui.models.columns import table_of
from billing_ui.payments.types import Snapshot, SnapshotCustomer

_SETTLED: Final = frozenset({"paid", "void"})
"""The states that an invoice never leaves."""


@dataclass(frozen=True)
class _Known:
    """Our row of a customer: its id, and whether it is partial still."""

    id: UUID
    partial: bool


async def write_listed(session: AsyncSession, provider: str, snapshots: Sequence[Snapshot]) -> int:
    """Write what stands on pages of lists; returns how many objects of the provider were written.

    A customer whose metadata names a team of ours becomes that team's, if the team never had a customer;
    any other new one is nobody's until an operator links it.

    Args:
        session: a write transaction; the caller commits it.
        snapshots: partial ones; a customer may have several, of different pages.
    """
    connection = await session.connection()
    listed = sorted(snapshots, key=lambda snapshot: snapshot.customer.id)
    detailed = [one.customer for one in listed if not one.subscriptions and not one.invoices]
    known = await _write_customers(connection, provider, [one.customer for one in listed], detailed)
    await _claim(connection, known, detailed)
    pairs = [(known[one.customer.id], one) for one in listed]
    written = len(detailed)
    written += await _write_subscriptions(session, [pair for pair in pairs if pair[0].partial])
    written += await _write_invoices(session, pairs)
    return written


async def _write_customers(
    connection: AsyncConnection,
    provider: str,
    listed: Sequence[SnapshotCustomer],
    detailed: Sequence[SnapshotCustomer],
) -> Mapping[str, _Known]:
    """Insert the customers we do not have, and let those that are partial say what was listed of them.

    Rows are made and locked in the order of their ids, as everywhere, so that two processes never wait
    for each other.
    """
    # Of two pages the one that says who a customer is.
    customers = {one.id: one for one in (*listed, *detailed)}
    bare = {"provider": provider, "partial": True, "marked_at": None}
    rows = {
        name: {"id": uuid4(), "provider_customer_id": name, **bare, **customer_details(one)}
        for name, one in sorted(customers.items())
    }
    insert = insert_into(connection, Customer)
    await connection.execute(insert.on_conflict_do_nothing(), list(rows.values()))
    known = await _lock(connection, provider, list(rows))
    stale = [rows[one.id] for one in detailed if known[one.id].id != rows[one.id]["id"]]
    if stale:
        values = {name: insert.excluded[name] for name in customer_details(detailed[0])}
        await connection.execute(
            insert.on_conflict_do_update(
                index_elements=["provider", "provider_customer_id"],
                set_=values,
                where=table_of(Customer).c.partial,
            ),
            stale,
        )
    return known


async def _lock(
    connection: AsyncConnection, provider: str, ids: Sequence[str]
) -> Mapping[str, _Known]:
    """Return our rows; until the transaction ends no full snapshot is written to them."""
    customer = table_of(Customer).c
    query = (
        select(customer.provider_customer_id, customer.id, customer.partial)
        .where(customer.provider == provider, customer.provider_customer_id.in_(ids))
        .order_by(customer.provider_customer_id)
        .with_for_update()
    )
    rows = (await connection.execute(query)).all()
    return {name: _Known(id_, partial) for name, id_, partial in rows}


async def _claim(
    connection: AsyncConnection,
    known: Mapping[str, _Known],
    customers: Sequence[SnapshotCustomer],
) -> None:
    """Give customers that were made for a team of ours to it; what a database was lost is found again so.

    Our metadata can be copied by whoever writes to the provider. So a team that has or had any customer,
    or has begun to make one, is given none, and a customer that has a team keeps it.
    """
    wishes = {one.team_id: one for one in customers if one.team_id}
    if not wishes:
        return
    customer, team = table_of(Customer).c, table_of(Team).c
    taken = select(customer.team_id).where(customer.team_id.in_(wishes))
    query = select(team.id).where(team.id.in_(wishes), team.id.not_in(taken))
    for team_id in (await connection.execute(query)).scalars().all():
        wish = wishes[team_id]
        await connection.execute(
            update(table_of(Customer))
            .where(customer.id == known[wish.id].id, customer.team_id.is_(None))
            .values(team_id=team_id, generation=wish.generation)
        )


async def _write_subscriptions(
    session: AsyncSession, pairs: Sequence[tuple[_Known, Snapshot]]
) -> int:
    rows = [
        subscription_row(ours.id, one, each) for ours, one in pairs for each in one.subscriptions
    ]
    if not rows:
        return 0
    items = [row for _, one in pairs for each in one.subscriptions for row in item_rows(one, each)]
    await upsert(session, Subscription, rows)
    item = table_of(SubscriptionItem).c
    connection = await session.connection()
    await connection.execute(
        delete(table_of(SubscriptionItem)).where(
            item.provider == rows[0]["provider"],
            item.subscription_id.in_([row["id"] for row in rows]),
        )
    )
    await upsert(session, SubscriptionItem, items)
    return len(rows)


async def _write_invoices(session: AsyncSession, pairs: Sequence[tuple[_Known, Snapshot]]) -> int:
    partial = [
        invoice_row(ours.id, one, each)
        for ours, one in pairs
        if ours.partial
        for each in one.invoices
    ]
    await upsert(session, Invoice, partial)
    whole = [
        invoice_row(ours.id, one, each)
        for ours, one in pairs
        if not ours.partial
        for each in one.invoices
    ]
    return len(partial) + (await _add_invoices(session, whole) if whole else 0)


async def _add_invoices(session: AsyncSession, rows: Sequence[dict[str, Any]]) -> int:
    """Insert the invoices we have never seen of customers that are whole."""
    invoice = table_of(Invoice).c
    provider, ids = rows[0]["provider"], [row["id"] for row in rows]
    connection = await session.connection()
    query = select(invoice.id).where(invoice.provider == provider, invoice.id.in_(ids))
    known = set((await connection.execute(query)).scalars().all())
    new = [row for row in rows if row["id"] not in known]
    if not new:
        return 0
    await connection.execute(insert_into(connection, Invoice).on_conflict_do_nothing(), new)
    # One that can still change may have done so since it was listed.
    unsettled = {row["customer_id"] for row in new if row["status"] not in _SETTLED}
    if unsettled:
        await connection.execute(
            update(table_of(Customer))
            .where(table_of(Customer).c.id.in_(unsettled))
            .values(**mark_values(Customer, bulk=True))
        )
    return len(new)
