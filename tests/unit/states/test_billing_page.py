"""What the billing page says, in the reader's words, and what it offers."""

import asyncio
from datetime import timedelta

import pytest
import reflex as rx
from reflex.event import EventSpec

from billing_ui.accounts.sessions import sign_in_as, sign_out
from billing_ui.accounts.users import create_user
from billing_ui.billing.services import Services
from billing_ui.billing.sync import sync_customer
from billing_ui.clock import utc_now
from billing_ui.models import Customer, PortalVisit
from billing_ui.payments.types import ProviderUnavailable, SubscriptionState
from billing_ui.states.billing import HEADING, BillingState
from billing_ui.states.failures import Problem
from tests.unit.billing.factories import (
    NOW,
    PRO,
    RENEWAL,
    TEAM,
    Account,
    canceling,
    ended,
    invoice,
    item,
    new_account,
    new_member,
    snapshot,
    subscription,
)
from tests.unit.billing.fake_driver import FakeDriver
from tests.unit.states.tab import Tab, redirect_of


async def open_page(
    services: Services, driver: FakeDriver, *subscriptions: object, **fields: object
) -> BillingState:
    """Show the page of a team that has `subscriptions`."""
    driver.has(snapshot(*subscriptions, **fields))  # type: ignore[arg-type]
    account = await new_account(services, customer="cus_1")
    await sync_customer(services, account.customer)
    tab = Tab(await sign_in_as(services.database, account.identity.user_id))
    await tab.send(BillingState.load)
    return await tab.state(BillingState)


async def test_an_active_plan_shows_price_seats_and_renewal(owner: str) -> None:
    tab = Tab(owner)

    await tab.send(BillingState.load)

    state = await tab.state(BillingState)
    [plan] = state.plans
    assert (plan.name, plan.badge.word) == ("Team", "Active")
    assert (plan.price, plan.terms) == ("$480.00", "per month · 24 seats at $20.00")
    assert plan.when == "Renews on January 3, 2027"
    assert state.payment.label == "Visa ending in 4242"
    assert state.payment.expiry == "Expires 04/2030"
    assert state.offers.portal
    assert state.offers.change
    assert not state.offers.plans


@pytest.mark.parametrize(
    ("sold", "value", "label", "fill", "warning"),
    [
        (subscription(TEAM, 24), "1 of 24 in use", "1 of 24 seats in use", "4.2%", ""),
        (
            subscription(TEAM, 1),
            "1 of 1 in use",
            "1 of 1 seat in use",
            "100.0%",
            "The only seat is in use",
        ),
        (ended(TEAM), "", "", "0%", ""),
        (subscription(PRO, 3), "", "", "0%", ""),
    ],
)
async def test_a_plan_with_seats_says_how_many_are_in_use(
    services: Services,
    driver: FakeDriver,
    sold: object,
    value: str,
    label: str,
    fill: str,
    warning: str,
) -> None:
    [plan] = (await open_page(services, driver, sold)).plans

    seats = plan.seats
    assert (seats.value, seats.label, seats.fill, seats.warning) == (value, label, fill, warning)


@pytest.mark.parametrize(
    ("quantity", "value", "warning"),
    [
        (3, "3 of 3 in use", "All 3 seats are in use"),
        (2, "3 of 2 in use", "1 member more than 2 seats"),
    ],
)
async def test_full_seats_are_a_warning_and_the_meter_never_overflows(
    services: Services,
    driver: FakeDriver,
    quantity: int,
    value: str,
    warning: str,
) -> None:
    driver.has(snapshot(subscription(TEAM, quantity)))
    account = await new_account(services, customer="cus_1")
    await new_member(services, account)
    await new_member(services, account)
    await sync_customer(services, account.customer)
    tab = Tab(await sign_in_as(services.database, account.identity.user_id))

    await tab.send(BillingState.load)

    [plan] = (await tab.state(BillingState)).plans
    assert (plan.seats.heading, plan.seats.value) == ("Seats", value)
    assert plan.seats.warning == warning
    assert (plan.seats.used, plan.seats.total, plan.seats.fill) == (quantity, quantity, "100.0%")


async def test_dates_and_amounts_are_the_readers(owner: str) -> None:
    tab = Tab(owner, language="de-DE")

    await tab.send(BillingState.load)

    [plan] = (await tab.state(BillingState)).plans
    assert plan.when == "Renews on 3. Januar 2027"
    assert plan.price == "480,00\N{NO-BREAK SPACE}€".replace("€", "$")


@pytest.mark.parametrize(
    ("sold", "word", "when"),
    [
        (canceling(), "Canceling", "Cancels on January 3, 2027"),
        (
            subscription(state=SubscriptionState.TRIALING, trial_end=RENEWAL),
            "Trialing",
            "Trial ends on January 3, 2027",
        ),
        (subscription(pauses_at=RENEWAL), "Active", "Pauses on January 3, 2027"),
        (
            subscription(state=SubscriptionState.PAUSED, resumes_at=RENEWAL),
            "Paused",
            "Resumes on January 3, 2027",
        ),
        (subscription(state=SubscriptionState.PAUSED), "Paused", ""),
        (
            subscription(state=SubscriptionState.INCOMPLETE),
            "Incomplete",
            "First payment not finished",
        ),
        (ended(), "Ended", "Ended on December 3, 2026"),
        # Whether it renews, nobody knows.
        (subscription(state=SubscriptionState.UNKNOWN, status="in_review"), "In review", ""),
    ],
)
async def test_each_state_has_its_word_and_its_date(
    services: Services, driver: FakeDriver, sold: object, word: str, when: str
) -> None:
    state = await open_page(services, driver, sold)

    [plan] = state.plans
    assert (plan.badge.word, plan.when) == (word, when)


async def test_a_payment_that_is_overdue_says_since_when_and_when_the_plan_renews(
    services: Services, driver: FakeDriver
) -> None:
    unpaid = invoice(1, status="open", subscription_id="sub_1", created_at=NOW)
    late = subscription(state=SubscriptionState.PAST_DUE, status="past_due")
    state = await open_page(services, driver, late, invoices=(unpaid,))

    [plan] = state.plans
    assert plan.badge.word == "Past due"
    assert plan.when == "Payment overdue since December 3, 2026"
    assert plan.also == "Renews on January 3, 2027"


async def test_a_trial_costs_nothing_now_and_says_what_it_will_cost(
    services: Services, driver: FakeDriver
) -> None:
    trial = subscription(state=SubscriptionState.TRIALING, trial_end=RENEWAL)

    [plan] = (await open_page(services, driver, trial)).plans

    assert (plan.price, plan.terms) == ("$0.00", "now · $149.00 per month after the trial")


async def test_an_ended_plan_offers_another_one_and_the_portal(
    services: Services, driver: FakeDriver
) -> None:
    state = await open_page(services, driver, ended())

    assert state.offers.plans
    assert state.offers.portal
    assert not state.offers.change


async def test_several_subscriptions_are_all_shown_and_none_is_changed_directly(
    services: Services, driver: FakeDriver
) -> None:
    earlier = NOW - timedelta(days=30)
    other = canceling(id="sub_2", created_at=earlier, items=(item(PRO, id="si_2"),))
    state = await open_page(services, driver, subscription(TEAM, 3), other)

    assert [plan.name for plan in state.plans] == ["Team", "Pro"]
    assert not state.offers.change


async def test_a_team_without_a_customer_is_offered_plans_and_nothing_that_cannot_work(
    services: Services, stranger: str, driver: FakeDriver
) -> None:
    tab = Tab(stranger)

    await tab.send(BillingState.load)

    state = await tab.state(BillingState)
    assert state.plans == []
    assert state.offers.plans
    offers = (state.offers.portal, state.offers.refresh, state.offers.payment)
    assert not any(offers)
    assert not state.shows_account


async def test_a_member_sees_the_plan_and_whom_to_ask(member: str, account: Account) -> None:
    tab = Tab(member)

    await tab.send(BillingState.load)

    state = await tab.state(BillingState)
    assert state.plans[0].price == "$480.00"
    assert state.contact == account.identity.email
    offers = (state.offers.portal, state.offers.plans, state.offers.refresh, state.offers.change)
    assert not any(offers)
    assert not state.shows_account


async def test_a_customer_of_another_provider_is_explained(
    services: Services, driver: FakeDriver
) -> None:
    account = await new_account(services, customer="ctm_1", provider="polar")
    tab = Tab(await sign_in_as(services.database, account.identity.user_id))

    await tab.send(BillingState.load)

    state = await tab.state(BillingState)
    assert state.mismatch == Problem(
        "Your billing is still with Polar; this site now uses Stripe.",
        "Contact support to move it.",
    )
    assert not state.offers.portal
    assert not state.offers.plans


async def test_somebody_without_a_team_is_told_so(services: Services) -> None:
    user = await create_user(services.database, "alone@example.com", None)
    tab = Tab(await sign_in_as(services.database, user.id))

    await tab.send(BillingState.load)

    state = await tab.state(BillingState)
    assert (state.loaded, state.in_team) == (True, False)


async def test_invoices_turn_page_by_page_and_stop_at_both_ends(owner: str) -> None:
    tab = Tab(owner)
    await tab.send(BillingState.load)
    state = await tab.state(BillingState)
    assert (state.invoice_range, state.has_newer, state.has_older) == ("1–8 of 20", False, True)

    await tab.send(BillingState.show_older_invoices)
    await tab.send(BillingState.show_older_invoices)
    assert (state.invoice_range, state.has_newer, state.has_older) == ("17–20 of 20", True, False)
    await tab.send(BillingState.show_older_invoices)
    assert state.invoice_range == "17–20 of 20"

    await tab.send(BillingState.show_newer_invoices)
    assert state.invoice_range == "9–16 of 20"


@pytest.mark.parametrize(
    ("count", "first_page", "last_page"),
    [(1, "1 invoice", "1 invoice"), (8, "8 invoices", "8 invoices"), (9, "1–8 of 9", "9 of 9")],
)
async def test_invoices_on_one_page_are_counted_and_a_single_one_is_no_range(
    services: Services, driver: FakeDriver, count: int, first_page: str, last_page: str
) -> None:
    driver.has(snapshot(invoices=tuple(invoice(number) for number in range(1, count + 1))))
    account = await new_account(services, customer="cus_1")
    await sync_customer(services, account.customer)
    tab = Tab(await sign_in_as(services.database, account.identity.user_id))
    await tab.send(BillingState.load)
    state = await tab.state(BillingState)
    assert state.invoice_range == first_page

    await tab.send(BillingState.show_older_invoices)
    assert state.invoice_range == last_page


@pytest.mark.parametrize(
    ("numbers", "numbered"), [((None, None), False), (("A-1", None), True), ((), False)]
)
async def test_invoices_have_a_column_for_numbers_when_one_has_a_number(
    services: Services, driver: FakeDriver, numbers: tuple[str | None, ...], numbered: bool
) -> None:
    bills = tuple(invoice(place, number=number) for place, number in enumerate(numbers, 1))
    assert (await open_page(services, driver, invoices=bills)).numbered is numbered


async def test_the_page_never_waits_for_the_provider(owner: str, driver: FakeDriver) -> None:
    tab = Tab(owner)

    await tab.send(BillingState.load)

    assert driver.calls == []


async def test_what_is_out_of_date_is_fetched_after_the_page_is_shown(
    services: Services, driver: FakeDriver
) -> None:
    driver.has(snapshot(subscription(PRO)))
    account = await new_account(services, customer="cus_1")
    await sync_customer(services, account.customer)
    driver.has(snapshot(subscription(TEAM, 5)))
    async with services.database.write() as session:
        customer = await session.get(Customer, account.customer)
        assert customer is not None
        customer.wanted += 1
        session.add(customer)
    tab = Tab(await sign_in_as(services.database, account.identity.user_id))

    following = await tab.send(BillingState.load)
    state = await tab.state(BillingState)
    assert state.plans[0].name == "Pro"
    assert following == BillingState.catch_up
    await tab.send(BillingState.catch_up)

    assert state.plans[0].name == "Team"


async def test_refreshing_shows_what_changed_at_the_provider(
    owner: str, driver: FakeDriver
) -> None:
    tab = Tab(owner)
    await tab.send(BillingState.load)
    driver.has(snapshot(subscription(PRO)))

    await tab.send(BillingState.refresh)

    state = await tab.state(BillingState)
    assert state.plans[0].name == "Pro"
    assert not state.refreshing


async def test_two_presses_on_refresh_fetch_once(owner: str, driver: FakeDriver) -> None:
    tab = Tab(owner)
    await tab.send(BillingState.load)
    hold = driver.hold("fetch_snapshot")
    first = asyncio.create_task(tab.send(BillingState.refresh))
    await hold.reached.wait()

    await tab.send(BillingState.refresh)
    hold.release()
    await first

    assert driver.count("fetch_snapshot") == 1


async def test_a_refresh_that_fails_keeps_what_is_shown_and_says_its_age(
    owner: str, driver: FakeDriver
) -> None:
    tab = Tab(owner)
    await tab.send(BillingState.load)
    driver.fail(
        "fetch_snapshot",
        ProviderUnavailable("Stripe can't be reached right now. Nothing was changed. Try later."),
    )

    await tab.send(BillingState.refresh)

    state = await tab.state(BillingState)
    assert state.refresh_problem == Problem("Stripe can't be reached right now.", "Try later.")
    assert state.plans[0].price == "$480.00"
    assert state.freshness.age == "under 1 min"
    assert not state.refreshing


async def test_data_that_could_not_be_fetched_says_so_when_the_page_opens(
    services: Services, account: Account, owner: str, driver: FakeDriver
) -> None:
    driver.fail("fetch_snapshot", ProviderUnavailable("Stripe didn't answer in time."))
    with pytest.raises(ProviderUnavailable):
        await sync_customer(services, account.customer)
    tab = Tab(owner)

    await tab.send(BillingState.load)

    state = await tab.state(BillingState)
    assert state.refresh_problem == Problem("Stripe didn't answer in time.")
    answer = await tab.send(BillingState.refresh_again)
    assert isinstance(answer, EventSpec)
    assert state.refresh_problem == Problem()
    assert str(answer.args) == str(rx.set_focus(HEADING).args)


async def test_whoever_is_signed_out_while_the_provider_answers_sees_nothing_of_it(
    services: Services, owner: str, driver: FakeDriver
) -> None:
    tab = Tab(owner)
    await tab.send(BillingState.load)
    hold = driver.hold("fetch_snapshot")
    refreshing = asyncio.create_task(tab.send(BillingState.refresh))
    await hold.reached.wait()
    await sign_out(services.database, owner)
    hold.release()

    answer = await refreshing

    assert redirect_of(answer) == "/sign-in?next=%2Fsettings%2Fbilling"
    assert (await tab.state(BillingState)).plans == []


async def test_what_came_of_a_visit_stays_until_it_is_dismissed_for_good(
    services: Services, account: Account, owner: str
) -> None:
    async with services.database.write() as session:
        session.add(
            PortalVisit(
                customer_id=account.customer,
                team_id=account.team_id,
                user_id=account.identity.user_id,
                kind="portal",
                returned_at=utc_now(),
                returned_user_id=account.identity.user_id,
                synced_at=utc_now(),
                changes=[],
            )
        )
    tab = Tab(owner)
    await tab.send(BillingState.load)
    state = await tab.state(BillingState)
    assert state.result.title == "Nothing changed"
    assert not state.result.changed

    await tab.send(BillingState.dismiss_result)
    assert state.result.title == ""
    await tab.send(BillingState.load)

    assert state.result.title == ""
