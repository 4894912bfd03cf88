"""A provider's webhook sender at full rate: signs, sends, and sends again until it is told 2xx."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

import aiohttp
import stripe

from tests.e2e.sandbox import Json

CONNECTIONS: Final = 16
_ANSWER_SECONDS: Final = 10.0
_PAUSE_SECONDS: Final = 0.05
_SENT_TWICE: Final = 0.1
"""The share of events that are sent once more though they were accepted."""


class Sender:
    """Sends events in no particular order over several connections, as Stripe does.

    Attributes:
        accepted: the ids of the events that got a 2xx.
        answers: how often each status came; "no answer" when none did.
    """

    def __init__(self, url: str, secret: str, *, seed: int) -> None:
        """Send to the endpoint at `url`, signing with `secret`."""
        self._url = url
        self._secret = secret
        self._random = random.Random(seed)
        self._waiting: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
        self.accepted: set[str] = set()
        self.answers: Counter[str] = Counter()
        self.on_accepted: Callable[[int], None] = lambda count: None

    def add(self, events: Iterable[Json]) -> None:
        """Send `events` too, some of them twice."""
        bodies = [(event["id"], json.dumps(event).encode()) for event in events]
        bodies += self._random.sample(bodies, int(len(bodies) * _SENT_TWICE))
        self._random.shuffle(bodies)
        for one in bodies:
            self._waiting.put_nowait(one)

    async def run(self) -> None:
        """Send until cancelled."""
        timeout = aiohttp.ClientTimeout(total=_ANSWER_SECONDS)
        connector = aiohttp.TCPConnector(limit=CONNECTIONS)
        async with (
            aiohttp.ClientSession(timeout=timeout, connector=connector) as session,
            asyncio.TaskGroup() as group,
        ):
            for _ in range(CONNECTIONS):
                group.create_task(self._send_all(session))

    async def finished(self) -> None:
        """Wait until every event was accepted."""
        await self._waiting.join()

    async def _send_all(self, session: aiohttp.ClientSession) -> None:
        while True:
            event_id, body = await self._waiting.get()
            while not await self._send(session, body):
                pass
            self.accepted.add(event_id)
            self.on_accepted(len(self.accepted))
            self._waiting.task_done()

    async def _send(self, session: aiohttp.ClientSession, body: bytes) -> bool:
        signature = stripe.WebhookSignature.generate_signature_header(body.decode(), self._secret)
        headers = {"Content-Type": "application/json", "Stripe-Signature": signature}
        try:
            async with session.post(self._url, data=body, headers=headers) as response:
                await response.read()
                self.answers[str(response.status)] += 1
                accepted = response.ok
        except (aiohttp.ClientError, TimeoutError):
            self.answers["no answer"] += 1
            accepted = False
        if not accepted:
            await asyncio.sleep(_PAUSE_SECONDS)
        return accepted
