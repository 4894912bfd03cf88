"""Transactions of PostgreSQL that meet at a customer's visits: whoever comes later waits, and nobody fails."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, event, text
from sqlalchemy.engine import AdaptedConnection
from sqlmodel import col, select

from billing_ui.billing.portal import open_portal
from billing_ui.billing.pruning import KEPT_FOR, prune
from billing_ui.billing.services import Services
from billing_ui.billing.sync import sync_customer
from billing_ui.clock import utc_now
from billing_ui.database import Database
from billing_ui.models import PortalVisit, RecordedChange
from billing_ui.payments.types import CustomerDeleted, PaymentError, ProviderUnavailable
from tests.unit.billing.factories import PRO, TEAM, new_account, snapshot, subscription
from tests.unit.billing.fake_driver import FakeDriver, Hold

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@contextmanager
def held_after(database: Database, beginning: str) -> Iterator[Hold]:
    """Hold a transaction after its statement that begins so, with all the locks that it has by then."""
    hold, engine = Hold(), database.engine.sync_engine

    def stand_still(connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith(beginning):
            hold.reached.set()
            adapted = connection.connection.dbapi_connection
            assert isinstance(adapted, AdaptedConnection)
            adapted.run_async(lambda _: hold.released.wait())

    event.listen(engine, "after_cursor_execute", stand_still)
    yield hold
    event.remove(engine, "after_cursor_execute", stand_still)


async def until_somebody_waits(database: Database) -> None:
    """Return when a transaction waits for a lock of another."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    async with database.engine.connect() as connection:
        while not (await connection.execute(waiting)).scalar():
            # What it tells stays the same within a transaction.
            await connection.rollback()


@pytest.mark.parametrize("failure", [CustomerDeleted(), ProviderUnavailable()])
async def test_a_portal_that_does_not_open_and_a_change_found_meanwhile_do_not_fail_each_other(
    shop: Services, other_process: Services, driver: FakeDriver, failure: PaymentError
) -> None:
    account = await new_account(shop, customer="cus_1")
    driver.has(snapshot(subscription(PRO)))
    await sync_customer(shop, account.customer)
    driver.has(snapshot(subscription(TEAM)))
    fetch = driver.hold("fetch_snapshot:answer")
    driver.fail("start_portal_session", failure)

    syncing = asyncio.create_task(sync_customer(other_process, account.customer))
    await fetch.reached.wait()
    with held_after(shop.database, "DELETE FROM portal_visit") as deleted:
        opening = asyncio.create_task(open_portal(shop, account.identity))
        await deleted.reached.wait()
        fetch.release()
        await until_somebody_waits(shop.database)
        deleted.release()
        opened, synced = await asyncio.gather(opening, syncing, return_exceptions=True)

    assert opened is failure
    assert not isinstance(synced, BaseException), synced
    assert [change.kind for change in synced.changes] == ["plan_changed"]
    async with shop.database.read() as session:
        assert (await session.exec(select(PortalVisit))).all() == []
        [change] = (await session.exec(select(RecordedChange))).all()
    assert change.visit_id is None


async def test_pruning_waits_for_no_visit_that_is_being_settled(
    services: Services, other_process: Services
) -> None:
    account = await new_account(services, customer="cus_1")
    visits = [
        PortalVisit(
            customer_id=account.customer,
            team_id=account.team_id,
            kind="portal",
            created_at=utc_now() - 2 * KEPT_FOR,
            before={"provider": "stripe"},
        )
        for _ in range(2)
    ]
    async with services.database.write() as session:
        session.add_all(visits)
    async with services.database.write() as session:
        settled = select(PortalVisit).where(col(PortalVisit.id) == visits[0].id).with_for_update()
        await session.exec(settled)
        assert await asyncio.wait_for(prune(other_process), 10) == 1
    assert await prune(other_process) == 1
