"""Work that comes round by itself: recovery, reconciliation and pruning, each done by one process at a time."""

import asyncio
import random
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import structlog

from billing_ui.billing.backoff import retry_delay
from billing_ui.billing.job_rows import LostTurn, Turn, end_turn, hold, next_look, take_turn
from billing_ui.billing.pruning import prune
from billing_ui.billing.reconcile import reconcile_in_turn
from billing_ui.billing.recovery import recover
from billing_ui.billing.services import Services
from billing_ui.clock import utc_now
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
    work: Callable[[Services, Turn], Coroutine[Any, Any, object]]
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
    """Return the jobs there are; which ones depends on what the served providers can do."""
    drivers = services.drivers.usable()
    listing = [driver for driver in drivers if driver.capabilities.event_list]
    others = [driver for driver in drivers if not driver.capabilities.event_list]
    found = [RecurringJob("prune", PRUNE_EVERY, _prune)]
    # Where no provider has a key, recovery says so.
    if listing or not others:
        polling = services.settings.events_mode is EventsMode.POLL
        every = POLL_EVERY if polling else RECOVER_EVERY
        found.append(RecurringJob("recovery", every, _recover, at_start=True))
        found.append(RecurringJob("reconcile", RECONCILE_EVERY, _reconciling(listing)))
    if others:
        # What a provider does not tell is found by comparing.
        every = RECONCILE_WITHOUT_EVENTS_EVERY
        found.append(RecurringJob("compare", every, _reconciling(others), at_start=True))
    return tuple(found)


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


async def _recover(services: Services, _turn: Turn) -> None:
    await recover(services)


def _reconciling(
    drivers: Sequence[Driver],
) -> Callable[[Services, Turn], Coroutine[Any, Any, object]]:
    async def reconcile(services: Services, turn: Turn) -> None:
        await reconcile_in_turn(services, turn, drivers=drivers, fix=True, partial=False)

    return reconcile


async def _prune(services: Services, _turn: Turn) -> None:
    await prune(services)
