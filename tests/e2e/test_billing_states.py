"""The states of the billing page that no demo account is in, and what their banners lead to."""

import re
from datetime import timedelta

import pytest
from playwright.async_api import Locator, Page, WebSocketRoute, expect
from sqlalchemy import update
from sqlmodel import col, select

from billing_ui.clock import utc_now
from billing_ui.models import Customer, RecordedChange
from tests.e2e.factories import Person, World
from tests.e2e.sandbox import Json, Sandbox
from tests.e2e.test_screens_and_readers import sideways, violations
from tests.e2e.visitors import (
    BILLING,
    SIGN_IN,
    Visitors,
    billing_shown,
    button,
    come_back,
    in_portal,
    region,
    said,
    type_card,
)
from tests.e2e.words import long_date


async def continue_as(visitors: Visitors, account: str) -> Page:
    page = await visitors.arrive(SIGN_IN)
    await button(page, f"Continue as {account}").click()
    await billing_shown(page)
    return page


async def change(sandbox: Sandbox, subscription: Json, **item: object) -> None:
    """Change the item of a subscription at the provider."""
    changed = {"id": subscription["items"]["data"][0]["id"], **item}
    call = {"method": "post", "path": f"/v1/subscriptions/{subscription['id']}"}
    await sandbox.batch(call | {"params": {"items": [changed]}})


async def past_due(world: World, sandbox: Sandbox) -> Person:
    """Return somebody whose trial has just ended with a card that was declined."""
    person = await world.subscriber("pro", card="pm_card_chargeCustomerFail", trial_period_days=3)
    subscription = await sandbox.subscription(person.customer)
    path = f"/v1/subscriptions/{subscription['id']}"
    await sandbox.batch({"method": "post", "path": path, "params": {"trial_end": "now"}})
    await world.refresh(person)
    return person


async def pay_invoice(page: Page, alert: Locator, link: str) -> None:
    """Pay the invoice a banner leads to on the provider's page, with a card that works."""
    async with page.expect_popup() as opening:
        await alert.get_by_role("link", name=re.compile(f"^{link}")).click()
    invoice = await opening.value
    await type_card(invoice)
    pay = invoice.get_by_role("button", name=re.compile("^Pay "))
    await pay.click()
    await expect(pay).to_have_count(0)
    await invoice.close()


# ---------------------------------------------------------------- banners


@pytest.mark.parametrize(
    ("account", "solid"),
    [
        ("active", "Manage Billing"),
        ("trialing", "Manage Billing"),
        ("past due", "Update payment method"),
        ("canceling", "Manage Billing"),
        ("ended", "Choose a plan"),
        ("no plan", "Choose a plan"),
    ],
)
async def test_a_page_has_one_solid_button(visitors: Visitors, account: str, solid: str) -> None:
    page = await continue_as(visitors, account)
    await expect(page.locator(".btn.solid")).to_have_text(solid)


async def test_a_failed_payment_is_mended_from_its_banner(
    visitors: Visitors, world: World, sandbox: Sandbox
) -> None:
    page = await visitors.arrive(person=await past_due(world, sandbox))
    await billing_shown(page)
    alert = page.get_by_role("alert")
    await expect(alert).to_contain_text("Payment of $149.00 failed.")
    await expect(alert).to_contain_text("Update your card to keep Pro.")
    await button(alert, "Update payment method").click()
    await in_portal(page, "Add payment method")
    await type_card(page)
    await button(page, "Add payment method").click()
    await billing_shown(page)
    await expect(said(page, "Payment method changed to Visa ending in 4242")).to_be_visible()


async def test_an_open_invoice_is_paid_on_the_providers_page_in_a_tab_of_its_own(
    visitors: Visitors, world: World, sandbox: Sandbox
) -> None:
    person = await past_due(world, sandbox)
    page = await visitors.arrive(person=person)
    await billing_shown(page)
    link = page.get_by_role("alert").get_by_role("link", name=re.compile("^Pay invoice"))
    await expect(link).to_have_attribute("rel", "noopener noreferrer")
    async with page.expect_popup() as opening:
        await link.click()
    invoice = await opening.value
    await expect(invoice.get_by_text("$149.00").first).to_be_visible()
    assert invoice.url.startswith(sandbox.url)
    await expect(page).to_have_url(re.compile(rf"{BILLING}$"))


async def test_a_pause_shows_by_itself_with_its_end_and_so_does_that_it_is_over(
    visitors: Visitors, world: World, sandbox: Sandbox
) -> None:
    person = await world.subscriber("pro")
    subscription = await sandbox.subscription(person.customer)
    path = f"/v1/subscriptions/{subscription['id']}"
    page = await visitors.arrive(person=person)
    plan = await billing_shown(page)
    await expect(plan).to_contain_text("Active")
    until = utc_now() + timedelta(days=40)
    pause = {"behavior": "void", "resumes_at": int(until.timestamp())}

    await sandbox.batch({"method": "post", "path": path, "params": {"pause_collection": pause}})

    await expect(plan).to_contain_text("Paused")
    await expect(plan).to_contain_text(f"Resumes on {long_date(until)}")
    await expect(plan).not_to_contain_text("Renews on")
    await expect(plan).not_to_contain_text("Next invoice")
    banner = said(page, "Your plan is paused.")
    await expect(banner).to_contain_text(f"Resumes on {long_date(until)}.")
    assert await violations(page) == []
    await sandbox.post(path, pause_collection="")
    await expect(plan).to_contain_text("Active")
    await expect(banner).to_have_count(0)


async def test_a_plan_that_was_charged_in_vain_to_the_end_is_on_hold_until_its_invoice_is_paid(
    visitors: Visitors, world: World, sandbox: Sandbox
) -> None:
    begin = utc_now() - timedelta(days=50)
    clock = await sandbox.post(
        "/v1/test_helpers/test_clocks", frozen_time=str(int(begin.timestamp()))
    )
    person = await world.customer(test_clock=clock["id"])
    price = {"items[0][price]": "price_demo_pro_month"}
    await sandbox.post("/v1/subscriptions", customer=person.customer, **price)
    card = await sandbox.post(
        "/v1/payment_methods/pm_card_chargeCustomerFail/attach", customer=person.customer
    )
    default = {"invoice_settings[default_payment_method]": card["id"]}
    await sandbox.post(f"/v1/customers/{person.customer}", **default)
    page = await visitors.arrive(person=person)
    plan = await billing_shown(page)
    async with sandbox.giving_up("unpaid"):
        now = str(int(utc_now().timestamp()))
        await sandbox.post(f"/v1/test_helpers/test_clocks/{clock['id']}/advance", frozen_time=now)
        await expect(plan).to_contain_text("Unpaid")
    await expect(plan).to_contain_text("Payment overdue since")
    await expect(plan).not_to_contain_text("Renews on")
    alert = page.get_by_role("alert").filter(has_text="Pro is on hold.")
    await expect(alert).to_contain_text("Pay the open invoice to switch it back on.")
    await expect(page.locator(".btn.solid")).to_have_text(re.compile("^Pay invoice"))
    assert await violations(page) == []
    await pay_invoice(page, alert, "Pay invoice")
    await expect(plan).to_contain_text("Active")
    await expect(alert).to_have_count(0)


async def test_a_first_payment_that_failed_is_finished_from_its_banner(
    visitors: Visitors, world: World
) -> None:
    person = await world.subscriber("pro", card="pm_card_chargeCustomerFail")
    page = await visitors.arrive(person=person)
    plan = await billing_shown(page)
    await expect(plan).to_contain_text("Incomplete")
    await expect(plan).to_contain_text("First payment not finished")
    alert = page.get_by_role("alert").filter(has_text="Payment not finished.")
    await expect(alert).to_contain_text("Confirm it with your bank to start Pro.")
    assert await violations(page) == []
    await pay_invoice(page, alert, "Confirm payment")
    await expect(plan).to_contain_text("Active")
    await expect(alert).to_have_count(0)


async def test_a_plan_set_to_cancel_is_kept(visitors: Visitors, world: World) -> None:
    page = await visitors.arrive(person=await world.subscriber("pro", cancel_at_period_end=True))
    await billing_shown(page)
    banner = said(page, "Your plan is set to cancel.")
    await expect(banner).to_contain_text("You will not be charged again.")
    await expect(banner).to_contain_text("Don't cancel plan")
    await button(banner, "Keep my plan").click()
    await in_portal(page)
    await button(page, "Don't cancel plan").click()
    await come_back(page)
    await expect(said(page, "Cancellation withdrawn.")).to_be_visible()
    await expect(banner).to_have_count(0)


async def test_a_trial_counts_its_days_and_takes_a_payment_method(
    visitors: Visitors, world: World
) -> None:
    person = await world.subscriber("team", 5, card=None, trial_period_days=9)
    page = await visitors.arrive(person=person)
    await billing_shown(page)
    banner = said(page, "9 days left in your trial.")
    await expect(banner).to_contain_text("Add a payment method to stay on Team.")
    await expect(banner).not_to_contain_text("nothing is charged")
    await button(banner, "Add payment method").click()
    await in_portal(page, "Add payment method")
    await type_card(page)
    await button(page, "Add payment method").click()
    await billing_shown(page)
    await expect(banner).to_be_visible()
    await expect(button(banner, "Add payment method")).to_have_count(0)
    await expect(region(page, "Current plan")).to_contain_text("Next invoice")


# ---------------------------------------------------------------- frames


async def test_data_that_cannot_be_fetched_says_its_age_and_that_we_keep_trying(
    visitors: Visitors, world: World, sandbox: Sandbox
) -> None:
    person = await world.subscriber("pro")
    await world.fall_behind(person, timedelta(hours=2, minutes=5))
    # Slow to fail, so that the page's own attempt is seen to begin and to end.
    async with sandbox.failing("latency", seconds=1), sandbox.failing("drop"):
        page = await visitors.arrive(person=person)
        await billing_shown(page)
        banner = said(page, "Stripe can't be reached right now.")
        again = button(banner, "Try again")
        await expect(again).to_have_attribute("aria-busy", "true")
        await expect(again).to_have_attribute("aria-busy", "false")
        await expect(page.get_by_text("2 h old", exact=True)).to_be_visible()
        await expect(banner).to_contain_text(
            re.compile(r"You see the data from .+, 2 hours ago\. We keep trying; nothing is lost\.")
        )
        assert await violations(page) == []
    await again.click()
    await expect(banner).to_have_count(0)
    await expect(page.get_by_text(re.compile(" old$"))).to_have_count(0)


async def test_while_the_page_loads_there_is_something_of_its_size(visitors: Visitors) -> None:
    def silent(socket: WebSocketRoute) -> None:
        """Connect, and never answer."""

    page = await visitors.profile()
    await page.route_web_socket(re.compile("/_event"), silent)
    await page.goto(BILLING)
    await expect(page.get_by_role("status").filter(has_text="Loading billing…")).to_have_count(1)
    for width in (1440, 320):
        await page.set_viewport_size({"width": width, "height": 900})
        assert await sideways(page) <= 0


async def test_a_change_that_arrives_is_said_above_the_plan_until_it_is_put_away(
    visitors: Visitors, world: World, sandbox: Sandbox
) -> None:
    person = await world.subscriber("team", 24)
    page = await visitors.arrive(person=person)
    plan = await billing_shown(page)
    await change(sandbox, await sandbox.subscription(person.customer), quantity=30)
    banner = said(page, "Seats set to 30.")
    await expect(banner).to_contain_text(re.compile(r"By (webhook|sync), just now\."))
    await expect(plan).to_contain_text("30 seats at $20.00")
    await expect(plan).to_contain_text(re.compile(r"Includes \$\d+\.\d\d for the change on "))
    await expect(region(page, "Recent changes")).to_contain_text("Seats set to 30")
    assert await violations(page) == []
    await button(banner, "Dismiss").click()
    await expect(banner).to_have_count(0)
    await expect(page.get_by_role("heading", level=1, name="Billing")).to_be_focused()


async def test_two_subscriptions_stand_in_one_card(
    visitors: Visitors, world: World, sandbox: Sandbox
) -> None:
    person = await world.subscriber("team", 24)
    second = {
        "customer": person.customer,
        "items": [{"price": "price_demo_starter_month"}],
        "cancel_at_period_end": True,
    }
    await sandbox.batch({"method": "post", "path": "/v1/subscriptions", "params": second})
    await world.refresh(person)
    page = await visitors.arrive(person=person)
    plan = await billing_shown(page)
    for text in ("Team", "$480.00", "Renews on", "Starter", "$29.00", "Cancels on"):
        await expect(plan).to_contain_text(text)
    await expect(plan).to_contain_text(", for Team")
    await expect(button(page, "Change plan")).to_have_count(0)
    await expect(said(page, "Your plan is set to cancel.")).to_have_count(0)
    assert await violations(page) == []


# ---------------------------------------------------------------- spend, recent changes


async def test_a_year_of_spending_is_drawn_told_and_listed(visitors: Visitors) -> None:
    page = await continue_as(visitors, "active")
    spend = region(page, "Spend")
    await expect(spend.get_by_text(re.compile(r"a month on average$"))).to_be_visible()
    figure = spend.get_by_role("figure", name="Spend")
    await expect(figure).to_have_accessible_description(
        re.compile(r"The highest month was \$\d+\.\d\d in \w+ \d{4}, the lowest ")
    )
    await expect(spend.locator(".plot")).to_have_attribute("aria-hidden", "true")
    await expect(spend.locator(".bar")).to_have_count(12)
    table = spend.get_by_role("table", name="Spend per month")
    await expect(table).to_have_count(0)
    shown = spend.get_by_text("Show as table", exact=True)
    await shown.focus()
    await page.keyboard.press("Enter")
    await expect(table.get_by_role("row")).to_have_count(13)
    for width in (320, 1440):
        await page.set_viewport_size({"width": width, "height": 900})
        assert await sideways(page) <= 0
    assert await violations(page) == []


async def test_how_long_ago_a_change_was_goes_on_while_the_page_is_looked_at(
    visitors: Visitors, world: World, sandbox: Sandbox
) -> None:
    person = await world.subscriber("team", 24)
    await change(sandbox, await sandbox.subscription(person.customer), quantity=30)
    await world.refresh(person)
    page = await visitors.profile(person)
    await page.clock.install()
    await page.goto(BILLING)
    await billing_shown(page)
    feed = region(page, "Recent changes")
    await expect(feed).to_contain_text("just now")
    async with world.services.database.write() as session:
        mine = select(Customer.id).where(Customer.provider_customer_id == person.customer)
        await session.exec(
            update(RecordedChange)
            .where(col(RecordedChange.customer_id).in_(mine))
            .values(found_at=utc_now() - timedelta(hours=2, minutes=1))
        )
    await page.clock.fast_forward(61_000)
    await expect(feed).to_contain_text("2 h ago")
    await expect(feed).not_to_contain_text("just now")


async def test_long_names_and_amounts_fit_everywhere(
    visitors: Visitors, world: World, sandbox: Sandbox
) -> None:
    person = await world.customer()
    name = "Enterprise Unlimited with Priority Suppor"
    product, price, subscription = await sandbox.batch(
        {
            "method": "post",
            "path": "/v1/products",
            "params": {"name": name, "unit_label": "seat"},
            "as": "product",
        },
        {
            "method": "post",
            "path": "/v1/prices",
            "params": {
                "product": "{product.id}",
                "currency": "usd",
                "unit_amount": 123_456_789,
                "recurring": {"interval": "month"},
            },
            "as": "price",
        },
        {
            "method": "post",
            "path": "/v1/subscriptions",
            "params": {"customer": person.customer, "items": [{"price": "{price.id}"}]},
        },
    )
    # The shop sells to other tests: this is not for sale to them.
    path = f"/v1/products/{product['id']}"
    await sandbox.batch({"method": "post", "path": path, "params": {"active": False}})
    await change(sandbox, subscription, quantity=2)
    await world.refresh(person)
    page = await visitors.arrive(person=person)
    plan = await billing_shown(page)
    await expect(plan).to_contain_text("$2,469,135.78")
    assert price["unit_amount"] == 123_456_789
    for width in (320, 390, 768, 1440):
        await page.set_viewport_size({"width": width, "height": 900})
        assert await sideways(page) <= 0, f"{width} px"
