"""Whatever is sent, the answer is Stripe-shaped: never a crash, never a half-done change."""

import json
from contextlib import suppress
from typing import Any

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing_ui.sandbox.stripe.errors import StripeError
from billing_ui.sandbox.stripe.http import decode_form
from tests.sandbox.shop import Shop

KEY = {"Authorization": "Bearer sk_test_hostile"}

VALUES = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ["", "true", "null", "0", "-1", "1e999", "NaN", "Infinity", "9" * 40, "-" + "9" * 15]
    ),
    st.sampled_from(["999999999999999", "٣", "\x00", "../..", "{x.y}", "%", "cus_1", "now"]),
)
NAMES = st.sampled_from(
    [
        *("customer", "items", "items[]", "items[0]", "items[0][price]", "items[0][quantity]"),
        *("items[x][price]", "items[1][price]", "metadata", "metadata[a]", "metadata[a][b]"),
        *("expand[]", "expand[0]", "expand[a]", "trial_end", "cancel_at", "trial_period_days"),
        *("currency", "unit_amount", "unit_amount_decimal", "recurring[interval]", "product"),
        *("recurring[interval_count]", "amount", "limit", "starting_after", "created[gte]"),
        *("created", "query", "name", "email", "[", "]", "a[", "a]b", "features", "card[number]"),
    ]
)
PATHS = st.sampled_from(
    [
        *("/v1/customers", "/v1/subscriptions", "/v1/prices", "/v1/products", "/v1/invoices"),
        *("/v1/invoiceitems", "/v1/payment_methods", "/v1/checkout/sessions", "/v1/events"),
        *(
            "/v1/billing_portal/sessions",
            "/v1/billing_portal/configurations",
            "/v1/payment_intents",
        ),
        *("/v1/customers/search", "/v1/subscriptions/sub_1", "/v1/customers/%00", "/v1/", "/v1//x"),
    ]
)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    method=st.sampled_from(["GET", "POST", "DELETE"]),
    path=PATHS,
    pairs=st.lists(st.tuples(NAMES, VALUES), max_size=6),
)
def test_every_request_is_answered_in_stripes_shape(
    shop: Shop, method: str, path: str, pairs: list[tuple[str, str]]
) -> None:
    sent: Any = {"params": pairs} if method != "POST" else {"data": dict(pairs)}
    answer = httpx.request(method, shop.origin + path, headers=KEY, **sent)
    body = answer.json()
    assert answer.status_code < 500, body
    if answer.status_code >= 400:
        assert body["error"]["type"] in ("invalid_request_error", "card_error")
        assert body["error"]["message"]


@given(st.lists(st.tuples(st.text(max_size=12), st.text(max_size=5)), max_size=8))
def test_any_form_is_decoded_or_refused(pairs: list[tuple[str, str]]) -> None:
    with suppress(StripeError):
        json.dumps(decode_form(pairs))


def test_numbers_beyond_reason_are_refused(shop: Shop) -> None:
    customer, plan = shop.customer(), shop.plans["Pro"]

    def refused(path: str, **data: str) -> str:
        answer = httpx.post(shop.origin + path, headers=KEY, data=data)
        assert answer.status_code == 400, answer.text
        message: str = answer.json()["error"]["message"]
        return message

    base = {"customer": customer, "items[0][price]": plan.monthly}
    far = refused("/v1/subscriptions", **base, trial_end="99999999999")
    assert "five years in the future" in far
    past = refused("/v1/subscriptions", **base, trial_end="1")
    assert "in the future" in past
    many = refused("/v1/subscriptions", **{**base, "items[0][quantity]": "99999999"})
    assert "Quantity must be between" in many
    huge = refused("/v1/prices", currency="usd", product=plan.product, unit_amount="9" * 13)
    assert "This value must be" in huge
    assert "Invalid integer" in refused("/v1/subscriptions", **base, trial_end="9" * 30)
