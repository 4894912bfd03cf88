"""What the Polar sandbox answers: read by Polar's own SDK, whole, and as Polar's own description says."""

import dataclasses
import types
import typing
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import httpx
import pytest
from polar.base import deserialize
from polar.v2026_10 import outputs
from polar.v2026_10.errors import HTTPValidationError, ResourceNotFound

from billing_ui.payments.polar.client import PolarClient
from billing_ui.sandbox.core.periods import DAY
from billing_ui.sandbox.shop.model import Address, Customer, Invoice, Subscription
from tests.polar_description import complaint_of_answer
from tests.polar_requests import DESCRIPTION, Asked
from tests.unit.payments.polar_shop import POLAR_KEY, Polar, serving_polar


class RecordingClient(PolarClient):
    """Remembers every exchange."""

    def __init__(self, access_token: str, api_base: str) -> None:
        """See `PolarClient`."""
        super().__init__(access_token, api_base)
        self.exchanged: list[tuple[httpx.Request, httpx.Response]] = []

    async def send_request(self, request: httpx.Request) -> httpx.Response:
        """See `PolarClient`."""
        answer = await super().send_request(request)
        self.exchanged.append((request, answer))
        return answer


@pytest.fixture
async def polar() -> AsyncIterator[Polar]:
    """A Polar of its own, with somebody in every state."""
    async with serving_polar() as served:
        _fill(served)
        yield served


def _fill(polar: Polar) -> None:
    shop = polar.shop
    seats = polar.plan("Team", 2000, unit_label="seat", features=("Audit log",))
    plain = polar.plan("Pro", 14900, trial_days=14)
    other = polar.plan("Basic", 900)
    whole = shop.create_customer(
        "ada@example.com",
        name="Ada",
        external_id="team-1",
        tax_id="DE123456789",
        address=Address(line1="Main St 1", city="Berlin", postal_code="10115", country="de"),
        metadata={"team_id": "1", "generation": 1},
        extra={"type": "team", "owner": {"email": "owner@example.com", "external_id": "u"}},
    )
    shop.add_card(whole.id)
    first = shop.subscribe(whole.id, polar.price(seats).id, 3)
    shop.cancel(first.id, reason="too_expensive", comment="Sorry")
    paused = shop.subscribe(whole.id, polar.price(other).id)
    shop.pause(paused.id, resumes_at=shop.now + 30 * DAY)
    shop.subscribe(whole.id, polar.price(plain).id)
    late = polar.subscriber(other, "late@example.com")
    shop.add_card(late.id, "4000000000000341")
    [due] = shop.find(Subscription, customer=late.id)
    shop.advance(due.period_end + 60, late.id)
    gone = polar.subscriber(other, "gone@example.com")
    shop.refund(shop.find(Invoice, customer=gone.id)[0].id)
    shop.delete_customer(gone.id)
    shop.open_checkout(polar.price(seats).id, 2, customer_id=whole.id)
    shop.register_endpoint("https://hooks.example.com", "s", ("order.paid", "customer.updated"))
    shop.update_customer(whole.id, name="Ada Lovelace")
    for delivery in shop.outbox.untouched():
        shop.outbox.delivered(delivery)


@asynccontextmanager
async def asking(polar: Polar) -> AsyncIterator[RecordingClient]:
    """Ask by the SDK; afterwards every answer must have been as Polar describes it."""
    client = RecordingClient(POLAR_KEY, polar.url)
    yield client
    await client.close()
    assert client.exchanged
    if DESCRIPTION.exists():
        assert [wrong for one in client.exchanged if (wrong := _undescribed(*one))] == []


def _undescribed(request: httpx.Request, answer: httpx.Response) -> str:
    # The description is older than the SDK, whose organizations have other fields.
    older = request.url.path == "/v1/organizations/"
    return "" if older else complaint_of_answer(Asked.by(request, answer.status_code), answer)


def lacking(value: Any, hint: Any, place: str = "") -> list[str]:
    """Return which fields of the SDK's classes an answer leaves out, and which of its own it has."""
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        options = [lacking(value, one, place) for one in typing.get_args(hint)]
        return min(options, key=len)
    if typing.get_origin(hint) is list:
        [inner] = typing.get_args(hint)
        if not isinstance(value, list):
            return [place]
        return [miss for n, one in enumerate(value) for miss in lacking(one, inner, f"{place}.{n}")]
    if not (isinstance(hint, type) and dataclasses.is_dataclass(hint)):
        fits = value is None if hint is types.NoneType else value is not None
        return [] if fits else [f"{place}: {value}"]
    if not isinstance(value, dict):
        return [f"{place}: {value}"]
    hints = typing.get_type_hints(hint, vars(outputs))
    # What is not so, the log leaves out, and nothing else does.
    spared = {
        field.name
        for field in dataclasses.fields(hint)
        if field.default is not dataclasses.MISSING
        and hint.__name__.endswith(("Metadata", "UpdatedFields"))
    }
    missing = [f"{place}.{name}" for name in (set(hints) ^ set(value)) - spared]
    for name in set(hints) & set(value):
        literal = typing.get_origin(hints[name]) is typing.Literal
        if literal and value[name] not in typing.get_args(hints[name]):
            missing.append(f"{place}.{name}: {value[name]}")
        elif not literal:
            missing += lacking(value[name], hints[name], f"{place}.{name}")
    return missing


LISTS: dict[str, tuple[type[Any], int]] = {
    "customers": (outputs.ListResourceCustomer, 2),
    "subscriptions": (outputs.ListResourceSubscription, 5),
    "orders": (outputs.ListResourceOrder, 5),
    "products": (outputs.ListResourceProduct, 3),
    "organizations": (outputs.ListResourceOrganization, 1),
}


@pytest.mark.parametrize("name", LISTS)
async def test_every_list_has_every_field_of_the_sdk(name: str, polar: Polar) -> None:
    shape, least = LISTS[name]
    async with asking(polar) as client:
        found = await getattr(client, name).list(limit=100)
        assert type(found) is shape
        assert len(found.items) == found.pagination.total_count >= least
        assert lacking(client.exchanged[0][1].json(), shape) == []


async def test_the_log_has_every_field_of_the_sdk(polar: Polar) -> None:
    async with asking(polar) as client:
        request = client.build_request("GET", "/v1/events/", query_params={"limit": 100})
        raw = (await client.send_request(request)).json()
    names = {one["name"] for one in raw["items"]}
    assert {"customer.deleted", "subscription.paused", "order.refunded"} <= names
    for entry in raw["items"]:
        read = deserialize(entry, outputs.SystemEvent)
        assert read.name == entry["name"]
        assert lacking(entry, type(read)) == []


async def test_what_is_of_one_customer_has_every_field_of_the_sdk(polar: Polar) -> None:
    [ada] = [one for one in polar.shop.find(Customer) if one.external_id == "team-1"]
    async with asking(polar) as client:
        assert (await client.customers.get(ada.id)).type == "team"
        assert (await client.customers.get_external("team-1")).id == ada.id
        cards = await client.customers.list_payment_methods(ada.id)
        assert cards.items[0].is_default
        opened = await client.customer_sessions.create(
            customer_id=ada.id, external_member_id="u", return_url="https://app.example.com/x"
        )
        assert opened.customer.id == ada.id
        bought = (await client.subscriptions.list(customer_id=ada.id)).items[0]
        assert (await client.subscriptions.get(bought.id)).id == bought.id
        order = (await client.orders.list(customer_id=[ada.id], status=["paid"])).items[0]
        assert (await client.orders.get(order.id)).id == order.id
        assert (await client.orders.generate_invoice(order.id)) == {}
        assert (await client.orders.invoice(order.id)).url.startswith(polar.url)
        shapes = [
            *(outputs.CustomerTeam, outputs.CustomerTeam, outputs.ListResourcePaymentMethod),
            *(outputs.CustomerSession, outputs.ListResourceSubscription, outputs.Subscription),
            *(outputs.ListResourceOrder, outputs.Order, object, outputs.OrderInvoice),
        ]
        for shape, (_, answer) in zip(shapes, client.exchanged, strict=True):
            assert lacking(answer.json(), shape) == []


async def test_the_owner_of_a_customer_has_every_field_of_the_sdk(polar: Polar) -> None:
    [ada] = [one for one in polar.shop.find(Customer) if one.external_id == "team-1"]
    client = RecordingClient(POLAR_KEY, polar.url)
    # The description is older than this call.
    [owner] = (await client.customers.members.list(ada.id, role="owner")).items
    assert await client.customers.members.get(ada.id, owner.id) == owner
    assert (owner.email, owner.role) == ("owner@example.com", "owner")
    assert lacking(client.exchanged[0][1].json(), outputs.ListResourceMember) == []
    await client.close()


async def test_a_customer_is_made_changed_and_deleted(polar: Polar) -> None:
    async with asking(polar) as client:
        made = await client.customers.create(
            type="team",
            external_id="team-2",
            name="Northwind",
            owner={"email": "grace@example.com", "external_id": "team-2"},
            metadata={"team_id": "2", "generation": 1},
        )
        assert (made.email, made.external_id) == (None, "team-2")
        changed = await client.customers.update(
            made.id, name="South", email="south@example.com", billing_address={"country": "FR"}
        )
        assert (changed.name, changed.email) == ("South", "south@example.com")
        assert changed.billing_address is not None
        await client.customers.delete(made.id)
        with pytest.raises(ResourceNotFound):
            await client.customers.get(made.id)
        with pytest.raises(ResourceNotFound):
            await client.customers.get_external("team-2")


async def test_a_checkout_has_every_field_of_the_sdk(polar: Polar) -> None:
    [team] = [one for one in polar.shop.on_sale() if one[0].name == "Team"]
    async with asking(polar) as client:
        made = await client.checkouts.create(
            products=[team[0].id], seats=2, success_url="https://app.example.com", locale="de"
        )
        assert (made.seats, made.amount, made.status) == (2, 4000, "open")
        assert (await client.checkouts.get(made.id)).client_secret == made.client_secret
        for _, answer in client.exchanged:
            assert lacking(answer.json(), outputs.Checkout) == []


async def test_a_subscription_is_changed_canceled_kept_and_ended(polar: Polar) -> None:
    products = {product.name: product.id for product, _ in polar.shop.on_sale()}
    customer = polar.subscriber(
        next(one for one, _ in polar.shop.on_sale() if one.name == "Basic"), "new@example.com"
    )
    [bought] = polar.shop.find(Subscription, customer=customer.id)
    async with asking(polar) as client:
        change = client.subscriptions.update
        assert (await change(bought.id, product_id=products["Team"])).product.name == "Team"
        assert (await change(bought.id, seats=4)).seats == 4
        canceled = await change(
            bought.id, cancel_at_period_end=True, customer_cancellation_reason="unused"
        )
        assert canceled.ends_at == canceled.current_period_end
        assert (await change(bought.id, cancel_at_period_end=False)).ends_at is None
        assert (await client.subscriptions.revoke(bought.id)).status == "canceled"


async def test_webhook_endpoints_and_deliveries_have_every_field_of_the_sdk(polar: Polar) -> None:
    async with asking(polar) as client:
        [endpoint] = (await client.webhooks.list_webhook_endpoints()).items
        assert (endpoint.url, endpoint.enabled) == ("https://hooks.example.com", True)
        polar.subscriber(polar.plan("Another"), "other@example.com")
        for delivery in polar.shop.outbox.untouched():
            polar.shop.outbox.delivered(delivery)
        told = await client.webhooks.list_webhook_deliveries(endpoint_id=endpoint.id)
        assert told.items[0].succeeded
        failed = await client.webhooks.list_webhook_deliveries(succeeded=False)
        assert failed.pagination.total_count == 0
        shapes = (outputs.ListResourceWebhookEndpoint, outputs.ListResourceWebhookDelivery)
        for shape, (_, answer) in zip(shapes, client.exchanged, strict=False):
            assert lacking(answer.json(), shape) == []


async def test_a_refusal_is_one_the_sdk_can_read(polar: Polar) -> None:
    async with asking(polar) as client:
        with pytest.raises(HTTPValidationError) as refused:
            await client.customers.create(type="team", name="Nobody")
        assert refused.value.error.detail
        with pytest.raises(ResourceNotFound):
            await client.products.get(str(uuid4()))
