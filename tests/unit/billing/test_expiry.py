"""Cards that end before, with and after the renewals they are to pay."""

from datetime import UTC, datetime
from typing import Any

import pytest

from billing_ui.billing.expiry import Expiry, expiry_of
from billing_ui.billing.services import Services
from billing_ui.billing.summary import PaymentMethodSummary, PlanSummary, load_billing
from billing_ui.billing.sync import sync_customer
from billing_ui.payments.types import SnapshotSubscription, SubscriptionState
from tests.unit.billing.factories import (
    NOW,
    PRO_YEARLY,
    RENEWAL,
    TEAM,
    canceling,
    item,
    new_account,
    snapshot,
    subscription,
)
from tests.unit.billing.fake_driver import FakeDriver


def card_until(month: int, year: int) -> PaymentMethodSummary:
    """Return a card whose last month this is."""
    return PaymentMethodSummary("card", "visa", "4242", month, year)


async def plans_of(services: Services, driver: FakeDriver, *sold: Any) -> tuple[PlanSummary, ...]:
    """Return the plans of a team with these subscriptions."""
    account = await new_account(services, customer="cus_1")
    driver.has(snapshot(*sold))
    await sync_customer(services, account.customer)
    return (await load_billing(services, account.identity)).plans


FEBRUARY = datetime(2027, 2, 3, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("month", "year", "pays", "misses"),
    [
        (11, 2026, None, RENEWAL),
        (12, 2026, None, RENEWAL),
        (1, 2027, RENEWAL, FEBRUARY),
        (2, 2027, RENEWAL, None),
        (4, 2030, RENEWAL, None),
    ],
)
async def test_a_card_pays_the_renewals_before_its_month_ends(
    shop: Services,
    driver: FakeDriver,
    month: int,
    year: int,
    pays: datetime | None,
    misses: datetime | None,
) -> None:
    plans = await plans_of(shop, driver, subscription(TEAM, 24))
    expiry = expiry_of(card_until(month, year), plans, NOW)
    assert expiry is not None
    assert (expiry.plan, expiry.pays, expiry.misses) == ("Team", pays, misses)


async def test_a_year_is_billed_a_year_later(shop: Services, driver: FakeDriver) -> None:
    plans = await plans_of(shop, driver, subscription(PRO_YEARLY))
    expiry = expiry_of(card_until(12, 2027), plans, NOW)
    assert expiry
    assert (expiry.pays, expiry.misses) == (RENEWAL, RENEWAL.replace(year=2028))


async def test_a_month_after_the_last_of_january_is_the_last_of_february(
    shop: Services, driver: FakeDriver
) -> None:
    last = datetime(2027, 1, 31, 12, tzinfo=UTC)
    sold = subscription(
        current_period_end=last, items=(item(current_period_end=last, interval="month"),)
    )
    expiry = expiry_of(card_until(1, 2027), await plans_of(shop, driver, sold), NOW)
    assert expiry
    assert expiry.misses == datetime(2027, 2, 28, 12, tzinfo=UTC)


@pytest.mark.parametrize("stopping", [canceling(TEAM), subscription(TEAM, pauses_at=RENEWAL)])
async def test_nothing_is_missed_where_nothing_renews(
    shop: Services, driver: FakeDriver, stopping: SnapshotSubscription
) -> None:
    plans = await plans_of(shop, driver, stopping)
    assert expiry_of(card_until(12, 2026), plans, NOW) == Expiry(datetime(2027, 1, 1, tzinfo=UTC))


async def test_a_trial_that_becomes_a_plan_is_paid_like_a_renewal(
    shop: Services, driver: FakeDriver
) -> None:
    trial = subscription(state=SubscriptionState.TRIALING, trial_end=RENEWAL)
    expiry = expiry_of(card_until(12, 2026), await plans_of(shop, driver, trial), NOW)
    assert expiry
    assert expiry.misses == RENEWAL


def test_what_does_not_expire_has_no_expiry() -> None:
    assert expiry_of(PaymentMethodSummary("sepa_debit", None, "3000", None, None), (), NOW) is None
