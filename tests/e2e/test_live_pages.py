"""A change reaches every open page of the team that may see it, while it is open."""

import asyncio
import re

from playwright.async_api import Page, expect

from billing_ui.models import Role
from tests.e2e.factories import Person, World
from tests.e2e.sandbox import Sandbox
from tests.e2e.server import Server
from tests.e2e.visitors import (
    BILLING,
    PATIENCE_MS,
    PRICING,
    SIGN_IN,
    Visitors,
    billing_shown,
    button,
    choose_price,
    in_portal,
    region,
    said,
    to_portal,
)
from tests.e2e.wire import browser_on_a_wire

SLOW_SECONDS = 6


async def set_item(sandbox: Sandbox, person: Person, **change: str) -> None:
    """Change at the provider what a team has subscribed to."""
    subscription = await sandbox.subscription(person.customer)
    item = {"id": subscription["items"]["data"][0]["id"], **change}
    form = {f"items[0][{name}]": value for name, value in item.items()}
    await sandbox.post(f"/v1/subscriptions/{subscription['id']}", **form)


async def set_seats(sandbox: Sandbox, person: Person, seats: int) -> None:
    """Change at the provider how many seats a team pays for."""
    await set_item(sandbox, person, quantity=str(seats))


async def add_invoices(sandbox: Sandbox, person: Person, count: int) -> None:
    """Bill a team some small things at the provider."""
    for number in range(1, count + 1):
        item = {"customer": person.customer, "amount": number * 100, "currency": "usd"}
        bill = {"customer": person.customer, "pending_invoice_items_behavior": "include"}
        await sandbox.batch(
            {"method": "post", "path": "/v1/invoiceitems", "params": item},
            {"method": "post", "path": "/v1/invoices", "params": bill, "as": "bill"},
            {"method": "post", "path": "/v1/invoices/{bill.id}/finalize", "params": {}},
        )


async def stay(page: Page) -> None:
    """Note in the document that it is this one."""
    await page.evaluate("window.stayed = true")


async def stayed(page: Page) -> bool:
    """Return whether the document is still the one that was noted."""
    return bool(await page.evaluate("window.stayed === true"))


async def test_a_change_shows_in_every_open_page_of_the_team_and_in_no_other(
    visitors: Visitors, world: World, sandbox: Sandbox
) -> None:
    owner = await world.subscriber("team", seats=3)
    other = await world.subscriber("team", seats=3)
    member = await world.colleague(owner.team_id, Role.MEMBER)
    first = await visitors.arrive(person=owner)
    second = await first.context.new_page()
    await second.goto(BILLING)
    third = await visitors.arrive(person=await world.colleague(owner.team_id))
    theirs = await visitors.arrive(person=member)
    strangers = await visitors.arrive(person=other)
    pages = (first, second, third, theirs, strangers)
    for page in pages:
        await expect(await billing_shown(page)).to_contain_text("3 seats at $20.00")
        await stay(page)

    await set_seats(sandbox, owner, 7)
    await world.refresh(owner)

    for page in (first, second, third, theirs):
        await expect(region(page, "Current plan")).to_contain_text("7 seats at $20.00")
    await expect(region(strangers, "Current plan")).to_contain_text("3 seats at $20.00")
    for page in (first, second, third):
        await expect(said(page, "Seats set to 7.")).to_be_visible()
    await expect(said(strangers, "Seats set to")).to_have_count(0)
    assert all([await stayed(page) for page in pages])


async def test_a_change_at_the_provider_arrives_by_itself(
    visitors: Visitors, world: World, sandbox: Sandbox
) -> None:
    owner = await world.subscriber("team", seats=3)
    page = await visitors.arrive(person=owner)
    await expect(await billing_shown(page)).to_contain_text("3 seats")

    await set_seats(sandbox, owner, 5)

    await expect(region(page, "Current plan")).to_contain_text("5 seats at $20.00")


async def test_what_changed_is_told_until_it_is_put_away(
    visitors: Visitors, world: World, sandbox: Sandbox
) -> None:
    owner = await world.subscriber("team", seats=3)
    page = await visitors.arrive(person=owner)
    await billing_shown(page)

    await set_seats(sandbox, owner, 4)
    await world.refresh(owner)

    news = said(page, "Seats set to 4.")
    await expect(news).to_contain_text(re.compile(r"\bjust now\.|min ago\."))
    await button(news, "Dismiss").click()
    await expect(news).to_have_count(0)
    await expect(page.get_by_role("heading", name="Billing", exact=True)).to_be_focused()
    await set_seats(sandbox, owner, 5)
    await world.refresh(owner)
    await expect(said(page, "Seats set to 5.")).to_be_visible()
    await expect(news).to_have_count(0)


async def test_a_change_leaves_the_reader_where_they_are(
    visitors: Visitors, world: World, sandbox: Sandbox
) -> None:
    owner = await world.subscriber("team", seats=3)
    await add_invoices(sandbox, owner, 9)
    await world.refresh(owner)
    page = await visitors.arrive(person=owner)
    await billing_shown(page)
    await button(page, "Next").click()
    invoices = region(page, "Invoices")
    await expect(invoices).to_contain_text("9–10 of 10")
    account = page.get_by_role("button", name=re.compile("^Account"))
    await account.click()
    await expect(page.get_by_role("menuitem", name="Sign out")).to_be_visible()

    await set_seats(sandbox, owner, 7)
    await world.refresh(owner)

    await expect(region(page, "Current plan")).to_contain_text("7 seats at $20.00")
    await expect(invoices).to_contain_text("9–10 of 10")
    await expect(page.get_by_role("menuitem", name="Sign out")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(account).to_be_focused()


async def test_a_change_that_takes_a_button_away_leaves_the_focus_on_the_page(
    visitors: Visitors, world: World, sandbox: Sandbox
) -> None:
    owner = await world.subscriber("pro", cancel_at_period_end=True)
    page = await visitors.arrive(person=owner)
    await billing_shown(page)
    keep = button(page, "Keep my plan")
    await keep.focus()
    subscription = await sandbox.subscription(owner.customer)
    path = f"/v1/subscriptions/{subscription['id']}"
    await sandbox.post(path, cancel_at_period_end="false")
    await expect(keep).to_have_count(0)
    await expect(page.get_by_role("heading", level=1, name="Billing")).to_be_focused()


async def test_a_button_that_only_looks_different_keeps_the_focus(
    visitors: Visitors, world: World, sandbox: Sandbox
) -> None:
    owner = await world.subscriber("pro", card="pm_card_chargeCustomerFail", trial_period_days=3)
    page = await visitors.arrive(person=owner)
    await billing_shown(page)
    await button(page, "Manage Billing").focus()
    subscription = await sandbox.subscription(owner.customer)
    await sandbox.post(f"/v1/subscriptions/{subscription['id']}", trial_end="now")
    await expect(page.get_by_role("alert")).to_contain_text("Payment of $149.00 failed.")
    await expect(page.locator(".btn.solid")).to_have_text("Update payment method")
    await expect(button(page, "Manage Billing")).to_be_focused()


async def test_a_banner_that_comes_in_above_leaves_in_place_what_is_being_read(
    visitors: Visitors, world: World, sandbox: Sandbox
) -> None:
    owner = await world.subscriber("team", seats=3)
    for width in (1440, 390):
        page = await visitors.arrive(person=owner, viewport={"width": width, "height": 600})
        await billing_shown(page)
        details = region(page, "Billing details")
        heading = details.get_by_role("heading")
        await heading.evaluate("heading => heading.scrollIntoView({ block: 'center' })")
        before = await heading.bounding_box()
        await sandbox.post(f"/v1/customers/{owner.customer}", name=f"Seen at {width}")
        await expect(details).to_contain_text(f"Seen at {width}")
        await expect(said(page, "Billing details updated")).to_have_count(1)
        assert await heading.bounding_box() == before, f"{width} px"


async def test_the_plans_say_at_once_which_one_is_the_teams(
    visitors: Visitors, world: World, sandbox: Sandbox
) -> None:
    owner = await world.subscriber("pro")
    page = await visitors.arrive(PRICING, person=owner)
    await expect(page.get_by_text("Subscribers is on Pro.")).to_be_visible()
    seats = page.get_by_label("Team seats")
    await seats.fill("12")

    await set_item(sandbox, owner, price="price_demo_team_month")
    await world.refresh(owner)

    await expect(page.get_by_text("Subscribers is on Team.")).to_be_visible()
    await expect(seats).to_be_focused()
    await expect(seats).to_have_value("12")


async def test_no_tab_waits_for_another_ones_provider(
    visitors: Visitors, world: World, sandbox: Sandbox
) -> None:
    owner = await world.subscriber("team", seats=3)
    leaving = await visitors.arrive(person=owner)
    staying = await leaving.context.new_page()
    await staying.goto(BILLING)
    for page in (leaving, staying):
        await billing_shown(page)

    async with sandbox.failing("latency", "/v1/billing_portal/sessions", seconds=SLOW_SECONDS):
        await button(leaving, "Manage Billing").click()
        opening = leaving.get_by_text("Opening Stripe", exact=False)
        await expect(opening).to_be_visible()

        await set_seats(sandbox, owner, 7)
        await world.refresh(owner)
        # Also the page that is about to leave.
        for page in (staying, leaving):
            await expect(region(page, "Current plan")).to_contain_text("7 seats at $20.00")
        await button(said(staying, "Seats set to 7."), "Dismiss").click()
        await expect(said(staying, "Seats set to 7.")).to_have_count(0)
        await expect(opening).to_be_visible()

        await in_portal(leaving)


async def test_signing_out_empties_every_page_of_the_session_and_no_other(
    visitors: Visitors, world: World
) -> None:
    owner = await world.subscriber("team", seats=3)
    page = await visitors.arrive(person=owner)
    twin = await page.context.new_page()
    await twin.goto(BILLING)
    colleague = await visitors.arrive(person=await world.colleague(owner.team_id))
    for each in (page, twin, colleague):
        await billing_shown(each)

    await page.get_by_role("button", name=re.compile("^Account")).click()
    await page.get_by_role("menuitem", name="Sign out").click()

    await expect(page).to_have_url(re.compile(SIGN_IN))
    await expect(twin).to_have_url(re.compile(rf"{SIGN_IN}\?next=%2Fsettings%2Fbilling$"))
    await expect(button(twin, "Sign in")).to_be_visible()
    await expect(region(colleague, "Current plan")).to_be_visible()


async def test_signing_in_as_somebody_else_shows_their_billing_in_every_page(
    visitors: Visitors,
) -> None:
    page = await visitors.arrive(SIGN_IN)
    twin = await page.context.new_page()
    await twin.goto(SIGN_IN)
    await button(page, "Continue as active").click()
    await expect(page.get_by_text("invoices for Northwind Labs")).to_be_visible()

    await button(twin, "Continue as no plan").click()

    await expect(region(twin, "Current plan")).to_contain_text("Free")
    await expect(region(page, "Current plan")).to_contain_text("Free")
    await expect(page.get_by_text("Northwind")).to_have_count(0)


async def test_what_somebody_changes_themselves_is_told_once(
    visitors: Visitors, world: World, sandbox: Sandbox
) -> None:
    owner = await world.subscriber("team", seats=3)
    page = await visitors.arrive(person=owner)
    twin = await page.context.new_page()
    await twin.goto(BILLING)
    await billing_shown(twin)
    await to_portal(page)
    await button(page, "Update plan").click()
    await choose_price(page, "Pro – $149.00 per month")
    await page.get_by_role("link", name=re.compile("^Return to ")).click()
    await billing_shown(page)

    for each in (page, twin):
        await expect(said(each, "Plan changed from Team to Pro.")).to_have_count(1)
        await expect(region(each, "Current plan")).to_contain_text("$149.00")
    await button(said(twin, "Plan changed from Team to Pro."), "Dismiss").click()
    await set_item(sandbox, owner, quantity="2")
    await world.refresh(owner)
    await expect(said(twin, "set to 2.")).to_be_visible()
    await expect(said(twin, "Plan changed from Team to Pro.")).to_have_count(0)


async def test_a_page_that_lost_its_connection_catches_up_when_it_is_back(
    server: Server, world: World, sandbox: Sandbox
) -> None:
    owner = await world.subscriber("team", seats=3)
    await add_invoices(sandbox, owner, 9)
    await world.refresh(owner)
    async with browser_on_a_wire(server.port) as (browser, wire):
        visitors = Visitors(browser, server.base_url)
        page = await visitors.arrive(person=owner)
        await expect(await billing_shown(page)).to_contain_text("3 seats")
        await button(page, "Next").click()
        await expect(region(page, "Invoices")).to_contain_text("9–10 of 10")
        await stay(page)

        wire.cut()
        await expect(page.get_by_text("Connection lost")).to_be_visible()
        await set_seats(sandbox, owner, 7)
        await world.refresh(owner)
        await expect(region(page, "Current plan")).to_contain_text("3 seats")
        wire.mend()

        await expect(region(page, "Current plan")).to_contain_text("7 seats at $20.00")
        await expect(said(page, "Seats set to 7.")).to_be_visible()
        await expect(page.get_by_text("Connection lost")).to_have_count(0)
        await expect(region(page, "Invoices")).to_contain_text("9–10 of 10")
        assert await stayed(page)
        await set_seats(sandbox, owner, 8)
        await world.refresh(owner)
        await expect(region(page, "Current plan")).to_contain_text("8 seats at $20.00")
        await visitors.leave()
    assert visitors.complaints == []


async def test_a_connection_that_died_without_a_word_is_noticed(
    server: Server, world: World, sandbox: Sandbox
) -> None:
    owner = await world.subscriber("team", seats=3)
    async with browser_on_a_wire(server.port) as (browser, wire):
        visitors = Visitors(browser, server.base_url)
        page = await visitors.arrive(person=owner)
        await expect(await billing_shown(page)).to_contain_text("3 seats")
        await stay(page)

        wire.swallow()
        await set_seats(sandbox, owner, 7)
        await world.refresh(owner)

        plan = region(page, "Current plan")
        await expect(plan).to_contain_text("7 seats at $20.00", timeout=4 * PATIENCE_MS)
        assert await stayed(page)
        await visitors.leave()
    assert visitors.complaints == []


async def test_many_changes_in_a_row_end_with_the_last_one(
    visitors: Visitors, world: World, sandbox: Sandbox
) -> None:
    owner = await world.subscriber("team", seats=3)
    pages = [await visitors.arrive(person=owner) for _ in range(3)]
    for page in pages:
        await billing_shown(page)

    for seats in range(4, 24):
        await set_seats(sandbox, owner, seats)
    await asyncio.gather(*(button(page, "Refresh").click() for page in pages))
    await set_seats(sandbox, owner, 24)
    await world.refresh(owner)

    for page in pages:
        await expect(region(page, "Current plan")).to_contain_text("24 seats at $20.00")
