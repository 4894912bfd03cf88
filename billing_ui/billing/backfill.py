"""Backfill: copying a whole account from the provider's lists, many pages at once, and going on after any end."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from sqlalchemy import func
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from billing_ui.billing.catalog import refresh_catalog
from billing_ui.billing.fetches import mark_all_out_of_date
from billing_ui.billing.job_rows import await_turn, end_turn, hold, remember, remembered
from billing_ui.billing.listed_rows import write_listed
from billing_ui.billing.ranges import Range, first_ranges, next_page
from billing_ui.billing.services import Services
from billing_ui.billing.unknown_statuses import report_unknown
from billing_ui.billing.worker import drain
from billing_ui.clock import utc_now
from billing_ui.models import Customer
from billing_ui.payments.driver import Driver
from billing_ui.payments.types import (
    CatalogSnapshot,
    InvalidRequest,
    ListedPage,
    Listing,
    Snapshot,
)
from billing_ui.settings import Provider

LISTS_AT_ONCE: Final = 12
"""How many pages are asked for at the same time."""
_COUNT_SECONDS: Final = 3.0
"""How often to count the customers that are still to be fetched: it reads them all, beside their syncs."""


@dataclass(frozen=True)
class BackfillProgress:
    """How far a backfill is.

    Attributes:
        objects: how many customers, subscriptions and invoices were listed, those before a resumption included.
        left: how many more there are, about: the lists do not tell, and it is guessed from how densely they lie.
        customers_left: how many customers are still to be fetched whole, because they were known whole before.
        seconds: how long this run has taken.
        per_second: how many objects a second this run has listed.
        seconds_left: how long listing the rest takes at that rate; None while that cannot be told.
    """

    objects: Mapping[Listing, int]
    left: int
    customers_left: int
    seconds: float
    per_second: float
    seconds_left: float | None


@dataclass(frozen=True)
class BackfillResult:
    """What a backfill has copied.

    Attributes:
        objects: how many customers, subscriptions and invoices were listed, those before a resumption included.
        written: how many of them were written; the rest belonged to customers that were known whole.
        fetched: how many customers were fetched whole, because they had been before.
        resumed: whether an earlier run had begun it.
        seconds: how long this run took.
    """

    objects: Mapping[Listing, int]
    written: int
    fetched: int
    resumed: bool
    seconds: float


Report = Callable[[BackfillProgress], None]


def backfill_row(provider: Provider) -> str:
    """Return the name of the row in table `job` that keeps how far a backfill is."""
    return f"backfill:{provider}"


async def backfill(
    services: Services, report: Report = lambda _: None, *, provider: Provider | None = None
) -> BackfillResult:
    """Copy all customers, subscriptions and invoices of a provider; goes on where an earlier run ended.

    Pages are written in the transaction that also writes down what is left, so a run may be killed
    at any moment; the next one waits until its lease has ended. Customers that were known whole before are
    fetched whole again at the end; the others are partial until somebody looks at them.

    Args:
        report: is told how far it is whenever pages were written.
        provider: whose; None for the active one's.

    Raises:
        InvalidRequest: another process is at it.
        PaymentError: the provider cannot be asked. What was written stays, and the next run goes on there.
    """
    driver = services.drivers.get(provider) if provider else services.drivers.active
    name = backfill_row(driver.provider)
    turn = await await_turn(services.database, name)
    if turn is None:
        raise InvalidRequest("Another process is copying everything.")
    error: str | None = None
    try:
        return await hold(services.database, turn, _run(services, driver, name, report))
    except Exception as failure:
        error = str(failure)[:500]
        raise
    finally:
        await end_turn(services.database, turn, {"error": error, "finished_at": utc_now()})


async def _run(services: Services, driver: Driver, name: str, report: Report) -> BackfillResult:
    began = time.monotonic()
    catalog, _ = await asyncio.gather(
        driver.fetch_catalog(), refresh_catalog(services, driver.provider)
    )
    plan, resumed = await _plan(services, driver, name)
    work = _Listing(services, driver, name, catalog, plan, report)
    await work.run()
    fetched = await _fetch_whole(services, driver, work)
    async with services.database.write() as session:
        await remember(session, name, {})
    return BackfillResult(
        objects=work.plan.objects,
        written=work.plan.written,
        fetched=fetched,
        resumed=resumed,
        seconds=time.monotonic() - began,
    )


@dataclass(frozen=True)
class _Plan:
    """What is left to list, and what was listed: all that a run needs to go on with the work of another."""

    ranges: tuple[Range, ...]
    objects: Mapping[Listing, int] = field(default_factory=lambda: dict.fromkeys(Listing, 0))
    written: int = 0

    def dumped(self) -> dict[str, Any]:
        return {
            "ranges": [each.dumped() for each in self.ranges],
            "objects": {listing.value: number for listing, number in self.objects.items()},
            "written": self.written,
        }

    def after(self, fetched: "_Fetched", following: Sequence[Range]) -> "_Plan":
        """Return the plan with `following` left of a range of which a page was fetched."""
        listing, count = fetched.range.listing, fetched.page.count
        others = (each for each in self.ranges if each is not fetched.range)
        return replace(
            self,
            ranges=(*others, *following),
            objects={**self.objects, listing: self.objects[listing] + count},
        )

    @classmethod
    def loaded(cls, document: Mapping[str, Any]) -> "_Plan":
        return cls(
            ranges=tuple(Range.loaded(each) for each in document["ranges"]),
            objects={Listing(name): number for name, number in document["objects"].items()},
            written=document["written"],
        )


@dataclass(eq=False)
class _Fetched:
    """A page on its way into the database.

    Attributes:
        range: what it is a page of.
        written: whether it is committed.
        following: what is left of the range then.
    """

    range: Range
    page: ListedPage
    written: bool = False
    following: tuple[Range, ...] = ()


async def _plan(services: Services, driver: Driver, name: str) -> tuple[_Plan, bool]:
    """Return what an earlier run has left, or a new plan; and which of both it is.

    Before a new one, all customers known whole are marked out of date: no list says all of a customer.
    """
    async with services.database.read() as session:
        state = await remembered(session, name)
    if not state:
        await mark_all_out_of_date(services.database, driver.provider)
        services.work.ring()
    async with services.database.write() as session:
        if state := await remembered(session, name, lock=True):
            return _Plan.loaded(state), True
        now, by_time = utc_now().replace(microsecond=0), driver.capabilities.lists_by_time
        plan = _Plan(first_ranges(now, by_time=by_time))
        await remember(session, name, plan.dumped())
    return plan, False


class _Listing:
    """Lists what a plan has left, several ranges at once. Whoever has nothing to do gets a part of a range."""

    def __init__(
        self,
        services: Services,
        driver: Driver,
        name: str,
        catalog: CatalogSnapshot,
        plan: _Plan,
        report: Report,
    ) -> None:
        self.plan = plan
        self._services = services
        self._driver = driver
        self._name = name
        self._catalog = catalog
        self._report = report
        self._waiting = deque(plan.ranges)
        self._idle = 0
        self._changed = asyncio.Condition()
        self._writing = asyncio.Lock()
        self._unwritten: list[_Fetched] = []
        self._began = time.monotonic()
        self._before = sum(plan.objects.values())

    async def run(self) -> None:
        """List everything; the first failure ends it."""
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(LISTS_AT_ONCE):
                    group.create_task(self._work())
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None

    def progress(self, customers_left: int = 0) -> BackfillProgress:
        """Return how far it is."""
        seconds = time.monotonic() - self._began
        listed = sum(self.plan.objects.values()) - self._before
        left = round(sum(each.objects for each in self.plan.ranges))
        per_second = listed / seconds if seconds > 0 else 0.0
        # Ranges that nobody has begun may be full or empty; fetching whole customers goes at another rate.
        unknown = customers_left > 0 or any(each.density == 0 for each in self.plan.ranges)
        return BackfillProgress(
            objects=self.plan.objects,
            left=left,
            customers_left=customers_left,
            seconds=seconds,
            per_second=per_second,
            seconds_left=None if unknown or not per_second else left / per_second,
        )

    async def _work(self) -> None:
        while (current := await self._next()) is not None:
            following: Range | None = current
            while following is not None:
                page = await next_page(self._services, self._driver, following, self._catalog)
                following = await self._finish(following, page)

    async def _next(self) -> Range | None:
        """Return a range that waits for somebody, None when nothing is left to do or to wait for."""
        async with self._changed:
            self._idle += 1
            try:
                await self._changed.wait_for(lambda: self._waiting or not self.plan.ranges)
            finally:
                self._idle -= 1
            return self._waiting.popleft() if self._waiting else None

    async def _finish(self, current: Range, page: ListedPage) -> Range | None:
        """Write a page together with what is left after it; returns the range to go on with.

        Pages that come while others are being written wait, and are then written together.
        """
        mine = _Fetched(current, page)
        self._unwritten.append(mine)
        async with self._writing:
            if not mine.written:
                await self._write(list(self._unwritten))
        return mine.following[0] if mine.following else None

    async def _write(self, pages: Sequence["_Fetched"]) -> None:
        # Where a list can't be asked for a range of time, nobody can take a part of it.
        by_time = self._driver.capabilities.lists_by_time
        plan, helpers = self.plan, max(self._idle - len(self._waiting), 0) if by_time else 0
        following: list[tuple[Range, ...]] = []
        for one in pages:
            rest = one.range.after(one.page, helpers)
            helpers -= max(len(rest) - 1, 0)
            plan = plan.after(one, rest)
            following.append(rest)
        snapshots = [each for one in pages for each in one.page.snapshots]
        self.plan = await self._commit(snapshots, plan)
        report_unknown(snapshots)
        # Only now: had it failed, the next of them would try again.
        del self._unwritten[: len(pages)]
        for one, rest in zip(pages, following, strict=True):
            one.written, one.following = True, rest
        self._report(self.progress())
        async with self._changed:
            self._waiting.extend(each for rest in following for each in rest[1:])
            self._changed.notify_all()

    async def _commit(self, snapshots: Sequence[Snapshot], plan: _Plan) -> _Plan:
        for last_try in (False, True):
            try:
                async with self._services.database.write() as session:
                    written = 0
                    if snapshots:
                        written = await write_listed(
                            session, self._driver.provider.value, snapshots
                        )
                    done = replace(plan, written=plan.written + written)
                    await remember(session, self._name, done.dumped())
                return done
            except IntegrityError:
                # A team began to make its first customer in this very moment.
                if last_try:
                    raise
        raise AssertionError("unreachable")


async def _fetch_whole(services: Services, driver: Driver, work: _Listing) -> int:
    """Fetch the customers that are out of date and whole; a worker elsewhere may help."""

    async def left() -> int:
        async with services.database.read() as session:
            return await _customers_left(session, driver.provider)

    if not await left():
        return 0
    draining = asyncio.create_task(drain(services, [driver]))
    try:
        while not (await asyncio.wait({draining}, timeout=_COUNT_SECONDS))[0]:
            work._report(work.progress(await left()))
        return await draining
    finally:
        draining.cancel()


async def _customers_left(session: AsyncSession, provider: Provider) -> int:
    query = select(func.count()).where(
        Customer.provider == provider.value,
        col(Customer.provider_customer_id).is_not(None),
        col(Customer.wanted) > col(Customer.applied),
        ~col(Customer.partial),
        col(Customer.parked_at).is_(None),
    )
    return (await session.exec(query)).one()
