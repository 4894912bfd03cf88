"""Where an invoice's PDF is had, and who is led to it."""

import pytest
from pydantic import SecretStr
from sqlmodel import select

from billing_ui.accounts.limits import DOWNLOADS, TooManyTries
from billing_ui.billing.invoice_pdf import find_invoice_pdf, own_address
from billing_ui.billing.invoices import load_invoices
from billing_ui.billing.services import Services
from billing_ui.billing.sync import sync_customer
from billing_ui.database import Database
from billing_ui.models import Invoice, Role
from billing_ui.payments.types import (
    NoInvoice,
    NotAllowed,
    ProviderMismatch,
    ProviderUnavailable,
    SnapshotInvoice,
)
from billing_ui.settings import Provider
from tests.unit.billing.conftest import make_settings
from tests.unit.billing.factories import Account, invoice, new_account, new_member, snapshot
from tests.unit.billing.fake_driver import FakeDriver, FakeDrivers

FILE = "https://files.example.com/0001.pdf?signature=secret"


@pytest.fixture
def on_demand(driver: FakeDriver) -> FakeDriver:
    """A provider that gives the address of a PDF only when it is asked."""
    driver.capabilities = driver.capabilities.model_copy(update={"invoice_pdf_on_demand": True})
    driver.pdfs["in_0001"] = FILE
    return driver


async def payer_of(services: Services, driver: FakeDriver, *invoices: SnapshotInvoice) -> Account:
    """Return a team with these invoices."""
    account = await new_account(services, customer="cus_1")
    driver.has(snapshot(invoices=invoices or (invoice(1),)))
    await sync_customer(services, account.customer)
    return account


async def links(services: Services, account: Account) -> dict[str, str | None]:
    """Return where the PDF of each invoice is had, as the page and the API say."""
    page = await load_invoices(services, account.identity)
    return {row.id: row.pdf_url for row in page.rows}


async def test_an_address_that_lasts_is_given_as_it_is(
    services: Services, driver: FakeDriver
) -> None:
    account = await payer_of(
        services, driver, invoice(1, pdf_url="https://x.example/1"), invoice(2)
    )
    assert await links(services, account) == {"in_0001": "https://x.example/1", "in_0002": None}


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "//evil.example", ""])
async def test_what_is_no_web_address_is_nowhere_to_go(
    services: Services, driver: FakeDriver, url: str
) -> None:
    account = await payer_of(services, driver, invoice(1, pdf_url=url, hosted_url=url))
    [row] = (await load_invoices(services, account.identity)).rows
    assert (row.pdf_url, row.hosted_url) == (None, None)


async def test_where_none_lasts_there_is_one_of_ours_for_what_was_paid(
    services: Services, on_demand: FakeDriver
) -> None:
    account = await payer_of(
        services,
        on_demand,
        *(invoice(n, status=status) for n, status in enumerate(("paid", "refunded"), 1)),
        *(invoice(n, status=status) for n, status in enumerate(("open", "void", "draft"), 3)),
        invoice(6, total=0),
    )
    ours = {name: own_address(services.settings, name) for name in ("in_0001", "in_0002")}
    assert ours["in_0001"].endswith("/api/billing/invoices/in_0001/pdf")
    nothing = dict.fromkeys(("in_0003", "in_0004", "in_0005", "in_0006"))
    assert await links(services, account) == {**ours, **nothing}


async def test_the_provider_is_asked_each_time_and_nothing_is_kept(
    services: Services, on_demand: FakeDriver
) -> None:
    account = await payer_of(services, on_demand)
    for _ in range(2):
        assert await find_invoice_pdf(services, account.identity, "in_0001") == FILE
    assert on_demand.count("invoice_pdf") == 2
    async with services.database.read() as session:
        [kept] = (await session.exec(select(Invoice))).all()
    assert kept.pdf_url is None
    assert "secret" not in str(kept.raw)


@pytest.mark.parametrize("name", ["in_0002", "", "in 0001", "in_0001\0", "x" * 256, "../in_0001"])
async def test_what_is_no_invoice_of_the_teams_is_never_asked_for(
    services: Services, on_demand: FakeDriver, name: str
) -> None:
    account = await payer_of(services, on_demand)
    with pytest.raises(NoInvoice):
        await find_invoice_pdf(services, account.identity, name)
    assert on_demand.count("invoice_pdf") == 0


async def test_nobody_gets_another_teams_invoice_or_one_without_the_right(
    services: Services, on_demand: FakeDriver
) -> None:
    account = await payer_of(services, on_demand)
    stranger = await new_account(services, customer="cus_2")
    with pytest.raises(NoInvoice):
        await find_invoice_pdf(services, stranger.identity, "in_0001")
    member = await new_member(services, account, Role.MEMBER)
    with pytest.raises(NotAllowed):
        await find_invoice_pdf(services, member, "in_0001")
    assert on_demand.count("invoice_pdf") == 0


async def test_an_invoice_without_a_pdf_is_told_from_a_provider_that_fails(
    services: Services, on_demand: FakeDriver
) -> None:
    account = await payer_of(services, on_demand, invoice(1), invoice(2))
    with pytest.raises(NoInvoice, match="Stripe has no PDF of this invoice"):
        await find_invoice_pdf(services, account.identity, "in_0002")
    on_demand.fail("invoice_pdf", ProviderUnavailable())
    with pytest.raises(ProviderUnavailable):
        await find_invoice_pdf(services, account.identity, "in_0001")


async def test_one_person_asks_the_provider_only_so_often(
    services: Services, on_demand: FakeDriver
) -> None:
    account = await payer_of(services, on_demand)
    for _ in range(DOWNLOADS.times):
        await find_invoice_pdf(services, account.identity, "in_0001")
    with pytest.raises(TooManyTries):
        await find_invoice_pdf(services, account.identity, "in_0001")
    assert on_demand.count("invoice_pdf") == DOWNLOADS.times


async def test_an_older_invoice_is_asked_for_where_it_was_made_while_that_is_served(
    database: Database, on_demand: FakeDriver
) -> None:
    polar = FakeDriver(Provider.POLAR)

    def moved(*legacy: str) -> Services:
        settings = make_settings(
            payment_provider="polar",
            polar_access_token=SecretStr("polar_oat_tests"),
            legacy_providers=legacy,
        )
        return Services(settings, database, FakeDrivers(settings, on_demand, polar))

    moving, gone = moved("stripe"), moved()
    account = await payer_of(moving, on_demand)
    assert await find_invoice_pdf(moving, account.identity, "in_0001") == FILE
    assert (await links(moving, account))["in_0001"] is not None
    with pytest.raises(ProviderMismatch):
        await find_invoice_pdf(gone, account.identity, "in_0001")
    assert await links(gone, account) == {"in_0001": None}
    assert (on_demand.count("invoice_pdf"), polar.count("invoice_pdf")) == (1, 0)
