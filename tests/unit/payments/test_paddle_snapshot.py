"""What is so at Paddle, of one customer whole and of all of them page by page."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from billing_ui.clock import from_unix, utc_now
from billing_ui.payments.paddle import PaddleDriver, client, snapshot
from billing_ui.payments.types import (
    Address,
    CatalogSnapshot,
    Listing,
    NoCustomer,
    Snapshot,
    TaxId,
)
from billing_ui.sandbox.core.cards import FAILS_WHEN_CHARGED, MASTERCARD
from billing_ui.sandbox.shop.model import Address as Kept
from billing_ui.sandbox.shop.model import Interval, Invoice
from billing_ui.settings import Provider
from tests.unit.payments.paddle import PaddleAccount, paddle_driver, serving_paddle

NOTHING_SOLD = CatalogSnapshot(provider=Provider.PADDLE, products=())


@pytest.fixture
async def account() -> AsyncIterator[PaddleAccount]:
    """An account without anything."""
    async with serving_paddle() as serving:
        yield serving


@pytest.fixture
async def driver(account: PaddleAccount) -> AsyncIterator[PaddleDriver]:
    """A driver of that account."""
    opened = paddle_driver(account.url)
    yield opened
    await opened.close()


# ---------------------------------------------------------------- one customer


async def test_where_and_as_what_a_customer_buys_is_told(
    account: PaddleAccount, driver: PaddleDriver
) -> None:
    customer = account.shop.create_customer(
        "ada@example.com",
        name="Ada",
        address=Kept(line1="Main St 1", city="Berlin", postal_code="10115", country="DE"),
        tax_id="DE123456789",
    )
    told = (await driver.fetch_snapshot(customer.id)).customer
    assert told.address == Address(
        line1="Main St 1", city="Berlin", postal_code="10115", country="DE"
    )
    assert told.tax_ids == (TaxId(type="tax_id", value="DE123456789"),)


async def test_what_is_charged_next_is_that_of_the_next_renewal(
    account: PaddleAccount, driver: PaddleDriver
) -> None:
    yearly = account.plan("Yearly", 90000, interval=Interval.YEAR)
    later = account.subscriber(yearly)
    sooner = account.shop.subscribe(later.customer, account.plan("Monthly", 2900).id)
    told = (await driver.fetch_snapshot(later.customer)).next_invoice
    assert told is not None
    assert (told.subscription_id, told.total, told.currency) == (sooner.id, 2900, "usd")
    assert told.at == from_unix(sooner.period_end)
    account.shop.cancel(sooner.id)
    told = (await driver.fetch_snapshot(later.customer)).next_invoice
    assert told is not None
    assert told.subscription_id == later.id
    account.shop.pause(later.id)
    assert (await driver.fetch_snapshot(later.customer)).next_invoice is None


async def test_credit_is_taken_off_what_is_charged_next(
    account: PaddleAccount, driver: PaddleDriver
) -> None:
    dear, cheap = account.plan("Dear", 30000), account.plan("Cheap", 1000)
    bought = account.subscriber(dear)
    account.shop.change_plan(bought.id, cheap.id)
    told = (await driver.fetch_snapshot(bought.customer)).next_invoice
    assert told is not None
    assert told.total == 1000
    assert told.amount_due == 0


async def test_another_default_card_is_told_at_once(
    account: PaddleAccount, driver: PaddleDriver
) -> None:
    bought = account.subscriber()
    account.shop.add_card(bought.customer, MASTERCARD)
    told = await driver.fetch_snapshot(bought.customer)
    assert {(one.brand, one.is_default) for one in told.payment_methods} == {
        ("visa", False),
        ("mastercard", True),
    }
    # The exchange of a card is a transaction at Paddle, but nothing that anybody is billed.
    assert len(told.invoices) == 1


async def test_a_trial_tells_its_card_and_no_invoice_of_nothing(
    account: PaddleAccount, driver: PaddleDriver
) -> None:
    price = account.plan(trial_days=14)
    checkout = account.shop.open_checkout(price.id, email="ada@example.com")
    bought = account.shop.complete_checkout(checkout.id, number=MASTERCARD)
    told = await driver.fetch_snapshot(bought.customer)
    assert [(one.brand, one.is_default) for one in told.payment_methods] == [("mastercard", True)]
    assert told.invoices == ()
    assert told.subscriptions[0].trial_end == from_unix(bought.period_end)


async def test_a_payment_that_fails_is_owed_and_counted(
    account: PaddleAccount, driver: PaddleDriver
) -> None:
    bought = account.subscriber()
    account.shop.add_card(bought.customer, FAILS_WHEN_CHARGED)
    account.shop.advance(bought.period_end + 60)
    told = await driver.fetch_snapshot(bought.customer)
    owed = next(one for one in told.invoices if one.status == "open")
    assert (owed.amount_remaining, owed.amount_paid, owed.attempt_count) == (14900, 0, 1)
    assert told.subscriptions[0].state == "past_due"


async def test_older_invoices_are_told_when_asked_for_and_unknown_ones_named(
    account: PaddleAccount, driver: PaddleDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "INVOICES", 2)
    bought = account.subscriber()
    for _ in range(4):
        bought = account.shop.get(type(bought), bought.id)
        account.shop.advance(bought.period_end)
    kept = account.shop.find(Invoice)
    few = await driver.fetch_snapshot(bought.customer)
    assert [one.id for one in few.invoices] == [one.id for one in kept[:2]]
    since = from_unix(kept[3].created)
    more = await driver.fetch_snapshot(bought.customer, invoices_since=since)
    assert [one.id for one in more.invoices][:4] == [one.id for one in kept[:4]]
    asked = await driver.fetch_snapshot(
        bought.customer, invoices=(kept[4].id, "txn_nothing", kept[0].id)
    )
    assert {one.id for one in asked.invoices} == {kept[0].id, kept[1].id, kept[4].id}
    assert asked.deleted_invoices == ("txn_nothing",)


async def test_the_pdf_of_an_invoice_is_made_when_it_is_asked_for(
    account: PaddleAccount, driver: PaddleDriver
) -> None:
    bought = account.subscriber()
    [invoice] = (await driver.fetch_snapshot(bought.customer)).invoices
    assert invoice.pdf_url is None
    assert await driver.invoice_pdf(invoice.id) == account.shop.pdf_url(
        account.shop.get(Invoice, invoice.id)
    )
    assert await driver.invoice_pdf("txn_nothing") is None


async def test_a_customer_of_another_account_is_none(driver: PaddleDriver) -> None:
    with pytest.raises(NoCustomer, match="ctm_elsewhere"):
        await driver.fetch_snapshot("ctm_elsewhere")


# ---------------------------------------------------------------- all of them


async def ids(driver: PaddleDriver, listing: Listing, **bounds: datetime) -> list[str]:
    """Return whose or what stands in a listing, from the first page to the last."""
    found: list[str] = []
    cursor: str | None = None
    while True:
        page = await driver.list_page(listing, NOTHING_SOLD, cursor=cursor, **bounds)
        found += [name for one in page.snapshots for name in _names(listing, one)]
        cursor = page.cursor
        if cursor is None:
            return found


def _names(listing: Listing, one: Snapshot) -> list[str]:
    return {
        Listing.CUSTOMERS: [one.customer.id],
        Listing.SUBSCRIPTIONS: [subscription.id for subscription in one.subscriptions],
        Listing.INVOICES: [invoice.id for invoice in one.invoices],
    }[listing]


async def test_a_range_is_walked_to_and_not_beyond(
    account: PaddleAccount, driver: PaddleDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "PAGE", 2)
    made = []
    for days in (5, 4, 3, 2, 1):
        with account.shop.at(int((utc_now() - timedelta(days=days)).timestamp())):
            made.append(account.shop.create_customer(f"a{days}@example.com"))
    bounds = {
        "created_from": from_unix(made[2].created),
        "created_to": from_unix(made[4].created),
    }
    found = await ids(driver, Listing.CUSTOMERS, **bounds)
    assert found == [made[3].id, made[2].id]
    beyond = await driver.list_page(Listing.CUSTOMERS, NOTHING_SOLD, cursor=made[3].id, **bounds)
    assert [one.customer.id for one in beyond.snapshots] == [made[2].id]
    assert beyond.cursor is None
    assert await ids(driver, Listing.CUSTOMERS) == [one.id for one in reversed(made)]


async def test_open_checkouts_are_in_no_list_of_invoices(
    account: PaddleAccount, driver: PaddleDriver
) -> None:
    bought = account.subscriber()
    account.shop.open_checkout(bought.price, customer_id=bought.customer)
    [invoice] = account.shop.find(Invoice)
    assert await ids(driver, Listing.INVOICES) == [invoice.id]


async def test_archived_customers_are_listed_too(
    account: PaddleAccount, driver: PaddleDriver
) -> None:
    customer = account.shop.create_customer("ada@example.com")
    account.shop.delete_customer(customer.id)
    assert await ids(driver, Listing.CUSTOMERS) == [customer.id]


# ---------------------------------------------------------------- catalogue


async def test_the_catalogue_stands_in_the_order_it_is_shown(
    account: PaddleAccount, driver: PaddleDriver
) -> None:
    shop = account.shop
    dear = shop.create_product("Dear", features=["Everything"], unit_label="seat")
    shop.create_price(dear.id, 9000)
    first = shop.create_product("First", metadata={"position": 1})
    shop.create_price(first.id, 99000, interval=Interval.YEAR)
    old, new = shop.create_price(first.id, 10000), shop.create_price(first.id, 9900)
    with shop.at(old.created + 60):
        newest = shop.create_price(first.id, 9800)
    catalog = await driver.fetch_catalog()
    assert [product.name for product in catalog.products] == ["First", "Dear"]
    told = catalog.products[0].prices
    assert told[0].id == newest.id
    assert {told[1].id, told[2].id} == {old.id, new.id}
    assert told[3].interval == "year"
    assert catalog.products[1].features == ("Everything",)
    assert catalog.products[1].unit_label == "seat"


async def test_events_are_told_newest_first_and_back_to_a_moment(
    account: PaddleAccount, driver: PaddleDriver
) -> None:
    day = datetime(2026, 11, 1, tzinfo=UTC)
    for hours in (0, 1, 2):
        with account.shop.at(int((day + timedelta(hours=hours)).timestamp())):
            account.shop.create_customer(f"a{hours}@example.com")
    since = day + timedelta(hours=1)
    told = [event.created_at async for event in driver.list_events(since)]
    assert told == [day + timedelta(hours=2), since]
