"""Two people in one browser profile, one after the other: whatever they press, neither sees what is the other's."""

from collections.abc import AsyncIterator

import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.chromium import open_chromium
from tests.e2e.factories import Person, World
from tests.e2e.server import Server
from tests.e2e.visitors import BILLING, PRICING, Visitors, billing_shown, button, region

# What was to be seen at every moment a document was shown, one that the browser had kept included: it is written
# down at once, before anything can be loaded anew.
_WATCH = """
addEventListener("pageshow", (event) => {
  const seen = document.documentElement.style.visibility === "hidden" ? "" : document.body.innerText;
  const notes = JSON.parse(sessionStorage.getItem("seen") ?? "[]");
  sessionStorage.setItem("seen", JSON.stringify([...notes, { kept: event.persisted, seen }]));
}, { capture: true });
"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def keeper() -> AsyncIterator[Browser]:
    """A browser that keeps pages for Back, as people's do."""
    async with open_chromium(keeps_pages=True) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="session")
async def people(keeper: Browser, server: Server) -> AsyncIterator[Visitors]:
    """Visitors with that browser."""
    opened = Visitors(keeper, server.base_url)
    yield opened
    await opened.leave()
    assert opened.complaints == []


async def shown_at_first(page: Page) -> list[dict[str, object]]:
    """Return what each document of the tab showed the moment it came."""
    notes: list[dict[str, object]] = await page.evaluate(
        "() => JSON.parse(sessionStorage.getItem('seen') ?? '[]')"
    )
    return notes


async def rich_and_poor(world: World) -> tuple[Person, Person]:
    """Return somebody with a plan, and somebody of another team without one."""
    return await world.subscriber("pro"), await world.newcomer("Quiet Garden")


async def test_a_page_kept_for_back_is_not_shown_to_the_next_person(
    people: Visitors, world: World
) -> None:
    rich, poor = await rich_and_poor(world)
    page = await people.profile(rich)
    await page.add_init_script(_WATCH)
    await page.goto(BILLING)
    await expect(await billing_shown(page)).to_contain_text("$149.00 per month")
    await page.goto("/api/docs")
    await people.sign_in(page.context, poor)
    await page.go_back(wait_until="commit")
    plan = await billing_shown(page)
    await expect(plan.get_by_text("Free", exact=True)).to_be_visible()
    await expect(page.get_by_role("banner")).to_contain_text("Quiet Garden")
    notes = await shown_at_first(page)
    assert any(note["kept"] for note in notes), "the browser kept the page"
    assert not any("149.00" in str(note["seen"]) for note in notes)
    assert "149.00" not in await page.content()


async def test_back_and_forward_after_signing_out_and_in_show_only_what_is_ones_own(
    people: Visitors, world: World
) -> None:
    rich, poor = await rich_and_poor(world)
    page = await people.profile(rich)
    await page.add_init_script(_WATCH)
    await page.goto(BILLING)
    await billing_shown(page)
    await page.goto(PRICING)
    await expect(page.get_by_role("banner")).to_contain_text(rich.email)
    await page.goto(BILLING)
    await billing_shown(page)
    await button(page, f"Account: {rich.email}").click()
    await page.get_by_role("menuitem", name="Sign out").click()
    await expect(button(page, "Sign in")).to_be_visible()
    before = len(await shown_at_first(page))
    for _ in range(2):
        await page.go_back(wait_until="commit")
        await expect_nothing_of(rich, page)
    await people.sign_in(page.context, poor)
    await page.goto(BILLING)
    await billing_shown(page)
    for step in (page.go_back, page.go_back, page.go_forward, page.go_forward):
        await step(wait_until="commit")
        await expect(button(page, f"Account: {poor.email}")).to_be_visible()
        await expect_nothing_of(rich, page)
    told = str((await shown_at_first(page))[before:])
    assert rich.email not in told
    assert "149.00 per month" not in told


async def expect_nothing_of(person: Person, page: Page) -> None:
    """Expect that a page does not show a person's account, nor what they pay for."""
    await expect(button(page, f"Account: {person.email}")).to_have_count(0)
    await expect(region(page, "Current plan").get_by_text("$149.00 per month")).to_have_count(0)


async def test_the_first_person_back_at_their_own_page_finds_it_alive(
    people: Visitors, world: World
) -> None:
    rich, _ = await rich_and_poor(world)
    page = await people.arrive(person=rich)
    await billing_shown(page)
    await page.goto("/api/docs")
    await page.go_back(wait_until="commit")
    await expect(await billing_shown(page)).to_contain_text("$149.00 per month")
    await button(page, "Refresh").click()
    await expect(page.get_by_text("Data as of")).to_be_visible()
    await expect(page.locator("html")).to_be_visible()
