"""Work that comes round by itself: recovery, reconciliation and pruning, each done by one process at a time."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, TypeAlias

import structlog
from sqlmodel import col, select

from billing_ui.billing.backoff import retry_delay
from billing_ui.billing.job_rows import LostTurn, Turn, end_turn, hold, next_look, take_turn
from billing_ui.billing.pruning import prune
from billing_ui.billing.reconcile import reconcile_in_turn
from billing_ui.billing.recovery import position_row, recover
from billing_ui.billing.services import Services
from billing_ui.clock import utc_now
from billing_ui.models import Job
from billing_ui.payments.driver import Driver
from billing_ui.payments.types import PaymentError, ProviderUnavailable
from billing_ui.settings import EventsMode

log = structlog.get_logger(__name__)

RECOVER_EVERY: Final = timedelta(minutes=5)
POLL_EVERY: Final = timedelta(seconds=10)
RECONCILE_EVERY: Final = timedelta(days=1)
RECONCILE_WITHOUT_EVENTS_EVERY: Final = timedelta(minutes=15)
PRUNE_EVERY: Final = timedelta(days=1)

_WITHOUT_DATABASE_SECONDS: Final = 5.0
_LOOK_AGAIN_SECONDS: Final = (1.0, 300.0)
"""The shortest and the longest wait before a job's row is looked at again."""
_MAX_ERROR_LENGTH: Final = 500

Work: TypeAlias = Callable[[Services, Turn], Coroutine[Any, Any, object]]


@dataclass(frozen=True)
class RecurringJob:
    """Work that comes round.

    Attributes:
        name: of its row in table `job`.
        every: from the end of one turn to the beginning of the next, unless it failed.
        work: does it once; what it must remember, whatever ends it, it keeps in the row of its turn.
        at_start: whether a process that starts does it at once, due or not.
    """

    name: str
    every: timedelta
    work: Work
    at_start: bool = False


async def run_jobs(services: Services) -> None:
    """Do every job when it is due, until cancelled.

    A job that fails is tried again, later after each failure, and disturbs no other. When the process
    dies, another takes its jobs over as soon as their leases end.
    """
    async with asyncio.TaskGroup() as group:
        for job in jobs_of(services):
            group.create_task(_keep_doing(services, job))


def jobs_of(services: Services) -> tuple[RecurringJob, ...]:
    """Return the jobs there are; what a provider's are depends on what it can do.

    Each provider has its own: one that fails, such as a legacy one whose key was revoked, delays no other.
    """
    polling = services.settings.events_mode is EventsMode.POLL
    found = [RecurringJob("prune", PRUNE_EVERY, _prune)]
    for driver in services.drivers.usable():
        name, comparing = driver.provider.value, _reconciling(driver)
        if driver.capabilities.event_list:
            every = POLL_EVERY if polling else RECOVER_EVERY
            recovery = position_row(driver.provider)
            found.append(RecurringJob(recovery, every, _recovering(driver), at_start=True))
            found.append(RecurringJob(f"reconcile:{name}", RECONCILE_EVERY, comparing))
        else:
            # What a provider does not tell is found by comparing.
            every = RECONCILE_WITHOUT_EVENTS_EVERY
            found.append(RecurringJob(f"compare:{name}", every, comparing, at_start=True))
    return tuple(found)


async def known_jobs(services: Services) -> tuple[Job, ...]:
    """Return what the rows of the jobs say, by name; one that is no longer done has nothing to tell any more."""
    names = [job.name for job in jobs_of(services)]
    query = select(Job).where(col(Job.name).in_(names)).order_by(col(Job.name))
    async with services.database.read() as session:
        return tuple(await session.exec(query))


async def run_job(services: Services, job: RecurringJob, *, at_once: bool = False) -> bool:
    """Do a job if it is due and no other process is at it; its failure is written down, not raised.

    Args:
        at_once: do it although it is not due yet.

    Returns:
        Whether it was done, well or badly.
    """
    first_due = utc_now() if job.at_start else utc_now() + job.every
    turn = await take_turn(services.database, job.name, first_due=first_due, at_once=at_once)
    if turn is None:
        return False
    try:
        await hold(services.database, turn, job.work(services, turn))
    except LostTurn as error:
        log.warning("job_lost", job=job.name, error=str(error))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is written down and tried again
        await _failed(services, turn, error)
    except BaseException:
        # Cancelled: whoever comes next need not wait for the lease to end.
        await end_turn(services.database, turn, {})
        raise
    else:
        values = {"due_at": utc_now() + job.every, "failures": 0, "error": None}
        await end_turn(services.database, turn, values | {"finished_at": utc_now()})
        if turn.failures:
            log.info("job_mended", job=job.name, failures=turn.failures)
    return True


async def _keep_doing(services: Services, job: RecurringJob) -> None:
    at_once, trouble = job.at_start, ""
    while True:
        try:
            await run_job(services, job, at_once=at_once)
            at_once, trouble = False, ""
            wait = await _seconds_to_wait(services, job)
        except Exception as error:
            # The database itself fails, so nothing can be written down. It comes back, sooner or later.
            if trouble != (trouble := type(error).__name__):
                log.exception("job_not_begun", job=job.name, error=trouble)
            wait = _WITHOUT_DATABASE_SECONDS
        await asyncio.sleep(wait)


async def _seconds_to_wait(services: Services, job: RecurringJob) -> float:
    due = await next_look(services.database, job.name)
    shortest, longest = _LOOK_AGAIN_SECONDS
    wait = (due - utc_now()).total_seconds() if due else 0.0
    return min(max(wait, shortest), longest)


async def _failed(services: Services, turn: Turn, error: Exception) -> None:
    expected = isinstance(error, PaymentError)
    text = (str(error) if expected else f"{type(error).__name__}: {error}")[:_MAX_ERROR_LENGTH]
    # The same failure again is no news.
    if text != turn.error:
        log.error("job_failed", job=turn.name, error=text, exc_info=None if expected else error)
    failures = turn.failures + 1
    asked = error.retry_after if isinstance(error, ProviderUnavailable) else None
    due = utc_now() + retry_delay(failures, random.random(), retry_after=asked)  # noqa: S311
    await end_turn(services.database, turn, {"due_at": due, "failures": failures, "error": text})


def _recovering(driver: Driver) -> Work:
    async def recovering(services: Services, _turn: Turn) -> None:
        await recover(services, driver)

    return recovering


def _reconciling(driver: Driver) -> Work:
    async def reconciling(services: Services, turn: Turn) -> None:
        await reconcile_in_turn(services, turn, drivers=[driver], fix=True, partial=False)

    return reconciling


async def _prune(services: Services, _turn: Turn) -> None:
    await prune(services)
