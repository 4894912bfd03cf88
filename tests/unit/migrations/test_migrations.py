"""Migrations on both databases: complete, repeatable, and safe to run twice at once."""

import subprocess
import sys
from uuid import uuid4

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection
from sqlmodel import col, select

from billing_ui.database import Database
from billing_ui.migrations import UnknownRevision, upgrade
from billing_ui.models import (
    AuthSession,
    Customer,
    CustomerSnapshot,
    PortalVisit,
    RecordedChange,
    SQLModel,
    Subscription,
    Urgency,
)

_UPGRADE = "import asyncio, sys; from billing_ui.migrations import upgrade; print(asyncio.run(upgrade(sys.argv[1])))"


def _differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(
        connection, opts={"compare_type": True, "compare_server_default": True}
    )
    return list(compare_metadata(context, SQLModel.metadata))


async def test_an_empty_database_ends_with_exactly_the_tables_of_the_models(
    empty_database_url: str,
) -> None:
    assert await upgrade(empty_database_url) is True
    database = Database(empty_database_url)
    async with database.engine.connect() as connection:
        assert await connection.run_sync(_differences) == []
    await database.close()


async def test_upgrading_again_does_nothing(empty_database_url: str) -> None:
    await upgrade(empty_database_url)
    assert await upgrade(empty_database_url) is False


def test_processes_that_upgrade_at_once_wait_for_each_other(empty_database_url: str) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _UPGRADE, empty_database_url],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    outputs = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], outputs
    assert sorted(output.strip() for output, _ in outputs) == ["False", "False", "True"]


async def test_a_database_of_a_newer_version_is_left_alone(empty_database_url: str) -> None:
    await upgrade(empty_database_url)
    database = Database(empty_database_url)
    async with database.engine.begin() as connection:
        await connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(UnknownRevision, match="9999"):
        await upgrade(empty_database_url)
    await database.close()


async def test_who_waits_from_before_there_was_an_urgency_gives_way_and_is_kept_whole(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = command.upgrade
    with monkeypatch.context() as earlier:
        earlier.setattr(command, "upgrade", lambda config, _: newest(config, "0002"))
        await upgrade(empty_database_url)
    team, customers, then = (
        uuid4().hex,
        [uuid4().hex for _ in range(2)],
        "2026-11-20 12:00:00.000000",
    )
    database = Database(empty_database_url)
    async with database.engine.begin() as connection:
        await connection.exec_driver_sql(f"INSERT INTO team VALUES ('{team}', 'Acme', '{then}')")
        for number, customer in enumerate(customers):
            claim = "NULL" if number else f"'{team}'"
            await connection.exec_driver_sql(
                "INSERT INTO customer (id, team_id, provider, provider_customer_id, generation,"
                " claimed_at, wanted, applied, fetch_no, applied_fetch_no, partial, attempts,"
                f" tax_ids, marked_at) VALUES ('{customer}', {claim}, 'stripe', 'cus_{number}', 1,"
                f" '{then}', 2, 1, 1, 1, false, 0, '[]', '{then}')"
            )
            await connection.exec_driver_sql(
                f"INSERT INTO customer_snapshot VALUES ('{customer}', 1, '{{}}')"
            )
    assert await upgrade(empty_database_url) is True
    async with database.read() as session:
        rows = (
            await session.exec(select(Customer).order_by(col(Customer.provider_customer_id)))
        ).all()
        kept = (await session.exec(select(CustomerSnapshot))).all()
    await database.close()
    assert [row.urgency for row in rows] == [Urgency.BULK, Urgency.BULK_UNCLAIMED]
    assert len(kept) == 2


async def test_who_is_signed_in_stays_so_and_is_said_to_have_come_by_password(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = command.upgrade
    with monkeypatch.context() as earlier:
        earlier.setattr(command, "upgrade", lambda config, _: newest(config, "0003"))
        await upgrade(empty_database_url)
    user, session_id, then = uuid4().hex, uuid4().hex, "2026-11-20 12:00:00.000000"
    database = Database(empty_database_url)
    async with database.engine.begin() as connection:
        await connection.exec_driver_sql(
            'INSERT INTO "user" (id, email, name, created_at)'
            f" VALUES ('{user}', 'ada@example.com', 'Ada', '{then}')"
        )
        await connection.exec_driver_sql(
            "INSERT INTO auth_session (id, token_hash, user_id, created_at, last_seen_at, expires_at)"
            f" VALUES ('{session_id}', 'h', '{user}', '{then}', '{then}', '{then}')"
        )
    assert await upgrade(empty_database_url) is True
    async with database.read() as session:
        [kept] = (await session.exec(select(AuthSession))).all()
    await database.close()
    assert (kept.id.hex, kept.user_id.hex, kept.method) == (session_id, user, "password")


async def test_a_subscription_from_before_pauses_were_known_is_kept_and_promised_none(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = command.upgrade
    with monkeypatch.context() as earlier:
        earlier.setattr(command, "upgrade", lambda config, _: newest(config, "0006"))
        await upgrade(empty_database_url)
    customer, then = uuid4().hex, "2026-11-20 12:00:00.000000"
    database = Database(empty_database_url)
    async with database.engine.begin() as connection:
        await connection.exec_driver_sql(
            "INSERT INTO customer (id, provider, provider_customer_id, generation, claimed_at,"
            " wanted, applied, fetch_no, applied_fetch_no, partial, attempts, tax_ids, urgency)"
            f" VALUES ('{customer}', 'polar', 'cus_1', 1, '{then}', 1, 1, 1, 1, false, 0, '[]', 3)"
        )
        await connection.exec_driver_sql(
            "INSERT INTO subscription (provider, id, customer_id, status, state, currency,"
            " created_at, current_period_end, ends_unpaid, raw) VALUES"
            f" ('polar', 'sub_1', '{customer}', 'active', 'active', 'usd', '{then}', '{then}',"
            " false, '{}')"
        )
    assert await upgrade(empty_database_url) is True
    async with database.read() as session:
        [kept] = (await session.exec(select(Subscription))).all()
    await database.close()
    assert (kept.id, kept.state, kept.pauses_at) == ("sub_1", "active", None)


async def test_what_came_of_a_trip_is_still_told_to_who_came_back_just_before(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = command.upgrade
    with monkeypatch.context() as earlier:
        earlier.setattr(command, "upgrade", lambda config, _: newest(config, "0007"))
        await upgrade(empty_database_url)
    user, team, customer, visit, then = (
        *(uuid4().hex for _ in range(4)),
        "2026-11-20 12:00:00.000000",
    )
    database = Database(empty_database_url)
    async with database.engine.begin() as connection:
        for statement in (
            f"INSERT INTO \"user\" (id, email, name, created_at) VALUES ('{user}', 'a@b.example', '', '{then}')",
            f"INSERT INTO team (id, name, created_at) VALUES ('{team}', 'Acme', '{then}')",
            "INSERT INTO customer (id, provider, provider_customer_id, generation, claimed_at,"
            " wanted, applied, fetch_no, applied_fetch_no, partial, attempts, tax_ids, urgency)"
            f" VALUES ('{customer}', 'stripe', 'cus_1', 1, '{then}', 1, 1, 1, 1, false, 0, '[]', 3)",
            "INSERT INTO portal_visit (id, customer_id, team_id, user_id, kind, created_at, returned_at)"
            f" VALUES ('{visit}', '{customer}', '{team}', '{user}', 'portal', '{then}', '{then}')",
            "INSERT INTO change (customer_id, fetch_no, position, source, visit_id, document, found_at)"
            f" VALUES ('{customer}', 1, 0, 'portal', '{visit}', '{{}}', '{then}')",
        ):
            await connection.exec_driver_sql(statement)
    assert await upgrade(empty_database_url) is True
    async with database.read() as session:
        [kept] = (await session.exec(select(PortalVisit))).all()
        [change] = (await session.exec(select(RecordedChange))).all()
    await database.close()
    assert kept.returned_user_id
    assert kept.returned_user_id.hex == user
    # Nothing that pointed to the table is lost where it had to be made anew.
    assert change.visit_id == kept.id
