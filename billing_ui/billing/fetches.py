"""Who fetches what from the provider, and in which order results count: the protocol behind every copy we keep.

A row that mirrors something at the provider (a customer, the catalogue) carries integers. `wanted` goes up
whenever it may have changed there. A fetch takes the next `fetch_no` and remembers `wanted` before its first
provider call; its result is refused when a later fetch has begun, else `applied` becomes what it remembered.
`wanted > applied` means out of date. No clock takes part in any of it.

The lease keeps a second fetch of the same row from running at the same time, in whatever process. It only saves
work: should it expire while its holder still lives, the counters keep the result right. Who lost a lease is
refused even before the later fetch is applied, for it may have looked at the provider after the later one did:
what changed would be told backwards, and then again.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias, TypeVar
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Executable,
    Result,
    and_,
    case,
    func,
    literal_column,
    or_,
    update,
)
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from billing_ui.billing.wake import Wake
from billing_ui.clock import utc_now
from billing_ui.database import Database
from billing_ui.models import Catalog, Customer, Urgency
from billing_ui.models.columns import table_of
from billing_ui.payments.types import ProviderUnavailable
from billing_ui.settings import Provider
from billing_ui.telemetry import current_request_id

FETCH_TIMEOUT_SECONDS: Final = 25.0
LEASE: Final = timedelta(seconds=30)
"""Longer than a fetch may take: an expired lease belongs to a process that died."""
_WAIT_SECONDS: Final = 40.0
"""Longer than a lease: whoever waits for a fetch whose process died takes it over."""
_POLL_SECONDS: Final = 0.05
_MARKED_AT_ONCE: Final = 500
"""So few that whoever waits for one of these rows, or on SQLite for any, does not notice."""

T = TypeVar("T")
Mirror: TypeAlias = type[Customer] | type[Catalog]
Key: TypeAlias = UUID | str


class OutdatedFetch(Exception):
    """A result came too late: a later fetch has begun, or was even applied."""


@dataclass(frozen=True)
class Fetch:
    """One fetch under way: its place in the order, and what it will have seen.

    Attributes:
        number: its place among the fetches of this row.
        wanted: the row's `wanted` before the first provider call.
        owner: who holds the lease.
        marked_by: the id of the request that made the row out of date, for the logs.
    """

    number: int
    wanted: int
    owner: str
    marked_by: str | None = None


async def mark_out_of_date(session: AsyncSession, mirror: Mirror, key: Key) -> int:
    """Say that a row may have changed at the provider; returns the count that a fetch must have seen from now on.

    Raises:
        sqlalchemy.exc.NoResultFound: there is no such row.
    """
    statement = (
        update(table_of(mirror))
        .where(_key(mirror) == key)
        .values(**mark_values(mirror, current_request_id()))
        .returning(col(mirror.wanted))
    )
    wanted: int = (await _execute(session, statement)).scalar_one()
    return wanted


def mark_values(
    mirror: Mirror,
    request_id: Any = None,
    *,
    at: Any = None,
    bulk: bool = False,
) -> dict[str, Any]:
    """Return what an UPDATE sets in a row that may have changed at the provider.

    Args:
        request_id: of the request that says so, for the logs; a string or an SQL expression.
        at: when it says so (UTC), a datetime or an SQL expression; now, when it is None.
        bulk: it is said of many customers at once, to be sure, and can wait for those that somebody waits for.
    """
    values: dict[str, Any] = {"wanted": col(mirror.wanted) + 1}
    if mirror is Customer:
        at = utc_now() if at is None else at
        urgency = _urgency(bulk=bulk)
        keeps_its_place = and_(
            col(Customer.wanted) > col(Customer.applied),
            ~col(Customer.partial),
            col(Customer.urgency) <= urgency,
        )
        values |= {
            "partial": False,
            "parked_at": None,
            # What is raised stands behind those that were as urgent before, and is late from now on only.
            "marked_at": case(
                (keeps_its_place, func.coalesce(col(Customer.marked_at), at)), else_=at
            ),
            "marked_by": request_id,
            "urgency": case((keeps_its_place, col(Customer.urgency)), else_=urgency),
        }
    return values


def _urgency(*, bulk: bool) -> ColumnElement[int]:
    claimed, unclaimed = (
        (Urgency.BULK, Urgency.BULK_UNCLAIMED) if bulk else (Urgency.EVENT, Urgency.EVENT_UNCLAIMED)
    )
    return case((col(Customer.team_id).is_not(None), claimed.value), else_=unclaimed.value)


async def mark_all_out_of_date(database: Database, provider: Provider) -> int:
    """Say that every customer of a provider that was fetched whole may have changed there.

    They are fetched when nothing more urgent waits.

    Each few have a transaction of their own: nobody waits for all of them. Broken off, some are marked; marking
    them again does no harm.

    Returns:
        How many were marked.
    """
    customer, marked = table_of(Customer), 0
    ids: Sequence[UUID] = ()
    query = (
        select(Customer.id)
        .where(
            Customer.provider == provider.value,
            col(Customer.provider_customer_id).is_not(None),
            ~col(Customer.partial),
        )
        .order_by(col(Customer.id))
        .limit(_MARKED_AT_ONCE)
    )
    while True:
        async with database.read() as session:
            following = query.where(col(Customer.id) > ids[-1]) if ids else query
            ids = (await session.exec(following)).all()
        if not ids:
            return marked
        async with database.write() as session:
            if not database.is_sqlite:
                # In the order in which events are accepted, so that neither waits for the other.
                locking = (
                    select(customer.c.id)
                    .where(customer.c.id.in_(ids))
                    .order_by(customer.c.provider_customer_id.collate("C"))
                    .with_for_update(key_share=True)
                )
                await _execute(session, locking)
            marking = (
                update(customer)
                .where(customer.c.id.in_(ids))
                .values(**mark_values(Customer, bulk=True))
            )
            await _execute(session, marking)
        marked += len(ids)


async def begin_fetch(database: Database, mirror: Mirror, key: Key, goal: int) -> Fetch | None:
    """Take the lease of a row that has not reached `goal` yet, and the next place in its order.

    Returns:
        The fetch, or None: the row has reached the goal, or another fetch of it is running.
    """
    owner, now = secrets.token_hex(8), utc_now()
    statement = (
        update(table_of(mirror))
        .where(_key(mirror) == key, col(mirror.applied) < goal, _unleased(mirror, now))
        .values(**_lease(mirror, owner, now))
        .returning(col(mirror.fetch_no), col(mirror.wanted))
    )
    async with database.write() as session:
        row = (await _execute(session, statement)).one_or_none()
    return Fetch(row.fetch_no, row.wanted, owner) if row else None


async def begin_due_fetches(
    database: Database, provider: Provider, limit: int
) -> dict[UUID, Fetch]:
    """Take the leases of a provider's customers that the worker should fetch now.

    The most urgent come first, and of those the longest waiting.

    Args:
        limit: how many at most.

    Returns:
        The fetches that begin, by our id of the customer.
    """
    owner, now = secrets.token_hex(8), utc_now()
    # Processes that look at the same time pick different rows; whose a row is, the lease decides.
    due = _due(provider, now, limit).with_for_update(skip_locked=True).cte("due")
    statement = (
        update(table_of(Customer))
        .where(col(Customer.id).in_(select(due.c.id)))
        .values(**_lease(Customer, owner, now))
        .returning(
            col(Customer.id), col(Customer.fetch_no), col(Customer.wanted), col(Customer.marked_by)
        )
    )
    async with database.write() as session:
        rows = (await _execute(session, statement)).all()
    return {row.id: Fetch(row.fetch_no, row.wanted, owner, row.marked_by) for row in rows}


async def any_due(database: Database, provider: Provider) -> bool:
    """Return whether there is a customer of a provider that the worker should fetch now."""
    async with database.read() as session:
        return (await session.exec(_due(provider, utc_now(), 1))).first() is not None


def _due(provider: Provider, now: datetime, limit: int) -> SelectOfScalar[UUID]:
    return (
        select(Customer.id)
        .where(
            Customer.provider == provider.value,
            # Written as the index has it, so that both databases use it.
            literal_column("wanted > applied AND NOT partial"),
            col(Customer.parked_at).is_(None),
            or_(col(Customer.next_attempt_at).is_(None), col(Customer.next_attempt_at) <= now),
            _unleased(Customer, now),
            col(Customer.provider_customer_id).is_not(None),
        )
        # The index from its first column on: PostgreSQL does not conclude from IS NULL that `parked_at` orders
        # nothing, and would sort whatever waits for each look.
        .order_by(col(Customer.parked_at), col(Customer.urgency), col(Customer.marked_at))
        .limit(limit)
    )


def _lease(mirror: Mirror, owner: str, now: datetime) -> dict[str, Any]:
    return {
        "fetch_no": col(mirror.fetch_no) + 1,
        "lease_owner": owner,
        "lease_until": now + LEASE,
    }


def _unleased(mirror: Mirror, now: datetime) -> ColumnElement[bool]:
    return or_(col(mirror.lease_until).is_(None), col(mirror.lease_until) < now)


async def reach(
    database: Database,
    fetched: Wake,
    mirror: Mirror,
    key: Key,
    goal: int,
    fetch_once: Callable[[], Awaitable[T | None]],
) -> T | None:
    """Bring a row to `goal`: by a fetch of our own, or by waiting for one that is running, in whatever process.

    Args:
        fetched: rings when a fetch of this process has ended.
        fetch_once: fetches and applies the row; None when another fetch is running or came first.

    Returns:
        What `fetch_once` returned, or None when somebody else's fetch reached the goal.

    Raises:
        ProviderUnavailable: nobody reached it for longer than a lease lasts.
    """
    give_up_at = asyncio.get_running_loop().time() + _WAIT_SECONDS
    while True:
        rings = fetched.rings
        result = await fetch_once()
        if result is not None:
            return result
        reached, leased = await _standing(database, mirror, key, goal)
        while leased and not reached:
            if asyncio.get_running_loop().time() > give_up_at:
                raise ProviderUnavailable
            # Another process rings no bell here.
            await fetched.wait(_POLL_SECONDS, since=rings)
            rings = fetched.rings
            reached, leased = await _standing(database, mirror, key, goal)
        if reached:
            return None


async def _standing(database: Database, mirror: Mirror, key: Key, goal: int) -> tuple[bool, bool]:
    """Return whether a row has reached `goal`, and whether somebody is fetching it."""
    query = select(mirror.applied, mirror.lease_until).where(_key(mirror) == key)
    async with database.read() as session:
        applied, lease_until = (await session.exec(query)).one()
    return applied >= goal, lease_until is not None and lease_until >= utc_now()


async def accept_fetch(
    session: AsyncSession,
    mirror: Mirror,
    key: Key,
    fetch: Fetch,
    values: Mapping[str, Any],
    *,
    partial: bool = False,
) -> None:
    """Let the result of `fetch` count, and write `values` beside the counters.

    From here to the end of the transaction no other result can be written to this row. The lease ends with it.

    Args:
        partial: the result is not whole, so the row stays as out of date as it is.

    Raises:
        OutdatedFetch: a later fetch has begun, or this one was accepted before.
    """
    reached = {} if partial else {"applied": fetch.wanted}
    statement = (
        update(table_of(mirror))
        .where(
            _key(mirror) == key,
            col(mirror.fetch_no) == fetch.number,
            col(mirror.applied_fetch_no) < fetch.number,
        )
        .values(
            applied_fetch_no=fetch.number, lease_owner=None, lease_until=None, **reached, **values
        )
        .returning(col(mirror.applied_fetch_no))
    )
    if (await _execute(session, statement)).one_or_none() is None:
        raise OutdatedFetch


async def abandon_fetch(database: Database, mirror: Mirror, key: Key, fetch: Fetch) -> None:
    """Give the lease of a fetch back that came to nothing, unless another holds it by now."""
    async with database.write() as session:
        await give_back(session, mirror, key, fetch, {})


async def give_back(
    session: AsyncSession, mirror: Mirror, key: Key, fetch: Fetch, values: Mapping[str, Any]
) -> None:
    """Give the lease of a fetch back and write `values`, unless another holds it by now."""
    statement = (
        update(table_of(mirror))
        .where(_key(mirror) == key, col(mirror.lease_owner) == fetch.owner)
        .values(lease_owner=None, lease_until=None, **values)
    )
    await _execute(session, statement)


async def _execute(session: AsyncSession, statement: Executable) -> Result[Any]:
    # Not through the session: it would look for objects of its own that the statement changes.
    connection = await session.connection()
    return await connection.execute(statement)


def _key(mirror: Mirror) -> Any:
    return col(Catalog.provider) if mirror is Catalog else col(Customer.id)
