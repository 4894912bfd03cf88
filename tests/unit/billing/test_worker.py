"""The worker: finds what is out of date, fetches each once, and outlives everything that fails."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import UUID

from sqlmodel import col, select, update

from billing_ui.billing.customers import mark_customer_out_of_date
from billing_ui.billing.services import Services
from billing_ui.billing.worker import run_worker
from billing_ui.models import Customer
from tests.unit.billing.factories import PRO, new_account, snapshot, subscription
from tests.unit.billing.fake_driver import FakeDriver


async def row_of(services: Services, customer_id: UUID) -> Customer:
    """Return a customer as it now is."""
    async with services.database.read() as session:
        return (await session.exec(select(Customer).where(Customer.id == customer_id))).one()


async def set_row(services: Services, customer_id: UUID, **values: Any) -> None:
    """Write columns of a customer."""
    async with services.database.write() as session:
        await session.exec(update(Customer).where(col(Customer.id) == customer_id).values(**values))


async def mark(services: Services, customer_id: UUID) -> int:
    """Mark a customer out of date, as an event does."""
    goal = await mark_customer_out_of_date(services, customer_id)
    services.work.ring()
    return goal


async def new_customer(services: Services, driver: FakeDriver, name: str = "cus_1") -> UUID:
    """Return a customer on Pro that was never fetched."""
    driver.has(snapshot(subscription(PRO, id=f"sub_{name}", items=()), customer=name))
    return (await new_account(services, customer=name)).customer


@asynccontextmanager
async def working(*processes: Services) -> AsyncIterator[None]:
    """Let a worker run in each process."""
    tasks = [asyncio.create_task(run_worker(services)) for services in processes]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Return when `condition` holds."""
    async with asyncio.timeout(30):
        while not await condition():  # noqa: ASYNC110 - it is a state of the database
            await asyncio.sleep(0.005)


async def until_current(services: Services, customer_id: UUID, goal: int = 1) -> None:
    """Return when a customer has reached `goal`."""

    async def reached() -> bool:
        return (await row_of(services, customer_id)).applied >= goal

    await until(reached)


async def test_a_customer_that_is_marked_is_fetched(services: Services, driver: FakeDriver) -> None:
    customer = await new_customer(services, driver)
    async with working(services):
        await until_current(services, customer)
        await until_current(services, customer, await mark(services, customer))
    row = await row_of(services, customer)
    assert (row.wanted, row.applied, row.lease_owner, row.marked_at) == (2, 2, None, None)
