"""Two providers at once, each before its own sandbox: a company that moves from Stripe to another one over time."""

import json
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import stripe

from billing_ui.api.app import create_api
from billing_ui.api.health import Readiness
from billing_ui.billing.catalog import refresh_catalog
from billing_ui.billing.customers import current_customer, link_customer
from billing_ui.billing.services import Services
from billing_ui.billing.sync import sync_customer
from billing_ui.billing.worker import drain
from billing_ui.models import Customer, Team
from billing_ui.settings import Provider as Name
from billing_ui.settings import Settings
from tests.api.world import Person, Provider, Shop, World, client_of
from tests.conftest import running_sandbox
from tests.drivers.shop_world import LemonSqueezyWorld, PolarWorld, ShopWorld
from tests.drivers.world import Offer, settings_of

STRIPES_SECRET = "whsec_tests"
NEWCOMERS = {Name.POLAR: PolarWorld, Name.LEMONSQUEEZY: LemonSqueezyWorld}


@pytest.fixture(scope="module", params=NEWCOMERS, ids=str)
def running_newcomer(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ShopWorld]:
    """The sandbox of the provider that the company moves to."""
    database = tmp_path_factory.mktemp(request.param) / "sandbox.db"
    with running_sandbox(database, request.param) as url:
        yield NEWCOMERS[request.param](url, database)


@pytest.fixture
def newcomer(running_newcomer: ShopWorld) -> ShopWorld:
    """That provider, with nothing to sell and no customer."""
    running_newcomer.control.do("reset", {})
    return running_newcomer


@pytest.fixture
def offer(newcomer: ShopWorld) -> Offer:
    """What it sells."""
    return newcomer.offer("Scale", 9900)


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """SQLite alone: nothing here depends on the database."""
    return sqlite_url


@pytest.fixture
def settings(settings: Settings, newcomer: ShopWorld) -> Settings:
    """The settings of the move."""
    theirs = {
        "stripe_secret_key": settings.stripe_secret_key,
        "stripe_api_base": settings.stripe_api_base,
        "stripe_webhook_secret": STRIPES_SECRET,
        "base_url": settings.base_url,
        "database_url": settings.database_url,
        "legacy_providers": (Name.STRIPE,),
    }
    return settings_of(newcomer, **theirs)  # type: ignore[arg-type]


@pytest.fixture
async def opened(services: Services, offer: Offer) -> Services:
    """The services, with both catalogues fetched."""
    for provider in services.settings.served_providers:
        await refresh_catalog(services, provider)
    return services


@pytest.fixture
async def client(opened: Services, readiness: Readiness) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the API."""
    async with client_of(create_api(lambda: opened, readiness)) as made:
        yield made


async def at_stripe(
    world: World, provider: Provider, shop: Shop, team: Team | None
) -> tuple[str, str]:
    """Give a team a plan at Stripe; returns the ids of customer and subscription."""
    assert team is not None
    customer: str = provider.call("POST", "/v1/customers", name=team.name)["id"]
    card = provider.call("POST", "/v1/payment_methods/pm_card_visa/attach", customer=customer)
    plan = {"customer": customer, "items[0][price]": shop.price}
    plan["default_payment_method"] = card["id"]
    subscription: str = provider.call("POST", "/v1/subscriptions", **plan)["id"]
    ours = await link_customer(world.services, team.id, customer, Name.STRIPE)
    await sync_customer(world.services, ours)
    return customer, subscription


async def open_portal(client: httpx.AsyncClient, person: Person) -> str:
    """Return the address of the portal that a program is given."""
    response = await client.post(
        "/api/billing/portal", json={"returnUrl": "/"}, headers=person.bearer
    )
    assert response.status_code == 200, response.text
    url: str = response.json()["data"]["url"]
    return url


async def plan_of(client: httpx.AsyncClient, person: Person) -> Any:
    """Return the name of the plan that a team has."""
    response = await client.get("/api/billing/subscription", headers=person.bearer)
    return response.json()["data"]["plan"]


async def buy(
    client: httpx.AsyncClient, opened: Services, person: Person, newcomer: ShopWorld, offer: Offer
) -> None:
    """Let a team choose a plan at the newcomer, and pay for it there."""
    response = await client.post(
        "/api/billing/checkout", json={"priceId": offer.price}, headers=person.bearer
    )
    assert response.status_code == 200, response.text
    assert response.json()["data"]["url"].startswith(newcomer.url)
    assert person.team is not None
    async with opened.database.read() as session:
        customer = await current_customer(session, person.team.id, (newcomer.provider,))
    assert customer is not None
    assert customer.provider_customer_id is not None
    newcomer.add_card(customer.provider_customer_id)
    newcomer.subscribe(customer.provider_customer_id, offer)
    await sync_customer(opened, customer.id)


async def test_a_customer_of_the_legacy_provider_keeps_its_portal_and_its_plan(
    client: httpx.AsyncClient, world: World, provider: Provider, shop: Shop
) -> None:
    person = await world.person()
    await at_stripe(world, provider, shop, person.team)
    assert (await open_portal(client, person)).startswith(provider.url)
    own = await client.post("/api/payments/portal", headers=person.cookie)
    assert own.json()["url"].startswith(provider.url)
    assert await plan_of(client, person) == "Pro"


async def test_a_new_customer_takes_the_active_provider(
    client: httpx.AsyncClient, opened: Services, world: World, newcomer: ShopWorld, offer: Offer
) -> None:
    person = await world.person()
    await buy(client, opened, person, newcomer, offer)
    assert await plan_of(client, person) == "Scale"
    assert (await open_portal(client, person)).startswith(newcomer.url)


async def test_a_team_moves_when_its_plan_has_ended_and_never_pays_for_two(
    client: httpx.AsyncClient,
    opened: Services,
    world: World,
    provider: Provider,
    shop: Shop,
    newcomer: ShopWorld,
    offer: Offer,
) -> None:
    person = await world.person()
    _, subscription = await at_stripe(world, provider, shop, person.team)
    refused = await client.post(
        "/api/billing/checkout", json={"priceId": offer.price}, headers=person.bearer
    )
    assert refused.status_code == 400
    assert "already has a plan at Stripe" in refused.json()["error"]["message"]
    # It ends there, and nobody has told us yet.
    provider.call("DELETE", f"/v1/subscriptions/{subscription}")
    await buy(client, opened, person, newcomer, offer)
    assert await plan_of(client, person) == "Scale"
    assert (await open_portal(client, person)).startswith(newcomer.url)


async def test_a_customer_of_neither_is_a_mismatch(
    client: httpx.AsyncClient, world: World, opened: Services, newcomer: ShopWorld
) -> None:
    person = await world.person()
    assert person.team is not None
    async with opened.database.write() as session:
        session.add(
            Customer(team_id=person.team.id, provider="paddle", provider_customer_id="ctm_1")
        )
    sentence = f"Customer provider (paddle) does not match active provider ({newcomer.provider})"
    own = await client.post("/api/payments/portal", headers=person.cookie)
    assert (own.status_code, own.json()) == (400, {"error": sentence})
    other = await client.post("/api/billing/portal", json={"returnUrl": "/"}, headers=person.bearer)
    assert (other.status_code, other.json()["error"]) == (
        409,
        {"code": "PROVIDER_MISMATCH", "message": sentence},
    )


async def test_both_can_send_their_events_and_nobody_else(
    client: httpx.AsyncClient,
    opened: Services,
    world: World,
    provider: Provider,
    shop: Shop,
    newcomer: ShopWorld,
) -> None:
    person = await world.person()
    customer, subscription = await at_stripe(world, provider, shop, person.team)
    provider.call("DELETE", f"/v1/subscriptions/{subscription}")
    event = {
        "id": f"evt_{customer}",
        "object": "event",
        "type": "customer.subscription.deleted",
        "created": int(time.time()),
        "livemode": False,
        "data": {"object": {"id": subscription, "object": "subscription", "customer": customer}},
    }
    body = json.dumps(event)
    signature = stripe.WebhookSignature.generate_signature_header(
        body, STRIPES_SECRET, int(time.time())
    )
    told = await client.post(
        "/api/webhooks/stripe", content=body, headers={"Stripe-Signature": signature}
    )
    assert told.status_code == 200
    assert await drain(opened) >= 1
    response = await client.get("/api/billing/subscription", headers=person.bearer)
    assert response.json()["data"]["status"] == "ended"

    signed = newcomer.sign(b"{}", newcomer.secret, datetime.now(UTC))
    # It is believed, and says nothing.
    heard = await client.post(f"/api/webhooks/{newcomer.provider}", content=b"{}", headers=signed)
    assert heard.status_code == 400
    forged = newcomer.sign(b"{}", "another secret", datetime.now(UTC))
    refused = await client.post(f"/api/webhooks/{newcomer.provider}", content=b"{}", headers=forged)
    assert refused.status_code == 401
    assert (await client.post("/api/webhooks/paddle", content=b"{}")).status_code == 404


async def test_where_there_is_no_portal_before_the_first_purchase_both_addresses_say_so(
    client: httpx.AsyncClient, opened: Services, world: World, newcomer: ShopWorld, offer: Offer
) -> None:
    person = await world.person()
    begun = await client.post(
        "/api/billing/checkout", json={"priceId": offer.price}, headers=person.bearer
    )
    assert begun.status_code == 200, begun.text
    response = await client.post(
        "/api/billing/portal", json={"returnUrl": "/"}, headers=person.bearer
    )
    own = await client.post("/api/payments/portal", headers=person.cookie)
    if newcomer.portal_before_buying:
        assert (response.status_code, own.status_code) == (200, 200)
        return
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "NOT_FOUND"
    assert "before the first purchase" in response.json()["error"]["message"]
    assert (own.status_code, own.json()) == (404, {"error": "No customer found"})
