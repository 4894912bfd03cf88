"""Reconciliation: every customer's copy compared with the provider, which finds whatever no event told."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import structlog
from sqlmodel import col, select

from billing_ui.billing.drift import Drift, find_drift, load_copy
from billing_ui.billing.fetches import FETCH_TIMEOUT_SECONDS
from billing_ui.billing.listed_rows import write_listed
from billing_ui.billing.patience import ask
from billing_ui.billing.ranges import Range, next_page
from billing_ui.billing.services import Services
from billing_ui.billing.sync import UNSETTLED, sync_customer
from billing_ui.models import ChangeSource, Customer
from billing_ui.payments.driver import Driver
from billing_ui.payments.types import (
    CatalogSnapshot,
    Listing,
    NoCustomer,
    PaymentError,
    ProviderUnavailable,
    Snapshot,
)

log = structlog.get_logger(__name__)

COMPARED_AT_ONCE: Final = 8
_CHUNK: Final = 100
_EVENTS_TAKE_SECONDS: Final = 3.0
"""So long an event may be on its way: what it tells of is not drift."""


@dataclass(frozen=True)
class ReconcileProgress:
    """How far a reconciliation is; `seconds_left` is None while that cannot be told."""

    compared: int
    customers: int
    drifted: int
    seconds_left: float | None


@dataclass
class DriftReport:
    """What a reconciliation found.

    Attributes:
        compared: how many customers were compared.
        drift: every difference, customer by customer.
        unknown: customers of the provider that we did not have.
        fixed: the customers whose differences were mended, and those that were unknown and are not any more.
        behind: how many were not compared: they were changing, or known to be out of date. Where drift is
            mended, these are fetched as well.
        failures: why a customer could not be compared or mended, by the provider's id of it.
    """

    compared: int = 0
    drift: list[Drift] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    fixed: set[str] = field(default_factory=set)
    behind: int = 0
    failures: dict[str, str] = field(default_factory=dict)

    @property
    def drifted(self) -> int:
        """How many customers differ or were unknown."""
        return len({one.customer for one in self.drift} | set(self.unknown))

    @property
    def clean(self) -> bool:
        """Whether our copy now says what the provider says, as far as could be found out."""
        found = {one.customer for one in self.drift} | set(self.unknown)
        return not self.failures and found <= self.fixed


Report = Callable[[ReconcileProgress], None]


async def reconcile(
    services: Services,
    *,
    fix: bool,
    progress: Report = lambda _: None,
    partial: bool = True,
    patience: float = _EVENTS_TAKE_SECONDS,
) -> DriftReport:
    """Compare every customer with the provider, a team's before nobody's, and look for unknown ones.

    A customer that changes meanwhile is not drift: the counters that every event moves are read before and
    after, and what differs is looked at once more after a while.

    Args:
        fix: fetch anew what differs, and store unknown customers as nobody's.
        progress: is told how far it is after each customer.
        partial: compare also the customers that were only listed.
        patience: how many seconds to give an event that is on its way.

    Raises:
        PaymentError: a provider's list of customers cannot be read.
    """
    report = DriftReport()
    for driver in services.drivers.usable():
        work = _Reconciliation(services, driver, report, fix=fix, patience=patience)
        await work.compare_all(await _customers(services, driver, partial=partial), progress)
        await work.find_unknown()
    log.info(
        "reconciled",
        compared=report.compared,
        drifted=report.drifted,
        fixed=len(report.fixed),
        behind=report.behind,
        failed=len(report.failures),
    )
    return report


async def _customers(services: Services, driver: Driver, *, partial: bool) -> Sequence[UUID]:
    query = (
        select(Customer.id)
        .where(
            Customer.provider == driver.provider.value,
            col(Customer.provider_customer_id).is_not(None),
        )
        .order_by(col(Customer.team_id).is_(None), col(Customer.id))
    )
    if not partial:
        query = query.where(~col(Customer.partial))
    async with services.database.read() as session:
        return (await session.exec(query)).all()


class _Reconciliation:
    """One provider's customers, several at once."""

    def __init__(
        self, services: Services, driver: Driver, report: DriftReport, *, fix: bool, patience: float
    ) -> None:
        self._services = services
        self._driver = driver
        self._report = report
        self._fix = fix
        self._patience = patience

    async def compare_all(self, customers: Sequence[UUID], progress: Report) -> None:
        """Compare customers, and mend what differs if that is wanted."""
        began, waiting = time.monotonic(), iter(customers)
        done = 0

        async def work() -> None:
            nonlocal done
            for customer_id in waiting:
                await self._compare(customer_id)
                done += 1
                seconds = time.monotonic() - began
                left = (len(customers) - done) * seconds / done
                progress(ReconcileProgress(done, len(customers), self._report.drifted, left))

        async with asyncio.TaskGroup() as group:
            for _ in range(COMPARED_AT_ONCE):
                group.create_task(work())

    async def _compare(self, customer_id: UUID) -> None:
        customer = await self._load(customer_id)
        name = customer.provider_customer_id or str(customer_id)
        try:
            drift = await self._drift(customer)
            if drift:
                # What differs may be news whose event is still on its way.
                await asyncio.sleep(self._patience)
                drift = await self._drift(await self._load(customer_id))
            if drift is None:
                self._report.behind += 1
                if self._fix:
                    await self._fetch_anew(customer_id)
                return
            self._report.compared += 1
            self._report.drift += drift
            if drift and self._fix:
                await self._fetch_anew(customer_id)
                self._report.fixed.add(name)
        except PaymentError as error:
            self._report.failures[name] = str(error)

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
        missing: list[str] = []
        nothing = CatalogSnapshot(provider=self._driver.provider.value, products=())
        left = [Range(Listing.CUSTOMERS)]
        while left:
            page = await next_page(self._services, self._driver, left[0], nothing)
            names = [snapshot.customer.id for snapshot in page.snapshots]
            unknown = await self._unknown(names)
            missing += unknown
            if unknown and self._fix:
                await self._store([one for one in page.snapshots if one.customer.id in unknown])
            left = list(left[0].after(page, 0))
        # Where a cursor was gone, some were listed twice.
        missing = list(dict.fromkeys(missing))
        if missing and not self._fix:
            await asyncio.sleep(self._patience)
            chunks = range(0, len(missing), _CHUNK)
            missing = [
                name for at in chunks for name in await self._unknown(missing[at : at + _CHUNK])
            ]
        self._report.unknown += missing

    async def _unknown(self, names: Sequence[str]) -> list[str]:
        query = select(Customer.provider_customer_id).where(
            Customer.provider == self._driver.provider.value,
            col(Customer.provider_customer_id).in_(names),
        )
        async with self._services.database.read() as session:
            known = set((await session.exec(query)).all())
        return [name for name in names if name not in known]

    async def _store(self, snapshots: Sequence[Snapshot]) -> None:
        async with self._services.database.write() as session:
            await write_listed(session, self._driver.provider.value, snapshots)
        self._report.fixed.update(snapshot.customer.id for snapshot in snapshots)
