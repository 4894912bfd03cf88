"""Paddle's entities as ours: every status, scheduled changes, what was paid with, and what is an invoice."""

from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pytest
from paddle_billing.Entities.PaymentMethod import PaymentMethod
from paddle_billing.Entities.Price import Price
from paddle_billing.Entities.Shared import CustomData, TransactionStatus
from paddle_billing.Entities.Subscription import Subscription
from paddle_billing.Entities.Subscriptions import SubscriptionStatus
from paddle_billing.Entities.Transaction import Transaction

from billing_ui.payments.mapping import generation_in, team_in
from billing_ui.payments.paddle import mapping
from billing_ui.payments.types import SubscriptionState
from billing_ui.sandbox.core.outbox import Outbox
from billing_ui.sandbox.core.store import Store
from billing_ui.sandbox.paddle import shapes, transaction_shapes
from billing_ui.sandbox.paddle.dialect import PaddleDialect
from billing_ui.sandbox.shop.model import Card
from billing_ui.sandbox.shop.model import Subscription as Kept
from billing_ui.sandbox.shop.shop import Shop

Json = dict[str, Any]
EFFECTIVE = "2027-01-03T00:00:00.000000Z"
RESUMES = "2027-03-03T00:00:00Z"


@pytest.fixture
def shop() -> Shop:
    """An empty shop."""
    store = Store(":memory:")
    return Shop(store, Outbox(store), PaddleDialect(), "http://127.0.0.1:1", "Acme Cloud")


@pytest.fixture
def bought(shop: Shop) -> Json:
    """A subscription as Paddle answers it."""
    price = shop.create_price(shop.create_product("Pro").id, 14900)
    customer = shop.create_customer("ada@example.com", metadata={"team_id": "nobody's"})
    shop.add_card(customer.id)
    return shapes.subscription(shop, shop.subscribe(customer.id, price.id))


@pytest.fixture
def billed(shop: Shop, bought: Json) -> Json:
    """Its transaction as Paddle answers it."""
    invoice = shop.latest_invoice(bought["id"])
    assert invoice is not None
    return transaction_shapes.transaction(shop, invoice)


def changed(document: Json, **fields: Any) -> Json:
    """Return a copy with other fields."""
    return {**deepcopy(document), **fields}


def subscription(document: Json, **fields: Any) -> Subscription:
    return Subscription.from_dict(changed(document, **fields))


def transaction(document: Json, **fields: Any) -> Transaction:
    return Transaction.from_dict(changed(document, **fields))


# ---------------------------------------------------------------- statuses

EXPECTED = {
    "active": SubscriptionState.ACTIVE,
    "canceled": SubscriptionState.ENDED,
    "past_due": SubscriptionState.PAST_DUE,
    "paused": SubscriptionState.PAUSED,
    "trialing": SubscriptionState.TRIALING,
    # Paddle says nothing of what it means.
    "inactive": SubscriptionState.UNKNOWN,
}


def test_every_status_the_sdk_knows_is_looked_at() -> None:
    assert {str(status) for status in SubscriptionStatus.members().values()} == set(EXPECTED)


@pytest.mark.parametrize(("status", "state"), [*EXPECTED.items(), ("new", "unknown")])
def test_every_status_has_its_state_and_stays_as_it_is(
    status: str, state: SubscriptionState, bought: Json
) -> None:
    mapped = mapping.subscription_of(subscription(bought, status=status), bought)
    assert (mapped.status, mapped.state) == (status, state)


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("active", SubscriptionState.CANCELING),
        ("trialing", SubscriptionState.CANCELING),
        ("past_due", SubscriptionState.PAST_DUE),
        ("paused", SubscriptionState.PAUSED),
        ("canceled", SubscriptionState.ENDED),
    ],
)
def test_a_scheduled_cancellation_is_told_with_its_day(
    status: str, state: SubscriptionState, bought: Json
) -> None:
    change = {"action": "cancel", "effective_at": EFFECTIVE, "resume_at": None}
    mapped = mapping.subscription_of(
        subscription(bought, status=status, scheduled_change=change, canceled_at=EFFECTIVE), bought
    )
    day = datetime(2027, 1, 3, tzinfo=UTC)
    ended = state is SubscriptionState.ENDED
    assert mapped.state is state
    assert mapped.cancel_at == (None if ended else day)
    assert mapped.ended_at == (day if ended else None)


@pytest.mark.parametrize(
    ("status", "change", "resumes", "state"),
    [
        ("active", ("pause", EFFECTIVE, None), None, SubscriptionState.ACTIVE),
        ("active", ("pause", EFFECTIVE, RESUMES), RESUMES, SubscriptionState.ACTIVE),
        ("paused", ("resume", RESUMES, None), RESUMES, SubscriptionState.PAUSED),
        ("paused", None, None, SubscriptionState.PAUSED),
    ],
)
def test_a_pause_is_told_with_its_end(
    status: str,
    change: tuple[str, str, str | None] | None,
    resumes: str | None,
    state: SubscriptionState,
    bought: Json,
) -> None:
    names = ("action", "effective_at", "resume_at")
    scheduled = dict(zip(names, change, strict=True)) if change else None
    mapped = mapping.subscription_of(
        subscription(
            bought, status=status, scheduled_change=scheduled, current_billing_period=None
        ),
        bought,
    )
    assert (mapped.state, mapped.cancel_at) == (state, None)
    coming = change and change[0] == "pause"
    assert mapped.pauses_at == (datetime.fromisoformat(EFFECTIVE) if coming else None)
    assert mapped.resumes_at == (datetime.fromisoformat(resumes) if resumes else None)
    assert mapped.current_period_end is None


def test_every_status_of_a_transaction_is_one_of_an_invoice(billed: Json) -> None:
    known = {str(status) for status in TransactionStatus.members().values()}
    assert known == set(mapping.INVOICE_STATUSES)
    said = {
        status: mapping.invoice_of(transaction(billed, status=status), billed).status
        for status in (*sorted(known), "new")
    }
    assert said == {
        "billed": "open",
        "canceled": "void",
        "completed": "paid",
        "draft": "draft",
        "new": "new",
        "paid": "paid",
        "past_due": "open",
        "ready": "draft",
    }


# ---------------------------------------------------------------- invoices


@pytest.mark.parametrize(
    ("fields", "is_one"),
    [
        ({}, True),
        ({"status": "past_due"}, True),
        ({"status": "draft", "invoice_number": None}, False),
        ({"status": "ready"}, False),
        ({"origin": "subscription_payment_method_change"}, False),
        ({"status": "canceled"}, True),
        ({"status": "canceled", "invoice_number": None}, True),
        ({"status": "canceled", "invoice_number": None, "billed_at": None}, False),
    ],
)
def test_an_invoice_is_what_was_billed(fields: Json, is_one: bool, billed: Json) -> None:
    assert mapping.is_invoice(transaction(billed, **fields)) is is_one


def test_a_transaction_of_nothing_is_an_invoice_only_with_a_number(billed: Json) -> None:
    nothing = changed(billed)
    nothing["details"]["totals"]["total"] = "0"
    assert mapping.is_invoice(transaction(nothing))
    assert not mapping.is_invoice(transaction(nothing, invoice_number=None))


def test_credit_and_what_is_still_owed_are_told(billed: Json) -> None:
    owed = changed(billed, status="past_due")
    owed["details"]["totals"] |= {"credit": "900", "grand_total": "14000", "balance": "4000"}
    invoice = mapping.invoice_of(transaction(owed), owed)
    assert (invoice.total, invoice.amount_due) == (14900, 14000)
    assert (invoice.amount_paid, invoice.amount_remaining) == (10000, 4000)


@pytest.mark.parametrize("balance", ["0", "14900"])
def test_nothing_was_paid_of_what_was_canceled_and_nothing_is_owed(
    balance: str, billed: Json
) -> None:
    void = changed(billed, status="canceled")
    void["details"]["totals"]["balance"] = balance
    invoice = mapping.invoice_of(transaction(void), void)
    assert (invoice.total, invoice.amount_due) == (14900, 14900)
    assert (invoice.amount_paid, invoice.amount_remaining) == (0, 0)


def test_an_invoice_to_be_paid_by_hand_is_due_after_its_terms(billed: Json) -> None:
    terms = {"interval": "week", "frequency": 2}
    details = {"enable_checkout": True, "payment_terms": terms}
    fields = {"billed_at": EFFECTIVE, "billing_details": details}
    manual = mapping.invoice_of(transaction(billed, **fields), billed)
    assert manual.due_at == datetime(2027, 1, 17, tzinfo=UTC)
    assert mapping.invoice_of(transaction(billed), billed).due_at is None


# ---------------------------------------------------------------- what is paid with


def saved(shop: Shop) -> list[PaymentMethod]:
    [customer] = {card.customer for card in shop.find(Card)}
    return [PaymentMethod.from_dict(shapes.payment_method(card)) for card in shop.cards(customer)]


def test_what_was_last_paid_with_is_the_default(shop: Shop, billed: Json) -> None:
    shop.add_card(billed["customer_id"], "5555555555554444", default=False)
    methods = mapping.payment_methods_of(saved(shop), [transaction(billed)], live=True)
    assert {method.brand: method.is_default for method in methods} == {
        "visa": True,
        "mastercard": False,
    }


def test_a_method_that_only_the_subscription_knows_is_told(billed: Json) -> None:
    methods = mapping.payment_methods_of([], [transaction(billed)], live=True)
    assert [(method.last4, method.is_default) for method in methods] == [("4242", True)]
    assert mapping.payment_methods_of([], [transaction(billed)], live=False) == ()


def test_a_method_that_was_removed_is_not_told(billed: Json) -> None:
    gone = changed(billed)
    gone["payments"][0]["payment_method_id"] = None
    older = transaction(billed)
    assert mapping.payment_methods_of([], [transaction(gone), older], live=True) == ()


def test_a_payment_that_failed_says_nothing_of_the_default(shop: Shop, billed: Json) -> None:
    failed = changed(billed)
    failed["payments"][0]["status"] = "error"
    [method] = mapping.payment_methods_of(saved(shop), [transaction(failed)], live=True)
    assert not method.is_default


# ---------------------------------------------------------------- the rest


def test_links_that_let_somebody_in_or_pay_are_not_kept(bought: Json, billed: Json) -> None:
    assert bought["management_urls"]["cancel"]
    assert "management_urls" not in mapping.subscription_of(subscription(bought), bought).raw
    assert "checkout" not in mapping.invoice_of(transaction(billed), billed).raw


@pytest.mark.parametrize(
    ("overrides", "currency", "amount"),
    [
        ([], "usd", 14900),
        ([], "eur", None),
        ([(["DE"], "13900")], "eur", 13900),
        ([(["DE"], "13900"), (["FR"], "13900")], "eur", 13900),
        ([(["DE"], "13900"), (["FR"], "12900")], "eur", None),
    ],
)
def test_an_amount_is_told_where_the_price_says_it(
    overrides: list[tuple[list[str], str]], currency: str, amount: int | None, bought: Json
) -> None:
    price = changed(
        bought["items"][0]["price"],
        unit_price_overrides=[
            {"country_codes": codes, "unit_price": {"amount": euros, "currency_code": "EUR"}}
            for codes, euros in overrides
        ],
    )
    assert mapping.unit_amount(Price.from_dict(price), currency) == amount


@pytest.mark.parametrize("value", [None, {}, [], ["team_id"], {"team_id": 7}, {"team_id": "x"}])
def test_somebody_elses_data_names_no_team(value: Any) -> None:
    data = None if value is None else CustomData(value)
    assert team_in(mapping.text_in(data, "team_id")) is None
    assert generation_in(mapping.text_in(data, "generation")) == 1


def test_a_next_transaction_tells_the_prorated_part(shop: Shop, bought: Json) -> None:
    foreseen = shapes.next_transaction(shop, shop.get(Kept, bought["id"]))
    assert foreseen is not None
    [line] = foreseen["details"]["line_items"]
    period = {"starts_at": EFFECTIVE, "ends_at": RESUMES}
    part = changed(line, proration={"rate": "0.5", "billing_period": period})
    part["totals"]["total"] = "7450"
    foreseen["details"]["line_items"].append(part)
    read = subscription(bought, next_transaction=foreseen)
    assert read.next_transaction is not None
    told = mapping.next_invoice_of(read, read.next_transaction)
    assert (told.total, told.amount_due, told.proration) == (14900, 14900, 7450)
    assert told.prorated_at == datetime(2027, 1, 3, tzinfo=UTC)
    assert told.at == read.next_billed_at
