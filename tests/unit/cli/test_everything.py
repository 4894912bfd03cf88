"""`sync --all`, `reconcile` and `worker` as processes: killed half-way, started again, and stopped."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import func, update
from sqlmodel import SQLModel, col, select

from billing_ui.accounts.teams import create_team
from billing_ui.billing.live import Notice, TeamChanged
from billing_ui.billing.live_bus import connected
from billing_ui.billing.services import Services
from billing_ui.database import Database
from billing_ui.models import Customer, Invoice, Job, Subscription, SubscriptionItem
from billing_ui.payments.driver import Drivers
from billing_ui.settings import Settings
from tests.conftest import running_sandbox
from tests.seeding import seed_still

KEY = "sk_test_everything"


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a sandbox in which 400 customers have bought something."""
    with running_sandbox(tmp_path_factory.mktemp("everything") / "sandbox.db") as url:
        seed_still(url, 400, invoices=4)
        yield url


@asynccontextmanager
async def slowly(provider: str) -> AsyncIterator[None]:
    """Let the provider take its time."""
    async with httpx.AsyncClient(base_url=provider, trust_env=False) as control:
        fault = {"kind": "latency", "seconds": 0.3}
        (await control.post("/_control/faults", json=fault)).raise_for_status()
        yield
        (await control.delete("/_control/faults")).raise_for_status()


@pytest.fixture
async def slow(provider: str) -> AsyncIterator[None]:
    """Let the provider take its time throughout the test."""
    async with slowly(provider):
        yield


@pytest.fixture
def start(provider: str, database_url: str, tmp_path: Path) -> Callable[..., Any]:
    """Start the command in a process of its own."""
    environment = {
        **os.environ,
        "DATABASE_URL": database_url,
        "SECRET_KEY": "for tests only",
        "STRIPE_SECRET_KEY": KEY,
        "STRIPE_API_BASE": provider,
    }

    @asynccontextmanager
    async def started(*arguments: str) -> AsyncIterator[Process]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "billing_ui.cli", *arguments),
            env=environment,
            cwd=tmp_path,
            stdout=PIPE,
            stderr=PIPE,
            # A shell that runs the tests in the background lets all that they start ignore Ctrl+C.
            preexec_fn=_heed_ctrl_c,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    return started


def _heed_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


async def outcome(process: Process) -> tuple[int | None, str, str]:
    """Return how a process ended, and what it said."""
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def count(database: Database, model: type[SQLModel]) -> int:
    """Return how many rows a table has."""
    async with database.read() as session:
        return (await session.exec(select(func.count()).select_from(model))).one()


async def until(database: Database, model: type[SQLModel], least: int) -> None:
    """Return when a table has so many rows."""
    async with asyncio.timeout(60):
        # It happens in another process, which rings no bell here.
        while await count(database, model) < least:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def in_order(database: Database) -> list[str]:
    """Return the provider's ids of our customers in the order in which they are compared."""
    query = select(Customer.provider_customer_id).order_by(col(Customer.id))
    async with database.read() as session:
        return [name or "" for name in (await session.exec(query)).all()]


async def rename(database: Database, customer: str, name: str) -> None:
    """Write another name into our copy of a customer."""
    mine = col(Customer.provider_customer_id) == customer
    async with database.write() as session:
        await session.exec(update(Customer).where(mine).values(name=name))


async def position(database: Database, job: str) -> dict[str, Any]:
    """Return how far a comparison is, as its row keeps it."""
    async with database.read() as session:
        state = (await session.exec(select(Job.state).where(Job.name == job))).one_or_none()
    found: dict[str, Any] = (state or {}).get("positions", {}).get("stripe", {})
    return found


async def until_compared(database: Database, job: str, least: int) -> None:
    """Return when the row of a comparison says that so many are compared."""
    async with asyncio.timeout(60):
        # It happens in another process, which rings no bell here.
        while (await position(database, job)).get("compared", 0) < least:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def compared_of(database: Database, job: str) -> set[str]:
    """Return the provider's ids of the customers that the row of a comparison says are compared."""
    left = await position(database, job)
    ahead = [UUID(one) for one in left["ahead"]]
    done = col(Customer.id).in_(ahead)
    if left["after"]:
        done |= col(Customer.id) <= UUID(left["after"])
    async with database.read() as session:
        found = (await session.exec(select(Customer.provider_customer_id).where(done))).all()
    return {name or "" for name in found}


async def compared_before(database: Database) -> set[str]:
    """Return the provider's ids of the customers whose copy nobody mended."""
    query = select(Customer.provider_customer_id).where(Customer.name == "Compared before")
    async with database.read() as session:
        return {name or "" for name in (await session.exec(query)).all()}


async def until_begun(database: Database, job: str) -> None:
    """Return when somebody has the turn of a job."""
    query = select(Job.lease_owner).where(Job.name == job)
    async with asyncio.timeout(60):
        while True:
            async with database.read() as session:
                if (await session.exec(query)).one_or_none() is not None:
                    return
            await asyncio.sleep(0.02)


async def end_lease(database: Database, job: str) -> None:
    """Let the lease of a process that was killed end now."""
    async with database.write() as session:
        await session.exec(update(Job).where(col(Job.name) == job).values(lease_until=None))


async def until_finished(database: Database, job: str) -> None:
    """Return when a job went well."""
    async with asyncio.timeout(60):
        while True:
            async with database.read() as session:
                query = select(Job.finished_at).where(Job.name == job)
                if (await session.exec(query)).one_or_none() is not None:
                    return
            await asyncio.sleep(0.05)


async def until_whole(database: Database) -> None:
    """Return when no customer is out of date."""
    query = select(func.count()).where(col(Customer.wanted) > col(Customer.applied))
    async with asyncio.timeout(60):
        while True:
            async with database.read() as session:
                if not (await session.exec(query)).one():
                    return
            await asyncio.sleep(0.05)


async def at_the_provider(provider: str, what: str) -> int:
    """Return how many there are at the provider."""
    headers = {"Authorization": f"Bearer {KEY}"}
    found, params = 0, {"limit": "100", **({"status": "all"} if what == "subscriptions" else {})}
    async with httpx.AsyncClient(base_url=provider, trust_env=False, headers=headers) as client:
        while True:
            page = (await client.get(f"/v1/{what}", params=params)).json()
            found += len(page["data"])
            if not page["has_more"]:
                return found
            params["starting_after"] = page["data"][-1]["id"]


async def test_a_copy_killed_half_way_is_gone_on_with(
    start: Callable[..., Any], slow: None, database: Database, provider: str
) -> None:
    async with start("sync", "--all") as process:
        await until(database, Invoice, 200)
        process.send_signal(signal.SIGKILL)
        await process.wait()
    killed_at = await count(database, Invoice)
    async with database.write() as session:
        # Its lease ends after a while, for which the next run would wait.
        await session.exec(
            update(Job).where(col(Job.name).like("backfill%")).values(lease_until=None)
        )
    async with start("sync", "--all") as process:
        code, said, _ = await outcome(process)
    assert code == 0, said
    assert "an earlier run's included" in said
    invoices = await at_the_provider(provider, "invoices")
    assert killed_at < await count(database, Invoice) == invoices
    assert await count(database, Customer) == await at_the_provider(provider, "customers")
    assert await count(database, Subscription) == await at_the_provider(provider, "subscriptions")
    assert await count(database, SubscriptionItem) == await count(database, Subscription)
    assert f"{invoices:,} invoices" in said


async def test_a_copy_interrupted_by_hand_says_how_to_go_on(
    start: Callable[..., Any], slow: None, database: Database
) -> None:
    async with start("sync", "--all") as process:
        await until(database, Customer, 100)
        process.send_signal(signal.SIGINT)
        code, _, said = await outcome(process)
    assert (code, said.strip()) == (130, "Stopped. Go on with: billing-ui sync --all")
    # Its lease was given back: nobody has to wait for that.
    async with start("sync", "--all") as process:
        code, _, said = await outcome(process)
    assert code == 0, said


async def test_drift_is_reported_for_people_and_programs(
    start: Callable[..., Any], database: Database, provider: str
) -> None:
    headers = {"Authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(base_url=provider, trust_env=False, headers=headers) as client:
        customer = (await client.post("/v1/customers", data={"name": "Drifting"})).json()["id"]
    async with database.write() as session:
        session.add(
            Customer(
                provider="stripe",
                provider_customer_id=customer,
                name="Someone",
                wanted=1,
                applied=1,
            )
        )
    async with start("reconcile", "--json") as process:
        code, said, _ = await outcome(process)
    report = json.loads(said)
    assert (code, report["clean"], report["compared"]) == (1, False, 1)
    assert report["drift"] == [
        {"customer": customer, "field": "name", "ours": "Someone", "theirs": "Drifting"}
    ]
    assert len(report["unknown"]) >= 400
    async with start("reconcile", "--fix") as process:
        code, said, _ = await outcome(process)
    assert code == 0, said
    assert f"{customer}: name is Someone here and Drifting at the provider" in said
    assert await count(database, Customer) == await at_the_provider(provider, "customers")


async def test_a_comparison_killed_half_way_is_gone_on_with(
    start: Callable[..., Any], database: Database, provider: str
) -> None:
    async with start("sync", "--all") as process:
        assert (await outcome(process))[0] == 0
    first, *_ = await in_order(database)
    await rename(database, first, "Someone")
    async with slowly(provider), start("reconcile", "--fix") as process:
        await until_compared(database, "reconcile:fix", 100)
        process.send_signal(signal.SIGKILL)
        await process.wait()
    # Were they compared again, these would be found to differ.
    compared = await compared_of(database, "reconcile:fix") - {first}
    for one in compared:
        await rename(database, one, "Compared before")
    await end_lease(database, "reconcile:fix")
    async with start("reconcile", "--fix", "--json") as process:
        code, said, told = await outcome(process)
    report, customers = json.loads(said), await count(database, Customer)
    assert "Going on with the run that began at" in told
    assert (code, report["resumed"], report["compared"]) == (0, True, customers)
    assert {(one["customer"], one["ours"]) for one in report["drift"]} == {(first, "Someone")}
    assert await compared_before(database) == compared


async def test_a_comparison_interrupted_by_hand_says_how_to_go_on_or_begins_anew(
    start: Callable[..., Any], database: Database, provider: str
) -> None:
    headers = {"Authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(base_url=provider, trust_env=False, headers=headers) as client:
        page = (await client.get("/v1/customers", params={"limit": "20"})).json()
    async with database.write() as session:
        session.add_all(
            Customer(provider="stripe", provider_customer_id=one["id"], partial=True)
            for one in [*page["data"], {"id": "cus_missing"}]
        )
    async with slowly(provider), start("reconcile") as process:
        await until_begun(database, "reconcile:look")
        process.send_signal(signal.SIGINT)
        code, _, told = await outcome(process)
    assert (code, told.strip()) == (130, "Stopped. Go on with: billing-ui reconcile")
    # One that is gone at the provider ends nothing but is told of, and is why the exit code is 1.
    async with start("reconcile", "--anew") as process:
        code, said, told = await outcome(process)
    assert (code, "Going on" in told) == (1, False)
    assert "\ncus_missing: " in said
    assert "Compared 20, " in said
    assert said.strip().endswith("1 failed.")


async def test_the_schedule_of_a_worker_that_was_killed_is_gone_on_with_by_the_next(
    start: Callable[..., Any], database: Database, provider: str
) -> None:
    async with start("sync", "--all") as process:
        assert (await outcome(process))[0] == 0
    async with database.write() as session:
        await session.exec(update(Customer).values(partial=False))
    async with start("worker") as process:
        await until_whole(database)
        process.send_signal(signal.SIGTERM)
        assert (await outcome(process))[0] == 0
    async with database.write() as session:
        await session.exec(
            update(Job).where(col(Job.name) == "reconcile:stripe").values(due_at=None)
        )
    async with slowly(provider), start("worker") as process:
        await until_compared(database, "reconcile:stripe", 100)
        process.send_signal(signal.SIGKILL)
        await process.wait()
    compared = await compared_of(database, "reconcile:stripe")
    for one in compared:
        await rename(database, one, "Compared before")
    await end_lease(database, "reconcile:stripe")
    async with start("worker") as process:
        await until_finished(database, "reconcile:stripe")
        process.send_signal(signal.SIGTERM)
        code, _, told = await outcome(process)
    assert code == 0, told
    assert await compared_before(database) == compared


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_what_the_command_fetches_is_told_to_the_application_at_once(
    start: Callable[..., Any], database: Database, provider: str
) -> None:
    headers = {"Authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(base_url=provider, trust_env=False, headers=headers) as client:
        customer = (await client.post("/v1/customers", data={"name": "Acme"})).json()["id"]
    team = await create_team(database, "Acme")
    settings = Settings(
        _env_file=None,
        database_url=database.engine.url.render_as_string(hide_password=False),
        secret_key=SecretStr("for tests only"),
        stripe_secret_key=SecretStr(KEY),
    )
    application = Services(settings, database, Drivers(settings))
    told = asyncio.Event()

    def hear(notice: Notice) -> None:
        if isinstance(notice, TeamChanged) and notice.team_id == team.id:
            told.set()

    application.live.subscribe(hear)
    async with (
        connected(application),
        start(*("customers", "link", "--team", "Acme", "--customer", customer)) as process,
    ):
        code, _, said = await outcome(process)
        assert code == 0, said
        async with asyncio.timeout(10):
            await told.wait()
    await application.drivers.close()


async def test_the_worker_alone_fetches_what_is_out_of_date_and_stops_when_asked(
    start: Callable[..., Any], database: Database, provider: str
) -> None:
    headers = {"Authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(base_url=provider, trust_env=False, headers=headers) as client:
        customer = (await client.post("/v1/customers", data={"name": "Waiting"})).json()["id"]
    async with database.write() as session:
        session.add(Customer(provider="stripe", provider_customer_id=customer))
    async with start("worker") as process:
        async with asyncio.timeout(60):
            while True:
                async with database.read() as session:
                    row = (
                        await session.exec(
                            select(Customer).where(Customer.provider_customer_id == customer)
                        )
                    ).one()
                if row.synced_at is not None:
                    break
                await asyncio.sleep(0.05)
        assert row.name == "Waiting"
        process.send_signal(signal.SIGTERM)
        code, _, said = await outcome(process)
    assert code == 0, said
    assert "Stopped." in said
    async with database.read() as session:
        leases = (await session.exec(select(Job.lease_owner))).all()
    assert set(leases) <= {None}
