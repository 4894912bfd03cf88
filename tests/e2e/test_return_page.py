"""The way back from the provider: reloaded, opened by hand, by the wrong person, or with nobody to ask."""

import re
from uuid import uuid4

from playwright.async_api import Page, expect
from sqlmodel import select

from billing_ui.models import PortalVisit
from tests.e2e.factories import Person, World
from tests.e2e.sandbox import Sandbox
from tests.e2e.server import Server
from tests.e2e.visitors import (
    BILLING,
    RETURN,
    Visitors,
    billing_shown,
    button,
    choose_price,
    come_back,
    region,
    said,
    to_portal,
)

UNREACHABLE = "We couldn't get the latest yet"


async def change_plan(visitors: Visitors, world: World, person: Person) -> Page:
    """Return a page in the portal, where the plan was just changed from Pro to Starter.

    No event tells the application of it: what is known afterwards, the way back has brought.
    """
    page = await visitors.arrive(person=person)
    await to_portal(page)
    await button(page, "Update plan").click()
    async with world.sandbox.telling_nothing():
        await choose_price(page, "Starter – $29.00 per month")
        await expect(page.get_by_role("status")).to_contain_text("Your plan is updated.")
    await world.settle(person)
    return page


async def way_back(page: Page) -> str:
    """Return the address the portal leads back to."""
    address = await page.get_by_role("link", name=re.compile("^Return to ")).get_attribute("href")
    assert address
    return address


async def visits_of(world: World, person: Person) -> list[PortalVisit]:
    """Return every trip a person has begun."""
    query = select(PortalVisit).where(PortalVisit.user_id == person.user_id)
    async with world.services.database.read() as session:
        return list((await session.exec(query)).all())


async def test_the_return_page_leaves_no_trace_in_the_history(
    visitors: Visitors, world: World
) -> None:
    page = await change_plan(visitors, world, await world.subscriber("pro"))
    await come_back(page)
    await page.go_back()
    assert RETURN not in page.url
    assert page.url.startswith("http://127.0.0.1:")


async def test_opening_the_way_back_again_says_the_same_once_more(
    visitors: Visitors, world: World
) -> None:
    page = await change_plan(visitors, world, await world.subscriber("pro"))
    back = await way_back(page)
    for _ in range(2):
        await page.goto(back)
        await billing_shown(page)
        await expect(said(page, "Plan changed from Pro to Starter.")).to_be_visible()
        await expect(said(page, "Plan changed")).to_have_count(1)


async def test_a_visit_that_does_not_exist_just_shows_billing(
    visitors: Visitors, world: World
) -> None:
    page = await visitors.profile(await world.subscriber("pro"))
    for visit in (str(uuid4()), "", "1", "../../etc/passwd", "%00", "x" * 3000):
        await page.goto(f"{RETURN}?visit={visit}")
        await billing_shown(page)
        await expect(page.get_by_role("alert")).to_have_count(0)


async def test_somebody_elses_visit_shows_them_nothing_and_is_not_used_up(
    visitors: Visitors, world: World
) -> None:
    person, stranger = await world.subscriber("pro"), await world.subscriber("team", seats=2)
    page = await change_plan(visitors, world, person)
    back = await way_back(page)
    other = await visitors.profile(stranger)
    await other.goto(back)
    plan = await billing_shown(other)
    await expect(plan).to_contain_text("2 seats")
    await expect(other.get_by_text("Plan changed")).to_have_count(0)
    await page.goto(back)
    await expect(said(page, "Plan changed from Pro to Starter.")).to_be_visible()


async def test_without_a_session_nothing_is_shown_but_the_customer_is_out_of_date(
    visitors: Visitors, world: World, server: Server
) -> None:
    person = await world.subscriber("pro")
    back = await way_back(await change_plan(visitors, world, person))
    before = await world.row(person)
    assert before.wanted == before.applied
    stranger = await visitors.profile()
    await stranger.goto(back)
    await expect(button(stranger, "Sign in")).to_be_visible()
    assert "Pro" not in await stranger.get_by_role("main").inner_text()
    after = await world.row(person)
    assert after.wanted > before.wanted
    # What the portal changed is then fetched, whether or not somebody looks.
    page = await visitors.arrive(person=person)
    plan = await billing_shown(page)
    await expect(plan).to_contain_text("$29.00 per month")


async def test_who_signs_in_again_on_the_way_back_still_learns_what_changed(
    visitors: Visitors, world: World
) -> None:
    person = await world.subscriber("pro")
    page = await change_plan(visitors, world, person)
    await page.context.clear_cookies(name="billing_session")
    await page.get_by_role("link", name=re.compile("^Return to ")).click()
    await expect(button(page, "Sign in")).to_be_visible()
    await visitors.sign_in(page.context, person)
    await page.reload()
    await billing_shown(page)
    await expect(said(page, "Plan changed from Pro to Starter.")).to_be_visible()


async def test_with_the_provider_down_the_return_page_stays_and_tries_again(
    visitors: Visitors, world: World, sandbox: Sandbox
) -> None:
    page = await change_plan(visitors, world, await world.subscriber("pro"))
    async with sandbox.failing("error", status=500):
        await page.get_by_role("link", name=re.compile("^Return to ")).click()
        await expect(page.get_by_role("heading", name=UNREACHABLE, exact=True)).to_be_visible()
        await expect(page.get_by_role("alert")).to_contain_text("Your changes are safe there")
        again = button(page, "Try again")
        await again.click()
        await expect(again).to_have_attribute("aria-busy", "true")
        await expect(again).to_have_attribute("aria-busy", "false")
        await expect(page.get_by_role("heading", name=UNREACHABLE, exact=True)).to_be_visible()
    await again.click()
    await billing_shown(page)
    await expect(said(page, "Plan changed from Pro to Starter.")).to_be_visible()


async def test_with_the_provider_down_one_can_go_on_to_what_is_known(
    visitors: Visitors, world: World, sandbox: Sandbox
) -> None:
    person = await world.subscriber("pro")
    page = await change_plan(visitors, world, person)
    async with sandbox.failing("drop"):
        await page.get_by_role("link", name=re.compile("^Return to ")).click()
        await button(page, "Continue to billing").click()
        plan = await billing_shown(page)
        await expect(plan).to_contain_text("$149.00 per month")
        await expect(said(page, "You see the data from")).to_be_visible()
    # What the visit came to is said as soon as it is known, not lost.
    await button(page, "Refresh").click()
    await expect(said(page, "Plan changed from Pro to Starter.")).to_be_visible()
    await expect(plan).to_contain_text("$29.00 per month")


async def test_while_it_works_the_return_page_says_so(
    visitors: Visitors, world: World, sandbox: Sandbox
) -> None:
    page = await change_plan(visitors, world, await world.subscriber("pro"))
    async with sandbox.failing("latency", seconds=2):
        await page.get_by_role("link", name=re.compile("^Return to ")).click()
        await expect(
            page.get_by_role("heading", name="Updating your billing details…", exact=True)
        ).to_be_visible()
        await expect(page.get_by_role("status")).to_contain_text("Asking Stripe for the latest.")
        await expect(region(page, "Current plan")).to_have_count(0)
        await billing_shown(page)
    await expect(said(page, "Plan changed from Pro to Starter.")).to_be_visible()


async def test_reloading_the_return_page_while_it_works_does_no_harm(
    visitors: Visitors, world: World, sandbox: Sandbox
) -> None:
    person = await world.subscriber("pro")
    page = await change_plan(visitors, world, person)
    async with sandbox.failing("latency", seconds=2):
        await page.get_by_role("link", name=re.compile("^Return to ")).click()
        await expect(page.get_by_role("status")).to_contain_text("Asking Stripe for the latest.")
        await page.reload()
        await billing_shown(page)
    await expect(said(page, "Plan changed from Pro to Starter.")).to_be_visible()
    assert len(await visits_of(world, person)) == 1


async def test_billing_itself_is_where_a_visit_without_wishes_ends(
    visitors: Visitors, world: World, server: Server
) -> None:
    page = await change_plan(visitors, world, await world.subscriber("pro"))
    await come_back(page)
    assert page.url == f"{server.base_url}{BILLING}"
