"""Work that comes round by itself: one process at a time, again after a failure, taken over from the dead."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import update
from sqlmodel import col, select

from billing_ui.billing import job_rows
from billing_ui.billing.job_rows import LEASE, LostTurn, Turn, end_turn, hold, keep, take_turn
from billing_ui.billing.jobs import (
    POLL_EVERY,
    RECOVER_EVERY,
    RecurringJob,
    jobs_of,
    run_job,
    run_jobs,
)
from billing_ui.billing.services import Services
from billing_ui.clock import utc_now
from billing_ui.models import Job
from billing_ui.payments.types import Capabilities, ProviderUnavailable
from billing_ui.settings import EventsMode
from tests.unit.billing.fake_driver import FakeDriver


class Work:
    """Work that a test holds, or lets fail."""

    def __init__(self) -> None:
        self.done = 0
        self.begun = asyncio.Event()
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.failure: Exception | None = None
        self.ended = 0

    async def __call__(self, _services: Services, _turn: Turn) -> None:
        self.begun.set()
        try:
            await self.may_end.wait()
        finally:
            self.ended += 1
        if self.failure:
            raise self.failure
        self.done += 1

    def job(self, *, at_start: bool = True, every: timedelta = timedelta(hours=1)) -> RecurringJob:
        """Return a job that does it."""
        return RecurringJob("work", every, self, at_start=at_start)


async def row(services: Services, name: str = "work") -> Job:
    """Return what stands in a job's row."""
    async with services.database.read() as session:
        return (await session.exec(select(Job).where(Job.name == name))).one()


async def change(services: Services, **values: object) -> None:
    """Write into the job's row: how a test lets time pass."""
    async with services.database.write() as session:
        await session.exec(update(Job).where(col(Job.name) == "work").values(**values))


async def test_a_job_is_done_when_it_is_due_and_not_before(services: Services) -> None:
    work = Work()
    assert await run_job(services, work.job())
    assert not await run_job(services, work.job())
    done = await row(services)
    assert done.due_at
    assert done.finished_at
    assert done.due_at - done.finished_at > timedelta(minutes=59)
    await change(services, due_at=utc_now())
    assert await run_job(services, work.job())
    assert work.done == 2


async def test_a_job_that_is_not_for_the_start_waits_for_its_first_time(services: Services) -> None:
    work = Work()
    assert not await run_job(services, work.job(at_start=False))
    assert (await row(services)).due_at
    assert work.done == 0


async def test_two_processes_do_a_job_once(services: Services, other_process: Services) -> None:
    work = Work()
    done = await asyncio.gather(
        *(run_job(each, work.job()) for each in (services, other_process) * 5)
    )
    assert sum(done) == work.done == 1


async def test_a_starting_process_does_not_do_what_another_is_at(
    services: Services, other_process: Services
) -> None:
    work = Work()
    work.may_end.clear()
    running = asyncio.create_task(run_job(services, work.job()))
    await work.begun.wait()
    assert not await run_job(other_process, work.job(), at_once=True)
    work.may_end.set()
    await running
    assert await run_job(other_process, work.job(), at_once=True)


async def test_the_job_of_a_process_that_died_is_taken_over(services: Services) -> None:
    work = Work()
    dead = await take_turn(services.database, "work", first_due=utc_now())
    assert dead
    assert not await run_job(services, work.job(), at_once=True)
    await change(services, lease_until=utc_now() - timedelta(seconds=1))
    assert await run_job(services, work.job(), at_once=True)
    assert work.done == 1
    # Should it come back to life, it must not give away what another has.
    taken = await take_turn(services.database, "work", first_due=utc_now(), at_once=True)
    assert taken
    await end_turn(services.database, dead, {"error": "from beyond"})
    after = await row(services)
    assert (after.lease_owner, after.error) == (taken.owner, None)


async def test_the_lease_of_a_long_job_is_renewed(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_rows, "_RENEW_SECONDS", 0.0)
    turn = await take_turn(services.database, "work", first_due=utc_now())
    assert turn
    await change(services, lease_until=utc_now())
    enough = utc_now() + LEASE / 2

    async def until_renewed() -> str:
        while (until := (await row(services)).lease_until) is None or until < enough:
            pass
        return "done"

    assert await hold(services.database, turn, until_renewed()) == "done"


async def test_who_lost_a_job_stops_working_at_it(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_rows, "_RENEW_SECONDS", 0.0)
    work = Work()
    work.may_end.clear()
    running = asyncio.create_task(run_job(services, work.job()))
    await work.begun.wait()
    await change(services, lease_owner="another")
    assert await running
    assert (work.ended, work.done) == (1, 0)
    assert (await row(services)).lease_owner == "another"


async def test_who_lost_a_job_writes_nothing_over_what_the_other_remembers(
    services: Services,
) -> None:
    turn = await take_turn(services.database, "work", first_due=utc_now())
    assert turn
    async with services.database.write() as session:
        await keep(session, turn, {"page": 1})
    await change(services, lease_owner="another", state={"page": 2})
    with pytest.raises(LostTurn, match="took over the job work"):
        async with services.database.write() as session:
            await keep(session, turn, {"page": 1})
    assert (await row(services)).state == {"page": 2}


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (ProviderUnavailable("Stripe is away."), "Stripe is away."),
        (ZeroDivisionError("division by zero"), "ZeroDivisionError: division by zero"),
    ],
)
async def test_a_failure_is_written_down_and_tried_again_later_and_later(
    services: Services, failure: Exception, said: str
) -> None:
    work = Work()
    work.failure = failure
    pauses = []
    for number in range(1, 4):
        assert await run_job(services, work.job(), at_once=True)
        failed = await row(services)
        assert (failed.failures, failed.error, failed.lease_owner) == (number, said, None)
        assert failed.due_at
        pauses.append(failed.due_at - utc_now())
    assert pauses == sorted(pauses)
    assert pauses[-1] < timedelta(hours=1)
    work.failure = None
    assert await run_job(services, work.job(), at_once=True)
    mended = await row(services)
    assert (mended.failures, mended.error) == (0, None)


async def test_a_provider_that_asks_to_wait_is_obeyed(services: Services) -> None:
    work = Work()
    work.failure = ProviderUnavailable(retry_after=3000)
    await run_job(services, work.job())
    failed = await row(services)
    assert failed.due_at
    assert failed.due_at > utc_now() + timedelta(seconds=2900)


async def test_a_canceled_job_gives_its_lease_back(services: Services) -> None:
    work = Work()
    work.may_end.clear()
    running = asyncio.create_task(run_job(services, work.job()))
    await work.begun.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert work.ended == 1
    assert (await row(services)).lease_owner is None
    work.may_end.set()
    assert await run_job(services, work.job())


async def test_a_job_that_fails_disturbs_no_other(
    services: Services, driver: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = Work(), Work()
    bad.failure = ZeroDivisionError()
    monkeypatch.setattr(
        "billing_ui.billing.jobs.jobs_of",
        lambda _: (
            RecurringJob("bad", timedelta(hours=1), bad, at_start=True),
            RecurringJob("good", timedelta(hours=1), good, at_start=True),
        ),
    )
    running = asyncio.create_task(run_jobs(services))
    await asyncio.gather(bad.begun.wait(), good.begun.wait())
    while (await row(services, "bad")).failures == 0 or good.done == 0:
        pass
    assert not running.done()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_recovery_runs_when_a_process_starts(services: Services, driver: FakeDriver) -> None:
    reached = driver.hold("list_events")
    running = asyncio.create_task(run_jobs(services))
    await reached.reached.wait()
    reached.release()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def test_polling_recovers_every_few_seconds(services: Services) -> None:
    [recovery] = [job for job in jobs_of(services) if job.name == "recovery:stripe"]
    assert recovery.every == RECOVER_EVERY
    settings = services.settings.model_copy(update={"events_mode": EventsMode.POLL})
    polling = Services(settings, services.database, services.drivers)
    [recovery] = [job for job in jobs_of(polling) if job.name == "recovery:stripe"]
    assert recovery.every == POLL_EVERY


def test_without_an_event_list_everything_is_compared_often(
    services: Services, driver: FakeDriver
) -> None:
    driver.capabilities = Capabilities(flows=frozenset(), checkout=True, event_list=False)
    jobs = {job.name: job.every for job in jobs_of(services)}
    assert jobs["compare:stripe"] < timedelta(hours=1)
    assert "recovery:stripe" not in jobs
