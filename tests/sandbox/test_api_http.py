"""The API as HTTP: keys, request ids, idempotency, pages, expansion."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import pytest
import stripe

from tests.sandbox.shop import Shop

KEY = {"Authorization": "Bearer sk_test_anything"}


def test_any_test_key_is_let_in(shop: Shop) -> None:
    for headers in (KEY, {"Authorization": "Bearer rk_test_1"}):
        assert httpx.get(f"{shop.origin}/v1/customers", headers=headers).status_code == 200
    basic = httpx.get(f"{shop.origin}/v1/customers", auth=("sk_test_1", ""))
    assert basic.status_code == 200


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({}, "You did not provide an API key."),
        (
            {"Authorization": "Bearer sk_live_0123456789abcdef"},
            "Invalid API Key provided: sk_live_",
        ),
        ({"Authorization": "Bearer hello"}, "Invalid API Key provided"),
        ({"Authorization": "Basic %%%"}, "You did not provide an API key."),
    ],
)
def test_other_keys_are_unauthorized(shop: Shop, headers: dict[str, str], message: str) -> None:
    answer = httpx.get(f"{shop.origin}/v1/customers", headers=headers)
    assert answer.status_code == 401
    assert message in answer.json()["error"]["message"]
    assert "0123456789" not in answer.text


def test_every_answer_names_its_request_and_version(shop: Shop) -> None:
    good = httpx.get(f"{shop.origin}/v1/customers", headers=KEY)
    bad = httpx.get(f"{shop.origin}/v1/customers/x", headers=KEY)
    assert good.headers["Request-Id"].startswith("req_")
    assert good.headers["Request-Id"] != bad.headers["Request-Id"]
    assert good.headers["Stripe-Version"] == stripe.api_version
    assert bad.headers["Request-Id"] in bad.json()["error"]["request_log_url"]


def test_an_older_version_is_accepted_with_its_words(shop: Shop) -> None:
    answer = httpx.post(
        f"{shop.origin}/v1/payment_intents",
        headers={**KEY, "Stripe-Version": "2024-06-20"},
        data={"amount": "100", "currency": "usd", "payment_method_types[]": "card"},
    )
    assert answer.status_code == 200
    assert answer.headers["Stripe-Version"] == "2024-06-20"
    assert answer.json()["allowed_payment_method_types"] == ["card"]


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b'{"email": "a@example.com"}'),
        ("application/x-www-form-urlencoded", b"\xff\xfe=1"),
        ("application/x-www-form-urlencoded", b"email=a&email[x]=b"),
        ("application/x-www-form-urlencoded", b"[email]=a"),
    ],
)
def test_a_body_that_is_no_form_is_refused(shop: Shop, content_type: str, body: bytes) -> None:
    headers = {**KEY, "Content-Type": content_type}
    answer = httpx.post(f"{shop.origin}/v1/customers", headers=headers, content=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


# ----------------------------------------------------------------------------------- idempotency


def test_the_same_key_is_executed_once(shop: Shop) -> None:
    options: Any = {"idempotency_key": uuid4().hex}
    first = shop.v1.customers.create({"name": "Once"}, options)
    again = shop.v1.customers.create({"name": "Once"}, options)
    assert again.id == first.id
    assert again.last_response is not None
    assert again.last_response.headers["idempotent-replayed"] == "true"


def test_the_same_key_with_other_parameters_is_an_error(shop: Shop) -> None:
    options: Any = {"idempotency_key": uuid4().hex}
    shop.v1.customers.create({"name": "One"}, options)
    with pytest.raises(stripe.IdempotencyError, match="same parameters they were first used with"):
        shop.v1.customers.create({"name": "Two"}, options)


def test_what_failed_after_it_began_is_replayed(shop: Shop) -> None:
    options: Any = {"idempotency_key": uuid4().hex}
    path = "/v1/payment_methods/pm_missing/attach"
    customer = shop.customer()
    seen = []
    for _ in range(2):
        with pytest.raises(stripe.InvalidRequestError) as caught:
            shop.client.raw_request("post", path, customer=customer, **options)
        seen.append(caught.value)
    assert seen[1].headers is not None
    assert seen[1].headers["idempotent-replayed"] == "true"


def test_what_never_began_may_be_mended_under_its_key(shop: Shop) -> None:
    options: Any = {"idempotency_key": uuid4().hex}
    with pytest.raises(stripe.InvalidRequestError):
        shop.client.raw_request("post", "/v1/customers", nmae="Typo", **options)
    assert shop.v1.customers.create({"name": "Mended"}, options).name == "Mended"


async def test_simultaneous_requests_with_one_key_make_one_customer(shop: Shop) -> None:
    headers = {**KEY, "Idempotency-Key": uuid4().hex}
    async with httpx.AsyncClient(base_url=shop.origin, headers=headers) as client:
        answers = await asyncio.gather(
            *(client.post("/v1/customers", data={"name": "Crowd"}) for _ in range(20))
        )
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sum("Idempotent-Replayed" not in answer.headers for answer in answers) == 1


# ----------------------------------------------------------------------------- pages, expansion


def test_pages_follow_one_another_both_ways(shop: Shop) -> None:
    email = f"{uuid4().hex}@example.com"
    made = [shop.v1.customers.create({"email": email}).id for _ in range(5)]
    newest_first = made[::-1]
    page = shop.v1.customers.list({"email": email, "limit": 2})
    assert [one.id for one in page.data] == newest_first[:2]
    assert page.has_more
    walked = [one.id for one in page.auto_paging_iter()]
    assert walked == newest_first
    back = shop.v1.customers.list({"email": email, "limit": 2, "ending_before": newest_first[3]})
    assert [one.id for one in back.data] == newest_first[1:3]
    assert back.has_more


def test_objects_of_the_same_second_are_neither_lost_nor_repeated(shop: Shop) -> None:
    customer = shop.customer()
    httpx.post(
        f"{shop.origin}/_control/batch",
        json={
            "calls": [
                {
                    "method": "post",
                    "path": "/v1/invoiceitems",
                    "params": {"customer": customer, "amount": amount, "currency": "usd"},
                    "at": 1_700_000_000,
                }
                for amount in range(1, 8)
            ]
        },
    ).raise_for_status()
    listed = shop.v1.invoice_items.list({"customer": customer, "limit": 3}).auto_paging_iter()
    assert [item.amount for item in listed] == [7, 6, 5, 4, 3, 2, 1]


def test_created_bounds_a_list(shop: Shop) -> None:
    email = f"{uuid4().hex}@example.com"
    calls = [
        {"method": "post", "path": "/v1/customers", "params": {"email": email}, "at": moment}
        for moment in (1_600_000_000, 1_600_000_010, 1_600_000_020)
    ]
    httpx.post(f"{shop.origin}/_control/batch", json={"calls": calls}).raise_for_status()

    def found(created: Any) -> list[int]:
        listed = shop.v1.customers.list({"email": email, "created": created}).data
        return [one.created - 1_600_000_000 for one in listed]

    assert found({"gte": 1_600_000_010}) == [20, 10]
    assert found({"gt": 1_600_000_000, "lt": 1_600_000_020}) == [10]
    assert found(1_600_000_020) == [20]


def test_expansion_puts_the_object_where_its_id_was(shop: Shop) -> None:
    customer = shop.customer()
    made = shop.subscribe(customer)
    plain = shop.v1.subscriptions.retrieve(made.id)
    assert (plain.customer, plain.latest_invoice) == (customer, made.latest_invoice)
    full = shop.v1.subscriptions.retrieve(
        made.id,
        {
            "expand": [
                "customer.invoice_settings.default_payment_method",
                "latest_invoice.payments",
                "items.data.price.product",
            ]
        },
    )
    whole = full.to_dict()
    settings = whole["customer"]["invoice_settings"]
    assert settings["default_payment_method"]["card"]["brand"] == "visa"
    assert whole["latest_invoice"]["payments"]["data"][0]["status"] == "paid"
    assert whole["items"]["data"][0]["price"]["product"]["name"] == "Pro"


def test_some_fields_come_only_when_expanded(shop: Shop) -> None:
    price = shop.plans["Pro"].monthly
    assert "currency_options" not in shop.v1.prices.retrieve(price)
    full = shop.v1.prices.retrieve(price, {"expand": ["currency_options"]}).to_dict()
    assert full["currency_options"]["eur"]["unit_amount"] == 14800
    configuration = shop.configuration()
    retrieve = shop.v1.billing_portal.configurations.retrieve
    assert "products" not in retrieve(configuration).features.subscription_update
    expand = {"expand": ["features.subscription_update.products"]}
    products = retrieve(configuration, expand).features.subscription_update.products  # type: ignore[arg-type]
    assert products is not None
    assert len(products) == 3


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("metadata['team']:'{tag}'", {"A", "B"}),
        ("metadata['team']:'{tag}' AND name:'a'", {"A"}),
        ("metadata['team']:'{tag}' AND -name:'A'", {"B"}),
        ("email~'{tag}-a'", {"A"}),
        ("email:'{tag}-a@example.com' OR email:'{tag}-b@example.com'", {"A", "B"}),
        ("metadata['team']:'{tag}' AND created>4000000000", set()),
    ],
)
def test_search_finds_what_its_query_says(shop: Shop, query: str, found: set[str]) -> None:
    tag = uuid4().hex
    for name in ("A", "B"):
        email = f"{tag}-{name.lower()}@example.com"
        shop.v1.customers.create({"name": name, "email": email, "metadata": {"team": tag}})
    answer = shop.v1.customers.search({"query": query.replace("{tag}", tag)})
    assert {one.name for one in answer.data} == found


@pytest.mark.parametrize("query", ["", "email", "email:", "name:'x' AND", "shoe:'x'", "'x'"])
def test_a_query_that_is_none_is_refused(shop: Shop, query: str) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        shop.v1.customers.search({"query": query})


def test_search_pages_go_on(shop: Shop) -> None:
    tag = uuid4().hex
    made = {shop.v1.customers.create({"metadata": {"team": tag}}).id for _ in range(5)}
    found = shop.v1.customers.search({"query": f"metadata['team']:'{tag}'", "limit": 2})
    assert {one.id for one in found.auto_paging_iter()} == made
