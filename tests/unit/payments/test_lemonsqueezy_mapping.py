"""Every word of Lemon Squeezy's as ours."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from billing_ui.payments.lemonsqueezy import mapping
from billing_ui.payments.lemonsqueezy.resources import (
    CustomerAttributes,
    InvoiceAttributes,
    PriceAttributes,
    Resource,
    SubscriptionAttributes,
)
from billing_ui.payments.types import Address, SubscriptionState
from tests.unit.payments.lemon import resource
from tests.unit.payments.requests import payer

KEY = b"the key of the tests"
CREATED = "2026-01-03T10:00:00.000000Z"
RENEWS = "2027-01-03T10:00:00.000000Z"
ENDS = "2027-02-03T10:00:00.000000Z"


def moment(text: str) -> datetime:
    """Return a time of Lemon Squeezy's."""
    return datetime.fromisoformat(text)


def subscription(id_: str = "7", **fields: Any) -> Resource[SubscriptionAttributes]:
    """Return an active subscription of five, changed by `fields`."""
    return resource(
        SubscriptionAttributes,
        id_,
        **{
            "store_id": 1,
            "customer_id": 3,
            "product_id": 11,
            "variant_id": 12,
            "product_name": "Team",
            "status": "active",
            "card_brand": "visa",
            "card_last_four": "4242",
            "pause": None,
            "trial_ends_at": None,
            "renews_at": RENEWS,
            "ends_at": None,
            "first_subscription_item": {"id": 70, "price_id": 912, "quantity": 5},
            "urls": {"customer_portal": "https://portal.test/?signature=secret"},
            "created_at": CREATED,
            **fields,
        },
    )


def price(**fields: Any) -> Resource[PriceAttributes]:
    """Return a monthly price, changed by `fields`."""
    return resource(
        PriceAttributes,
        "912",
        **{
            "variant_id": 12,
            "category": "subscription",
            "scheme": "standard",
            "unit_price": 2000,
            "renewal_interval_unit": "month",
            "renewal_interval_quantity": 1,
            "created_at": CREATED,
            **fields,
        },
    )


def customer(**fields: Any) -> Resource[CustomerAttributes]:
    """Return a customer, changed by `fields`."""
    values = {
        "store_id": 1,
        "name": "Northwind Labs",
        "email": "billing@northwind.example",
        "city": None,
        "region": None,
        "country": None,
        "urls": {"customer_portal": None},
        "created_at": CREATED,
        **fields,
    }
    return resource(CustomerAttributes, "3", **values)


def invoice(**fields: Any) -> Resource[InvoiceAttributes]:
    """Return a paid invoice, changed by `fields`."""
    values = {
        "store_id": 1,
        "customer_id": 3,
        "subscription_id": 7,
        "currency": "USD",
        "status": "paid",
        "total": 10000,
        "urls": {"invoice_url": "https://pdf.test/1"},
        "created_at": CREATED,
        **fields,
    }
    return resource(InvoiceAttributes, "21", **values)


# ---------------------------------------------------------------- statuses


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("on_trial", SubscriptionState.TRIALING),
        ("active", SubscriptionState.ACTIVE),
        ("paused", SubscriptionState.PAUSED),
        ("past_due", SubscriptionState.PAST_DUE),
        ("unpaid", SubscriptionState.UNPAID),
        ("cancelled", SubscriptionState.CANCELING),
        ("expired", SubscriptionState.ENDED),
    ],
)
def test_every_status_has_its_state(status: str, state: SubscriptionState) -> None:
    told = mapping.subscription_of(subscription(status=status), price(), "usd")
    assert (told.status, told.state) == (status, state)
    assert status in mapping.STATES


def test_there_is_no_status_without_a_test() -> None:
    assert len(mapping.STATES) == 7


@pytest.mark.parametrize("status", ["", "Active", "frozen", "canceled"])
def test_a_status_nobody_knows_is_told_as_it_is(status: str) -> None:
    told = mapping.subscription_of(subscription(status=status), price(), "usd")
    assert (told.status, told.state) == (status, SubscriptionState.UNKNOWN)


@pytest.mark.parametrize(
    ("status", "ours", "paid", "remaining"),
    [
        ("pending", "open", 0, 10000),
        ("paid", "paid", 10000, 0),
        ("partial_refund", "paid", 10000, 0),
        ("refunded", "refunded", 10000, 0),
        ("void", "void", 0, 0),
        ("bewitched", "bewitched", 0, 0),
    ],
)
def test_every_status_of_an_invoice_is_told(
    status: str, ours: str, paid: int, remaining: int
) -> None:
    told = mapping.invoice_of(invoice(status=status))
    assert (told.status, told.amount_paid, told.amount_remaining) == (ours, paid, remaining)
    assert (told.total, told.currency, told.subscription_id) == (10000, "usd", "7")


# ---------------------------------------------------------------- periods


def test_an_active_one_renews_at_the_end_of_its_period() -> None:
    told = mapping.subscription_of(subscription(), price(), "usd")
    assert told.current_period_end == told.items[0].current_period_end == moment(RENEWS)
    assert (told.cancel_at, told.ended_at, told.trial_end) == (None, None, None)


def test_a_canceled_one_ends_when_its_grace_is_over() -> None:
    told = mapping.subscription_of(subscription(status="cancelled", ends_at=ENDS), price(), "usd")
    assert told.cancel_at == told.current_period_end == moment(ENDS)
    assert told.ended_at is None


def test_an_expired_one_has_ended_and_is_not_canceled_any_more() -> None:
    told = mapping.subscription_of(subscription(status="expired", ends_at=ENDS), price(), "usd")
    assert (told.ended_at, told.cancel_at) == (moment(ENDS), None)


def test_the_next_try_to_charge_is_not_taken_for_the_end_of_a_period() -> None:
    told = mapping.subscription_of(subscription(status="past_due"), price(), "usd")
    assert told.current_period_end is None


def test_a_pause_says_when_it_ends() -> None:
    paused = subscription(status="paused", pause={"mode": "void", "resumes_at": ENDS})
    assert mapping.subscription_of(paused, price(), "usd").resumes_at == moment(ENDS)


def test_a_trial_without_an_item_is_priced_all_the_same() -> None:
    trial = subscription(status="on_trial", trial_ends_at=ENDS, first_subscription_item=None)
    told = mapping.subscription_of(trial, price(), "usd")
    assert told.trial_end == moment(ENDS)
    assert (told.items[0].unit_amount, told.items[0].interval) == (2000, "month")
    assert (
        told.items[0].id != mapping.subscription_of(subscription("8"), price(), "usd").items[0].id
    )


# ---------------------------------------------------------------- what is paid for


def test_an_item_names_the_variant_as_its_price() -> None:
    [item] = mapping.subscription_of(subscription(), price(), "usd").items
    assert (item.price_id, item.product_id, item.plan_name) == ("12", "11", "Team")
    assert (item.quantity, item.unit_amount, item.currency) == (5, 2000, "usd")


@pytest.mark.parametrize(
    "terms",
    [
        {"scheme": "graduated", "unit_price": None},
        {"scheme": "volume", "unit_price": 5},
        {"scheme": "package", "unit_price": 5},
        {"usage_aggregation": "sum", "unit_price": None},
        {"category": "pwyw", "unit_price": 5},
    ],
)
def test_what_is_not_paid_by_the_unit_has_no_amount(terms: dict[str, Any]) -> None:
    [item] = mapping.subscription_of(subscription(), price(**terms), "usd").items
    assert item.unit_amount is None


def test_metered_use_has_no_quantity() -> None:
    metered = subscription(
        first_subscription_item={"id": 70, "price_id": 912, "quantity": 0, "is_usage_based": True}
    )
    assert mapping.subscription_of(metered, None, "usd").items[0].quantity is None


def test_each_card_is_told_once_and_the_newest_ones_is_the_default() -> None:
    methods = mapping.payment_methods_of(
        [
            subscription("9", card_last_four="4444", card_brand="mastercard"),
            subscription("8"),
            subscription("7"),
            subscription("6", card_brand=None, card_last_four=None),
            subscription("5", card_last_four="0001", status="expired"),
        ]
    )
    assert [(one.brand, one.last4, one.is_default) for one in methods] == [
        ("mastercard", "4444", True),
        ("visa", "4242", False),
    ]
    assert len({one.id for one in methods}) == 2


def test_addresses_that_let_in_are_not_kept() -> None:
    told = mapping.subscription_of(subscription(), price(), "usd")
    assert told.raw["attributes"]["product_name"] == "Team"
    assert "secret" not in str(told.raw)


# ---------------------------------------------------------------- whose customer it is


def test_a_marked_customer_says_whose_it_is_and_has_no_city_by_that() -> None:
    who = payer(generation=2)
    told = mapping.customer_of(customer(city=mapping.mark_of(who, KEY)), KEY, "usd")
    assert (told.team_id, told.generation, told.address) == (who.team_id, 2, None)
    assert (told.name, told.email, told.currency) == (who.name, who.email, "usd")


def test_a_mark_fits_into_a_line_of_an_address() -> None:
    assert len(mapping.mark_of(payer(generation=9999), KEY)) < 100


@pytest.mark.parametrize("evil", ["another key", "another e-mail", "another team", "cut off"])
def test_a_mark_that_somebody_wrote_into_an_address_means_nothing(evil: str) -> None:
    who = payer()
    mark = mapping.mark_of(who, KEY)
    forged = {
        "another key": mapping.mark_of(who, b"guessed"),
        "another e-mail": mapping.mark_of(who.model_copy(update={"email": "eve@x.test"}), KEY),
        "another team": mark.replace(str(who.team_id), str(uuid4())),
        "cut off": mark[:-1],
    }[evil]
    assert mapping.customer_of(customer(city=forged), KEY).team_id is None


@pytest.mark.parametrize(
    "city", ["billing-ui/x/1/y", "billing-ui/1/2/3/4", "a/b/c/d", "///", "ü/ü/1/ü"]
)
def test_no_city_is_mistaken_for_a_mark(city: str) -> None:
    assert mapping.customer_of(customer(city=city), KEY).team_id is None


def test_an_address_is_told_as_far_as_it_is_known() -> None:
    told = mapping.customer_of(customer(city="Oslo", country="NO"), KEY)
    assert told.address == Address(city="Oslo", country="NO")
    assert mapping.customer_of(customer(), KEY).address is None


def test_a_mark_is_the_same_each_time_and_whatever_the_case_of_the_email() -> None:
    who = payer()
    shouting = who.model_copy(update={"email": (who.email or "").upper()})
    assert mapping.mark_of(who, KEY) == mapping.mark_of(who, KEY)
    assert mapping.mark_of(shouting, KEY) == mapping.mark_of(who, KEY)


def test_times_are_aware_utc() -> None:
    assert mapping.invoice_of(invoice()).created_at == datetime(2026, 1, 3, 10, tzinfo=UTC)
