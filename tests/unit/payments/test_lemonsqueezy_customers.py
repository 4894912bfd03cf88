"""One customer at Lemon Squeezy for each claim, found again by its mark and never by its e-mail."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from billing_ui.payments.lemonsqueezy import LemonSqueezyDriver, mapping
from billing_ui.payments.types import (
    CustomerDeleted,
    InvalidRequest,
    NoCustomer,
    Payer,
    ProviderRejected,
)
from billing_ui.sandbox.shop.model import Customer
from tests.unit.payments.lemon import Lemon, document, lemon_driver, page, serving_lemon
from tests.unit.payments.requests import payer, portal_request
from tests.unit.payments.scripted import ScriptedServer, json_answer


@pytest.fixture
async def lemon() -> AsyncIterator[Lemon]:
    """A running Lemon Squeezy."""
    async with serving_lemon() as served:
        yield served


@pytest.fixture
async def driver(lemon: Lemon) -> AsyncIterator[LemonSqueezyDriver]:
    """A driver on it."""
    opened = lemon_driver(lemon.url)
    yield opened
    await opened.close()


async def test_a_customer_is_found_again_after_a_crash(
    lemon: Lemon, driver: LemonSqueezyDriver
) -> None:
    who = payer()
    created = await driver.ensure_customer(who)
    restarted = lemon_driver(lemon.url)
    assert await restarted.ensure_customer(who) == created
    await restarted.close()
    assert [one.id for one in lemon.shop.find(Customer)] == [created]


async def test_many_at_once_make_one(lemon: Lemon, driver: LemonSqueezyDriver) -> None:
    who = payer()
    found = await asyncio.gather(*(driver.ensure_customer(who) for _ in range(8)))
    assert set(found) == {one.id for one in lemon.shop.find(Customer)}
    assert len(set(found)) == 1


@pytest.mark.parametrize("city", [None, "Oslo", "billing-ui/x/1/y", "another claim's"])
async def test_a_customer_with_the_same_email_is_never_taken_for_ours(
    city: str | None, lemon: Lemon, driver: LemonSqueezyDriver
) -> None:
    who = payer()
    if city == "another claim's":
        city = mapping.mark_of(payer(), driver._mark_key)
    stranger = lemon.shop.create_customer(str(who.email), extra={"city": city} if city else {})
    with pytest.raises(ProviderRejected, match="already has a customer with your e-mail"):
        await driver.ensure_customer(who)
    assert [one.id for one in lemon.shop.find(Customer)] == [stranger.id]


async def test_the_next_generation_does_not_take_the_last_ones_customer(
    driver: LemonSqueezyDriver,
) -> None:
    who = payer()
    await driver.ensure_customer(who)
    with pytest.raises(ProviderRejected):
        await driver.ensure_customer(who.model_copy(update={"generation": 2}))


async def test_where_two_could_be_made_the_first_counts(scripted: ScriptedServer) -> None:
    driver, who = lemon_driver(scripted.url), payer()
    mark = mapping.mark_of(who, driver._mark_key)
    [ninth, tenth, stranger] = [
        document(
            "customers",
            id_,
            store_id=1,
            name="N",
            email=who.email,
            city=city,
            created_at="2026-01-03T10:00:00Z",
        )
        for id_, city in (("9", mark), ("10", mark), ("1", "Oslo"))
    ]
    scripted.answers = [
        json_answer(page(stranger)),
        json_answer({"data": tenth}, 201),
        json_answer(page(tenth, ninth, stranger)),
    ]
    assert await driver.ensure_customer(who) == "9"
    assert [seen.method for seen in scripted.seen] == ["GET", "POST", "GET"]
    await driver.close()


async def test_the_first_purchase_replaces_the_mark_and_the_id_is_saved_by_then(
    lemon: Lemon, driver: LemonSqueezyDriver
) -> None:
    customer = await driver.ensure_customer(payer())
    lemon.shop.add_card(customer)
    lemon.shop.subscribe(customer, lemon.plan().id)
    told = (await driver.fetch_snapshot(customer)).customer
    assert (told.id, told.team_id, told.address) == (customer, None, None)


async def test_without_an_email_there_is_no_customer(driver: LemonSqueezyDriver) -> None:
    nobody = Payer(team_id=payer().team_id)
    with pytest.raises(InvalidRequest, match="e-mail"):
        await driver.ensure_customer(nobody)


async def test_without_a_name_the_email_is_the_name(
    lemon: Lemon, driver: LemonSqueezyDriver
) -> None:
    created = await driver.ensure_customer(payer().model_copy(update={"name": None}))
    assert lemon.shop.get(Customer, created).name == "billing@northwind.example"


async def test_an_email_that_is_none_is_refused_as_what_it_is(driver: LemonSqueezyDriver) -> None:
    with pytest.raises(ProviderRejected, match="valid email"):
        await driver.ensure_customer(payer().model_copy(update={"email": "nonsense"}))


async def test_a_customer_that_is_gone_has_no_snapshot_and_no_portal(
    lemon: Lemon, driver: LemonSqueezyDriver
) -> None:
    gone = await driver.ensure_customer(payer())
    lemon.shop.delete_customer(gone)
    with pytest.raises(NoCustomer):
        await driver.fetch_snapshot(gone)
    with pytest.raises(CustomerDeleted):
        await driver.start_portal_session(portal_request(gone))


async def test_a_customer_of_another_store_is_none_of_ours(lemon: Lemon) -> None:
    customer = lemon.subscriber(lemon.plan())
    elsewhere = lemon_driver(lemon.url, store_id="2")
    elsewhere._store_currency = "usd"
    with pytest.raises(NoCustomer):
        await elsewhere.fetch_snapshot(customer)
    with pytest.raises(CustomerDeleted, match="another store"):
        await elsewhere.start_portal_session(portal_request(customer))
    await elsewhere.close()


async def test_a_store_that_does_not_exist_says_which_setting_is_wrong(lemon: Lemon) -> None:
    nowhere = lemon_driver(lemon.url, store_id="2")
    with pytest.raises(ProviderRejected, match="LEMONSQUEEZY_STORE_ID"):
        await nowhere.fetch_catalog()
    await nowhere.close()
