"""A team's invoices, page by page, newest first."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, AwareDatetime, Field
from sqlalchemy import ColumnElement, func, literal, tuple_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from billing_ui.accounts.permissions import Action, require
from billing_ui.accounts.sessions import Identity
from billing_ui.billing.customers import TeamCustomers, customers_of
from billing_ui.billing.invoice_pdf import pdf_address, providers_on_demand
from billing_ui.billing.return_urls import web_address
from billing_ui.billing.services import Services
from billing_ui.models import Invoice
from billing_ui.models.columns import UtcDateTime, left_out
from billing_ui.payments.types import Frozen, InvalidRequest

MAX_LIMIT: Final = 100


@dataclass(frozen=True)
class InvoiceRow:
    """One invoice; `total` in minor units of `currency`, times UTC, `pdf_url` where `invoice_pdf.pdf_address` says."""

    id: str
    created_at: datetime
    due_at: datetime | None
    number: str | None
    total: int
    amount_remaining: int
    currency: str
    status: str
    pdf_url: str | None
    hosted_url: str | None


@dataclass(frozen=True)
class InvoicePage:
    """Some invoices in a row: the `first`-th to the `last`-th of `total`, counted from 1, newest first.

    The cursors name the pages beside this one; None where there is none.
    """

    rows: tuple[InvoiceRow, ...]
    first: int
    last: int
    total: int
    next_cursor: str | None
    previous_cursor: str | None


class _Cursor(Frozen):
    """The pages older or newer than one invoice."""

    side: Literal["older", "newer"]
    created_at: Annotated[AwareDatetime, AfterValidator(lambda moment: moment.astimezone(UTC))]
    id: Annotated[str, Field(pattern=r"^[!-~]{1,255}$")]


NO_INVOICES: Final = InvoicePage((), 0, 0, 0, None, None)


async def load_invoices(
    services: Services, identity: Identity, cursor: str | None = None, limit: int = 8
) -> InvoicePage:
    """Return a page of the team's invoices, of all customers that it has or had.

    Pages hang on an invoice, not on a count: a new invoice shifts no page that someone is reading.

    Args:
        cursor: a cursor of another page; None for the newest invoices.
        limit: how many invoices a page holds, from 1 to 100.

    Raises:
        NoTeam, NotAllowed: who asks may not see invoices.
        InvalidRequest: the cursor is none of ours.
    """
    team_id = require(identity, Action.VIEW_INVOICES)
    async with services.database.read() as session:
        customers = await customers_of(session, team_id, services.settings.served_providers)
        return await read_invoices(services, session, customers, cursor, limit)


async def read_invoices(
    services: Services,
    session: AsyncSession,
    customers: TeamCustomers,
    cursor: str | None = None,
    limit: int = 8,
) -> InvoicePage:
    """Return what `load_invoices` does, of a team whose invoices whoever asks may see.

    Raises:
        InvalidRequest: the cursor is none of ours.
    """
    place = _parse(cursor) if cursor else None
    if not customers.ids:
        return NO_INVOICES
    limit = min(max(limit, 1), MAX_LIMIT)
    theirs = belong_to(customers)
    rows, more = await _read(session, theirs, place, limit)
    total = await _count(session, theirs)
    before = await _count(session, theirs, newer_than=rows[0]) if rows and place else 0
    if not rows:
        return InvoicePage((), 0, 0, total, None, None)
    going_back = place is not None and place.side == "newer"
    return InvoicePage(
        rows=_rows(services, rows),
        first=before + 1,
        last=before + len(rows),
        total=total,
        next_cursor=_write("older", rows[-1]) if more or going_back else None,
        previous_cursor=_write("newer", rows[0]) if before else None,
    )


def belong_to(customers: TeamCustomers) -> ColumnElement[bool]:
    """Return the condition that an invoice is one of a team's."""
    owner, ids = col(Invoice.customer_id), customers.ids
    # Of one customer the index has them in their order.
    return owner == ids[0] if len(ids) == 1 else owner.in_(ids)


async def _read(
    session: AsyncSession, theirs: ColumnElement[bool], place: _Cursor | None, limit: int
) -> tuple[list[Invoice], bool]:
    """Return at most `limit` invoices, newest first, and whether there are more on that side."""
    key = tuple_(col(Invoice.created_at), col(Invoice.id))
    query = select(Invoice).options(left_out(Invoice.raw)).where(theirs).limit(limit + 1)
    newest_first = (col(Invoice.created_at).desc(), col(Invoice.id).desc())
    if place is None:
        query = query.order_by(*newest_first)
    elif place.side == "older":
        query = query.where(key < _position(place)).order_by(*newest_first)
    else:
        query = query.where(key > _position(place)).order_by(
            col(Invoice.created_at), col(Invoice.id)
        )
    found = list((await session.exec(query)).all())
    more, found = len(found) > limit, found[:limit]
    if place is not None and place.side == "newer":
        found.reverse()
    return found, more


async def _count(
    session: AsyncSession, theirs: ColumnElement[bool], *, newer_than: Invoice | None = None
) -> int:
    query = select(func.count()).select_from(Invoice).where(theirs)
    if newer_than is not None:
        query = query.where(
            tuple_(col(Invoice.created_at), col(Invoice.id)) > _position(newer_than)
        )
    return (await session.exec(query)).one()


def _position(place: _Cursor | Invoice) -> ColumnElement[Any]:
    # With its type, so that a moment is compared in the form the database keeps it in.
    return tuple_(literal(place.created_at, UtcDateTime()), literal(place.id))


def _rows(services: Services, invoices: Sequence[Invoice]) -> tuple[InvoiceRow, ...]:
    on_demand = providers_on_demand(services.drivers)
    return tuple(
        _row(invoice, pdf_address(services.settings, invoice, on_demand)) for invoice in invoices
    )


def _row(invoice: Invoice, pdf_url: str | None) -> InvoiceRow:
    return InvoiceRow(
        id=invoice.id,
        created_at=invoice.created_at,
        due_at=invoice.due_at,
        number=invoice.number,
        total=invoice.total,
        amount_remaining=invoice.amount_remaining,
        currency=invoice.currency,
        status=invoice.status,
        pdf_url=pdf_url,
        hosted_url=web_address(invoice.hosted_url),
    )


def _write(side: Literal["older", "newer"], invoice: Invoice) -> str:
    cursor = _Cursor(side=side, created_at=invoice.created_at, id=invoice.id)
    return base64.urlsafe_b64encode(cursor.model_dump_json().encode()).decode().rstrip("=")


def _parse(cursor: str) -> _Cursor:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        return _Cursor.model_validate_json(base64.b64decode(padded, b"-_", validate=True))
    except (ValueError, OverflowError):
        raise InvalidRequest("cursor: is not one that this site gave out.") from None
