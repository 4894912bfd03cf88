"""Statements that every request runs: put together once, and handed to the database's driver itself.

A session of SQLAlchemy takes ten times as long as such a statement does, and on SQLite goes to the connection's
thread and back a dozen times. What is measured of it stands in `benchmarks/README.md`.
"""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar, cast

import aiosqlite
import asyncpg  # type: ignore[import-untyped]
from sqlalchemy import Insert, Select
from sqlalchemy.engine import AdaptedConnection, Dialect
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.sql.compiler import SQLCompiler

Row = TypeVar("Row")

Processor = Callable[[Any], Any]

_RESTED_SECONDS: Final = 30.0
"""A connection unused for so long is tried first: a firewall may have forgotten it without telling."""
TRIAL_SECONDS: Final = 2.0
"""So long a connection that is tried may take to answer."""
_LIMIT_SECONDS: Final = 8.0
"""So long a statement may take, with the wait for a connection to run it on.

A server that vanishes without a word would keep everybody waiting for a quarter of an hour, until TCP gives up.
An event waits for two of them at most, that of the batch before it and its own, and Stripe waits for an answer for
20 seconds. After a commit that was not answered it sends the event again, which is found to be there.
"""


POSTGRESQL_ERRORS: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    # Of a connection that the server ends in this very moment.
    asyncpg.InternalClientError,
    OSError,
)
"""What the driver raises when a statement fails."""


class Direct(Generic[Row]):
    """One statement, a transaction by itself; each row it returns is made a `Row`.

    It is written with SQLAlchemy as any other, and its values go through the types of its columns. A list of
    values (`in_`) cannot be a parameter of it.
    """

    def __init__(self, statement: Select[Any] | Insert, row: Callable[..., Row]) -> None:
        """Compile nothing yet.

        Args:
            statement: what to run; `bindparam` stands for what differs from call to call.
            row: called with the values of each row, in the order of the columns.
        """
        self._statement = statement
        self._row = row
        self._compiled: dict[str, _Compiled] = {}

    def bind(self, dialect: Dialect, parameters: Mapping[str, Any]) -> tuple[str, list[Any]]:
        """Return the statement's text and its arguments, as the driver takes them."""
        compiled = self._for(dialect)
        return compiled.text, compiled.arguments(parameters)

    def rows(self, dialect: Dialect, found: Sequence[Sequence[Any]]) -> list[Row]:
        """Return what the driver found as rows."""
        processors = self._for(dialect).results
        return [
            self._row(
                *(
                    value if processor is None else processor(value)
                    for processor, value in zip(processors, values, strict=True)
                )
            )
            for values in found
        ]

    def _for(self, dialect: Dialect) -> "_Compiled":
        compiled = self._compiled.get(dialect.name)
        if compiled is None:
            compiled = self._compiled[dialect.name] = _compile(self._statement, dialect)
        return compiled


class DirectConnections:
    """Connections on which direct statements run, one after the other on each; opened when first needed."""

    def __init__(self, engine: AsyncEngine, at_most: int, setting: str | None = None) -> None:
        """Open nothing yet.

        Args:
            at_most: how many connections there may be.
            setting: a statement that each of them begins with.
        """
        self._engine = engine
        self._setting = setting
        self._driver = _SQLITE if engine.dialect.name == "sqlite" else _POSTGRESQL
        self._turns = asyncio.Semaphore(at_most)
        self._resting: list[tuple[AdaptedConnection, float]] = []

    async def fetch(self, statement: Direct[Row], parameters: Mapping[str, Any]) -> list[Row]:
        """Run `statement` and return its rows.

        Raises:
            sqlalchemy.exc.DBAPIError, OSError: the database failed, did not answer in time, or refused it.
        """
        dialect = self._engine.dialect
        text, arguments = statement.bind(dialect, parameters)
        try:
            async with (
                asyncio.timeout(_LIMIT_SECONDS),
                self._turns,
                self._connection() as connection,
            ):
                try:
                    found = await self._driver.ask(connection, text, arguments)
                except self._driver.errors as error:
                    raise DBAPIError(text, None, error, hide_parameters=True) from error
        except TimeoutError as error:
            self._end_resting()
            raise OperationalError(text, None, error, hide_parameters=True) from error
        return statement.rows(dialect, found)

    async def close(self) -> None:
        """Close every connection; no statement is running any more."""
        while self._resting:
            connection, _ = self._resting.pop()
            await self._driver.close(connection.driver_connection)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Any]:
        connection = await self._rested() or await self._open()
        try:
            yield connection.driver_connection
        except BaseException:
            # Nobody knows what it is in the middle of.
            _end(connection)
            raise
        self._resting.append((connection, time.monotonic()))

    async def _rested(self) -> AdaptedConnection | None:
        """Return the connection that was used last, if there is one and it still answers."""
        while self._resting:
            connection, since = self._resting.pop()
            if await self._is_alive(connection, since):
                return connection
        return None

    async def _is_alive(self, connection: AdaptedConnection, since: float) -> bool:
        driver = connection.driver_connection
        if self._driver.is_closed(driver):
            return False
        if time.monotonic() - since < _RESTED_SECONDS:
            return True
        try:
            async with asyncio.timeout(TRIAL_SECONDS):
                await self._driver.ask(driver, "SELECT 1", [])
        except self._driver.errors:  # a TimeoutError is an OSError
            _end(connection)
            self._end_resting()
            return False
        except BaseException:
            _end(connection)
            raise
        return True

    def _end_resting(self) -> None:
        """End every connection that rests: where one is gone the others are, and trying each takes its time."""
        while self._resting:
            connection, _ = self._resting.pop()
            _end(connection)

    async def _open(self) -> AdaptedConnection:
        # SQLAlchemy opens it, so that it is prepared as all the others are, and then lets go of it.
        pooled = await self._engine.raw_connection()
        connection = cast(AdaptedConnection, pooled.dbapi_connection)
        pooled.detach()
        if self._setting is not None:
            try:
                await self._driver.ask(connection.driver_connection, self._setting, [])
            except BaseException:
                _end(connection)
                raise
        return connection


@dataclass(frozen=True)
class _Driver:
    """What is different between the drivers."""

    ask: Callable[[Any, str, Sequence[Any]], Awaitable[Sequence[Sequence[Any]]]]
    is_closed: Callable[[Any], bool]
    close: Callable[[Any], Awaitable[None]]
    errors: tuple[type[Exception], ...]


def _ask_sqlite(
    connection: aiosqlite.Connection, text: str, arguments: Sequence[Any]
) -> Awaitable[Any]:
    return connection.execute_fetchall(text, arguments)


def _ask_postgresql(
    connection: Any, text: str, arguments: Sequence[Any]
) -> Awaitable[Sequence[Sequence[Any]]]:
    asked: Awaitable[Sequence[Sequence[Any]]] = connection.fetch(text, *arguments)
    return asked


async def _close_postgresql(connection: Any) -> None:
    # Without a goodbye, for which a server that has vanished would keep us waiting.
    connection.terminate()


_SQLITE: Final = _Driver(
    _ask_sqlite, lambda _: False, aiosqlite.Connection.close, (sqlite3.Error, OSError)
)
_POSTGRESQL: Final = _Driver(
    _ask_postgresql,
    asyncpg.Connection.is_closed,
    _close_postgresql,
    POSTGRESQL_ERRORS,
)


def _end(connection: AdaptedConnection) -> None:
    """Close a connection without waiting for whatever it does."""
    cast(Any, connection).terminate()


@dataclass(frozen=True)
class _Compiled:
    """A statement in one dialect.

    Attributes:
        names: which parameter stands at each place of the text.
        constants: values that stand in the statement itself.
        binders, results: what the column types make of a value on its way in and out; None for nothing.
    """

    text: str
    names: tuple[str, ...]
    constants: Mapping[str, Any]
    binders: Mapping[str, Processor]
    results: tuple[Processor | None, ...]

    def arguments(self, parameters: Mapping[str, Any]) -> list[Any]:
        values = {**self.constants, **parameters}
        return [
            self.binders[name](values[name]) if name in self.binders else values[name]
            for name in self.names
        ]


def _compile(statement: Select[Any] | Insert, dialect: Dialect) -> _Compiled:
    compiled = statement.compile(dialect=dialect)
    assert isinstance(compiled, SQLCompiler)
    binders = {
        name: processor
        for name, parameter in compiled.binds.items()
        if (processor := parameter.type.dialect_impl(dialect).bind_processor(dialect))
    }
    columns = statement.selected_columns if isinstance(statement, Select) else ()
    return _Compiled(
        text=str(compiled),
        names=tuple(compiled.positiontup or ()),
        constants={
            name: parameter.value
            for name, parameter in compiled.binds.items()
            if not parameter.required
        },
        binders=binders,
        results=tuple(
            column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns
        ),
    )
