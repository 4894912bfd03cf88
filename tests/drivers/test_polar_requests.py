"""What our driver asks of Polar is valid against Polar's own description, and the check would tell if it was not."""

import pytest

from billing_ui.payments.driver import Driver
from billing_ui.payments.types import Listing
from tests.drivers.polar_description import DESCRIPTION, Asked, complaint, operation_of, recording
from tests.drivers.shop_world import PolarWorld
from tests.drivers.world import World, checkout_request, payer, portal_request

pytestmark = pytest.mark.skipif(
    not DESCRIPTION.exists(),
    reason="Polar's description is not here; POLAR_OPENAPI says where it is",
)

SIGNED_IN = {"authorization": "Bearer polar_oat_1", "content-type": "application/json"}
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
async def test_every_kind_of_request_is_recorded_and_as_polar_describes_it(
    driver: Driver, world: World
) -> None:
    with recording(world.url) as recorder:
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
    assert [wrong for asked in recorder.asked if (wrong := complaint(asked))] == []
    operations = {f"{asked.method} {operation_of(asked)}" for asked in recorder.asked}
    assert operations >= {
        "POST /v1/customers/",
        "POST /v1/customer-sessions/",
        "POST /v1/checkouts/",
        "GET /v1/products/",
        "GET /v1/subscriptions/",
        "GET /v1/orders/",
    }
