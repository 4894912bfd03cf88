"""What the billing page says of money to come, cards that end, and changes, also while it is open."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update
from sqlmodel import col

from billing_ui.accounts.sessions import sign_in_as
from billing_ui.billing.services import Services
from billing_ui.billing.sync import sync_customer
from billing_ui.clock import utc_now
from billing_ui.models import ChangeSource, Customer, RecordedChange
from billing_ui.payments.types import NextInvoice, Snapshot, SubscriptionState
from billing_ui.states.billing import BillingState
from billing_ui.states.feed_view import when
from billing_ui.states.plan_view import NextInvoiceView
from billing_ui.states.result_view import ResultView
from tests.unit.billing.factories import (
    AMERICAN,
    RENEWAL,
    TEAM,
    Account,
    canceling,
    card,
    invoice,
    item,
    new_account,
    snapshot,
    subscription,
)
from tests.unit.billing.fake_driver import FakeDriver
from tests.unit.states.tab import Tab

FORESEEN = NextInvoice(
    subscription_id="sub_1", at=RENEWAL, currency="usd", amount_due=48000, total=48000
)


async def page_of(
    services: Services, driver: FakeDriver, found: Snapshot, **changes: Any
) -> BillingState:
    """Return the page of a team with this snapshot."""
    driver.has(found.model_copy(update=changes))
    account = await new_account(services, customer="cus_1")
    await sync_customer(services, account.customer)
    tab = Tab(await sign_in_as(services.database, account.identity.user_id))
    await tab.send(BillingState.load)
    return await tab.state(BillingState)


# ---------------------------------------------------------------- the next invoice


@pytest.mark.parametrize(
    ("fields", "amount", "note"),
    [
        ({}, "$480.00", "January 3, 2027"),
        ({"at": None}, "$480.00", ""),
        (
            {
                "amount_due": 72984,
                "total": 72984,
                "proration": 24984,
                "prorated_at": datetime(2026, 12, 10, tzinfo=UTC),
            },
            "$729.84",
            "January 3, 2027. Includes $249.84 for the change on December 10.",
        ),
        (
            {"proration": 24984},
            "$480.00",
            "January 3, 2027. Includes $249.84 for changes within the period.",
        ),
        (
            {"proration": -5000, "prorated_at": datetime(2026, 12, 10, tzinfo=UTC)},
            "$480.00",
            "January 3, 2027. $50.00 less for the change on December 10.",
        ),
        ({"amount_due": 0}, "$0.00", "January 3, 2027. $480.00 comes from your balance."),
        ({"amount_due": 50000}, "$500.00", "January 3, 2027. Includes $20.00 owed from before."),
    ],
)
async def test_the_next_invoice_says_how_much_when_and_why(
    services: Services, driver: FakeDriver, fields: dict[str, Any], amount: str, note: str
) -> None:
    foreseen = FORESEEN.model_copy(update=fields)
    page = await page_of(services, driver, snapshot(subscription(TEAM, 24)), next_invoice=foreseen)
    assert page.next_invoice == NextInvoiceView(amount, note)


async def test_of_several_plans_the_next_invoice_names_its_own(
    services: Services, driver: FakeDriver
) -> None:
    other = subscription(id="sub_2", items=(item(id="si_2"),))
    page = await page_of(
        services, driver, snapshot(subscription(TEAM, 24), other), next_invoice=FORESEEN
    )
    assert page.next_invoice.note == "January 3, 2027, for Team"


@pytest.mark.parametrize(
    "plan",
    [
        subscription(state=SubscriptionState.PAUSED),
        subscription(state=SubscriptionState.UNPAID),
        subscription(state=SubscriptionState.TRIALING, trial_end=RENEWAL, ends_unpaid=True),
    ],
)
async def test_no_invoice_is_announced_that_will_not_be_charged(
    services: Services, driver: FakeDriver, plan: Any
) -> None:
    page = await page_of(services, driver, snapshot(plan), next_invoice=FORESEEN)
    assert page.next_invoice == NextInvoiceView()


async def test_a_trial_with_a_card_announces_its_first_invoice(
    services: Services, driver: FakeDriver
) -> None:
    trial = subscription(state=SubscriptionState.TRIALING, trial_end=RENEWAL, ends_unpaid=True)
    page = await page_of(
        services, driver, snapshot(trial, payment_methods=(card(),)), next_invoice=FORESEEN
    )
    assert page.next_invoice.amount == "$480.00"


# ---------------------------------------------------------------- cards


async def test_a_card_that_ends_after_the_next_renewal_is_a_warning(
    services: Services, driver: FakeDriver
) -> None:
    renewal = utc_now() + timedelta(days=20)
    plan = subscription(TEAM, 24, current_period_end=renewal)
    last = card(exp_month=renewal.month, exp_year=renewal.year)
    page = await page_of(services, driver, snapshot(plan, payment_methods=(last,)))
    day = AMERICAN.day(renewal)
    assert page.payment.warning == "Expires soon"
    assert page.payment.note.startswith(
        f"This card pays your {day} invoice, then expires. Update it before "
    )


async def test_a_card_that_ends_before_the_renewal_is_a_warning_however_early(
    services: Services, driver: FakeDriver
) -> None:
    renewal, ends = utc_now() + timedelta(days=300), utc_now() + timedelta(days=150)
    plan = subscription(TEAM, 24, current_period_end=renewal)
    short = card(exp_month=ends.month, exp_year=ends.year)
    page = await page_of(services, driver, snapshot(plan, payment_methods=(short,)))
    assert (page.payment.warning, page.payment.note) == (
        "",
        f"This card expires before your {AMERICAN.day(renewal)} invoice. Update it to keep Team.",
    )


async def test_an_expired_card_says_until_when_another_is_needed(
    services: Services, driver: FakeDriver
) -> None:
    renewal = utc_now() + timedelta(days=9)
    plan = subscription(TEAM, 24, current_period_end=renewal)
    old = card(exp_month=1, exp_year=2020)
    page = await page_of(services, driver, snapshot(plan, payment_methods=(old,)))
    assert page.payment.warning == "Expired"
    assert page.payment.note == f"Update it before {AMERICAN.date(renewal)} to keep Team."


# ---------------------------------------------------------------- changes


@pytest.mark.parametrize(
    ("age", "text"),
    [
        (timedelta(seconds=-5), "just now"),
        (timedelta(seconds=59), "just now"),
        (timedelta(minutes=2), "2 min ago"),
        (timedelta(minutes=59, seconds=59), "59 min ago"),
        (timedelta(hours=2, minutes=59), "2 h ago"),
        (timedelta(hours=23, minutes=59), "23 h ago"),
        (timedelta(days=1), "December 9"),
        (timedelta(days=365), "December 10, 2025"),
    ],
)
def test_a_change_of_today_is_some_time_ago_and_an_older_one_has_a_date(
    age: timedelta, text: str
) -> None:
    now = datetime(2026, 12, 10, 14, 32, tzinfo=UTC)
    assert when(now - age, AMERICAN, now) == text


async def test_changes_are_sentences_with_how_we_know(
    services: Services, account: Account, owner: str, driver: FakeDriver
) -> None:
    driver.has(snapshot(subscription(TEAM, 30), payment_methods=(card(),)))
    await sync_customer(services, account.customer, source=ChangeSource.WEBHOOK)
    tab = Tab(owner)
    await tab.send(BillingState.load)
    state = await tab.state(BillingState)
    [line] = state.feed
    assert (line.icon, line.sentence, line.source, line.when) == (
        *("person", "Seats set to 30"),
        *("by webhook", "just now"),
    )
    assert state.tells_time
    assert state.arrived.title == "", "what was there when the page opened is no news"


async def test_changes_that_come_while_the_page_is_open_are_said_above_the_plan(
    services: Services, account: Account, owner: str, driver: FakeDriver
) -> None:
    tab = Tab(owner)
    await tab.send(BillingState.load)
    driver.has(snapshot(subscription(), payment_methods=(card("0005"),)))
    await sync_customer(services, account.customer, source=ChangeSource.PORTAL)

    await tab.send(BillingState.tell_time)

    state = await tab.state(BillingState)
    assert state.plans[0].name == "Pro"
    assert state.arrived.title == "Your billing has changed."
    assert [line.sentence for line in state.arrived.lines] == [
        "Plan changed from Team to Pro.",
        "Payment method changed to Visa ending in 0005.",
    ]

    await tab.send(BillingState.dismiss_arrivals)
    assert state.arrived == ResultView()
    await tab.send(BillingState.tell_time)
    assert state.arrived.title == "", "put away once, it stays away"


async def test_of_several_changes_none_says_what_another_has_overtaken(
    services: Services, account: Account, owner: str, driver: FakeDriver
) -> None:
    tab = Tab(owner)
    await tab.send(BillingState.load)
    driver.has(snapshot(subscription(), payment_methods=(card(),)))
    await sync_customer(services, account.customer, source=ChangeSource.WEBHOOK)
    driver.has(snapshot(canceling(), payment_methods=(card(),)))
    await sync_customer(services, account.customer, source=ChangeSource.WEBHOOK)

    await tab.send(BillingState.tell_time)

    state = await tab.state(BillingState)
    assert [line.sentence for line in state.arrived.lines] == [
        "Your plan is set to cancel on January 3, 2027.",
        "Plan changed from Team to Pro.",
    ]
    assert {line.upcoming for line in state.arrived.lines} == {""}


async def test_one_change_that_comes_says_what_is_next_and_where_it_is_from(
    services: Services, account: Account, owner: str, driver: FakeDriver
) -> None:
    tab = Tab(owner)
    await tab.send(BillingState.load)
    driver.has(snapshot(subscription(TEAM, 30), payment_methods=(card(),)))
    await sync_customer(services, account.customer, source=ChangeSource.PORTAL)

    await tab.send(BillingState.tell_time)

    state = await tab.state(BillingState)
    assert state.arrived.title == "Seats set to 30."
    assert state.arrived.detail == "By portal visit, just now."


async def test_a_member_is_told_what_becomes_of_the_plan_and_of_no_card(
    services: Services, account: Account, member: str, driver: FakeDriver
) -> None:
    tab = Tab(member)
    await tab.send(BillingState.load)
    driver.has(snapshot(subscription(TEAM, 30), payment_methods=(card("0005"),)))
    await sync_customer(services, account.customer, source=ChangeSource.PORTAL)

    await tab.send(BillingState.tell_time)

    state = await tab.state(BillingState)
    assert state.arrived.title == "Seats set to 30."
    assert state.feed == []
    assert "0005" not in tab.sent()

    await tab.send(BillingState.dismiss_arrivals)
    assert state.arrived == ResultView()


async def test_time_is_told_only_while_something_new_is_on_the_page(
    services: Services, account: Account, owner: str, driver: FakeDriver
) -> None:
    driver.has(snapshot(subscription(TEAM, 30), payment_methods=(card(),)))
    await sync_customer(services, account.customer)
    async with services.database.write() as session:
        await session.exec(update(RecordedChange).values(found_at=utc_now() - timedelta(days=2)))
    tab = Tab(owner)
    await tab.send(BillingState.load)
    state = await tab.state(BillingState)
    assert state.feed[0].when != "just now"
    assert not state.tells_time


async def test_whoever_reads_older_invoices_stays_there_when_something_changes(
    services: Services, account: Account, owner: str, driver: FakeDriver
) -> None:
    tab = Tab(owner)
    await tab.send(BillingState.load)
    await tab.send(BillingState.show_older_invoices)
    state = await tab.state(BillingState)
    read = [row.number for row in state.invoices]
    newer = invoice(40)
    driver.has(snapshot(subscription(TEAM, 24), payment_methods=(card(),), invoices=(newer,)))
    await sync_customer(services, account.customer)

    await tab.send(BillingState.tell_time)
    assert [row.number for row in state.invoices] == read

    await tab.send(BillingState.load)
    assert state.invoices[0].number == newer.number


async def test_a_member_is_shown_nothing_of_money(
    services: Services, account: Account, member: str, driver: FakeDriver
) -> None:
    late = subscription(TEAM, 24, status="past_due", state=SubscriptionState.PAST_DUE)
    owed = invoice(
        21, status="open", subscription_id="sub_1", hosted_url="https://pay.example.com/1"
    )
    found = snapshot(late, payment_methods=(card(),), invoices=(owed, invoice(1)))
    driver.has(found.model_copy(update={"next_invoice": FORESEEN}))
    await sync_customer(services, account.customer)
    tab = Tab(member)
    await tab.send(BillingState.load)
    state = await tab.state(BillingState)
    assert (state.banners, state.feed, state.spend.total) == ([], [], "")
    assert state.next_invoice == NextInvoiceView()
    assert "pay.example.com" not in tab.sent()


# ---------------------------------------------------------------- old data


async def test_data_nobody_fetches_any_more_does_not_claim_to_be_tried(
    services: Services, account: Account, owner: str
) -> None:
    async with services.database.write() as session:
        await session.exec(
            update(Customer)
            .where(col(Customer.id) == account.customer)
            .values(parked_at=utc_now(), sync_error="Stripe can't be reached right now.")
        )
    tab = Tab(owner)
    await tab.send(BillingState.load)
    state = await tab.state(BillingState)
    assert state.gave_up
    assert state.refresh_problem.title == "Stripe can't be reached right now."
