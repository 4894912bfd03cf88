"""The shop's hosted pages in a real browser: nothing for axe to find, and a way there and back."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]
from playwright.async_api import Browser, Page, expect

from tests.chromium import open_chromium
from tests.sandbox.shop_engine.conftest import Do

BEGIN = 1_700_000_000


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    """A browser of the test's own."""
    async with open_chromium() as browser:
        yield browser


class Seller:
    """What the pages are about."""

    def __init__(self, do: Do, control: httpx.Client) -> None:
        self.do = do
        self.control = control
        do("create_plan", name="Pro", prices=[{"amount": 14900, "id": "pro"}])
        do(
            "create_plan",
            name="Team",
            unit_label="seat",
            prices=[{"amount": 2000, "id": "team"}, {"amount": 20000, "interval": "year"}],
        )

    def customer(self, **wish: Any) -> str:
        """Return the id of a new customer with two cards and 24 seats."""
        made: str = self.do("create_customer", email="billing@example.com", **wish)["id"]
        self.do("add_card", customer_id=made, number="5555555555554444")
        self.do("add_card", customer_id=made)
        self.do("subscribe", customer_id=made, price_id="team", quantity=24)
        return made

    def portal(self, customer: str | None = None, **wish: Any) -> str:
        """Return a link into the portal of a customer, a new one when None."""
        wish["customer_id"] = customer or self.customer(name="Northwind Labs")
        url: str = self.do("open_portal", return_url="https://app.example.com/", **wish)["url"]
        return url


async def home(page: Page, seller: Seller) -> None:
    """Open the portal."""
    await page.goto(seller.portal())


async def overdue(page: Page, seller: Seller) -> None:
    """Open the portal of a customer whose payment failed, with the invoice's own page behind it."""
    do = seller.do
    late = do("create_customer", email="late@example.com", at=BEGIN)["id"]
    do("add_card", customer_id=late, at=BEGIN)
    do("subscribe", customer_id=late, price_id="pro", at=BEGIN)
    do("add_card", customer_id=late, number="4000000000000341", at=BEGIN)
    seller.control.post("/advance", json={"customer": late, "to": BEGIN + 31 * 86400})
    await page.goto(seller.portal(late))
    await expect(page.get_by_role("alert")).to_be_visible()


async def open_invoice(page: Page, seller: Seller) -> None:
    """Open an invoice that can be paid."""
    await overdue(page, seller)
    await page.get_by_role("link", name="Pay", exact=True).click()
    await expect(page.get_by_role("button", name="Pay $149.00")).to_be_visible()


async def paused(page: Page, seller: Seller) -> None:
    """Open the portal of a customer whose plan is paused."""
    customer = seller.customer()
    subscription = seller.do("find", kind="subscription", customer_id=customer)["records"][0]
    seller.do("pause", subscription_id=subscription["id"])
    await page.goto(seller.portal(customer))
    await expect(page.get_by_text("Paused. You will not be charged.")).to_be_visible()


async def confirmation(page: Page, seller: Seller) -> None:
    """Come as far as the money."""
    await home(page, seller)
    await page.get_by_role("button", name="Update plan").click()
    await page.get_by_role("radio", name="Team – $200.00 per year").check()
    await page.get_by_label("Quantity").fill("30")
    await page.get_by_role("button", name="Continue").click()
    await expect(page.get_by_role("button", name="Confirm")).to_be_visible()


async def canceling(page: Page, seller: Seller) -> None:
    """Cancel."""
    await home(page, seller)
    await page.get_by_role("button", name="Cancel plan").click()
    await page.get_by_role("radio", name="Another reason").check()
    await page.get_by_role("button", name="Cancel plan").click()
    await expect(page.get_by_role("button", name="Don't cancel plan")).to_be_visible()


async def checkout(page: Page, seller: Seller) -> None:
    """Open a checkout for somebody new, with a trial."""
    wish = {"price_id": "team", "quantity": 5, "trial_days": 14, "return_url": "https://a.example/"}
    await page.goto(seller.do("open_checkout", **wish)["url"])


async def information(page: Page, seller: Seller) -> None:
    """Open the billing information."""
    await page.goto(seller.portal(flow="information"))
    await expect(page.get_by_label("E-mail")).to_be_visible()


PAGES = [home, overdue, open_invoice, paused, confirmation, canceling, checkout, information]


@pytest.mark.parametrize("visit", PAGES)
async def test_axe_finds_nothing_on_either_screen_in_either_light(
    chromium: Browser, do: Do, control: httpx.Client, visit: Callable[..., Awaitable[None]]
) -> None:
    page = await chromium.new_page(viewport={"width": 1440, "height": 900})
    await visit(page, Seller(do, control))
    for width in (1440, 390):
        await page.set_viewport_size({"width": width, "height": 900})
        for light in ("light", "dark"):
            await page.emulate_media(color_scheme=light)  # type: ignore[arg-type]
            found = await Axe().run(page)
            assert found.response["violations"] == []
        wide = await page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width


async def test_from_checkout_to_portal_and_back_by_pressing_what_is_there(
    chromium: Browser, do: Do, control: httpx.Client, served: str
) -> None:
    seller = Seller(do, control)
    wish = {"price_id": "team", "quantity": 2, "success_url": f"{served}/?bought"}
    page = await chromium.new_page()
    await page.goto(do("open_checkout", **wish)["url"])
    await page.get_by_label("E-mail").fill("new@example.com")
    await page.get_by_label("Card number").fill("4242 4242 4242 4242")
    await page.get_by_label("Expiry").fill("12 / 40")
    await page.get_by_label("CVC").fill("123")
    await page.get_by_role("button", name="Subscribe").click()
    await page.wait_for_url(f"{served}/?bought")
    [buyer] = do("find", kind="customer")["records"]
    link = seller.do("open_portal", customer_id=buyer["id"], return_url=f"{served}/?back")
    await page.goto(link["url"])
    await page.get_by_role("button", name="Update plan").click()
    await page.get_by_role("radio", name="Pro – $149.00 per month").check()
    await page.get_by_role("button", name="Continue").click()
    await page.get_by_role("button", name="Confirm").click()
    await expect(page.get_by_role("status")).to_have_text("Your plan is updated.")
    await page.get_by_role("link", name="Return to Acme Cloud").click()
    await page.wait_for_url(f"{served}/?back")
    [subscription] = do("find", kind="subscription", customer_id=buyer["id"])["records"]
    assert (subscription["price"], subscription["quantity"]) == ("pro", 1)
