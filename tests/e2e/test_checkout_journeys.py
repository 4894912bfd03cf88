"""From no plan to a paid one: the pricing page, the checkout, and what the return says."""

import asyncio
import re

import pytest
from playwright.async_api import Locator, Page, expect

from tests.e2e.factories import Person, World
from tests.e2e.sandbox import Sandbox, renewal_of
from tests.e2e.server import Server
from tests.e2e.visitors import (
    PRICING,
    Visitors,
    billing_shown,
    button,
    in_portal,
    region,
    said,
    to_portal,
    type_card,
)
from tests.e2e.words import long_date


async def at_pricing(visitors: Visitors, person: Person | None = None) -> Page:
    """Return the pricing page with its plans shown."""
    page = await visitors.arrive(PRICING, person)
    await expect(region(page, "Pro")).to_be_visible()
    return page


def choice(page: Page, group: str, name: str) -> Locator:
    """Return one radio button of a group."""
    return page.get_by_role("radiogroup", name=group).get_by_role("radio", name=name)


async def choose(page: Page, group: str, name: str) -> None:
    """Choose one radio button of a group; it is the server that checks it."""
    await choice(page, group, name).click()
    await expect(choice(page, group, name)).to_be_checked()


async def in_checkout(page: Page, plan: str) -> None:
    """Wait for the checkout of a plan."""
    await expect(
        page.get_by_role("heading", level=1, name=f"Subscribe to {plan}", exact=True)
    ).to_be_visible()
    assert page.url.startswith("http://127.0.0.1:"), page.url


async def test_a_team_without_a_plan_buys_one_after_its_first_card_was_declined(
    visitors: Visitors, world: World, sandbox: Sandbox
) -> None:
    person = await world.newcomer()
    page = await visitors.arrive(person=person)
    plan = await billing_shown(page)
    await plan.get_by_role("link", name="Choose a plan", exact=True).click()
    await button(page, "Choose Pro").click()
    await in_checkout(page, "Pro")
    await expect(page.get_by_role("main")).to_contain_text("$149.00")
    await type_card(page, "4000 0000 0000 0002")
    await button(page, "Subscribe").click()
    await expect(page.get_by_role("alert")).to_contain_text("Your card was declined.")
    await type_card(page)
    await button(page, "Subscribe").click()
    await billing_shown(page)
    (customer,) = await sandbox.customers_of(str(person.team_id))
    date = long_date(renewal_of(await sandbox.subscription(customer["id"])))
    await expect(said(page, f"Pro started. Renews on {date}.")).to_be_visible()
    await expect(plan.get_by_text("Active", exact=True)).to_be_visible()
    await expect(plan).to_contain_text("$149.00 per month")
    await expect(button(page, "Manage Billing")).to_be_enabled()
    await expect(region(page, "Invoices")).to_contain_text("$149.00")
    await expect(region(page, "Payment method")).to_contain_text("Visa ending in 4242")


async def test_back_from_the_checkout_buys_nothing(
    visitors: Visitors, world: World, sandbox: Sandbox
) -> None:
    person = await world.newcomer()
    page = await at_pricing(visitors, person)
    await button(page, "Choose Starter").click()
    await in_checkout(page, "Starter")
    await page.get_by_role("link", name="Back", exact=True).click()
    await expect(page).to_have_url(re.compile(rf"{PRICING}$"))
    await expect(button(page, "Choose Starter")).to_be_enabled()
    (customer,) = await sandbox.customers_of(str(person.team_id))
    listed = await sandbox.get("/v1/subscriptions", customer=customer["id"], status="all")
    assert listed["data"] == []


async def test_the_browsers_own_way_back_finds_a_button_that_works(
    visitors: Visitors, world: World
) -> None:
    page = await at_pricing(visitors, await world.newcomer())
    await button(page, "Choose Starter").click()
    await in_checkout(page, "Starter")
    await page.go_back()
    await button(page, "Choose Pro").click()
    await in_checkout(page, "Pro")


async def test_a_trip_is_made_once_however_many_others_follow(
    visitors: Visitors, world: World
) -> None:
    page = await at_pricing(visitors, await world.newcomer())
    await button(page, "Choose Starter").click()
    await in_checkout(page, "Starter")
    await type_card(page)
    await button(page, "Subscribe").click()
    await billing_shown(page)
    await to_portal(page)
    # The tab still remembers where it was sent from here; it must not be sent there again.
    await page.goto(PRICING)
    await button(page, "Switch to Pro").click()
    await in_portal(page, "Confirm your plan")


async def test_a_team_whose_plan_ended_subscribes_again_as_the_same_customer(
    visitors: Visitors, world: World, sandbox: Sandbox
) -> None:
    person = await world.subscriber("starter")
    subscription = await sandbox.subscription(person.customer)
    await sandbox.delete(f"/v1/subscriptions/{subscription['id']}")
    await world.sync(person)
    page = await visitors.arrive(person=person)
    plan = await billing_shown(page)
    await expect(plan.get_by_text("Ended", exact=True)).to_be_visible()
    await plan.get_by_role("link", name="Choose a plan", exact=True).click()
    await button(page, "Choose Pro").click()
    await in_checkout(page, "Pro")
    await type_card(page)
    await button(page, "Subscribe").click()
    await billing_shown(page)
    await expect(said(page, "Pro started.")).to_be_visible()
    (customer,) = await sandbox.customers_of(str(person.team_id))
    assert customer["id"] == person.customer


async def test_seats_yearly_billing_and_currency_reach_the_checkout(
    visitors: Visitors, world: World, sandbox: Sandbox
) -> None:
    person = await world.newcomer()
    page = await at_pricing(visitors, person)
    team = region(page, "Team")
    await expect(team).to_contain_text("$20.00 per seat per month")
    await choose(page, "Billing interval", "Yearly")
    await expect(team).to_contain_text("$200.00 per seat per year")
    await choose(page, "Currency", "EUR")
    await expect(team).to_contain_text("€190.00 per seat per year")
    await page.get_by_label("Team seats").fill("4")
    await expect(team).to_contain_text("€760.00 per year for 4 seats")
    await button(page, "One seat more").click()
    await expect(team).to_contain_text("€950.00 per year for 5 seats")
    await button(page, "One seat less").click()
    await button(page, "Choose Team").click()
    await in_checkout(page, "Team")
    await expect(page.get_by_role("main")).to_contain_text("€760.00")
    await type_card(page)
    await button(page, "Subscribe").click()
    plan = await billing_shown(page)
    await expect(plan).to_contain_text("€760.00 per year · 4 seats at €190.00")


async def test_the_interval_is_chosen_with_the_arrow_keys(visitors: Visitors, world: World) -> None:
    page = await at_pricing(visitors, await world.newcomer())
    await choice(page, "Billing interval", "Monthly").focus()
    await page.keyboard.press("ArrowRight")
    await expect(choice(page, "Billing interval", "Yearly")).to_be_checked()
    await expect(choice(page, "Billing interval", "Yearly")).to_be_focused()
    await expect(region(page, "Pro")).to_contain_text("$1,490.00 per year")


async def test_a_team_with_a_plan_switches_in_the_portal_and_never_checks_out_twice(
    visitors: Visitors, world: World, sandbox: Sandbox
) -> None:
    person = await world.subscriber("starter")
    page = await at_pricing(visitors, person)
    await expect(region(page, "Starter").get_by_text("Current plan", exact=True)).to_be_visible()
    await expect(page.get_by_role("button", name=re.compile("^Choose "))).to_have_count(0)
    await button(page, "Switch to Pro").click()
    await in_portal(page, "Confirm your plan")
    await expect(page.get_by_role("main")).to_contain_text("From Starter to Pro.")
    await button(page, "Confirm").click()
    await billing_shown(page)
    await expect(said(page, "Plan changed from Starter to Pro.")).to_be_visible()
    await sandbox.subscription(person.customer)


async def test_two_browsers_checking_out_at_once_make_one_customer(
    visitors: Visitors, world: World, sandbox: Sandbox
) -> None:
    owner = await world.newcomer()
    colleague = await world.colleague(owner.team_id)
    pages = [await at_pricing(visitors, person) for person in (owner, colleague)]
    # Slow enough that both have asked for the customer before either has one.
    async with sandbox.failing("latency", "/v1/customers", method="POST", seconds=1):
        await asyncio.gather(*(button(page, "Choose Pro").click() for page in pages))
        await asyncio.gather(*(expect(page).to_have_url(re.compile("/c/pay/")) for page in pages))
    (customer,) = await sandbox.customers_of(str(owner.team_id))
    # The later checkout closes the earlier one, so that not both can be paid.
    listed = await sandbox.get("/v1/checkout/sessions", customer=customer["id"], status="open")
    open_page = next(page for page in pages if listed["data"][0]["id"] in page.url)
    await type_card(open_page)
    await button(open_page, "Subscribe").click()
    await billing_shown(open_page)
    await sandbox.subscription(customer["id"])


async def test_plans_left_open_while_one_is_bought_offer_no_second_one(
    visitors: Visitors, world: World, sandbox: Sandbox
) -> None:
    person = await world.newcomer()
    first = await at_pricing(visitors, person)
    await button(first, "Choose Pro").click()
    await in_checkout(first, "Pro")
    second = await at_pricing(visitors, person)
    await type_card(first)
    await button(first, "Subscribe").click()
    await billing_shown(first)
    # This page was loaded before there was a plan: its buttons become others by themselves.
    await expect(button(second, "Choose Starter")).to_have_count(0)
    await button(second, "Switch to Starter").click()
    await in_portal(second, "Confirm your plan")
    (customer,) = await sandbox.customers_of(str(person.team_id))
    await sandbox.subscription(customer["id"])


async def test_the_checkout_that_does_not_open_says_why_and_is_tried_again(
    visitors: Visitors, world: World, sandbox: Sandbox
) -> None:
    page = await at_pricing(visitors, await world.newcomer())
    async with sandbox.failing("error", "/v1/checkout/sessions"):
        await button(page, "Choose Pro").click()
        alert = page.get_by_role("alert").filter(has_text="The checkout didn't open.")
        await expect(alert).to_be_visible()
        await expect(button(page, "Choose Pro")).to_be_enabled()
    await button(alert, "Try again").click()
    await in_checkout(page, "Pro")


async def test_who_is_not_signed_in_sees_prices_and_signs_in_to_choose(
    visitors: Visitors, server: Server
) -> None:
    page = await at_pricing(visitors)
    await region(page, "Pro").get_by_role("link", name="Choose Pro", exact=True).click()
    await expect(page).to_have_url(f"{server.base_url}/sign-in?next=/pricing")
    await button(page, "Continue as no plan").click()
    await expect(page).to_have_url(f"{server.base_url}{PRICING}")
    await expect(button(page, "Choose Pro")).to_be_enabled()


@pytest.mark.parametrize("plan", ["Starter", "Pro", "Team"])
async def test_a_member_gets_no_buttons_but_whom_to_ask(visitors: Visitors, plan: str) -> None:
    page = await visitors.arrive("/sign-in?next=/pricing")
    await button(page, "Continue as member").click()
    await expect(region(page, plan)).to_be_visible()
    await expect(region(page, plan).get_by_role("button")).to_have_count(0)
    await expect(page.get_by_role("main")).to_contain_text(
        "Only an owner or billing manager can change billing. Ask avery@northwind.example."
    )
