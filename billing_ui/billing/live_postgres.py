"""The way from process to process over PostgreSQL: LISTEN and NOTIFY, on a connection of its own."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

from sqlalchemy import URL, NullPool
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine

from billing_ui.billing.live import Line, LineBroken
from billing_ui.direct import POSTGRESQL_ERRORS

_CHANNEL: Final = "billing_ui_live"
_ANSWER_SECONDS: Final = 5.0
_CHECK_SECONDS: Final = 10.0


@asynccontextmanager
async def postgres_line(url: URL) -> AsyncIterator[Line]:
    """Connect to the database at `url` and listen from then on.

    It must be PostgreSQL itself: a pooler that lends a connection for one transaction only forgets who listens.
    """
    # SQLAlchemy makes the connection, so that every option in the address means what it means elsewhere.
    engine = create_async_engine(url, poolclass=NullPool)
    try:
        connection = engine.connect()
        with _named_failures():
            async with asyncio.timeout(_ANSWER_SECONDS):
                await connection.start()
                raw = await connection.get_raw_connection()
        try:
            line = _PostgresLine(raw.driver_connection)
            with _named_failures():
                await line.subscribe()
            yield line
        finally:
            # Ended without a goodbye: it may hang.
            await connection.invalidate()
            await connection.close()
    finally:
        await engine.dispose()


class _PostgresLine:
    def __init__(self, connection: Any) -> None:
        self._connection = connection
        # One statement at a time on a connection.
        self._turn = asyncio.Lock()
        self._heard: asyncio.Queue[str | None] = asyncio.Queue()

    async def subscribe(self) -> None:
        self._connection.add_termination_listener(lambda _: self._heard.put_nowait(None))
        await self._connection.add_listener(
            _CHANNEL, lambda _connection, _pid, _channel, payload: self._heard.put_nowait(payload)
        )

    async def send(self, message: str) -> None:
        await self._execute("SELECT pg_notify($1, $2)", _CHANNEL, message)

    async def listen(self, hear: Callable[[str], None]) -> None:
        while True:
            try:
                async with asyncio.timeout(_CHECK_SECONDS):
                    message = await self._heard.get()
            except TimeoutError:
                await self._execute("SELECT 1")
                continue
            if message is None:
                raise LineBroken("PostgreSQL closed the connection")
            hear(message)

    async def _execute(self, statement: str, *arguments: str) -> None:
        with _named_failures():
            async with self._turn:
                await self._connection.execute(statement, *arguments, timeout=_ANSWER_SECONDS)


@contextmanager
def _named_failures() -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise LineBroken("PostgreSQL did not answer in time") from error
    except (SQLAlchemyError, *POSTGRESQL_ERRORS) as error:
        raise LineBroken(f"PostgreSQL: {getattr(error, 'orig', None) or error}") from error
