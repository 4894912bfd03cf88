"""What Paddle's sandbox tells of, signed so that Paddle's own library takes it."""

import time
from dataclasses import dataclass, replace

import pytest
from paddle_billing.Notifications import Secret, Verifier

from billing_ui.sandbox.paddle.ids import ulid
from billing_ui.sandbox.shop.model import Checkout, Endpoint, Event, Invoice, Subscription
from billing_ui.sandbox.shop.shop import Shop
from tests.sandbox.paddle.conftest import Caller

SECRET = "pdl_ntfset_secret"


@dataclass
class Request:
    """A webhook as the SDK wants it."""

    headers: dict[str, str]
    body: bytes


def delivered(shop: Shop, event: Event, now: int) -> Request:
    """Return the request that brings an event."""
    [endpoint] = shop.find(Endpoint)
    parcel = shop.dialect.parcel(endpoint, event, now)
    return Request(parcel.headers, parcel.body)


@pytest.fixture
def event(shop: Shop) -> Event:
    """Something that happened, and somebody who is told."""
    shop.register_endpoint("https://app.example.com/hook", SECRET)
    shop.create_customer("ada@example.com")
    [kept] = shop.find(Event)
    return kept


def test_paddles_own_library_takes_what_is_sent(shop: Shop, event: Event) -> None:
    request = delivered(shop, event, int(time.time()))
    assert Verifier().verify(request, Secret(SECRET))
    assert not Verifier().verify(request, Secret("pdl_ntfset_other"))
    assert not Verifier().verify(replace(request, body=request.body + b" "), Secret(SECRET))


def test_each_attempt_is_signed_anew(shop: Shop, event: Event) -> None:
    long_ago = delivered(shop, event, int(time.time()) - 3600)
    assert not Verifier().verify(long_ago, Secret(SECRET))
    assert delivered(shop, event, int(time.time())).body == long_ago.body


def test_the_list_of_events_has_what_was_sent_under_the_same_id(call: Caller, event: Event) -> None:
    [listed] = call.data("GET", "/events")
    assert listed["event_id"] == event.id
    assert event.payload == {**listed, "notification_id": event.payload["notification_id"]}


def types(shop: Shop, since: int = 0) -> list[str]:
    """Return what was told, oldest first."""
    return [event.type for event in shop.find(Event, oldest_first=True)][since:]


def test_a_life_is_told_step_by_step(shop: Shop, bought: Subscription) -> None:
    begun = len(types(shop))
    assert types(shop)[-6:] == [
        "subscription.created",
        "transaction.created",
        "transaction.billed",
        "transaction.paid",
        "transaction.completed",
        "subscription.activated",
    ]
    shop.cancel(bought.id)
    shop.keep(bought.id)
    shop.end_now(bought.id)
    assert types(shop, begun) == [
        *("subscription.updated", "subscription.updated"),
        *("subscription.canceled", "subscription.updated"),
    ]


def test_a_webhook_names_no_page_of_the_portal(shop: Shop, bought: Subscription) -> None:
    told = shop.find(Event)
    assert not [one for one in told if "management_urls" in one.payload["data"]]


def test_another_card_of_somebody_who_pays_is_a_transaction_of_nothing(
    shop: Shop, call: Caller, bought: Subscription
) -> None:
    begun = len(types(shop))
    card = shop.add_card(bought.customer, "5555555555554444")
    assert types(shop, begun) == ["payment_method.saved", "transaction.completed"]
    newest = call.data("GET", "/transactions")[0]
    assert newest["origin"] == "subscription_payment_method_change"
    assert newest["payments"][0]["payment_method_id"] == card.id
    assert newest["details"]["totals"]["total"] == "0"
    assert shop.count(Invoice) == 1


def test_a_trial_is_one_transaction_of_nothing_whichever_way_it_began(
    shop: Shop, call: Caller
) -> None:
    price = shop.create_price(shop.create_product("Pro").id, 500, trial_days=7)
    checkout = shop.open_checkout(price.id, email="ada@example.com")
    customer = shop.complete_checkout(checkout.id, number="4242424242424242").customer
    assert [one["id"] for one in call.data("GET", "/transactions")] == [checkout.id]
    shop.subscribe(customer, price.id)
    listed = call.data("GET", "/transactions")
    assert [one["status"] for one in listed] == ["completed", "completed"]
    assert shop.count(Checkout) == 2


def test_ids_begin_with_their_time() -> None:
    assert len(ulid(1_800_000_000)) == 26
    assert ulid(1_800_000_000)[:10] < ulid(1_800_000_001)[:10]
    assert ulid(1_800_000_000) != ulid(1_800_000_000)
