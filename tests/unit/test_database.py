"""Transactions: reading keeps nothing, writing keeps all or nothing, and writers wait their turn."""

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlmodel import col, func, select, update

from billing_ui import database as database_module
from billing_ui.database import Database
from billing_ui.models import Team
from tests.relay import Relay


async def names(database: Database) -> list[str]:
    """Return the names of all teams."""
    async with database.read() as session:
        return sorted((await session.exec(select(Team.name))).all())


async def test_what_is_written_stays(database: Database) -> None:
    async with database.write() as session:
        session.add(Team(name="Northwind"))
    assert await names(database) == ["Northwind"]


async def test_a_failure_keeps_nothing_of_its_transaction(database: Database) -> None:
    async def fail() -> None:
        async with database.write() as session:
            session.add(Team(name="Northwind"))
            await session.flush()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    assert await names(database) == []


async def test_a_read_keeps_nothing(database: Database) -> None:
    async with database.read() as session:
        session.add(Team(name="Northwind"))
        await session.flush()
    assert await names(database) == []


async def test_a_write_inside_a_write_is_refused_instead_of_waiting_for_itself(
    database: Database,
) -> None:
    async def write_twice() -> None:
        async with database.write(), database.write():
            pass

    with pytest.raises(RuntimeError, match="inside another"):
        await asyncio.wait_for(write_twice(), 5)
    async with database.write() as session:
        session.add(Team(name="Northwind"))
    assert await names(database) == ["Northwind"]


async def test_writers_that_read_first_lose_no_count(database: Database, database_url: str) -> None:
    async with database.write() as session:
        session.add(Team(name="0"))
    other = Database(database_url)

    async def count_up(process: Database) -> None:
        async with process.write() as session:
            query = select(Team).with_for_update()
            team = (await session.exec(query)).one()
            team.name = str(int(team.name) + 1)
            session.add(team)

    await asyncio.gather(*(count_up(process) for process in (database, other) for _ in range(20)))
    await other.close()
    assert await names(database) == ["40"]


async def test_a_reader_does_not_wait_for_a_writer(database: Database) -> None:
    async with database.write() as session:
        session.add(Team(name="Northwind"))
        await session.flush()
        assert await names(database) == []
    assert await names(database) == ["Northwind"]


async def test_a_database_that_another_process_keeps_locked_is_an_error_that_passes(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "BUSY_TIMEOUT_MS", 20)
    ours, theirs = Database(sqlite_url), Database(sqlite_url)
    async with theirs.write() as held:
        await held.exec(update(Team).values(name="x"))
        for _ in range(20):
            with pytest.raises(OperationalError, match="locked"):
                async with ours.write() as session:
                    await session.exec(select(func.count(col(Team.id))))
    async with ours.write() as session:
        session.add(Team(name="Northwind"))
    assert await names(ours) == ["Northwind"]
    await ours.close()
    await theirs.close()


def test_a_database_serves_one_event_loop_after_another(sqlite_url: str) -> None:
    database = Database(sqlite_url)

    async def write_some() -> None:
        async def write() -> None:
            async with database.write() as session:
                session.add(Team(name="x"))

        await asyncio.gather(*(write() for _ in range(5)))
        await database.close()

    asyncio.run(write_some())
    asyncio.run(write_some())
    assert len(asyncio.run(names(database))) == 10
    asyncio.run(database.close())


async def test_a_durable_write_waits_for_the_disk_and_the_next_write_does_not(
    sqlite_url: str,
) -> None:
    database = Database(sqlite_url)

    async def synchronous(*, durable: bool) -> object:
        async with database.write(durable=durable) as session:
            connection = await session.connection()
            return (await connection.execute(text("PRAGMA synchronous"))).scalar()

    normal, full = 1, 2
    levels = [await synchronous(durable=durable) for durable in (False, True, True, False, True)]
    assert levels == [normal, full, full, normal, full]
    async with database.read() as session:
        connection = await session.connection()
        assert (await connection.execute(text("PRAGMA synchronous"))).scalar() == normal
    await database.close()


async def test_a_write_canceled_at_any_moment_leaves_the_database_free(database: Database) -> None:
    async def write() -> None:
        async with database.write() as session:
            session.add_all(Team(name=str(number)) for number in range(20))
            await session.flush()
            await session.exec(select(Team))

    for turns in range(60):
        writing = asyncio.create_task(write())
        for _ in range(turns):
            await asyncio.sleep(0)
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        # Were it locked, this would fail after the busy timeout.
        async with database.write() as session:
            session.add(Team(name="after"))
    assert len([name for name in await names(database) if name == "after"]) == 60


async def test_transactions_fail_while_the_server_does_not_answer_and_pass_when_it_does(
    relay: Relay,
) -> None:
    database = Database(relay.url)

    async def write(name: str) -> None:
        async with database.write() as session:
            session.add(Team(name=name))

    # So many connections that one of them would be left for each attempt.
    await asyncio.gather(*(write("before") for _ in range(8)))
    with pytest.MonkeyPatch.context() as patch, relay.silent():
        patch.setattr(database_module, "_TRANSACTION_SECONDS", 0.1)
        for attempt in (write("meanwhile"), names(database)):
            with pytest.raises(OperationalError):
                await attempt
    await write("after")
    assert await names(database) == ["after", *["before"] * 8]
    await database.close()


async def test_somebody_elses_impatience_is_not_taken_for_the_databases(database: Database) -> None:
    with pytest.raises(TimeoutError):
        async with database.read():
            raise TimeoutError
