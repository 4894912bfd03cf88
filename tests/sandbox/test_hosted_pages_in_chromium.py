"""The hosted pages in a real browser: nothing for axe to find, and redirects that arrive."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]
from playwright.async_api import Browser, Page, expect

from tests.chromium import open_chromium
from tests.sandbox.shop import Shop


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    """A browser of the test's own."""
    async with open_chromium() as browser:
        yield browser


async def home(page: Page, shop: Shop) -> None:
    """Open the portal of a team with seats, two cards and an invoice."""
    customer = shop.customer(address={"line1": "12 Harbour Street", "country": "IE"})
    shop.v1.payment_methods.attach("pm_card_mastercard", {"customer": customer})
    shop.subscribe(customer, "Team", 24)
    await page.goto(shop.portal(customer))


async def overdue(page: Page, shop: Shop) -> None:
    """Open the portal of a customer whose payment failed."""
    customer = shop.customer("pm_card_chargeCustomerFail")
    subscription = shop.subscribe(customer, "Pro", trial_period_days=14)
    shop.v1.subscriptions.update(subscription.id, {"trial_end": "now"})
    await page.goto(shop.portal(customer))
    await expect(page.get_by_role("alert")).to_be_visible()


async def refused_update(page: Page, shop: Shop) -> None:
    """Ask for more seats than there may be."""
    await home(page, shop)
    await page.get_by_role("button", name="Update plan").click()
    await page.get_by_label("Quantity").fill("999")
    await page.get_by_role("button", name="Continue").click()
    await expect(page.get_by_role("alert")).to_be_visible()


async def confirmation(page: Page, shop: Shop) -> None:
    """Come as far as the money."""
    await home(page, shop)
    await page.get_by_role("button", name="Update plan").click()
    await page.get_by_role("radio", name="Pro – $1,490.00 per year").check()
    await page.get_by_role("button", name="Continue").click()
    await expect(page.get_by_role("button", name="Confirm")).to_be_visible()


async def canceling(page: Page, shop: Shop) -> None:
    """Cancel."""
    await home(page, shop)
    await page.get_by_role("button", name="Cancel plan").click()
    await page.get_by_role("radio", name="Another reason").check()
    await page.get_by_role("button", name="Cancel plan").click()
    await expect(page.get_by_role("button", name="Don't cancel plan")).to_be_visible()


async def refused_card(page: Page, shop: Shop) -> None:
    """Type a card with everything wrong."""
    await home(page, shop)
    await page.get_by_role("button", name="Add payment method").click()
    await page.get_by_role("button", name="Add payment method").click()
    await expect(page.get_by_role("alert")).to_have_count(3)


async def information(page: Page, shop: Shop) -> None:
    """Open the billing information."""
    await home(page, shop)
    await page.get_by_role("button", name="Update information").click()
    await expect(page.get_by_label("E-mail")).to_be_visible()


async def used_link(page: Page, shop: Shop) -> None:
    """Open a link that is no good."""
    await page.goto(f"{shop.origin}/p/session/x")


async def checkout(page: Page, shop: Shop) -> None:
    """Open a checkout."""
    await page.goto(checkout_url(shop, "https://app.example.com/welcome"))


async def open_invoice(page: Page, shop: Shop) -> None:
    """Open an invoice that can be paid."""
    customer = shop.customer()
    invoice = shop.v1.invoices.create({"customer": customer}).id
    assert invoice
    shop.v1.invoice_items.create(
        {
            "customer": customer,
            "invoice": invoice,
            "currency": "usd",
            "amount": 4800,
            "description": "Work",
        }
    )
    url = shop.v1.invoices.finalize_invoice(invoice).hosted_invoice_url
    assert url
    await page.goto(url)


def checkout_url(shop: Shop, success_url: str) -> str:
    """Return the URL of a new checkout of five seats."""
    url = shop.v1.checkout.sessions.create(
        {
            "mode": "subscription",
            "line_items": [{"price": shop.plans["Team"].monthly, "quantity": 5}],
            "success_url": success_url,
            "cancel_url": "https://app.example.com/pricing",
        }
    ).url
    assert url
    return url


PAGES = [home, overdue, refused_update, confirmation, canceling]
PAGES += [refused_card, information, used_link, checkout, open_invoice]


@pytest.mark.parametrize("show", PAGES)
async def test_axe_finds_nothing_and_nothing_sticks_out(
    chromium: Browser, shop: Shop, show: Callable[[Page, Shop], Awaitable[None]]
) -> None:
    page = await chromium.new_page(viewport={"width": 320, "height": 800})
    await show(page, shop)
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=scheme)
        found = (await Axe().run(page)).response["violations"]
        assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found] == []
    assert await page.evaluate("document.documentElement.scrollWidth") == 320


async def type_card(page: Page) -> None:
    """Fill in a good card."""
    await page.get_by_label("Card number").fill("4242 4242 4242 4242")
    await page.get_by_label("Expiry").fill("12 / 39")
    await page.get_by_label("CVC").fill("123")


async def test_a_finished_checkout_arrives_at_another_origin(
    chromium: Browser, shop: Shop, sandbox_url: str
) -> None:
    page = await chromium.new_page()
    await page.goto(checkout_url(shop, f"{sandbox_url}/?from=checkout"))
    await page.get_by_label("E-mail").fill("new@example.com")
    await type_card(page)
    await page.get_by_role("button", name="Subscribe").click()
    await page.wait_for_url(f"{sandbox_url}/?from=checkout")


async def test_a_finished_flow_arrives_at_another_origin(
    chromium: Browser, shop: Shop, sandbox_url: str
) -> None:
    redirect = {"type": "redirect", "redirect": {"return_url": f"{sandbox_url}/?from=portal"}}
    flow = {"type": "payment_method_update", "after_completion": redirect}
    page = await chromium.new_page()
    await page.goto(shop.portal(shop.customer(), flow_data=flow))
    await type_card(page)
    await page.get_by_role("button", name="Add payment method").click()
    await page.wait_for_url(f"{sandbox_url}/?from=portal")


async def test_the_portal_works_by_keyboard_alone(chromium: Browser, shop: Shop) -> None:
    page = await chromium.new_page()
    await home(page, shop)
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    await page.get_by_role("button", name="Update plan").press("Enter")
    await page.get_by_role("radio", name="Team – $20.00 per month").focus()
    await page.keyboard.press("Tab")
    await page.keyboard.type("6")
    await page.keyboard.press("Enter")
    await page.get_by_role("button", name="Confirm").press("Enter")
    await expect(page.get_by_role("status")).to_have_text("Your plan is updated.")
