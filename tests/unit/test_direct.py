"""Statements that go to the driver itself: values of every type, failures, and connections that are gone."""

import asyncio
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import pytest
from sqlalchemy import bindparam, insert
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlmodel import col, select

from billing_ui import direct
from billing_ui.billing.arrivals import refuses_a_value
from billing_ui.database import Database
from billing_ui.direct import Direct
from billing_ui.models import Customer, Team
from tests.relay import Relay


class Known(NamedTuple):
    """A part of a customer."""

    id: UUID
    create_params: dict[str, Any] | None
    claimed_at: datetime
    deleted_at: datetime | None
    partial: bool


FIND = Direct(
    select(  # type: ignore[call-overload]
        Customer.id,
        Customer.create_params,
        Customer.claimed_at,
        Customer.deleted_at,
        Customer.partial,
    ).where(Customer.provider == bindparam("provider"), col(Customer.partial).is_(False)),
    Known,
)
WRITE = Direct(insert(Team).values(id=bindparam("id"), name=bindparam("name")), tuple)
TEAMS = Direct(select(Team.name).order_by(Team.name), str)


async def write(database: Database, name: str, team_id: UUID | None = None) -> None:
    """Insert a team."""
    await database.execute(WRITE, id=team_id or uuid4(), name=name, created_at=datetime.now(UTC))


async def test_values_are_what_a_session_would_have_read(database: Database) -> None:
    customer = Customer(
        provider="stripe",
        provider_customer_id="cus_1",
        create_params={"email": "ä@example.com", "name": None},
        claimed_at=datetime(2027, 1, 3, 4, 5, 6, 789000, UTC),
    )
    async with database.write() as session:
        session.add(customer)
    assert await database.fetch(FIND, provider="polar") == []
    [found] = await database.fetch(FIND, provider="stripe")
    assert found == Known(
        customer.id, customer.create_params, customer.claimed_at, customer.deleted_at, False
    )


async def test_what_is_written_is_committed_for_everyone(database: Database) -> None:
    await write(database, "Acme")
    async with database.read() as session:
        assert (await session.exec(select(Team.name))).all() == ["Acme"]
    assert await database.fetch(TEAMS) == ["Acme"]


async def test_many_at_once_all_arrive(database: Database) -> None:
    await asyncio.gather(*(write(database, f"{number:02}") for number in range(40)))
    found = await asyncio.gather(*(database.fetch(TEAMS) for _ in range(40)))
    assert all(names == [f"{number:02}" for number in range(40)] for names in found)


async def test_a_refused_statement_writes_nothing_and_repeats_no_value(database: Database) -> None:
    team_id = uuid4()
    await write(database, "Acme", team_id)
    with pytest.raises(DBAPIError) as caught:
        await write(database, "A secret name", team_id)
    assert "A secret name" not in str(caught.value)
    await write(database, "Bravo")
    assert await database.fetch(TEAMS) == ["Acme", "Bravo"]


async def test_who_is_writing_already_is_told_so(database: Database) -> None:
    async with database.write():
        with pytest.raises(RuntimeError, match="inside another"):
            await write(database, "Acme")


async def test_a_call_that_is_given_up_spoils_nothing(database: Database) -> None:
    for _ in range(20):
        call = asyncio.ensure_future(database.fetch(TEAMS))
        await asyncio.sleep(0)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
    assert await asyncio.wait_for(database.fetch(TEAMS), 10) == []


async def test_connections_that_the_server_ended_are_replaced(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if it had rested for long: it is tried before it is used.
    monkeypatch.setattr(direct, "_RESTED_SECONDS", 0)
    await write(database, "Acme")
    if not database.is_sqlite:
        async with database.engine.connect() as connection:
            await connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
    assert await database.fetch(TEAMS) == ["Acme"]
    await write(database, "Bravo")
    assert await database.fetch(TEAMS) == ["Acme", "Bravo"]


async def test_a_server_that_does_not_answer_is_given_up_with_every_connection_to_it(
    relay: Relay,
) -> None:
    database = Database(relay.url)
    await asyncio.gather(*(write(database, "before") for _ in range(8)))
    with pytest.MonkeyPatch.context() as patch, relay.silent():
        patch.setattr(direct, "_LIMIT_SECONDS", 0.1)
        with pytest.raises(OperationalError) as caught:
            await write(database, "meanwhile")
    assert not refuses_a_value(caught.value)
    assert not database._direct_writes[False]._resting
    await write(database, "after")
    assert await database.fetch(TEAMS) == ["after", *["before"] * 8]
    await database.close()


@pytest.mark.parametrize("durable", [False, True])
async def test_what_must_be_durable_waits_for_the_disk(database: Database, durable: bool) -> None:
    await write(database, "Acme")
    setting = "PRAGMA synchronous" if database.is_sqlite else "SHOW synchronous_commit"
    connections = database._direct_writes[durable]
    async with connections._connection() as connection:
        [[said]] = await connections._driver.ask(connection, setting, [])
    # On SQLite 1 is NORMAL and 2 is FULL. The tests' PostgreSQL waits for no disk by itself.
    assert said == ((1, 2)[durable] if database.is_sqlite else "off")
