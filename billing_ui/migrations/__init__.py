"""Schema migrations, and bringing a database to the newest of them."""

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, event, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from billing_ui.database import Database

_DIRECTORY: Final = Path(__file__).parent
_ADVISORY_LOCK: Final = 0x62696C6C75690001
"""Any fixed number: every process that migrates a PostgreSQL database asks for this lock."""
_PATIENCE_MS: Final = 60_000
"""How long a process waits for another one that is migrating the same SQLite file."""


class UnknownRevision(Exception):
    """The database was migrated by a newer version of the application."""

    def __init__(self, revision: str) -> None:
        """Name the revision the database is at."""
        super().__init__(
            f"The database is at revision {revision}, which this version does not know. "
            "Install the version that migrated it, or a newer one."
        )


async def upgrade(database_url: str) -> bool:
    """Bring the database at `database_url` (an async SQLAlchemy URL) to the newest revision.

    All or nothing: one transaction holds every step. Processes that upgrade at the same time wait for each other.

    Returns:
        Whether anything had to be done.

    Raises:
        UnknownRevision: the database is newer than this application.
        sqlalchemy.exc.SQLAlchemyError, OSError: the database cannot be reached or refuses a step.
    """
    database = Database(database_url)
    if database.is_sqlite:
        event.listen(database.engine.sync_engine, "connect", _prepare_sqlite)
    try:
        engine = database.engine.execution_options(begin="BEGIN IMMEDIATE")
        async with engine.begin() as connection:
            return await connection.run_sync(_upgrade)
    finally:
        await database.close()


async def is_current(database: Database) -> bool:
    """Return whether a database is at the newest revision; changes nothing.

    Raises:
        UnknownRevision: the database is newer than this application.
        sqlalchemy.exc.SQLAlchemyError, OSError: the database cannot be reached.
    """
    async with database.engine.connect() as connection:
        revision = await connection.run_sync(_revision)
    if revision is not None and revision not in _known():
        raise UnknownRevision(revision)
    return revision == _newest()


def _upgrade(connection: Connection) -> bool:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
    before, newest = _revision(connection), _newest()
    if before == newest:
        return False
    if before is not None and before not in _known():
        raise UnknownRevision(before)
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    if connection.dialect.name == "sqlite":
        _refuse_orphans(connection)
    return True


def _prepare_sqlite(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    # SQLite changes a table by copying it and dropping the old one, which with foreign keys on would
    # delete every row that refers to it. The pragma does nothing inside a transaction, hence here.
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys=OFF")
    cursor.execute(f"PRAGMA busy_timeout={_PATIENCE_MS}")
    cursor.close()


def _refuse_orphans(connection: Connection) -> None:
    orphans = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    if orphans:
        raise RuntimeError(f"a migration left rows without what they refer to: {orphans[:5]}")


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_DIRECTORY).replace("%", "%%"))
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _newest() -> str | None:
    return _scripts().get_current_head()


def _known() -> frozenset[str]:
    return frozenset(script.revision for script in _scripts().walk_revisions())
