"""Reconciliation: every customer's copy compared with the provider, which finds whatever no event told."""

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from billing_ui.billing.drift import Drift, find_drift, load_copy
from billing_ui.billing.drift_report import DriftReport, Failure
from billing_ui.billing.fetches import FETCH_TIMEOUT_SECONDS
from billing_ui.billing.job_rows import LostTurn, Turn, await_turn, end_turn, hold, keep
from billing_ui.billing.listed_rows import write_listed
from billing_ui.billing.patience import ask
from billing_ui.billing.ranges import next_page
from billing_ui.billing.reconcile_position import (
    COMPARING,
    Progress,
    Stage,
    count_customers,
    keep_progress,
    load_progress,
    next_customers,
)
from billing_ui.billing.services import Services
from billing_ui.billing.sync import UNSETTLED, sync_customer
from billing_ui.clock import utc_now
from billing_ui.models import ChangeSource, Customer
from billing_ui.payments.driver import Driver
from billing_ui.payments.types import (
    CatalogSnapshot,
    InvalidRequest,
    ListedPage,
    NoCustomer,
    PaymentError,
    ProviderUnavailable,
    Snapshot,
)
from billing_ui.telemetry import redact

log = structlog.get_logger(__name__)

COMPARED_AT_ONCE: Final = 8
KEPT_EVERY: Final = 100
"""After so many customers it is written down how far it is."""
FAILURES_IN_A_ROW: Final = 50
"""So many failures, with no success between, are not the customers': a key was revoked, or the provider is away."""
_PAGE: Final = 500
_EVENTS_TAKE_SECONDS: Final = 3.0
"""So long an event may be on its way: what it tells of is not drift."""
_YOUNG: Final = timedelta(minutes=10)
"""A customer older than that is not one whose event is on its way, whatever the provider's clock says."""
_MAX_REASON: Final = 500


@dataclass(frozen=True)
class ReconcileProgress:
    """How far a reconciliation is with a provider, the parts before an interruption included.

    Attributes:
        compared: how many customers are done.
        customers: how many there are to compare.
        listed: how many of the provider's own list were looked up, which comes after comparing.
        drifted: how many customers differ or were unknown, at all providers.
        seconds_left: how long comparing the rest takes; None while that cannot be told.
    """

    compared: int
    customers: int
    listed: int
    drifted: int
    seconds_left: float | None


Report = Callable[[ReconcileProgress], None]


def command_row(*, fix: bool) -> str:
    """Return the name of the row in table `job` that keeps how far an operator's reconciliation is.

    One that only looks and one that mends have a row each: neither goes on with the other's work.
    """
    return "reconcile:fix" if fix else "reconcile:look"


async def begun_at(services: Services, *, fix: bool) -> datetime | None:
    """Return when the operator's run began (UTC) that the next one of its kind goes on with; None without one."""
    async with services.database.read() as session:
        report = (await load_progress(session, command_row(fix=fix))).report
    return report.began_at if report.resumed else None


async def reconcile(
    services: Services,
    *,
    fix: bool,
    progress: Report = lambda _: None,
    partial: bool = True,
    anew: bool = False,
    patience: float = _EVENTS_TAKE_SECONDS,
) -> DriftReport:
    """Reconcile because an operator wants it; goes on where an interrupted run of the same kind ended.

    Args:
        anew: begin again, whatever an interrupted run has left.
        fix, progress, partial, patience: as for `reconcile_in_turn`.

    Raises:
        InvalidRequest: another process is at it.
        PaymentError: as for `reconcile_in_turn`.
    """
    turn = await await_turn(services.database, command_row(fix=fix))
    if turn is None:
        raise InvalidRequest("Another process is comparing everything.")
    error: str | None = None
    try:
        if anew:
            async with services.database.write() as session:
                await keep(session, turn, {})
        work = reconcile_in_turn(
            services, turn, fix=fix, progress=progress, partial=partial, patience=patience
        )
        return await hold(services.database, turn, work)
    except Exception as failure:
        error = _reason(failure)
        raise
    finally:
        await end_turn(services.database, turn, {"error": error, "finished_at": utc_now()})


async def reconcile_in_turn(
    services: Services,
    turn: Turn,
    *,
    drivers: Sequence[Driver] | None = None,
    fix: bool,
    progress: Report = lambda _: None,
    partial: bool = True,
    patience: float = _EVENTS_TAKE_SECONDS,
) -> DriftReport:
    """Compare every customer with the provider, a team's before nobody's, and look for unknown ones.

    A customer that changes meanwhile is not drift: the counters that every event moves are read before and
    after, and what differs is looked at once more after a while. How far it is, and what it found, stands in
    the row of its job. Whatever ends it, the next turn of that job goes on there.

    Args:
        turn: this process's turn at the job.
        drivers: of the providers to compare with; None for all that can be asked.
        fix: fetch anew what differs, and store unknown customers as nobody's.
        progress: is told how far it is after each customer.
        partial: compare also the customers that were only listed.
        patience: how many seconds to give an event that is on its way.

    Raises:
        PaymentError: a provider's list of customers cannot be read, or no customer can be compared any more.
        LostTurn: another process is at it by now.
    """
    async with services.database.read() as session:
        whole = await load_progress(session, turn.name)
    report = whole.report
    for driver in services.drivers.usable() if drivers is None else drivers:
        work = _Reconciliation(services, driver, turn, whole, progress, fix=fix, patience=patience)
        await work.compare_all(partial=partial)
        await work.find_unknown()
    async with services.database.write() as session:
        await keep(session, turn, {})
    log.info(
        "reconciled",
        compared=report.compared,
        drifted=report.drifted,
        fixed=report.fixed.count,
        behind=report.behind,
        failed=report.failures.count,
        began_at=report.began_at.isoformat(),
        resumed=report.resumed,
    )
    return report


class _Reconciliation:
    """One provider's customers, several at once."""

    def __init__(
        self,
        services: Services,
        driver: Driver,
        turn: Turn,
        whole: Progress,
        progress: Report,
        *,
        fix: bool,
        patience: float,
    ) -> None:
        self._services = services
        self._driver = driver
        self._turn = turn
        self._whole = whole
        self._position = whole.of(driver.provider)
        self._report = whole.report
        self._progress = progress
        self._fix = fix
        self._patience = patience
        self._keeping = asyncio.Lock()
        self._failed_in_a_row = 0
        self._customers = 0
        self._before = self._position.compared
        self._began = time.monotonic()

    async def compare_all(self, *, partial: bool) -> None:
        """Compare the customers that are left, page by page, and mend what differs if that is wanted."""
        position, provider = self._position, self._driver.provider
        async with self._services.database.read() as session:
            self._customers = await count_customers(session, provider, partial=partial)
        while position.stage in COMPARING:
            async with self._services.database.read() as session:
                page = await next_customers(
                    session, provider, position, partial=partial, limit=_PAGE
                )
            if page:
                await self._compare_page([one for one in page if one not in position.ahead])
                position.after = page[-1]
                position.ahead.difference_update(page)
            else:
                position.begin(Stage.NOBODYS if position.stage is Stage.TEAMS else Stage.UNKNOWN)

    async def _compare_page(self, customers: Sequence[UUID]) -> None:
        waiting = iter(customers)

        async def work() -> None:
            for customer_id in waiting:
                failure = await self._settle(customer_id)
                self._tell()
                self._failed_in_a_row = self._failed_in_a_row + 1 if failure else 0
                if failure and self._failed_in_a_row >= FAILURES_IN_A_ROW:
                    raise failure
                if self._position.compared % KEPT_EVERY == 0:
                    await self._keep()

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(COMPARED_AT_ONCE):
                    group.create_task(work())
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        finally:
            # Also for whoever goes on after a failure, or when this process is told to stop.
            await self._keep()

    def _tell(self) -> None:
        position = self._position
        done, left = position.compared - self._before, self._customers - position.compared
        seconds = time.monotonic() - self._began
        known = done > 0 and position.stage in COMPARING
        self._progress(
            ReconcileProgress(
                compared=position.compared,
                # Some may have come since they were counted.
                customers=max(self._customers, position.compared),
                listed=position.listed,
                drifted=self._report.drifted,
                seconds_left=max(left, 0) * seconds / done if known else None,
            )
        )

    async def _keep(self) -> None:
        # One after the other: an older state must not be written over a newer one.
        async with self._keeping, self._services.database.write() as session:
            await keep_progress(session, self._turn, self._whole)

    async def _settle(self, customer_id: UUID) -> Exception | None:
        """Compare a customer, mend it if need be, and count it.

        Returns:
            Why that failed, which is written down and ends nothing else; None when it did not.
        """
        position, report, failure = self._position, self._report, None
        name = str(customer_id)
        try:
            customer = await self._load(customer_id)
            name = customer.provider_customer_id or name
            if customer_id not in position.mending:
                await self._compare(customer)
            if customer_id in position.mending:
                await self._fetch_anew(customer_id)
                report.fixed.add(name)
        except LostTurn:
            raise
        except Exception as error:
            expected = isinstance(error, PaymentError)
            log.warning(
                "customer_not_compared",
                customer=name,
                error=_reason(error),
                exc_info=None if expected else error,
            )
            report.failures.add(Failure(name, _reason(error)))
            failure = error
        position.mending.discard(customer_id)
        position.ahead.add(customer_id)
        position.compared += 1
        return failure

    async def _compare(self, customer: Customer) -> None:
        """Count a customer, and write down where it differs and, if that is wanted, that it is to be mended."""
        report, drift = self._report, await self._drift(customer)
        if drift:
            # What differs may be news whose event is still on its way.
            await asyncio.sleep(self._patience)
            drift = await self._drift(await self._load(customer.id))
        if drift is None:
            if self._fix:
                await self._fetch_anew(customer.id)
            report.behind += 1
            return
        room = not report.drift.full
        report.compared += 1
        report.differing += bool(drift)
        report.drift.add(*drift)
        if drift and self._fix:
            self._position.mending.add(customer.id)
            if room:
                # Once mended it would never be found again.
                await self._keep()

    async def _fetch_anew(self, customer_id: UUID) -> None:
        await ask(
            self._services,
            self._driver,
            lambda: sync_customer(self._services, customer_id, source=ChangeSource.RECONCILE),
            calls=self._driver.capabilities.snapshot_calls,
        )

    async def _load(self, customer_id: UUID) -> Customer:
        async with self._services.database.read() as session:
            query = select(Customer).where(Customer.id == customer_id)
            return (await session.exec(query)).one()

    async def _drift(self, customer: Customer) -> tuple[Drift, ...] | None:
        """Return where a customer differs; None when it is out of date anyway, or changed meanwhile."""
        if not customer.partial and customer.wanted > customer.applied:
            return None
        async with self._services.database.read() as session:
            copy = await load_copy(session, customer)
        unsettled = [row["id"] for row in copy.invoices if row["status"] in UNSETTLED]
        snapshot = await self._snapshot(customer, unsettled)
        after = await self._load(customer.id)
        if (after.wanted, after.fetch_no) != (customer.wanted, customer.fetch_no):
            return None
        return find_drift(copy, snapshot)

    async def _snapshot(self, customer: Customer, unsettled: Sequence[str]) -> Snapshot:
        name = customer.provider_customer_id
        if name is None:
            raise NoCustomer

        async def fetch() -> Snapshot:
            try:
                async with asyncio.timeout(FETCH_TIMEOUT_SECONDS):
                    return await self._driver.fetch_snapshot(name, invoices=unsettled)
            except TimeoutError:
                raise ProviderUnavailable(
                    f"{self._driver.display_name} didn't answer in time."
                ) from None

        calls = self._driver.capabilities.snapshot_calls
        return await ask(self._services, self._driver, fetch, calls=calls)

    async def find_unknown(self) -> None:
        """Walk the provider's customers, and report those that we do not have."""
        position = self._position
        nothing = CatalogSnapshot(provider=self._driver.provider.value, products=())
        while position.stage is Stage.UNKNOWN:
            page = await next_page(self._services, self._driver, position.left, nothing)
            unknown = await self._unknown(page)
            async with self._services.database.write() as session:
                if unknown and self._fix:
                    await self._store(session, page, unknown)
                self._report.unknown.add(*unknown)
                self._pass(page, unknown)
                await keep_progress(session, self._turn, self._whole)
            self._tell()

    async def _unknown(self, page: ListedPage) -> list[str]:
        """Return the customers of a page that we do not have, nor shall have as soon as an event arrives."""
        left = self._position.left
        unknown = await self._without_known([one.customer.id for one in page.snapshots])
        if unknown and not self._fix and left.top > utc_now() - _YOUNG:
            await asyncio.sleep(self._patience)
            unknown = await self._without_known(unknown)
        # Where a cursor was gone, some are listed twice.
        return [name for name in unknown if name not in self._position.last_unknown]

    def _pass(self, page: ListedPage, unknown: Sequence[str]) -> None:
        """Move the position behind a page of the provider's list."""
        position = self._position
        position.listed += page.count
        position.last_unknown = frozenset(unknown)
        if left := position.left.after(page, 0):
            [position.left] = left
        else:
            position.begin(Stage.DONE)

    async def _without_known(self, names: Sequence[str]) -> list[str]:
        query = select(Customer.provider_customer_id).where(
            Customer.provider == self._driver.provider.value,
            col(Customer.provider_customer_id).in_(names),
        )
        async with self._services.database.read() as session:
            known = set((await session.exec(query)).all())
        return [name for name in names if name not in known]

    async def _store(
        self, session: AsyncSession, page: ListedPage, unknown: Collection[str]
    ) -> None:
        snapshots = [one for one in page.snapshots if one.customer.id in unknown]
        await write_listed(session, self._driver.provider.value, snapshots)
        self._report.fixed.add(*unknown)


def _reason(error: Exception) -> str:
    """Return why something failed, in a line that may be kept."""
    said = str(error) if isinstance(error, PaymentError) else f"{type(error).__name__}: {error}"
    return redact(said)[:_MAX_REASON]
