"""Which webhooks are genuine, and what an event makes out of date."""

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import stripe

from billing_ui.clock import utc_now
from billing_ui.payments.stripe import StripeDriver, webhooks
from billing_ui.payments.types import (
    InvalidRequest,
    InvalidSignature,
    NoWebhookSecret,
    ProviderEvent,
)
from tests.unit.payments.conftest import WEBHOOK_SECRETS
from tests.unit.payments.requests import make_settings, portal_request
from tests.unit.payments.shop import Shop

SECRET = WEBHOOK_SECRETS[-1]


def event(subject: Any = None, **fields: Any) -> dict[str, Any]:
    """Return an event about `subject`."""
    return {
        "id": "evt_1",
        "object": "event",
        "type": "invoice.paid",
        "created": 1_800_000_000,
        "data": {"object": {"id": "in_1", "object": "invoice"} if subject is None else subject},
        **fields,
    }


def signed(body: bytes, secret: str = SECRET, at: int | None = None) -> dict[str, str]:
    """Return the headers of a body signed now, or at a Unix time."""
    signature = stripe.WebhookSignature.generate_signature_header(body.decode(), secret, at)
    return {"Stripe-Signature": signature}


def accepted(body: dict[str, Any]) -> ProviderEvent:
    """Return the event of a webhook that is signed well."""
    raw = json.dumps(body).encode()
    return webhooks.verify([SECRET], signed(raw), raw)


@pytest.mark.parametrize("secret", WEBHOOK_SECRETS)
def test_either_secret_verifies_while_one_is_being_replaced(secret: str) -> None:
    body = json.dumps(event()).encode()
    assert webhooks.verify(WEBHOOK_SECRETS, signed(body, secret), body).id == "evt_1"


@pytest.mark.parametrize("name", ["stripe-signature", "STRIPE-SIGNATURE", "Stripe-Signature"])
def test_the_header_is_found_in_any_case(name: str) -> None:
    body = json.dumps(event()).encode()
    headers = {"content-type": "application/json", name: signed(body)["Stripe-Signature"]}
    assert webhooks.verify([SECRET], headers, body).type == "invoice.paid"


BODY = json.dumps(event()).encode()
GOOD = signed(BODY)["Stripe-Signature"]


@pytest.mark.parametrize(
    ("signature", "body"),
    [
        ("", BODY),
        ("nonsense", BODY),
        ("t=,v1=", BODY),
        ("t=abc,v1=00", BODY),
        ("v1=00", BODY),
        (f"t={int(time.time())}", BODY),
        (f"t={int(time.time())},v1=é", BODY),
        (GOOD.replace("v1=", "v0="), BODY),
        (GOOD, BODY + b" "),
        (GOOD, b""),
        (GOOD, b"\xff\xfe"),
    ],
    # What is signed now is called otherwise a second later.
    ids=[
        *("none", "nonsense", "empty parts", "no time", "no moment"),
        *("no signature", "no letters of a signature", "another scheme"),
        *("a longer body", "no body", "another body"),
    ],
)
def test_a_wrong_signature_is_refused(signature: str, body: bytes) -> None:
    with pytest.raises(InvalidSignature):
        webhooks.verify(WEBHOOK_SECRETS, {"Stripe-Signature": signature}, body)


def test_a_missing_header_is_refused() -> None:
    with pytest.raises(InvalidSignature):
        webhooks.verify(WEBHOOK_SECRETS, {}, BODY)


@pytest.mark.parametrize("secrets", [(), ("",), ("", "")])
def test_without_a_secret_nothing_verifies_not_even_what_is_signed_with_none(
    secrets: tuple[str, ...],
) -> None:
    with pytest.raises(InvalidSignature):
        webhooks.verify(secrets, signed(BODY, ""), BODY)


def test_an_old_recording_is_refused() -> None:
    with pytest.raises(InvalidSignature):
        webhooks.verify([SECRET], signed(BODY, SECRET, int(time.time()) - 400), BODY)


@pytest.mark.parametrize(
    "body",
    [
        *[b"", b"null", b"[]", b"1", b'"text"', b"{", b"{}"],
        json.dumps({"id": "evt_1", "type": "invoice.paid"}).encode(),
        json.dumps(event(created="yesterday")).encode(),
        json.dumps(event(created=10**30)).encode(),
        json.dumps(event(type=None)).encode(),
        json.dumps(event(id=7)).encode(),
        json.dumps(event(data=[])).encode()[:-3],
        json.dumps(event(data="text")).encode(),
        json.dumps(event(subject=["list"])).encode(),
        b'{"id":"' + b"e" * 256 + b'","type":"invoice.paid","created":1}',
        b'{"id":"evt_1","type":"' + b"t" * 256 + b'","created":1}',
        b'{"id":"","type":"invoice.paid","created":1}',
    ],
)
def test_a_signed_body_that_is_no_event_is_a_bad_request(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        webhooks.verify([SECRET], signed(body), body)


@pytest.mark.parametrize(
    ("fields", "customer"),
    [
        ({"subject": {"id": "cus_1", "object": "customer"}}, "cus_1"),
        ({"subject": {"object": "subscription", "customer": "cus_1"}}, "cus_1"),
        ({"subject": {"object": "invoice", "customer": {"id": "cus_1"}}}, "cus_1"),
        ({"subject": {"object": "payment_method", "customer": None}}, None),
        (
            {
                "data": {
                    "object": {"object": "payment_method", "customer": None},
                    "previous_attributes": {"customer": "cus_1"},
                }
            },
            "cus_1",
        ),
        ({"subject": {"object": "product"}}, None),
        ({"subject": {"object": "charge", "customer": ""}}, None),
        ({"data": None}, None),
        ({"data": {"object": None, "previous_attributes": None}}, None),
    ],
)
def test_an_event_names_the_customer_it_makes_out_of_date(
    fields: dict[str, Any], customer: str | None
) -> None:
    found = accepted(event(**fields))
    assert found.customer_id == customer
    assert not found.catalog


@pytest.mark.parametrize(
    ("subject", "method"),
    [
        ({"id": "pm_1", "object": "payment_method", "customer": None}, "pm_1"),
        ({"object": "mandate", "payment_method": "pm_1"}, "pm_1"),
        ({"object": "setup_intent", "payment_method": {"id": "pm_1"}}, "pm_1"),
        ({"id": "in_1", "object": "invoice"}, None),
    ],
)
def test_an_event_names_the_payment_method_it_is_about(
    subject: dict[str, Any], method: str | None
) -> None:
    assert accepted(event(subject=subject)).payment_method_id == method


@pytest.mark.parametrize(
    ("key", "livemode", "foreign"),
    [
        ("sk_test_1", True, True),
        ("rk_live_1", False, True),
        ("sk_test_1", False, False),
        ("rk_live_1", True, False),
        ("sk_test_1", None, False),
        ("sk_old", True, False),
        ("", True, False),
    ],
)
def test_an_event_of_the_keys_other_mode_makes_nothing_out_of_date(
    key: str, livemode: bool | None, foreign: bool
) -> None:
    raw = json.dumps(
        event(
            subject={"id": "pm_1", "object": "payment_method", "customer": "cus_1"},
            type="price.updated",
            livemode=livemode,
        )
    ).encode()
    driver = StripeDriver(key, webhook_secrets=(SECRET,))
    found = driver.verify_webhook(signed(raw), raw)
    assert found.foreign is foreign
    assert (found.customer_id is None, found.payment_method_id is None) == (foreign, foreign)
    assert found.catalog is not foreign


def test_without_a_secret_that_is_what_is_said() -> None:
    for secrets in ((), ("",)):
        with pytest.raises(NoWebhookSecret):
            webhooks.verify(secrets, signed(BODY, ""), BODY)


@pytest.mark.parametrize(
    ("type_", "catalog"),
    [
        ("v1.product.created", True),
        *[("product.created", True), ("price.updated", True), ("price.deleted", True)],
        *[("customer.updated", False), ("invoice.paid", False), ("pricey.thing", False)],
    ],
)
def test_products_and_prices_make_the_catalogue_out_of_date(type_: str, catalog: bool) -> None:
    assert accepted(event(type=type_)).catalog is catalog


def test_an_event_tells_when_it_was_created_and_keeps_its_payload() -> None:
    found = accepted(event())
    assert found.created_at == datetime(2027, 1, 15, 8, tzinfo=UTC)
    assert found.payload == event()
    assert "in_1" not in repr(found)


@pytest.mark.parametrize(
    ("kind", "customer", "method"),
    [("customer", "obj_1", None), ("payment_method", None, "obj_1"), ("invoice", None, None)],
)
def test_a_thin_event_names_what_it_is_about(
    kind: str, customer: str | None, method: str | None
) -> None:
    thin = {
        "id": "evt_2",
        "object": "v2.core.event",
        "type": f"v1.{kind}.updated",
        "created": "2027-01-15T08:00:00.000Z",
        "related_object": {"id": "obj_1", "type": kind, "url": "/v1/x"},
    }
    found = accepted(thin)
    assert (found.customer_id, found.payment_method_id) == (customer, method)


def test_a_thin_event_is_an_event_of_no_customer() -> None:
    thin = {
        "id": "evt_2",
        "object": "v2.core.event",
        "type": "v1.billing.meter.no_meter_found",
        "created": "2027-01-15T08:00:00.000Z",
    }
    found = accepted(thin)
    assert (found.customer_id, found.created_at) == (None, datetime(2027, 1, 15, 8, tzinfo=UTC))


@pytest.mark.parametrize("name", ["client_secret", "confirmation_secret"])
def test_what_lets_somebody_pay_is_not_kept(name: str) -> None:
    subject = {"id": "pi_1", "object": "payment_intent", "customer": "cus_1", name: "pi_secret"}
    kept = accepted(event(subject=subject)).payload
    assert kept["data"]["object"] == {
        "id": "pi_1",
        "object": "payment_intent",
        "customer": "cus_1",
    }


@pytest.mark.parametrize("kind", ["billing_portal.session", "checkout.session"])
def test_the_address_of_a_session_is_not_kept(kind: str) -> None:
    subject = {"object": kind, "customer": "cus_1", "url": "https://portal.test/secret"}
    found = accepted(event(subject=subject))
    assert found.customer_id == "cus_1"
    assert "portal.test" not in json.dumps(found.payload)
    assert subject["url"] == "https://portal.test/secret"


def test_the_settings_take_several_secrets_and_ignore_blanks() -> None:
    driver = StripeDriver.from_settings(
        make_settings(stripe_webhook_secret=f" whsec_old ,, {SECRET} ,")
    )
    assert driver.verify_webhook(signed(BODY), BODY).id == "evt_1"
    with pytest.raises(InvalidSignature):
        driver.verify_webhook(signed(BODY, " "), BODY)


async def test_events_are_listed_newest_first_since_a_moment(
    driver: StripeDriver, shop: Shop
) -> None:
    since = utc_now() - timedelta(minutes=1)
    customer = await shop.customer(driver)
    listed = [one async for one in driver.list_events(since)]
    assert listed == sorted(listed, key=lambda one: one.created_at, reverse=True)
    ours = [one.type for one in listed if one.customer_id == customer]
    assert ours == ["customer.updated", "payment_method.attached", "customer.created"]
    assert [one async for one in driver.list_events(utc_now() + timedelta(hours=1))] == []


async def test_a_detached_payment_method_still_names_its_customer(
    driver: StripeDriver, shop: Shop
) -> None:
    customer = await shop.customer(driver)
    (method,) = (await driver.fetch_snapshot(customer)).payment_methods
    await shop.sdk.v1.payment_methods.detach_async(method.id)
    listed = [one async for one in driver.list_events(utc_now() - timedelta(minutes=1))]
    (detached,) = [
        one
        for one in listed
        if one.type == "payment_method.detached" and one.customer_id == customer
    ]
    assert detached.payload["data"]["object"]["customer"] is None


async def test_a_listed_session_event_does_not_carry_its_address(
    driver: StripeDriver, shop: Shop
) -> None:
    await shop.price(await shop.product())
    customer = await shop.customer(driver)
    session = await driver.start_portal_session(portal_request(customer, configuration=None))
    listed = [one async for one in driver.list_events(utc_now() - timedelta(minutes=1))]
    assert session.portal_url not in json.dumps([one.payload for one in listed])
