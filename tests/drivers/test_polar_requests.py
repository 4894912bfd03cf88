"""What our driver asks of Polar is valid against Polar's own description, and the check would tell if it was not."""

import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from polar.v2026_10.errors import ResourceNotFound

from billing_ui.payments.driver import Driver
from billing_ui.payments.polar.client import PolarClient
from billing_ui.payments.types import Listing
from tests.drivers.shop_world import PolarWorld
from tests.drivers.world import World, checkout_request, payer, portal_request
from tests.e2e.server import Server
from tests.polar_description import NEWER, complaint, complaints, described, operation_of
from tests.polar_requests import DESCRIPTION, Asked, Notes

pytestmark = pytest.mark.skipif(
    not DESCRIPTION.exists(),
    reason="Polar's description is not here; POLAR_OPENAPI says where it is",
)

SIGNED_IN = {"authorization": "Bearer polar_oat_1", "content-type": "application/json"}
NOBODY = "00000000-0000-4000-8000-000000000000"
SOMEBODY = b'{"customer_id": "d8dd2de1-21b7-4a41-8bc3-ce909c0cfe23"}'


@pytest.mark.parametrize(
    "asked",
    [
        Asked("POST", "/v1/customer-sessions/", (), SIGNED_IN, SOMEBODY),
        Asked("GET", "/v1/customers/", (("limit", "100"), ("page", "2")), SIGNED_IN, b""),
        Asked("GET", "/v1/customers/external/team-1", (), SIGNED_IN, b""),
    ],
)
def test_a_request_as_polar_describes_it_is_fine(asked: Asked) -> None:
    assert complaint(asked) == ""


@pytest.mark.parametrize(
    "asked",
    [
        Asked("POST", "/v1/customer-sessions/", (), SIGNED_IN, SOMEBODY.replace(b"_id", b"_ix")),
        Asked("POST", "/v1/customer-sessions/", (), SIGNED_IN, b"{"),
        Asked("POST", "/v1/customer-sessions", (), SIGNED_IN, SOMEBODY),
        Asked("GET", "/v1/customers/", (("page", "x"),), SIGNED_IN, b""),
        Asked("GET", "/v1/customers/", (("pages", "2"),), SIGNED_IN, b""),
        Asked("GET", "/v1/customers/no-uuid", (), SIGNED_IN, b""),
        Asked("PUT", "/v1/customers/", (), SIGNED_IN, b"{}"),
    ],
    ids=["field", "JSON", "path", "value", "parameter", "id", "method"],
)
def test_a_request_that_polar_does_not_describe_is_complained_of(asked: Asked) -> None:
    assert complaint(asked).startswith(f"{asked.method} {asked.path}: ")


@pytest.mark.parametrize("running_world", [PolarWorld], indirect=True, ids=["polar"])
async def test_every_kind_of_request_is_noted_and_as_polar_describes_it(
    driver: Driver, world: World, asked_of_polar: Notes
) -> None:
    who = payer()
    offer = world.offer("Pro")
    await driver.start_checkout(checkout_request(who, offer))
    customer = await driver.ensure_customer(who)
    world.add_card(customer)
    world.subscribe(customer, offer)
    await driver.start_portal_session(portal_request(payer(customer)))
    snapshot = await driver.fetch_snapshot(customer)
    await driver.fetch_snapshot(customer, invoices=[one.id for one in snapshot.invoices])
    for listing in Listing:
        await driver.list_page(listing, await driver.fetch_catalog())
    assert [event async for event in driver.list_events(snapshot.invoices[0].created_at)]
    asked = asked_of_polar.new()
    assert complaints(asked) == []
    assert all(one.by_the_sdk for one in asked)
    assert {operation_of(one) for one in asked} >= {
        "POST /v1/customers/",
        "POST /v1/customer-sessions/",
        "POST /v1/checkouts/",
        "GET /v1/products/",
        "GET /v1/subscriptions/",
        "GET /v1/orders/",
    }


@pytest.mark.parametrize("running_world", [PolarWorld], indirect=True, ids=["polar"])
async def test_what_is_not_described_but_let_pass_is_what_the_sdk_asks_for(
    world: World, asked_of_polar: Notes
) -> None:
    client = PolarClient(world.key, world.url)
    with pytest.raises(ResourceNotFound):
        await client.customers.members.list(NOBODY)
    await client.close()
    assert {operation_of(one) for one in asked_of_polar.new()} == set(NEWER)
    assert described().isdisjoint(NEWER)


@pytest.mark.parametrize("running_world", [PolarWorld], indirect=True, ids=["polar"])
async def test_what_is_wrong_counts_unless_it_was_refused_and_not_ours(
    world: World, asked_of_polar: Notes
) -> None:
    wrong = {"pages": "2"}
    ours = PolarClient(world.key, world.url)
    keyed = {"Authorization": f"Bearer {world.key}"}
    async with httpx.AsyncClient(base_url=world.url, headers=keyed, trust_env=False) as stranger:
        assert (await stranger.get("/v1/customers/", params=wrong)).status_code == 422
        assert complaints(asked_of_polar.new()) == []
        with pytest.raises(httpx.TransportError), world.control.failing("drop"):
            await stranger.get("/v1/customers/", params=wrong)
        assert complaints(asked_of_polar.new()) == ["GET /v1/customers/: unknown pages"]
    request = ours.build_request("GET", "/v1/customers/", query_params=wrong)
    assert (await ours.send_request(request)).status_code == 422
    await ours.close()
    assert complaints(asked_of_polar.new()) == ["GET /v1/customers/: unknown pages"]


@pytest.mark.parametrize("running_world", [PolarWorld], indirect=True, ids=["polar"])
def test_what_the_application_asks_in_a_process_of_its_own_is_noted_too(
    world: World, asked_of_polar: Notes, tmp_path: Path
) -> None:
    code = f"""
import asyncio, httpx
async def ask():
    async with httpx.AsyncClient(trust_env=False) as client:
        await client.get("{world.url}/v1/nothing/", headers={{"Authorization": "Bearer {world.key}"}})
asyncio.run(ask())
"""
    subprocess.run([sys.executable, "-c", code], env=Server(tmp_path).environment, check=True)
    [asked] = asked_of_polar.new()
    assert (asked.method, asked.path, asked.status) == ("GET", "/v1/nothing/", 404)
