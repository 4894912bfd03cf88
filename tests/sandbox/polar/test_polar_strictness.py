"""The Polar sandbox refuses what Polar refuses, in its words, and what it does not imitate rather than ignoring it."""

import inspect
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import pytest
from polar.v2026_10 import inputs
from polar.v2026_10.services.customers import CustomersAsync
from polar.v2026_10.services.events import EventsAsync
from polar.v2026_10.services.orders import OrdersAsync
from polar.v2026_10.services.organizations import OrganizationsAsync
from polar.v2026_10.services.products import ProductsAsync
from polar.v2026_10.services.subscriptions import SubscriptionsAsync
from polar.v2026_10.services.webhooks import WebhooksAsync

from billing_ui.sandbox.core.cards import FAILS_WHEN_CHARGED
from billing_ui.sandbox.polar import shapes
from billing_ui.sandbox.shop.model import Address, Checkout, Customer, Invoice, Subscription
from tests.unit.payments.polar_shop import POLAR_KEY, Polar, serving_polar

NOBODY = "00000000-0000-4000-8000-000000000000"
ODD_VALUES: tuple[Any, ...] = (
    *(None, True, 0, 1_000_000, "", "x", "x" * 3000, "https://a.example/ b"),
    *(["x"], {"k": ""}, {"": "v"}, {"k": "v" * 501}),
)
TEAM = {"type": "team", "owner": {"email": "o@example.com"}}


@dataclass(frozen=True)
class Api:
    """A client that knows no SDK, and the Polar it asks."""

    polar: Polar
    http: httpx.AsyncClient

    async def refused(self, method: str, path: str, **fields: Any) -> list[tuple[Any, str]]:
        """Return where and of what kind the faults of a request are."""
        answer = await self.http.request(method, path, **fields)
        assert answer.status_code == 422, answer.text
        details = answer.json()["detail"]
        assert all(detail["msg"] for detail in details)
        return [(detail["loc"], detail["type"]) for detail in details]


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    """An API in which nothing is sold yet."""
    headers = {"Authorization": f"Bearer {POLAR_KEY}"}
    async with (
        serving_polar() as polar,
        httpx.AsyncClient(base_url=polar.url, headers=headers, trust_env=False) as http,
    ):
        yield Api(polar, http)


# ---------------------------------------------------------------- who asks, and for what


@pytest.mark.parametrize("key", ["", "Bearer nonsense", "polar_oat_1", "Bearer polar_", "Basic x"])
async def test_who_has_no_token_is_refused(key: str, api: Api) -> None:
    answer = await api.http.get("/v1/products/", headers={"Authorization": key})
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/nothing/", 404),
        ("GET", "/v1/customers", 404),
        ("DELETE", "/v1/customers/", 405),
        ("GET", f"/v1/customers/{NOBODY}", 404),
        ("GET", "/v1/customers/external/nobody", 404),
        ("PATCH", f"/v1/subscriptions/{NOBODY}", 404),
        ("GET", f"/v1/subscriptions/{NOBODY}", 404),
        ("GET", f"/v1/orders/{NOBODY}/invoice", 404),
        ("POST", f"/v1/orders/{NOBODY}/invoice", 404),
        ("GET", f"/v1/checkouts/{NOBODY}", 404),
        ("GET", f"/v1/products/{NOBODY}", 404),
    ],
)
async def test_what_is_not_there_is_not_found(
    method: str, path: str, status: int, api: Api
) -> None:
    answer = await api.http.request(method, path, json={} if method == "PATCH" else None)
    assert answer.status_code == status
    assert answer.json()["error"]


@pytest.mark.parametrize("path", ["customers", "orders", "products", "subscriptions", "checkouts"])
async def test_an_id_that_is_no_uuid_is_refused(path: str, api: Api) -> None:
    assert await api.refused("GET", f"/v1/{path}/x") == [(["path", "id"], "uuid_parsing")]


# ---------------------------------------------------------------- parameters


@pytest.mark.parametrize(
    ("query", "place", "kind"),
    [
        ({"nope": "1"}, "nope", "extra_forbidden"),
        ({"page": "0"}, "page", "greater_than"),
        ({"limit": "-1"}, "limit", "greater_than"),
        ({"page": "x"}, "page", "int_parsing"),
        ({"customer_id": "x"}, "customer_id", "uuid_parsing"),
        ({"sorting": "created"}, "sorting", "literal_error"),
        ({"sorting": "amount"}, "sorting", "value_error"),
        ({"discount_id": NOBODY}, "discount_id", "value_error"),
        ({"created_after": "yesterday"}, "created_after", "datetime"),
    ],
)
async def test_a_parameter_of_a_list_is_checked(
    query: dict[str, str], place: str, kind: str, api: Api
) -> None:
    refused = await api.refused("GET", "/v1/orders/", params=query)
    assert [(loc[:2], type_) for loc, type_ in refused] == [(["query", place], kind)]


async def test_no_page_has_more_than_a_hundred(api: Api) -> None:
    for number in range(101):
        api.polar.plan(f"Plan {number}")
    answer = (await api.http.get("/v1/products/", params={"limit": 500})).json()
    assert (len(answer["items"]), answer["pagination"]) == (
        *(100, {"total_count": 101, "max_page": 2}),
    )


@pytest.mark.parametrize(
    ("body", "refused"),
    [
        ({}, [(["body", "email"], "missing")]),
        ({"email": 7}, [(["body", "email"], "string_type")]),
        ({"email": "a@b.example", "nope": 1}, [(["body", "nope"], "extra_forbidden")]),
        ({"email": "nobody"}, [(["body", "email"], "value_error")]),
        ({"type": "team"}, [(["body", "team"], "value_error")]),
        ({"type": "club", "email": "a@b.example"}, [(["body", "type"], "literal_error")]),
        (TEAM | {"owner": {}}, [(["body", "owner", "email"], "missing")]),
        (TEAM | {"owner": {"email": "x"}}, [(["body", "owner"], "value_error")]),
        (TEAM | {"metadata": {"k" * 41: "v"}}, [(["body", "metadata"], "string_too_long")]),
        (TEAM | {"metadata": {"k": "v" * 501}}, [(["body", "metadata"], "string_too_long")]),
        (
            TEAM | {"metadata": {str(n): n for n in range(51)}},
            [(["body", "metadata"], "too_long")],
        ),
        (TEAM | {"billing_address": {}}, [(["body", "billing_address", "country"], "missing")]),
        (
            TEAM | {"billing_address": {"country": "XX"}},
            [(["body", "billing_address", "country"], "literal_error")],
        ),
        (TEAM | {"organization_id": "x"}, [(["body", "organization_id"], "uuid_parsing")]),
        ([], [(["body", "0"], "dict_type")]),
    ],
)
async def test_a_customer_that_cannot_be_is_refused(body: Any, refused: Any, api: Api) -> None:
    assert await api.refused("POST", "/v1/customers/", json=body) == refused
    assert api.polar.shop.count(Customer) == 0


async def test_what_is_no_json_is_refused(api: Api) -> None:
    refused = await api.refused("POST", "/v1/customers/", content=b"{")
    assert refused == [(["body", "0"], "json_invalid")]


async def test_emails_and_external_ids_are_unique_whatever_their_case(api: Api) -> None:
    api.polar.shop.create_customer("ada@example.com", external_id="team-1")
    body = {"email": "ADA@example.com", "external_id": "team-1"}
    assert await api.refused("POST", "/v1/customers/", json=body) == [
        (["body", "email"], "value_error"),
        (["body", "external_id"], "value_error"),
    ]


async def test_any_number_of_teams_has_no_email(api: Api) -> None:
    for _ in range(2):
        made = (await api.http.post("/v1/customers/", json=TEAM)).json()
        assert made["email"] is None
    records = api.polar.shop.find(Customer)
    assert [shapes.email_of(one) for one in records] == [None, None]


async def test_what_was_an_external_id_stays_one(api: Api) -> None:
    customer = api.polar.shop.create_customer("ada@example.com", external_id="team-1")
    path = f"/v1/customers/{customer.id}"
    assert await api.refused("PATCH", path, json={"external_id": "team-2"}) == [
        (["body", "external_id"], "value_error")
    ]
    assert (await api.http.patch(path, json={"external_id": "team-1"})).status_code == 200


async def test_a_deleted_customer_frees_what_was_unique(api: Api) -> None:
    body = {"email": "ada@example.com", "external_id": "team-1"}
    first = (await api.http.post("/v1/customers/", json=body)).json()["id"]
    assert (await api.http.delete(f"/v1/customers/{first}")).status_code == 204
    assert (await api.http.delete(f"/v1/customers/{first}")).status_code == 404
    assert (await api.http.post("/v1/customers/", json=body)).status_code == 201


# ---------------------------------------------------------------- sessions and checkouts


@pytest.mark.parametrize(
    ("body", "place", "kind"),
    [
        ({}, "external_customer_id", "missing"),
        ({"customer_id": NOBODY}, "customer_id", "value_error"),
        ({"external_customer_id": "nobody"}, "external_customer_id", "value_error"),
        ({"customer_id": "x"}, "customer_id", "uuid_parsing"),
    ],
)
async def test_a_portal_is_of_somebody_there_is(
    body: dict[str, str], place: str, kind: str, api: Api
) -> None:
    refused = await api.refused("POST", "/v1/customer-sessions/", json=body)
    assert refused == [(["body", place], kind)]


async def test_it_must_be_said_who_of_a_team_comes(api: Api) -> None:
    made = (await api.http.post("/v1/customers/", json=TEAM | {"external_id": "team-1"})).json()
    known = {"customer_id": made["id"]}
    path = "/v1/customer-sessions/"
    assert await api.refused("POST", path, json=known) == [(["body", "member_id"], "value_error")]
    for field in ("member_id", "external_member_id"):
        refused = await api.refused("POST", path, json=known | {field: str(uuid4())})
        assert refused == [(["body", field], "value_error")]
    answer = await api.http.post(path, json=known | {"external_member_id": "team-1"})
    assert answer.status_code == 201


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"products": []}, "products"),
        ({"products": [NOBODY]}, "products"),
        ({"products": ["archived"]}, "products"),
        ({"products": ["plain"], "seats": 2}, "seats"),
        ({"products": ["seats"], "units": 2}, "units"),
        ({"products": ["seats"], "seats": -1}, "seats"),
        ({"products": ["plain"], "currency": "eur"}, "currency"),
        ({"products": ["plain"], "customer_id": NOBODY}, "customer_id"),
        ({"products": ["plain"], "discount_id": NOBODY}, "discount_id"),
        ({"products": ["plain"], "nope": 1}, "nope"),
    ],
)
async def test_a_checkout_that_cannot_be_is_refused(
    body: dict[str, Any], place: str, api: Api
) -> None:
    archived = api.polar.plan("Gone")
    api.polar.shop.update_product(archived.id, archived=True)
    known = {
        "plain": api.polar.plan().id,
        "seats": api.polar.plan(unit_label="seat").id,
        "archived": archived.id,
    }
    wish = body | {"products": [known.get(one, one) for one in body["products"]]}
    refused = await api.refused("POST", "/v1/checkouts/", json=wish)
    assert [loc[:2] for loc, _ in refused] == [["body", place]]
    assert api.polar.shop.count(Checkout) == 0


async def test_what_has_ended_cannot_end_again(api: Api) -> None:
    customer = api.polar.subscriber(api.polar.plan())
    [bought] = (
        await api.http.get("/v1/subscriptions/", params={"customer_id": customer.id})
    ).json()["items"]
    path = f"/v1/subscriptions/{bought['id']}"
    assert (await api.http.delete(path)).json()["status"] == "canceled"
    for answer in (
        await api.http.delete(path),
        await api.http.patch(path, json={"cancel_at_period_end": True}),
    ):
        assert (answer.status_code, answer.json()["error"]) == (403, "AlreadyCanceledSubscription")
    assert await api.refused("PATCH", path, json={"trial_end": "now"}) == [
        (["body", "trial_end"], "value_error")
    ]


async def test_a_pdf_is_made_of_what_was_paid_by_somebody_with_an_address(api: Api) -> None:
    shop = api.polar.shop
    customer = api.polar.subscriber(api.polar.plan())
    [order] = shop.find(Invoice, customer=customer.id)
    path = f"/v1/orders/{order.id}"

    async def asked(method: str) -> tuple[int, str | None]:
        answer = await api.http.request(method, f"{path}/invoice")
        return answer.status_code, answer.json().get("error")

    assert await asked("GET") == (404, "InvoiceDoesNotExist")
    assert await asked("POST") == (422, "MissingInvoiceBillingDetails")
    shop.update_customer(customer.id, address=Address(line1="Main St 1", country="DE"))
    assert await asked("GET") == (404, "InvoiceDoesNotExist")
    assert (await api.http.get(path)).json()["is_invoice_generated"] is False
    for _ in range(2):
        assert await asked("POST") == (202, None)
        assert await asked("GET") == (200, None)
    assert (await api.http.get(path)).json()["is_invoice_generated"] is True

    shop.add_card(customer.id, FAILS_WHEN_CHARGED)
    [bought] = shop.find(Subscription, customer=customer.id)
    shop.advance(bought.period_end + 3600, customer.id)
    path = f"/v1/orders/{next(one.id for one in shop.find(Invoice) if one.id != order.id)}"
    assert await asked("POST") == (409, "OrderNotEligibleForInvoice")


# ---------------------------------------------------------------- what Polar describes


@pytest.mark.parametrize(
    ("method", "path", "schema", "needed"),
    [
        ("POST", "/v1/customers/", inputs.CustomerTeamCreate, {"type", "email"}),
        ("POST", "/v1/customers/", inputs.CustomerIndividualCreate, {"email"}),
        ("PATCH", "/v1/customers/{customer}", inputs.CustomerUpdate, set()),
        (
            *("POST", "/v1/customer-sessions/"),
            *(inputs.CustomerSessionCustomerIDCreate, {"customer_id"}),
        ),
        ("POST", "/v1/checkouts/", inputs.CheckoutCreate, {"products"}),
        ("PATCH", "/v1/subscriptions/{subscription}", inputs.SubscriptionUpdateBase, set()),
        ("PATCH", "/v1/subscriptions/{subscription}", inputs.SubscriptionUpdateSeats, {"seats"}),
        (
            *("PATCH", "/v1/subscriptions/{subscription}"),
            *(inputs.SubscriptionCancel, {"cancel_at_period_end"}),
        ),
    ],
)
async def test_no_field_takes_what_polars_description_forbids(
    method: str, path: str, schema: Any, needed: set[str], api: Api
) -> None:
    product = api.polar.plan(unit_label="seat")
    customer = api.polar.subscriber(product)
    [bought] = api.polar.shop.find(Subscription)
    good = {
        **{"type": "team", "customer_id": customer.id, "products": [product.id]},
        **{"seats": 2, "cancel_at_period_end": True},
    }
    address = path.format(customer=customer.id, subscription=bought.id)
    for field in schema.__annotations__:
        for value in ODD_VALUES:
            # Nobody else may have the same e-mail.
            wish = {name: good.get(name, f"{uuid4().hex}@example.com") for name in needed}
            answer = await api.http.request(method, address, json=wish | {field: value})
            # Whatever is not refused is held against the description when the test ends.
            assert answer.status_code < 500, (field, value)


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("customers/", CustomersAsync.list),
        ("customers/{customer}/payment-methods", CustomersAsync.list_payment_methods),
        ("products/", ProductsAsync.list),
        ("subscriptions/", SubscriptionsAsync.list),
        ("orders/", OrdersAsync.list),
        ("events/", EventsAsync.list),
        ("organizations/", OrganizationsAsync.list),
        ("webhooks/endpoints", WebhooksAsync.list_webhook_endpoints),
        ("webhooks/deliveries", WebhooksAsync.list_webhook_deliveries),
    ],
)
async def test_no_parameter_takes_what_polars_description_forbids(
    path: str, method: Callable[..., Any], api: Api
) -> None:
    customer = api.polar.subscriber(api.polar.plan())
    address = f"/v1/{path.format(customer=customer.id)}"
    for name in inspect.signature(method).parameters.keys() - {"self", "id"}:
        for value in ("", "x", "0", "true", "2026-11-20", "2026-11-20T10:00:00"):
            answer = await api.http.get(address, params={name: value})
            assert answer.status_code < 500, (name, value)


# ---------------------------------------------------------------- filters


async def test_lists_are_narrowed_down(api: Api) -> None:
    polar = api.polar
    first = polar.subscriber(polar.plan("One"), "one@example.com")
    second = polar.subscriber(polar.plan("Two"), "two@example.com")
    polar.shop.update_customer(second.id, metadata={"team_id": "2"}, external_id="team-2")
    polar.shop.cancel(polar.shop.find(Subscription, customer=first.id)[0].id)

    async def ids(path: str, **query: Any) -> set[str]:
        answer = await api.http.get(f"/v1/{path}/", params=query)
        assert answer.status_code == 200, answer.text
        return {one.get("customer_id") or one["id"] for one in answer.json()["items"]}

    both = {first.id, second.id}
    assert await ids("customers", email="TWO@example.com") == {second.id}
    assert await ids("customers", **{"metadata[team_id]": "2"}) == {second.id}
    assert await ids("subscriptions", customer_id=[first.id, second.id]) == both
    assert await ids("subscriptions", cancel_at_period_end=True) == {first.id}
    assert await ids("subscriptions", external_customer_id="team-2") == {second.id}
    assert await ids("subscriptions", status="canceled") == set()
    assert await ids("subscriptions", active=True) == both
    assert await ids("orders", status="paid", created_after="2020-01-01T00:00:00Z") == both
    assert await ids("orders", created_before="2020-01-01T00:00:00Z") == set()
    assert await ids("events", name="subscription.canceled") == {first.id}
    assert await ids("events", source="user") == set()
