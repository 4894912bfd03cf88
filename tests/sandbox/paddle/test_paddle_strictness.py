"""The sandbox refuses what Paddle refuses, in Paddle's shape."""

from typing import Any

import pytest

from billing_ui.sandbox.core.cards import FAILS_WHEN_CHARGED
from billing_ui.sandbox.shop.model import Customer, Invoice, Price, Product, Subscription
from billing_ui.sandbox.shop.shop import Shop
from tests.sandbox.paddle.conftest import Caller

Json = dict[str, Any]


@pytest.mark.parametrize(
    ("key", "code"),
    [
        (None, "authentication_missing"),
        ("", "authentication_malformed"),
        ("pdl_sdbx_apikey_test", "authentication_malformed"),
        ("Basic abc", "authentication_malformed"),
        ("Bearer pdl_live_apikey_real", "invalid_token"),
        ("Bearer nonsense", "invalid_token"),
    ],
)
def test_only_a_key_of_the_sandbox_opens(key: str | None, code: str, call: Caller) -> None:
    answered = call("GET", "/customers", key=key)
    assert (answered.status, answered.body["error"]["code"]) == (403, code)


def test_a_refusal_has_paddles_shape(call: Caller) -> None:
    answered = call("POST", "/customers", {"name": "Ada"})
    error = answered.body["error"]
    assert (answered.status, error["type"], error["code"]) == (400, "request_error", "bad_request")
    assert error["errors"] == [{"field": "email", "message": "Field required"}]
    assert error["documentation_url"].startswith("https://developer.paddle.com/errors/")
    assert answered.body["meta"]["request_id"]


ITEM = {"price_id": "pri_1", "quantity": 1}
WRONG: list[tuple[str, str, Any]] = [
    ("POST", "/customers", {"email": "ada@example.com", "nickname": "Ada"}),
    ("POST", "/customers", {"email": 7}),
    ("POST", "/customers", {"email": "nonsense"}),
    ("POST", "/customers", {"email": "ada@example.com", "custom_data": "x"}),
    ("POST", "/customers", [1]),
    ("POST", "/customers", b"{"),
    ("POST", "/transactions", {}),
    ("POST", "/transactions", {"items": []}),
    ("POST", "/transactions", {"items": [{**ITEM, "quantity": 0}]}),
    ("POST", "/transactions", {"items": [{**ITEM, "quantity": "2"}]}),
    ("POST", "/transactions", {"items": [{**ITEM, "seats": 1}]}),
    ("POST", "/transactions", {"items": [ITEM], "currency_code": "usd"}),
    ("POST", "/transactions", {"items": [ITEM], "collection_mode": "manual"}),
    ("POST", "/products", {"name": "Pro", "tax_category": "toys"}),
    ("POST", "/prices", {"description": "x", "product_id": "p", "unit_price": {"amount": 1}}),
    ("POST", "/notification-settings", {"description": "x", "type": "email"}),
    ("GET", "/customers?limit=5", None),
    ("GET", "/customers?email=a@b.c&email=d@e.f", None),
    ("GET", "/customers?per_page=0", None),
    ("GET", "/customers?per_page=x", None),
    ("GET", "/customers?order_by=name[ASC]", None),
    ("GET", "/customers?after=ctm_nothing", None),
    ("GET", "/customers?status=deleted", None),
    ("GET", "/products?include=reviews", None),
    ("GET", "/subscriptions?status=sleeping", None),
    ("GET", "/transactions?include=cats", None),
    ("GET", "/transactions?created_at[GTE]=yesterday", None),
    ("GET", "/transactions?created_at[EQ]=2026-01-01T00:00:00Z", None),
    ("GET", "/transactions?after=txn_nothing", None),
    ("GET", "/events?from=yesterday", None),
]


@pytest.mark.parametrize(("method", "url", "body"), WRONG)
def test_what_paddle_does_not_understand_is_refused(
    method: str, url: str, body: Any, call: Caller, shop: Shop
) -> None:
    status, code = call.refusal(method, url, body)
    assert status == 400
    assert code in ("bad_request", "invalid_json")
    assert shop.count(Customer) == 0


@pytest.mark.parametrize(
    ("method", "url"),
    [
        ("GET", "/customers/ctm_nothing"),
        ("GET", "/customers/ctm_nothing/payment-methods"),
        ("POST", "/customers/ctm_nothing/portal-sessions"),
        ("GET", "/products/pro_nothing"),
        ("GET", "/prices/pri_nothing"),
        ("GET", "/subscriptions/sub_nothing"),
        ("POST", "/subscriptions/sub_nothing/cancel"),
        ("GET", "/transactions/txn_nothing"),
        ("PATCH", "/transactions/txn_nothing"),
        ("GET", "/transactions/txn_nothing/invoice"),
    ],
)
def test_what_does_not_exist_is_not_found(method: str, url: str, call: Caller) -> None:
    body: Json | None = {} if method != "GET" else None
    assert call.refusal(method, url, body) == (404, "not_found")


def test_there_is_a_pdf_only_of_what_was_paid_and_came_to_something(
    call: Caller, shop: Shop, bought: Subscription
) -> None:
    [paid] = shop.find(Invoice)
    assert call.data("GET", f"/transactions/{paid.id}/invoice") == {"url": shop.pdf_url(paid)}
    shop.add_card(bought.customer, FAILS_WHEN_CHARGED)
    shop.advance(bought.period_end + 3600, bought.customer)
    free = shop.create_customer("free@example.com")
    shop.add_card(free.id)
    shop.subscribe(free.id, shop.create_price(shop.create_product("Free").id, 0).id)
    others = [one for one in shop.find(Invoice) if one.id != paid.id]
    assert {one.total for one in others} == {0, paid.total}
    for one in others:
        refused = call.refusal("GET", f"/transactions/{one.id}/invoice")
        assert refused == (400, "transaction_invoice_not_available")


@pytest.mark.parametrize(
    ("method", "url", "status"),
    [("GET", "/customers/a/b", 404), ("PUT", "/customers", 405), ("GET", "/settings/x", 404)],
)
def test_what_the_api_does_not_have_is_refused(
    method: str, url: str, status: int, call: Caller
) -> None:
    assert call.refusal(method, url)[0] == status


@pytest.mark.parametrize("status", [429, 500, 502, 503, 418])
def test_a_failure_has_paddles_shape(status: int, shop: Shop) -> None:
    answered = shop.dialect.failure(status)
    assert answered.status == status
    assert answered.body["error"]["detail"]


# ---------------------------------------------------------------- customers


def test_an_address_belongs_to_one_customer_also_an_archived_one(shop: Shop, call: Caller) -> None:
    first = call.data("POST", "/customers", {"email": "ada@example.com"})
    shop.delete_customer(first["id"])
    answered = call("POST", "/customers", {"email": "ADA@example.com"})
    assert answered.status == 409
    assert answered.body["error"] == {
        "type": "request_error",
        "code": "customer_already_exists",
        "detail": f"customer email conflicts with customer of id {first['id']}",
        "documentation_url": "https://developer.paddle.com/errors/customer_already_exists",
    }


def test_an_archived_customer_can_only_be_made_active_again(shop: Shop, call: Caller) -> None:
    url = f"/customers/{shop.create_customer('ada@example.com').id}"
    assert call.data("PATCH", url, {"status": "archived"})["status"] == "archived"
    assert call.refusal("PATCH", url, {"name": "Ada"}) == (400, "entity_archived")
    assert call.refusal("POST", f"{url}/portal-sessions", {}) == (400, "entity_archived")
    assert call.data("PATCH", url, {"status": "active", "name": "Ada"})["name"] == "Ada"


def test_lists_are_of_what_is_active_unless_told_otherwise(
    shop: Shop, call: Caller, price: Price
) -> None:
    gone = shop.create_customer("gone@example.com").id
    kept = shop.create_customer("kept@example.com").id
    shop.delete_customer(gone)
    shop.update_price(price.id, archived=True)

    def ids(url: str) -> set[str]:
        return {one["id"] for one in call.data("GET", url)}

    assert ids("/customers") == {kept}
    assert ids("/customers?status=archived") == {gone}
    assert ids("/customers?status=active,archived") == {gone, kept}
    assert ids("/prices") == set()
    assert ids("/prices?status=archived") == {price.id}


# ---------------------------------------------------------------- lists


@pytest.mark.parametrize(("order", "first"), [("id[DESC]", 4), ("id[ASC]", 0), ("id[asc]", 0)])
def test_pages_go_on_after_an_id_in_either_order(
    order: str, first: int, shop: Shop, call: Caller
) -> None:
    made = [shop.create_customer(f"a{number}@example.com").id for number in range(5)]
    url: str | None = f"/customers?per_page=2&order_by={order}"
    found: list[str] = []
    while url:
        answered = call("GET", url)
        found += [one["id"] for one in answered.body["data"]]
        pagination = answered.body["meta"]["pagination"]
        assert (pagination["per_page"], pagination["estimated_total"]) == (2, 5)
        url = pagination["next"].removeprefix(shop.origin) if pagination["has_more"] else None
    assert found[0] == made[first]
    assert sorted(found) == sorted(made)


def test_more_than_the_most_is_the_most(call: Caller) -> None:
    def most(url: str) -> int:
        return int(call("GET", url).body["meta"]["pagination"]["per_page"])

    assert most("/customers?per_page=5000") == 200
    assert most("/transactions?per_page=5000") == 30


def test_transactions_are_one_list_of_what_was_billed_and_what_was_not(
    shop: Shop, call: Caller, bought: Subscription
) -> None:
    opened = shop.open_checkout(bought.price, customer_id=bought.customer).id
    [billed] = [one.id for one in shop.find(Invoice)]

    def ids(query: str) -> list[str]:
        return [one["id"] for one in call.data("GET", f"/transactions?{query}")]

    assert ids("") == [opened, billed]
    assert ids("per_page=1") == [opened]
    assert ids(f"after={opened}") == [billed]
    assert ids("status=completed,past_due") == [billed]
    assert ids("status=draft&origin=api") == [opened]
    assert ids(f"subscription_id={bought.id}") == [billed]
    assert ids("customer_id=ctm_nobody") == []
    assert ids("created_at[LT]=2020-01-01T00:00:00Z") == []


# ---------------------------------------------------------------- what can be done, and what not


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"status": "canceled"}, "transaction_invalid_status_change"),
        ({"items": [{"price_id": "pri_nothing", "quantity": 1}]}, "not_found"),
    ],
)
def test_an_open_checkout_can_be_changed_but_not_canceled(
    body: Json, code: str, shop: Shop, call: Caller, bought: Subscription
) -> None:
    opened = shop.open_checkout(bought.price).id
    assert call.refusal("PATCH", f"/transactions/{opened}", body)[1] == code
    items = [{"price_id": bought.price, "quantity": 7}]
    told = call.data("PATCH", f"/transactions/{opened}", {"items": items})
    assert told["details"]["totals"]["total"] == str(7 * 14900)


def test_what_is_billed_is_never_changed(shop: Shop, call: Caller, bought: Subscription) -> None:
    [billed] = shop.find(Invoice)
    url = f"/transactions/{billed.id}"
    assert call.refusal("PATCH", url, {"custom_data": {}}) == (400, "transaction_immutable")


@pytest.mark.parametrize(
    ("quantity", "archived", "code"),
    [
        (101, False, "transaction_item_quantity_out_of_range"),
        (1, True, "transaction_price_archived"),
    ],
)
def test_what_is_not_sold_is_not_sold(
    quantity: int, archived: bool, code: str, shop: Shop, call: Caller, price: Price
) -> None:
    shop.update_price(price.id, archived=archived)
    body = {"items": [{"price_id": price.id, "quantity": quantity}]}
    assert call.refusal("POST", "/transactions", body) == (400, code)


def test_a_subscription_is_changed_canceled_and_kept_by_the_api(
    shop: Shop, call: Caller, bought: Subscription
) -> None:
    url = f"/subscriptions/{bought.id}"
    items = [{"price_id": bought.price, "quantity": 5}]
    assert call.refusal("PATCH", url, {"items": items}) == (400, "bad_request")
    told = call.data(
        "PATCH", url, {"items": items, "proration_billing_mode": "prorated_immediately"}
    )
    assert told["items"][0]["quantity"] == 5
    assert call.data("POST", f"{url}/cancel", {})["scheduled_change"]["action"] == "cancel"
    assert call.data("PATCH", url, {"scheduled_change": None})["scheduled_change"] is None
    at_once = {"effective_from": "immediately"}
    assert call.data("POST", f"{url}/pause", at_once)["status"] == "paused"
    assert call.data("POST", f"{url}/resume", at_once)["status"] == "active"
    assert call.data("POST", f"{url}/cancel", at_once)["status"] == "canceled"
    assert call.refusal("POST", f"{url}/cancel", at_once) == (400, "bad_request")


def test_a_catalogue_made_by_the_api_is_told_as_it_was_made(shop: Shop, call: Caller) -> None:
    own = {"position": 2, "features": ["Everything"], "unit_label": "seat"}
    body = {"name": "Pro", "tax_category": "saas", "custom_data": own}
    product = call.data("POST", "/products", body)
    assert (product["custom_data"], product["tax_category"]) == (own, "saas")
    price = call.data(
        "POST",
        "/prices",
        {
            "description": "Monthly",
            "product_id": product["id"],
            "unit_price": {"amount": "14900", "currency_code": "EUR"},
            "billing_cycle": {"interval": "month", "frequency": 3},
            "quantity": {"minimum": 2, "maximum": 10},
        },
    )
    assert price["billing_cycle"] == {"interval": "month", "frequency": 3}
    assert price["quantity"] == {"minimum": 2, "maximum": 10}
    archived = call.data("PATCH", f"/products/{product['id']}", {"status": "archived"})
    assert archived["status"] == "archived"
    assert shop.get(Product, product["id"]).archived


def test_a_card_is_removed_by_the_api_of_its_own_customer_only(
    shop: Shop, call: Caller, bought: Subscription
) -> None:
    other = shop.create_customer("other@example.com").id
    [card] = shop.cards(bought.customer)
    path = f"payment-methods/{card.id}"
    assert call.refusal("DELETE", f"/customers/{other}/{path}") == (404, "not_found")
    assert call("DELETE", f"/customers/{bought.customer}/{path}").status == 204
    assert shop.cards(bought.customer) == []
