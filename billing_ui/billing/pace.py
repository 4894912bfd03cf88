"""How fast work in the background may call a provider: one pace that all processes keep together.

A person who waits for an answer is never held up by it.
"""

import asyncio
import time
from typing import Any, Final

from sqlalchemy import BigInteger, case, cast, func, literal, update
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from billing_ui.billing.upsert import insert_if_absent
from billing_ui.database import Database
from billing_ui.models import ProviderPace
from billing_ui.settings import Provider

_SECOND: Final = 1_000_000
"""A second, in the microseconds that the table keeps."""
LONGEST_HOLD_SECONDS: Final = 300.0
"""So long at most one answer stops all work in the background.

Providers ask for seconds. Whatever asks for hours, a proxy or a slip of somebody's, must not leave every copy
out of date for as long; and who asks in earnest asks again.
"""


async def keep_pace(
    database: Database, provider: Provider, calls: int, calls_per_second: float
) -> None:
    """Return when `calls` calls may be made, which are then taken for made.

    Every call moves the time at which the next one may begin; that is all there is to remember (GCRA).

    Args:
        calls_per_second: how many all processes together may make.
    """
    cost = round(calls * _SECOND / calls_per_second)
    async with database.write() as session:
        now = _now(session)
        free_at, present = await _move(session, provider, _later(now) + cost, now)
    # No transaction is open meanwhile.
    await asyncio.sleep(max(free_at - cost - present, 0) / _SECOND)


async def hold_back(database: Database, provider: Provider, seconds: float) -> None:
    """Let no work in the background call a provider for so long: it has asked us to wait.

    Args:
        seconds: how long; no more than `LONGEST_HOLD_SECONDS` are obeyed.
    """
    microseconds = round(min(LONGEST_HOLD_SECONDS, seconds) * _SECOND)
    async with database.write() as session:
        now = _now(session)
        await _move(session, provider, _later(now + microseconds), now)


async def _move(session: AsyncSession, provider: Provider, to: Any, now: Any) -> tuple[int, int]:
    """Set when the next call may begin; returns that and the present, in microseconds."""
    await insert_if_absent(session, ProviderPace(provider=provider.value, next_call_at=0))
    statement = (
        update(ProviderPace)
        .where(col(ProviderPace.provider) == provider.value)
        .values(next_call_at=to)
        .returning(col(ProviderPace.next_call_at), now)
    )
    next_call_at, present = (await session.exec(statement)).one()
    return next_call_at, present


def _later(moment: Any) -> Any:
    next_call_at = col(ProviderPace.next_call_at)
    return case((next_call_at > moment, next_call_at), else_=moment)


def _now(session: AsyncSession) -> Any:
    """Return the present in microseconds, by a clock that all processes share: the database's."""
    if session.get_bind().dialect.name == "sqlite":
        # All of them run on one machine.
        return literal(time.time_ns() // 1000, BigInteger)
    return cast(func.extract("epoch", func.clock_timestamp()) * _SECOND, BigInteger)
