"""Carrying what happens in one process to the pages of all the others: over Redis, else over PostgreSQL."""

import asyncio
import random
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from itertools import islice
from typing import Final

import structlog
from pydantic import ValidationError

from billing_ui.billing.live import (
    Connect,
    Line,
    LineBroken,
    NewsMissed,
    Notice,
    SessionChanged,
    TeamChanged,
    WorkWaits,
)
from billing_ui.billing.live_postgres import postgres_line
from billing_ui.billing.live_redis import redis_line
from billing_ui.billing.services import Services
from billing_ui.payments.types import Frozen

log = structlog.get_logger(__name__)

_FIRST_DELAY_SECONDS: Final = 0.2
_LONGEST_DELAY_SECONDS: Final = 5.0
_BETWEEN_BULLETINS_SECONDS: Final = 0.02
"""In a storm, news gather meanwhile and travel together."""
_NOTICES_IN_A_BULLETIN: Final = 50
"""PostgreSQL carries less than 8,000 bytes at once."""
_MOST_WAITING: Final = 10_000
"""While the connection is lost; beyond that, the others are told to look at everything."""
_FAREWELL_SECONDS: Final = 2.0


class _Bulletin(Frozen):
    """What one process tells the others at once."""

    sender: str
    notices: tuple[Notice, ...]


@asynccontextmanager
async def connected(services: Services) -> AsyncIterator[None]:
    """Exchange news with the other processes, as long as this is open.

    With neither Redis nor PostgreSQL there is nobody to exchange them with but processes that `watch` finds out about.
    What was told until the end is sent before it closes, if that can be done at once.
    """
    connect = _way_to_others(services)
    if connect is None:
        yield
        return
    bus = Bus(connect, partial(_hear, services))
    services.live.relay = bus.post
    services.work.relay = lambda: bus.post(WorkWaits())
    running = asyncio.create_task(bus.run(), name="live bus")
    try:
        yield
        await bus.say_farewell()
    finally:
        services.live.relay = services.work.relay = None
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def _way_to_others(services: Services) -> Connect | None:
    if url := services.settings.redis_url.get_secret_value():
        return partial(redis_line, url)
    if services.database.is_sqlite:
        return None
    return partial(postgres_line, services.database.engine.url)


def _hear(services: Services, notice: Notice) -> None:
    if isinstance(notice, WorkWaits):
        services.work.ring_here()
    else:
        services.live.tell_here(notice)


class Bus:
    """This process's end of the connection: it reconnects by itself, and says when news may have been lost."""

    def __init__(self, connect: Connect, hear: Callable[[Notice], None]) -> None:
        """Prepare to run.

        Args:
            connect: makes a connection.
            hear: is called with what other processes say, and with `NewsMissed` when a lost connection is back.
        """
        self._connect = connect
        self._hear = hear
        self._name = secrets.token_hex(8)
        self._waiting: dict[str, Notice] = {}
        self._posted = asyncio.Event()
        self._all_sent = asyncio.Event()
        self._all_sent.set()
        self._broken = False

    def post(self, notice: Notice) -> None:
        """Tell the other processes soon; the same news that still wait are told once."""
        if len(self._waiting) >= _MOST_WAITING:
            self._waiting.clear()
            notice = NewsMissed()
        # The first one has waited longest.
        self._waiting.setdefault(_subject(notice), notice)
        self._posted.set()
        self._all_sent.clear()

    async def run(self) -> None:
        """Stay connected until cancelled."""
        delay = _FIRST_DELAY_SECONDS
        while True:
            try:
                async with self._connect() as line:
                    if self._broken:
                        log.info("live_connection_restored")
                        self._hear(NewsMissed())
                    self._broken, delay = False, _FIRST_DELAY_SECONDS
                    await self._exchange(line)
            except LineBroken as error:
                if not self._broken:
                    # Once: what follows are tries.
                    log.warning("live_connection_lost", reason=str(error))
                self._broken = True
            except Exception:
                # A fault of ours must not part this process from the others for ever.
                log.exception("live_connection_failed")
                self._broken = True
            await asyncio.sleep(delay * random.uniform(0.5, 1.5))  # noqa: S311 - not a secret
            delay = min(2 * delay, _LONGEST_DELAY_SECONDS)

    async def say_farewell(self) -> None:
        """Wait until everything is sent, unless the connection is lost."""
        if not self._broken:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._all_sent.wait(), _FAREWELL_SECONDS)

    async def _exchange(self, line: Line) -> None:
        """Hear and speak until the connection is lost."""
        tasks = (
            asyncio.create_task(line.listen(self._receive)),
            asyncio.create_task(self._speak(line)),
        )
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _speak(self, line: Line) -> None:
        while True:
            await self._posted.wait()
            batch = dict(islice(self._waiting.items(), _NOTICES_IN_A_BULLETIN))
            for subject in batch:
                del self._waiting[subject]
            bulletin = _Bulletin(sender=self._name, notices=tuple(batch.values()))
            try:
                await line.send(bulletin.model_dump_json(exclude_none=True))
            except BaseException:
                self._waiting = batch | self._waiting
                raise
            if not self._waiting:
                self._posted.clear()
                self._all_sent.set()
            await asyncio.sleep(_BETWEEN_BULLETINS_SECONDS)

    def _receive(self, message: str) -> None:
        try:
            bulletin = _Bulletin.model_validate_json(message)
        except ValidationError:
            # From a process of another version, while an installation is being renewed.
            log.warning("live_message_not_understood")
            self._hear(NewsMissed())
            return
        if bulletin.sender == self._name:
            return
        for notice in bulletin.notices:
            self._hear(notice)


def _subject(notice: Notice) -> str:
    match notice:
        case TeamChanged():
            return str(notice.team_id)
        case SessionChanged():
            return str(notice.session_id)
        case _:
            return notice.kind
