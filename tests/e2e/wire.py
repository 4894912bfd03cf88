"""The network between a browser and the application, which a test can cut."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from playwright.async_api import Browser

from tests.chromium import open_chromium


class Wire:
    """Carries every byte to and from a port, until it is cut."""

    def __init__(self, port: int) -> None:
        """Prepare to carry to `port` of this machine."""
        self._port = port
        self._whole = True
        self._silent: set[asyncio.StreamWriter] = set()
        self._open: set[asyncio.StreamWriter] = set()

    async def carry(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        if not self._whole:
            back.transport.abort()
            return
        far, on = await asyncio.open_connection("127.0.0.1", self._port)
        self._open |= {back, on}
        try:
            await asyncio.wait(
                {
                    asyncio.create_task(self._pump(near, on)),
                    asyncio.create_task(self._pump(far, back)),
                },
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            for writer in (back, on):
                self._open.discard(writer)
                writer.transport.abort()

    def cut(self) -> None:
        """Lose every connection, and let no new one through."""
        self._whole = False
        for writer in tuple(self._open):
            writer.transport.abort()

    def mend(self) -> None:
        """Let connections through again."""
        self._whole = True

    def swallow(self) -> None:
        """Keep the connections there are, and lose without a word what is sent on them from now on."""
        self._silent |= self._open

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                if writer not in self._silent:
                    writer.write(data)
                    await writer.drain()


@asynccontextmanager
async def browser_on_a_wire(port: int) -> AsyncIterator[tuple[Browser, Wire]]:
    """Start a browser that reaches `localhost:port` through a wire, and nothing else that way."""
    wire = Wire(port)
    server = await asyncio.start_server(wire.carry, "127.0.0.1", 0)
    near = server.sockets[0].getsockname()[1]
    rule = f"MAP localhost:{port} 127.0.0.1:{near}"
    async with open_chromium(f"--host-resolver-rules={rule}") as browser:
        yield browser, wire
    wire.cut()
    server.close()
