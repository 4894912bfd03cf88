"""Drift: where our copy of a customer and the provider differ, field by field, in words for an operator."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select
from sqlmodel import SQLModel, col
from sqlmodel.ext.asyncio.session import AsyncSession

from billing_ui.billing.stored_rows import (
    customer_details,
    invoice_row,
    item_rows,
    payment_method_row,
    subscription_row,
)
from billing_ui.models import Customer, Invoice, PaymentMethod, Subscription, SubscriptionItem
from billing_ui.models.columns import table_of
from billing_ui.payments.types import Snapshot

# Neither is a fact of the customer's: documents change with the API's version, addresses with every answer.
_NOT_COMPARED: Final = frozenset({"provider", "id", "customer_id", "raw", "hosted_url", "pdf_url"})
_NOTHING: Final = "nothing"


@dataclass(frozen=True)
class Drift:
    """One difference.

    Attributes:
        customer: the provider's id of the customer.
        field: what differs, such as "subscription sub_1: status".
        ours, theirs: what our copy says and what the provider says.
    """

    customer: str
    field: str
    ours: str
    theirs: str

    def __str__(self) -> str:
        """Return the difference in one line."""
        return (
            f"{self.customer}: {self.field} is {self.ours} here and {self.theirs} at the provider"
        )


@dataclass(frozen=True)
class Copy:
    """Our whole copy of a customer, as it stands in the tables."""

    customer: Customer
    subscriptions: Sequence[Mapping[str, Any]]
    items: Sequence[Mapping[str, Any]]
    payment_methods: Sequence[Mapping[str, Any]]
    invoices: Sequence[Mapping[str, Any]]


async def load_copy(session: AsyncSession, customer: Customer) -> Copy:
    """Return our copy of a customer, without the provider's own documents."""

    async def rows(model: type[SQLModel], *conditions: Any) -> Sequence[Mapping[str, Any]]:
        columns = [column for column in table_of(model).c if column.name != "raw"]
        query = select(*columns).where(*conditions)
        connection = await session.connection()
        return [dict(row) for row in (await connection.execute(query)).mappings()]

    subscriptions = await rows(Subscription, col(Subscription.customer_id) == customer.id)
    return Copy(
        customer=customer,
        subscriptions=subscriptions,
        items=await rows(
            SubscriptionItem,
            col(SubscriptionItem.provider) == customer.provider,
            col(SubscriptionItem.subscription_id).in_([row["id"] for row in subscriptions]),
        ),
        payment_methods=await rows(PaymentMethod, col(PaymentMethod.customer_id) == customer.id),
        invoices=await rows(Invoice, col(Invoice.customer_id) == customer.id),
    )


def find_drift(ours: Copy, theirs: Snapshot) -> tuple[Drift, ...]:
    """Return where our copy and a full snapshot differ.

    Invoices older than the snapshot's are final and not compared. Of a customer that was only listed, what
    lists do not tell is not missed. What is foreseen of the next invoice changes by itself, and is no drift.
    """
    return tuple(_differences(ours, theirs))


def _differences(ours: Copy, theirs: Snapshot) -> Iterator[Drift]:
    who, customer = theirs.customer.id, ours.customer
    if theirs.customer.deleted or customer.deleted_at is not None:
        if (customer.deleted_at is not None) != theirs.customer.deleted:
            yield Drift(
                who, "deleted", _said(not theirs.customer.deleted), _said(theirs.customer.deleted)
            )
        return
    stored = {name: getattr(customer, name) for name in customer_details(theirs.customer)}
    yield from _fields(who, "", stored, customer_details(theirs.customer))
    key = customer.id
    yield from _compared(
        who,
        "subscription",
        ours.subscriptions,
        [subscription_row(key, theirs, one) for one in theirs.subscriptions],
    )
    yield from _compared(
        who,
        "subscription item",
        ours.items,
        [row for one in theirs.subscriptions for row in item_rows(theirs, one)],
    )
    if not customer.partial:
        yield from _compared(
            who,
            "payment method",
            ours.payment_methods,
            [payment_method_row(key, theirs, one) for one in theirs.payment_methods],
        )
    yield from _invoices(who, ours, theirs)


def _invoices(who: str, ours: Copy, theirs: Snapshot) -> Iterator[Drift]:
    rows = [invoice_row(ours.customer.id, theirs, one) for one in theirs.invoices]
    known = {row["id"] for row in rows}
    comparable = [
        row for row in ours.invoices if row["id"] in known or row["id"] in theirs.deleted_invoices
    ]
    yield from _compared(who, "invoice", comparable, rows)


def _compared(
    who: str, what: str, ours: Sequence[Mapping[str, Any]], theirs: Sequence[Mapping[str, Any]]
) -> Iterator[Drift]:
    stored = {row["id"]: row for row in ours}
    fetched = {row["id"]: row for row in theirs}
    for name in stored.keys() | fetched.keys():
        if name not in fetched:
            yield Drift(who, f"{what} {name}", "there", "missing")
        elif name not in stored:
            yield Drift(who, f"{what} {name}", "missing", "there")
        else:
            yield from _fields(who, f"{what} {name}: ", stored[name], fetched[name])


def _fields(
    who: str, prefix: str, ours: Mapping[str, Any], theirs: Mapping[str, Any]
) -> Iterator[Drift]:
    for name, value in theirs.items():
        if name not in _NOT_COMPARED and ours[name] != value:
            label = name.removesuffix("_id").replace("_", " ")
            yield Drift(who, f"{prefix}{label}", _said(ours[name]), _said(value))


def _said(value: Any) -> str:
    match value:
        case None | "" | []:
            return _NOTHING
        case bool():
            return "yes" if value else "no"
        case datetime():
            return value.isoformat(timespec="seconds")
        case dict():
            return ", ".join(str(part) for part in value.values() if part) or _NOTHING
        case list():
            return "; ".join(_said(part) for part in value)
    return str(value)
