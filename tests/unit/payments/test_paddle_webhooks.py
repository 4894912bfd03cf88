"""Paddle's webhooks: only what it signed just now is taken, and what it makes out of date."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from paddle_billing.Entities.Events import EventTypeName
from paddle_billing.Notifications import PaddleSignature

from billing_ui.clock import utc_now
from billing_ui.payments.paddle import PaddleDriver, webhooks
from billing_ui.payments.types import InvalidRequest, InvalidSignature, NoWebhookSecret
from tests.unit.payments.paddle import PADDLE_SECRETS, paddle_driver

EVENT = {
    "event_id": "evt_01",
    "event_type": "subscription.updated",
    "occurred_at": "2026-11-20T10:00:00.123456789Z",
    "notification_id": "ntf_01",
    "data": {"id": "sub_1", "customer_id": "ctm_1", "management_urls": {"cancel": "https://x/?t"}},
}
BODY = json.dumps(EVENT).encode()


@pytest.fixture
def driver() -> PaddleDriver:
    """A driver that asks nobody."""
    return paddle_driver("http://127.0.0.1:9")


def digest(stamp: int, body: bytes, secret: str) -> str:
    """Return the signature that the SDK makes."""
    signed = f"{stamp}:".encode() + body
    return str(PaddleSignature.calculate_hmac(secret, signed).hexdigest())


def headers(
    body: bytes = BODY, secret: str = PADDLE_SECRETS[0], age: timedelta = timedelta()
) -> dict[str, str]:
    """Return the headers of a webhook."""
    stamp = int((utc_now() - age).timestamp())
    return {"paddle-signature": f"ts={stamp};h1={digest(stamp, body, secret)}"}


@pytest.mark.parametrize("secret", PADDLE_SECRETS)
def test_an_event_is_reduced_to_whom_it_is_about(secret: str, driver: PaddleDriver) -> None:
    event = driver.verify_webhook(headers(secret=secret), BODY)
    assert (event.id, event.type) == ("evt_01", "subscription.updated")
    assert (event.customer_id, event.payment_method_id, event.catalog) == ("ctm_1", None, False)
    assert event.created_at == datetime(2026, 11, 20, 10, 0, 0, 123456, tzinfo=UTC)


def test_links_into_the_portal_are_not_kept(driver: PaddleDriver) -> None:
    event = driver.verify_webhook(headers(), BODY)
    assert "management_urls" not in json.dumps(event.payload)
    assert event.payload["data"]["id"] == "sub_1"


@pytest.mark.parametrize(
    ("type_", "data", "customer", "method", "catalog"),
    [
        ("customer.updated", {"id": "ctm_2"}, "ctm_2", None, False),
        ("address.updated", {"id": "add_1", "customer_id": "ctm_2"}, "ctm_2", None, False),
        ("transaction.paid", {"id": "txn_1", "customer_id": None}, None, None, False),
        ("payment_method.saved", {"id": "p_1", "customer_id": "ctm_2"}, "ctm_2", "p_1", False),
        ("product.updated", {"id": "pro_1"}, None, None, True),
        ("price.created", {"id": "pri_1"}, None, None, True),
        ("something.new", {"id": "x", "customer_id": 7}, None, None, False),
        ("customer.updated", {"id": "x" * 256}, None, None, False),
    ],
)
def test_every_event_says_what_it_makes_out_of_date(
    type_: str, data: dict[str, Any], customer: str | None, method: str | None, catalog: bool
) -> None:
    event = webhooks.event_of({**EVENT, "event_type": type_, "data": data})
    assert (event.customer_id, event.payment_method_id) == (customer, method)
    assert event.catalog is catalog


def test_what_is_needed_are_types_that_paddle_has() -> None:
    known = {str(name) for name in EventTypeName.members().values()}
    assert set(webhooks.NEEDED_EVENTS) <= known


# ---------------------------------------------------------------- forged ones


@pytest.mark.parametrize("age", [timedelta(seconds=8), timedelta(days=1), -timedelta(seconds=8)])
def test_an_old_or_a_future_signature_is_refused_whatever_the_environment_says(
    age: timedelta, driver: PaddleDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    # With this set the SDK's own verifier would not look at the age.
    monkeypatch.setenv("TEST_MODE", "1")
    with pytest.raises(InvalidSignature):
        driver.verify_webhook(headers(age=age), BODY)


def test_one_good_signature_among_several_is_enough(driver: PaddleDriver) -> None:
    stamp = int(utc_now().timestamp())
    good = digest(stamp, BODY, PADDLE_SECRETS[1])
    both = {"Paddle-Signature": f"ts={stamp};h1={'0' * 64};h1={good}"}
    assert driver.verify_webhook(both, BODY).id == "evt_01"


@pytest.mark.parametrize(
    "forged",
    ["", "nonsense", "ts=;h1=", "ts=now;h1=x", "h1=x", "ts=1", "ts=9;h1=x=y", "ts=1;h2=x", "é"],
)
def test_what_is_no_signature_is_refused(forged: str, driver: PaddleDriver) -> None:
    with pytest.raises(InvalidSignature):
        driver.verify_webhook({"Paddle-Signature": forged}, BODY)


def test_a_missing_header_a_wrong_secret_and_another_body_are_refused(
    driver: PaddleDriver,
) -> None:
    wrong = headers(secret="pdl_ntfset_other")
    for given, body in (({}, BODY), (wrong, BODY), (headers(), BODY + b" "), (headers(), b"\xff")):
        with pytest.raises(InvalidSignature):
            driver.verify_webhook(given, body)


def test_an_empty_secret_verifies_nothing() -> None:
    with pytest.raises(NoWebhookSecret):
        webhooks.verify(("", ""), headers(secret=""), BODY)
    with pytest.raises(InvalidSignature):
        webhooks.verify(("", "pdl_ntfset_real"), headers(secret=""), BODY)


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"[]", b'"x"', b"{}"),
        json.dumps({**EVENT, "occurred_at": "2026-11-20T10:00:00"}).encode(),
        json.dumps({**EVENT, "event_id": ""}).encode(),
        json.dumps({**EVENT, "data": None}).encode(),
        b'{"event_id": NaN}',
    ],
)
def test_what_is_signed_but_no_event_is_named_as_such(body: bytes, driver: PaddleDriver) -> None:
    with pytest.raises(InvalidRequest):
        driver.verify_webhook(headers(body), body)
