"""The rows of table `job`: whose turn it is to do a job, and what the job remembers from turn to turn.

The lease keeps a second process from doing the same job at the same time. It only saves work: every job does no
harm when it runs twice. So clocks that differ a little between machines do no harm either.
"""

import asyncio
import secrets
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

import structlog
from sqlalchemy import or_, update
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from billing_ui.billing.upsert import insert_if_absent
from billing_ui.clock import utc_now
from billing_ui.database import Database
from billing_ui.models import Job

log = structlog.get_logger(__name__)

LEASE: Final = timedelta(seconds=20)
"""A lease not renewed for so long belongs to a process that died."""
_RENEW_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 0.5
_LOST: Final = "Another process took over the job {}."

T = TypeVar("T")


class LostTurn(Exception):
    """Another process took the job over: this one was not heard of for longer than a lease lasts."""


@dataclass(frozen=True)
class Turn:
    """This process's turn at a job.

    Attributes:
        name: of the job.
        owner: who holds the lease.
        failures: how often the job failed since it last went well.
        error: what it last failed with, None when it went well.
    """

    name: str
    owner: str
    failures: int
    error: str | None


async def take_turn(
    database: Database, name: str, *, first_due: datetime, at_once: bool = False
) -> Turn | None:
    """Take the lease of a job that is due.

    Args:
        first_due: when a job that has never run is due (UTC).
        at_once: take it although it is not due yet.

    Returns:
        The turn, or None: the job is not due, or another process is at it.
    """
    owner, now = secrets.token_hex(8), utc_now()
    statement = (
        update(Job)
        .where(
            col(Job.name) == name,
            or_(col(Job.lease_until).is_(None), col(Job.lease_until) < now),
        )
        .values(lease_owner=owner, lease_until=now + LEASE, started_at=now)
        .returning(col(Job.failures), col(Job.error))
    )
    if not at_once:
        statement = statement.where(or_(col(Job.due_at).is_(None), col(Job.due_at) <= now))
    try:
        async with database.write() as session:
            await insert_if_absent(session, Job(name=name, due_at=first_due))
            row = (await session.exec(statement)).one_or_none()
    except asyncio.CancelledError:
        # It may have been committed all the same.
        await end_turn(database, Turn(name, owner, 0, None), {})
        raise
    return Turn(name, owner, row.failures, row.error) if row else None


async def await_turn(database: Database, name: str) -> Turn | None:
    """Take the lease of a job, due or not, and wait for it when the process that holds it seems to have died.

    Returns:
        The turn, or None: another process is at it, for it renewed its lease meanwhile.
    """
    first_seen: datetime | None = None
    while True:
        turn = await take_turn(database, name, first_due=utc_now(), at_once=True)
        if turn is not None:
            return turn
        query = select(Job.lease_until).where(Job.name == name)
        async with database.read() as session:
            lease_until = (await session.exec(query)).one()
        if first_seen is None:
            first_seen = lease_until
            log.warning("job_waits", job=name, why="another run may have died: its lease must end")
        elif lease_until != first_seen:
            return None
        await asyncio.sleep(_LOOK_SECONDS)


async def hold(database: Database, turn: Turn, work: Coroutine[Any, Any, T]) -> T:
    """Return what `work` does, while the lease of its turn is renewed.

    Raises:
        LostTurn: another process has the job by now; `work` was cancelled.
    """
    doing = asyncio.create_task(work)
    renewing = asyncio.create_task(_renew(database, turn))
    try:
        await asyncio.wait({doing, renewing}, return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            raise LostTurn(_LOST.format(turn.name))
        return doing.result()
    finally:
        doing.cancel()
        renewing.cancel()
        await asyncio.gather(doing, renewing, return_exceptions=True)


async def end_turn(database: Database, turn: Turn, values: Mapping[str, Any]) -> None:
    """Give the lease back and write `values`, unless another process has the job by now.

    It is done although the caller is canceled meanwhile: nobody should wait for a lease that no one uses.
    """
    ending = asyncio.create_task(_end_turn(database, turn, values))
    try:
        await asyncio.shield(ending)
    except asyncio.CancelledError:
        await asyncio.wait([ending])
        raise


async def _end_turn(database: Database, turn: Turn, values: Mapping[str, Any]) -> None:
    statement = (
        update(Job)
        .where(col(Job.name) == turn.name, col(Job.lease_owner) == turn.owner)
        .values(lease_owner=None, lease_until=None, **values)
    )
    async with database.write() as session:
        await session.exec(statement)


async def next_look(database: Database, name: str) -> datetime | None:
    """Return when a job is due or its lease ends, whichever is later; None when that is now."""
    query = select(Job.due_at, Job.lease_until).where(Job.name == name)
    async with database.read() as session:
        row = (await session.exec(query)).one_or_none()
    return max((moment for moment in row or () if moment), default=None)


async def remembered(session: AsyncSession, name: str, *, lock: bool = False) -> dict[str, Any]:
    """Return what a job remembers; with `lock` nobody else can change it before this transaction ends."""
    query = select(Job.state).where(Job.name == name)
    if lock:
        query = query.with_for_update()
    return dict((await session.exec(query)).one_or_none() or {})


async def remember(session: AsyncSession, name: str, state: Mapping[str, Any]) -> None:
    """Let a job remember `state`, JSON, in place of what it remembered."""
    await insert_if_absent(session, Job(name=name))
    await session.exec(update(Job).where(col(Job.name) == name).values(state=dict(state)))


async def keep(session: AsyncSession, turn: Turn, state: Mapping[str, Any]) -> None:
    """Let the job of a turn remember `state`, JSON, in place of what it remembered.

    Raises:
        LostTurn: another process has the job by now, and remembers more.
    """
    statement = (
        update(Job)
        .where(col(Job.name) == turn.name, col(Job.lease_owner) == turn.owner)
        .values(state=dict(state))
        .returning(col(Job.name))
    )
    if (await session.exec(statement)).one_or_none() is None:
        raise LostTurn(_LOST.format(turn.name))


async def _renew(database: Database, turn: Turn) -> None:
    """Renew the lease again and again; returns when another process has it."""
    statement = (
        update(Job)
        .where(col(Job.name) == turn.name, col(Job.lease_owner) == turn.owner)
        .returning(col(Job.name))
    )
    held = True
    while held:
        await asyncio.sleep(_RENEW_SECONDS)
        try:
            async with database.write() as session:
                renewed = await session.exec(statement.values(lease_until=utc_now() + LEASE))
                held = renewed.one_or_none() is not None
        except (SQLAlchemyError, OSError) as error:
            # The work meets the same database, and fails if it must.
            log.warning("job_lease_not_renewed", job=turn.name, error=type(error).__name__)
