"""Waking what waits for work in this process, so that it need not look again and again."""

import asyncio
from contextlib import suppress


class Wake:
    """A bell: whoever waits is woken when it rings, or when its patience ends.

    It only saves time. Work stands in the database, where whoever wakes by itself finds it too.
    """

    def __init__(self) -> None:
        """Begin with nobody waiting."""
        self._waiting: set[asyncio.Future[None]] = set()

    def ring(self) -> None:
        """Wake everybody who waits; call it after the commit that made work."""
        for future in self._waiting:
            if not future.done():
                future.set_result(None)

    async def wait(self, seconds: float) -> None:
        """Return when it rings, or after `seconds`."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(future, seconds)
        finally:
            self._waiting.discard(future)
