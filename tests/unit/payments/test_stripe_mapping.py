"""Every word of Stripe's as ours, on objects as the SDK builds them."""

from datetime import UTC, datetime
from typing import Any, get_args
from uuid import uuid4

import pytest
import stripe
from stripe.params.billing_portal import SessionCreateParams as PortalParams
from stripe.params.checkout import SessionCreateParams as CheckoutParams

from billing_ui.payments.stripe import mapping
from billing_ui.payments.types import SubscriptionState

JANUARY = int(datetime(2027, 1, 3, tzinfo=UTC).timestamp())
FEBRUARY = int(datetime(2027, 2, 3, tzinfo=UTC).timestamp())


def subscription(**fields: Any) -> stripe.Subscription:
    """Return an active subscription with one monthly item, changed by `fields`."""
    return stripe.Subscription.construct_from(
        {
            "id": "sub_1",
            "object": "subscription",
            "status": "active",
            "currency": "usd",
            "created": 1_700_000_000,
            "cancel_at": None,
            "cancel_at_period_end": False,
            "canceled_at": None,
            "ended_at": None,
            "trial_end": None,
            "pause_collection": None,
            "default_payment_method": None,
            "items": {"object": "list", "data": [item()], "has_more": False, "url": "/"},
            **fields,
        },
        "sk_test_x",
    )


def item(**fields: Any) -> dict[str, Any]:
    """Return an item of five seats, changed by `fields`."""
    return {
        "id": "si_1",
        "object": "subscription_item",
        "quantity": 5,
        "current_period_start": JANUARY - 31 * 86_400,
        "current_period_end": JANUARY,
        "price": price(),
        **fields,
    }


def price(**fields: Any) -> dict[str, Any]:
    """Return a monthly price, changed by `fields`."""
    return {
        "id": "price_1",
        "object": "price",
        "currency": "usd",
        "unit_amount": 2000,
        "nickname": None,
        "product": "prod_1",
        "recurring": {"interval": "month", "interval_count": 1},
        **fields,
    }


def mapped(**fields: Any) -> Any:
    """Return such a subscription as ours."""
    found = subscription(**fields)
    return mapping.subscription_of(found, found.items.data, {})


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("active", SubscriptionState.ACTIVE),
        ("canceled", SubscriptionState.ENDED),
        ("incomplete", SubscriptionState.INCOMPLETE),
        ("incomplete_expired", SubscriptionState.ENDED),
        ("past_due", SubscriptionState.PAST_DUE),
        ("paused", SubscriptionState.PAUSED),
        ("trialing", SubscriptionState.TRIALING),
        ("unpaid", SubscriptionState.UNPAID),
        ("a_status_of_tomorrow", SubscriptionState.UNKNOWN),
        ("", SubscriptionState.UNKNOWN),
    ],
)
def test_every_status_has_its_state_and_an_unknown_one_is_not_guessed(
    status: str, state: SubscriptionState
) -> None:
    found = mapped(status=status)
    assert (found.status, found.state) == (status, state)


def test_every_status_the_sdk_knows_is_in_the_table() -> None:
    known, _ = get_args(stripe.Subscription.__annotations__["status"])
    assert set(get_args(known)) == set(mapping.STATES)


@pytest.mark.parametrize("status", ["active", "trialing"])
def test_a_scheduled_end_is_canceling_whichever_field_says_so(status: str) -> None:
    at_period_end = mapped(status=status, cancel_at_period_end=True)
    assert at_period_end.state is SubscriptionState.CANCELING
    assert at_period_end.cancel_at == datetime(2027, 1, 3, tzinfo=UTC)
    at_a_date = mapped(status=status, cancel_at=FEBRUARY)
    assert at_a_date.state is SubscriptionState.CANCELING
    assert at_a_date.cancel_at == datetime(2027, 2, 3, tzinfo=UTC)


def test_an_overdue_subscription_stays_past_due_when_it_is_going_to_end() -> None:
    found = mapped(status="past_due", cancel_at=FEBRUARY)
    assert found.state is SubscriptionState.PAST_DUE
    assert found.cancel_at == datetime(2027, 2, 3, tzinfo=UTC)


def test_an_ended_subscription_is_not_going_to_end() -> None:
    found = mapped(status="canceled", cancel_at=JANUARY, canceled_at=JANUARY, ended_at=JANUARY)
    assert found.state is SubscriptionState.ENDED
    assert found.cancel_at is None
    assert found.ended_at == datetime(2027, 1, 3, tzinfo=UTC)


@pytest.mark.parametrize("resumes_at", [None, FEBRUARY])
def test_a_paused_collection_is_paused_until_it_resumes(resumes_at: int | None) -> None:
    found = mapped(pause_collection={"behavior": "void", "resumes_at": resumes_at})
    assert found.status == "active"
    assert found.state is SubscriptionState.PAUSED
    assert found.resumes_at == mapping.moment(resumes_at)


def test_a_scheduled_end_outweighs_a_pause() -> None:
    found = mapped(cancel_at=FEBRUARY, pause_collection={"behavior": "void", "resumes_at": None})
    assert found.state is SubscriptionState.CANCELING


def test_the_renewal_is_the_earliest_of_all_items() -> None:
    yearly = item(id="si_2", current_period_start=JANUARY - 86_400, current_period_end=FEBRUARY)
    found = mapped(items={"object": "list", "data": [yearly, item()], "has_more": False})
    assert found.current_period_end == datetime(2027, 1, 3, tzinfo=UTC)
    assert found.current_period_start == datetime(2026, 12, 3, tzinfo=UTC)
    assert [one.id for one in found.items] == ["si_2", "si_1"]


def test_a_subscription_without_items_has_no_renewal() -> None:
    found = mapped(items={"object": "list", "data": [], "has_more": False})
    assert (found.items, found.current_period_end) == ((), None)


@pytest.mark.parametrize(
    "fields",
    [
        {"recurring": {"interval": "month", "interval_count": 1, "usage_type": "metered"}},
        {"transform_quantity": {"divide_by": 10, "round": "up"}},
        {"unit_amount": None},
    ],
)
def test_what_is_not_paid_by_the_unit_has_no_unit_amount(fields: dict[str, Any]) -> None:
    items = {"object": "list", "data": [item(price=price(**fields))], "has_more": False}
    assert [found.unit_amount for found in mapped(items=items).items] == [None]


def test_a_metered_item_has_no_quantity_and_a_tiered_price_no_amount() -> None:
    metered = {name: value for name, value in item().items() if name != "quantity"}
    metered["price"] = price(unit_amount=None)
    (found,) = mapped(items={"object": "list", "data": [metered], "has_more": False}).items
    assert (found.quantity, found.unit_amount) == (None, None)


@pytest.mark.parametrize(
    ("product", "nickname", "name", "unit"),
    [
        (
            {"id": "prod_1", "object": "product", "name": "Team", "unit_label": "seat"},
            "x",
            "Team",
            "seat",
        ),
        ({"id": "prod_1", "object": "product", "name": "Pro"}, None, "Pro", None),
        ({"id": "prod_1", "object": "product", "deleted": True}, "Gone", "Gone", None),
        ({"id": "prod_1", "object": "product", "deleted": True}, None, "prod_1", None),
        ("prod_1", None, "prod_1", None),
    ],
)
def test_a_plan_is_named_after_its_product(
    product: Any, nickname: str | None, name: str, unit: str | None
) -> None:
    found = subscription()
    known = stripe.Price.construct_from(price(product=product, nickname=nickname), "sk_test_x")
    (made,) = mapping.subscription_of(found, found.items.data, {"price_1": known}).items
    assert (made.plan_name, made.product_id, made.unit_label) == (name, "prod_1", unit)


@pytest.mark.parametrize(
    ("currency", "amount"), [("usd", 2000), ("eur", 1800), ("jpy", None), ("gbp", None)]
)
def test_an_amount_is_the_one_in_the_currency_asked_for(currency: str, amount: int | None) -> None:
    options = {
        "usd": {"unit_amount": 2000},
        "eur": {"unit_amount": 1800},
        "jpy": {"unit_amount": None},
    }
    found = stripe.Price.construct_from(price(currency_options=options), "sk_test_x")
    assert mapping.unit_amount(found, currency) == amount


def test_an_amount_in_another_currency_is_not_guessed_without_its_options() -> None:
    found = stripe.Price.construct_from(price(), "sk_test_x")
    assert mapping.unit_amount(found, "eur") is None


def customer(**fields: Any) -> stripe.Customer:
    """Return a customer who has nothing, changed by `fields`."""
    return stripe.Customer.construct_from(
        {
            "id": "cus_1",
            "object": "customer",
            "metadata": {},
            "email": None,
            "name": None,
            "phone": None,
            "address": None,
            "currency": None,
            "default_source": None,
            "invoice_settings": {"default_payment_method": None},
            **fields,
        },
        "sk_test_x",
    )


def test_the_default_payment_method_is_the_customers_else_the_live_subscriptions() -> None:
    ended = subscription(status="canceled", default_payment_method="pm_ended")
    live = subscription(status="past_due", default_payment_method="pm_live")
    chosen = customer(invoice_settings={"default_payment_method": "pm_chosen"})
    assert mapping.default_payment_method(chosen, [ended, live]) == "pm_chosen"
    assert mapping.default_payment_method(customer(), [ended, live]) == "pm_live"
    assert mapping.default_payment_method(customer(), [ended]) is None
    assert mapping.default_payment_method(customer(default_source="card_1"), [ended]) == "card_1"


@pytest.mark.parametrize("metadata", [{}, {"team_id": "not one of ours"}, {"team_id": ""}, None])
def test_a_customer_without_a_team_of_ours_is_nobodys(metadata: Any) -> None:
    assert mapping.customer_of(customer(metadata=metadata)).team_id is None


def test_a_customer_keeps_what_invoices_are_addressed_with() -> None:
    team_id = uuid4()
    found = mapping.customer_of(
        customer(
            metadata={"team_id": str(team_id)},
            name="Northwind Labs",
            address={
                **dict.fromkeys(("line2", "state"), None),
                **{"line1": "1 Main St", "city": "Berlin", "postal_code": "10115", "country": "DE"},
            },
            tax_ids={"object": "list", "data": [{"type": "eu_vat", "value": "DE123456789"}]},
        )
    )
    assert found.team_id == team_id
    assert found.address is not None
    assert (found.address.line1, found.address.country) == ("1 Main St", "DE")
    assert [(tax_id.type, tax_id.value) for tax_id in found.tax_ids] == [("eu_vat", "DE123456789")]


@pytest.mark.parametrize(
    ("type_", "details", "shown"),
    [
        (
            "card",
            {"brand": "visa", "last4": "4242", "exp_month": 8, "exp_year": 2027},
            ("visa", "4242", 8, 2027),
        ),
        (
            "us_bank_account",
            {"bank_name": "STRIPE TEST BANK", "last4": "6789"},
            ("STRIPE TEST BANK", "6789", None, None),
        ),
        ("sepa_debit", {"last4": "3000", "bank_code": "37040044"}, (None, "3000", None, None)),
        ("paypal", {"payer_email": "a@example.com"}, (None, None, None, None)),
        ("a_type_of_tomorrow", None, (None, None, None, None)),
    ],
)
def test_a_payment_method_of_any_type_shows_what_it_has(
    type_: str, details: Any, shown: tuple[Any, ...]
) -> None:
    fields = {} if details is None else {type_: details}
    found = mapping.payment_method_of(
        stripe.PaymentMethod.construct_from({"id": "pm_1", "type": type_, **fields}, "sk_test_x"),
        "pm_1",
    )
    assert (found.brand, found.last4, found.exp_month, found.exp_year) == shown
    assert (found.type, found.is_default) == (type_, True)


@pytest.mark.parametrize(
    ("tag", "locale"),
    [
        ("en-US", "en"),
        ("en-GB", "en-GB"),
        ("EN_gb", "en-GB"),
        ("de-CH", "de"),
        ("pt-BR", "pt-BR"),
        ("es-419", "es-419"),
        ("zh-Hant-TW", "zh"),
        ("tlh", None),
        ("", None),
        (None, None),
    ],
)
def test_a_language_tag_becomes_the_nearest_locale_of_stripes(
    tag: str | None, locale: str | None
) -> None:
    assert mapping.locale_of(tag) == locale


@pytest.mark.parametrize("params", [PortalParams, CheckoutParams])
def test_stripe_has_every_locale_in_both_portal_and_checkout(params: Any) -> None:
    named = str(params.__annotations__["locale"])
    assert [locale for locale in mapping.LOCALES if f"'{locale}'" not in named] == []
