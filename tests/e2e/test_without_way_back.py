"""A provider whose portal has no way back and is closed to who has bought nothing: Lemon Squeezy, in the browser."""

from collections.abc import Iterator

import pytest
from filelock import FileLock
from playwright.async_api import Page, expect

from tests.conftest import free_port
from tests.e2e.accessibility import complaints
from tests.e2e.server import BUILD, Server
from tests.e2e.visitors import BILLING, SIGN_IN, Visitors, billing_shown, button, said, to_portal

OWN_BUILD = BUILD.with_name("e2e-way-back")
OPENED = "You opened Lemon Squeezy's portal."


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An installation with nothing configured but which provider it is for."""
    settings = {"PAYMENT_PROVIDER": "lemonsqueezy"}
    running = Server(tmp_path_factory.mktemp("way-back"), settings, OWN_BUILD, free_port())
    OWN_BUILD.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(OWN_BUILD.with_suffix(".lock")):
        running.start()
        yield running
        running.stop()


async def signed_in(visitors: Visitors, account: str) -> Page:
    """Return the billing page of a demo account."""
    page = await visitors.arrive(SIGN_IN)
    await button(page, f"Continue as {account}").click()
    await billing_shown(page)
    return page


async def test_whoever_comes_back_by_the_browsers_own_button_is_asked_and_told(
    visitors: Visitors,
) -> None:
    page = await signed_in(visitors, "active")
    await expect(page.get_by_text("and brings you back here")).to_have_count(0)
    await expect(page.get_by_text("What you change there appears here by itself.")).to_be_visible()
    await to_portal(page)

    await page.go_back()

    await billing_shown(page)
    await expect(said(page, OPENED)).to_be_visible()
    assert not await complaints(page)
    await button(page, "I'm back, refresh").click()
    await expect(said(page, OPENED)).to_have_count(0)
    await expect(said(page, "Nothing changed")).to_be_visible()
    await expect(page.get_by_role("heading", name="Billing", exact=True)).to_be_focused()


async def test_another_tab_serves_as_well(visitors: Visitors) -> None:
    page = await signed_in(visitors, "canceling")
    await to_portal(page)
    tab = await page.context.new_page()
    await tab.goto(BILLING)
    await billing_shown(tab)
    await expect(said(tab, OPENED)).to_be_visible()
    await button(tab, "I'm back, refresh").click()
    await expect(said(tab, "Nothing changed")).to_be_visible()


async def test_whoever_has_bought_nothing_is_led_to_the_plans(visitors: Visitors) -> None:
    page = await signed_in(visitors, "no plan")
    await page.get_by_role("link", name="Choose a plan").click()
    await button(page, "Choose Pro").click()
    await page.wait_for_url("http://127.0.0.1:*/**")
    await page.goto(BILLING)
    await billing_shown(page)
    await button(page, "Manage Billing").click()
    await expect(
        said(page, "There is no billing portal before your first purchase.")
    ).to_be_visible()
    await expect(button(page, "Choose Pro")).to_be_visible()
    assert not await complaints(page)
