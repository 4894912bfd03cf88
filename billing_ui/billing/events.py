"""Looking at the inbox: which events came, what one says, and letting one count once more."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlmodel import col, select, tuple_
from sqlmodel.ext.asyncio.session import AsyncSession

from billing_ui.accounts.audit import OPERATOR, Actor, AuditAction, record
from billing_ui.billing.arrivals import mark_again
from billing_ui.billing.services import Services
from billing_ui.models import Customer, InboxEvent
from billing_ui.models.columns import left_out
from billing_ui.payments.types import InvalidRequest
from billing_ui.telemetry import redact

MAX_EVENTS = 500


@dataclass(frozen=True)
class EventPage:
    """Some events, newest arrival first; `next_after` is the id to go on after, None on the last page."""

    events: tuple[InboxEvent, ...]
    next_after: str | None


async def list_events(
    services: Services,
    *,
    type_: str = "",
    customer: str = "",
    provider: str = "",
    since: datetime | None = None,
    after: str = "",
    limit: int = 50,
) -> EventPage:
    """Return events in the order in which they arrived, newest first, without their payloads.

    Args:
        type_: of this type only; with a `*` at its end, of every type that begins so.
        customer: that concern this customer, by the provider's id.
        provider: of this provider.
        since: that arrived at or after this moment (aware).
        after: that arrived before the event of this id, for the next page.
        limit: how many at most, from 1 to 500.

    Raises:
        InvalidRequest: there is no event `after`.
    """
    limit = min(max(limit, 1), MAX_EVENTS)
    place = tuple_(col(InboxEvent.received_at), col(InboxEvent.provider), col(InboxEvent.id))
    query = select(InboxEvent).options(left_out(InboxEvent.payload))
    if type_.endswith("*"):
        query = query.where(col(InboxEvent.type).startswith(type_[:-1], autoescape=True))
    elif type_:
        query = query.where(InboxEvent.type == type_)
    if customer:
        query = query.where(InboxEvent.provider_customer_id == customer)
    if provider:
        query = query.where(InboxEvent.provider == provider)
    if since is not None:
        query = query.where(InboxEvent.received_at >= since)
    async with services.database.read() as session:
        if after:
            last = await _event(session, after)
            query = query.where(place < (last.received_at, last.provider, last.id))
        query = query.order_by(*(column.desc() for column in place.clauses)).limit(limit + 1)
        rows = (await session.exec(query)).all()
    return EventPage(tuple(rows[:limit]), rows[limit - 1].id if len(rows) > limit else None)


async def show_event(services: Services, event_id: str) -> InboxEvent:
    """Return an event with its payload.

    Raises:
        InvalidRequest: there is none of this id.
    """
    async with services.database.read() as session:
        return await _event(session, event_id)


def payload_text(event: InboxEvent) -> str:
    """Return an event's payload as indented JSON to be read, without secrets."""
    return redact(json.dumps(event.payload, indent=2, ensure_ascii=False))


async def replay_event(services: Services, event_id: str, actor: Actor = OPERATOR) -> InboxEvent:
    """Let an event count once more: mark the customer or the catalogue that it concerns out of date again.

    The audit log of the team that it concerns tells who did it.

    Returns:
        The event. One that concerns neither is returned too, and marks nothing.

    Raises:
        InvalidRequest: there is none of this id.
    """
    async with services.database.write(durable=True) as session:
        event = await _event(session, event_id)
        await mark_again(session, event)
        await record(
            session,
            AuditAction.EVENTS_REPLAYED,
            team_id=await _team_of(session, event),
            actor=actor,
            target=event.id,
            details={"type": event.type},
        )
    services.work.ring()
    return event


async def _team_of(session: AsyncSession, event: InboxEvent) -> UUID | None:
    """Return the team whose customer an event concerns; None when it concerns none, or nobody's."""
    query = select(Customer.team_id).where(
        Customer.provider == event.provider,
        Customer.provider_customer_id == event.provider_customer_id,
    )
    return (await session.exec(query)).first()


async def _event(session: AsyncSession, event_id: str) -> InboxEvent:
    events: Sequence[InboxEvent] = (
        await session.exec(select(InboxEvent).where(InboxEvent.id == event_id))
    ).all()
    if not events:
        raise InvalidRequest(f"No event {event_id} in the inbox. Events are kept for 30 days.")
    # Two providers giving the same id would be a wonder; the newer one is as good as any.
    return max(events, key=lambda event: event.received_at)
