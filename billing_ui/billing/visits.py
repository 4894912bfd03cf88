"""Trips to the provider's portal and checkout: recorded when they begin, settled when the person is back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from urllib.parse import quote
from uuid import UUID

from sqlalchemy import bindparam, delete, insert, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from billing_ui.accounts.audit import AuditAction, record_directly
from billing_ui.accounts.permissions import Action, require
from billing_ui.accounts.sessions import Identity
from billing_ui.billing.changes import Change, NextDate, load_changes
from billing_ui.billing.comparison import next_date
from billing_ui.billing.customers import current_customer, driver_of, usable_customer
from billing_ui.billing.fetches import mark_out_of_date
from billing_ui.billing.return_urls import BILLING_PAGE, RETURN_PAGE, SIGN_IN_PAGE
from billing_ui.billing.services import Services
from billing_ui.billing.sync import sync_customer
from billing_ui.clock import utc_now
from billing_ui.database import Database
from billing_ui.direct import Direct
from billing_ui.models import Customer, CustomerSnapshot, PortalVisit, VisitKind
from billing_ui.models.columns import left_out, table_of
from billing_ui.payments.types import Capabilities, FlowType, PaymentError, Snapshot
from billing_ui.settings import Settings

_ACTIONS: Final = {
    VisitKind.PORTAL: AuditAction.PORTAL_VISIT,
    VisitKind.CHECKOUT: AuditAction.CHECKOUT,
}
_OPEN_FOR: Final = timedelta(hours=24)
"""So long a return belongs to its visit; later, what changed has other causes as well."""
_SHOWN_FOR: Final = timedelta(hours=24)
"""So long what came of a visit is shown to someone who does not dismiss it."""


# The snapshot is copied inside the database, for it may be long and nobody reads it here.
_RECORD_VISIT: Final[Direct[tuple[()]]] = Direct(
    insert(table_of(PortalVisit)).values(
        before=select(CustomerSnapshot.data)
        .where(col(CustomerSnapshot.customer_id) == bindparam("snapshot_of"))
        .scalar_subquery(),
        **{
            name: bindparam(name)
            for name in (
                *("id", "customer_id", "team_id", "user_id"),
                *("kind", "flow", "return_url", "created_at"),
            )
        },
    ),
    tuple,
)


@dataclass(frozen=True)
class ReturnOutcome:
    """What came of a return, and where to go on.

    Attributes:
        kind: `synced`, our tables are up to date; `failed`, the provider could not tell; `sign_in`,
            nobody is signed in; `unknown`, this is no visit of whoever asks.
        next_url: an allowed return URL or a page of ours.
        changes: what changed; None when that is not known.
        error: the sentence to show when `failed`.
    """

    kind: Literal["synced", "failed", "sign_in", "unknown"]
    next_url: str
    changes: tuple[Change, ...] | None = None
    error: str | None = None


@dataclass(frozen=True)
class VisitBanner:
    """What came of somebody's last visit, until they dismiss it.

    Attributes:
        changes: what changed; None when the state before was unknown.
        plan, upcoming: the plan as it is now, to be said when nothing changed.
    """

    visit_id: UUID
    kind: VisitKind
    returned_at: datetime
    changes: tuple[Change, ...] | None
    plan: str | None
    upcoming: NextDate | None


def visit_return_url(settings: Settings, visit_id: UUID) -> str:
    """Return the absolute URL the provider sends the person back to."""
    return f"{settings.base_url}{RETURN_PAGE}?visit={visit_id}"


async def record_visit(
    database: Database,
    visit_id: UUID,
    identity: Identity,
    customer_id: UUID,
    kind: VisitKind,
    *,
    return_url: str | None,
    flow: FlowType | None = None,
) -> None:
    """Write that somebody goes to the provider, together with the state as we know it before; committed then.

    It need not outlive a loss of power: without it the person comes back to the billing page as it is.
    """
    await database.execute(
        _RECORD_VISIT,
        id=visit_id,
        customer_id=customer_id,
        team_id=identity.team_id,
        user_id=identity.user_id,
        kind=kind.value,
        flow=flow.value if flow else None,
        return_url=return_url,
        created_at=utc_now(),
        snapshot_of=customer_id,
    )


async def tell_of_visit(
    database: Database,
    visit_id: UUID,
    identity: Identity,
    kind: VisitKind,
    *,
    target: str = "",
    flow: FlowType | None = None,
) -> None:
    """Write in the audit log that somebody goes to the provider.

    Once the provider has let them in, and before they get its address: what is in the log has happened, and
    nobody goes without being in it.

    Args:
        target: what they go for, such as the plan they want to buy.
    """
    await record_directly(
        database,
        _ACTIONS[kind],
        team_id=identity.team_id,
        actor=identity.actor,
        target=target,
        details={"visit": str(visit_id)} | ({"flow": flow.value} if flow else {}),
    )


async def forget_visit(session: AsyncSession, customer_id: UUID, visit_id: UUID) -> None:
    """Delete a visit to the portal of `customer_id` that did not come about.

    The customer's row is locked first, as by whoever applies a snapshot: that may write of this visit that
    something was changed in it.
    """
    lock = select(Customer.id).where(Customer.id == customer_id).with_for_update(key_share=True)
    await session.exec(lock)
    await session.exec(delete(PortalVisit).where(col(PortalVisit.id) == visit_id))


async def return_from_visit(
    services: Services, visit_id: str, identity: Identity | None
) -> ReturnOutcome:
    """Bring the copy of a visit's customer up to date, and say what the visit changed.

    The id comes from the address and grants nothing: whose visit it is not learns nothing from it, and
    marks the customer out of date at most. Doing it again does no harm.
    """
    visit = await _find(services, visit_id)
    if identity is None:
        if visit is not None:
            await _mark(services, visit, None)
        back = quote(f"{RETURN_PAGE}?visit={quote(visit_id, safe='', errors='replace')}", safe="")
        return ReturnOutcome("sign_in", f"{SIGN_IN_PAGE}?next={back}")
    if visit is None:
        return ReturnOutcome("unknown", BILLING_PAGE)
    if not _is_theirs(visit, identity):
        await _mark(services, visit, None)
        return ReturnOutcome("unknown", BILLING_PAGE)
    next_url = visit.return_url or BILLING_PAGE
    lately = utc_now() - visit.created_at < _OPEN_FOR
    goal = await _mark(services, visit, identity if lately else None)
    try:
        await sync_customer(services, visit.customer_id, after=goal)
    except PaymentError as error:
        return ReturnOutcome("failed", next_url, error=str(error))
    settled = await _find(services, visit_id)
    return ReturnOutcome("synced", next_url, _changes(settled) if settled else None)


async def visited_provider(
    services: Services, visit_id: str, identity: Identity | None
) -> str | None:
    """Return which provider somebody comes back from, None when this is no visit of theirs."""
    key = _as_uuid(visit_id)
    if key is None or identity is None:
        return None
    query = (
        select(PortalVisit, Customer.provider)
        .join(Customer, col(Customer.id) == col(PortalVisit.customer_id))
        .where(PortalVisit.id == key)
    )
    async with services.database.read() as session:
        row = (await session.exec(query)).first()
    return row[1] if row and _is_theirs(row[0], identity) else None


async def come_back(services: Services, identity: Identity) -> None:
    """Fetch the team's billing anew, because somebody says that they are back from where no link leads back.

    What came of their last trip is told as after any other; of those before it, it is not.

    Raises:
        NoTeam, NotAllowed: who asks may not.
        NoCustomer, ProviderMismatch: there is nothing that a provider could be asked about.
        PaymentError: as `sync_customer`; what came of it is told once a sync succeeds.
    """
    team_id, providers = require(identity, Action.SYNC), services.settings.served_providers
    async with services.database.read() as session:
        customer = usable_customer(await current_customer(session, team_id, providers), providers)
        capabilities = driver_of(services.drivers, customer).capabilities
        away = await read_away(session, identity, customer, capabilities)
    if not away:
        await sync_customer(services, customer.id)
        return
    async with services.database.write() as session:
        # All but the last: two that end together would tell the same twice.
        await session.exec(
            update(PortalVisit)
            .where(col(PortalVisit.id).in_([visit.id for visit in away[1:]]))
            .values(dismissed_at=utc_now())
        )
    goal = await _mark(services, away[0], identity)
    await sync_customer(services, customer.id, after=goal)


async def read_away(
    session: AsyncSession, identity: Identity, customer: Customer, capabilities: Capabilities
) -> Sequence[PortalVisit]:
    """Return the person's trips that no link leads back from, and that they have not come back from.

    Args:
        capabilities: of the provider of `customer`.

    Returns:
        The last one first.
    """
    kinds = [
        kind.value
        for kind, returns in (
            (VisitKind.PORTAL, capabilities.returns),
            (VisitKind.CHECKOUT, capabilities.checkout_returns),
        )
        if not returns
    ]
    if not kinds or not (identity.may(Action.SYNC) and identity.may(Action.VIEW_INVOICES)):
        return ()
    query = (
        select(PortalVisit)
        .options(left_out(PortalVisit.before))
        .where(
            PortalVisit.user_id == identity.user_id,
            PortalVisit.team_id == identity.team_id,
            col(PortalVisit.returned_at).is_(None),
            col(PortalVisit.dismissed_at).is_(None),
            PortalVisit.customer_id == customer.id,
            col(PortalVisit.kind).in_(kinds),
            col(PortalVisit.created_at) > utc_now() - _OPEN_FOR,
        )
        .order_by(col(PortalVisit.created_at).desc())
    )
    return (await session.exec(query)).all()


async def read_outcome(session: AsyncSession, identity: Identity) -> VisitBanner | None:
    """Return what came of the person's last visit in this team, or None: none lately, dismissed, or still unknown."""
    if identity.team_id is None or not identity.may(Action.VIEW_INVOICES):
        return None
    query = (
        select(PortalVisit, CustomerSnapshot.data)
        .outerjoin(
            CustomerSnapshot, col(CustomerSnapshot.customer_id) == col(PortalVisit.customer_id)
        )
        .where(
            PortalVisit.returned_user_id == identity.user_id,
            PortalVisit.team_id == identity.team_id,
            col(PortalVisit.returned_at) > utc_now() - _SHOWN_FOR,
        )
        .order_by(col(PortalVisit.returned_at).desc())
        .limit(1)
    )
    row = (await session.exec(query)).first()
    if row is None:
        return None
    visit, snapshot = row
    if visit.returned_at is None or visit.synced_at is None or visit.dismissed_at is not None:
        return None
    plan, upcoming = _plan_now(snapshot)
    return VisitBanner(
        visit_id=visit.id,
        kind=VisitKind(visit.kind),
        returned_at=visit.returned_at,
        changes=_changes(visit),
        plan=plan,
        upcoming=upcoming,
    )


async def dismiss_visit(services: Services, identity: Identity, visit_id: str) -> None:
    """Show no longer what came of a visit; does nothing when it is not one of the person's."""
    key = _as_uuid(visit_id)
    if key is None:
        return
    async with services.database.write() as session:
        await session.exec(
            update(PortalVisit)
            .where(
                col(PortalVisit.id) == key,
                col(PortalVisit.returned_user_id) == identity.user_id,
                col(PortalVisit.team_id) == identity.team_id,
                col(PortalVisit.dismissed_at).is_(None),
            )
            .values(dismissed_at=utc_now())
        )


async def _find(services: Services, visit_id: str) -> PortalVisit | None:
    key = _as_uuid(visit_id)
    if key is None:
        return None
    async with services.database.read() as session:
        return await session.get(PortalVisit, key)


async def _mark(services: Services, visit: PortalVisit, returned: Identity | None) -> int:
    """Mark the customer out of date; a visit that somebody has `returned` from waits for the sync that sees this."""
    async with services.database.write() as session:
        goal = await mark_out_of_date(session, Customer, visit.customer_id)
        if returned:
            await session.exec(
                update(PortalVisit)
                .where(col(PortalVisit.id) == visit.id)
                .values(
                    returned_at=utc_now(),
                    returned_user_id=returned.user_id,
                    wanted=goal,
                    synced_at=None,
                )
            )
    if not returned:
        # Nobody waits here for a sync; the worker does it.
        services.work.ring()
    return goal


def _is_theirs(visit: PortalVisit, identity: Identity) -> bool:
    return (
        visit.team_id == identity.team_id
        and visit.user_id in (None, identity.user_id)
        and identity.may(Action.SYNC)
        and identity.may(Action.VIEW_INVOICES)
    )


def _changes(visit: PortalVisit) -> tuple[Change, ...] | None:
    return None if visit.changes is None else load_changes(visit.changes)


def _plan_now(document: Mapping[str, Any] | None) -> tuple[str | None, NextDate | None]:
    if document is None:
        return None, None
    live = [s for s in Snapshot.model_validate(document).subscriptions if s.state.live]
    if len(live) != 1 or not live[0].items:
        return None, None
    return live[0].items[0].plan_name, next_date(live[0])


def _as_uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
