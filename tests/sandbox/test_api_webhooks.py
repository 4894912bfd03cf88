"""Webhook endpoints and what is delivered to them: signed, again and again, or wrongly on purpose."""

import itertools
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import stripe

from billing_ui.sandbox.core.outbox import Outbox
from billing_ui.sandbox.core.store import Store
from tests.conftest import free_port, running_sandbox
from tests.sandbox.receiver import SECRET, Receiver, receiving
from tests.sandbox.test_api_process import client, start


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A sandbox whose endpoints disturb nobody else."""
    with running_sandbox(tmp_path_factory.mktemp("webhooks") / "sandbox.db") as url:
        yield url


@pytest.fixture
def control(origin: str) -> Iterator[httpx.Client]:
    """A client of the control API, over an empty sandbox."""
    with httpx.Client(base_url=f"{origin}/_control", timeout=30) as http:
        http.post("/reset", json={}).raise_for_status()
        http.delete("/webhook_faults").raise_for_status()
        yield http


@pytest.fixture
def sdk(origin: str) -> stripe.StripeClient:
    """The SDK."""
    return client(int(origin.rpartition(":")[2]))


@pytest.fixture
def receiver(control: httpx.Client) -> Iterator[Receiver]:
    """An endpoint that is registered for everything."""
    with receiving() as listening:
        body = {"url": listening.url, "secret": SECRET, "events": ["*"]}
        control.post("/webhooks", json=body).raise_for_status()
        yield listening


def queue(control: httpx.Client) -> dict[str, int]:
    """Return how many deliveries are pending, delivered and failed."""
    counts: dict[str, int] = control.get("/webhooks").json()
    return counts


def flush(control: httpx.Client) -> dict[str, int]:
    """Send what waits now, and return how many deliveries are pending, delivered and failed."""
    answer = control.post("/webhooks/flush", json={})
    counts: dict[str, int] = answer.raise_for_status().json()
    return counts


# -------------------------------------------------------------------------------------- endpoints


def test_the_secret_is_in_the_first_answer_only(
    sdk: stripe.StripeClient, control: httpx.Client
) -> None:
    made = sdk.v1.webhook_endpoints.create(
        {
            "url": "https://app.example.com/hook",
            "enabled_events": ["customer.created", "invoice.paid"],
            "description": "Ours",
            "api_version": "2026-10-28.endive",
            "metadata": {"of": "test"},
        }
    )
    assert made.secret is not None
    assert made.secret.startswith("whsec_")
    assert (made.status, made.api_version) == ("enabled", "2026-10-28.endive")
    found = sdk.v1.webhook_endpoints.retrieve(made.id)
    assert "secret" not in found.to_dict()
    assert found.enabled_events == ["customer.created", "invoice.paid"]
    changed = sdk.v1.webhook_endpoints.update(
        made.id, {"enabled_events": ["*"], "disabled": True, "url": "https://app.example.com/two"}
    )
    assert (changed.status, changed.url) == ("disabled", "https://app.example.com/two")
    assert "secret" not in changed.to_dict()
    assert [one.id for one in sdk.v1.webhook_endpoints.list().data] == [made.id]
    assert sdk.v1.webhook_endpoints.delete(made.id).deleted
    assert sdk.v1.webhook_endpoints.list().data == []
    with pytest.raises(stripe.InvalidRequestError, match="No such webhook_endpoint"):
        sdk.v1.webhook_endpoints.retrieve(made.id)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"enabled_events": ["*"]}, "Missing required param: url."),
        ({"url": "https://a.example.com"}, "Missing required param: enabled_events."),
        ({"url": "ftp://a.example.com", "enabled_events": ["*"]}, "Not a valid URL"),
        ({"url": "https://a.example.com", "enabled_events": ["no.such"]}, "must be one of"),
        (
            {"url": "https://a.example.com", "enabled_events": ["*", "invoice.paid"]},
            "it must be the only event",
        ),
        (
            {"url": "https://a.example.com", "enabled_events": ["*"], "api_version": "2001-01-01"},
            "Invalid api_version",
        ),
        (
            {"url": "https://a.example.com", "enabled_events": ["*"], "secret": "whsec_mine"},
            "Received unknown parameter: secret",
        ),
    ],
)
def test_an_endpoint_that_cannot_be_is_refused(
    sdk: stripe.StripeClient, params: Any, message: str
) -> None:
    with pytest.raises(stripe.InvalidRequestError, match=message):
        sdk.v1.webhook_endpoints.create(params)


def test_registering_a_known_secret_again_changes_the_one_endpoint(
    control: httpx.Client, sdk: stripe.StripeClient
) -> None:
    url = "http://127.0.0.1:9/hook"
    ids = []
    for secret, events in (("whsec_a", ["*"]), ("whsec_b", ["invoice.paid"])):
        made = control.post("/webhooks", json={"url": url, "secret": secret, "events": events})
        assert made.json()["secret"] == secret
        ids.append(made.json()["id"])
    assert ids[0] == ids[1]
    assert sdk.v1.webhook_endpoints.retrieve(ids[0]).enabled_events == ["invoice.paid"]
    wrong = control.post("/webhooks", json={"url": "nowhere", "secret": "whsec_a"})
    assert wrong.json()["error"]["message"] == "Not a valid URL"


def test_what_waited_for_an_endpoint_that_moved_is_sent_to_where_it_is_now(
    control: httpx.Client, sdk: stripe.StripeClient
) -> None:
    endpoint = {"id": "we_moving", "secret": SECRET, "events": ["*"]}
    gone = f"http://127.0.0.1:{free_port()}/hook"
    control.post("/webhooks", json=endpoint | {"url": gone}).raise_for_status()
    sdk.v1.customers.create({"name": "Ada"})
    with receiving() as listening:
        control.post("/webhooks", json=endpoint | {"url": listening.url}).raise_for_status()
        assert flush(control) == {"pending": 0, "delivered": 1, "failed": 0}
        assert listening.types() == ["customer.created"]
    (only,) = sdk.v1.webhook_endpoints.list().data
    assert (only.id, only.url) == ("we_moving", listening.url)


# --------------------------------------------------------------------------------------- delivery


def test_an_event_arrives_signed_and_as_it_is_listed(
    receiver: Receiver, sdk: stripe.StripeClient, control: httpx.Client
) -> None:
    customer = sdk.v1.customers.create({"name": "Ada"})
    (event,) = receiver.wait_for(1)
    assert (event.type, event.data.object["id"]) == ("customer.created", customer.id)
    assert event.pending_webhooks == 1
    assert flush(control) == {"pending": 0, "delivered": 1, "failed": 0}
    listed = sdk.v1.events.retrieve(event.id)
    assert listed.pending_webhooks == 0
    assert {**listed.to_dict(), "pending_webhooks": 1} == event.to_dict()


def test_only_the_events_asked_for_are_sent(
    control: httpx.Client, sdk: stripe.StripeClient
) -> None:
    with receiving() as narrow:
        body = {"url": narrow.url, "secret": SECRET, "events": ["customer.updated"]}
        control.post("/webhooks", json=body).raise_for_status()
        customer = sdk.v1.customers.create({"name": "Ada"})
        sdk.v1.customers.update(customer.id, {"name": "Grace"})
        assert flush(control)["delivered"] == 1
        assert narrow.types() == ["customer.updated"]
        assert narrow.events[0].data["previous_attributes"]["name"] == "Ada"


def test_an_endpoint_of_an_older_version_gets_the_older_shape(
    control: httpx.Client, sdk: stripe.StripeClient
) -> None:
    with receiving() as older:
        endpoint = sdk.v1.webhook_endpoints.create(
            {"url": older.url, "enabled_events": ["*"], "api_version": "2024-06-20"}
        )
        older.secret = endpoint.secret or ""
        control.post("/seed", json={"customers": 1}).raise_for_status()
        subscription = sdk.v1.subscriptions.list().data[0]
        item = subscription["items"].data[0].id
        sdk.v1.subscriptions.update(
            subscription.id,
            {
                "items": [{"id": item, "quantity": 2}],
                "proration_behavior": "always_invoice",
            },
        )
        flush(control)
        told = {event.type: event for event in older.events}
        of_subscription = told["customer.subscription.updated"]
        assert of_subscription.api_version == "2024-06-20"
        end = subscription["items"].data[0].current_period_end
        assert of_subscription.data.object["current_period_end"] == end
        (item,) = of_subscription.data.object["items"].data
        assert "current_period_end" not in item.to_dict()
        invoice = told["invoice.paid"].data.object
        assert (invoice["subscription"], invoice["paid"]) == (subscription.id, True)
        assert "parent" not in invoice.to_dict()


@pytest.mark.parametrize("status", [500, 404, 302])
def test_a_refused_event_is_sent_again_until_it_is_taken(
    status: int, receiver: Receiver, sdk: stripe.StripeClient, control: httpx.Client
) -> None:
    statuses = itertools.chain([status], itertools.repeat(204))
    receiver.answer = lambda: next(statuses)
    sdk.v1.customers.create()
    (event,) = receiver.wait_for(1)
    failing = sdk.v1.events.list({"delivery_success": False}).data
    assert [(one.id, one.pending_webhooks) for one in failing] == [(event.id, 1)]
    assert sdk.v1.events.list({"delivery_success": True}).data == []
    receiver.wait_for(2)  # after a second, by itself
    assert flush(control) == {"pending": 0, "delivered": 1, "failed": 0}
    assert receiver.ids() == [event.id] * 2
    assert sdk.v1.events.list({"delivery_success": False}).data == []
    assert [one.id for one in sdk.v1.events.list({"delivery_success": True}).data] == [event.id]


def test_an_endpoint_that_hangs_holds_nobody_up(
    receiver: Receiver, sdk: stripe.StripeClient, control: httpx.Client
) -> None:
    goes_on = threading.Event()

    def hang() -> int:
        goes_on.wait(30)
        return 200

    receiver.answer = hang
    for number in range(30):
        sdk.v1.customers.create({"name": str(number)})
    assert queue(control)["delivered"] == 0
    goes_on.set()
    assert flush(control)["delivered"] == 30


@pytest.mark.parametrize("way", ["disabled", "deleted"])
def test_an_endpoint_that_is_no_more_gets_nothing(
    way: str, receiver: Receiver, sdk: stripe.StripeClient, control: httpx.Client
) -> None:
    receiver.answer = lambda: 500
    (endpoint,) = sdk.v1.webhook_endpoints.list().data
    sdk.v1.customers.create()
    flush(control)
    tried = len(receiver.events)
    if way == "disabled":
        sdk.v1.webhook_endpoints.update(endpoint.id, {"disabled": True})
    else:
        sdk.v1.webhook_endpoints.delete(endpoint.id)
    sdk.v1.customers.create()
    assert flush(control) == {"pending": 0, "delivered": 0, "failed": 1}
    assert len(receiver.events) == tried


def test_a_kill_loses_no_delivery(tmp_path: Path) -> None:
    database, port, hook = tmp_path / "sandbox.db", free_port(), free_port()
    process = start(database, port)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}/_control") as control:
        body = {"url": f"http://127.0.0.1:{hook}/hook", "secret": SECRET}
        control.post("/webhooks", json=body).raise_for_status()
        for number in range(20):  # nobody listens
            client(port).v1.customers.create({"name": str(number)})
        assert queue(control) == {"pending": 20, "delivered": 0, "failed": 0}
    process.kill()
    process.wait()
    with receiving(hook) as late:
        again = start(database, port)
        assert {event.data.object["name"] for event in late.wait_for(20)} == {
            str(number) for number in range(20)
        }
        again.kill()
        again.wait()


def test_an_undone_change_is_told_to_nobody(
    receiver: Receiver, sdk: stripe.StripeClient, control: httpx.Client
) -> None:
    calls = [
        {"method": "post", "path": "/v1/customers", "params": {"name": "Undone"}},
        {"method": "post", "path": "/v1/customers", "params": {"nonsense": "1"}},
    ]
    assert control.post("/batch", json={"calls": calls}).status_code == 400
    sdk.v1.customers.create({"name": "Done"})
    flush(control)
    assert [event.data.object["name"] for event in receiver.events] == ["Done"]


def test_the_wait_doubles_up_to_a_minute_and_ends_after_three_days(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = begun = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    outbox = Outbox(Store(tmp_path / "outbox.db"))
    outbox.add("evt_1", "customer.created", ["we_1"])
    waits = []
    while waiting := outbox.due(now, 1):
        outbox.failed(waiting[0])
        following = outbox.next_due(now)
        if following is not None:
            waits.append(following - now)
            now = following
    assert waits[:8] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert now - begun == pytest.approx(3 * 24 * 3600, abs=60)
    assert outbox.counts() == {"pending": 0, "delivered": 0, "failed": 1}


# ----------------------------------------------------------------------------------------- faults


def strike(control: httpx.Client, **fault: Any) -> None:
    """Put a webhook fault in force."""
    control.post("/webhook_faults", json=fault).raise_for_status()


def made(sdk: stripe.StripeClient, number: int) -> list[str]:
    """Make customers; return their names."""
    names = [str(index) for index in range(number)]
    for name in names:
        sdk.v1.customers.create({"name": name})
    return names


def names(receiver: Receiver) -> list[str]:
    """Return the names of the customers that were told of, in order."""
    return [event.data.object["name"] for event in receiver.events]


def test_a_lost_event_never_comes_and_is_listed_as_not_delivered(
    receiver: Receiver, sdk: stripe.StripeClient, control: httpx.Client
) -> None:
    strike(control, kind="lost", times=2)
    made(sdk, 3)
    assert flush(control) == {"pending": 0, "delivered": 1, "failed": 2}
    assert names(receiver) == ["2"]
    assert len(sdk.v1.events.list({"delivery_success": False}).data) == 2
    assert control.get("/webhook_faults").json() == {"faults": []}


def test_a_duplicated_event_comes_twice(
    receiver: Receiver, sdk: stripe.StripeClient, control: httpx.Client
) -> None:
    strike(control, kind="duplicated", times=1)
    made(sdk, 2)
    flush(control)
    assert sorted(names(receiver)) == ["0", "0", "1"]
    assert len(set(receiver.ids())) == 2
    assert {one.pending_webhooks for one in sdk.v1.events.list().data} == {0}


def test_a_delayed_event_comes_later(
    receiver: Receiver, sdk: stripe.StripeClient, control: httpx.Client
) -> None:
    strike(control, kind="delayed", seconds=3600, types=["customer.created"])
    customer = sdk.v1.customers.create({"name": "Ada"})
    sdk.v1.customers.update(customer.id, {"name": "Grace"})
    receiver.wait_for(1)
    assert receiver.types() == ["customer.updated"]
    control.delete("/webhook_faults")
    assert flush(control) == {"pending": 0, "delivered": 2, "failed": 0}
    assert receiver.types() == ["customer.updated", "customer.created"]


def test_a_reordered_event_comes_after_the_next(
    receiver: Receiver, sdk: stripe.StripeClient, control: httpx.Client
) -> None:
    strike(control, kind="reordered", seconds=3600, times=2)
    made(sdk, 3)
    receiver.wait_for(3)
    assert names(receiver)[0] == "2"
    assert sorted(names(receiver)) == ["0", "1", "2"]


def test_chance_strikes_some(
    receiver: Receiver, sdk: stripe.StripeClient, control: httpx.Client
) -> None:
    strike(control, kind="lost", probability=0)
    assert flush(control)["failed"] == 0
    strike(control, kind="lost", probability=0.5)
    made(sdk, 60)
    assert 0 < flush(control)["failed"] < 60


# ------------------------------------------------------------------------------------------ storm


def test_a_storm_tells_of_as_many_events_as_wanted(
    receiver: Receiver, sdk: stripe.StripeClient, control: httpx.Client
) -> None:
    control.post("/seed", json={"customers": 10}).raise_for_status()
    before = flush(control)["delivered"]  # the price that is sold
    answer = control.post("/storm", json={"events": 200, "seed": 1}).json()
    assert answer["events"] == 200
    assert 0 < answer["changes"] <= 200
    assert flush(control)["delivered"] == before + 200
    assert len(set(receiver.ids())) == before + 200
    assert {"customer.updated", "customer.subscription.updated", "payment_method.attached"} <= set(
        receiver.types()
    )


def test_a_storm_strikes_only_whom_it_is_sent_to(
    sdk: stripe.StripeClient, control: httpx.Client
) -> None:
    control.post("/seed", json={"customers": 3}).raise_for_status()
    chosen = sdk.v1.customers.list().data[0].id
    body = {"customers": [chosen], "events": 30}
    with ThreadPoolExecutor(1) as pool:  # others are served meanwhile
        storm = pool.submit(control.post, "/storm", json=body)
        sdk.v1.prices.list()
        storm.result().raise_for_status()
    for event in sdk.v1.events.list({"limit": 30}).data:
        told = event.data.object
        owner = told["id"] if told["object"] == "customer" else told["customer"]
        assert (owner or event.data["previous_attributes"]["customer"]) == chosen
    missing = control.post("/storm", json={"customers": ["cus_none"], "events": 1})
    assert missing.json()["error"]["code"] == "resource_missing"
