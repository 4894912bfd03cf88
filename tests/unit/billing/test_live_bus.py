"""What happens in one process reaches the others, over a real Redis and a real PostgreSQL."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg  # type: ignore[import-untyped]
import pytest
import redis.asyncio
import structlog
from pydantic import SecretStr
from sqlalchemy.engine import make_url

from billing_ui.billing.live import LineBroken, NewsMissed, Notice, SessionChanged, TeamChanged
from billing_ui.billing.live_bus import connected
from billing_ui.billing.live_postgres import postgres_line
from billing_ui.billing.live_redis import redis_line
from billing_ui.billing.services import Services
from billing_ui.database import Database
from billing_ui.payments.driver import Drivers
from tests.conftest import PostgresServer
from tests.redis_server import RedisServer
from tests.unit.billing.conftest import make_settings

PATIENCE_SECONDS = 20


@dataclass
class Way:
    """A way from process to process, and how to break it."""

    kind: str
    database_url: str
    redis_url: str
    sever: Callable[[], Awaitable[None]]
    shout: Callable[[str], Awaitable[None]]


class Process:
    """One process of the installation, and what it has heard."""

    def __init__(self, way: Way) -> None:
        settings = make_settings(database_url=way.database_url, redis_url=SecretStr(way.redis_url))
        self.services = Services(settings, Database(settings.database_url), Drivers(settings))
        self.heard: list[Notice] = []
        self._something = asyncio.Event()
        self.services.live.subscribe(self._hear)

    @property
    def teams(self) -> list[UUID]:
        """The teams it has heard of."""
        return [notice.team_id for notice in self.heard if isinstance(notice, TeamChanged)]

    async def hears(self, expected: Callable[[], bool]) -> None:
        """Wait until it has heard what is expected."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not expected():
                self._something.clear()
                await self._something.wait()

    def _hear(self, notice: Notice) -> None:
        self.heard.append(notice)
        self._something.set()


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A running Redis."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def unstarted_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis that does not run yet."""
    server = RedisServer(tmp_path)
    yield server
    server.stop()


@pytest.fixture(params=["redis", "postgresql"])
async def way(request: pytest.FixtureRequest, sqlite_url: str) -> Way:
    """A way from process to process; the test runs once on each."""
    if request.param == "redis":
        server: RedisServer = request.getfixturevalue("redis_server")
        return _over_redis(server, sqlite_url)
    postgres: PostgresServer = request.getfixturevalue("postgres")
    return _over_postgres(postgres.url(request.getfixturevalue("migrated_postgres")))


@pytest.fixture
async def processes(way: Way) -> AsyncIterator[Callable[[], Awaitable[Process]]]:
    """Starts processes of one installation, each knowing the others only by `way`."""
    async with AsyncExitStack() as stack:

        async def start() -> Process:
            process = Process(way)
            stack.push_async_callback(process.services.close)
            await stack.enter_async_context(connected(process.services))
            return process

        yield start


async def acquainted(*processes: Process) -> None:
    """Wait until each hears the others."""
    for speaker in processes:
        others = [process for process in processes if process is not speaker]
        greeting = uuid4()
        # Until it is connected, what is told to it is lost.
        while not all(greeting in process.teams for process in others):
            await speaker.services.live.publish(greeting)
            await asyncio.sleep(0.02)
    for process in processes:
        process.heard.clear()


def lost(logs: list[Any]) -> int:
    """Return how often it was logged that a connection is lost."""
    return [entry["event"] for entry in logs].count("live_connection_lost")


async def losses(logs: list[Any], count: int) -> None:
    """Wait until it was logged that `count` connections are lost."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while lost(logs) < count:  # noqa: ASYNC110 - a log sets no event
            await asyncio.sleep(0)


async def test_what_one_process_tells_all_others_hear_once_and_itself_once(
    processes: Callable[[], Awaitable[Process]],
) -> None:
    one, two, three = [await processes() for _ in range(3)]
    await acquainted(one, two, three)
    team, session, last = uuid4(), uuid4(), uuid4()
    since = datetime(2026, 12, 3, 12, 0, 0, 250_000, tzinfo=UTC)

    await one.services.live.publish(team, since=since)
    await one.services.live.publish_session(session)
    assert one.heard[-2:] == [
        TeamChanged(team_id=team, since=since),
        SessionChanged(session_id=session),
    ]

    await one.services.live.publish(last)
    for process in (one, two, three):
        await process.hears(lambda: last in process.teams)  # noqa: B023 - awaited at once
        told = [n for n in process.heard if n == TeamChanged(team_id=team, since=since)]
        assert len(told) == 1
        assert process.heard.count(SessionChanged(session_id=session)) == 1


async def test_a_process_that_is_really_another_one_is_heard(
    way: Way, processes: Callable[[], Awaitable[Process]]
) -> None:
    here, friend = await processes(), await processes()
    await acquainted(here, friend)
    team = uuid4()
    script = f"""
import asyncio
from pydantic import SecretStr
from uuid import UUID
from billing_ui.billing.live_bus import connected
from billing_ui.billing.services import Services
from billing_ui.settings import Settings

async def main():
    services = Services.open(Settings(
        _env_file=None, database_url={way.database_url!r}, stripe_secret_key="sk_test_unit",
        redis_url=SecretStr({way.redis_url!r}),
    ))
    async with connected(services):
        await services.live.publish(UUID({str(team)!r}))
    await services.close()

asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, cwd=Path(__file__).parents[3], stderr=subprocess.PIPE
    )
    _, complaint = await process.communicate()

    assert process.returncode == 0, complaint.decode()
    await here.hears(lambda: team in here.teams)


async def test_work_marked_where_nobody_works_wakes_whoever_works_elsewhere(
    processes: Callable[[], Awaitable[Process]],
) -> None:
    marking, working = await processes(), await processes()
    await acquainted(marking, working)
    waiting = asyncio.create_task(working.services.work.wait(PATIENCE_SECONDS))
    await asyncio.sleep(0)

    marking.services.work.ring()

    async with asyncio.timeout(PATIENCE_SECONDS / 2):
        await waiting
    assert marking.services.work.rings == 1


async def test_work_marked_where_somebody_works_stays_there(
    processes: Callable[[], Awaitable[Process]],
) -> None:
    one, two = await processes(), await processes()
    await acquainted(one, two)
    await one.services.work.wait(0)
    last = uuid4()

    one.services.work.ring()
    await one.services.live.publish(last)

    await two.hears(lambda: last in two.teams)
    assert two.services.work.rings == 0


async def test_after_a_lost_connection_everything_may_have_changed(
    way: Way, processes: Callable[[], Awaitable[Process]]
) -> None:
    one, two = await processes(), await processes()
    await acquainted(one, two)

    with structlog.testing.capture_logs() as logs:
        await way.sever()
        await one.services.live.publish(uuid4())
        await one.hears(lambda: NewsMissed() in one.heard)
        await two.hears(lambda: NewsMissed() in two.heard)

    assert lost(logs) <= 2, "each of the two says so once"
    later = uuid4()
    await two.services.live.publish(later)
    await one.hears(lambda: later in one.teams)


async def test_many_changes_travel_together_and_none_is_lost(
    way: Way, processes: Callable[[], Awaitable[Process]]
) -> None:
    one, two = await processes(), await processes()
    await acquainted(one, two)
    teams = [uuid4() for _ in range(300)]

    for _ in range(10):
        for team in teams:
            await one.services.live.publish(team, since=datetime.now(UTC))

    await two.hears(lambda: set(teams) <= set(two.teams))
    assert len(two.teams) < 10 * len(teams)


async def test_what_is_told_last_is_sent_before_a_process_ends(
    way: Way, processes: Callable[[], Awaitable[Process]]
) -> None:
    here = await processes()
    async with AsyncExitStack() as stack:
        ending = Process(way)
        stack.push_async_callback(ending.services.close)
        last = uuid4()
        async with connected(ending.services):
            await acquainted(here, ending)
            await ending.services.live.publish(last)
    await here.hears(lambda: last in here.teams)


async def test_a_message_that_is_not_understood_may_have_said_anything(
    way: Way, processes: Callable[[], Awaitable[Process]]
) -> None:
    one, two = await processes(), await processes()
    await acquainted(one, two)

    await way.shout("from a later version")

    await one.hears(lambda: NewsMissed() in one.heard)
    await two.hears(lambda: NewsMissed() in two.heard)


async def test_telling_neither_waits_nor_fails_while_there_is_no_connection(
    unstarted_redis: RedisServer, sqlite_url: str
) -> None:
    one, two = [Process(_over_redis(unstarted_redis, sqlite_url)) for _ in range(2)]
    with structlog.testing.capture_logs() as logs:
        async with connected(one.services), connected(two.services):
            team = uuid4()
            await losses(logs, 2)
            await one.services.live.publish(team)
            assert one.teams == [team]

            unstarted_redis.start()

            for process in (one, two):
                await process.hears(lambda: NewsMissed() in process.heard)  # noqa: B023 - awaited at once
            await acquainted(one, two)
    assert lost(logs) == 2
    for process in (one, two):
        await process.services.close()


async def test_a_process_that_is_not_connected_ends_without_delay(
    unstarted_redis: RedisServer, sqlite_url: str
) -> None:
    process = Process(_over_redis(unstarted_redis, sqlite_url))
    with structlog.testing.capture_logs() as logs:
        async with connected(process.services):
            await process.services.live.publish(uuid4())
            await losses(logs, 1)
    await process.services.close()


async def test_a_connection_that_cannot_be_made_says_why_without_a_password() -> None:
    nowhere = make_url("postgresql+asyncpg://someone:hunter2@127.0.0.1:1/none")

    for line in (postgres_line(nowhere), redis_line("redis://:hunter2@127.0.0.1:1/0")):
        with pytest.raises(LineBroken) as raised:
            async with line:
                pass
        assert "hunter2" not in str(raised.value)


def _over_redis(server: RedisServer, database_url: str) -> Way:
    async def command(*words: str) -> None:
        client: Any = redis.asyncio.Redis.from_url(server.url)
        async with client:
            await client.execute_command(*words)

    async def sever() -> None:
        await command("CLIENT", "KILL", "TYPE", "pubsub")
        await command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    async def shout(message: str) -> None:
        await command("PUBLISH", "billing-ui:live", message)

    return Way("redis", database_url, server.url, sever, shout)


def _over_postgres(url: str) -> Way:
    async def execute(statement: str, *arguments: str) -> None:
        plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        connection = await asyncpg.connect(plain)
        try:
            await connection.execute(statement, *arguments)
        finally:
            await connection.close()

    async def sever() -> None:
        await execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    async def shout(message: str) -> None:
        await execute("SELECT pg_notify('billing_ui_live', $1)", message)

    return Way("postgresql", url, "", sever, shout)
