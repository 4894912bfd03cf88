"""Lemon Squeezy's sandbox is as strict as its API, and answers every attribute that its SDK declares."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from billing_ui.sandbox.core.outbox import Outbox
from billing_ui.sandbox.core.store import Store
from billing_ui.sandbox.lemonsqueezy.dialect import LemonSqueezyDialect
from billing_ui.sandbox.lemonsqueezy.parts import moment
from billing_ui.sandbox.shop import http
from billing_ui.sandbox.shop.dialect import Answered, Asked
from billing_ui.sandbox.shop.model import Checkout, Customer, Price, Status, Subscription
from billing_ui.sandbox.shop.shop import Shop

ORIGIN = "http://127.0.0.1:8420"
MEDIA_TYPE = "application/vnd.api+json"
HEADERS = {
    "accept": MEDIA_TYPE,
    "content-type": MEDIA_TYPE,
    "authorization": "Bearer a-key-of-the-tests",
}

DECLARED = {
    "customers": """city country country_formatted created_at email mrr mrr_formatted name region status
        status_formatted store_id test_mode total_revenue_currency total_revenue_currency_formatted
        updated_at urls""",
    "subscriptions": """billing_anchor cancelled card_brand card_last_four created_at customer_id ends_at
        first_subscription_item order_id order_item_id pause product_id product_name renews_at status
        status_formatted store_id test_mode trial_ends_at updated_at urls user_email user_name variant_id
        variant_name""",
    "subscription-invoices": """billing_reason card_brand card_last_four created_at currency currency_rate
        customer_id discount_total discount_total_formatted discount_total_usd refunded refunded_amount
        refunded_amount_formatted refunded_amount_usd refunded_at status status_formatted store_id
        subscription_id subtotal subtotal_formatted subtotal_usd tax tax_formatted tax_inclusive tax_usd
        test_mode total total_formatted total_usd updated_at urls user_email user_name""",
    "products": """buy_now_url created_at description from_price from_price_formatted large_thumb_url name
        pay_what_you_want price price_formatted slug status status_formatted store_id test_mode thumb_url
        to_price to_price_formatted updated_at""",
    "variants": """created_at description has_free_trial has_license_keys interval interval_count
        is_license_length_unlimited is_license_limit_unlimited is_subscription license_activation_limit
        license_length_unit license_length_value links min_price name pay_what_you_want price product_id
        slug sort status status_formatted suggested_price test_mode trial_interval trial_interval_count
        updated_at""",
    "prices": """category created_at min_price package_size renewal_interval_quantity renewal_interval_unit
        scheme setup_fee setup_fee_enabled suggested_price tax_code tiers trial_interval_quantity
        trial_interval_unit unit_price unit_price_decimal updated_at usage_aggregation variant_id""",
    "checkouts": """checkout_data checkout_options created_at custom_price expires_at preview
        product_options store_id test_mode updated_at url variant_id""",
    "webhooks": "created_at events last_sent_at store_id test_mode updated_at url",
    "stores": """avatar_url country country_nicename created_at currency domain name plan slug
        thirty_day_revenue thirty_day_sales total_revenue total_sales updated_at url""",
}
"""The attributes of each resource, by the types of Lemon Squeezy's own SDK (lemonsqueezy.js 4.0.0)."""


@pytest.fixture
def shop() -> Iterator[Shop]:
    """An empty shop."""
    store = Store(":memory:")
    yield Shop(store, Outbox(store), LemonSqueezyDialect(), ORIGIN, "Acme Cloud")
    store.close()


@pytest.fixture
def price(shop: Shop) -> Price:
    """Something that is sold."""
    product = shop.create_product("Pro", description="For teams", features=["SSO"])
    return shop.create_price(product.id, 14900)


@pytest.fixture
def bought(shop: Shop, price: Price) -> Subscription:
    """Somebody's subscription."""
    customer = shop.create_customer("ada@example.com", name="Ada")
    shop.add_card(customer.id)
    return shop.subscribe(customer.id, price.id, metadata={"team_id": "t"})


def get(shop: Shop, path: str, **query: str) -> Answered:
    """Ask for something."""
    named = tuple((name.replace("__", "[") + "]" * ("__" in name), v) for name, v in query.items())
    return http.answer(shop, Asked("GET", path, named, HEADERS))


def post(shop: Shop, path: str, body: Any) -> Answered:
    """Send a body."""
    return http.answer(shop, Asked("POST", path, (), HEADERS, json.dumps(body).encode()))


def resource(kind: str, attributes: Any, **related: tuple[str, str]) -> dict[str, Any]:
    """Return the body that creates something."""
    owners = {"store": ("stores", "1"), **related}
    relations = {name: {"data": {"type": t, "id": i}} for name, (t, i) in owners.items()}
    return {"data": {"type": kind, "attributes": attributes, "relationships": relations}}


def attributes(answered: Answered) -> dict[str, Any]:
    """Return what an answered object says of itself."""
    assert answered.status in (200, 201), answered.body
    found: dict[str, Any] = answered.body["data"]["attributes"]
    return found


def pointers(answered: Answered) -> list[str]:
    """Return what an answer complains of."""
    assert answered.headers["content-type"] == MEDIA_TYPE
    for error in answered.body["errors"]:
        assert error["status"] == str(answered.status)
        assert error["title"]
        assert error["detail"]
    return [
        error.get("source", {}).get("pointer") or error.get("source", {}).get("parameter")
        for error in answered.body["errors"]
    ]


# ---------------------------------------------------------------- answers


@pytest.mark.parametrize("kind", [kind for kind in DECLARED if kind != "stores"])
def test_every_attribute_the_sdk_declares_is_answered(
    kind: str, shop: Shop, bought: Subscription
) -> None:
    shop.open_checkout(bought.price, email="b@example.com")
    shop.register_endpoint("http://127.0.0.1:1/", "secret")
    listed = get(shop, f"/v1/{kind}").body["data"]
    assert listed
    for found in listed:
        assert set(found["attributes"]) == set(DECLARED[kind].split())
        one = get(shop, f"/v1/{kind}/{found['id']}").body["data"]
        assert (one["id"], one["type"]) == (found["id"], kind)
        assert one["links"]["self"] == f"{ORIGIN}/v1/{kind}/{one['id']}"
        assert all("related" in relation["links"] for relation in one["relationships"].values())


def test_the_store_answers_every_attribute(shop: Shop) -> None:
    assert set(attributes(get(shop, "/v1/stores/1"))) == set(DECLARED["stores"].split())
    assert get(shop, "/v1/stores/2").status == 404


def test_the_key_is_one_of_test_mode(shop: Shop) -> None:
    assert get(shop, "/v1/users/me").body["meta"] == {"test_mode": True}


def test_what_is_named_elsewhere_exists(shop: Shop, bought: Subscription) -> None:
    said = attributes(get(shop, f"/v1/subscriptions/{bought.id}"))
    for kind, name in (("customers", "customer_id"), ("products", "product_id")):
        assert get(shop, f"/v1/{kind}/{said[name]}").status == 200
    price_id = said["first_subscription_item"]["price_id"]
    assert attributes(get(shop, f"/v1/prices/{price_id}"))["variant_id"] == said["variant_id"]
    # A price is not its variant, though the shop has one record for both.
    assert get(shop, f"/v1/prices/{said['variant_id']}").status == 404
    assert get(shop, f"/v1/variants/{price_id}").status == 404


def test_a_customer_has_a_portal_from_the_first_subscription_on(shop: Shop, price: Price) -> None:
    customer = shop.create_customer("ada@example.com")
    path = f"/v1/customers/{customer.id}"
    assert attributes(get(shop, path))["urls"] == {"customer_portal": None}
    shop.add_card(customer.id)
    subscription = shop.subscribe(customer.id, price.id)
    url = attributes(get(shop, path))["urls"]["customer_portal"]
    assert url.startswith(f"{ORIGIN}/p/session/")
    shop.end_now(subscription.id)
    assert attributes(get(shop, path))["urls"]["customer_portal"]


@pytest.mark.parametrize(
    ("happens", "status"),
    [
        ("nothing", "active"),
        ("cancel", "cancelled"),
        ("pause", "paused"),
        ("end_now", "expired"),
    ],
)
def test_a_subscription_has_the_providers_word_for_its_state(
    happens: str, status: str, shop: Shop, bought: Subscription
) -> None:
    if happens != "nothing":
        getattr(shop, happens)(bought.id)
    said = attributes(get(shop, f"/v1/subscriptions/{bought.id}"))
    assert said["status"] == status
    assert (said["ends_at"] is None) is (status in ("active", "paused"))
    assert (said["pause"] is not None) is (status == "paused")
    assert said["cancelled"] is (status in ("cancelled", "expired"))


def test_a_trial_has_no_item_yet(shop: Shop, price: Price) -> None:
    customer = shop.create_customer("ada@example.com")
    trial = shop.subscribe(customer.id, price.id, trial_days=14)
    said = attributes(get(shop, f"/v1/subscriptions/{trial.id}"))
    assert (said["status"], said["first_subscription_item"]) == ("on_trial", None)
    assert said["trial_ends_at"] == said["renews_at"]


def test_who_is_past_due_is_told_the_next_try(shop: Shop, bought: Subscription) -> None:
    shop.add_card(bought.customer, "4000000000000341")
    shop.advance(bought.period_end, bought.customer)
    late = shop.get(Subscription, bought.id)
    assert late.status is Status.PAST_DUE
    [owed] = shop.open_invoices(late.id)
    said = attributes(get(shop, f"/v1/subscriptions/{late.id}"))
    assert said["status"] == "past_due"
    assert owed.next_attempt is not None
    assert owed.next_attempt < late.period_end
    assert said["renews_at"] == moment(owed.next_attempt)
    invoice = attributes(get(shop, f"/v1/subscription-invoices/{owed.id}"))
    assert (invoice["status"], invoice["urls"]) == ("pending", {"invoice_url": None})


def test_a_customers_subscriptions_come_along_when_asked_for(
    shop: Shop, bought: Subscription
) -> None:
    answered = get(shop, f"/v1/customers/{bought.customer}", include="subscriptions")
    assert [one["id"] for one in answered.body["included"]] == [bought.id]
    linked = answered.body["data"]["relationships"]["subscriptions"]["data"]
    assert linked == [{"type": "subscriptions", "id": bought.id}]
    assert "included" not in get(shop, f"/v1/customers/{bought.customer}").body


# ---------------------------------------------------------------- lists


def test_a_list_is_newest_first_and_says_how_long_it_is(shop: Shop) -> None:
    made = [shop.create_customer(f"c{number}@example.com").id for number in range(25)]
    first = get(shop, "/v1/customers").body
    assert [one["id"] for one in first["data"]] == made[::-1][:10]
    assert first["meta"]["page"] == {
        "currentPage": 1,
        "from": 1,
        "lastPage": 3,
        "perPage": 10,
        "to": 10,
        "total": 25,
    }
    last = get(shop, "/v1/customers", page__number="3", page__size="10").body
    assert [one["id"] for one in last["data"]] == made[::-1][20:]
    assert get(shop, "/v1/customers", page__number="9").body["data"] == []


def test_a_list_can_be_narrowed_down(shop: Shop, bought: Subscription) -> None:
    shop.create_customer("eve@example.com")
    by_email = get(shop, "/v1/customers", filter__email="ADA@example.com", filter__store_id="1")
    assert [one["id"] for one in by_email.body["data"]] == [bought.customer]
    assert get(shop, "/v1/customers", filter__store_id="2").body["data"] == []
    invoices = get(shop, "/v1/subscription-invoices", filter__subscription_id=bought.id).body
    assert invoices["meta"]["page"]["total"] == 1
    prices = get(shop, "/v1/prices", filter__variant_id=bought.price).body
    assert [one["id"] for one in prices["data"]] == [f"9{bought.price}"]


@pytest.mark.parametrize(
    "query",
    [
        *({"limit": "3"}, {"filter__name": "Ada"}, {"page__cursor": "x"}, {"sort": "-created_at"}),
        *(
            {"page__size": "101"},
            {"page__size": "0"},
            {"page__number": "-1"},
            {"page__number": "a"},
        ),
        *({"include": "orders"}, {"include": "subscriptions.customer"}, {"include": ""}),
    ],
)
def test_a_parameter_that_does_not_exist_is_refused(query: dict[str, str], shop: Shop) -> None:
    answered = get(shop, "/v1/customers", **query)
    assert answered.status == 400
    assert pointers(answered)[0] in ("limit", "filter", "page", "sort", "include")


# ---------------------------------------------------------------- who asks, and how


@pytest.mark.parametrize("key", ["", "Bearer", "Bearer short", "Basic YTpi", "a-key-of-the-tests"])
def test_without_a_key_nothing_is_answered(key: str, shop: Shop) -> None:
    headers = {**HEADERS, "authorization": key}
    assert http.answer(shop, Asked("GET", "/v1/users/me", (), headers)).status == 401


def test_what_is_not_json_api_is_refused(shop: Shop) -> None:
    plain = {**HEADERS, "accept": "application/json"}
    assert http.answer(shop, Asked("GET", "/v1/users/me", (), plain)).status == 406
    plain = {**HEADERS, "content-type": "application/json"}
    assert http.answer(shop, Asked("POST", "/v1/customers", (), plain, b"{}")).status == 415


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        *(("GET", "/v1/nothing", 404), ("GET", "/v1/customers/1/subscriptions", 404)),
        *(("GET", "/v1/customers/1", 404), ("GET", "/v1/customers/", 404), ("GET", "/v1/", 404)),
        *(("DELETE", "/v1/customers/1", 405), ("POST", "/v1/subscriptions", 405)),
        ("PUT", "/v1/users/me", 405),
    ],
)
def test_a_path_that_does_not_exist_is_refused(
    method: str, path: str, status: int, shop: Shop
) -> None:
    answered = http.answer(shop, Asked(method, path, (), HEADERS))
    assert answered.status == status
    assert pointers(answered) == [None]


def test_a_deleted_customer_is_not_there(shop: Shop) -> None:
    customer = shop.create_customer("ada@example.com")
    shop.delete_customer(customer.id)
    assert get(shop, f"/v1/customers/{customer.id}").status == 404


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_failure_has_the_shape_of_every_error(status: int) -> None:
    answered = LemonSqueezyDialect().failure(status)
    assert answered.status == status
    assert pointers(answered) == [None]


# ---------------------------------------------------------------- customers and checkouts


def test_a_customer_is_created_as_asked(shop: Shop) -> None:
    asked = {"name": "Ada", "email": "ada@example.com", "city": "London", "country": "GB"}
    answered = post(shop, "/v1/customers", resource("customers", asked))
    assert answered.status == 201
    assert attributes(answered).items() >= asked.items()
    assert [one.email for one in shop.find(Customer)] == ["ada@example.com"]


@pytest.mark.parametrize("email", ["ada@example.com", "ADA@EXAMPLE.COM"])
def test_an_email_is_taken_once(email: str, shop: Shop) -> None:
    shop.create_customer("ada@example.com")
    asked = resource("customers", {"name": "Eve", "email": email})
    answered = post(shop, "/v1/customers", asked)
    assert answered.status == 422
    assert pointers(answered) == ["/data/attributes/email"]
    assert answered.body["errors"][0]["detail"] == "The email has already been taken."
    assert len(shop.find(Customer)) == 1


@pytest.mark.parametrize(
    ("asked", "complaint"),
    [
        ({"email": "a@b.test"}, "/data/attributes/name"),
        ({"name": "Ada"}, "/data/attributes/email"),
        ({"name": "", "email": "a@b.test"}, "/data/attributes/name"),
        ({"name": "Ada", "email": "nonsense"}, "/data/attributes/email"),
        ({"name": 1, "email": "a@b.test"}, "/data/attributes/name"),
        ({"name": "Ada", "email": "a@b.test", "phone": "1"}, "/data/attributes/phone"),
        ({"name": "Ada", "email": "a@b.test", "metadata": {}}, "/data/attributes/metadata"),
        ({"name": "Ada", "email": "a@b.test", "country": "Norway"}, "/data/attributes/country"),
    ],
)
def test_a_customer_that_is_not_asked_for_as_it_must_be_is_not_made(
    asked: dict[str, Any], complaint: str, shop: Shop
) -> None:
    answered = post(shop, "/v1/customers", resource("customers", asked))
    assert answered.status == 422
    assert pointers(answered) == [complaint]
    assert shop.find(Customer) == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ([], 422),
        ({"data": {"type": "customers", "attributes": {}}}, 422),
        (resource("orders", {"name": "Ada", "email": "a@b.test"}), 409),
        (resource("customers", {"name": "Ada", "email": "a@b.test"}, store=("stores", "2")), 422),
        (resource("customers", {"name": "Ada", "email": "a@b.test"}, store=("variants", "1")), 422),
        ({**resource("customers", {"name": "Ada", "email": "a@b.test"}), "meta": {}}, 422),
    ],
)
def test_a_body_of_another_form_is_refused(body: Any, status: int, shop: Shop) -> None:
    answered = post(shop, "/v1/customers", body)
    assert answered.status == status
    assert pointers(answered)
    assert shop.find(Customer) == []


def test_what_is_no_json_is_refused(shop: Shop) -> None:
    asked = Asked("POST", "/v1/customers", (), HEADERS, b"{")
    assert http.answer(shop, asked).status == 400


def test_a_checkout_is_opened_as_asked_and_told_back(shop: Shop, price: Price) -> None:
    asked = {
        "product_options": {
            "redirect_url": "https://app.test/",
            "enabled_variants": [int(price.id)],
        },
        "checkout_data": {"email": "ada@example.com", "custom": {"team_id": "t"}},
        "expires_at": "2035-01-01T00:00:00+00:00",
    }
    body = resource("checkouts", asked, variant=("variants", price.id))
    said = attributes(post(shop, "/v1/checkouts", body))
    [made] = shop.find(Checkout)
    assert (made.email, made.metadata) == ("ada@example.com", {"team_id": "t"})
    assert said["url"].startswith(f"{ORIGIN}/c/pay/")
    assert said["expires_at"] == "2035-01-01T00:00:00.000000Z"
    assert said["product_options"]["redirect_url"] == "https://app.test/"
    assert attributes(get(shop, f"/v1/checkouts/{made.id}")) == said


@pytest.mark.parametrize(
    ("asked", "complaint"),
    [
        (
            {"checkout_data": {"custom": {"team_id": 1}}},
            "/data/attributes/checkout_data/custom/team_id",
        ),
        ({"checkout_data": {"e-mail": "a"}}, "/data/attributes/checkout_data/e-mail"),
        (
            {"product_options": {"redirect_url": "/x"}},
            "/data/attributes/product_options/redirect_url",
        ),
        (
            {"product_options": {"cancel_url": "https://x.test"}},
            "/data/attributes/product_options/cancel_url",
        ),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "/data/attributes/expires_at"),
        ({"expires_at": "tomorrow"}, "/data/attributes/expires_at"),
        ({"customer_id": 1}, "/data/attributes/customer_id"),
    ],
)
def test_a_checkout_that_is_not_asked_for_as_it_must_be_is_not_opened(
    asked: dict[str, Any], complaint: str, shop: Shop, price: Price
) -> None:
    body = resource("checkouts", asked, variant=("variants", price.id))
    answered = post(shop, "/v1/checkouts", body)
    assert answered.status == 422
    assert pointers(answered) == [complaint]
    assert shop.find(Checkout) == []


@pytest.mark.parametrize("why", ["unknown", "archived", "a price", "too many"])
def test_what_is_not_sold_has_no_checkout(why: str, shop: Shop, price: Price) -> None:
    variant = {"unknown": "1", "a price": f"9{price.id}"}.get(why, price.id)
    if why == "archived":
        shop.update_price(price.id, archived=True)
    counted = [{"variant_id": int(price.id), "quantity": 2}] if why == "too many" else []
    body = resource(
        "checkouts",
        {"checkout_data": {"variant_quantities": counted}},
        variant=("variants", variant),
    )
    answered = post(shop, "/v1/checkouts", body)
    assert answered.status == 422
    assert pointers(answered) == ["/data/relationships/variant"]


def test_a_purchase_goes_to_the_customer_with_that_email(shop: Shop, price: Price) -> None:
    known = shop.create_customer("ada@example.com")
    body = resource(
        "checkouts",
        {"checkout_data": {"email": "Ada@Example.com"}},
        variant=("variants", price.id),
    )
    post(shop, "/v1/checkouts", body)
    [checkout] = shop.find(Checkout)
    assert shop.complete_checkout(checkout.id, number="4242424242424242").customer == known.id


# ---------------------------------------------------------------- webhooks


def test_a_webhook_is_registered_and_never_tells_its_secret(shop: Shop) -> None:
    asked = {"url": "https://app.test/hook", "events": ["order_created"], "secret": "a secret"}
    answered = post(shop, "/v1/webhooks", resource("webhooks", asked))
    assert attributes(answered)["events"] == ["order_created"]
    assert "a secret" not in json.dumps(answered.body)


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"secret": "short"}, "/data/attributes/secret"),
        ({"secret": "x" * 41}, "/data/attributes/secret"),
        ({"events": []}, "/data/attributes/events"),
        ({"events": ["order_created", "customer.updated"]}, "/data/attributes/events/1"),
        ({"url": "hook"}, "/data/attributes/url"),
    ],
)
def test_a_webhook_that_cannot_be_is_refused(
    changed: dict[str, Any], complaint: str, shop: Shop
) -> None:
    asked = {"url": "https://app.test/hook", "events": ["order_created"], "secret": "a secret"}
    answered = post(shop, "/v1/webhooks", resource("webhooks", asked | changed))
    assert answered.status == 422
    assert pointers(answered) == [complaint]
