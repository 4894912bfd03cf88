"""Browsers of people who visit the pages, each with a fresh profile, and the ways they go."""

import re
from pathlib import Path
from typing import Any, Final

from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    expect,
)

from tests.e2e.factories import Person

BILLING: Final = "/settings/billing"
PRICING: Final = "/pricing"
SIGN_IN: Final = "/sign-in"
RETURN: Final = "/settings/billing/return"

PATIENCE_MS: Final = 15_000
"""So long a page may take: two busy cores are slow, and no test measures time."""
# A failed request is the network's news, and some tests want it to fail.
_NOT_OURS: Final = ("Failed to load resource", "WebSocket connection to")
# What a page does against its own Content-Security-Policy, whichever test it is that finds it.
_TELL_VIOLATIONS: Final = """
document.addEventListener("securitypolicyviolation", (event) => {
  const { effectiveDirective, blockedURI, sourceFile, sample } = event;
  console.error(`Against the policy: ${[effectiveDirective, blockedURI, sourceFile, sample].join(" ")}`);
});
"""

expect.set_options(timeout=PATIENCE_MS)


class Visitors:
    """The people of one test."""

    def __init__(self, browser: Browser, base_url: str) -> None:
        """Let them use `browser` to visit the site at `base_url`."""
        self.base_url = base_url
        self.complaints: list[str] = []
        self._browser = browser
        self._contexts: list[BrowserContext] = []

    async def arrive(
        self, path: str = BILLING, person: Person | None = None, **options: Any
    ) -> Page:
        """Return a page of a new profile, with `path` open.

        Args:
            person: who is signed in; nobody when None.
            options: what Playwright's `Browser.new_context` takes, such as `locale`.
        """
        page = await self.profile(person, **options)
        await page.goto(path)
        return page

    async def profile(self, person: Person | None = None, **options: Any) -> Page:
        """Return an empty page of a new profile; arguments as for `arrive`."""
        context = await self._browser.new_context(
            **({"base_url": self.base_url, "viewport": {"width": 1440, "height": 900}} | options)
        )
        self._contexts.append(context)
        await context.add_init_script(_TELL_VIOLATIONS)
        context.set_default_timeout(PATIENCE_MS)
        context.on("console", self._note)
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        if person is not None:
            await self.sign_in(context, person)
        return await context.new_page()

    async def sign_in(self, context: BrowserContext, person: Person) -> None:
        """Give a profile the cookie that signing in would bring."""
        await context.add_cookies(
            [
                {
                    "name": "billing_session",
                    "value": person.token,
                    "url": self.base_url,
                    "httpOnly": True,
                    "sameSite": "Lax",
                }
            ]
        )

    async def photograph(self, directory: Path) -> None:
        """Keep what every open page shows."""
        for number, page in enumerate(page for one in self._contexts for page in one.pages):
            await page.screenshot(path=directory / f"page-{number}.png", full_page=True)
            (directory / f"page-{number}.html").write_text(await page.content())

    async def leave(self) -> None:
        """Close every profile."""
        for context in self._contexts:
            await context.close()

    def _note(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not message.text.startswith(_NOT_OURS):
            self.complaints.append(message.text)


# ---------------------------------------------------------------- the app's pages


def button(page: Page | Locator, name: str) -> Locator:
    """Return the button with exactly this name."""
    return page.get_by_role("button", name=name, exact=True)


def region(page: Page, name: str) -> Locator:
    """Return the region with exactly this name."""
    return page.get_by_role("region", name=name, exact=True)


def said(page: Page, text: str | re.Pattern[str]) -> Locator:
    """Return the banner that says `text` without interrupting."""
    return page.get_by_role("status").filter(has_text=text)


async def billing_shown(page: Page) -> Locator:
    """Wait for the billing page's content; return its region "Current plan"."""
    plan = region(page, "Current plan")
    await expect(plan).to_be_visible()
    await expect(page).to_have_url(re.compile(rf"{BILLING}$"))
    return plan


# ---------------------------------------------------------------- the provider's pages


async def in_portal(page: Page, heading: str = "Manage your subscription") -> None:
    """Wait until the portal is there."""
    await expect(page.get_by_role("heading", level=1, name=heading, exact=True)).to_be_visible()
    assert page.url.startswith("http://127.0.0.1:"), page.url


async def to_portal(page: Page) -> None:
    """Press Manage Billing, and wait for the portal."""
    await button(page, "Manage Billing").click()
    await in_portal(page)


async def come_back(page: Page) -> Locator:
    """Leave the portal by its own link, and wait for billing; return the region "Current plan"."""
    await page.get_by_role("link", name=re.compile("^Return to ")).click()
    return await billing_shown(page)


async def type_card(page: Page, number: str = "4242 4242 4242 4242") -> None:
    """Fill in a card."""
    await page.get_by_label("Card number").fill(number)
    await page.get_by_label("Expiry").fill("12 / 40")
    await page.get_by_label("CVC").fill("123")


async def choose_price(page: Page, name: str) -> None:
    """Choose one of the portal's prices, such as "Pro – $149.00 per month", and confirm it."""
    await page.get_by_role("radio", name=name, exact=True).check()
    await confirm(page)


async def confirm(page: Page) -> None:
    """Go through the portal's last two steps."""
    await button(page, "Continue").click()
    await button(page, "Confirm").click()
