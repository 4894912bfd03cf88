"""The inbox: each event once, whatever the provider sends and however often, and what it makes out of date."""

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from asyncpg import InterfaceError  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlmodel import delete, select, update

from billing_ui.billing.arrivals import refuses_a_value
from billing_ui.billing.inbox import accept, accept_many
from billing_ui.billing.services import Services
from billing_ui.database import Database
from billing_ui.models import Catalog, Customer, EventSource, InboxEvent, PaymentMethod
from billing_ui.payments.types import ProviderEvent
from billing_ui.settings import Provider
from tests.unit.billing.factories import new_account

NOW = datetime(2026, 12, 3, 12, tzinfo=UTC)


def event(id_: str = "evt_1", customer: str | None = "cus_1", **fields: Any) -> ProviderEvent:
    """Return an event about a customer."""
    defaults: dict[str, Any] = {
        "id": id_,
        "type": "customer.subscription.updated",
        "created_at": NOW,
        "customer_id": customer,
        "payload": {"id": id_, "text": "Zürich"},
    }
    return ProviderEvent(**defaults | fields)


async def take(services: Services, *events: ProviderEvent, **options: Any) -> list[bool]:
    """Accept events at the same time; returns which were new."""
    accepted = await asyncio.gather(
        *(accept(services, Provider.STRIPE, one, **options) for one in events)
    )
    return [one.new for one in accepted]


async def stored(database: Database) -> dict[str, InboxEvent]:
    """Return the events in the inbox by their ids."""
    async with database.read() as session:
        rows = (await session.exec(select(InboxEvent))).all()
    assert len({row.id for row in rows}) == len(rows)
    return {row.id: row for row in rows}


async def customers(database: Database) -> dict[str | None, Customer]:
    """Return the customers by the provider's ids."""
    async with database.read() as session:
        rows = (await session.exec(select(Customer))).all()
    assert len({row.provider_customer_id for row in rows}) == len(rows)
    return {row.provider_customer_id: row for row in rows}


async def wanted_catalog(database: Database) -> int:
    """Return how often the catalogue was marked; 0 when there is no row."""
    async with database.read() as session:
        row = await session.get(Catalog, "stripe")
    return row.wanted if row else 0


# ---------------------------------------------------------------- once


async def test_an_event_is_kept_whole_with_how_it_came(services: Services) -> None:
    assert await take(services, event(), request_id="req-1") == [True]
    row = (await stored(services.database))["evt_1"]
    assert (row.provider, row.type, row.source) == (
        "stripe",
        "customer.subscription.updated",
        EventSource.WEBHOOK,
    )
    assert (row.created_at, row.request_id, row.catalog) == (NOW, "req-1", False)
    assert row.provider_customer_id == "cus_1"
    assert row.payload == {"id": "evt_1", "text": "Zürich"}


async def test_eight_parallel_copies_make_one_row_and_one_mark(services: Services) -> None:
    account = await new_account(services, customer="cus_1")
    before = (await customers(services.database))["cus_1"].wanted
    assert sorted(await take(services, *[event()] * 8)) == [False] * 7 + [True]
    assert list(await stored(services.database)) == ["evt_1"]
    after = (await customers(services.database))["cus_1"]
    assert after.wanted == before + 1
    assert after.team_id == account.team_id


async def test_eight_copies_that_reach_two_processes_make_one_row(
    services: Services, other_process: Services
) -> None:
    results = await asyncio.gather(
        *(take(process, event()) for process in (services, other_process) for _ in range(4))
    )
    assert sum(new for (new,) in results) == 1
    assert (await customers(services.database))["cus_1"].wanted == 1


async def test_a_copy_that_comes_later_changes_nothing(services: Services) -> None:
    await take(services, event())
    (again,) = await take(services, event(payload={"other": 1}), request_id="req-2")
    assert again is False
    row = (await stored(services.database))["evt_1"]
    assert row.payload == {"id": "evt_1", "text": "Zürich"}
    assert (await customers(services.database))["cus_1"].wanted == 1


async def test_two_events_of_the_same_second_both_count(services: Services) -> None:
    assert await take(services, event("evt_1"), event("evt_2")) == [True, True]
    assert set(await stored(services.database)) == {"evt_1", "evt_2"}
    assert (await customers(services.database))["cus_1"].wanted == 2


async def test_the_same_id_of_two_providers_is_two_events(services: Services) -> None:
    await take(services, event())
    accepted = await accept(services, Provider.POLAR, event())
    assert accepted.new
    async with services.database.read() as session:
        rows = (await session.exec(select(InboxEvent.provider))).all()
    assert sorted(rows) == ["polar", "stripe"]


# ---------------------------------------------------------------- what is marked


async def test_a_customer_nobody_heard_of_is_stored_unclaimed_and_out_of_date(
    services: Services,
) -> None:
    await take(services, event(), request_id="req-1")
    row = (await customers(services.database))["cus_1"]
    assert (row.team_id, row.wanted, row.applied, row.partial) == (None, 1, 0, False)
    assert row.marked_by == "req-1"
    assert row.marked_at is not None


async def test_a_customer_that_waits_keeps_since_when_it_does(services: Services) -> None:
    await take(services, event("evt_1"), request_id="req-1")
    first = (await customers(services.database))["cus_1"].marked_at
    await take(services, event("evt_2"), request_id="req-2")
    row = (await customers(services.database))["cus_1"]
    assert (row.marked_at, row.marked_by) == (first, "req-2")


async def test_an_event_wakes_a_customer_that_was_listed_only_or_given_up_on(
    services: Services,
) -> None:
    async with services.database.write() as session:
        session.add(
            Customer(
                provider="stripe",
                provider_customer_id="cus_1",
                applied=1,
                partial=True,
                parked_at=NOW,
                marked_at=None,
            )
        )
    await take(services, event())
    row = (await customers(services.database))["cus_1"]
    assert (row.wanted, row.partial, row.parked_at) == (2, False, None)
    assert row.marked_at is not None


async def test_a_claim_without_an_id_is_not_touched(services: Services) -> None:
    account = await new_account(services)
    async with services.database.write() as session:
        session.add(Customer(team_id=account.team_id, provider="stripe", wanted=1))
    await take(services, event())
    rows = await customers(services.database)
    assert (rows[None].wanted, rows[None].team_id) == (1, account.team_id)
    assert rows["cus_1"].team_id is None


async def test_products_and_prices_mark_the_catalogue(services: Services) -> None:
    before = await wanted_catalog(services.database)
    one, two = (
        event(id_, None, type=type_, catalog=True)
        for id_, type_ in (("evt_1", "product.updated"), ("evt_2", "price.created"))
    )
    await take(services, one, two)
    await take(services, one)
    assert await wanted_catalog(services.database) == before + 2
    assert await customers(services.database) == {}
    assert (await stored(services.database))["evt_1"].catalog


async def test_an_event_of_no_interest_is_kept(services: Services) -> None:
    assert await take(services, event(customer=None, type="account.updated")) == [True]
    assert list(await stored(services.database)) == ["evt_1"]
    assert await customers(services.database) == {}


async def test_a_payment_method_without_a_customer_is_that_of_our_own_row(
    services: Services,
) -> None:
    account = await new_account(services, customer="cus_1")
    async with services.database.write() as session:
        session.add(
            PaymentMethod(provider="stripe", id="pm_1", customer_id=account.customer, type="card")
        )
    before = (await customers(services.database))["cus_1"].wanted
    detached = {"type": "payment_method.detached", "payment_method_id": "pm_1"}
    await take(
        services,
        event("evt_1", None, **detached),
        event("evt_2", None, **detached | {"payment_method_id": "pm_unknown"}),
    )
    rows = await stored(services.database)
    assert rows["evt_1"].provider_customer_id == "cus_1"
    assert rows["evt_2"].provider_customer_id is None
    assert (await customers(services.database))["cus_1"].wanted == before + 1


async def test_the_worker_is_woken_by_what_is_new_and_only_by_that(services: Services) -> None:
    waiting = asyncio.create_task(services.work.wait(30))
    await asyncio.sleep(0)
    await take(services, event())
    await asyncio.wait_for(waiting, 5)
    waiting = asyncio.create_task(services.work.wait(30))
    await asyncio.sleep(0)
    await take(services, event())
    await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()


# ---------------------------------------------------------------- many at once


async def test_many_are_taken_together_and_the_new_ones_counted(services: Services) -> None:
    await take(services, event("evt_1"))
    events = [event(f"evt_{number}", f"cus_{number % 3}") for number in range(1, 10)]
    assert await accept_many(services, Provider.STRIPE, [*events, events[-1]]) == 8
    rows = await stored(services.database)
    assert len(rows) == 9
    assert {row.source for row in rows.values()} == {EventSource.WEBHOOK, EventSource.RECOVERY}
    found = await customers(services.database)
    assert {key: row.wanted for key, row in found.items()} == {"cus_0": 3, "cus_1": 3, "cus_2": 3}
    assert await accept_many(services, Provider.STRIPE, events) == 0
    assert await accept_many(services, Provider.STRIPE, []) == 0


async def test_processes_that_take_the_same_events_in_opposite_orders_do_not_block_each_other(
    services: Services, other_process: Services
) -> None:
    events = [event(f"evt_{number:03}", f"cus_{number:03}") for number in range(60)]
    counts = await asyncio.gather(
        *(
            accept_many(process, Provider.STRIPE, order)
            for process, order in ((services, events), (other_process, events[::-1]))
            for _ in range(3)
        )
    )
    assert sum(counts) == 60
    assert {row.wanted for row in (await customers(services.database)).values()} == {1}


# ---------------------------------------------------------------- values the database refuses


@pytest.mark.parametrize("text_", ["a\x00b", "\ud800"])
async def test_text_that_a_database_refuses_costs_the_payload_and_not_the_event(
    services: Services, text_: str
) -> None:
    events = [event("evt_1"), event("evt_2", "cus_2", payload={"text": text_}), event("evt_3")]
    assert await take(services, *events) == [True] * 3
    rows = await stored(services.database)
    assert rows["evt_2"].payload in ({}, {"text": text_})
    assert rows["evt_3"].payload == events[2].payload
    assert (await customers(services.database))["cus_2"].wanted == 1
    assert await accept_many(services, Provider.STRIPE, events) == 0


@pytest.mark.parametrize("lost", [TimeoutError(), ConnectionResetError(), InterfaceError("closed")])
def test_a_connection_that_is_lost_has_refused_no_value(lost: Exception) -> None:
    assert not refuses_a_value(DBAPIError("INSERT", None, lost))


async def test_an_event_that_cannot_be_stored_at_all_fails_alone(services: Services) -> None:
    if services.database.is_sqlite:
        pytest.skip("SQLite takes text of any length")
    events = [event("evt_1"), event("evt_2" + "x" * 300), event("evt_3")]
    results = await asyncio.gather(
        *(accept(services, Provider.STRIPE, one) for one in events), return_exceptions=True
    )
    assert isinstance(results[1], SQLAlchemyError)
    assert set(await stored(services.database)) == {"evt_1", "evt_3"}
    with pytest.raises(SQLAlchemyError):
        await accept_many(services, Provider.STRIPE, [events[1], event("evt_4")][::-1])
    assert set(await stored(services.database)) == {"evt_1", "evt_3", "evt_4"}


async def test_when_the_database_fails_nothing_is_accepted_and_the_retry_is(
    services: Services,
) -> None:
    async with services.database.write() as session:
        await session.exec(text("ALTER TABLE customer RENAME TO away"))  # type: ignore[call-overload]
    try:
        with pytest.raises(SQLAlchemyError):
            await take(services, event())
        assert await stored(services.database) == {}
    finally:
        async with services.database.write() as session:
            await session.exec(text("ALTER TABLE away RENAME TO customer"))  # type: ignore[call-overload]
    assert await take(services, event()) == [True]
    assert (await customers(services.database))["cus_1"].wanted == 1


# ---------------------------------------------------------------- any deliveries

DELIVERIES = st.lists(
    st.tuples(st.integers(0, 11), st.sampled_from(["one", "many", "other process"])), max_size=30
)


async def deliver_and_check(
    services: Services, other_process: Services, deliveries: list[tuple[int, str]]
) -> None:
    prefix = uuid4().hex
    events = [
        event(
            f"{prefix}_{number}",
            None if number % 4 == 3 else f"{prefix}_cus_{number % 4}",
            catalog=number % 4 == 3,
        )
        for number in range(12)
    ]
    marked = await wanted_catalog(services.database)

    async def deliver(number: int, way: str) -> int:
        if way == "many":
            batch = [events[number], events[(number + 5) % 12]]
            return await accept_many(services, Provider.STRIPE, batch)
        process = other_process if way == "other process" else services
        return int((await accept(process, Provider.STRIPE, events[number])).new)

    new = await asyncio.gather(*(deliver(*one) for one in deliveries))
    distinct = {number for number, _ in deliveries} | {
        (number + 5) % 12 for number, way in deliveries if way == "many"
    }
    assert sum(new) == len(distinct)
    ours = {id_ for id_ in await stored(services.database) if id_.startswith(prefix)}
    assert ours == {events[number].id for number in distinct}
    found = await customers(services.database)
    for remainder in range(3):
        times = sum(number % 4 == remainder for number in distinct)
        row = found.get(f"{prefix}_cus_{remainder}")
        assert (row.wanted if row else 0) == times
    assert await wanted_catalog(services.database) == marked + sum(
        number % 4 == 3 for number in distinct
    )
    async with services.database.write() as session:
        for table in (InboxEvent, Customer):
            await session.exec(delete(table))


async def test_whatever_is_delivered_each_id_is_there_once_and_counted_once(
    services: Services, other_process: Services
) -> None:
    async with services.database.write() as session:
        session.add(Catalog(provider="stripe", wanted=0))
    loop = asyncio.get_running_loop()

    @settings(max_examples=25, deadline=None)
    @given(DELIVERIES)
    def whatever_is_delivered(deliveries: list[tuple[int, str]]) -> None:
        # The examples are drawn in a thread; what they do runs in this loop.
        check = deliver_and_check(services, other_process, deliveries)
        asyncio.run_coroutine_threadsafe(check, loop).result()

    await asyncio.to_thread(whatever_is_delivered)


async def test_catalogues_are_marked_before_customers(
    services: Services, other_process: Services
) -> None:
    """So that one who marks the catalogue and then a customer never waits for one who waits for him."""
    both = [event("evt_0"), event("evt_1", None, catalog=True)]
    await take(services, *both)
    database = services.database
    async with other_process.database.write() as holder:
        await holder.exec(update(Catalog).values(wanted=9))
        later = [event("evt_2"), event("evt_3", None, catalog=True)]
        accepting = asyncio.create_task(accept_many(services, Provider.STRIPE, later))
        if not database.is_sqlite:
            await someone_waits_for_a_lock(database)
            async with database.write() as session:
                free = select(Customer.id).with_for_update(skip_locked=True)
                assert len((await session.exec(free)).all()) == 1
    assert await accepting == 2
    assert await wanted_catalog(database) == 10


async def someone_waits_for_a_lock(database: Database) -> None:
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    async with asyncio.timeout(30):
        async with database.engine.connect() as connection:
            while not (await connection.execute(waiting)).scalar_one():  # noqa: ASYNC110 - it is a state of the database
                await asyncio.sleep(0.005)
