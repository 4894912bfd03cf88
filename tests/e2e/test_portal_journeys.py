"""Everything a customer can do in the portal, and the sentence that greets them back."""

import re
from datetime import UTC, datetime

import httpx
import pytest
from playwright.async_api import Locator, Page, expect

from tests.e2e.factories import Person, World
from tests.e2e.sandbox import Sandbox, renewal_of
from tests.e2e.server import Server
from tests.e2e.visitors import (
    Visitors,
    billing_shown,
    button,
    choose_price,
    come_back,
    confirm,
    in_portal,
    region,
    said,
    to_portal,
    type_card,
)
from tests.e2e.words import long_date

UPDATE = "Update plan"


async def visit_portal(visitors: Visitors, person: Person) -> Page:
    """Return a page in the portal, reached by Manage Billing."""
    page = await visitors.arrive(person=person)
    await to_portal(page)
    return page


async def renewal(sandbox: Sandbox, person: Person) -> str:
    """Return when the person's plan renews."""
    return long_date(renewal_of(await sandbox.subscription(person.customer)))


async def test_changing_the_plan_is_said_with_the_next_renewal(
    visitors: Visitors, world: World, sandbox: Sandbox
) -> None:
    person = await world.subscriber("team", seats=3)
    page = await visit_portal(visitors, person)
    await button(page, UPDATE).click()
    await choose_price(page, "Pro – $149.00 per month")
    plan = await come_back(page)
    date = await renewal(sandbox, person)
    await expect(said(page, f"Plan changed from Team to Pro. Renews on {date}.")).to_be_visible()
    await expect(plan).to_contain_text("$149.00 per month")
    await expect(plan.get_by_text("Active", exact=True)).to_be_visible()


async def test_changing_the_number_of_seats_is_said(visitors: Visitors, world: World) -> None:
    page = await visit_portal(visitors, await world.subscriber("team", seats=3))
    await button(page, UPDATE).click()
    await page.get_by_label("Quantity").fill("7")
    await confirm(page)
    plan = await come_back(page)
    await expect(said(page, "Seats set to 7.")).to_be_visible()
    await expect(plan).to_contain_text("$140.00 per month · 7 seats at $20.00")


async def test_switching_to_yearly_is_said_with_the_new_renewal(
    visitors: Visitors, world: World, sandbox: Sandbox
) -> None:
    person = await world.subscriber("pro")
    page = await visit_portal(visitors, person)
    await button(page, UPDATE).click()
    await choose_price(page, "Pro – $1,490.00 per year")
    plan = await come_back(page)
    date = await renewal(sandbox, person)
    await expect(said(page, f"Pro is now billed yearly. Renews on {date}.")).to_be_visible()
    await expect(plan).to_contain_text("$1,490.00 per year")


async def test_cancelling_says_until_when_the_plan_stays(
    visitors: Visitors, world: World, sandbox: Sandbox
) -> None:
    person = await world.subscriber("pro")
    page = await visit_portal(visitors, person)
    await button(page, "Cancel plan").click()
    await page.get_by_role("radio", name="It’s too expensive").check()
    await button(page, "Cancel plan").click()
    plan = await come_back(page)
    date = await renewal(sandbox, person)
    await expect(said(page, f"Your plan is set to cancel on {date}.")).to_be_visible()
    await expect(plan.get_by_text("Canceling", exact=True)).to_be_visible()
    await expect(plan).to_contain_text(f"Cancels on {date}")
    subscription = await sandbox.subscription(person.customer)
    assert subscription["cancellation_details"]["feedback"] == "too_expensive"


async def test_withdrawing_a_cancellation_says_when_the_plan_renews(
    visitors: Visitors, world: World, sandbox: Sandbox
) -> None:
    person = await world.subscriber("pro", cancel_at_period_end=True)
    page = await visitors.arrive(person=person)
    plan = await billing_shown(page)
    await expect(plan.get_by_text("Canceling", exact=True)).to_be_visible()
    await to_portal(page)
    await button(page, "Don't cancel plan").click()
    await come_back(page)
    date = await renewal(sandbox, person)
    await expect(said(page, f"Cancellation withdrawn. Renews on {date}.")).to_be_visible()
    await expect(plan.get_by_text("Active", exact=True)).to_be_visible()


async def test_adding_a_payment_method_makes_it_the_one_charged(
    visitors: Visitors, world: World
) -> None:
    page = await visit_portal(visitors, await world.subscriber("pro"))
    await button(page, "Add payment method").click()
    await type_card(page, "5555 5555 5555 4444")
    await button(page, "Add payment method").click()
    await in_portal(page)
    await come_back(page)
    await expect(
        said(page, re.compile(r"Payment method changed to Mastercard.*4444"))
    ).to_be_visible()
    await expect(region(page, "Payment method")).to_contain_text("4444")


async def test_a_declined_card_stays_in_the_portal_and_changes_nothing(
    visitors: Visitors, world: World
) -> None:
    page = await visit_portal(visitors, await world.subscriber("pro"))
    await button(page, "Add payment method").click()
    await type_card(page, "4000 0000 0000 0002")
    await button(page, "Add payment method").click()
    await expect(page.get_by_role("alert")).to_contain_text("Your card was declined.")
    await come_back(page)
    await expect(said(page, "Nothing changed")).to_be_visible()
    await expect(region(page, "Payment method")).to_contain_text("4242")


async def with_two_cards(world: World, sandbox: Sandbox) -> Person:
    """Return a subscriber with a Visa, which is charged, and a Mastercard."""
    person = await world.subscriber("pro")
    await sandbox.post("/v1/payment_methods/pm_card_mastercard/attach", customer=person.customer)
    await world.sync(person)
    return person


def cards(page: Page) -> Locator:
    """Return the portal's list of cards."""
    return page.get_by_role("region", name="Payment methods").get_by_role("listitem")


async def test_making_another_card_the_default_is_said(
    visitors: Visitors, world: World, sandbox: Sandbox
) -> None:
    page = await visit_portal(visitors, await with_two_cards(world, sandbox))
    mastercard = cards(page).filter(has_text="Mastercard")
    await button(mastercard, "Make default").click()
    await expect(mastercard).to_contain_text("Default")
    await come_back(page)
    await expect(said(page, "Payment method changed to Mastercard ending in 4444.")).to_be_visible()
    await expect(region(page, "Payment method")).to_contain_text("Mastercard ending in 4444")


async def test_removing_a_card_is_said(visitors: Visitors, world: World, sandbox: Sandbox) -> None:
    page = await visit_portal(visitors, await with_two_cards(world, sandbox))
    await button(cards(page).filter(has_text="Mastercard"), "Remove").click()
    await expect(cards(page)).to_have_count(1)
    await come_back(page)
    await expect(said(page, "Payment method Mastercard ending in 4444 removed.")).to_be_visible()
    await expect(region(page, "Payment method")).to_contain_text("Visa ending in 4242")


async def test_several_changes_are_listed(
    visitors: Visitors, world: World, sandbox: Sandbox
) -> None:
    person = await with_two_cards(world, sandbox)
    page = await visit_portal(visitors, person)
    await button(cards(page).filter(has_text="Mastercard"), "Make default").click()
    await button(page, UPDATE).click()
    await choose_price(page, "Starter – $29.00 per month")
    await come_back(page)
    banner = said(page, "Your billing is up to date: 2 changes from your portal visit")
    date = await renewal(sandbox, person)
    await expect(banner.get_by_role("listitem")).to_have_text(
        [
            f"Plan changed from Pro to Starter. Renews on {date}.",
            "Payment method changed to Mastercard ending in 4444.",
        ]
    )


async def test_new_billing_information_is_told_by_name_without_its_values(
    visitors: Visitors, world: World
) -> None:
    page = await visit_portal(visitors, await world.subscriber("pro"))
    await button(page, "Update information").click()
    await page.get_by_label("Name").fill("Northwind Laboratories")
    await page.get_by_label("Address line 1").fill("1 Quay Road")
    await page.get_by_label("City").fill("Cork")
    await page.get_by_label("Country").select_option(label="Ireland")
    await button(page, "Save").click()
    await come_back(page)
    await expect(said(page, "Billing details updated: name and address.")).to_be_visible()
    details = region(page, "Billing details")
    await expect(details).to_contain_text("Northwind Laboratories")
    await expect(details).to_contain_text("1 Quay Road, Cork, Ireland")


async def test_looking_around_says_that_nothing_changed(
    visitors: Visitors, world: World, sandbox: Sandbox
) -> None:
    person = await world.subscriber("pro")
    page = await visit_portal(visitors, person)
    await come_back(page)
    date = await renewal(sandbox, person)
    banner = said(page, "Nothing changed")
    await expect(banner).to_contain_text("You made no changes in the portal.")
    await expect(banner).to_contain_text(f"Your plan is still Pro and renews on {date}.")


async def test_the_banner_is_put_away_for_good_and_the_heading_takes_the_focus(
    visitors: Visitors, world: World
) -> None:
    page = await visit_portal(visitors, await world.subscriber("pro"))
    await come_back(page)
    await button(page, "Dismiss").click()
    await expect(said(page, "Nothing changed")).to_have_count(0)
    await expect(page.get_by_role("heading", level=1, name="Billing")).to_be_focused()
    await page.reload()
    await billing_shown(page)
    await expect(said(page, "Nothing changed")).to_have_count(0)


async def test_the_banner_survives_a_reload_until_then(visitors: Visitors, world: World) -> None:
    page = await visit_portal(visitors, await world.subscriber("pro"))
    await come_back(page)
    await expect(said(page, "Nothing changed")).to_be_visible()
    await page.reload()
    await expect(said(page, "Nothing changed")).to_be_visible()


async def test_the_invoices_of_the_portal_are_there_as_pdf(
    visitors: Visitors, world: World
) -> None:
    page = await visit_portal(visitors, await world.subscriber("pro"))
    history = page.get_by_role("region", name="Billing history")
    await expect(history).to_contain_text("$149.00")
    async with page.expect_download() as downloading:
        await history.get_by_role("link", name="PDF").click()
    download = await downloading.value
    assert (await download.path()).read_bytes().startswith(b"%PDF-")


async def test_paying_an_overdue_invoice_makes_the_plan_active_again(
    visitors: Visitors, world: World, sandbox: Sandbox
) -> None:
    person = await world.subscriber("pro", card="pm_card_visa", trial_period_days=3)
    subscription = await sandbox.subscription(person.customer)
    await sandbox.batch(
        {
            "method": "post",
            "path": "/v1/payment_methods/pm_card_chargeCustomerFail/attach",
            "params": {"customer": person.customer},
            "as": "card",
        },
        {
            "method": "post",
            "path": f"/v1/customers/{person.customer}",
            "params": {"invoice_settings": {"default_payment_method": "{card.id}"}},
        },
        {
            "method": "post",
            "path": f"/v1/subscriptions/{subscription['id']}",
            "params": {"trial_end": "now"},
        },
    )
    await world.sync(person)
    page = await visitors.arrive(person=person)
    plan = await billing_shown(page)
    await expect(plan.get_by_text("Past due", exact=True)).to_be_visible()
    today = long_date(datetime.now(UTC))
    await expect(plan).to_contain_text(f"Payment overdue since {today}")
    await button(page, "Update payment method").click()
    await in_portal(page, "Add payment method")
    await type_card(page)
    await button(page, "Add payment method").click()
    await billing_shown(page)
    await to_portal(page)
    await button(page, "Pay $149.00 now").click()
    await expect(page.get_by_role("status")).to_contain_text("The invoice is paid.")
    await come_back(page)
    await expect(said(page, "Pro is active.")).to_be_visible()
    await expect(plan.get_by_text("Active", exact=True)).to_be_visible()


# ---------------------------------------------------------------- deep links


@pytest.mark.parametrize(
    ("pressed", "heading"),
    [
        ("Change plan", "Update plan"),
        ("Update payment method", "Add payment method"),
        ("Update billing details", "Billing information"),
    ],
)
async def test_each_button_opens_the_portal_where_it_says_and_going_back_comes_home(
    visitors: Visitors, world: World, pressed: str, heading: str
) -> None:
    page = await visitors.arrive(person=await world.subscriber("pro"))
    await billing_shown(page)
    await button(page, pressed).click()
    await in_portal(page, heading)
    await page.get_by_role("main").get_by_role("link", name="Go back").first.click()
    await billing_shown(page)
    await expect(said(page, "Nothing changed")).to_be_visible()


async def test_change_plan_comes_home_by_itself_when_it_is_done(
    visitors: Visitors, world: World
) -> None:
    page = await visitors.arrive(person=await world.subscriber("starter"))
    await billing_shown(page)
    await button(page, "Change plan").click()
    await in_portal(page, UPDATE)
    await choose_price(page, "Pro – $149.00 per month")
    await billing_shown(page)
    await expect(said(page, "Plan changed from Starter to Pro.")).to_be_visible()


async def test_update_payment_method_comes_home_by_itself_when_it_is_done(
    visitors: Visitors, world: World
) -> None:
    page = await visitors.arrive(person=await world.subscriber("pro"))
    await billing_shown(page)
    await button(page, "Update payment method").click()
    await in_portal(page, "Add payment method")
    await type_card(page, "5555 5555 5555 4444")
    await button(page, "Add payment method").click()
    await billing_shown(page)
    await expect(said(page, re.compile("Payment method changed to Mastercard"))).to_be_visible()


async def test_update_billing_details_comes_home_by_itself_when_it_is_done(
    visitors: Visitors, world: World
) -> None:
    page = await visitors.arrive(person=await world.subscriber("pro"))
    await billing_shown(page)
    await button(page, "Update billing details").click()
    await in_portal(page, "Billing information")
    await page.get_by_label("Phone").fill("+353 1 555 0100")
    await button(page, "Save").click()
    await billing_shown(page)
    await expect(said(page, "Billing details updated: phone number.")).to_be_visible()


async def test_a_product_opens_the_cancel_flow_and_gets_its_person_back(
    visitors: Visitors, world: World, server: Server, sandbox: Sandbox
) -> None:
    person = await world.subscriber("pro")
    async with httpx.AsyncClient(base_url=server.base_url, trust_env=False) as product:
        answer = await product.post(
            "/api/billing/portal",
            json={"returnUrl": "/pricing?from=product", "flow": {"type": "subscription_cancel"}},
            headers={"Authorization": f"Bearer {person.token}"},
        )
    assert answer.status_code == 200, answer.text
    page = await visitors.profile(person)
    await page.goto(answer.json()["data"]["url"])
    await in_portal(page, "Cancel plan")
    await button(page, "Cancel plan").click()
    await expect(page).to_have_url(f"{server.base_url}/pricing?from=product")
    await page.goto("/settings/billing")
    date = await renewal(sandbox, person)
    await expect(said(page, f"Your plan is set to cancel on {date}.")).to_be_visible()


async def test_a_portal_link_works_once(visitors: Visitors, world: World, server: Server) -> None:
    person = await world.subscriber("pro")
    async with httpx.AsyncClient(base_url=server.base_url, trust_env=False) as product:
        answer = await product.post(
            "/api/billing/portal",
            json={"returnUrl": "/settings/billing"},
            headers={"Authorization": f"Bearer {person.token}"},
        )
    url = answer.json()["data"]["url"]
    page = await visitors.profile()
    await page.goto(url)
    await in_portal(page)
    thief = await visitors.profile()
    await thief.goto(url)
    await in_portal(thief, "This link was used or has expired")
