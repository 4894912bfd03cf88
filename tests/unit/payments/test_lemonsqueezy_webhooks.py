"""Lemon Squeezy's webhooks: genuine ones are taken, all others turned away."""

import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from billing_ui.payments.lemonsqueezy.webhooks import NEEDED_EVENTS, verify
from billing_ui.payments.types import (
    InvalidRequest,
    InvalidSignature,
    NoWebhookSecret,
    ProviderEvent,
)
from billing_ui.sandbox.lemonsqueezy.webhooks import EVENT_TYPES

SECRET = "a secret of the tests"


def body_of(
    name: str = "subscription_updated",
    kind: str = "subscriptions",
    meta: dict[str, Any] | None = None,
    **attributes: Any,
) -> bytes:
    """Return the body of an event."""
    said = {
        "store_id": 1,
        "customer_id": 3,
        "created_at": "2026-01-03T10:00:00.000000Z",
        "updated_at": "2026-01-04T10:00:00.000000Z",
        **attributes,
    }
    event = {
        "meta": {"event_name": name, **(meta or {})},
        "data": {"type": kind, "id": "7", "attributes": said},
    }
    return json.dumps(event).encode()


def signature(body: bytes, secret: str = SECRET) -> str:
    """Return what Lemon Squeezy sends as `X-Signature`."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def taken(body: bytes, *secrets: str, header: str = "X-Signature") -> ProviderEvent:
    """Return the event of a body signed with the secret of the tests."""
    return verify(secrets or (SECRET,), {header: signature(body)}, body, store_id="1")


def test_a_genuine_event_is_reduced_to_whom_it_concerns() -> None:
    body = body_of()
    event = taken(body)
    assert (event.type, event.customer_id) == ("subscription_updated", "3")
    assert event.created_at == datetime(2026, 1, 4, 10, tzinfo=UTC)
    assert event.id == hashlib.sha256(body).hexdigest()
    assert not event.foreign
    assert not event.catalog


@pytest.mark.parametrize("header", ["x-signature", "X-SIGNATURE", "X-Signature"])
def test_the_signature_is_found_however_its_header_is_spelled(header: str) -> None:
    assert taken(body_of(), header=header).customer_id == "3"


@pytest.mark.parametrize("kind", ["orders", "subscriptions", "subscription-invoices"])
def test_whatever_an_event_is_about_its_customer_is_found(kind: str) -> None:
    assert taken(body_of(kind=kind)).customer_id == "3"


def test_an_event_about_a_customer_is_about_that_customer() -> None:
    assert taken(body_of("customer_updated", "customers", customer_id=None)).customer_id == "7"


def test_an_event_of_nobody_is_kept() -> None:
    assert taken(body_of("something_new", "things", customer_id=None)).customer_id is None


def test_an_event_of_another_store_is_foreign_and_names_nobody() -> None:
    event = taken(body_of(store_id=2))
    assert (event.foreign, event.customer_id) == (True, None)


def test_the_name_is_taken_from_what_is_signed() -> None:
    body = body_of("subscription_expired")
    headers = {"X-Signature": signature(body), "X-Event-Name": "subscription_created"}
    assert verify((SECRET,), headers, body, store_id="1").type == "subscription_expired"


def test_a_replay_has_the_same_id_and_another_event_another() -> None:
    assert taken(body_of()).id == taken(body_of()).id
    assert taken(body_of()).id != taken(body_of("subscription_paused")).id


def test_an_old_recording_is_known_by_its_id_for_the_signature_has_no_time() -> None:
    old = body_of(created_at="2020-01-01T00:00:00Z", updated_at="2020-01-01T00:00:00Z")
    assert taken(old).id == taken(old).id


@pytest.mark.parametrize("secrets", [(SECRET, "next"), ("next", SECRET)])
def test_either_secret_verifies_while_one_is_being_replaced(secrets: tuple[str, ...]) -> None:
    assert taken(body_of(), *secrets).customer_id == "3"


def test_a_tampered_body_is_refused() -> None:
    body = body_of()
    with pytest.raises(InvalidSignature):
        verify((SECRET,), {"X-Signature": signature(body)}, body + b" ", store_id="1")


def test_a_wrong_secret_is_refused() -> None:
    with pytest.raises(InvalidSignature):
        taken(body_of(), "another secret")


@pytest.mark.parametrize(
    "sent",
    [{}, {"X-Signature": ""}, {"X-Signature": "é"}, {"X-Signature": "0" * 64}, {"X-Sig": "1"}],
)
def test_a_missing_or_made_up_signature_is_refused(sent: dict[str, str]) -> None:
    with pytest.raises(InvalidSignature):
        verify((SECRET,), sent, body_of(), store_id="1")


def test_an_empty_secret_verifies_nothing() -> None:
    body = body_of()
    forged = {"X-Signature": signature(body, "")}
    with pytest.raises(NoWebhookSecret):
        verify(("",), forged, body, store_id="1")
    with pytest.raises(NoWebhookSecret):
        verify((), forged, body, store_id="1")
    with pytest.raises(InvalidSignature):
        verify(("", "real secret"), forged, body, store_id="1")


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"[]", b"{}", b"null", b"\xff", b'{"meta": {"event_name": ""}}', b"NaN"),
        b'{"meta": {"event_name": "x"}, "data": {"type": "orders", "id": "1", "attributes": {}}}',
    ],
)
def test_what_is_signed_and_no_event_is_said_to_be_none(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        taken(body)


def test_addresses_that_let_in_are_not_kept() -> None:
    event = taken(body_of(urls={"customer_portal": "https://portal.test/?signature=secret"}))
    assert "secret" not in json.dumps(event.payload)
    assert event.payload["data"]["attributes"]["customer_id"] == 3


def test_whose_checkout_it_came_of_is_kept() -> None:
    event = taken(body_of(meta={"custom_data": {"team_id": "t"}}))
    assert event.payload["meta"]["custom_data"] == {"team_id": "t"}


def test_every_event_that_is_needed_exists() -> None:
    assert set(NEEDED_EVENTS) <= set(EVENT_TYPES)
