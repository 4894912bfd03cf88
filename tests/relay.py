"""A way to PostgreSQL over TCP that can fall silent, as when its host vanishes: nothing is closed, nothing comes."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field

from sqlalchemy.engine import make_url


@dataclass
class _Silence:
    """Which of the bytes of some connections are lost from now on."""

    requests: bool = False
    answers: bool = False


@dataclass
class Relay:
    """Accepts connections and passes on what they carry, to and fro.

    Attributes:
        url: of the database, the way that leads through here.
    """

    url: str
    _target: str
    _silence: _Silence = field(default_factory=_Silence)

    @contextmanager
    def silent(self, *, requests: bool = True) -> Iterator[None]:
        """Lose every answer, and what is asked unless it is told otherwise.

        Connections from before, and those that are made meanwhile, never carry anything again.
        """
        self._silence.requests, self._silence.answers = requests, True
        try:
            yield
        finally:
            self._silence.requests = True
            self._silence = _Silence()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what a connection carries, until either side closes it."""
        silence = self._silence
        server_reader, server_writer = await asyncio.open_unix_connection(self._target)
        ways = [
            asyncio.create_task(_pass_on(reader, server_writer, lambda: silence.requests)),
            asyncio.create_task(_pass_on(server_reader, writer, lambda: silence.answers)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            writer.close()
            server_writer.close()


async def _pass_on(
    source: asyncio.StreamReader, target: asyncio.StreamWriter, lost: Callable[[], bool]
) -> None:
    with suppress(OSError):
        while data := await source.read(65_536):
            if not lost():
                target.write(data)
                await target.drain()


@asynccontextmanager
async def relay_to(url: str) -> AsyncIterator[Relay]:
    """Relay to the PostgreSQL server at `url`, which listens on a Unix socket."""
    direct = make_url(url)
    relay = Relay("", f"{direct.query['host']}/.s.PGSQL.5432")
    connections: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.create_task(relay.carry(reader, writer))
        connections.add(connection)
        connection.add_done_callback(connections.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    way = direct.set(host="127.0.0.1", port=port).difference_update_query(["host"])
    relay.url = way.render_as_string(hide_password=False)
    try:
        yield relay
    finally:
        server.close()
        for connection in list(connections):
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
