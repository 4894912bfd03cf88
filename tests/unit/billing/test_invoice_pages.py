"""Invoices page by page: every one exactly once, newest first, however they are turned."""

import base64
from datetime import timedelta

import pytest

from billing_ui.billing.invoices import InvoicePage, load_invoices
from billing_ui.billing.services import Services
from billing_ui.billing.sync import sync_customer
from billing_ui.payments.types import InvalidRequest, NotAllowed
from tests.unit.billing.factories import (
    NOW,
    Account,
    invoice,
    new_account,
    new_member,
    snapshot,
)
from tests.unit.billing.fake_driver import FakeDriver


async def with_invoices(services: Services, driver: FakeDriver, count: int) -> Account:
    """Return an account with invoices 1 to `count`, the second and third made in the same moment."""
    account = await new_account(services, customer="cus_1")
    tied = {2: NOW, 3: NOW}
    invoices = tuple(
        invoice(n, created_at=tied.get(n, NOW + timedelta(days=n if n > 3 else -n)))
        for n in range(count, 0, -1)
    )
    driver.has(snapshot(invoices=invoices))
    await sync_customer(services, account.customer)
    return account


def numbers(page: InvoicePage) -> list[int]:
    """Return the numbers on a page."""
    return [int(row.id.removeprefix("in_")) for row in page.rows]


async def test_pages_turn_forward_and_back(services: Services, driver: FakeDriver) -> None:
    account = await with_invoices(services, driver, 20)
    first = await load_invoices(services, account.identity)
    assert numbers(first) == [*range(20, 12, -1)]
    assert (first.first, first.last, first.total, first.previous_cursor) == (1, 8, 20, None)
    second = await load_invoices(services, account.identity, first.next_cursor)
    assert numbers(second) == [*range(12, 4, -1)]
    assert (second.first, second.last) == (9, 16)
    third = await load_invoices(services, account.identity, second.next_cursor)
    assert numbers(third) == [4, 3, 2, 1]
    assert (third.first, third.last, third.next_cursor) == (17, 20, None)
    assert await load_invoices(services, account.identity, third.previous_cursor) == second
    back = await load_invoices(services, account.identity, second.previous_cursor)
    assert back == first


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 11, 12, 100])
async def test_every_invoice_is_on_exactly_one_page(
    services: Services, driver: FakeDriver, limit: int
) -> None:
    account = await with_invoices(services, driver, 11)
    page = await load_invoices(services, account.identity, limit=limit)
    seen = numbers(page)
    while page.next_cursor:
        page = await load_invoices(services, account.identity, page.next_cursor, limit)
        assert page.first == len(seen) + 1
        seen += numbers(page)
    assert seen == [*range(11, 0, -1)]


async def test_a_new_invoice_shifts_no_page_that_someone_is_reading(
    services: Services, driver: FakeDriver
) -> None:
    account = await with_invoices(services, driver, 10)
    first = await load_invoices(services, account.identity, limit=4)
    driver.has(snapshot(invoices=(invoice(11, created_at=NOW + timedelta(days=11)),)))
    await sync_customer(services, account.customer)
    second = await load_invoices(services, account.identity, first.next_cursor, 4)
    assert numbers(second) == [6, 5, 4, 3]
    assert (second.first, second.total) == (6, 11)


async def test_no_invoices_is_an_empty_page(services: Services, driver: FakeDriver) -> None:
    for account in (await new_account(services), await with_invoices(services, driver, 0)):
        page = await load_invoices(services, account.identity)
        assert (page.rows, page.first, page.last, page.total) == ((), 0, 0, 0)
        assert (page.next_cursor, page.previous_cursor) == (None, None)


async def test_another_teams_cursor_shows_none_of_its_invoices(
    services: Services, driver: FakeDriver
) -> None:
    account = await with_invoices(services, driver, 10)
    page = await load_invoices(services, account.identity, limit=4)
    stranger = await new_account(services, customer="cus_2")
    assert (await load_invoices(services, stranger.identity, page.next_cursor)).rows == ()


def forged(created_at: str, invoice_id: str) -> str:
    """Return a cursor as somebody makes it who knows what is in ours."""
    text = f'{{"side":"older","created_at":"{created_at}","id":"{invoice_id}"}}'
    return base64.urlsafe_b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "cursor",
    [
        forged("2026-01-01T00:00:00Z", r"in_\u0000"),
        forged("0001-01-01T00:00:00+14:00", "in_1"),
        forged("9999-12-31T23:59:59-12:00", "in_1"),
    ],
)
async def test_a_cursor_of_what_no_database_holds_is_refused(
    services: Services, cursor: str
) -> None:
    account = await new_account(services, customer="cus_1")
    with pytest.raises(InvalidRequest, match=r"^cursor: "):
        await load_invoices(services, account.identity, cursor)


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "é",
        "====",
        "bnVsbA",
        "eyJzaWRlIjoib2xkZXIifQ",
        "W10",
        "a" * 5000,
        "0a1b2c3d-0000-4000-8000-000000000000",
        "%00",
    ],
)
async def test_a_cursor_of_ones_own_making_is_refused(services: Services, cursor: str) -> None:
    account = await new_account(services, customer="cus_1")
    with pytest.raises(InvalidRequest, match=r"^cursor: "):
        await load_invoices(services, account.identity, cursor)


async def test_a_member_sees_no_invoices(services: Services, driver: FakeDriver) -> None:
    account = await with_invoices(services, driver, 3)
    with pytest.raises(NotAllowed):
        await load_invoices(services, await new_member(services, account))
