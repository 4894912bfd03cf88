"""A purchase under another e-mail address than the team's, before a real Lemon Squeezy driver and its sandbox."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr
from sqlmodel import select

from billing_ui.billing.catalog import refresh_catalog
from billing_ui.billing.checkout import open_checkout
from billing_ui.billing.customers import current_customer, ensure_customer
from billing_ui.billing.inbox import accept
from billing_ui.billing.live import Notice
from billing_ui.billing.services import Services
from billing_ui.billing.summary import BillingSummary, load_billing
from billing_ui.billing.visits import return_from_visit
from billing_ui.billing.worker import drain
from billing_ui.clock import utc_now
from billing_ui.database import Database
from billing_ui.models import Customer, PortalVisit
from billing_ui.payments.lemonsqueezy import LemonSqueezyDriver, mapping
from billing_ui.payments.types import Payer
from billing_ui.sandbox.shop.model import Checkout, Endpoint, Event
from billing_ui.settings import Provider
from tests.unit.billing.conftest import make_settings
from tests.unit.billing.factories import Account, latest_outcome, new_account
from tests.unit.billing.fake_driver import FakeDrivers
from tests.unit.payments.lemon import LEMON_SECRETS, Lemon, lemon_driver, serving_lemon

CARD = "4242424242424242"
PRIVATE = "ada@private.example"
ENDPOINT = Endpoint(
    id="1", created=0, updated=0, url="http://127.0.0.1:1/", secret=LEMON_SECRETS[1]
)


@pytest.fixture
async def lemon() -> AsyncIterator[Lemon]:
    """A running Lemon Squeezy that sells one plan."""
    async with serving_lemon() as served:
        served.plan()
        yield served


@pytest.fixture
async def lemon_api(lemon: Lemon) -> AsyncIterator[LemonSqueezyDriver]:
    """A driver on it."""
    opened = lemon_driver(lemon.url)
    yield opened
    await opened.close()


@pytest.fixture
async def store(database: Database, lemon_api: LemonSqueezyDriver) -> Services:
    """Services whose active provider it is."""
    settings = make_settings(
        payment_provider=Provider.LEMONSQUEEZY,
        lemonsqueezy_api_key=SecretStr("a key of the tests"),
        lemonsqueezy_store_id="1",
    )
    drivers: Any = FakeDrivers(settings, lemon_api)  # type: ignore[arg-type]
    services = Services(settings, database, drivers)
    await refresh_catalog(services)
    return services


async def checkout_of(store: Services, lemon: Lemon, account: Account) -> Checkout:
    """Open a checkout of the plan for a team, and return it as the provider has it."""
    known = {one.id for one in lemon.shop.find(Checkout)}
    [plan] = (await store.drivers.active.fetch_catalog()).products
    await open_checkout(store, account.identity, plan.prices[0].id)
    [made] = [one for one in lemon.shop.find(Checkout) if one.id not in known]
    return made


async def deliver(store: Services, lemon: Lemon) -> None:
    """Bring everything the provider has told until now, and do what there is to do about it."""
    for event in lemon.shop.find(Event, oldest_first=True):
        parcel = lemon.shop.dialect.parcel(ENDPOINT, event, lemon.shop.now)
        told = store.drivers.active.verify_webhook(parcel.headers, parcel.body)
        await accept(store, Provider.LEMONSQUEEZY, told)
    await drain(store)


async def current(store: Services, account: Account) -> Customer:
    """Return the team's customer."""
    async with store.database.read() as session:
        found = await current_customer(session, account.team_id, ("lemonsqueezy",))
    assert found
    return found


async def team_of(store: Services, customer_id: str) -> UUID | None:
    """Return whose a customer of the provider's is."""
    query = select(Customer).where(Customer.provider_customer_id == customer_id)
    async with store.database.read() as session:
        found = (await session.exec(query)).one()
    assert found.synced_at
    return found.team_id


async def page(store: Services, account: Account) -> BillingSummary:
    """Return what the team's billing page shows."""
    return await load_billing(store, account.identity)


async def test_a_purchase_under_another_email_is_the_teams(store: Services, lemon: Lemon) -> None:
    account = await new_account(store)
    checkout = await checkout_of(store, lemon, account)
    before = await current(store, account)
    bought = lemon.shop.complete_checkout(checkout.id, email=PRIVATE, number=CARD)
    assert bought.customer != before.provider_customer_id
    news: list[Notice] = []
    store.live.subscribe(news.append)

    await deliver(store, lemon)

    now = await current(store, account)
    assert (now.provider_customer_id, now.generation) == (bought.customer, before.generation + 1)
    shown = await page(store, account)
    assert [(plan.name, plan.state) for plan in shown.plans] == [("Pro", "active")]
    assert shown.details
    assert shown.details.email == PRIVATE
    # An open page is told.
    assert account.team_id in {getattr(notice, "team_id", None) for notice in news}


@pytest.mark.parametrize("back", ["before the event", "after it"])
async def test_who_comes_back_is_told_what_was_bought(
    back: str, store: Services, lemon: Lemon
) -> None:
    account = await new_account(store)
    earlier, checkout = [await checkout_of(store, lemon, account) for _ in range(2)]
    first_visit, visit = [
        (one.success_url or "").partition("visit=")[2] for one in (earlier, checkout)
    ]
    await return_from_visit(store, first_visit, account.identity)
    lemon.shop.complete_checkout(checkout.id, email=PRIVATE, number=CARD)
    if back == "before the event":
        early = await return_from_visit(store, visit, account.identity)
        assert early.changes == ()
    await deliver(store, lemon)
    if back == "after it":
        await return_from_visit(store, visit, account.identity)

    banner = await latest_outcome(store, account.identity)

    assert banner
    assert (str(banner.visit_id), banner.plan) == (visit, "Pro")
    assert [change.kind for change in banner.changes or ()] == [
        "subscription_started",
        "payment_method_added",
        "billing_details_changed",
        "invoice_paid",
    ]
    async with store.database.read() as session:
        left = await session.get_one(PortalVisit, UUID(first_visit))
    assert left.changes == []


async def test_a_customer_that_was_there_before_the_checkout_is_never_taken(
    store: Services, lemon: Lemon
) -> None:
    account = await new_account(store)
    with lemon.shop.at(lemon.shop.now - 60):
        somebody = lemon.shop.create_customer(PRIVATE)
    checkout = await checkout_of(store, lemon, account)
    bought = lemon.shop.complete_checkout(checkout.id, email=PRIVATE, number=CARD)
    assert bought.customer == somebody.id

    await deliver(store, lemon)

    assert (await current(store, account)).provider_customer_id != somebody.id
    assert (await page(store, account)).plans == ()


@pytest.mark.parametrize("forged", ["unsigned", "of a customer's mark", "of another team"])
async def test_what_somebody_made_up_gives_nobody_anything(
    forged: str, store: Services, lemon: Lemon, lemon_api: LemonSqueezyDriver
) -> None:
    account, mallory = await new_account(store), await new_account(store)
    await ensure_customer(store, account.identity, account.team_id)
    genuine = (await checkout_of(store, lemon, mallory)).metadata
    data = genuine | {"team_id": str(account.team_id)}
    if forged == "unsigned":
        del data["mark"]
    elif forged == "of a customer's mark":
        payer = Payer(team_id=account.team_id, email=PRIVATE)
        city = mapping.mark_of(payer, lemon_api._mark_key)
        data["mark"] = city.rpartition("/")[2]
    [plan] = (await lemon_api.fetch_catalog()).products
    made_up = lemon.shop.open_checkout(plan.prices[0].id, email=PRIVATE, metadata=data)
    lemon.shop.complete_checkout(made_up.id, number=CARD)

    await deliver(store, lemon)

    assert (await page(store, account)).plans == ()
    assert (await page(store, mallory)).plans == ()


async def test_a_mark_is_good_only_while_its_checkout_is_open(
    store: Services, lemon: Lemon, lemon_api: LemonSqueezyDriver
) -> None:
    account = await new_account(store)
    await ensure_customer(store, account.identity, account.team_id)
    [plan] = (await lemon_api.fetch_catalog()).products
    long_ago = utc_now() - timedelta(hours=2)
    data = mapping.purchase_data(Payer(team_id=account.team_id), long_ago, lemon_api._mark_key)
    replayed = lemon.shop.open_checkout(plan.prices[0].id, email=PRIVATE, metadata=data)
    lemon.shop.complete_checkout(replayed.id, number=CARD)

    await deliver(store, lemon)

    assert (await page(store, account)).plans == ()


async def test_beside_a_plan_a_second_purchase_is_left_to_the_operator(
    store: Services, lemon: Lemon
) -> None:
    account = await new_account(store)
    first, second = [await checkout_of(store, lemon, account) for _ in range(2)]
    bought = lemon.shop.complete_checkout(first.id, number=CARD)
    await deliver(store, lemon)
    other = lemon.shop.complete_checkout(second.id, email=PRIVATE, number=CARD)

    await deliver(store, lemon)

    assert (await current(store, account)).provider_customer_id == bought.customer
    assert await team_of(store, other.customer) is None


async def test_what_was_never_fetched_is_not_taken_for_nothing(
    store: Services, lemon: Lemon
) -> None:
    account = await new_account(store)
    checkout = await checkout_of(store, lemon, account)
    async with store.database.write() as session:
        mine = await session.get(Customer, (await current(store, account)).id)
        assert mine
        mine.synced_at = None
    bought = lemon.shop.complete_checkout(checkout.id, email=PRIVATE, number=CARD)

    await deliver(store, lemon)

    assert await team_of(store, bought.customer) is None


async def test_a_team_of_another_installation_is_nobody_here(
    store: Services, lemon: Lemon, lemon_api: LemonSqueezyDriver
) -> None:
    [plan] = (await lemon_api.fetch_catalog()).products
    data = mapping.purchase_data(Payer(team_id=uuid4()), utc_now(), lemon_api._mark_key)
    theirs = lemon.shop.open_checkout(plan.prices[0].id, email=PRIVATE, metadata=data)
    bought = lemon.shop.complete_checkout(theirs.id, number=CARD)

    await deliver(store, lemon)

    assert await team_of(store, bought.customer) is None
