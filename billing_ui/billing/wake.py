"""Waking what waits for work in this process, so that it need not look again and again."""

import asyncio
from collections.abc import Callable
from contextlib import suppress


class Wake:
    """A bell: whoever waits is woken when it rings, in the order they came, or when its patience ends.

    It only saves time. Work stands in the database, where whoever wakes by itself finds it too.

    Attributes:
        rings: how often it has rung.
        relay: rings in the other processes instead, when nobody has ever waited in this one.
    """

    def __init__(self) -> None:
        """Begin with nobody waiting."""
        self.rings = 0
        self.relay: Callable[[], None] | None = None
        self._waiting: dict[asyncio.Future[None], None] = {}
        self._attended = False

    def ring(self) -> None:
        """Wake everybody who waits; call it after the commit that made work."""
        self.ring_here()
        if not self._attended and self.relay is not None:
            self.relay()

    def ring_here(self) -> None:
        """Wake everybody who waits in this process, because it rang in another one."""
        self.rings += 1
        for future in self._waiting:
            if not future.done():
                future.set_result(None)

    async def wait(self, seconds: float, *, since: int | None = None) -> None:
        """Return when it rings, or after `seconds`.

        Args:
            since: what `rings` was when the caller last looked for work: if it has rung again, there is no wait.
        """
        self._attended = True
        if since is not None and since != self.rings:
            return
        future = asyncio.get_running_loop().create_future()
        self._waiting[future] = None
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(future, seconds)
        finally:
            del self._waiting[future]
