"""The activity page in a browser: a trip to the portal is told, found, turned to, and taken along as a file."""

import csv
import re
from pathlib import Path

from playwright.async_api import Locator, Page, expect

from billing_ui.accounts.audit import Actor, AuditAction, record
from billing_ui.models import ActorKind, Role
from tests.e2e.accessibility import complaints
from tests.e2e.factories import Person, World
from tests.e2e.visitors import (
    BILLING,
    Visitors,
    billing_shown,
    button,
    choose_price,
    come_back,
    region,
    to_portal,
)

ACTIVITY = "/settings/activity"
PEOPLE = 60


async def log_shown(page: Page) -> Locator:
    """Wait for the log; return it."""
    log = region(page, "Activity log")
    await expect(log.get_by_role("row").nth(1)).to_be_visible()
    return log


async def happened(world: World, person: Person, *targets: str) -> None:
    """Let these people's roles be changed, one after the other."""
    actor = Actor(ActorKind.USER, person.user_id, person.email)
    async with world.services.database.write() as session:
        for target in targets:
            await record(
                session,
                AuditAction.ROLE_CHANGED,
                team_id=person.team_id,
                actor=actor,
                target=target,
                details={"from": "member", "to": "billing_manager"},
            )


async def upgrade(page: Page) -> None:
    """Change from Pro to Team in the portal, and come back."""
    await to_portal(page)
    await button(page, "Update plan").click()
    await choose_price(page, "Team – $20.00 per month")
    await come_back(page)


async def test_a_trip_to_the_portal_stands_in_the_log_with_what_came_of_it(
    visitors: Visitors, world: World
) -> None:
    owner = await world.subscriber("pro")
    page = await visitors.arrive(person=owner)
    await billing_shown(page)
    await upgrade(page)
    await (
        page.get_by_role("navigation", name="Settings").get_by_role("link", name="Activity").click()
    )
    rows = (await log_shown(page)).get_by_role("row")
    await expect(rows.nth(1)).to_contain_text(
        re.compile("Plan changed from Pro to Team.*Portal visit")
    )
    await expect(rows.nth(2)).to_contain_text("Billing portal opened")
    await expect(rows.nth(2)).to_contain_text(re.compile(r"From (127\.0\.0\.1|::1)"))
    await expect(rows.nth(2)).to_contain_text(owner.email)
    await expect(page.get_by_role("status").filter(has_text="2 entries")).to_be_visible()


async def test_what_a_colleague_does_appears_on_the_open_page(
    visitors: Visitors, world: World
) -> None:
    owner = await world.subscriber("pro")
    page = await visitors.arrive(ACTIVITY, owner)
    log = region(page, "Activity log")
    await expect(log).to_contain_text("No activity yet")
    await page.evaluate("window.stayed = true")
    theirs = await visitors.arrive(BILLING, await world.colleague(owner.team_id))
    await billing_shown(theirs)
    await upgrade(theirs)
    await expect(log).to_contain_text("Plan changed from Pro to Team")
    assert await page.evaluate("window.stayed") is True


async def test_pages_are_turned_without_losing_the_focus(visitors: Visitors, world: World) -> None:
    owner = await world.newcomer()
    await happened(world, owner, *(f"{number:02}@example.com" for number in range(PEOPLE)))
    page = await visitors.arrive(ACTIVITY, owner)
    log = await log_shown(page)
    older, newer = button(page, "Next"), button(page, "Previous")
    await expect(log).to_contain_text("1–25 of 60")
    await older.focus()
    await page.keyboard.press("Enter")
    await expect(log).to_contain_text("26–50 of 60")
    await expect(older).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(log).to_contain_text("51–60 of 60")
    await expect(older).to_be_focused()
    await expect(older).to_have_attribute("aria-disabled", "true")
    await newer.focus()
    await page.keyboard.press("Enter")
    await expect(log).to_contain_text("26–50 of 60")
    await expect(newer).to_be_focused()


async def test_the_log_is_searched_and_shown_whole_again(visitors: Visitors, world: World) -> None:
    owner = await world.newcomer()
    await happened(world, owner, "ben@example.com", "zoe@example.com")
    page = await visitors.arrive(ACTIVITY, owner)
    log = await log_shown(page)
    search, kind = page.get_by_label("Search by person"), page.get_by_label("Type")
    await search.fill("zoe")
    await expect(log.get_by_role("row")).to_have_count(2)
    await expect(log).to_contain_text("zoe@example.com became billing manager")
    await expect(search).to_be_focused()
    await kind.select_option("Tokens")
    await expect(log.get_by_role("heading", name="Nothing found")).to_be_visible()
    await button(page, "Show everything").click()
    await expect(log.get_by_role("row")).to_have_count(3)
    await expect(page.get_by_role("heading", level=1, name="Activity")).to_be_focused()
    await expect(search).to_have_value("")
    await expect(kind).to_have_value("")
    await page.get_by_label("Period").select_option("Last 7 days")
    export = page.get_by_role("link", name="Export CSV")
    await expect(export).to_have_attribute("href", re.compile(r"\?days=7$"))
    await expect(log.get_by_role("row")).to_have_count(3)


async def test_the_log_is_taken_along_as_a_file(
    visitors: Visitors, world: World, tmp_path: Path
) -> None:
    owner = await world.newcomer()
    await happened(world, owner, "=1+1", "zoe@example.com")
    page = await visitors.arrive(ACTIVITY, owner)
    await log_shown(page)
    await page.get_by_label("Type").select_option("Members and roles")
    await expect(region(page, "Activity log").get_by_role("row")).to_have_count(3)
    async with page.expect_download() as downloading:
        await page.get_by_role("link", name="Export CSV").click()
    download = await downloading.value
    assert re.fullmatch(r"activity-\d{4}-\d\d-\d\d\.csv", download.suggested_filename)
    file = tmp_path / "activity.csv"
    await download.save_as(file)
    rows = list(csv.DictReader(file.open(encoding="utf-8", newline="")))
    assert [row["target"] for row in rows] == ["zoe@example.com", "'=1+1"]


async def test_a_member_is_told_whom_to_ask_and_finds_no_way_there(
    visitors: Visitors, world: World
) -> None:
    owner = await world.newcomer()
    await happened(world, owner, "secret@example.com")
    page = await visitors.arrive(ACTIVITY, await world.colleague(owner.team_id, Role.MEMBER))
    log = region(page, "Activity log")
    await expect(log).to_contain_text("Only an owner or billing manager can see it.")
    await expect(log.get_by_role("link", name=owner.email)).to_be_visible()
    settings = page.get_by_role("navigation", name="Settings")
    await expect(settings.get_by_role("link", name="Billing")).to_be_visible()
    await expect(settings.get_by_role("link", name="Activity")).to_have_count(0)
    await expect(page.get_by_role("link", name="Export CSV")).to_have_count(0)
    assert "secret@" not in await page.content()


async def test_axe_finds_nothing_and_nothing_scrolls_sideways(
    visitors: Visitors, world: World
) -> None:
    owner = await world.newcomer()
    long = f"{'x' * 60}@{'long-domain-' * 8}example.com"
    await happened(world, owner, long, *(f"{number}@example.com" for number in range(30)))
    loner = await world.loner()
    member = await world.colleague(owner.team_id, Role.MEMBER)
    for person, search in ((owner, None), (owner, "nobody"), (member, None), (loner, None)):
        page = await visitors.arrive(ACTIVITY, person)
        log = page.get_by_role("region", name="Activity log")
        await expect(log).to_be_visible()
        if search:
            await page.get_by_label("Search by person").fill(search)
            await expect(log).to_contain_text("Nothing found")
        for theme in ("light", "dark"):
            await page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
            for width in (320, 390, 768, 1440):
                await page.set_viewport_size({"width": width, "height": 900})
                too_wide = "document.documentElement.scrollWidth - innerWidth"
                assert await page.evaluate(too_wide) <= 0, (width, search)
                if width in (390, 1440):
                    assert not await complaints(page)
