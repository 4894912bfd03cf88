"""A served shop: its API, what can be controlled, and its webhooks."""

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from tests.sandbox.shop_engine.conftest import Do

KEY = {"Authorization": "Bearer plain"}


@pytest.fixture
def api(served: str, control: httpx.Client) -> Iterator[httpx.Client]:
    """A client of the API, over an empty shop without faults."""
    control.delete("/faults").raise_for_status()
    with httpx.Client(base_url=f"{served}/plain", headers=KEY, trust_env=False) as http:
        yield http


def test_the_dialect_answers_what_is_asked_under_its_paths(api: httpx.Client) -> None:
    made = api.post("/customers", json={"email": "a@example.com"})
    assert (made.status_code, made.headers["x-plain"]) == (201, "yes")
    listed = api.get("/customers", params={"offset": 0}).json()
    assert [one["email"] for one in listed["data"]] == ["a@example.com"]
    assert httpx.get(f"{api.base_url}customers", trust_env=False).status_code == 401


def test_what_is_refused_did_not_happen(api: httpx.Client) -> None:
    body = {"email": "a@example.com", "regretted": True}
    assert api.post("/customers", json=body).status_code == 400
    assert api.get("/customers").json() == {"data": []}


def test_a_dialect_that_breaks_is_a_failure_of_its_provider(api: httpx.Client) -> None:
    broken = api.get("/broken")
    assert (broken.status_code, broken.json()) == (500, {"error": "failed with 500"})


def test_faults_are_said_in_the_providers_words(api: httpx.Client, control: httpx.Client) -> None:
    for fault in (
        {"kind": "rate_limit", "times": 1, "retry_after": 7},
        {"kind": "error", "times": 1, "status": 503},
        {"kind": "drop", "times": 1},
    ):
        control.post("/faults", json=fault).raise_for_status()
        if fault["kind"] == "drop":
            with pytest.raises(httpx.RemoteProtocolError):
                api.get("/customers")
            continue
        answer = api.get("/customers")
        assert answer.status_code == fault.get("status", 429)
        assert answer.json() == {"error": f"failed with {answer.status_code}"}
        assert answer.headers.get("retry-after") == ("7" if "retry_after" in fault else None)
    assert api.get("/customers").status_code == 200


def test_a_batch_speaks_the_api_in_the_past_and_all_of_it_happens_or_nothing(
    api: httpx.Client, control: httpx.Client
) -> None:
    def call(email: str, **more: Any) -> dict[str, Any]:
        return {"method": "post", "path": "/plain/customers", "params": {"email": email}, **more}

    calls = [call("a@example.com", at=1_700_000_000, id="chosen"), call("b@example.com")]
    results = control.post("/batch", json={"calls": calls}).json()["results"]
    assert (results[0]["id"], results[0]["created"]) == ("chosen", 1_700_000_000)
    refused = control.post("/batch", json={"calls": [call("c@example.com"), call("a@example.com")]})
    assert (refused.status_code, refused.json()["failed_call"]) == (422, 1)
    assert len(api.get("/customers").json()["data"]) == 2


def test_operations_answer_the_record_that_came_of_them(do: Do) -> None:
    plan = do(
        "create_plan",
        name="Team",
        unit_label="seat",
        prices=[{"amount": 2000, "id": "monthly"}, {"amount": 20000, "interval": "year"}],
    )
    assert [price["interval"] for price in plan["prices"]] == ["month", "year"]
    assert len(plan["products"]) == 1
    customer = do("create_customer", email="a@example.com", id="me", at=1_700_000_000)
    assert (customer["id"], customer["created"]) == ("me", 1_700_000_000)
    do("add_card", customer_id="me")
    subscription = do("subscribe", customer_id="me", price_id="monthly", quantity=3)
    assert subscription["status"] == "active"
    assert do("update_customer", customer_id="me", address={"city": "Cork"})["address"]["city"]
    assert do("show", kind="subscription", record_id=subscription["id"]) == subscription
    found = do("find", kind="invoice", customer_id="me", where={"status": "paid"})
    assert [one["total"] for one in found["records"]] == [6000]
    assert do("open_portal", customer_id="me")["url"].startswith("http")
    checkout = do("open_checkout", price_id="monthly", email="b@example.com")
    assert "/c/pay/" in checkout["url"]


@pytest.mark.parametrize(
    ("body", "status", "problem"),
    [
        ({}, 400, "do: Field required"),
        ({"do": "dance"}, 400, "do: must be one of"),
        ({"do": "cancel"}, 400, "subscription_id: Field required"),
        ({"do": "cancel", "subscription_id": "x", "why": 1}, 400, "why: Extra inputs"),
        ({"do": "cancel", "subscription_id": 5}, 400, "valid string"),
        ({"do": "create_customer", "email": "a@b.c", "address": {"town": "x"}}, 400, "town"),
        ({"do": "find", "kind": "invoice", "id": "x"}, 400, "id: Extra inputs"),
        ({"do": "pay", "invoice_id": "x", "card": None}, 400, "card: Extra inputs"),
        ({"do": "cancel", "subscription_id": "x"}, 404, "There is no subscription x."),
        ({"do": "show", "kind": "unicorn", "record_id": "x"}, 400, "kind"),
        ({"do": "find", "kind": "invoice", "where": {"no') OR 1": 1}}, 400, "no such field"),
    ],
)
def test_what_is_no_operation_is_refused_with_the_reason(
    control: httpx.Client, body: dict[str, Any], status: int, problem: str
) -> None:
    answer = control.post("/shop", json=body)
    assert (answer.status_code, problem in answer.json()["error"]) == (status, True), answer.text


def test_a_card_that_fails_is_402_and_what_cannot_be_is_409(control: httpx.Client, do: Do) -> None:
    customer = do("create_customer", email="a@example.com")["id"]
    price = do("create_plan", name="Pro", prices=[{"amount": 100}])["prices"][0]["id"]
    declined = {"do": "add_card", "customer_id": customer, "number": "4000000000000002"}
    unpaid = {"do": "subscribe", "customer_id": customer, "price_id": price}
    twice = {"do": "create_customer", "email": "a@example.com"}
    statuses = [control.post("/shop", json=body).status_code for body in (declined, unpaid, twice)]
    assert statuses == [402, 402, 409]


def test_time_passes_for_one_customer(control: httpx.Client, do: Do) -> None:
    begin = 1_700_000_000
    price = do("create_plan", name="Pro", prices=[{"amount": 100}], at=begin)["prices"][0]["id"]
    made = []
    for number in range(2):
        customer = do("create_customer", email=f"{number}@example.com", at=begin)["id"]
        do("add_card", customer_id=customer, at=begin)
        made.append((customer, do("subscribe", customer_id=customer, price_id=price, at=begin)))
    body = {"customer": made[0][0], "to": begin + 31 * 86400}
    assert control.post("/advance", json=body).json() == {"happened": 1}
    ends = [do("show", kind="subscription", record_id=one["id"])["period_end"] for _, one in made]
    assert ends[0] > ends[1] == made[1][1]["period_end"]
    missing = control.post("/advance", json={"customer": "nobody", "to": begin})
    assert missing.status_code == 404


class Receiver:
    """Keeps what comes to an endpoint."""

    def __init__(self) -> None:
        self.came: list[tuple[bytes, str]] = []
        self.url = ""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """An endpoint that takes everything."""
    kept = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kept.came.append((body, self.headers["X-Seal"]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    kept.url = f"http://127.0.0.1:{server.server_port}/hook"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield kept
    server.shutdown()
    server.server_close()
    thread.join()


def test_events_come_sealed_to_the_endpoints_that_want_them(
    control: httpx.Client, do: Do, receiver: Receiver
) -> None:
    wanted = {"url": receiver.url, "secret": "s1", "events": ["customer_updated"], "id": "mine"}
    assert control.post("/webhooks", json=wanted).json()["id"] == "mine"
    do("create_customer", email="a@example.com", id="me")
    do("update_customer", customer_id="me", name="Ada")
    assert control.post("/webhooks/flush", json={}).json()["delivered"] == 1
    [(body, seal)] = receiver.came
    assert json.loads(body)["type"] == "customer_updated"
    assert seal == hmac.new(b"s1", body, hashlib.sha256).hexdigest()


def test_an_endpoint_that_was_switched_off_is_told_of_nothing(
    control: httpx.Client, do: Do, receiver: Receiver
) -> None:
    wanted = {"url": receiver.url, "secret": "s1", "id": "mine"}
    control.post("/webhooks", json=wanted).raise_for_status()
    control.delete("/webhooks/mine").raise_for_status()
    control.delete("/webhooks/never-heard-of").raise_for_status()
    do("create_customer", email="a@example.com")
    assert control.get("/webhooks").json() == {"pending": 0, "delivered": 0, "failed": 0}
    control.post("/webhooks", json=wanted).raise_for_status()
    do("create_customer", email="b@example.com")
    assert control.post("/webhooks/flush", json={}).json()["delivered"] == 1


def test_what_waits_for_an_endpoint_that_is_switched_off_is_dropped(
    control: httpx.Client, do: Do, receiver: Receiver
) -> None:
    wanted = {"url": receiver.url, "secret": "s1", "id": "mine"}
    control.post("/webhooks", json=wanted).raise_for_status()
    control.post("/webhook_faults", json={"kind": "delayed", "seconds": 60}).raise_for_status()
    do("create_customer", email="a@example.com")
    control.delete("/webhooks/mine").raise_for_status()
    counts = control.post("/webhooks/flush", json={}).json()
    assert (counts["failed"], receiver.came) == (1, [])
