"""How the pages meet different people: keyboards, small screens, the dark, other languages, axe."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import pytest
from playwright.async_api import Page, expect

from tests.chromium import open_chromium
from tests.e2e.accessibility import complaints
from tests.e2e.factories import World
from tests.e2e.sandbox import Sandbox, renewal_of
from tests.e2e.server import Server
from tests.e2e.visitors import (
    BILLING,
    PRICING,
    RETURN,
    SIGN_IN,
    Visitors,
    billing_shown,
    button,
    in_portal,
    region,
    said,
)
from tests.e2e.words import long_date

WIDTHS: Final = (320, 390, 768, 1440)
ACCOUNTS: Final = ("active", "trialing", "past due", "canceling", "ended", "no plan", "member")


async def shown_as(visitors: Visitors, account: str, path: str = BILLING) -> Page:
    """Return a page as a demo account sees it."""
    page = await visitors.arrive(f"{SIGN_IN}?next={path}")
    await button(page, f"Continue as {account}").click()
    await settled(page, path)
    return page


async def settled(page: Page, path: str) -> None:
    """Wait until a page shows what it is for."""
    if path == BILLING:
        await billing_shown(page)
    elif path == PRICING:
        await expect(region(page, "Pro")).to_be_visible()
    else:
        await expect(page.get_by_role("heading", level=1)).to_be_visible()


# ---------------------------------------------------------------- keyboard


async def tab_to(page: Page, name: str, role: str = "button") -> None:
    """Press Tab until the element of that name has the focus, and see that its focus is visible."""
    wanted = page.get_by_role(role, name=name, exact=True)  # type: ignore[arg-type]
    for _ in range(40):
        await page.keyboard.press("Tab")
        if await wanted.evaluate("element => element === document.activeElement"):
            style = await wanted.evaluate(
                "element => { const ring = getComputedStyle(element);"
                " return [ring.outlineStyle, ring.outlineWidth]; }"
            )
            assert style == ["solid", "2px"], f"{name}: {style}"
            return
    raise AssertionError(f"{name} is not reached by Tab")


async def test_the_whole_journey_can_be_made_with_the_keyboard_alone(
    visitors: Visitors, world: World
) -> None:
    person = await world.subscriber("starter")
    page = await visitors.arrive(person=person)
    await billing_shown(page)
    await tab_to(page, "Skip to content", "link")
    await page.keyboard.press("Enter")
    await expect(page.locator("#main")).to_be_focused()
    await tab_to(page, "Manage Billing")
    await page.keyboard.press("Enter")
    await in_portal(page)
    await page.keyboard.press("Tab")
    await tab_to_any(page, "Update plan")
    await page.keyboard.press("Enter")
    await in_portal(page, "Update plan")
    chosen = page.get_by_role("radio", name="Starter – $29.00 per month", exact=True)
    await focus_by_tab(page, "input[type=radio]:checked")
    await expect(chosen).to_be_focused()
    while not await page.get_by_role("radio", name="Pro – $149.00 per month").is_checked():
        await page.keyboard.press("ArrowDown")
    await tab_to_any(page, "Continue")
    await page.keyboard.press("Enter")
    await tab_to_any(page, "Confirm")
    await page.keyboard.press("Enter")
    await in_portal(page)
    await focus_by_tab(page, "a.back")
    await page.keyboard.press("Enter")
    await billing_shown(page)
    await expect(said(page, "Plan changed from Starter to Pro.")).to_be_visible()
    await tab_to(page, "Dismiss")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1, name="Billing")).to_be_focused()


async def tab_to_any(page: Page, name: str) -> None:
    """Press Tab until a button of the provider's page has the focus."""
    wanted = button(page, name).first
    for _ in range(40):
        if await wanted.evaluate("element => element === document.activeElement"):
            return
        await page.keyboard.press("Tab")
    raise AssertionError(f"{name} is not reached by Tab")


async def focus_by_tab(page: Page, selector: str) -> None:
    """Press Tab until what a selector finds has the focus."""
    for _ in range(40):
        if await page.evaluate(f"document.activeElement.matches({selector!r})"):
            return
        await page.keyboard.press("Tab")
    raise AssertionError(f"{selector} is not reached by Tab")


async def test_the_account_menu_closes_with_escape_and_gives_the_focus_back(
    visitors: Visitors, world: World
) -> None:
    person = await world.newcomer()
    page = await visitors.arrive(person=person)
    await billing_shown(page)
    account = button(page, f"Account: {person.email}")
    await account.focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("menuitem", name="Sign out")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("menu")).to_have_count(0)
    await expect(account).to_be_focused()


# ---------------------------------------------------------------- screens


async def sideways(page: Page) -> int:
    """Return by how many pixels a page is wider than its window."""
    wider: int = await page.evaluate(
        "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    return wider


@pytest.mark.parametrize("account", ACCOUNTS)
async def test_billing_never_scrolls_sideways(visitors: Visitors, account: str) -> None:
    page = await shown_as(visitors, account)
    for width in WIDTHS:
        await page.set_viewport_size({"width": width, "height": 844})
        assert await sideways(page) <= 0, f"{width} px"


@pytest.mark.parametrize("path", [SIGN_IN, PRICING])
async def test_public_pages_never_scroll_sideways(visitors: Visitors, path: str) -> None:
    page = await visitors.arrive(path)
    await settled(page, path)
    for width in WIDTHS:
        await page.set_viewport_size({"width": width, "height": 844})
        assert await sideways(page) <= 0, f"{width} px"


async def test_what_a_finger_presses_on_a_phone_is_large_enough(visitors: Visitors) -> None:
    page = await shown_as(visitors, "active")
    await page.set_viewport_size({"width": 390, "height": 844})
    for name in ("Manage Billing", "Change plan", "Update payment method", "Refresh"):
        box = await button(page, name).bounding_box()
        assert box is not None
        assert box["height"] >= 36, f"{name}: {box}"
        assert box["width"] >= 36, f"{name}: {box}"


async def test_the_first_paint_follows_the_system_and_the_switch_is_remembered(
    visitors: Visitors, world: World
) -> None:
    page = await visitors.arrive(person=await world.subscriber("pro"), color_scheme="dark")
    await billing_shown(page)
    assert await luminance(page) < 0.1
    await button(page, "Switch theme").click()
    await expect(page.locator("html")).to_have_class(re.compile(r"\blight\b"))
    assert await luminance(page) > 0.9
    await page.reload()
    await billing_shown(page)
    assert await luminance(page) > 0.9


async def luminance(page: Page) -> float:
    """Return how bright a page's background is, from 0 to 1."""
    channels: list[float] = await page.evaluate(
        "() => { const context = document.createElement('canvas').getContext('2d');"
        " context.fillStyle = getComputedStyle(document.querySelector('.radix-themes'))"
        ".backgroundColor; context.fillRect(0, 0, 1, 1);"
        " return [...context.getImageData(0, 0, 1, 1).data.slice(0, 3)]; }"
    )
    red, green, blue = (channel / 255 for channel in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


async def test_on_paper_there_are_no_buttons(visitors: Visitors) -> None:
    page = await shown_as(visitors, "active")
    await page.emulate_media(media="print", color_scheme="dark")
    await expect(button(page, "Manage Billing")).to_be_hidden()
    await expect(region(page, "Invoices").get_by_role("row").nth(1)).to_be_visible()


# ---------------------------------------------------------------- readers


@asynccontextmanager
async def readers(language: str, server: Server) -> AsyncIterator[Visitors]:
    """The people of a browser that asks for `language`, websocket included.

    Playwright's own `locale` does not reach the websocket in every Chromium.
    """
    async with open_chromium(f"--accept-lang={language}") as browser:
        people = Visitors(browser, server.base_url)
        yield people
        await people.leave()
        assert people.complaints == []


async def test_a_german_reader_gets_german_dates_and_amounts(
    server: Server, world: World, sandbox: Sandbox
) -> None:
    person = await world.subscriber("pro", interval="year")
    async with readers("de-DE", server) as visitors:
        page = await visitors.arrive(person=person)
        plan = await billing_shown(page)
        date = long_date(renewal_of(await sandbox.subscription(person.customer)), "de_DE")
        await expect(plan).to_contain_text("1.490,00\u00a0$ per year")
        await expect(plan).to_contain_text(f"Renews on {date}")
        await expect(region(page, "Invoices")).to_contain_text("1.490,00\u00a0$")
        await page.goto(PRICING)
        await expect(region(page, "Pro")).to_contain_text("1.490,00\u00a0$")


async def test_a_british_reader_gets_british_dates(
    server: Server, world: World, sandbox: Sandbox
) -> None:
    person = await world.subscriber("pro")
    async with readers("en-GB", server) as visitors:
        page = await visitors.arrive(person=person)
        plan = await billing_shown(page)
        date = long_date(renewal_of(await sandbox.subscription(person.customer)), "en_GB")
        await expect(plan).to_contain_text(f"Renews on {date}")
        await expect(plan).to_contain_text("US$149.00 per month")


# ---------------------------------------------------------------- axe


async def violations(page: Page) -> list[str]:
    """Return what axe finds, in both themes, on a desktop and on a phone."""
    found = []
    for theme in ("light", "dark"):
        await page.emulate_media(color_scheme=theme)
        await expect(page.locator("html")).to_have_class(re.compile(rf"\b{theme}\b"))
        for width in (1440, 390):
            await page.set_viewport_size({"width": width, "height": 900})
            if complaint := await complaints(page):
                found.append(f"{theme}, {width} px: {complaint}")
    return found


@pytest.mark.parametrize("account", ACCOUNTS)
async def test_axe_finds_nothing_on_billing(visitors: Visitors, account: str) -> None:
    assert await violations(await shown_as(visitors, account)) == []


@pytest.mark.parametrize("account", ["active", "no plan", "member"])
async def test_axe_finds_nothing_on_pricing(visitors: Visitors, account: str) -> None:
    assert await violations(await shown_as(visitors, account, PRICING)) == []


@pytest.mark.parametrize("path", [SIGN_IN, f"{SIGN_IN}?error=credentials", PRICING, "/404"])
async def test_axe_finds_nothing_on_public_pages(visitors: Visitors, path: str) -> None:
    page = await visitors.arrive(path)
    await settled(page, path)
    assert await violations(page) == []


async def test_axe_finds_nothing_when_things_went_wrong(
    visitors: Visitors, world: World, sandbox: Sandbox
) -> None:
    page = await visitors.arrive(person=await world.subscriber("pro"))
    await billing_shown(page)
    async with sandbox.failing("error"):
        await button(page, "Manage Billing").click()
        await expect(page.get_by_role("alert")).to_be_visible()
        await button(page, "Refresh").click()
        await expect(said(page, "You see the data from")).to_be_visible()
        assert await violations(page) == []


async def test_axe_finds_nothing_on_the_return_page_working_or_failed(
    visitors: Visitors, world: World, sandbox: Sandbox
) -> None:
    page = await visitors.arrive(person=await world.subscriber("pro"))
    await billing_shown(page)
    await button(page, "Manage Billing").click()
    await in_portal(page)
    back = page.get_by_role("link", name=re.compile("^Return to "))
    address = await back.get_attribute("href")
    assert address is not None
    assert RETURN in address
    async with sandbox.failing("error"):
        await back.click()
        await expect(page.get_by_role("alert")).to_be_visible()
        assert await violations(page) == []


async def test_axe_finds_nothing_after_a_visit(visitors: Visitors, world: World) -> None:
    page = await visitors.arrive(person=await world.subscriber("pro"))
    await billing_shown(page)
    await button(page, "Manage Billing").click()
    await in_portal(page)
    await page.get_by_role("link", name=re.compile("^Return to ")).click()
    await expect(said(page, "Nothing changed")).to_be_visible()
    assert await violations(page) == []
