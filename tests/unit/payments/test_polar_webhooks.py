"""Polar's webhooks: only genuine ones count, and they name what they make out of date."""

import base64
import hmac
import json
import time
from datetime import UTC, datetime
from typing import Any, get_args

import pytest
from polar.v2026_10.literals import WebhookEventType
from polar.v2026_10.webhooks import validate_event

from billing_ui.payments.polar import webhooks
from billing_ui.payments.polar.webhooks import LOGGED_EVENTS, NEEDED_EVENTS, event_of, verify
from billing_ui.payments.types import InvalidRequest, InvalidSignature, NoWebhookSecret
from billing_ui.sandbox.polar.webhooks import LABELS, parcel
from billing_ui.sandbox.shop.model import Checkout, Endpoint, Event
from tests.unit.payments.polar_shop import POLAR_SECRETS, Polar

PAYLOAD = {
    "type": "subscription.updated",
    "timestamp": "2026-11-20T10:00:00.5Z",
    "api_version": "2026-10",
    "data": {"id": "sub", "customer_id": "cust"},
}


def delivery(
    secret: str = POLAR_SECRETS[1], *, at: float | None = None, body: bytes | None = None
) -> tuple[dict[str, str], bytes]:
    """Return the headers and the body of a genuine webhook, signed as Standard Webhooks prescribe."""
    body = json.dumps(PAYLOAD).encode() if body is None else body
    stamp = int(time.time() if at is None else at)
    digest = hmac.digest(secret.encode(), f"evt_1.{stamp}.".encode() + body, "sha256")
    return {
        "webhook-id": "evt_1",
        "webhook-timestamp": str(stamp),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }, body


def test_a_genuine_webhook_names_the_customer_that_is_out_of_date() -> None:
    event = verify(POLAR_SECRETS, *delivery())
    assert (event.id, event.type) == ("evt_1", "subscription.updated")
    assert event.created_at == datetime(2026, 11, 20, 10, 0, 0, 500_000, tzinfo=UTC)
    assert (event.customer_id, event.catalog, event.foreign) == ("cust", False, False)
    assert event.payload == PAYLOAD


@pytest.mark.parametrize("secret", POLAR_SECRETS)
def test_any_of_the_secrets_verifies(secret: str) -> None:
    assert verify(POLAR_SECRETS, *delivery(secret)).id == "evt_1"


def test_a_secret_that_is_a_key_in_base64_verifies_too() -> None:
    key = b"a key of thirty-two bytes or so."
    headers, body = delivery(key.decode())
    assert verify((f"whsec_{base64.b64encode(key).decode()}",), headers, body).id == "evt_1"


def test_no_other_secret_verifies() -> None:
    with pytest.raises(InvalidSignature):
        verify(POLAR_SECRETS, *delivery("polar_whs_other"))


@pytest.mark.parametrize("secrets", [(), ("",)])
def test_without_a_secret_nothing_verifies(secrets: tuple[str, ...]) -> None:
    with pytest.raises(NoWebhookSecret):
        verify(secrets, *delivery(""))


def test_an_empty_secret_beside_another_verifies_nothing() -> None:
    with pytest.raises(InvalidSignature):
        verify(("", "polar_whs_other"), *delivery(""))


@pytest.mark.parametrize("seconds", [-webhooks.TOLERANCE_SECONDS - 5, 305])
def test_a_stale_webhook_is_refused_and_one_from_the_future_too(seconds: int) -> None:
    with pytest.raises(InvalidSignature):
        verify(POLAR_SECRETS, *delivery(at=time.time() + seconds))


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
@pytest.mark.parametrize(
    "value", [None, "", "nonsense", "nan", "é", "v1,", "v1,é", "v2,x", "1" * 400]
)
def test_every_header_is_needed_and_means_what_it_says(name: str, value: str | None) -> None:
    headers, body = delivery()
    others = {header: given for header, given in headers.items() if header != name}
    headers = others if value is None else {**others, name: value}
    with pytest.raises(InvalidSignature):
        verify(POLAR_SECRETS, headers, body)


@pytest.mark.parametrize("change", [b" ", b"\xff", b"\x00"])
def test_a_changed_body_is_refused(change: bytes) -> None:
    headers, body = delivery()
    with pytest.raises(InvalidSignature):
        verify(POLAR_SECRETS, headers, body + change)


def test_one_good_signature_of_several_is_enough() -> None:
    headers, body = delivery()
    headers["webhook-signature"] = f"v1,AAAA v2,BBBB {headers['webhook-signature']}"
    assert verify(POLAR_SECRETS, headers, body).id == "evt_1"


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"null", b"[]", b"{}", b"text", b'{"type": "x"}'),
        b'{"type": "x", "timestamp": "2026-01-01T00:00:00Z"}',
        b'{"type": "x", "timestamp": "2026-01-01T00:00:00Z", "data": []}',
        b'{"type": "x", "timestamp": "yesterday", "data": {}}',
        b'{"type": "", "timestamp": "2026-01-01T00:00:00Z", "data": {}}',
        b'{"type": "x", "timestamp": NaN, "data": {}}',
    ],
)
def test_what_is_signed_but_no_event_is_refused_as_such(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        verify(POLAR_SECRETS, *delivery(body=body))


def test_an_event_newer_than_the_sdk_is_understood() -> None:
    newer = {**PAYLOAD, "type": "subscription.hibernated", "data": {"customer_id": "c", "x": 1}}
    event = verify(POLAR_SECRETS, *delivery(body=json.dumps(newer).encode()))
    assert (event.type, event.customer_id) == ("subscription.hibernated", "c")


@pytest.mark.parametrize(
    ("type_", "data", "customer", "catalog"),
    [
        ("customer.updated", {"id": "c"}, "c", False),
        ("customer.state_changed", {"id": "c"}, "c", False),
        ("order.paid", {"id": "o", "customer_id": "c"}, "c", False),
        ("member.created", {"id": "m", "customer_id": "c"}, "c", False),
        ("checkout.updated", {"id": "x", "customer_id": None}, None, False),
        ("product.updated", {"id": "p"}, None, True),
        ("benefit.updated", {"id": "b"}, None, True),
        ("benefit_grant.created", {"id": "g", "customer_id": "c"}, "c", False),
        ("organization.updated", {"id": "o"}, None, False),
        ("order.paid", {"customer_id": 7}, None, False),
        ("order.paid", {"customer_id": "x" * 256}, None, False),
    ],
)
def test_an_event_is_reduced_to_what_it_makes_out_of_date(
    type_: str, data: dict[str, Any], customer: str | None, catalog: bool
) -> None:
    event = event_of({**PAYLOAD, "type": type_, "data": data}, "evt_1")
    assert (event.customer_id, event.catalog) == (customer, catalog)


async def test_no_address_of_a_checkout_is_kept(polar: Polar) -> None:
    plan = polar.plan()
    opened = polar.shop.open_checkout(polar.price(plan).id, email="a@example.com")
    polar.shop.complete_checkout(opened.id, number="4242424242424242")
    [event] = [one for one in polar.shop.find(Event) if one.type == "checkout.updated"]
    url = polar.shop.checkout_url(polar.shop.get(Checkout, opened.id))
    assert event.payload["data"]["url"] == url
    kept = event_of(event.payload, event.id)
    assert url not in json.dumps(kept.payload)
    assert "client_secret" not in kept.payload["data"]
    assert kept.customer_id == event.customer


def test_what_is_needed_is_what_polar_has() -> None:
    assert set(NEEDED_EVENTS) <= set(get_args(WebhookEventType))
    assert len(set(NEEDED_EVENTS)) == len(NEEDED_EVENTS)
    # The log also has what no webhook is named after; what a webhook needs not tell, it need not either.
    assert set(LABELS) - {"customer.created"} <= set(LOGGED_EVENTS)


async def test_the_sdk_reads_every_event_that_is_sent(polar: Polar) -> None:
    customer = polar.subscriber(polar.plan(features=("Support",)))
    polar.shop.delete_customer(customer.id)
    seen = set()
    for event in polar.shop.find(Event):
        if event.type in seen:
            continue
        seen.add(event.type)
        endpoint = Endpoint(id="w", created=0, updated=0, url="https://x.example", secret="s")
        sent = parcel(endpoint, event, int(time.time()))
        read = validate_event(sent.body, sent.headers, "s")
        assert read.type == event.type
    assert {"customer.deleted", "order.paid", "subscription.revoked", "product.created"} <= seen
