"""What the billing page shows: the whole of it, from our tables alone, to whom it concerns."""

from typing import Any

import pytest
from sqlalchemy import event

from billing_ui.accounts.errors import NoTeam
from billing_ui.accounts.sessions import Identity
from billing_ui.billing.customers import mark_customer_out_of_date
from billing_ui.billing.refresh import catch_up, refresh_billing
from billing_ui.billing.services import Services
from billing_ui.billing.summary import BillingSummary, load_billing
from billing_ui.billing.sync import sync_customer
from billing_ui.models import Role
from billing_ui.payments.types import (
    Address,
    NotAllowed,
    ProviderUnavailable,
    SnapshotCustomer,
    SnapshotInvoice,
    SubscriptionState,
    TaxId,
)
from tests.unit.billing.factories import (
    NOW,
    PRO,
    RENEWAL,
    STARTER,
    TEAM,
    Account,
    canceling,
    card,
    ended,
    invoice,
    item,
    new_account,
    new_member,
    snapshot,
    subscription,
)
from tests.unit.billing.fake_driver import FakeDriver


async def shown(
    services: Services, driver: FakeDriver, *subscriptions: Any, **fields: Any
) -> tuple[Account, BillingSummary]:
    """Return an account with this state at the provider, and what its owner sees."""
    account = await new_account(services, customer="cus_1")
    driver.has(snapshot(*subscriptions, **fields))
    await sync_customer(services, account.customer)
    driver.calls.clear()
    return account, await load_billing(services, account.identity)


async def test_the_owner_sees_plan_payment_method_and_details(
    shop: Services, driver: FakeDriver
) -> None:
    who = SnapshotCustomer(
        id="cus_1",
        name="Northwind Labs",
        email="billing@example.com",
        address=Address(line1="12 Harbour Street", country="IE"),
        tax_ids=(TaxId(type="eu_vat", value="IE1"),),
    )
    _, summary = await shown(
        shop,
        driver,
        subscription(TEAM, 24),
        customer=who,
        payment_methods=(card("0005", default=False), card()),
    )
    [plan] = summary.plans
    assert (plan.name, plan.state, plan.amount, plan.currency) == (
        "Team",
        SubscriptionState.ACTIVE,
        48000,
        "usd",
    )
    assert (plan.interval, plan.interval_count, plan.unit_label) == ("month", 1, "seat")
    assert plan.current_period_end == RENEWAL
    assert plan.features == ("All of Team",)
    assert plan.overdue_since is None
    assert summary.payment_method
    assert summary.payment_method.last4 == "4242"
    assert summary.details
    assert summary.details.address == who.address
    assert summary.details.tax_ids == who.tax_ids
    assert (summary.provider_name, summary.can_manage, summary.has_customer) == (
        "Stripe",
        True,
        True,
    )
    assert (summary.out_of_date, summary.sync_error, summary.mismatch) == (False, None, None)
    assert summary.synced_at is not None
    assert summary.contact_email is None
    assert driver.calls == [], "the page never waits for the provider"


async def test_a_member_sees_the_plan_and_whom_to_ask_and_nothing_else(
    shop: Services, driver: FakeDriver
) -> None:
    account, _ = await shown(
        shop,
        driver,
        subscription(PRO, status="past_due", state=SubscriptionState.PAST_DUE),
        payment_methods=(card(),),
        invoices=(invoice(status="open", hosted_url="https://pay.example.com/i"),),
    )
    summary = await load_billing(shop, await new_member(shop, account))
    assert [plan.name for plan in summary.plans] == ["Pro"]
    assert (summary.payment_method, summary.details, summary.can_manage) == (None, None, False)
    assert summary.contact_email == account.identity.email
    assert summary.plans[0].overdue is None or summary.plans[0].overdue.hosted_url is None


async def test_a_team_without_a_customer_has_no_plan(shop: Services) -> None:
    summary = await load_billing(shop, (await new_account(shop)).identity)
    assert (summary.has_customer, summary.plans, summary.synced_at) == (False, (), None)
    assert not summary.out_of_date


async def test_nobody_without_a_team_sees_anything(shop: Services) -> None:
    nobody = (await new_account(shop)).identity
    nobody = Identity(**{**vars(nobody), "team_id": None, "role": None})
    with pytest.raises(NoTeam):
        await load_billing(shop, nobody)


async def test_one_team_never_sees_anothers(shop: Services, driver: FakeDriver) -> None:
    await shown(shop, driver, subscription(PRO), payment_methods=(card(),))
    summary = await load_billing(shop, (await new_account(shop)).identity)
    assert summary.plans == ()
    assert summary.payment_method is None


async def test_several_live_subscriptions_are_all_shown_the_newest_that_goes_on_first(
    shop: Services, driver: FakeDriver
) -> None:
    _, summary = await shown(
        shop,
        driver,
        subscription(PRO),
        canceling(id="sub_2", items=(item(STARTER, id="si_2"),), created_at=NOW.replace(year=2028)),
        ended(id="sub_3", items=(item(id="si_3"),)),
        subscription(id="sub_4", items=(item(TEAM, id="si_4"),), created_at=NOW.replace(year=2027)),
    )
    assert [(plan.name, plan.state) for plan in summary.plans] == [
        ("Team", "active"),
        ("Pro", "active"),
        ("Starter", "canceling"),
    ]


async def test_without_a_live_subscription_the_one_that_ended_last_is_shown(
    shop: Services, driver: FakeDriver
) -> None:
    _, summary = await shown(
        shop,
        driver,
        ended(PRO, ended_at=NOW.replace(day=1)),
        ended(id="sub_2", items=(item(TEAM, id="si_2"),), ended_at=NOW.replace(day=2)),
    )
    [plan] = summary.plans
    assert (plan.name, plan.state, plan.ended_at) == ("Team", "ended", NOW.replace(day=2))


async def test_of_ended_subscriptions_one_that_ended_nobody_knows_when_hides_no_other(
    shop: Services, driver: FakeDriver
) -> None:
    unknown = ended(id="sub_2", items=(item(TEAM, id="si_2"),), ended_at=None)
    _, summary = await shown(shop, driver, ended(PRO), unknown)
    assert [plan.name for plan in summary.plans] == ["Pro"]


async def test_several_items_add_up_only_when_they_can(shop: Services, driver: FakeDriver) -> None:
    _, summary = await shown(
        shop,
        driver,
        subscription(items=(item(PRO), item(TEAM, 3, id="si_2"))),
        subscription(
            id="sub_2", items=(item(PRO, id="si_3"), item(TEAM, unit_amount=None, id="s4"))
        ),
        subscription(
            id="sub_3", items=(item(PRO, id="si_5"), item(PRO, id="si_6", interval="year"))
        ),
    )
    by_id = {plan.subscription_id: plan for plan in summary.plans}
    assert by_id["sub_1"].amount == 14900 + 3 * 2000
    assert by_id["sub_2"].amount is None
    assert (by_id["sub_3"].amount, by_id["sub_3"].interval) == (None, None)


def unpaid(number: int) -> SnapshotInvoice:
    """Return an invoice whose payment failed."""
    return invoice(
        number,
        status="open",
        total=48000,
        subscription_id="sub_1",
        next_attempt_at=RENEWAL,
        hosted_url=f"https://pay.example.com/{number}",
    )


async def test_past_due_says_since_when_and_how_much(shop: Services, driver: FakeDriver) -> None:
    _, summary = await shown(
        shop,
        driver,
        subscription(TEAM, 24, status="past_due", state=SubscriptionState.PAST_DUE),
        invoices=(unpaid(3), unpaid(2), invoice(1, subscription_id="sub_1")),
    )
    [plan] = summary.plans
    assert plan.overdue
    assert plan.overdue_since == invoice(2).created_at
    assert (plan.overdue.amount, plan.overdue.currency) == (48000, "usd")
    assert plan.overdue.next_attempt_at == RENEWAL
    assert plan.overdue.hosted_url == "https://pay.example.com/2"


async def test_without_a_default_one_of_several_payment_methods_is_not_guessed(
    shop: Services, driver: FakeDriver
) -> None:
    _, summary = await shown(
        shop,
        driver,
        payment_methods=(card("0005", default=False), card("4242", default=False)),
    )
    assert summary.payment_method is None


async def test_another_providers_customer_is_shown_with_why_nothing_can_be_done(
    shop: Services,
) -> None:
    account = await new_account(shop, customer="polar_1", provider="polar")
    summary = await load_billing(shop, account.identity)
    assert summary.mismatch == (
        "Your billing is still with Polar; this site now uses Stripe. Contact support to move it."
    )
    assert (summary.has_customer, summary.provider_name) == (True, "Polar")


async def test_a_deleted_customer_is_said_to_be_deleted(shop: Services, driver: FakeDriver) -> None:
    account, _ = await shown(shop, driver, subscription())
    driver.delete("cus_1")
    await sync_customer(shop, account.customer)
    summary = await load_billing(shop, account.identity)
    assert summary.customer_deleted
    assert summary.plans == ()


async def test_what_may_have_changed_is_out_of_date_and_keeps_its_age(
    shop: Services, driver: FakeDriver
) -> None:
    account, before = await shown(shop, driver, subscription())
    await mark_customer_out_of_date(shop, account.customer)
    driver.fail("fetch_snapshot", ProviderUnavailable("Stripe didn't answer in time."))
    with pytest.raises(ProviderUnavailable):
        await catch_up(shop, account.identity)
    after = await load_billing(shop, account.identity)
    assert after.out_of_date
    assert after.sync_error == "Stripe didn't answer in time."
    assert after.synced_at == before.synced_at
    assert after.plans == before.plans


async def test_opening_the_page_fetches_only_what_is_out_of_date(
    shop: Services, driver: FakeDriver
) -> None:
    account, _ = await shown(shop, driver, subscription())
    await catch_up(shop, account.identity)
    assert driver.calls == []
    await mark_customer_out_of_date(shop, account.customer)
    await catch_up(shop, await new_member(shop, account))
    assert driver.calls == ["fetch_snapshot"]


async def test_refreshing_fetches_anew_for_those_who_may(
    shop: Services, driver: FakeDriver
) -> None:
    account, _ = await shown(shop, driver, subscription())
    await refresh_billing(shop, await new_member(shop, account, Role.BILLING_MANAGER))
    assert driver.calls == ["fetch_snapshot"]
    with pytest.raises(NotAllowed):
        await refresh_billing(shop, await new_member(shop, account))


async def test_the_page_takes_few_queries(shop: Services, driver: FakeDriver) -> None:
    account, _ = await shown(
        shop,
        driver,
        *(subscription(id=f"sub_{n}", items=(item(id=f"si_{n}"),)) for n in range(5)),
        payment_methods=(card(),),
    )
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("SELECT"):
            statements.append(statement)

    event.listen(shop.database.engine.sync_engine, "before_cursor_execute", note)
    await load_billing(shop, account.identity)
    assert len(statements) == 5
