"""What Stripe would refuse, the sandbox refuses, in the same shape and words."""

from copy import deepcopy
from typing import Any

import pytest
import stripe

from tests.sandbox.shop import Shop

RETURN_URL = "https://app.example.com/billing"


def refusal(shop: Shop, method: str, path: str, **params: Any) -> Any:
    """Return the error a call is answered with."""
    with pytest.raises(stripe.StripeError) as caught:
        shop.client.raw_request(method, path, **params)
    return caught.value


@pytest.mark.parametrize(
    ("method", "path", "params", "param", "code", "message"),
    [
        (
            "post",
            "/v1/customers",
            {"emial": "x@example.com"},
            "emial",
            "parameter_unknown",
            "Received unknown parameter: emial. Did you mean email?",
        ),
        (
            "post",
            "/v1/customers",
            {"address": {"street": "x"}},
            "address[street]",
            "parameter_unknown",
            "Received unknown parameter: address[street]",
        ),
        (
            "post",
            "/v1/billing_portal/sessions",
            {"return_url": RETURN_URL},
            "customer",
            "parameter_missing",
            "Missing required param: customer.",
        ),
        (
            "get",
            "/v1/customers/search",
            {},
            "query",
            "parameter_missing",
            "Missing required param: query.",
        ),
        (
            "get",
            "/v1/subscriptions",
            {"limit": "ten"},
            "limit",
            "parameter_invalid_integer",
            "Invalid integer: ten",
        ),
        (
            "get",
            "/v1/subscriptions",
            {"limit": 500},
            "limit",
            "parameter_invalid_integer",
            "less than or equal to 100",
        ),
        (
            "get",
            "/v1/subscriptions",
            {"status": "cancelled"},
            "status",
            None,
            "Invalid status: must be one of active, all, canceled",
        ),
        ("get", "/v1/prices", {"active": "yes"}, "active", None, "Invalid boolean: yes"),
        (
            "post",
            "/v1/billing_portal/sessions",
            {"customer": ""},
            "customer",
            "parameter_invalid_empty",
            "You passed an empty string for 'customer'.",
        ),
        (
            "post",
            "/v1/billing_portal/sessions",
            {"customer": "cus_1", "return_url": "/billing"},
            "return_url",
            "url_invalid",
            "Not a valid URL",
        ),
        (
            "post",
            "/v1/billing_portal/sessions",
            {"customer": "cus_1", "return_url": "javascript:alert(1)"},
            "return_url",
            "url_invalid",
            "Not a valid URL",
        ),
        (
            "post",
            "/v1/billing_portal/sessions",
            {"customer": "cus_1", "flow_data": {"type": "cancel"}},
            "flow_data[type]",
            None,
            "Invalid flow_data[type]: must be one of customer_update",
        ),
        (
            "post",
            "/v1/customers",
            {"metadata": {"k": "x" * 501}},
            "metadata[k]",
            None,
            "Metadata values can have up to 500 characters",
        ),
        (
            "post",
            "/v1/customers",
            {"metadata": {"k": {"a": "b"}}},
            "metadata[k]",
            None,
            "Invalid string",
        ),
        (
            "post",
            "/v1/customers",
            {"metadata": {f"k{number}": "v" for number in range(51)}},
            "metadata",
            None,
            "at most 50 keys",
        ),
        (
            "post",
            "/v1/subscriptions/sub_1",
            {"billing_cycle_anchor": "now"},
            "billing_cycle_anchor",
            None,
            "Invalid object",
        ),
        (
            "post",
            "/v1/subscriptions/sub_1",
            {"plan": "price_2"},
            "plan",
            "parameter_unknown",
            "Received unknown parameter: plan",
        ),
        (
            "post",
            "/v1/checkout/sessions",
            {"mode": "payment", "payment_method_types": ["card"]},
            "payment_method_types",
            "parameter_unknown",
            "Received unknown parameter: payment_method_types",
        ),
        (
            "post",
            "/v1/customers",
            {"email": "not an address"},
            "email",
            "email_invalid",
            "Invalid email address: not an address",
        ),
        (
            "post",
            "/v1/invoices",
            {"customer_account": "acct_1"},
            "customer_account",
            None,
            "The sandbox does not support the parameter customer_account",
        ),
        (
            "post",
            "/v1/payment_intents",
            {"amount": 100, "currency": "abc"},
            "currency",
            None,
            "Invalid currency: abc.",
        ),
        (
            "get",
            "/v1/subscriptions",
            {"expand": ["data.status"]},
            "expand[0]",
            None,
            "This property cannot be expanded (data.status).",
        ),
        (
            "get",
            "/v1/subscriptions",
            {"expand": ["latest_invoice"]},
            "expand[0]",
            None,
            "You may want to try expanding 'data.latest_invoice' instead.",
        ),
        (
            "get",
            "/v1/subscriptions",
            {"expand": ["data.items.data.price.product"]},
            "expand[0]",
            None,
            "You cannot expand more than 4 levels of a property.",
        ),
        (
            "get",
            "/v1/customers",
            {"starting_after": "cus_1", "ending_before": "cus_2"},
            None,
            None,
            "You may only specify one of these parameters: starting_after, ending_before.",
        ),
    ],
)
def test_a_bad_parameter_is_named_and_explained(
    shop: Shop,
    method: str,
    path: str,
    params: dict[str, Any],
    param: str | None,
    code: str | None,
    message: str,
) -> None:
    error = refusal(shop, method, path, **params)
    assert isinstance(error, stripe.InvalidRequestError)
    assert error.http_status == 400
    assert (error.param, error.code) == (param, code)
    assert message in str(error)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", "/v1/invoices/upcoming_lines/x/y"),
        ("post", "/v1/billing_portal/session"),
        ("get", "/v1/foo"),
    ],
)
def test_an_unknown_url_is_not_found(shop: Shop, method: str, path: str) -> None:
    error = refusal(shop, method, path)
    assert error.http_status == 404
    assert f"Unrecognized request URL ({method.upper()}: {path})" in str(error)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("get", "/v1/customers/cus_missing", 404),
        ("get", "/v1/subscriptions/sub_missing", 404),
        ("post", "/v1/invoices/in_missing/pay", 404),
        ("get", "/v1/invoices?customer=cus_missing", 400),
    ],
)
def test_an_unknown_object_is_resource_missing(
    shop: Shop, method: str, path: str, status: int
) -> None:
    error = refusal(shop, method, path)
    assert (error.http_status, error.code) == (status, "resource_missing")
    assert "No such" in str(error)


def test_a_parameter_the_sandbox_does_not_know_how_to_honour_is_refused(shop: Shop) -> None:
    error = refusal(
        shop,
        "post",
        "/v1/subscriptions",
        customer=shop.customer(),
        items=[{"price": shop.plans["Pro"].monthly}],
        discounts=[{"coupon": "ten-off"}],
    )
    assert "The sandbox does not support the parameter discounts" in str(error)


def test_what_a_checkout_could_not_honour_is_refused_before_anyone_pays(shop: Shop) -> None:
    error = refusal(
        shop,
        "post",
        "/v1/checkout/sessions",
        mode="subscription",
        success_url=RETURN_URL,
        line_items=[{"price": shop.plans["Pro"].monthly, "quantity": 1}],
        subscription_data={"application_fee_percent": 3},
    )
    assert "does not support the parameter subscription_data[application_fee_percent]" in str(error)


# ------------------------------------------------------------------------------- configurations


def configuration(shop: Shop) -> dict[str, Any]:
    """Return the parameters of a configuration that is fine."""
    plan = shop.plans["Pro"]
    return {
        "features": {
            "subscription_update": {
                "enabled": True,
                "default_allowed_updates": ["price"],
                "products": [{"product": plan.product, "prices": [plan.monthly, plan.yearly]}],
            },
            "subscription_cancel": {"enabled": True, "mode": "at_period_end"},
        }
    }


def changed(params: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return parameters with one of them, named by a dotted path, replaced."""
    copy = deepcopy(params)
    *parents, last = path.split(".")
    node: Any = copy["features"]
    for parent in parents:
        node = node[int(parent) if parent.isdecimal() else parent]
    node[last] = value
    return copy


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("subscription_update.products", {"product": "prod_1"}, "Invalid array"),
        (
            "subscription_update.products",
            [{"product": "prod_1"}],
            "Missing required param: features[subscription_update][products][0][prices].",
        ),
        ("subscription_update.default_allowed_updates", ["plan"], "must be one of price"),
        (
            "subscription_update.products.0.product",
            "prod_missing",
            "No such product: 'prod_missing'",
        ),
        (
            "subscription_update.products.0.prices",
            ["price_missing"],
            "No such price: 'price_missing'",
        ),
        ("subscription_cancel.mode", "end_of_period", "must be one of at_period_end"),
        ("subscription_cancel.proration_behavior", "always_invoice", "not supported"),
    ],
)
def test_a_wrong_portal_configuration_is_refused(
    shop: Shop, path: str, value: Any, message: str
) -> None:
    params = changed(configuration(shop), path, value)
    assert message in str(refusal(shop, "post", "/v1/billing_portal/configurations", **params))


def test_a_product_needs_prices_of_distinct_intervals(shop: Shop) -> None:
    plan = shop.plans["Pro"]
    twin = shop.v1.prices.create(
        {
            "product": plan.product,
            "currency": "usd",
            "unit_amount": 1,
            "recurring": {"interval": "month"},
        }
    )
    params = changed(
        configuration(shop), "subscription_update.products.0.prices", [plan.monthly, twin.id]
    )
    error = refusal(shop, "post", "/v1/billing_portal/configurations", **params)
    assert "For each product, its price must have unique billing intervals." in str(error)


def test_a_price_must_belong_to_its_product(shop: Shop) -> None:
    params = changed(
        configuration(shop),
        "subscription_update.products.0.prices",
        [shop.plans["Team"].monthly],
    )
    error = refusal(shop, "post", "/v1/billing_portal/configurations", **params)
    assert "does not belong to the product" in str(error)


@pytest.mark.parametrize("what", ["products", "prices"])
def test_an_archived_product_or_price_cannot_be_offered(shop: Shop, what: str) -> None:
    plan = shop.plans["Pro"]
    if what == "products":
        shop.v1.products.update(plan.product, {"active": False})
    else:
        shop.v1.prices.update(plan.monthly, {"active": False})
    error = refusal(shop, "post", "/v1/billing_portal/configurations", **configuration(shop))
    assert "is not active" in str(error)


def test_at_most_ten_products_are_offered(shop: Shop) -> None:
    params = configuration(shop)
    offered = params["features"]["subscription_update"]["products"]
    params["features"]["subscription_update"]["products"] = offered * 11
    error = refusal(shop, "post", "/v1/billing_portal/configurations", **params)
    assert "at most 10 products" in str(error)


# -------------------------------------------------------------------------------------- sessions


def test_without_a_configuration_there_is_no_session(shop: Shop) -> None:
    error = refusal(shop, "post", "/v1/billing_portal/sessions", customer=shop.customer())
    assert (
        "No configuration provided and your test mode default configuration has not been created"
        in str(error)
    )


def flow_refusal(shop: Shop, flow: dict[str, Any], **features: Any) -> str:
    """Return what a session with a flow is refused with."""
    error = refusal(
        shop,
        "post",
        "/v1/billing_portal/sessions",
        customer=shop.customer(),
        configuration=shop.configuration(**features),
        flow_data=flow,
    )
    return str(error)


def test_a_flow_needs_its_details(shop: Shop) -> None:
    message = flow_refusal(shop, {"type": "subscription_cancel"})
    assert "Missing required param: flow_data[subscription_cancel]." in message


def test_a_flow_needs_the_customers_own_subscription(shop: Shop) -> None:
    other = shop.subscribe(shop.customer()).id
    flow = {"type": "subscription_cancel", "subscription_cancel": {"subscription": other}}
    assert f"No such subscription: '{other}'" in flow_refusal(shop, flow)


def test_a_flow_needs_its_feature(shop: Shop) -> None:
    message = flow_refusal(
        shop, {"type": "payment_method_update"}, payment_method_update={"enabled": False}
    )
    assert "disabled in the portal configuration" in message


@pytest.mark.parametrize(
    "change", [{"cancel_at_period_end": True}, {"cancel_at": "min_period_end"}]
)
def test_a_subscription_being_cancelled_has_no_cancel_flow(
    shop: Shop, change: dict[str, Any]
) -> None:
    customer = shop.customer()
    subscription = shop.subscribe(customer)
    shop.client.raw_request("post", f"/v1/subscriptions/{subscription.id}", **change)
    error = refusal(
        shop,
        "post",
        "/v1/billing_portal/sessions",
        customer=customer,
        configuration=shop.configuration(),
        flow_data={
            "type": "subscription_cancel",
            "subscription_cancel": {"subscription": subscription.id},
        },
    )
    assert "already set to be canceled" in str(error)


# --------------------------------------------------------------------------------- subscriptions


def test_only_active_recurring_prices_in_the_right_currency_are_subscribed_to(shop: Shop) -> None:
    customer, plan = shop.customer(), shop.plans["Pro"]
    once = shop.v1.prices.create(
        {"product": plan.product, "currency": "usd", "unit_amount": 100}
    ).id

    def told(**params: Any) -> str:
        return str(refusal(shop, "post", "/v1/subscriptions", customer=customer, **params))

    assert "type=one_time" in told(items=[{"price": once}])
    assert "only supports `usd`, `eur`" in told(items=[{"price": plan.monthly}], currency="gbp")
    assert "No such price: 'price_x'" in told(items=[{"price": "price_x"}])
    assert "Missing required param: items." in told()
    assert "same plan" in told(items=[{"price": plan.monthly}, {"price": plan.monthly}])
    shop.v1.prices.update(plan.monthly, {"active": False})
    assert "The price specified is inactive" in told(items=[{"price": plan.monthly}])
    shop.v1.products.update(plan.product, {"active": False})
    assert "marked as inactive" in told(items=[{"price": plan.yearly}])


def test_a_customer_has_one_currency(shop: Shop) -> None:
    customer = shop.customer()
    shop.subscribe(customer, currency="eur")
    with pytest.raises(stripe.InvalidRequestError, match="cannot combine currencies"):
        shop.subscribe(customer, "Team", currency="usd")
    assert shop.subscribe(customer, "Team").currency == "eur"


def test_a_cancelled_subscription_is_not_changed(shop: Shop) -> None:
    subscription = shop.subscribe(shop.customer())
    shop.v1.subscriptions.cancel(subscription.id)
    path = f"/v1/subscriptions/{subscription.id}"
    assert "A canceled subscription can only update" in str(
        refusal(shop, "post", path, cancel_at_period_end=False)
    )
    kept = shop.v1.subscriptions.update(subscription.id, {"metadata": {"note": "gone"}})
    assert kept.metadata["note"] == "gone"
    assert refusal(shop, "delete", path).code == "resource_missing"


def test_someone_elses_card_pays_nothing(shop: Shop) -> None:
    foreign = shop.default_card(shop.customer())
    error = refusal(
        shop,
        "post",
        "/v1/subscriptions",
        customer=shop.customer(),
        items=[{"price": shop.plans["Pro"].monthly}],
        default_payment_method=foreign,
    )
    assert "The customer does not have a payment method with the ID" in str(error)


def test_a_deleted_customer_is_gone_for_everything_but_a_look(shop: Shop) -> None:
    customer = shop.customer()
    shop.v1.customers.delete(customer)
    assert shop.v1.customers.retrieve(customer).deleted is True
    error = refusal(
        shop,
        "post",
        "/v1/billing_portal/sessions",
        customer=customer,
        configuration=shop.configuration(),
    )
    assert (error.code, error.param) == ("resource_missing", "customer")
    assert f"No such customer: '{customer}'" in str(error)
    assert refusal(shop, "post", f"/v1/customers/{customer}", name="x").http_status == 404


# ----------------------------------------------------------------------------------------- cards


@pytest.mark.parametrize(
    ("number", "month", "year", "cvc", "code"),
    [
        ("4242424242424241", 12, 2040, "123", "incorrect_number"),
        ("4242", 12, 2040, "123", "incorrect_number"),
        ("4242424242424242", 13, 2040, "123", "invalid_expiry_month"),
        ("4242424242424242", 12, 2020, "123", "invalid_expiry_year"),
        ("4242424242424242", 12, 2040, "12", "invalid_cvc"),
    ],
)
def test_an_impossible_card_is_refused(
    shop: Shop, number: str, month: int, year: int, cvc: str, code: str
) -> None:
    card: Any = {"number": number, "exp_month": month, "exp_year": year, "cvc": cvc}
    with pytest.raises(stripe.CardError) as caught:
        shop.v1.payment_methods.create({"type": "card", "card": card})
    assert (caught.value.http_status, caught.value.code) == (402, code)


def test_a_declined_card_is_not_attached(shop: Shop) -> None:
    card: Any = {"number": "4000000000000002", "exp_month": 12, "exp_year": 2040, "cvc": "123"}
    method = shop.v1.payment_methods.create({"type": "card", "card": card})
    with pytest.raises(stripe.CardError) as caught:
        shop.v1.payment_methods.attach(method.id, {"customer": shop.customer()})
    assert caught.value.code == "card_declined"


def test_a_detached_card_is_used_up(shop: Shop) -> None:
    customer = shop.customer()
    card = shop.default_card(customer)
    assert card is not None
    assert shop.v1.payment_methods.detach(card).customer is None
    assert shop.default_card(customer) is None
    error = refusal(shop, "post", f"/v1/payment_methods/{card}/attach", customer=customer)
    assert "may not be used again" in str(error)
