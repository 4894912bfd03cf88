"""Polar's objects as ours: every status by the table, and nothing guessed."""

from datetime import UTC, datetime
from typing import Any, get_args
from uuid import uuid4

import pytest
from polar.base import deserialize
from polar.v2026_10 import literals, outputs

from billing_ui.payments.polar import mapping
from billing_ui.payments.types import SubscriptionState, TaxId
from billing_ui.sandbox.polar import shapes
from billing_ui.sandbox.shop.model import Invoice, Subscription
from tests.unit.payments.polar_shop import Polar
from tests.unit.payments.requests import payer

EXPECTED = {
    "incomplete": SubscriptionState.INCOMPLETE,
    "incomplete_expired": SubscriptionState.ENDED,
    "trialing": SubscriptionState.TRIALING,
    "active": SubscriptionState.ACTIVE,
    "past_due": SubscriptionState.PAST_DUE,
    "canceled": SubscriptionState.ENDED,
    "unpaid": SubscriptionState.UNPAID,
    "paused": SubscriptionState.PAUSED,
}


def subscription(polar: Polar, **fields: Any) -> outputs.Subscription:
    """Return a subscription as the SDK reads it, with some fields changed."""
    customer = polar.subscriber(polar.plan(unit_label="seat"), quantity=3)
    [record] = polar.shop.find(Subscription, customer=customer.id)
    return deserialize(shapes.subscription(polar.shop, record) | fields, outputs.Subscription)


def order(polar: Polar, **fields: Any) -> outputs.Order:
    """Return an order as the SDK reads it, with some fields changed."""
    customer = polar.subscriber(polar.plan())
    [record] = polar.shop.find(Invoice, customer=customer.id)
    return deserialize(shapes.order(polar.shop, record) | fields, outputs.Order)


def test_the_table_has_every_status_the_sdk_knows() -> None:
    known = set(get_args(literals.SubscriptionStatus))
    assert set(mapping.STATES) == set(EXPECTED) == known
    assert set(mapping.INVOICE_STATUSES) == set(get_args(literals.OrderStatus))


@pytest.mark.parametrize("status", EXPECTED)
async def test_every_status_is_told_by_the_table(status: str, polar: Polar) -> None:
    mapped = mapping.subscription_of(subscription(polar, status=status))
    assert (mapped.status, mapped.state) == (status, EXPECTED[status])


async def test_a_status_nobody_knows_is_unknown_and_kept_as_it_is(polar: Polar) -> None:
    mapped = mapping.subscription_of(subscription(polar, status="hibernating"))
    assert (mapped.status, mapped.state) == ("hibernating", SubscriptionState.UNKNOWN)


async def test_a_status_of_an_order_that_nobody_knows_is_kept_as_it_is(polar: Polar) -> None:
    assert mapping.invoice_of(order(polar, status="in_dispute")).status == "in_dispute"


@pytest.mark.parametrize("status", ["active", "trialing"])
async def test_what_ends_with_its_period_is_canceling(status: str, polar: Polar) -> None:
    mapped = mapping.subscription_of(
        subscription(polar, status=status, cancel_at_period_end=True, ends_at=None)
    )
    assert mapped.state is SubscriptionState.CANCELING
    assert mapped.cancel_at == mapped.current_period_end


async def test_an_end_at_another_time_than_the_periods_is_told(polar: Polar) -> None:
    mapped = mapping.subscription_of(subscription(polar, ends_at="2031-02-03T04:05:06Z"))
    assert mapped.state is SubscriptionState.CANCELING
    assert mapped.cancel_at == datetime(2031, 2, 3, 4, 5, 6, tzinfo=UTC)


@pytest.mark.parametrize("status", ["past_due", "unpaid", "paused", "canceled"])
async def test_what_is_more_than_canceling_stays_what_it_is(status: str, polar: Polar) -> None:
    mapped = mapping.subscription_of(subscription(polar, status=status, cancel_at_period_end=True))
    assert mapped.state is EXPECTED[status]


async def test_what_pauses_with_its_period_is_active_until_then(polar: Polar) -> None:
    mapped = mapping.subscription_of(subscription(polar, pause_at_period_end=True))
    assert (mapped.state, mapped.cancel_at) == (SubscriptionState.ACTIVE, None)
    assert mapped.pauses_at == mapped.current_period_end
    assert mapped.raw["pause_at_period_end"]


@pytest.mark.parametrize(
    "fields",
    [
        {"cancel_at_period_end": True},
        {"status": "paused"},
        {"status": "canceled"},
        {"status": "hibernating"},
    ],
)
async def test_no_pause_is_promised_of_what_ends_or_has_stopped_by_then(
    fields: dict[str, Any], polar: Polar
) -> None:
    mapped = mapping.subscription_of(subscription(polar, pause_at_period_end=True, **fields))
    assert mapped.pauses_at is None


async def test_a_pause_says_when_it_ends(polar: Polar) -> None:
    mapped = mapping.subscription_of(
        subscription(polar, status="paused", resumes_at="2031-01-01T00:00:00+01:00")
    )
    assert mapped.resumes_at == datetime(2030, 12, 31, 23, tzinfo=UTC)


async def test_what_has_ended_is_not_going_to_end(polar: Polar) -> None:
    mapped = mapping.subscription_of(
        subscription(polar, status="canceled", ended_at="2026-01-01T00:00:00Z", ends_at=None)
    )
    assert (mapped.cancel_at, mapped.ended_at) == (None, datetime(2026, 1, 1, tzinfo=UTC))


async def test_seats_are_told_with_what_each_costs(polar: Polar) -> None:
    [item] = mapping.subscription_of(subscription(polar)).items
    assert (item.quantity, item.unit_amount, item.unit_label) == (3, 14900, "seat")
    assert item.price_id == item.product_id


SEATS = {"seat_tier_type": "volume", "minimum_seats": 1, "maximum_seats": None}
CHEAPER_FROM_TEN = [
    {"min_seats": 1, "max_seats": 9, "price_per_seat": 1000},
    {"min_seats": 10, "max_seats": None, "price_per_seat": 800},
]


@pytest.mark.parametrize(
    ("kind", "seats", "amount", "each"),
    [
        ("volume", 9, 9000, 1000),
        ("volume", 10, 8000, 800),
        (None, 10, 8000, 800),
        ("graduated", 10, 9800, None),
        # An amount that no price explains, such as one agreed on by hand.
        ("volume", 10, 7777, None),
    ],
)
async def test_what_a_seat_costs_is_told_only_when_each_costs_the_same(
    kind: str | None, seats: int, amount: int, each: int | None, polar: Polar
) -> None:
    known = subscription(polar)
    [price] = known.prices
    assert isinstance(price, outputs.ProductPriceSeatBased)
    price.seat_tiers = deserialize(
        {**SEATS, "seat_tier_type": kind, "tiers": CHEAPER_FROM_TEN},
        outputs.ProductPriceSeatTiersOutput,
    )
    known.seats, known.amount = seats, amount
    [item] = mapping.subscription_of(known).items
    assert (item.quantity, item.unit_amount) == (seats, each)


async def test_units_are_called_what_the_seller_calls_them(polar: Polar) -> None:
    customer = polar.subscriber(polar.plan("Storage", 50, unit_label="gigabyte"), quantity=20)
    [record] = polar.shop.find(Subscription, customer=customer.id)
    known = deserialize(shapes.subscription(polar.shop, record), outputs.Subscription)
    [item] = mapping.subscription_of(known).items
    assert (item.quantity, item.unit_amount, item.unit_label) == (20, 50, "gigabyte")


@pytest.mark.parametrize(
    ("written", "amount"), [("12", 12), ("12.000", 12), ("0.5", None), ("-3", None), ("x", None)]
)
async def test_a_fraction_of_a_cent_is_no_amount(
    written: str, amount: int | None, polar: Polar
) -> None:
    product = polar.plan("Storage", 50, unit_label="gigabyte")
    price = polar.price(product)
    shown = shapes.product_price(product, price)
    shown["tiers"]["tiers"][0]["unit_amount"] = written
    read = deserialize(shown, outputs.ProductPriceUnitBased)
    assert mapping.amount_per_unit(read) == amount


@pytest.mark.parametrize(
    ("status", "paid", "remaining"),
    [
        ("paid", True, 0),
        ("partially_refunded", True, 0),
        ("refunded", True, 0),
        ("pending", False, 14900),
        ("draft", False, 14900),
        ("void", False, 0),
    ],
)
async def test_an_order_is_an_invoice(
    status: str, paid: bool, remaining: int, polar: Polar
) -> None:
    invoice = mapping.invoice_of(order(polar, status=status, paid=paid))
    assert invoice.status == mapping.INVOICE_STATUSES[status]
    assert (invoice.total, invoice.amount_due) == (14900, 14900)
    assert (invoice.amount_paid, invoice.amount_remaining) == (14900 if paid else 0, remaining)
    assert invoice.hosted_url is invoice.pdf_url is None


async def test_a_customer_is_ours_by_its_metadata_alone(polar: Polar) -> None:
    team = uuid4()
    known = {"team_id": str(team), "generation": 2}
    ours = polar.shop.create_customer("a@example.com", metadata=known)
    foreign = polar.shop.create_customer("b@example.com", external_id=str(team))
    odd = polar.shop.create_customer("c@example.com", metadata={"team_id": "x", "generation": "y"})
    told = [
        mapping.customer_of(
            deserialize(shapes.customer(polar.shop, one), outputs.CustomerIndividual)
        )
        for one in (ours, foreign, odd)
    ]
    assert [(one.team_id, one.generation) for one in told] == [(team, 2), (None, 1), (None, 1)]


@pytest.mark.parametrize(
    ("pair", "told"),
    [
        (["DE123456789", "eu_vat"], (TaxId(type="eu_vat", value="DE123456789"),)),
        (None, ()),
        ([], ()),
        (["DE123456789"], ()),
        ([1, 2], ()),
    ],
)
async def test_a_tax_number_is_told_with_its_kind(
    pair: Any, told: tuple[TaxId, ...], polar: Polar
) -> None:
    shown = shapes.customer(polar.shop, polar.shop.create_customer("a@example.com"))
    read = deserialize(shown | {"tax_id": pair}, outputs.CustomerIndividual)
    assert mapping.customer_of(read).tax_ids == told


def test_each_generation_has_an_external_id_of_its_own() -> None:
    who = payer()
    assert mapping.external_id(who) == str(who.team_id)
    later = who.model_copy(update={"generation": 2})
    assert mapping.external_id(later) == f"{who.team_id}:2"


@pytest.mark.parametrize("text", ["2026-01-01T00:00:00", "2026-01-01T00:00:00.000000Z"])
def test_a_time_is_utc(text: str) -> None:
    assert mapping.instant(text) == datetime(2026, 1, 1, tzinfo=UTC)
