"""The database: one async engine and the two kinds of transaction, reading and writing."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    asynccontextmanager,
    contextmanager,
    nullcontext,
    suppress,
)
from pathlib import Path
from typing import Any, Final, cast
from weakref import WeakKeyDictionary, WeakSet

from sqlalchemy import Connection, event
from sqlalchemy.engine import AdaptedConnection, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import InvalidatePoolError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection
from sqlmodel.ext.asyncio.session import AsyncSession

from billing_ui.direct import POSTGRESQL_ERRORS, TRIAL_SECONDS, Direct, DirectConnections, Row

BUSY_TIMEOUT_MS = 5_000
_SYNCHRONOUS = "NORMAL"


_AT_ONCE = 4
"""How many direct statements of a kind run at the same time on PostgreSQL."""

_CONNECT_SECONDS: Final = 5.0
_TRANSACTION_SECONDS: Final = 30.0
"""So long a transaction on PostgreSQL may take, which is far longer than the longest of ours does: a server that
vanished without a word is noticed then, and not when TCP gives up. Migrations take as long as they take."""

# How a connection is told to commit: quickly, or durably.
_SQLITE_COMMITS = (None, "PRAGMA synchronous=FULL")
_POSTGRESQL_COMMITS = ("SET synchronous_commit = off", None)

_POSTGRESQL_OPTIONS: Final = {"pool_size": 10, "connect_args": {"timeout": _CONNECT_SECONDS}}


class Database:
    """An async engine with explicit read and write transactions, and a short way for single statements.

    On SQLite a write begins IMMEDIATE: it takes the write lock before it reads, because a transaction
    that reads first and upgrades later fails at once when another one wrote in between.
    """

    def __init__(self, url: str) -> None:
        """Open an engine on `url` (an async SQLAlchemy URL); connects lazily."""
        self.is_sqlite = url.startswith("sqlite")
        options: dict[str, Any] = {} if self.is_sqlite else _POSTGRESQL_OPTIONS
        if self.is_sqlite:
            file = make_url(url).database
            if file and file != ":memory:":
                Path(file).parent.mkdir(parents=True, exist_ok=True)
        # An error's text ends in logs; the values of its statement do not belong there.
        self.engine: AsyncEngine = create_async_engine(url, hide_parameters=True, **options)
        # A lock belongs to the event loop that first waits for it.
        self._turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = (
            WeakKeyDictionary()
        )
        self._writing: WeakSet[asyncio.Task[Any]] = WeakSet()
        self._writer = self.engine.execution_options(begin="BEGIN IMMEDIATE")
        self._durable_writer = self._writer.execution_options(synchronous="FULL")
        # On SQLite one connection each: a write that waits must not keep the reads waiting.
        at_once = 1 if self.is_sqlite else _AT_ONCE
        quick, durable = _SQLITE_COMMITS if self.is_sqlite else _POSTGRESQL_COMMITS
        self._direct_reads = DirectConnections(self.engine, at_once)
        self._direct_writes = {
            False: DirectConnections(self.engine, at_once, quick),
            True: DirectConnections(self.engine, at_once, durable),
        }
        if self.is_sqlite:
            event.listen(self.engine.sync_engine, "connect", _prepare_sqlite)
            event.listen(self.engine.sync_engine, "begin", _begin_sqlite)
            event.listen(self.engine.sync_engine, "invalidate", _end_transaction)
        else:
            event.listen(self.engine.sync_engine, "checkout", _try_postgresql)
            event.listen(self.engine.sync_engine, "close", _leave_postgresql)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """Open a session for reading; nothing it changes is kept.

        Raises:
            sqlalchemy.exc.OperationalError: the database did not answer in time.
        """
        async with (
            self._limited(),
            AsyncSession(self.engine, expire_on_commit=False) as session,
        ):
            yield session

    @asynccontextmanager
    async def write(self, *, durable: bool = False) -> AsyncIterator[AsyncSession]:
        """Open a session for writing; commits at the end, rolls back on any exception.

        Args:
            durable: let what is committed survive a loss of power, which on SQLite takes a wait for the
                disk; PostgreSQL waits for it always, unless its operator decided otherwise.

        Raises:
            RuntimeError: this task is already writing; on SQLite it would wait for itself.
            sqlalchemy.exc.OperationalError: the database did not answer in time; whether it was committed is
                not known.
        """
        # On SQLite one writes at a time. Those of this process wait here, in order: SQLite itself would
        # let them look again and again, after longer and longer sleeps.
        with self._writes_once():
            async with (
                self._turn(),
                self._limited(),
                AsyncSession(
                    self._durable_writer if durable else self._writer, expire_on_commit=False
                ) as session,
                session.begin(),
            ):
                yield session

    async def fetch(self, query: Direct[Row], **parameters: Any) -> list[Row]:
        """Return what a single query finds, the short way.

        Raises:
            sqlalchemy.exc.DBAPIError, OSError: the database failed, or did not answer in time.
        """
        return await self._direct_reads.fetch(query, parameters)

    async def execute(
        self, statement: Direct[Row], *, durable: bool = False, **parameters: Any
    ) -> list[Row]:
        """Run a single statement that writes, the short way; it is committed when this returns what it found.

        Args:
            durable: let it survive a loss of power, which takes a wait for the disk, on either database.
                Otherwise it survives every end of this process.

        Raises:
            sqlalchemy.exc.DBAPIError, OSError: the database refused it, and nothing is written; or it failed
                or did not answer in time, and whether it is written is not known.
            RuntimeError: this task is already writing; on SQLite it would wait for itself.
        """
        with self._writes_once():
            async with self._turn():
                return await self._direct_writes[durable].fetch(statement, parameters)

    @contextmanager
    def _writes_once(self) -> Iterator[None]:
        task = asyncio.current_task()
        assert task is not None
        if task in self._writing:
            raise RuntimeError("a write transaction was opened inside another one")
        self._writing.add(task)
        try:
            yield
        finally:
            self._writing.discard(task)

    def _turn(self) -> AbstractAsyncContextManager[None]:
        if not self.is_sqlite:
            return nullcontext()
        return self._turns.setdefault(asyncio.get_running_loop(), asyncio.Lock())

    @asynccontextmanager
    async def _limited(self) -> AsyncIterator[None]:
        """Let what is done meanwhile fail when PostgreSQL takes too long."""
        try:
            # Canceled, rather than told by the driver: a connection that this happens to is thrown away.
            async with asyncio.timeout(None if self.is_sqlite else _TRANSACTION_SECONDS) as limit:
                yield
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise OperationalError(None, None, error, hide_parameters=True) from error

    async def close(self) -> None:
        """Close every connection."""
        await self._direct_reads.close()
        for connections in self._direct_writes.values():
            await connections.close()
        await self.engine.dispose()


def _try_postgresql(
    connection: DBAPIConnection, _entry: ConnectionPoolEntry, _proxy: PoolProxiedConnection
) -> None:
    # The pool would try it with three trips to the server, and wait for as long as TCP does.
    try:
        cast(AdaptedConnection, connection).run_async(
            lambda driver: driver.execute("SELECT 1", timeout=TRIAL_SECONDS)
        )
    except POSTGRESQL_ERRORS as error:
        # Where one is gone the others are: the pool replaces them all.
        raise InvalidatePoolError from error


def _leave_postgresql(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    # Without a goodbye: to each connection to a server that has vanished it would take seconds.
    cast(AdaptedConnection, connection).driver_connection.terminate()


def _prepare_sqlite(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    # The driver would begin transactions by itself, deferred; we say BEGIN ourselves.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        f"synchronous={_SYNCHRONOUS}",
        "foreign_keys=ON",
        f"busy_timeout={BUSY_TIMEOUT_MS}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _end_transaction(
    connection: DBAPIConnection, _entry: ConnectionPoolEntry, _error: BaseException | None
) -> None:
    # A task was canceled in the middle of a statement, and its connection is thrown away. Closing alone would
    # not end its transaction as long as anything refers to that statement: the database would stay locked.
    with suppress(ValueError):  # closed already
        cast(AdaptedConnection, connection).run_async(lambda sqlite: sqlite.rollback())


def _begin_sqlite(connection: Connection) -> None:
    options = connection.get_execution_options()
    begin: str = options.get("begin", "BEGIN")
    synchronous: str = options.get("synchronous", _SYNCHRONOUS)
    # Each step of a cursor is a trip to the connection's thread and back; these are one each.
    adapted = cast(AdaptedConnection, connection.connection.dbapi_connection)
    try:
        if connection.info.get("synchronous", _SYNCHRONOUS) != synchronous:
            # It says how the next transactions are committed, and cannot be said within one.
            pragma = f"PRAGMA synchronous={synchronous}"
            adapted.run_async(lambda sqlite: sqlite.execute_fetchall(pragma))
            connection.info["synchronous"] = synchronous
        adapted.run_async(lambda sqlite: sqlite.execute_fetchall(begin))
    except sqlite3.Error as error:
        raise OperationalError(begin, None, error, hide_parameters=True) from error
