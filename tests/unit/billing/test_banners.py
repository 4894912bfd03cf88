"""What stands above the plan, for whom, and in which order."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from billing_ui.billing.banners import (
    Banner,
    OnHold,
    OnTrial,
    Paused,
    PaymentFailed,
    PaymentUnfinished,
    SetToCancel,
    banners_of,
)
from billing_ui.billing.services import Services
from billing_ui.billing.summary import load_billing
from billing_ui.billing.sync import sync_customer
from billing_ui.payments.types import NextInvoice, SnapshotInvoice, SubscriptionState
from tests.unit.billing.factories import (
    NOW,
    RENEWAL,
    STARTER,
    TEAM,
    Account,
    canceling,
    card,
    invoice,
    item,
    new_account,
    new_member,
    snapshot,
    subscription,
)
from tests.unit.billing.fake_driver import FakeDriver

UTC_ZONE = ZoneInfo("UTC")
PAY = "https://pay.example.com/i"


def unpaid(number: int = 1, **fields: Any) -> SnapshotInvoice:
    """Return an open invoice of the first subscription."""
    defaults: dict[str, Any] = {
        "status": "open",
        "total": 48000,
        "subscription_id": "sub_1",
        "hosted_url": PAY,
        "next_attempt_at": RENEWAL,
    }
    return invoice(number, **defaults | fields)


async def team_with(
    services: Services, driver: FakeDriver, *subscriptions: Any, **fields: Any
) -> Account:
    """Return an account in this state."""
    account = await new_account(services, customer="cus_1")
    foreseen = fields.pop("next_invoice", None)
    found = snapshot(*subscriptions, **fields)
    driver.has(found.model_copy(update={"next_invoice": foreseen}))
    await sync_customer(services, account.customer)
    return account


async def banners(
    services: Services,
    driver: FakeDriver,
    *subscriptions: Any,
    now: datetime = NOW,
    zone: ZoneInfo = UTC_ZONE,
    **fields: Any,
) -> tuple[Banner, ...]:
    """Return what the owner of a team in this state finds above the plan."""
    account = await team_with(services, driver, *subscriptions, **fields)
    return banners_of(await load_billing(services, account.identity), now, zone)


def past_due(**fields: Any) -> Any:
    """Return a subscription whose renewal was not paid."""
    return subscription(TEAM, 24, status="past_due", state=SubscriptionState.PAST_DUE, **fields)


async def test_an_active_plan_needs_nothing(shop: Services, driver: FakeDriver) -> None:
    assert await banners(shop, driver, subscription(), payment_methods=(card(),)) == ()


async def test_a_failed_payment_says_how_much_when_again_and_where_to_pay(
    shop: Services, driver: FakeDriver
) -> None:
    [banner] = await banners(
        shop, driver, past_due(), payment_methods=(card(),), invoices=(unpaid(),)
    )
    assert banner == PaymentFailed("Team", 48000, "usd", RENEWAL, by_card=True, pay_url=PAY)


async def test_a_failed_payment_of_an_unknown_invoice_claims_no_amount(
    shop: Services, driver: FakeDriver
) -> None:
    [banner] = await banners(shop, driver, past_due())
    assert banner == PaymentFailed("Team", None, "usd", None, by_card=False, pay_url=None)


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "//evil.example", ""])
async def test_nobody_is_sent_to_an_address_that_is_none_of_the_web(
    shop: Services, driver: FakeDriver, url: str
) -> None:
    [banner] = await banners(shop, driver, past_due(), invoices=(unpaid(hosted_url=url),))
    assert isinstance(banner, PaymentFailed)
    assert banner.pay_url is None


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (SubscriptionState.UNPAID, OnHold("Team", PAY)),
        (SubscriptionState.INCOMPLETE, PaymentUnfinished("Team", PAY)),
    ],
)
async def test_what_waits_for_a_payment_says_where_to_pay(
    shop: Services, driver: FakeDriver, state: SubscriptionState, expected: Banner
) -> None:
    waiting = subscription(TEAM, 24, state=state)
    assert await banners(shop, driver, waiting, invoices=(unpaid(),)) == (expected,)


@pytest.mark.parametrize(("amount", "last_charge"), [(None, True), (0, True), (4200, False)])
async def test_a_plan_that_stops_says_whether_anything_is_charged_before(
    shop: Services, driver: FakeDriver, amount: int | None, last_charge: bool
) -> None:
    foreseen = (
        None if amount is None else NextInvoice(currency="usd", amount_due=amount, total=4200)
    )
    found = await banners(shop, driver, canceling(TEAM), next_invoice=foreseen)
    assert found == (SetToCancel("Team", RENEWAL, last_charge),)


@pytest.mark.parametrize(
    ("now", "zone", "days_left"),
    [
        (datetime(2026, 12, 25, 23, 59, tzinfo=UTC), "UTC", 9),
        (datetime(2027, 1, 2, 0, 1, tzinfo=UTC), "UTC", 1),
        (datetime(2027, 1, 3, 0, 1, tzinfo=UTC), "UTC", 0),
        # There the trial ends on the fourth, and it is still the second.
        (datetime(2027, 1, 2, 9, 0, tzinfo=UTC), "Pacific/Kiritimati", 2),
        (datetime(2027, 1, 4, tzinfo=UTC), "UTC", 0),
    ],
)
async def test_days_left_of_a_trial_are_days_of_the_calendar(
    shop: Services, driver: FakeDriver, now: datetime, zone: str, days_left: int
) -> None:
    trial = subscription(TEAM, 24, state=SubscriptionState.TRIALING, trial_end=RENEWAL)
    [banner] = await banners(shop, driver, trial, now=now, zone=ZoneInfo(zone))
    assert isinstance(banner, OnTrial)
    assert banner.days_left == days_left


@pytest.mark.parametrize("ends_unpaid", [True, False])
@pytest.mark.parametrize("methods", [(), (card(),)])
async def test_a_trial_says_whether_it_can_go_on(
    shop: Services, driver: FakeDriver, ends_unpaid: bool, methods: tuple[Any, ...]
) -> None:
    trial = subscription(
        state=SubscriptionState.TRIALING, trial_end=RENEWAL, ends_unpaid=ends_unpaid
    )
    [banner] = await banners(shop, driver, trial, payment_methods=methods)
    assert banner == OnTrial("Pro", 31, can_pay=bool(methods), ends_unpaid=ends_unpaid)


async def test_a_paused_plan_says_until_when(shop: Services, driver: FakeDriver) -> None:
    paused = subscription(state=SubscriptionState.PAUSED, resumes_at=RENEWAL)
    assert await banners(shop, driver, paused) == (Paused("Pro", RENEWAL),)


async def test_beside_another_plan_only_what_is_owed_has_a_banner_the_most_urgent_first(
    shop: Services, driver: FakeDriver
) -> None:
    later = NOW + timedelta(days=1)
    found = await banners(
        shop,
        driver,
        past_due(),
        canceling(STARTER, id="sub_2", items=(item(STARTER, id="si_2"),), created_at=later),
        subscription(id="sub_3", state=SubscriptionState.UNPAID, items=(item(STARTER, id="si_3"),)),
        invoices=(unpaid(),),
    )
    assert [type(banner) for banner in found] == [OnHold, PaymentFailed]


async def test_whoever_cannot_mend_it_finds_no_banner(shop: Services, driver: FakeDriver) -> None:
    account = await team_with(shop, driver, past_due(), invoices=(unpaid(),))
    member = await load_billing(shop, await new_member(shop, account))
    assert banners_of(member, NOW, UTC_ZONE) == ()
    assert PAY not in repr(member)
