"""The control API: batches, seeds, faults, and that it stays apart from Stripe's."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
import stripe

from tests.conftest import running_sandbox

KEY = {"Authorization": "Bearer sk_test_control"}


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A sandbox whose faults and wiping disturb nobody else."""
    with running_sandbox(tmp_path_factory.mktemp("control") / "sandbox.db") as url:
        yield url


@pytest.fixture
def control(origin: str) -> Iterator[httpx.Client]:
    """A client of the control API, over an empty sandbox."""
    with httpx.Client(base_url=f"{origin}/_control") as client:
        client.post("/reset", json={}).raise_for_status()
        yield client


@pytest.fixture
def sdk(origin: str) -> stripe.StripeClient:
    """The SDK, which retries nothing."""
    return stripe.StripeClient(
        "sk_test_control",
        base_addresses={"api": origin},
        max_network_retries=0,
        http_client=stripe.UrllibClient(),
    )


PRICE = {
    "method": "post",
    "path": "/v1/prices",
    "params": {
        "currency": "usd",
        "unit_amount": 1500,
        "recurring": {"interval": "month"},
        "product_data": {"name": "Pro"},
    },
    "as": "price",
}


def test_a_batch_is_back_dated_and_refers_to_earlier_answers(control: httpx.Client) -> None:
    calls = [
        {**PRICE, "id": "price_wanted"},
        {
            "method": "post",
            "path": "/v1/customers",
            "params": {
                "payment_method": "pm_card_visa",
                "invoice_settings": {"default_payment_method": "pm_card_visa"},
            },
            "at": 1_600_000_000,
            "as": "customer",
        },
        {
            "method": "post",
            "path": "/v1/subscriptions",
            "params": {"customer": "{customer.id}", "items": [{"price": "{price.id}"}]},
            "at": 1_600_000_100,
            "as": "subscription",
        },
        {
            "method": "post",
            "path": "/v1/subscriptions/{subscription.id}",
            "params": {"items": [{"id": "{subscription.items.data.0.id}", "quantity": 2}]},
            "at": 1_600_000_200,
        },
        {
            "method": "get",
            "path": "/v1/invoices/{subscription.latest_invoice}",
        },
    ]
    answer = control.post("/batch", json={"calls": calls})
    assert answer.status_code == 200, answer.text
    price, customer, subscription, changed, invoice = answer.json()["results"]
    assert price["id"] == "price_wanted"
    assert customer["created"] == 1_600_000_000
    assert subscription["billing_cycle_anchor"] == 1_600_000_100
    assert changed["items"]["data"][0]["quantity"] == 2
    assert invoice["status_transitions"]["paid_at"] == 1_600_000_100


def test_a_batch_happens_whole_or_not_at_all(
    control: httpx.Client, sdk: stripe.StripeClient
) -> None:
    missing = {"method": "get", "path": "/v1/customers/cus_missing"}
    answer = control.post("/batch", json={"calls": [PRICE, missing]})
    assert answer.status_code == 404
    assert answer.json()["failed_call"] == 1
    assert answer.json()["error"]["code"] == "resource_missing"
    assert sdk.v1.prices.list().data == []
    assert sdk.v1.events.list().data == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/batch", {"calls": [{"method": "get"}]}),
        ("/batch", {"call": []}),
        ("/seed", {"customers": -1}),
        ("/faults", {"kind": "earthquake"}),
        ("/faults", {"kind": "error", "path": "("}),
        ("/advance", {"customer": "cus_1"}),
        ("/dunning", {"then": "forgive"}),
    ],
)
def test_a_wrong_control_call_says_what_is_wrong(
    control: httpx.Client, path: str, body: dict[str, Any]
) -> None:
    answer = control.post(path, json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_time_passes_only_for_customers_there_are(control: httpx.Client) -> None:
    answer = control.post("/advance", json={"customer": "cus_missing", "to": 1})
    assert answer.status_code == 404
    assert "No such customer" in answer.json()["error"]["message"]


def test_other_web_pages_cannot_reach_the_controls(control: httpx.Client) -> None:
    plain = control.post("/reset", content="{}", headers={"Content-Type": "text/plain"})
    assert plain.status_code == 415
    assert control.get("/health", headers={"Host": "evil.example.com"}).status_code == 400


def test_the_controls_are_not_under_the_api(origin: str) -> None:
    assert httpx.get(f"{origin}/v1/_control/health", headers=KEY).status_code == 404


# ----------------------------------------------------------------------------------------- seeds


def test_a_seed_is_back_dated_and_consistent(
    control: httpx.Client, sdk: stripe.StripeClient
) -> None:
    now = int(time.time())
    year_ago = now - 365 * 86400
    body = {
        "customers": 30,
        "subscriptions_per_customer": 2,
        "invoices_per_customer": 3,
        "created_from": year_ago,
        "email_domain": "seed.example.com",
    }
    made = control.post("/seed", json=body).json()
    assert (made["customers"], made["subscriptions"]) == (30, 60)
    customers = list(sdk.v1.customers.list({"limit": 7}).auto_paging_iter())
    assert len({one.id for one in customers}) == 30
    assert len({one.email for one in customers}) == 30
    assert customers[-1].created == year_ago
    subscriptions = sdk.v1.subscriptions.list(
        {"limit": 100, "expand": ["data.latest_invoice.payments", "data.customer"]}
    ).data
    assert len(subscriptions) == 60
    for one in subscriptions:
        whole = one.to_dict()
        item = whole["items"]["data"][0]
        assert item["current_period_start"] <= now < item["current_period_end"]
        invoice = whole["latest_invoice"]
        assert (invoice["status"], invoice["customer"]) == ("paid", whole["customer"]["id"])
        payment = invoice["payments"]["data"][0]["payment"]["payment_intent"]
        assert sdk.v1.payment_intents.retrieve(payment).amount == invoice["total"]
    first = sdk.v1.invoices.list({"customer": customers[-1].id}).data
    assert len(first) == 6


def test_what_seeded_invoices_were_paid_by_can_be_left_out(
    control: httpx.Client, sdk: stripe.StripeClient
) -> None:
    ago = int(time.time()) - 200 * 86400
    body = {"customers": 2, "invoices_per_customer": 3, "payments": False, "created_to": ago}
    assert control.post("/seed", json=body).json()["invoices"] == 6
    invoice = sdk.v1.invoices.list({"expand": ["data.payments"]}).data[0]
    assert (invoice.status, invoice.amount_remaining) == ("paid", 0)
    assert sdk.v1.payment_intents.list().data == []
    ids = [one.id for one in sdk.v1.invoices.list({"limit": 100}).data]
    assert len(set(ids)) == 6


def test_seeded_subscriptions_live_on(control: httpx.Client, sdk: stripe.StripeClient) -> None:
    control.post("/seed", json={"customers": 1, "invoices_per_customer": 2}).raise_for_status()
    subscription = sdk.v1.subscriptions.list().data[0]
    end = subscription["items"].data[0].current_period_end
    body = {"customer": subscription.customer, "to": end + 7200}
    control.post("/advance", json=body).raise_for_status()
    renewed = sdk.v1.subscriptions.retrieve(subscription.id)
    assert renewed["items"].data[0].current_period_start == end
    assert sdk.v1.invoices.list({"limit": 1}).data[0].status == "paid"


def test_a_seed_needs_a_price_that_is_there(control: httpx.Client) -> None:
    answer = control.post("/seed", json={"customers": 1, "price": "price_missing"})
    assert answer.json()["error"]["code"] == "resource_missing"


# ---------------------------------------------------------------------------------------- faults


def test_a_rate_limit_names_when_to_come_back(
    control: httpx.Client, sdk: stripe.StripeClient
) -> None:
    fault = {"kind": "rate_limit", "path": "/v1/customers", "times": 1, "retry_after": 7}
    control.post("/faults", json=fault).raise_for_status()
    sdk.v1.prices.list()
    with pytest.raises(stripe.RateLimitError) as caught:
        sdk.v1.customers.list()
    assert caught.value.headers is not None
    assert caught.value.headers["retry-after"] == "7"
    assert sdk.v1.customers.list().data == []
    assert control.get("/faults").json() == {"faults": []}


def test_an_error_strikes_its_method_until_cleared(
    control: httpx.Client, sdk: stripe.StripeClient
) -> None:
    fault = {"kind": "error", "path": "/v1/customers(/.*)?", "method": "POST", "status": 503}
    control.post("/faults", json=fault).raise_for_status()
    sdk.v1.customers.list()
    for _ in range(3):
        with pytest.raises(stripe.APIError) as caught:
            sdk.v1.customers.create()
        assert caught.value.http_status == 503
    assert control.delete("/faults").json() == {"faults": []}
    sdk.v1.customers.create()


def test_a_dropped_connection_has_no_answer(
    control: httpx.Client, sdk: stripe.StripeClient, origin: str
) -> None:
    control.post("/faults", json={"kind": "drop", "times": 1}).raise_for_status()
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        httpx.post(f"{origin}/v1/customers", headers=KEY)
    assert sdk.v1.customers.list().data == []


def test_a_slow_answer_lets_others_pass(control: httpx.Client, origin: str) -> None:
    fault = {"kind": "latency", "path": "/v1/customers", "times": 1, "seconds": 1}
    control.post("/faults", json=fault).raise_for_status()
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(httpx.get, f"{origin}/v1/customers", headers=KEY)
        while control.get("/faults").json()["faults"]:
            assert not slow.done()
        assert httpx.get(f"{origin}/v1/prices", headers=KEY).status_code == 200
        assert not slow.done()
        assert slow.result().status_code == 200


def test_a_fault_never_strikes_the_controls(control: httpx.Client) -> None:
    control.post("/faults", json={"kind": "error", "path": "/"}).raise_for_status()
    assert control.get("/health").status_code == 200
