"""The provider is slow, refuses, fails or vanishes: the page keeps what it has and says what is so."""

import asyncio
from datetime import timedelta

import pytest
from playwright.async_api import Locator, Page, expect
from sqlmodel import col, func, select

from billing_ui.models import Customer, PortalVisit
from tests.e2e.factories import Person, World
from tests.e2e.sandbox import Sandbox
from tests.e2e.visitors import (
    PRICING,
    Visitors,
    billing_shown,
    button,
    in_portal,
    region,
    said,
    type_card,
)

SESSIONS = "/v1/billing_portal/sessions"


def portal_alert(page: Page) -> Locator:
    """Return what interrupts when the portal did not open."""
    return page.get_by_role("alert").filter(has_text="The billing portal didn't open.")


async def visits_of(world: World, person: Person) -> int:
    """Return how many trips to the provider a team has begun."""
    query = select(func.count()).where(col(PortalVisit.team_id) == person.team_id)
    async with world.services.database.read() as session:
        return (await session.exec(query)).one()


@pytest.mark.parametrize(
    ("kind", "details", "cause"),
    [
        ("error", {"status": 500}, "Stripe"),
        ("error", {"status": 503}, "Stripe"),
        ("drop", {}, "Stripe"),
        ("rate_limit", {"retry_after": 20}, "20 seconds"),
    ],
    ids=["500", "503", "dropped connection", "429"],
)
async def test_manage_billing_says_why_it_failed_and_works_when_tried_again(
    visitors: Visitors,
    world: World,
    sandbox: Sandbox,
    kind: str,
    details: dict[str, int],
    cause: str,
) -> None:
    page = await visitors.arrive(person=await world.subscriber("pro"))
    plan = await billing_shown(page)
    async with sandbox.failing(kind, SESSIONS, **details):
        await button(page, "Manage Billing").click()
        alert = portal_alert(page)
        await expect(alert).to_contain_text(cause)
        await expect(plan).to_contain_text("$149.00 per month")
        await expect(button(page, "Manage Billing")).to_be_enabled()
        await expect(button(page, "Manage Billing")).to_be_focused()
        text = await alert.inner_text()
        for secret in ("sk_test", "Traceback", "http://127.0.0.1", "req_", "aiohttp"):
            assert secret not in text
    await button(alert, "Try again").click()
    await in_portal(page)


async def test_a_deep_link_that_failed_is_tried_again_where_it_led(
    visitors: Visitors, world: World, sandbox: Sandbox
) -> None:
    page = await visitors.arrive(person=await world.subscriber("pro"))
    await billing_shown(page)
    async with sandbox.failing("error", SESSIONS):
        await button(page, "Update payment method").click()
        await expect(portal_alert(page)).to_be_visible()
    await button(portal_alert(page), "Try again").click()
    await in_portal(page, "Add payment method")


async def test_failing_twice_keeps_the_alert_and_the_focus_on_try_again(
    visitors: Visitors, world: World, sandbox: Sandbox
) -> None:
    page = await visitors.arrive(person=await world.subscriber("pro"))
    await billing_shown(page)
    async with sandbox.failing("error", SESSIONS):
        await button(page, "Manage Billing").click()
        again = button(portal_alert(page), "Try again")
        await again.click()
        await expect(again).to_have_attribute("aria-busy", "true")
        await expect(again).to_have_attribute("aria-busy", "false")
        await expect(again).to_be_focused()


async def test_while_the_portal_opens_the_button_is_busy_and_keeps_label_and_focus(
    visitors: Visitors, world: World, sandbox: Sandbox
) -> None:
    page = await visitors.arrive(person=await world.subscriber("pro"))
    plan = await billing_shown(page)
    manage = button(page, "Manage Billing")
    async with sandbox.failing("latency", SESSIONS, seconds=2):
        await manage.click()
        await expect(manage).to_have_attribute("aria-busy", "true")
        await expect(manage).to_have_attribute("aria-disabled", "true")
        await expect(manage).to_be_focused()
        assert await manage.get_attribute("disabled") is None
        await expect(plan.get_by_role("status")).to_have_text("Opening Stripe's portal…")
        for other in ("Change plan", "Update payment method"):
            await expect(button(page, other)).to_have_attribute("aria-disabled", "true")
        await in_portal(page)


async def test_pressing_twice_makes_one_session(
    visitors: Visitors, world: World, sandbox: Sandbox
) -> None:
    person = await world.subscriber("pro")
    page = await visitors.arrive(person=person)
    await billing_shown(page)
    async with sandbox.failing("latency", SESSIONS, seconds=1):
        await button(page, "Manage Billing").dblclick()
        await button(page, "Change plan").click(force=True)
        await in_portal(page)
    assert await visits_of(world, person) == 1


async def test_a_second_tab_is_not_held_up_by_a_slow_provider(
    visitors: Visitors, world: World, sandbox: Sandbox
) -> None:
    person = await world.subscriber("pro")
    page = await visitors.arrive(person=person)
    await billing_shown(page)
    other = await page.context.new_page()
    async with sandbox.failing("latency", seconds=6):
        await button(page, "Manage Billing").click()
        await expect(button(page, "Manage Billing")).to_have_attribute("aria-busy", "true")
        await other.goto("/settings/billing")
        await expect(await billing_shown(other)).to_contain_text("$149.00 per month")
        await page.goto("about:blank")


async def test_stale_data_says_its_age_and_is_kept(
    visitors: Visitors, world: World, sandbox: Sandbox
) -> None:
    person = await world.subscriber("pro")
    await world.fall_behind(person, timedelta(hours=2, minutes=5))
    async with sandbox.failing("drop"):
        page = await visitors.arrive(person=person)
        plan = await billing_shown(page)
        banner = said(page, "2 hours ago")
        await expect(banner).to_be_visible()
        await expect(page.get_by_text("2 h old", exact=True)).to_be_visible()
        await expect(plan).to_contain_text("$149.00 per month")
        await expect(region(page, "Invoices")).to_contain_text("$149.00")
    await button(page, "Refresh").click()
    await expect(page.get_by_text("2 h old", exact=True)).to_have_count(0)
    await expect(banner).to_have_count(0)


async def test_refresh_fetches_what_changed_elsewhere(
    visitors: Visitors, world: World, sandbox: Sandbox
) -> None:
    person = await world.subscriber("team", seats=2)
    page = await visitors.arrive(person=person)
    plan = await billing_shown(page)
    await expect(plan).to_contain_text("2 seats at $20.00")
    subscription = await sandbox.subscription(person.customer)
    item = subscription["items"]["data"][0]["id"]
    change = {"items[0][id]": item, "items[0][quantity]": "9"}
    await sandbox.post(f"/v1/subscriptions/{subscription['id']}", **change)
    await button(page, "Refresh").click()
    await expect(plan).to_contain_text("9 seats at $20.00")
    await expect(button(page, "Refresh")).to_be_focused()


async def test_a_customer_deleted_at_the_provider_is_explained_not_offered(
    visitors: Visitors, world: World, sandbox: Sandbox
) -> None:
    person = await world.subscriber("pro")
    page = await visitors.arrive(person=person)
    await billing_shown(page)
    async with sandbox.telling_nothing():
        await sandbox.delete(f"/v1/customers/{person.customer}")
    await button(page, "Manage Billing").click()
    await expect(portal_alert(page)).to_contain_text("no longer exists")
    # What was only found out by this is fetched, and the page no longer offers it.
    await expect(page.get_by_role("link", name="Choose a plan", exact=True)).to_be_visible()
    for name in ("Manage Billing", "Try again"):
        await expect(button(page, name)).to_have_count(0)


async def test_a_team_whose_customer_was_deleted_starts_again_at_checkout(
    visitors: Visitors, world: World, sandbox: Sandbox
) -> None:
    person = await world.subscriber("pro")
    await sandbox.delete(f"/v1/customers/{person.customer}")
    await world.refresh(person)
    page = await visitors.arrive(PRICING, person)
    await button(page, "Choose Starter").click()
    await type_card(page)
    await button(page, "Subscribe").click()
    plan = await billing_shown(page)
    await expect(plan).to_contain_text("$29.00 per month")
    (customer,) = await sandbox.customers_of(str(person.team_id))
    assert customer["id"] != person.customer


async def test_a_customer_of_another_provider_is_explained_and_nothing_offered_that_cannot_work(
    visitors: Visitors, world: World
) -> None:
    person = await world.newcomer()
    async with world.services.database.write() as session:
        session.add(
            Customer(team_id=person.team_id, provider="polar", provider_customer_id=person.email)
        )
    page = await visitors.arrive(person=person)
    await billing_shown(page)
    await expect(
        said(page, "Your billing is still with Polar; this site now uses Stripe.")
    ).to_be_visible()
    for name in ("Manage Billing", "Change plan", "Refresh", "Update payment method"):
        await expect(button(page, name)).to_have_count(0)
    await expect(page.get_by_role("link", name="Choose a plan", exact=True)).to_have_count(0)


async def test_the_server_stays_well_through_all_of_it(
    visitors: Visitors, world: World, sandbox: Sandbox
) -> None:
    people = [await world.subscriber("pro") for _ in range(3)]
    pages = [await visitors.arrive(person=person) for person in people]
    async with sandbox.failing("drop"):
        for page in pages:
            await billing_shown(page)
        await asyncio.gather(*(button(page, "Refresh").click() for page in pages))
        for page in pages:
            await expect(button(page, "Refresh")).to_have_attribute("aria-busy", "false")
    for page in pages:
        await button(page, "Manage Billing").click()
        await in_portal(page)
