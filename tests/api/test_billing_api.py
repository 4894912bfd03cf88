"""What programs and browsers get from the billing addresses, with the provider well and unwell."""

from typing import Any

import httpx
import pytest
from sqlmodel import select
from starlette.responses import PlainTextResponse

from billing_ui.accounts.sessions import identify
from billing_ui.api.app import create_api
from billing_ui.api.health import Readiness
from billing_ui.billing.handoff import seal_departure
from billing_ui.billing.services import Services
from billing_ui.billing.sync import sync_customer
from billing_ui.models import Customer, PortalVisit, Role
from tests.api.world import BASE_URL, World, client_of

# ---------------------------------------------------------------- portal


async def test_a_program_gets_a_portal_link(client: httpx.AsyncClient, world: World) -> None:
    person = await world.person()
    await world.customer(person.team)
    response = await client.post(
        "/api/billing/portal", json={"returnUrl": "/settings/billing"}, headers=person.bearer
    )
    assert response.status_code == 200
    answer = response.json()
    assert set(answer) == {"success", "data"}
    assert answer["success"] is True
    assert set(answer["data"]) == {"url"}
    assert answer["data"]["url"].startswith(world.provider.url)


async def test_a_browser_gets_a_portal_link_in_the_plain_shape(
    client: httpx.AsyncClient, world: World
) -> None:
    person = await world.person(Role.BILLING_MANAGER)
    await world.customer(person.team)
    response = await client.post("/api/payments/portal", headers=person.cookie)
    assert response.status_code == 200
    assert set(response.json()) == {"url"}
    assert response.json()["url"].startswith(world.provider.url)


@pytest.mark.parametrize("flow", ["payment_method_update", {"type": "customer_update"}])
async def test_the_portal_can_open_at_a_flow(
    client: httpx.AsyncClient, world: World, flow: Any
) -> None:
    person = await world.person()
    await world.customer(person.team, subscribed=True)
    body = {"returnUrl": "/", "flow": flow}
    response = await client.post("/api/billing/portal", json=body, headers=person.bearer)
    assert response.status_code == 200, response.text


async def test_a_subscription_of_someone_else_is_not_taken(
    client: httpx.AsyncClient, world: World
) -> None:
    person = await world.person()
    await world.customer(person.team, subscribed=True)
    flow = {"type": "subscription_cancel", "subscriptionId": "sub_of_someone_else"}
    body = {"returnUrl": "/", "flow": flow}
    response = await client.post("/api/billing/portal", json=body, headers=person.bearer)
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "INVALID_REQUEST"
    assert response.json()["error"]["message"].startswith("flow: ")


async def test_a_configuration_that_is_not_listed_is_not_taken(
    client: httpx.AsyncClient, world: World
) -> None:
    person = await world.person()
    await world.customer(person.team)
    body = {"returnUrl": "/", "configuration": "bpc_of_someone_else"}
    response = await client.post("/api/billing/portal", json=body, headers=person.bearer)
    assert response.status_code == 400
    assert response.json()["error"]["message"].startswith("configuration: ")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer unknown"},
        {"Authorization": "Basic dXNlcjpwYXNz"},
        {"Authorization": "unknown"},
    ],
)
async def test_nobody_is_let_in_without_a_valid_token(
    client: httpx.AsyncClient, world: World, headers: dict[str, str]
) -> None:
    response = await client.post("/api/billing/portal", json={"returnUrl": "/"}, headers=headers)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert response.json() == {
        "success": False,
        "error": {"code": "UNAUTHORIZED", "message": "Authentication required"},
    }


async def test_the_programs_portal_takes_no_cookie_and_the_browsers_no_bearer(
    client: httpx.AsyncClient, world: World
) -> None:
    person = await world.person()
    await world.customer(person.team)
    by_cookie = await client.post(
        "/api/billing/portal", json={"returnUrl": "/"}, headers=person.cookie
    )
    by_bearer = await client.post(
        "/api/payments/portal", headers=person.bearer | {"Origin": BASE_URL}
    )
    assert (by_cookie.status_code, by_bearer.status_code) == (401, 401)


@pytest.mark.parametrize(
    "origin",
    [
        None,
        "null",
        "",
        "https://localhost:3000",
        "http://localhost",
        "http://localhost:3000/",
        "http://localhost:30000",
        "http://LOCALHOST:3000",
        "http://localhost:3000.evil.example",
        "http://127.0.0.1:3000",
    ],
)
async def test_a_cookie_works_from_our_own_origin_only(
    client: httpx.AsyncClient, world: World, origin: str | None
) -> None:
    person = await world.person()
    await world.customer(person.team)
    headers = {"Cookie": person.cookie["Cookie"]} | ({} if origin is None else {"Origin": origin})
    response = await client.post("/api/payments/portal", headers=headers)
    assert response.status_code == 403
    assert response.json() == {"error": "Forbidden"}


async def test_a_bearer_token_goes_before_the_cookie(
    client: httpx.AsyncClient, world: World
) -> None:
    person, stranger = await world.person(), await world.person(None)
    path = "/api/billing/subscription"
    cookie = {"Cookie": person.cookie["Cookie"]}
    assert (await client.get(path, headers=cookie)).status_code == 200
    assert (await client.get(path, headers=cookie | stranger.bearer)).status_code == 404
    wrong = {"Authorization": "Bearer wrong"}
    assert (await client.get(path, headers=cookie | wrong)).status_code == 401
    proxy = {"Authorization": "Basic dXNlcjpwYXNz"}
    assert (await client.get(path, headers=cookie | proxy)).status_code == 200


# ---------------------------------------------------------------- the provider is unwell


@pytest.mark.parametrize(
    ("fault", "status", "code", "retry_after"),
    [
        ({"kind": "error", "status": 500}, 503, "PROVIDER_UNAVAILABLE", "5"),
        ({"kind": "drop"}, 503, "PROVIDER_UNAVAILABLE", "5"),
        ({"kind": "rate_limit", "retry_after": 7}, 503, "PROVIDER_UNAVAILABLE", "7"),
        ({"kind": "rate_limit"}, 503, "PROVIDER_UNAVAILABLE", "5"),
        ({"kind": "error", "status": 401}, 502, "PROVIDER_ERROR", None),
    ],
    ids=["fails", "hangs up", "asks to wait", "asks to wait, not how long", "refuses the key"],
)
async def test_a_failing_provider_is_told_apart_from_a_refusing_one(
    client: httpx.AsyncClient,
    world: World,
    fault: dict[str, Any],
    status: int,
    code: str,
    retry_after: str | None,
) -> None:
    person = await world.person()
    await world.customer(person.team)
    with world.provider.failing(**fault):
        envelope = await client.post(
            "/api/billing/portal", json={"returnUrl": "/"}, headers=person.bearer
        )
        plain = await client.post("/api/payments/portal", headers=person.cookie)
    assert envelope.status_code == status, envelope.text
    assert envelope.json()["error"]["code"] == code
    assert envelope.json()["error"]["message"]
    assert envelope.headers.get("retry-after") == retry_after
    assert "sk_test" not in envelope.text
    assert plain.status_code == 500
    assert plain.json() == {"error": "Internal Server Error"}


async def test_a_customer_deleted_at_the_provider_is_said_so(
    client: httpx.AsyncClient, world: World
) -> None:
    person = await world.person()
    customer = await world.customer(person.team)
    world.provider.call("DELETE", f"/v1/customers/{customer}")
    response = await client.post(
        "/api/billing/portal", json={"returnUrl": "/"}, headers=person.bearer
    )
    assert response.status_code == 502
    assert response.json()["error"]["code"] == "PROVIDER_ERROR"
    assert "no longer exists" in response.json()["error"]["message"]
    plain = await client.post("/api/payments/portal", headers=person.cookie)
    assert (plain.status_code, plain.json()) == (500, {"error": "Internal Server Error"})


async def test_our_own_failure_leaves_without_a_trace(
    client: httpx.AsyncClient, services: Services, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = await world.person()

    async def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("a secret in a message")

    monkeypatch.setattr("billing_ui.api.billing.open_portal", broken)
    monkeypatch.setattr("billing_ui.api.payments.open_portal", broken)
    response = await client.post(
        "/api/billing/portal", json={"returnUrl": "/"}, headers=person.bearer
    )
    assert response.status_code == 500
    assert response.json()["error"]["code"] == "INTERNAL_ERROR"
    assert "secret" not in response.text
    plain = await client.post("/api/payments/portal", headers=person.cookie)
    assert (plain.status_code, plain.json()) == (500, {"error": "Internal Server Error"})


# ---------------------------------------------------------------- checkout


@pytest.mark.parametrize("by", ["bearer", "cookie"])
async def test_a_team_without_a_customer_gets_a_checkout_link_and_a_customer(
    client: httpx.AsyncClient, services: Services, world: World, by: str
) -> None:
    person = await world.person()
    response = await client.post(
        "/api/billing/checkout",
        json={"priceId": world.shop.price, "returnUrl": "/pricing"},
        headers=getattr(person, by),
    )
    assert response.status_code == 200, response.text
    assert response.json()["data"]["url"].startswith(world.provider.url)
    async with services.database.read() as session:
        (customer,) = (await session.exec(select(Customer))).all()
        (visit,) = (await session.exec(select(PortalVisit))).all()
    assert person.team
    assert customer.team_id == person.team.id
    assert (visit.customer_id, visit.return_url) == (customer.id, "/pricing")


async def test_a_price_that_does_not_exist_is_named(
    client: httpx.AsyncClient, world: World
) -> None:
    person = await world.person()
    response = await client.post(
        "/api/billing/checkout", json={"priceId": "price_none"}, headers=person.bearer
    )
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "INVALID_REQUEST"
    assert response.json()["error"]["message"].startswith("priceId: ")


async def test_a_team_with_a_plan_gets_no_second_one(
    client: httpx.AsyncClient, world: World
) -> None:
    person = await world.person()
    await world.customer(person.team, subscribed=True)
    response = await client.post(
        "/api/billing/checkout", json={"priceId": world.shop.price}, headers=person.bearer
    )
    assert response.status_code == 400
    assert "already has a plan" in response.json()["error"]["message"]


# ---------------------------------------------------------------- subscription and invoices


async def test_a_program_learns_what_a_team_has(client: httpx.AsyncClient, world: World) -> None:
    person = await world.person()
    await world.customer(person.team, subscribed=True)
    response = await client.get("/api/billing/subscription", headers=person.bearer)
    assert response.status_code == 200
    data = response.json()["data"]
    (subscription,) = data["subscriptions"]
    assert (data["plan"], data["status"]) == ("Pro", "active")
    assert data["currentPeriodEnd"] == subscription["currentPeriodEnd"]
    assert data["currentPeriodEnd"].endswith("Z")
    assert data["syncedAt"].endswith("Z")
    assert subscription["id"].startswith("sub_")
    assert set(subscription) == {
        *("id", "status", "currentPeriodEnd", "cancelAt", "trialEnd", "endedAt", "items")
    }
    assert subscription["items"] == [
        {
            "priceId": world.shop.price,
            "productId": world.shop.product,
            "planName": "Pro",
            "quantity": 1,
            "unitAmount": 14900,
            "currency": "usd",
            "interval": "month",
        }
    ]


async def test_a_team_that_has_nothing_has_nothing(client: httpx.AsyncClient, world: World) -> None:
    person = await world.person()
    response = await client.get("/api/billing/subscription", headers=person.bearer)
    assert response.json() == {
        "success": True,
        "data": {
            "plan": None,
            "status": None,
            "currentPeriodEnd": None,
            "subscriptions": [],
            "syncedAt": None,
        },
    }


async def test_what_a_team_has_is_told_while_the_provider_is_down(
    client: httpx.AsyncClient, world: World
) -> None:
    person = await world.person()
    await world.customer(person.team, subscribed=True)
    with world.provider.failing("drop"):
        response = await client.get("/api/billing/subscription", headers=person.bearer)
    assert response.json()["data"]["plan"] == "Pro"


async def test_a_member_sees_the_plan_but_no_invoices(
    client: httpx.AsyncClient, world: World
) -> None:
    owner = await world.person()
    await world.customer(owner.team, subscribed=True)
    member = await world.person(Role.MEMBER, team=owner.team)
    cookie = {"Cookie": member.cookie["Cookie"]}
    plan = await client.get("/api/billing/subscription", headers=cookie)
    assert plan.json()["data"]["plan"] == "Pro"
    invoices = await client.get("/api/billing/invoices", headers=cookie)
    assert invoices.status_code == 403
    assert invoices.json()["error"]["code"] == "FORBIDDEN"


async def test_invoices_come_page_by_page_newest_first(
    client: httpx.AsyncClient, world: World
) -> None:
    person = await world.person()
    customer = await world.customer(person.team, subscribed=True)
    for _ in range(20):
        world.provider.call(
            "POST", "/v1/invoiceitems", customer=customer, amount="500", currency="usd"
        )
        invoice = world.provider.call("POST", "/v1/invoices", customer=customer)
        world.provider.call("POST", f"/v1/invoices/{invoice['id']}/finalize")
    async with world.services.database.read() as session:
        ours = (await session.exec(select(Customer.id))).one()
    await sync_customer(world.services, ours)
    first = (await client.get("/api/billing/invoices", headers=person.bearer)).json()["data"]
    assert (len(first["invoices"]), first["total"]) == (20, 21)
    second = (
        await client.get(
            "/api/billing/invoices",
            params={"cursor": first["nextCursor"]},
            headers=person.bearer,
        )
    ).json()["data"]
    assert (len(second["invoices"]), second["nextCursor"]) == (1, None)
    rows = [*first["invoices"], *second["invoices"]]
    assert len({row["id"] for row in rows}) == 21
    moments = [row["createdAt"] for row in rows]
    assert moments == sorted(moments, reverse=True)
    (first_payment,) = [row for row in rows if row["total"] == 14900]
    assert (first_payment["currency"], first_payment["status"]) == ("usd", "paid")
    assert first_payment["pdfUrl"].startswith(world.provider.url)


@pytest.mark.parametrize("cursor", ["x", "%00", "é", "=", "W10", "bnVsbA", "a" * 5000])
async def test_a_cursor_that_is_not_ours_is_named(
    client: httpx.AsyncClient, world: World, cursor: str
) -> None:
    person = await world.person()
    response = await client.get(
        "/api/billing/invoices", params={"cursor": cursor}, headers=person.bearer
    )
    assert response.status_code == 400, response.text
    assert response.json()["error"]["message"].startswith("cursor: ")


# ---------------------------------------------------------------- leaving for the portal


async def test_a_ticket_takes_its_own_session_to_the_provider(
    client: httpx.AsyncClient, services: Services, world: World
) -> None:
    person, other = await world.person(), await world.person()
    identity = await identify(services.database, person.token)
    assert identity is not None
    portal = f"{world.provider.url}/p/session/abc"
    path = f"/api/billing/departures/{seal_departure(services, identity, portal)}"
    billing_page = f"{BASE_URL}/settings/billing"

    async def destination(headers: dict[str, str], path: str = path) -> str:
        response = await client.get(path, headers=headers)
        assert response.status_code == 303
        assert response.headers["referrer-policy"] == "no-referrer"
        assert response.headers["cache-control"] == "no-store"
        location: str = response.headers["location"]
        return location

    assert await destination({"Cookie": person.cookie["Cookie"]}) == portal
    assert await destination({"Cookie": other.cookie["Cookie"]}) == billing_page
    assert await destination({}) == billing_page
    assert await destination(person.bearer) == billing_page
    damaged = "/api/billing/departures/bad-ticket"
    assert await destination({"Cookie": person.cookie["Cookie"]}, damaged) == billing_page


# ---------------------------------------------------------------- addresses


@pytest.mark.parametrize(
    "path", ["/api/nothing", "/api/billing", "/api/billing/portal/", "/api/", "/api/%00"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS"])
async def test_an_address_that_does_not_exist_says_so_in_the_envelope(
    client: httpx.AsyncClient, method: str, path: str
) -> None:
    response = await client.request(method, path)
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "NOT_FOUND"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/api/billing/portal", "POST"),
        ("PUT", "/api/payments/portal", "POST"),
        ("POST", "/api/billing/subscription", "GET"),
        ("DELETE", "/api/billing/departures/x", "GET"),
    ],
)
async def test_a_wrong_method_says_which_is_right(
    client: httpx.AsyncClient, method: str, path: str, allowed: str
) -> None:
    response = await client.request(method, path)
    assert response.status_code == 405
    assert response.headers["allow"] == allowed
    assert response.json()["error"]["code"] == "METHOD_NOT_ALLOWED"


async def test_the_pages_behind_the_api_do_not_hide_its_answers(services: Services) -> None:
    api = create_api(lambda: services, Readiness())
    api.mount("", PlainTextResponse("a page"))
    async with client_of(api) as client:
        assert (await client.get("/settings/billing")).text == "a page"
        assert (await client.get("/api/nothing")).status_code == 404
        assert (await client.get("/api/billing/portal")).status_code == 405
