"""The whole way at every provider: see the plan, change it there, come back, and the page says what is so."""

import re
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from filelock import FileLock
from playwright.async_api import Locator, Page, expect
from pypdf import PdfReader
from sqlmodel import select

from billing_ui.accounts.demo import DEMO_ACCOUNTS
from billing_ui.billing.services import Services
from billing_ui.models import Customer, Invoice
from billing_ui.payments.types import SnapshotSubscription, SubscriptionState
from billing_ui.settings import Provider, Settings
from tests.conftest import free_port
from tests.drivers.world import EVERY_CALL
from tests.e2e.accessibility import complaints
from tests.e2e.sandbox import Sandbox
from tests.e2e.server import BUILD, Server
from tests.e2e.visitors import (
    BILLING,
    SIGN_IN,
    Visitors,
    billing_shown,
    button,
    choose_price,
    come_back,
    region,
    said,
    to_portal,
    type_card,
)
from tests.e2e.words import long_date

PROVIDERS_BUILD = BUILD.with_name("e2e-providers")


@pytest.fixture(scope="module")
def port() -> int:
    """Where the application is, whichever provider it has: another port would build its pages anew."""
    return free_port()


@pytest.fixture(scope="module", params=Provider, ids=lambda provider: provider.value)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, port: int
) -> Iterator[Server]:
    """An installation with nothing configured but which provider it is for."""
    provider: Provider = request.param
    settings = {"PAYMENT_PROVIDER": provider.value}
    running = Server(tmp_path_factory.mktemp(provider.value), settings, PROVIDERS_BUILD, port)
    PROVIDERS_BUILD.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(PROVIDERS_BUILD.with_suffix(".lock")):
        running.start()
        yield running
        running.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def provider(server: Server) -> AsyncIterator[Services]:
    """Its database, and its provider as our driver has it."""
    opened = Services.open(
        Settings(
            _env_file=None,
            payment_provider=Provider(server.settings["PAYMENT_PROVIDER"]),
            database_url=server.database_url,
            sandbox_port=server.sandbox_port,
            secret_key="for tests only",
        )
    )
    yield opened
    await opened.close()


async def plan_there(provider: Services, account: str) -> SnapshotSubscription:
    """Return what a demo account's team pays for, as the provider says."""
    async with provider.database.read() as session:
        team_id = DEMO_ACCOUNTS[account].team_id
        row = (await session.exec(select(Customer).where(Customer.team_id == team_id))).one()
    assert row.provider_customer_id is not None
    snapshot = await provider.drivers.active.fetch_snapshot(row.provider_customer_id)
    [subscription] = snapshot.subscriptions
    return subscription


async def back_on_the_page(page: Page, provider: Services) -> Locator:
    """Come back as the provider's portal lets one; return the region "Current plan"."""
    if provider.drivers.active.capabilities.returns:
        return await come_back(page)
    await expect(page.get_by_role("link", name=re.compile("^Return to "))).to_have_count(0)
    await page.goto(BILLING)
    await billing_shown(page)
    banner = said(page, f"You opened {provider.drivers.active.display_name}'s portal.")
    await button(banner, "I'm back, refresh").click()
    await expect(button(page, "I'm back, refresh")).to_have_count(0)
    return region(page, "Current plan")


async def test_what_is_changed_at_the_provider_is_so_on_the_page(
    visitors: Visitors, provider: Services
) -> None:
    driver = provider.drivers.active
    page = await visitors.arrive(SIGN_IN)
    await button(page, "Continue as active").click()
    plan = await billing_shown(page)
    await expect(plan).to_contain_text("$480.00 per month · 24 ")
    await expect(plan.get_by_text("Active", exact=True)).to_be_visible()
    before = await plan_there(provider, "active")
    assert before.current_period_end is not None
    renewal = long_date(before.current_period_end)
    await expect(plan.get_by_text(f"Renews on {renewal}", exact=True)).to_be_visible()

    await to_portal(page)
    if driver.capabilities.plan_changes:
        await button(page, "Update plan").click()
        await choose_price(page, "Pro – $149.00 per month")
        await expect(page.get_by_text("Your plan is updated.")).to_be_visible()
        plan = await back_on_the_page(page, provider)
        await expect(said(page, "Plan changed from Team to Pro.")).to_be_visible()
        shown, badge = "$149.00 per month", "Active"
    else:
        await expect(button(page, "Update plan")).to_have_count(0)
        await button(page, "Cancel plan").click()
        await page.get_by_role("radio", name="It’s too expensive").check()
        await button(page, "Cancel plan").click()
        await expect(page.get_by_text("Your plan is canceled.")).to_be_visible()
        plan = await back_on_the_page(page, provider)
        await expect(said(page, f"Your plan is set to cancel on {renewal}.")).to_be_visible()
        shown, badge = "$480.00 per month", "Canceling"

    for _ in range(2):
        await expect(plan).to_contain_text(shown)
        await expect(plan.get_by_text(badge, exact=True)).to_be_visible()
        await page.reload()
        plan = await billing_shown(page)
    there = await plan_there(provider, "active")
    [item] = there.items
    if driver.capabilities.plan_changes:
        assert (there.state, item.plan_name) == (SubscriptionState.ACTIVE, "Pro")
    else:
        assert (there.state, item.plan_name) == (SubscriptionState.CANCELING, "Team")


async def test_what_is_bought_at_the_provider_is_so_on_the_page(
    visitors: Visitors, provider: Services
) -> None:
    driver = provider.drivers.active
    page = await visitors.arrive(SIGN_IN)
    await button(page, "Continue as no plan").click()
    plan = await billing_shown(page)
    await expect(button(page, "Manage Billing")).to_have_count(0)
    await plan.get_by_role("link", name="Choose a plan", exact=True).click()
    await button(page, "Choose Pro").click()
    subscribe = page.get_by_role("heading", level=1, name="Subscribe to Pro", exact=True)
    await expect(subscribe).to_be_visible()
    await type_card(page)
    await button(page, "Subscribe").click()
    if driver.capabilities.checkout_returns:
        plan = await billing_shown(page)
        await expect(said(page, "Pro started.")).to_be_visible()
    else:
        await expect(page.get_by_role("heading", level=1, name="Thank you")).to_be_visible()
        await page.goto(BILLING)
        plan = await billing_shown(page)
    # Where nothing leads back, the event of the purchase tells, be the page open already or not.
    await expect(plan).to_contain_text("$149.00 per month")
    await expect(plan.get_by_text("Active", exact=True)).to_be_visible()
    await expect(button(page, "Manage Billing")).to_be_visible()
    there = await plan_there(provider, "no plan")
    assert (there.state, there.items[0].plan_name) == (SubscriptionState.ACTIVE, "Pro")


async def test_invoices_have_a_column_for_numbers_where_the_provider_gives_them_any(
    visitors: Visitors, provider: Services
) -> None:
    page = await visitors.arrive(SIGN_IN)
    await button(page, "Continue as active").click()
    await billing_shown(page)
    async with provider.database.read() as session:
        numbered = any((await session.exec(select(Invoice.number))).all())
    invoices = region(page, "Invoices")
    heading = invoices.get_by_role("columnheader", name="Number", exact=True)
    await expect(heading).to_have_count(1 if numbered else 0)
    # Some provider has no PDF of what came to nothing.
    pdf = page.get_by_role("link", name="Download PDF", exact=True)
    row = invoices.get_by_role("row").filter(has=pdf).first
    await expect(row.get_by_role("cell")).to_have_count(4 if numbered else 3)
    # What tells one download from another is the number, else the date.
    told_by = row.get_by_role("cell").first if numbered else row.get_by_role("rowheader")
    described = await told_by.inner_text()
    assert re.search(r"\d", described)
    await expect(row.locator(pdf)).to_have_accessible_description(described)
    assert not await complaints(page)

    await page.set_viewport_size({"width": 390, "height": 844})
    lines = (await row.get_by_role("rowheader").inner_text()).split()
    assert (described in lines) is numbered
    assert "–" not in lines


async def test_the_pdf_of_an_invoice_is_downloaded_whoever_keeps_it(
    visitors: Visitors, server: Server, provider: Services
) -> None:
    page = await visitors.arrive(SIGN_IN)
    await button(page, "Continue as active").click()
    await billing_shown(page)
    # Some provider has none of what came to nothing.
    link = page.get_by_role("link", name="Download PDF", exact=True)
    row = region(page, "Invoices").get_by_role("row").filter(has_text="Paid", has=link).first
    link = row.get_by_role("link", name="Download PDF", exact=True)
    async with page.expect_download() as downloading:
        await link.click()
    file = PdfReader(await (await downloading.value).path())
    number = (await row.get_by_role("cell").first.text_content() or "").strip()
    assert number
    assert number in " ".join(sheet.extract_text() for sheet in file.pages)
    await expect(page).to_have_url(re.compile(f"{BILLING}$"))
    if not provider.drivers.active.capabilities.invoice_pdf_on_demand:
        return

    sandbox = Sandbox(f"http://127.0.0.1:{server.sandbox_port}")
    async with sandbox.failing("error", EVERY_CALL, status=503):
        await link.click()
        said_so = page.get_by_role("heading", name="The PDF wasn't downloaded")
        await expect(said_so).to_be_visible()
        assert not await complaints(page)
    async with page.expect_download() as downloading:
        await page.get_by_role("link", name="Try again", exact=True).click()
    assert PdfReader(await (await downloading.value).path()).pages
    await page.get_by_role("link", name="Back to billing", exact=True).click()
    await billing_shown(page)
    await sandbox.close()
