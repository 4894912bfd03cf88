"""A whole account copied into an empty database, killed on the way: nothing is missing, and memory stays small."""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import func
from sqlmodel import col, select

from billing_ui.billing.services import Services
from billing_ui.migrations import upgrade
from billing_ui.models import Customer, Invoice, SQLModel, Subscription
from billing_ui.settings import Settings
from tests.conftest import PostgresServer, running_sandbox
from tests.e2e.sandbox import KEY
from tests.seeding import seed_still

MOST_MEMORY_MB = 300
_LOOK_SECONDS = 1.0
_REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.mark.soak
@pytest.mark.parametrize("database", ["postgresql", "sqlite"])
async def test_a_large_account_is_copied_whole_in_little_memory_though_killed_on_the_way(
    database: str, postgres: PostgresServer, tmp_path: Path
) -> None:
    customers, invoices = 100_000, 3
    url = (
        postgres.url(postgres.new_database())
        if database == "postgresql"
        else f"sqlite+aiosqlite:///{tmp_path / 'billing.db'}"
    )
    with running_sandbox(tmp_path / "sandbox.db") as sandbox_url:
        seeded = await asyncio.to_thread(
            seed_still, sandbox_url, customers, invoices=invoices, payments=False
        )
        await upgrade(url)
        settings = Settings(
            _env_file=None, database_url=url, stripe_secret_key=KEY, stripe_api_base=sandbox_url
        )
        services = Services.open(settings)
        total = 2 * customers + seeded

        began = time.monotonic()
        first = await _begin(tmp_path, url, sandbox_url)
        while await _rows(services) < total / 3:
            assert first.returncode is None, "it ended by itself"
            await asyncio.sleep(_LOOK_SECONDS)
        killed_with = _peak_mb(first.pid)
        first.send_signal(signal.SIGKILL)
        await first.wait()
        before_resuming = await _rows(services)
        second = await _begin(tmp_path, url, sandbox_url)
        peak = killed_with
        while second.returncode is None:
            peak = max(peak, _peak_mb(second.pid))
            await asyncio.wait([asyncio.ensure_future(second.wait())], timeout=_LOOK_SECONDS)
        seconds = time.monotonic() - began

        assert second.returncode == 0, (tmp_path / "sync.log").read_text()[-2000:]
        assert await _count(services, Customer) == customers
        assert await _count(services, Subscription) == customers
        # The youngest customers have not been billed so often yet.
        assert await _count(services, Invoice) == seeded
        async with services.database.read() as session:
            nameless = select(func.count()).where(
                col(Customer.email).is_(None) | ~col(Customer.partial)
            )
            assert (await session.exec(nameless)).one() == 0
        print(
            f"{database}: {total} rows in {seconds:.0f} s ({total / seconds:.0f} rows/s), killed at "
            f"{before_resuming} rows, peak memory {peak:.0f} MB"
        )
        await services.close()
        assert peak <= MOST_MEMORY_MB


async def _begin(directory: Path, url: str, sandbox_url: str) -> asyncio.subprocess.Process:
    with (directory / "sync.log").open("ab") as log:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "billing_ui.cli", "sync", "--all"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=directory,
            env={
                **os.environ,
                "PYTHONPATH": str(_REPOSITORY),
                "DATABASE_URL": url,
                "STRIPE_SECRET_KEY": KEY,
                "STRIPE_API_BASE": sandbox_url,
            },
        )


async def _rows(services: Services) -> int:
    counts = [await _count(services, model) for model in (Customer, Subscription, Invoice)]
    return sum(counts)


async def _count(services: Services, model: type[SQLModel]) -> int:
    async with services.database.read() as session:
        return (await session.exec(select(func.count()).select_from(model))).one()


def _peak_mb(pid: int | None) -> float:
    """Return the most memory a process has had so far, in MB."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    # One that has just ended says nothing of its memory any more.
    lines = (line.split() for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(next(lines, ["VmHWM:", "0"])[1]) / 1024
