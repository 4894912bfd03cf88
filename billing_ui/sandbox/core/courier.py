"""The courier: sends what is in the outbox, many at a time, again and again until it arrives."""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp

from billing_ui.sandbox.core.delivery_faults import DeliveryFaults
from billing_ui.sandbox.core.outbox import Delivery, Outbox

AT_ONCE = 16
"""How many deliveries are under way at the same time."""
TIMEOUT_SECONDS = 10.0
"""How long an endpoint may take to answer."""

PAUSE_SECONDS = 1.0
"""How long nothing is sent after the outbox itself could not be read or written."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Parcel:
    """A request to an endpoint, signed for this attempt."""

    url: str
    body: bytes
    headers: dict[str, str]


class Courier:
    """Empties an outbox; what is under way when it dies is still in there afterwards.

    Args:
        outbox: What waits.
        pack: Returns the request of a delivery, or None when its endpoint wants no more.
        faults: What goes wrong on the way.
        timeout: How long an endpoint may take to answer, in seconds.
    """

    def __init__(
        self,
        outbox: Outbox,
        pack: Callable[[Delivery], Parcel | None],
        faults: DeliveryFaults,
        timeout: float = TIMEOUT_SECONDS,
    ) -> None:
        self._outbox = outbox
        self._pack = pack
        self._faults = faults
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._under_way: set[int] = set()
        self._arrived = asyncio.Event()

    async def run(self) -> None:
        """Carry for ever."""
        while True:
            try:
                await self._carry_all()
            except Exception:
                log.exception("deliveries pause for a moment")
                self._under_way.clear()
                await asyncio.sleep(PAUSE_SECONDS)

    async def _carry_all(self) -> None:
        connector = aiohttp.TCPConnector(limit=AT_ONCE)
        async with (
            aiohttp.ClientSession(connector=connector, timeout=self._timeout) as session,
            asyncio.TaskGroup() as group,
        ):
            while True:
                self._outbox.bell.clear()
                now = time.time()
                for delivery in self._waiting(now):
                    if self._passes(delivery):
                        self._under_way.add(delivery.id)
                        group.create_task(self._carry(session, delivery))
                    else:
                        self._outbox.bell.set()  # its place is free for the next
                await self._woken(now)

    async def flush(self) -> None:
        """Send everything that waits now, each once; return when all of it was sent."""
        for delivery in self._outbox.untouched():
            if delivery.id not in self._under_way:
                self._passes(delivery)
        since = self._outbox.hurry()
        while self._outbox.due(since, 1):
            self._arrived.clear()
            await self._arrived.wait()

    def _waiting(self, now: float) -> list[Delivery]:
        """Return as many due deliveries as can be carried besides those under way."""
        free = AT_ONCE - len(self._under_way)
        if not free:
            return []
        # Those under way are still due: looked past here, they need not be marked on disk.
        found = self._outbox.due(now, AT_ONCE)
        return [delivery for delivery in found if delivery.id not in self._under_way][:free]

    async def _woken(self, now: float) -> None:
        """Return when something new is queued, one has arrived, or time has come for another."""
        following = self._outbox.next_due(now)
        if following is None:
            await self._outbox.bell.wait()
            return
        wait = max(0.0, following - time.time())
        timer = asyncio.get_running_loop().call_later(wait, self._outbox.bell.set)
        try:
            await self._outbox.bell.wait()
        finally:
            timer.cancel()

    def _passes(self, delivery: Delivery) -> bool:
        """Do what the faults in force do to a delivery; return whether it is sent now."""
        if delivery.struck or delivery.attempts:
            return True
        fault = self._faults.take(delivery.type)
        if fault is None:
            return True
        if fault.kind == "duplicated":
            self._outbox.duplicate(delivery)
            return True
        if fault.kind == "lost":
            self._outbox.give_up(delivery)
        elif fault.kind == "delayed":
            self._outbox.postpone(delivery, fault.seconds, until_overtaken=False)
        else:
            # Where all are held back, none can overtake: they come in the order of chance.
            seconds = fault.seconds * random.random()  # noqa: S311 - chance, not a secret
            self._outbox.postpone(delivery, seconds, until_overtaken=True)
        return False

    async def _carry(self, session: aiohttp.ClientSession, delivery: Delivery) -> None:
        try:
            parcel = self._pack(delivery)
            if parcel is None:
                self._outbox.give_up(delivery)
            elif await _sent(session, parcel):
                self._outbox.delivered(delivery)
            else:
                self._outbox.failed(delivery)
        except Exception:
            log.exception("the delivery of %s could not be made", delivery.event)
            self._outbox.failed(delivery)
        finally:
            self._under_way.discard(delivery.id)
            self._outbox.bell.set()
            self._arrived.set()


async def _sent(session: aiohttp.ClientSession, parcel: Parcel) -> bool:
    """Send a request; return whether it was answered with 2xx. No redirect is followed."""
    try:
        async with session.post(
            parcel.url, data=parcel.body, headers=parcel.headers, allow_redirects=False
        ) as answer:
            await answer.read()
            return 200 <= answer.status < 300
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return False
