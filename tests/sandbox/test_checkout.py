"""The hosted checkout over real HTTP."""

from typing import Any

import pytest

from tests.sandbox.browser import Browser, Page
from tests.sandbox.shop import Shop
from tests.sandbox.test_portal import GOOD_CARD

SUCCESS = "https://app.example.com/welcome?session={CHECKOUT_SESSION_ID}"
CANCEL = "https://app.example.com/pricing"


def session(shop: Shop, **fields: Any) -> Any:
    """Return a new checkout session for one plan."""
    wish: Any = {
        "mode": "subscription",
        "line_items": [{"price": shop.plans["Team"].monthly, "quantity": 5}],
        "success_url": SUCCESS,
        "cancel_url": CANCEL,
        **fields,
    }
    return shop.v1.checkout.sessions.create(wish)


def opened(shop: Shop, **fields: Any) -> tuple[Any, Page]:
    """Return a new session and its page."""
    made = session(shop, **fields)
    return made, Browser().open(made.url)


def test_the_page_says_what_is_bought_and_what_it_costs(shop: Shop) -> None:
    made, page = opened(shop, customer=shop.customer(""))
    assert page.url == f"{shop.origin}/c/pay/{made.id}"
    assert page.heading == "Subscribe to Team"
    assert "Team 5 seats at $20.00 $100.00 Total due today $100.00" in page.text
    assert "Billed to billing@example.com" in page.text
    assert page.link("Back") == CANCEL
    policy = page.response.headers["content-security-policy"]
    assert "form-action 'self' https://app.example.com" in policy


def test_subscribing_completes_the_session_for_the_customer(shop: Shop) -> None:
    customer = shop.customer("")
    made, page = opened(shop, customer=customer)
    page.press("Subscribe", GOOD_CARD)
    assert page.browser.left_for == SUCCESS.format(CHECKOUT_SESSION_ID=made.id)
    now = shop.v1.checkout.sessions.retrieve(made.id)
    assert (now.status, now.payment_status, now.customer) == ("complete", "paid", customer)
    subscription = shop.subscription(str(now.subscription))
    item = subscription["items"].data[0]
    assert (subscription.status, subscription.customer) == ("active", customer)
    assert (item.price.id, item.quantity) == (shop.plans["Team"].monthly, 5)
    assert subscription.default_payment_method
    (invoice,) = shop.v1.invoices.list({"customer": customer}).data
    assert (invoice.status, invoice.amount_paid) == ("paid", 10000)
    (told,) = shop.events("checkout.session.completed", customer)
    assert told["id"] == made.id


def test_a_customer_is_made_when_none_was_given(shop: Shop) -> None:
    made, page = opened(shop)
    page.press("Subscribe", {**GOOD_CARD, "E-mail": "new@example.com"})
    now = shop.v1.checkout.sessions.retrieve(made.id, {"expand": ["customer"]})
    assert now.customer is not None
    assert not isinstance(now.customer, str)
    assert now.customer.email == "new@example.com"
    assert now.customer_details is not None
    assert now.customer_details.email == "new@example.com"


def test_an_email_given_by_the_shop_is_not_asked_for(shop: Shop) -> None:
    made, page = opened(shop, customer_email="known@example.com")
    assert "E-mail" not in page.fields
    assert "known@example.com" in page.text
    page.press("Subscribe", GOOD_CARD)
    assert shop.v1.checkout.sessions.retrieve(made.id).status == "complete"


def test_a_trial_costs_nothing_today(shop: Shop) -> None:
    data = {"trial_period_days": 14}
    made, page = opened(shop, customer=shop.customer(""), subscription_data=data)
    assert "Total due today $0.00" in page.text
    assert "14 days free, then $100.00 per month." in page.text
    page.press("Subscribe", GOOD_CARD)
    now = shop.v1.checkout.sessions.retrieve(made.id)
    assert shop.subscription(str(now.subscription)).status == "trialing"


def test_a_single_payment_is_paid(shop: Shop) -> None:
    price = {"currency": "usd", "unit_amount": 1500, "product_data": {"name": "Sticker"}}
    items = [{"price_data": price, "quantity": 2}]
    made, page = opened(shop, mode="payment", line_items=items, customer=shop.customer(""))
    assert page.heading == "Pay Acme Cloud"
    assert "Sticker 2 × $15.00 $30.00 Total due today $30.00" in page.text
    page.press("Pay", GOOD_CARD)
    now = shop.v1.checkout.sessions.retrieve(made.id)
    assert (now.status, now.payment_status) == ("complete", "paid")


@pytest.mark.parametrize("number", ["4000000000000002", "4000000000000341", "4000 0000 0000 9995"])
def test_a_declined_card_keeps_what_was_typed(shop: Shop, number: str) -> None:
    made, page = opened(shop)
    typed = {**GOOD_CARD, "Card number": number, "E-mail": "new@example.com"}
    again = page.press("Subscribe", typed)
    assert again.status == 422
    assert again.role("alert") in {"Your card was declined.", "Your card has insufficient funds."}
    assert again.fields["Card number"].attributes["value"] == number
    assert again.fields["E-mail"].attributes["value"] == "new@example.com"
    assert again.fields["CVC"].attributes["value"] == ""
    now = shop.v1.checkout.sessions.retrieve(made.id)
    assert (now.status, now.subscription) == ("open", None)
    again.press("Subscribe", GOOD_CARD)
    assert shop.v1.checkout.sessions.retrieve(made.id).status == "complete"


def test_a_bad_email_is_refused_at_its_field(shop: Shop) -> None:
    _, page = opened(shop)
    again = page.press("Subscribe", {**GOOD_CARD, "E-mail": "nobody"})
    assert (again.status, again.role("alert")) == (
        422,
        "Write the e-mail address like name@example.com.",
    )


def test_a_complete_session_says_so(shop: Shop) -> None:
    made, page = opened(shop, customer=shop.customer(""))
    page.press("Subscribe", GOOD_CARD)
    again = page.browser.open(page.url)
    assert (again.status, again.heading) == (410, "This checkout is complete")
    assert again.link("Continue") == SUCCESS.format(CHECKOUT_SESSION_ID=made.id)


def test_pressing_subscribe_twice_buys_once(shop: Shop) -> None:
    customer = shop.customer("")
    made, page = opened(shop, customer=customer)
    for _ in range(2):
        page.browser.left_for = None
        page.press("Subscribe", GOOD_CARD)
        assert page.browser.left_for == SUCCESS.format(CHECKOUT_SESSION_ID=made.id)
    assert len(shop.v1.subscriptions.list({"customer": customer}).data) == 1


def test_a_customer_deleted_meanwhile_is_said(shop: Shop) -> None:
    customer = shop.customer("")
    _, page = opened(shop, customer=customer)
    shop.v1.customers.delete(customer)
    # Without the customer nobody knows the e-mail address any more.
    again = page.press("Subscribe", GOOD_CARD)
    again = again.press("Subscribe", {**GOOD_CARD, "E-mail": "new@example.com"})
    assert (again.status, again.role("alert")) == (422, f"No such customer: '{customer}'")


def test_an_expired_session_says_so(shop: Shop) -> None:
    made, page = opened(shop)
    shop.let_time_pass(made.id, 25 * 3600)
    again = page.browser.open(page.url)
    assert (again.status, again.heading) == (410, "This checkout has expired")
    late = page.press("Subscribe", {**GOOD_CARD, "E-mail": "new@example.com"})
    assert late.heading == "This checkout has expired"


def test_an_unknown_session_is_not_found(shop: Shop) -> None:
    assert Browser().open(f"{shop.origin}/c/pay/cs_test_nothing").status == 404


def test_a_form_without_its_token_buys_nothing(shop: Shop) -> None:
    made, page = opened(shop)
    method, url, values = page.form("Subscribe")
    card = {"number": "4242424242424242", "expiry": "08/39", "cvc": "123", "email": "a@example.com"}
    assert Browser().send(method, url, {**values, **card}).status == 403
    assert page.browser.send(method, url, {**card, "token": "x"}).status == 403
    assert shop.v1.checkout.sessions.retrieve(made.id).status == "open"


def test_amounts_follow_the_session_locale(shop: Shop) -> None:
    _, page = opened(shop, locale="de", currency="eur")
    assert "95,00" in page.text
    assert "€" in page.text
