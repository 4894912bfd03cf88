"""Making the rows of one customer say what a snapshot says, by writing only what differs."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, delete
from sqlalchemy import select as select_columns
from sqlmodel import SQLModel, col
from sqlmodel.ext.asyncio.session import AsyncSession

from billing_ui.billing.upsert import upsert
from billing_ui.models import Invoice, PaymentMethod, Subscription, SubscriptionItem
from billing_ui.models.columns import table_of
from billing_ui.payments.types import (
    Snapshot,
    SnapshotCustomer,
    SnapshotInvoice,
    SnapshotPaymentMethod,
    SnapshotSubscription,
)

Row: TypeAlias = Mapping[str, Any]


async def write_rows(session: AsyncSession, customer_id: UUID, snapshot: Snapshot) -> None:
    """Make subscriptions, items, payment methods and invoices say what `snapshot` says.

    What is stored is read and compared first: mostly little has changed, and the provider's own documents,
    which are kept beside the columns, are long.

    A full snapshot replaces subscriptions, items and payment methods, and adds to the invoices, of which it
    holds the newest and those that were asked for. A partial one only adds and overwrites.
    """
    partial = snapshot.partial
    subscriptions = [subscription_row(customer_id, snapshot, one) for one in snapshot.subscriptions]
    await _write_all(session, Subscription, customer_id, subscriptions, partial=partial)
    await _write_items(session, customer_id, snapshot)
    methods = [payment_method_row(customer_id, snapshot, one) for one in snapshot.payment_methods]
    await _write_all(session, PaymentMethod, customer_id, methods, partial=partial)
    await _write_invoices(session, customer_id, snapshot)


async def _write_items(session: AsyncSession, customer_id: UUID, snapshot: Snapshot) -> None:
    listed = {subscription.id for subscription in snapshot.subscriptions}
    rows = [row for one in snapshot.subscriptions for row in item_rows(snapshot, one)]
    query = (
        select_columns(table_of(SubscriptionItem))
        .join(table_of(Subscription))
        .where(col(Subscription.customer_id) == customer_id)
    )
    stored = [row for row in await _read(session, query) if row["subscription_id"] in listed]
    await _write(session, SubscriptionItem, rows, stored)
    await _delete_missing(session, SubscriptionItem, rows, stored)


async def _write_all(
    session: AsyncSession,
    model: type[Subscription] | type[PaymentMethod],
    customer_id: UUID,
    rows: Sequence[dict[str, Any]],
    *,
    partial: bool,
) -> None:
    """Make a customer's rows of a table those given; when they are not all there are, keep the others."""
    stored = await _stored(session, model, col(model.customer_id) == customer_id)
    await _write(session, model, rows, stored)
    if not partial:
        await _delete_missing(session, model, rows, stored)


async def _write_invoices(session: AsyncSession, customer_id: UUID, snapshot: Snapshot) -> None:
    rows = [invoice_row(customer_id, snapshot, invoice) for invoice in snapshot.invoices]
    ids = [*(row["id"] for row in rows), *snapshot.deleted_invoices]
    stored = await _stored(
        session,
        Invoice,
        and_(col(Invoice.provider) == snapshot.provider, col(Invoice.id).in_(ids)),
    )
    await _write(session, Invoice, rows, stored)
    await _delete_missing(session, Invoice, rows, stored)


async def _write(
    session: AsyncSession,
    model: type[SQLModel],
    rows: Sequence[dict[str, Any]],
    stored: Sequence[Row],
) -> None:
    """Insert or overwrite the rows that are not stored just so."""
    known = {_key(row): row for row in stored}
    await upsert(session, model, [row for row in rows if not _says(known.get(_key(row)), row)])


async def _delete_missing(
    session: AsyncSession,
    model: type[SQLModel],
    rows: Sequence[dict[str, Any]],
    stored: Sequence[Row],
) -> None:
    """Delete the stored rows that are not among `rows`."""
    kept = {_key(row) for row in rows}
    gone = [row for row in stored if _key(row) not in kept]
    if gone:
        columns = table_of(model).c
        await session.exec(
            delete(model).where(
                columns.provider == gone[0]["provider"],
                columns.id.in_([row["id"] for row in gone]),
            )
        )


async def _stored(
    session: AsyncSession, model: type[SQLModel], condition: ColumnElement[bool]
) -> Sequence[Row]:
    return await _read(session, select_columns(table_of(model)).where(condition))


async def _read(session: AsyncSession, query: Select[Any]) -> Sequence[Row]:
    connection = await session.connection()
    rows: Sequence[Row] = (await connection.execute(query)).mappings().all()
    return rows


def _says(stored: Row | None, row: Row) -> bool:
    return stored is not None and all(stored[name] == value for name, value in row.items())


def _key(row: Row) -> tuple[str, str]:
    return row["provider"], row["id"]


def customer_details(customer: SnapshotCustomer) -> dict[str, Any]:
    """Return the columns of a customer's row that say who it is."""
    return {
        "email": customer.email,
        "name": customer.name,
        "phone": customer.phone,
        "address": customer.address.model_dump() if customer.address else None,
        "tax_ids": [tax_id.model_dump() for tax_id in customer.tax_ids],
        "currency": customer.currency,
    }


def payment_method_row(
    customer_id: UUID, snapshot: Snapshot, method: SnapshotPaymentMethod
) -> dict[str, Any]:
    """Return the row of a payment method."""
    return {"provider": snapshot.provider, "customer_id": customer_id, **method.model_dump()}


def subscription_row(
    customer_id: UUID, snapshot: Snapshot, subscription: SnapshotSubscription
) -> dict[str, Any]:
    """Return the row of a subscription."""
    return {
        "provider": snapshot.provider,
        "customer_id": customer_id,
        **subscription.model_dump(exclude={"items", "raw"}),
        "state": subscription.state.value,
        # As it is: to copy every part of a document takes longer than everything else here.
        "raw": subscription.raw,
    }


def item_rows(snapshot: Snapshot, subscription: SnapshotSubscription) -> list[dict[str, Any]]:
    """Return the rows of a subscription's items."""
    return [
        {
            "provider": snapshot.provider,
            "subscription_id": subscription.id,
            "position": position,
            **item.model_dump(),
        }
        for position, item in enumerate(subscription.items)
    ]


def invoice_row(customer_id: UUID, snapshot: Snapshot, invoice: SnapshotInvoice) -> dict[str, Any]:
    """Return the row of an invoice."""
    return {
        "provider": snapshot.provider,
        "customer_id": customer_id,
        **invoice.model_dump(exclude={"raw"}),
        "raw": invoice.raw,
    }
