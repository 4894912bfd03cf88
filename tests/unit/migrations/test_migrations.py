"""Migrations on both databases: complete, repeatable, and safe to run twice at once."""

import subprocess
import sys

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection

from billing_ui.database import Database
from billing_ui.migrations import UnknownRevision, upgrade
from billing_ui.models import SQLModel

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
