"""The worker: brings every customer that is out of date up to date, and the catalogue, until it is canceled."""

import asyncio
import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog
from sqlmodel import col, select

from billing_ui.billing.backoff import retry_delay
from billing_ui.billing.catalog import refresh_catalog
from billing_ui.billing.fetches import Fetch, any_due, begin_due_fetches
from billing_ui.billing.pace import hold_back, keep_pace
from billing_ui.billing.services import Services
from billing_ui.billing.sync import carry_out
from billing_ui.billing.wake import Wake
from billing_ui.models import Catalog, ChangeSource
from billing_ui.payments.driver import Driver
from billing_ui.payments.types import PaymentError, ProviderUnavailable
from billing_ui.settings import EventsMode

log = structlog.get_logger(__name__)

SYNCS_AT_ONCE: Final = 16
"""How many customers of a provider are fetched at the same time in this process."""

_LOOK_SECONDS: Final = 1.0
"""How often to look for what other processes marked, and for what is to be tried again by now."""

_STRIKES: Final = 3
"""After so many different customers failed one after the other it is the provider that fails."""


async def run_worker(services: Services) -> None:
    """Sync whatever is out of date, until canceled; then running syncs give their leases back.

    Nothing that fails ends it: neither a customer, nor the provider, nor the database.
    """
    async with asyncio.TaskGroup() as group:
        for driver in services.drivers.usable():
            group.create_task(_Syncs(services, driver).run())
            group.create_task(_keep_catalog(services, driver))


async def drain(services: Services, drivers: Sequence[Driver] | None = None) -> int:
    """Sync every customer that is due now, and the catalogues; returns how many syncs of customers began.

    Args:
        drivers: of which providers; None for all that can be asked.

    Raises:
        PaymentError: a catalogue could not be fetched. Why a customer could not stands in its row.
    """
    begun = 0
    for driver in services.drivers.usable() if drivers is None else drivers:
        begun += await _Syncs(services, driver).drain()
        goal = await _outdated_catalog(services, driver)
        if goal is not None:
            await refresh_catalog(services, driver.provider, after=goal)
    return begun


class _Syncs:
    """The syncs of one provider's customers that the worker runs in this process."""

    def __init__(self, services: Services, driver: Driver) -> None:
        self._services = services
        self._driver = driver
        self._running = 0
        self._ended = Wake()
        """Rings when a sync has ended."""
        self._more = False
        """Whether the last look found as many as it asked for, so that there may be others."""
        self._failing: set[UUID] = set()
        """Who could not be fetched since somebody last could be, for want of an answer."""
        self._pause = _Patience(longest=timedelta(seconds=30))

    async def run(self) -> None:
        """Sync until canceled, woken by what is marked in this process and by what ends."""
        outage = _Patience(longest=timedelta(seconds=30))
        async with asyncio.TaskGroup() as group:
            while True:
                rings = self._services.work.rings
                try:
                    begun = await self._begin(group)
                except Exception as error:  # noqa: BLE001 - logged there; a database comes back
                    await outage.after(error)
                    continue
                outage.over()
                if not begun:
                    await self._services.work.wait(_LOOK_SECONDS, since=rings)

    async def drain(self) -> int:
        """Sync until nothing is due and all that began has ended; returns how many syncs began."""
        total = 0
        async with asyncio.TaskGroup() as group:
            while True:
                # From before the look: a sync that ends may leave its customer due again.
                running, rings = self._running, self._ended.rings
                begun = await self._begin(group)
                total += begun
                if begun:
                    continue
                if not running:
                    break
                await self._ended.wait(_LOOK_SECONDS, since=rings)
        return total

    async def _begin(self, group: asyncio.TaskGroup) -> int:
        """Begin as many syncs as are due and there is room for; returns how many."""
        provider, database = self._driver.provider, self._services.database
        free = SYNCS_AT_ONCE - self._running
        if not free or not (self._more or await any_due(database, provider)):
            return 0
        one_by_one = await self._wait_for_provider()
        limit = 1 if one_by_one else free
        fetches = await begin_due_fetches(database, provider, limit)
        # Where waiting comes first, it is not done for nothing.
        self._more = not one_by_one and len(fetches) == limit
        for customer_id, fetch in fetches.items():
            self._running += 1
            group.create_task(self._sync(customer_id, fetch))
        return len(fetches)

    async def _wait_for_provider(self) -> bool:
        """Wait until the provider may be called; returns whether one sync only may begin now."""
        struck = len(self._failing) >= _STRIKES
        if struck:
            await self._pause.wait()
        capabilities = self._driver.capabilities
        rate = capabilities.background_calls_per_second
        if rate is None:
            return struck
        # No lease is taken before: it could run out while we wait, and a person need not wait for us.
        await keep_pace(
            self._services.database, self._driver.provider, capabilities.snapshot_calls, rate
        )
        return True

    async def _sync(self, customer_id: UUID, fetch: Fetch) -> None:
        # In this task alone: what the request set off stands in the log under its id.
        structlog.contextvars.bind_contextvars(request_id=fetch.marked_by)
        try:
            await self._carry_out(customer_id, fetch)
        except Exception:
            log.exception("sync_broke", customer_id=str(customer_id))
        finally:
            self._running -= 1
            self._ended.ring()
            # It may have been marked meanwhile, and others may have waited for its place.
            self._services.work.ring()

    async def _carry_out(self, customer_id: UUID, fetch: Fetch) -> None:
        # Where the provider's list of events is read, no webhook has told of anything.
        polled = self._services.settings.events_mode is EventsMode.POLL
        source = ChangeSource.RECONCILE if polled else ChangeSource.WEBHOOK
        try:
            await carry_out(self._services, customer_id, fetch, source)
        except PaymentError as error:
            log.warning("sync_failed", customer_id=str(customer_id), error=str(error))
            if isinstance(error, ProviderUnavailable):
                self._failing.add(customer_id)
                await self._obey(error)
        else:
            self._failing.clear()
            self._pause.over()

    async def _obey(self, error: ProviderUnavailable) -> None:
        """Let all processes hold back for as long as the provider has asked for."""
        paced = self._driver.capabilities.background_calls_per_second is not None
        if paced and error.retry_after is not None:
            await hold_back(self._services.database, self._driver.provider, error.retry_after)


async def _keep_catalog(services: Services, driver: Driver) -> None:
    """Fetch a provider's catalogue whenever it is out of date, until canceled."""
    failing = _Patience(longest=timedelta(minutes=5))
    while True:
        try:
            goal = await _outdated_catalog(services, driver)
            if goal is not None:
                await refresh_catalog(services, driver.provider, after=goal)
        except Exception as error:  # noqa: BLE001 - logged there; provider and database come back
            await failing.after(error)
        else:
            failing.over()
            await asyncio.sleep(_LOOK_SECONDS)


async def _outdated_catalog(services: Services, driver: Driver) -> int | None:
    """Return the count that a fetch of a provider's catalogue must have seen, None when it is current."""
    query = select(Catalog.wanted).where(
        Catalog.provider == driver.provider.value,
        col(Catalog.wanted) > Catalog.applied,
    )
    async with services.database.read() as session:
        return (await session.exec(query)).one_or_none()


class _Patience:
    """Waits longer after each failure in a row, and logs the first of them."""

    def __init__(self, *, longest: timedelta) -> None:
        self._longest = longest
        self._failures = 0

    async def after(self, error: Exception) -> None:
        """Wait because of `error`; later ones in a row are taken for the same one."""
        if not self._failures:
            log.error("worker_waits", error=str(error), exc_info=error)
        await self.wait(error.retry_after if isinstance(error, ProviderUnavailable) else None)

    async def wait(self, retry_after: float | None = None) -> None:
        """Wait, the longer the more often it was called since `over`."""
        self._failures += 1
        delay = retry_delay(
            self._failures,
            random.random(),  # noqa: S311 - it spreads retries and guards nothing
            retry_after=retry_after,
            first=timedelta(seconds=1),
            longest=self._longest,
        )
        await asyncio.sleep(delay.total_seconds())

    def over(self) -> None:
        """Note that it works again."""
        if self._failures:
            log.info("worker_goes_on", failures=self._failures)
        self._failures = 0
