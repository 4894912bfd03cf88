"""What the billing page says to each of the demo accounts, which sign in by their buttons."""

import re
from datetime import UTC, datetime

import pytest
from playwright.async_api import Locator, Page, expect

from tests.e2e.sandbox import Sandbox, renewal_of
from tests.e2e.visitors import SIGN_IN, Visitors, billing_shown, button, region, said
from tests.e2e.words import long_date

ACCOUNT_REGIONS = ("Payment method", "Billing details", "Recent changes", "Invoices")


async def continue_as(visitors: Visitors, account: str) -> Page:
    page = await visitors.arrive(SIGN_IN)
    await button(page, f"Continue as {account}").click()
    await billing_shown(page)
    return page


async def expect_account(page: Page, *, visible: bool) -> None:
    for name in ACCOUNT_REGIONS:
        await expect(region(page, name)).to_be_visible(visible=visible)


def plan_of(page: Page) -> Locator:
    return region(page, "Current plan")


async def test_active_sees_plan_price_renewal_and_two_years_of_invoices(
    visitors: Visitors, sandbox: Sandbox
) -> None:
    renewal = renewal_of(await sandbox.subscription("cus_demo_active"))
    page = await continue_as(visitors, "active")
    plan = plan_of(page)
    await expect(page.get_by_role("heading", level=1, name="Billing", exact=True)).to_be_visible()
    await expect(plan).to_contain_text("Team")
    await expect(plan).to_contain_text("$480.00 per month · 24 seats at $20.00")
    await expect(plan.get_by_text("Active", exact=True)).to_be_visible()
    await expect(plan.get_by_text(f"Renews on {long_date(renewal)}", exact=True)).to_be_visible()
    for name in ("Manage Billing", "Change plan", "Update payment method", "Refresh"):
        await expect(button(page, name)).to_be_enabled()
    await expect(page.get_by_text(re.compile(r"^Data as of \d"))).to_be_visible()
    await expect_account(page, visible=True)
    payment = region(page, "Payment method")
    await expect(payment).to_contain_text("4242")
    await expect(payment).to_contain_text(
        re.compile("This card pays your .+ invoice, then expires")
    )
    await expect(plan).to_contain_text(re.compile(r"Includes \$\d+\.\d\d for the change on "))
    await expect(region(page, "Spend")).to_be_visible()
    feed = region(page, "Recent changes").get_by_role("listitem")
    await expect(feed.first).to_contain_text("Seats set to 24")
    await expect(feed.first).to_contain_text("by portal visit")
    details = region(page, "Billing details")
    await expect(details).to_contain_text("12 Harbour Street, Dublin, Ireland")
    await expect(details).to_contain_text("IE1234567FA")
    invoices = region(page, "Invoices")
    await expect(invoices.get_by_role("row")).to_have_count(9)
    await expect(invoices.get_by_role("link", name="Download PDF", exact=True)).to_have_count(8)
    for column in ("Date", "Number", "Amount", "Status"):
        await expect(invoices.get_by_role("columnheader", name=column, exact=True)).to_be_visible()
    await expect(page.get_by_role("alert")).to_have_count(0)


async def test_older_invoices_are_a_press_away_and_the_focus_stays(visitors: Visitors) -> None:
    page = await continue_as(visitors, "active")
    invoices = region(page, "Invoices")
    total = re.compile(r"^1–8 of (2[4-9]|3\d)$")
    await expect(invoices.get_by_text(total)).to_be_visible()
    newest = await invoices.get_by_role("row").nth(1).inner_text()
    pages = page.get_by_role("navigation", name="Invoice pages")
    await button(pages, "Next").click()
    await expect(invoices.get_by_text(re.compile(r"^9–16 of "))).to_be_visible()
    await expect(button(pages, "Next")).to_be_focused()
    assert await invoices.get_by_role("row").nth(1).inner_text() != newest
    await button(pages, "Previous").click()
    await expect(invoices.get_by_text(total)).to_be_visible()
    await expect(button(pages, "Previous")).to_have_attribute("aria-disabled", "true")
    assert await invoices.get_by_role("row").nth(1).inner_text() == newest


async def test_an_invoice_is_downloaded_as_pdf(visitors: Visitors) -> None:
    page = await continue_as(visitors, "active")
    link = region(page, "Invoices").get_by_role("link", name="Download PDF", exact=True).first
    number = region(page, "Invoices").get_by_role("row").nth(1).get_by_role("cell").first
    described = await link.get_attribute("aria-describedby")
    assert described == await number.get_attribute("id")
    async with page.expect_download() as downloading:
        await link.click()
    download = await downloading.value
    assert (await download.path()).read_bytes().startswith(b"%PDF-")


async def test_trialing_sees_when_the_trial_ends_and_what_follows(
    visitors: Visitors, sandbox: Sandbox
) -> None:
    ends = datetime.fromtimestamp(
        (await sandbox.subscription("cus_demo_trialing"))["trial_end"], UTC
    )
    page = await continue_as(visitors, "trialing")
    plan = plan_of(page)
    await expect(plan).to_contain_text("Team")
    await expect(plan.get_by_text("Trialing", exact=True)).to_be_visible()
    await expect(plan).to_contain_text("$0.00 now · $100.00 per month after the trial")
    await expect(plan).to_contain_text(f"Trial ends on {long_date(ends)}")
    await expect(button(page, "Manage Billing")).to_be_enabled()
    await expect(region(page, "Payment method")).to_contain_text("No payment method yet.")
    banner = said(page, re.compile(r"^\s*(9|10) days left in your trial\."))
    await expect(banner).to_contain_text("Without one, the plan ends and nothing is charged.")
    await expect(button(banner, "Add payment method")).to_be_enabled()
    await expect(plan).not_to_contain_text("Next invoice")


async def test_past_due_sees_since_when_payment_is_overdue(
    visitors: Visitors, sandbox: Sandbox
) -> None:
    subscription = await sandbox.subscription("cus_demo_past_due")
    open_ = await sandbox.get("/v1/invoices", customer="cus_demo_past_due", status="open")
    (invoice,) = open_["data"]
    since = datetime.fromtimestamp(invoice["due_date"] or invoice["created"], UTC)
    page = await continue_as(visitors, "past due")
    plan = plan_of(page)
    await expect(plan).to_contain_text("Pro")
    await expect(plan).to_contain_text("$149.00 per month")
    await expect(plan.get_by_text("Past due", exact=True)).to_be_visible()
    await expect(plan).to_contain_text(f"Payment overdue since {long_date(since)}")
    await expect(plan).to_contain_text(f"Renews on {long_date(renewal_of(subscription))}")
    await expect(button(page, "Update payment method")).to_be_enabled()
    await expect(button(page, "Manage Billing")).to_be_enabled()
    await expect(region(page, "Invoices").get_by_text("Open", exact=True)).to_be_visible()
    alert = page.get_by_role("alert")
    await expect(alert).to_contain_text("Payment of $149.00 failed.")
    again = datetime.fromtimestamp(invoice["next_payment_attempt"], UTC)
    await expect(alert).to_contain_text(f"Stripe tries again on {long_date(again)}.")
    pay = alert.get_by_role("link", name=re.compile("^Pay invoice"))
    await expect(pay).to_have_attribute("href", invoice["hosted_invoice_url"])
    await expect(region(page, "Recent changes")).to_contain_text("Payment of $149.00 for invoice")


async def test_canceling_reads_euros_and_when_the_plan_ends(
    visitors: Visitors, sandbox: Sandbox
) -> None:
    subscription = await sandbox.subscription("cus_demo_canceling")
    page = await continue_as(visitors, "canceling")
    plan = plan_of(page)
    await expect(plan).to_contain_text("Team")
    await expect(plan).to_contain_text("€152.00 per month · 8 seats at €19.00")
    await expect(plan.get_by_text("Canceling", exact=True)).to_be_visible()
    await expect(plan).to_contain_text(f"Cancels on {long_date(renewal_of(subscription))}")
    await expect(plan).not_to_contain_text("Renews on")
    await expect(button(page, "Manage Billing")).to_be_enabled()
    await expect(button(page, "Change plan")).to_have_count(0)
    await expect(region(page, "Payment method")).to_contain_text("Mastercard")
    await expect(button(said(page, "Your plan is set to cancel."), "Keep my plan")).to_be_enabled()
    await expect(plan).not_to_contain_text("Next invoice")
    await expect(region(page, "Spend")).to_contain_text("€1,064.00")


async def test_ended_may_choose_a_plan_and_still_manage_billing(
    visitors: Visitors, sandbox: Sandbox
) -> None:
    ended = datetime.fromtimestamp((await sandbox.subscription("cus_demo_ended"))["ended_at"], UTC)
    page = await continue_as(visitors, "ended")
    plan = plan_of(page)
    await expect(plan).to_contain_text("Starter")
    await expect(plan.get_by_text("Ended", exact=True)).to_be_visible()
    await expect(plan).to_contain_text(f"Ended on {long_date(ended)}")
    await expect(plan.get_by_role("link", name="Choose a plan", exact=True)).to_be_visible()
    await expect(button(plan, "Manage Billing")).to_be_enabled()
    await expect(button(page, "Change plan")).to_have_count(0)
    await expect_account(page, visible=True)


async def test_no_plan_is_free_and_offers_only_to_choose_one(visitors: Visitors) -> None:
    page = await continue_as(visitors, "no plan")
    plan = plan_of(page)
    await expect(plan.get_by_text("Free", exact=True)).to_be_visible()
    await expect(plan).to_contain_text("Pick the plan that fits Freshfield.")
    await expect(plan.get_by_role("button")).to_have_count(0)
    await expect_account(page, visible=False)
    await plan.get_by_role("link", name="Choose a plan", exact=True).click()
    await expect(page.get_by_role("heading", level=1, name="Plans", exact=True)).to_be_visible()


async def test_a_member_sees_the_plan_whom_to_ask_and_no_money_details(
    visitors: Visitors,
) -> None:
    page = await continue_as(visitors, "member")
    plan = plan_of(page)
    await expect(plan).to_contain_text("Team")
    await expect(plan.get_by_text("Active", exact=True)).to_be_visible()
    await expect(plan).to_contain_text("Only an owner or billing manager can change billing.")
    await expect(
        plan.get_by_role("link", name="avery@northwind.example", exact=True)
    ).to_be_visible()
    await expect(plan.get_by_role("button")).to_have_count(0)
    await expect(button(page, "Refresh")).to_have_count(0)
    await expect_account(page, visible=False)
    await expect(region(page, "Spend")).to_have_count(0)
    await expect(plan).not_to_contain_text("Next invoice")
    assert "4242" not in await page.content()


@pytest.mark.parametrize("account", ["active", "canceling"])
async def test_the_frame_says_who_and_which_team(visitors: Visitors, account: str) -> None:
    page = await continue_as(visitors, account)
    team, email = {
        "active": ("Northwind Labs", "avery@northwind.example"),
        "canceling": ("Lumen Works", "casey@lumen.example"),
    }[account]
    await expect(page.get_by_role("banner")).to_contain_text(team)
    await expect(button(page, f"Account: {email}")).to_be_visible()
    await expect(page.get_by_role("complementary", name="Sandbox")).to_have_text(
        "Sandbox: demo data, no real money moves."
    )
    navigation = page.get_by_role("navigation", name="Settings")
    await expect(navigation.get_by_role("link", name="Billing")).to_have_attribute(
        "aria-current", "page"
    )
