"""Copying a whole account from the provider's lists: all of it, as single syncs would, whatever ends it half-way."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import stripe
from pydantic import SecretStr
from sqlalchemy import Table, func, inspect
from sqlmodel import SQLModel, select

from billing_ui.billing import backfill as backfilling
from billing_ui.billing import job_rows, patience
from billing_ui.billing.backfill import (
    BackfillProgress,
    BackfillResult,
    backfill,
    backfill_row,
)
from billing_ui.billing.customers import claim_customer, ensure_customer
from billing_ui.billing.job_rows import hold, remembered, take_turn
from billing_ui.billing.listed_rows import write_listed
from billing_ui.billing.refresh import catch_up
from billing_ui.billing.services import Services
from billing_ui.billing.sync import sync_customer
from billing_ui.clock import utc_now
from billing_ui.database import Database
from billing_ui.models import (
    Customer,
    CustomerSnapshot,
    Invoice,
    Job,
    Subscription,
    SubscriptionItem,
)
from billing_ui.payments.driver import Drivers
from billing_ui.payments.stripe.client import open_client
from billing_ui.payments.types import (
    InvalidRequest,
    ListedPage,
    Listing,
    ProviderUnavailable,
    Snapshot,
    SnapshotCustomer,
)
from billing_ui.settings import Provider
from tests.conftest import running_sandbox
from tests.seeding import seed_still
from tests.unit.billing.conftest import make_settings
from tests.unit.billing.factories import invoice, new_account, snapshot, subscription
from tests.unit.billing.fake_driver import FakeDriver

KEY = "sk_test_51Backfill"
ROW = backfill_row(Provider.STRIPE)


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a sandbox in which 320 customers have bought something."""
    with seeded_sandbox(tmp_path_factory.mktemp("backfill")) as url:
        yield url


@contextmanager
def seeded_sandbox(folder: Path) -> Iterator[str]:
    """Run a sandbox in which 320 customers have bought something."""
    with running_sandbox(folder / "sandbox.db") as url:
        seed_still(url, 320, invoices=3)
        yield url


@dataclass
class Listed:
    """The pages that were asked for: listing, first moment, last moment and cursor of each."""

    pages: list[tuple[Any, ...]]

    @property
    def twice(self) -> dict[tuple[Any, ...], int]:
        """The pages that were asked for more than once."""
        return {page: times for page, times in Counter(self.pages).items() if times > 1}


@pytest.fixture
async def real(database: Database, provider: str) -> AsyncIterator[Services]:
    """Services on an empty database, whose provider is that sandbox."""
    settings = make_settings(stripe_secret_key=SecretStr(KEY), stripe_api_base=provider)
    services = Services(settings, database, Drivers(settings))
    yield services
    await services.drivers.close()


@pytest.fixture
async def sdk(provider: str) -> AsyncIterator[stripe.StripeClient]:
    """The SDK itself: how a test changes things behind our back."""
    client, transport = open_client(KEY, provider)
    yield client
    await transport.close_async()


@pytest.fixture
def listed(real: Services, monkeypatch: pytest.MonkeyPatch) -> Listed:
    """What the provider is asked for."""
    seen, ask = Listed([]), real.drivers.active.list_page

    async def list_page(listing: Listing, *arguments: Any, **bounds: Any) -> ListedPage:
        seen.pages.append((listing, *bounds.values()))
        return await ask(listing, *arguments, **bounds)

    monkeypatch.setattr(real.drivers.active, "list_page", list_page)
    return seen


async def count(services: Services, model: type[SQLModel]) -> int:
    """Return how many rows a table has."""
    async with services.database.read() as session:
        return (await session.exec(select(func.count()).select_from(model))).one()


async def rows(services: Services, model: type[SQLModel], *ours: UUID) -> list[dict[str, Any]]:
    """Return the rows of customers, without what belongs to our copy rather than to the provider."""
    table: Table = inspect(model).local_table
    query = table.select().order_by(table.c.id)
    if "customer_id" in table.c:
        query = query.where(table.c.customer_id.in_(ours))
    async with services.database.read() as session:
        found = (await (await session.connection()).execute(query)).mappings().all()
    return [dict(row) for row in found]


async def customers(services: Services) -> dict[str, Customer]:
    """Return our customers by the provider's id."""
    async with services.database.read() as session:
        found = (await session.exec(select(Customer))).all()
    return {customer.provider_customer_id or "": customer for customer in found}


# ---------------------------------------------------------------- what it copies


async def test_everything_is_copied_and_each_thing_once(
    real: Services, sdk: stripe.StripeClient, listed: Listed
) -> None:
    told: list[BackfillProgress] = []
    result = await backfill(real, told.append)
    assert not result.resumed
    assert await count(real, Customer) == result.objects[Listing.CUSTOMERS] >= 320
    assert await count(real, Subscription) == result.objects[Listing.SUBSCRIPTIONS] >= 320
    assert await count(real, SubscriptionItem) >= 320
    assert await count(real, Invoice) == result.objects[Listing.INVOICES] >= 700
    assert result.written == sum(result.objects.values())
    # Nothing partial is taken for a snapshot that something could be compared with.
    assert await count(real, CustomerSnapshot) == 0
    assert listed.twice == {}
    assert len({page[0] for page in listed.pages}) == 3
    known = (await customers(real)).values()
    assert all(one.partial and one.team_id is None for one in known)
    assert all(one.wanted > one.applied and one.email for one in known)
    last = told[-1]
    assert last.left == 0
    assert last.objects == result.objects
    numbers = [sum(one.objects.values()) for one in told]
    assert numbers == sorted(numbers)


async def test_it_says_of_everything_what_a_single_sync_says(real: Services) -> None:
    await backfill(real)
    ours = list((await customers(real)).values())[:5]
    keys = [one.id for one in ours]
    before = {model: await rows(real, model, *keys) for model in (Subscription, Invoice)}
    items = {row["id"]: row for row in await rows(real, SubscriptionItem)}
    who = {one.id: one.model_dump(include=DETAILS) for one in ours}
    for key in keys:
        await sync_customer(real, key)
    assert before == {model: await rows(real, model, *keys) for model in before}
    assert items == {row["id"]: row for row in await rows(real, SubscriptionItem)}
    after = {one.id: one for one in (await customers(real)).values()}
    for key in keys:
        assert who[key] == after[key].model_dump(include=DETAILS)
        assert not after[key].partial


DETAILS = {"email", "name", "phone", "address", "tax_ids", "currency"}


async def test_who_is_looked_at_is_fetched_whole(real: Services, sdk: stripe.StripeClient) -> None:
    account = await new_account(real)
    customer = await ensure_customer(real, account.identity, account.team_id)
    async with real.database.write() as session:
        row = (await session.exec(select(Customer))).one()
        assert row.id == customer.id
        await session.delete(row)
    await backfill(real)
    ours = (await customers(real))[customer.provider_customer_id or ""]
    assert ours.partial
    await catch_up(real, account.identity)
    ours = (await customers(real))[customer.provider_customer_id or ""]
    assert (ours.partial, ours.wanted - ours.applied) == (False, 0)


# ---------------------------------------------------------------- whose the customers are


async def test_a_lost_database_finds_its_teams_customers_again(
    services: Services, driver: FakeDriver
) -> None:
    account = await new_account(services)
    made = await ensure_customer(services, account.identity, account.team_id)
    async with services.database.write() as session:
        await session.delete(await session.get(Customer, made.id))
    await backfill(services)
    found = (await customers(services))[made.provider_customer_id or ""]
    assert (found.team_id, found.generation, found.partial) == (account.team_id, 1, True)


async def test_no_customer_is_taken_from_or_given_to_a_team_that_has_one(
    services: Services, driver: FakeDriver
) -> None:
    theirs = await new_account(services, customer="cus_theirs")
    thief = await new_account(services)
    claiming = await new_account(services)
    async with services.database.write() as session:
        # Its customer is being made in this moment.
        session.add(Customer(team_id=claiming.team_id, provider="stripe"))
    driver.has(snapshot(customer=who("cus_copied", theirs.team_id)))
    driver.has(snapshot(customer=who("cus_theirs", thief.team_id)))
    driver.has(snapshot(customer=who("cus_claimed", claiming.team_id)))
    driver.has(snapshot(customer=who("cus_strange", uuid4())))
    await backfill(services)
    teams = {name: one.team_id for name, one in (await customers(services)).items() if name}
    assert teams == {
        "cus_copied": None,
        "cus_theirs": theirs.team_id,
        "cus_claimed": None,
        "cus_strange": None,
    }


async def test_of_two_customers_that_name_one_team_one_becomes_its(
    services: Services, driver: FakeDriver
) -> None:
    account = await new_account(services)
    for name in ("cus_1", "cus_2"):
        driver.has(snapshot(customer=who(name, account.team_id)))
    await backfill(services)
    teams = [one.team_id for one in (await customers(services)).values()]
    assert sorted(map(str, teams)) == sorted([str(account.team_id), "None"])


def who(name: str, team_id: UUID) -> Any:
    """Return a customer whose metadata names a team."""
    return snapshot(customer=name).customer.model_copy(update={"team_id": team_id})


# ---------------------------------------------------------------- several pages at once


async def test_what_several_pages_say_of_a_customer_may_be_written_together(
    services: Services,
) -> None:
    def pages(name: str) -> list[Snapshot]:
        who = SnapshotCustomer(id="cus_1", name=name)
        return [
            snapshot(customer=who, partial=True),
            snapshot(invoices=(invoice(1), invoice(2)), partial=True),
            snapshot(subscription(), partial=True),
            snapshot(invoices=(invoice(3),), partial=True),
        ]

    # The second time all of them are there already.
    for name in ("Acme", "Acme Ltd"):
        async with services.database.write() as session:
            assert await write_listed(session, "stripe", pages(name)) == 5
        assert (await customers(services))["cus_1"].name == name
        assert await count(services, Subscription) == await count(services, SubscriptionItem) == 1
        assert await count(services, Invoice) == 3


# ---------------------------------------------------------------- what is known better


async def test_a_customer_that_was_never_created_is_not_waited_for(
    services: Services, driver: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfilling, "_COUNT_SECONDS", 0.0)
    account = await new_account(services)
    await claim_customer(services, account.identity, account.team_id)
    driver.has(snapshot(customer="cus_1"))
    told: list[int] = []
    await backfill(services, lambda progress: told.append(progress.customers_left))
    assert set(told) == {0}


async def test_a_customer_that_is_whole_is_not_overwritten_but_fetched(
    services: Services, driver: FakeDriver
) -> None:
    account = await new_account(services, customer="cus_1")
    driver.has(snapshot(subscription(), customer="cus_1", invoices=(invoice(2),)))
    await sync_customer(services, account.customer)
    # The lists are older than what is fetched at the end.
    current = snapshot(subscription(quantity=7), customer="cus_1", invoices=(invoice(2),))
    listing = driver.hold("list_page:answer")
    driver.snapshots["cus_1"] = snapshot(
        subscription(quantity=3), customer="cus_1", invoices=(invoice(2, total=1), invoice(1))
    )
    running = asyncio.create_task(backfill(services))
    await listing.reached.wait()
    driver.has(current)
    listing.release()
    result = await running
    assert result.fetched == 1
    [item] = await rows(services, SubscriptionItem)
    assert item["quantity"] == 7
    totals = {row["id"]: row["total"] for row in await rows(services, Invoice, account.customer)}
    # An invoice never seen was added; the one that is known stays as it is.
    assert totals == {"in_0001": 17460, "in_0002": 17460}
    assert (await customers(services))["cus_1"].partial is False


async def test_an_unsettled_invoice_found_by_the_way_is_looked_at_again(
    services: Services, driver: FakeDriver
) -> None:
    account = await new_account(services, customer=driver.has(snapshot(customer="cus_1")))
    await sync_customer(services, account.customer)
    driver.fail("fetch_snapshot", ProviderUnavailable())
    driver.has(snapshot(customer="cus_1", invoices=(invoice(status="open"),)))
    await backfill(services)
    ours = (await customers(services))["cus_1"]
    assert ours.wanted > ours.applied


# ---------------------------------------------------------------- whatever ends it


@pytest.mark.parametrize("objects", [1, 300, 600])
async def test_a_run_that_was_ended_is_gone_on_with(
    real: Services, listed: Listed, objects: int
) -> None:
    def end_it(progress: BackfillProgress) -> None:
        if sum(progress.objects.values()) >= objects:
            running.cancel()

    running = asyncio.create_task(backfill(real, end_it))
    with pytest.raises(asyncio.CancelledError):
        await running
    async with real.database.read() as session:
        left = (await remembered(session, ROW))["ranges"]
    before = await count(real, Customer)
    asked_for = set(listed.pages)
    listed.pages.clear()
    result = await backfill(real)
    assert result.resumed
    assert await count(real, Customer) == result.objects[Listing.CUSTOMERS] >= max(320, before)
    assert await count(real, Subscription) == result.objects[Listing.SUBSCRIPTIONS]
    assert await count(real, Invoice) == result.objects[Listing.INVOICES]
    # Of each range at most the page that was under way is listed again.
    assert len(asked_for & set(listed.pages)) <= len(left)
    async with real.database.read() as session:
        assert await remembered(session, ROW) == {}


async def test_a_run_goes_on_although_the_customer_its_cursor_names_was_deleted(
    database: Database, tmp_path: Path
) -> None:
    with seeded_sandbox(tmp_path) as url:
        settings = make_settings(stripe_secret_key=SecretStr(KEY), stripe_api_base=url)
        real = Services(settings, database, Drivers(settings))
        sdk, transport = open_client(KEY, url)
        await end_a_run_and_delete_where_it_stands(real, sdk)
        assert (await backfill(real)).resumed
        page = await sdk.v1.customers.list_async({"limit": 100})
        theirs = {customer.id async for customer in page.auto_paging_iter()}
        assert theirs < set(await customers(real))
        await transport.close_async()
        await real.drivers.close()


async def end_a_run_and_delete_where_it_stands(real: Services, sdk: stripe.StripeClient) -> None:
    """End a backfill half-way, and delete the customers that its cursors name."""

    def end_it(progress: BackfillProgress) -> None:
        if progress.objects[Listing.CUSTOMERS] >= 100:
            running.cancel()

    running = asyncio.create_task(backfill(real, end_it))
    with pytest.raises(asyncio.CancelledError):
        await running
    async with real.database.read() as session:
        left = (await remembered(session, ROW))["ranges"]
    named = [one["cursor"] for one in left if one["listing"] == "customers" and one["cursor"]]
    assert named
    for name in named:
        await sdk.v1.customers.delete_async(name)


async def test_a_provider_in_trouble_is_asked_again(
    real: Services, provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "_FIRST_PAUSE", timedelta())
    async with httpx.AsyncClient(base_url=provider, trust_env=False) as control:
        for fault in ({"kind": "rate_limit", "times": 3}, {"kind": "error", "times": 9}):
            body = {"path": "/v1/(customers|invoices).*", **fault}
            (await control.post("/_control/faults", json=body)).raise_for_status()
        result = await backfill(real)
        await control.delete("/_control/faults")
    assert await count(real, Invoice) == result.objects[Listing.INVOICES]


async def test_a_provider_that_refuses_ends_it_with_its_reason_and_what_was_done_stays(
    services: Services, driver: FakeDriver
) -> None:
    driver.has(snapshot(subscription(), customer="cus_1"))
    driver.fail("list_page", InvalidRequest("The key may not do this."))
    with pytest.raises(InvalidRequest, match="may not do this"):
        await backfill(services)
    async with services.database.read() as session:
        job = (await session.exec(select(Job).where(Job.name == ROW))).one()
    assert (job.error, job.lease_owner) == ("The key may not do this.", None)
    assert (await backfill(services)).resumed
    assert await count(services, Subscription) == 1


async def test_two_do_not_copy_at_the_same_time(
    services: Services, driver: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_rows, "_RENEW_SECONDS", 0.01)
    monkeypatch.setattr(job_rows, "_LOOK_SECONDS", 0.05)
    turn = await take_turn(services.database, ROW, first_due=utc_now(), at_once=True)
    assert turn
    copying = asyncio.create_task(hold(services.database, turn, asyncio.Event().wait()))
    with pytest.raises(InvalidRequest, match="Another process"):
        await backfill(services)
    copying.cancel()
    await asyncio.wait([copying])


async def test_a_copy_waits_for_the_lease_of_one_that_died(
    services: Services, driver: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_rows, "LEASE", timedelta(seconds=0.2))
    monkeypatch.setattr(job_rows, "_LOOK_SECONDS", 0.05)
    assert await take_turn(services.database, ROW, first_due=utc_now(), at_once=True)
    assert isinstance(await backfill(services), BackfillResult)


async def test_copying_again_changes_nothing(real: Services) -> None:
    first = await backfill(real)
    before = [await rows(real, model) for model in (Customer, SubscriptionItem)]
    again = await backfill(real)
    assert not again.resumed
    assert again.objects == first.objects
    assert [await rows(real, model) for model in (Customer, SubscriptionItem)] == before
