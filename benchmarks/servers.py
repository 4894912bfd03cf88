"""The processes of a run: the provider, the bare loops and the application as an operator runs it."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import aiohttp

from billing_ui.settings import Settings

REPOSITORY: Final = Path(__file__).resolve().parents[1]
BUILD: Final = REPOSITORY / ".build" / "benchmarks"
"""Where the pages are built, apart from a developer's own."""

KEY: Final = "sk_test_benchmark"
WEBHOOK_SECRET: Final = "whsec_benchmark"  # noqa: S105 - of the benchmarks' own provider

_BLANK: Final = REPOSITORY / "benchmarks" / "blank"
_SERVE: Final = (str(Path(sys.executable).with_name("reflex")), "run", "--env", "prod")
_LOG: Final = BUILD / "log"

_START_SECONDS: Final = 240.0
_STOP_SECONDS: Final = 20.0


def free_port() -> int:
    """Return a port nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def provider(latency_ms: float = 0) -> AsyncIterator[str]:
    """Run a provider that answers after `latency_ms`; yields its address."""
    port = free_port()
    command = (sys.executable, "-m", "benchmarks.provider", str(port), str(latency_ms))
    async with _running(command, f"http://127.0.0.1:{port}/v1/customers"):
        yield f"http://127.0.0.1:{port}"


@asynccontextmanager
async def sandbox(directory: Path) -> AsyncIterator[str]:
    """Run the sandbox, empty, with its data in `directory`; yields its address."""
    port = free_port()
    command = (sys.executable, "-m", "billing_ui.sandbox", "--exit-with-stdin")
    file = str(directory / f"sandbox-{port}.db")
    url = f"http://127.0.0.1:{port}"
    async with _running(
        (*command, "--port", str(port), "--database", file), f"{url}/_control/health"
    ):
        yield url


@asynccontextmanager
async def bare(name: str, **environment: str) -> AsyncIterator[int]:
    """Run the bare loop `name` of `benchmarks.bare`; yields its port."""
    port = free_port()
    command = (sys.executable, "-m", "benchmarks.bare", name, str(port))
    async with _running(command, f"http://127.0.0.1:{port}/", environment):
        yield port


@asynccontextmanager
async def application(database_url: str, provider_url: str, **settings: str) -> AsyncIterator[int]:
    """Run the application in production mode; yields its port.

    Args:
        settings: what is set besides, by the names of the environment.
    """
    port = free_port()
    environment = {
        "PORT": str(port),
        "DATABASE_URL": database_url,
        "SECRET_KEY": "for benchmarks only " * 2,
        "STRIPE_SECRET_KEY": KEY,
        "STRIPE_API_BASE": provider_url,
        "STRIPE_WEBHOOK_SECRET": WEBHOOK_SECRET,
        "RATE_LIMITS": "off",
        **settings,
    }
    place = _place("billing-ui", REPOSITORY / "rxconfig.py", REPOSITORY / "assets")
    async with _running(_SERVE, f"http://localhost:{port}/readyz", environment, place, ok=True):
        yield port


@asynccontextmanager
async def blank_application() -> AsyncIterator[int]:
    """Run a blank Reflex application in production mode; yields its port."""
    port = free_port()
    place = _place("blank", _BLANK / "rxconfig.py", _BLANK / "blank_page")
    url = f"http://localhost:{port}/ping"
    async with _running(_SERVE, url, {"PORT": str(port)}, place, ok=True):
        yield port


def _place(name: str, *parts: Path) -> Path:
    """Return a directory to build in, with links to the parts of an application."""
    place = BUILD / name
    place.mkdir(parents=True, exist_ok=True)
    for part in parts:
        link = place / part.name
        if not link.exists():
            link.symlink_to(part)
    return place


@asynccontextmanager
async def _running(
    command: tuple[str, ...],
    url: str,
    environment: dict[str, str] | None = None,
    directory: Path = REPOSITORY,
    *,
    ok: bool = False,
) -> AsyncIterator[None]:
    """Run `command` in a process group of its own until the block ends.

    Args:
        url: asked until it answers, or with `ok` until it answers 200.
    """
    BUILD.mkdir(parents=True, exist_ok=True)
    with _LOG.open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=directory,
            env=_environment() | (environment or {}),
            stdin=asyncio.subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            await _wait_until_it_answers(process, url, ok=ok)
            yield
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), _STOP_SECONDS)
            # What is left of the group; often nothing.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


def _environment() -> dict[str, str]:
    """Return the environment without what a developer has set for an installation of their own."""
    theirs = {name.upper() for name in Settings.model_fields}
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in theirs and not name.startswith("REFLEX_")
    }
    return {
        **kept,
        "PYTHONPATH": str(REPOSITORY),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }


async def _wait_until_it_answers(
    process: asyncio.subprocess.Process, url: str, *, ok: bool
) -> None:
    async with asyncio.timeout(_START_SECONDS), aiohttp.ClientSession() as session:
        while True:
            if process.returncode is not None:
                raise RuntimeError(f"a server ended; see {_LOG}")
            with suppress(aiohttp.ClientError):
                async with session.get(url) as answer:
                    if answer.ok or not ok:
                        return
            await asyncio.sleep(0.1)
