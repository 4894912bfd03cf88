"""Every route of the API, found by looking, called by those who may not: refused, and nothing of another team told.

A new route is in here by itself: one that anybody may call has to say why below, and one that reads a body has to say
what a good one is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from sqlalchemy import update
from sqlmodel import col, select

from billing_ui.accounts.audit import OPERATOR
from billing_ui.accounts.permissions import Scope
from billing_ui.accounts.sessions import sign_out
from billing_ui.accounts.tokens import create_token, revoke_token
from billing_ui.api.app import create_api
from billing_ui.api.health import Readiness
from billing_ui.models import Invoice, Role, Team
from tests.api.world import BASE_URL, Person, World

PUBLIC: Final[dict[tuple[str, str], str]] = {
    ("POST", "/api/webhooks/{provider}"): "the provider signs what it sends",
    ("POST", "/api/auth/sign-in"): "it is how one begins; counted when it fails",
    ("GET", "/auth/oidc/{number}"): "it is how one begins; leads to the OpenID provider",
    (
        "GET",
        "/auth/oidc/{number}/callback",
    ): "the OpenID provider's answer is checked against what was begun",
    ("GET", "/auth/entry"): "whoever has the link; shows whom it lets in and does nothing",
    ("GET", "/healthz"): "tells that the process lives, and nothing else",
    ("GET", "/readyz"): "tells that the process is ready, and nothing else",
    ("GET", "/metrics"): "loopback, or its own token",
    ("GET", "/api/openapi.json"): "says what there is to call",
    ("GET", "/api/docs"): "says the same to people",
    (
        "GET",
        "/api/billing/departures/{ticket}",
    ): "a sealed ticket, of use to its own session; others go home",
}
"""What needs nobody to be signed in, and why that is right."""
FORMS: Final[dict[str, str]] = {
    "/auth/sign-in": "e-mail and password",
    "/auth/demo": "only while the sandbox is the provider",
    "/auth/sign-out": "ends whatever session comes along",
    "/auth/entry": "a link's token",
    "/auth/invitation": "a link's token",
    "/auth/password": "a link's token",
    "/auth/own-password": "a session, and the password that was",
}
"""Forms of our own pages, which no other site's page may send; and what they want besides."""
BODIES: Final[dict[str, dict[str, Any]]] = {
    "/api/billing/portal": {"returnUrl": "/"},
    "/api/billing/checkout": {"priceId": "price_1"},
    "/api/payments/portal": {},
    "/api/teams/{external_id}": {"name": "Taken over", "members": []},
    "/api/sessions": {"user": "u-1"},
}
MEMBERS_MAY: Final = {("GET", "/api/billing/subscription"): "the plan is everybody's to see"}
SCOPES: Final[dict[tuple[str, str], frozenset[Scope]]] = {
    ("POST", "/api/billing/portal"): frozenset({Scope.PORTAL}),
    ("POST", "/api/billing/checkout"): frozenset({Scope.CHECKOUT}),
    ("GET", "/api/billing/subscription"): frozenset({Scope.READ}),
    ("GET", "/api/billing/invoices"): frozenset({Scope.READ}),
    ("GET", "/api/billing/invoices/{invoice_id}/pdf"): frozenset({Scope.READ}),
    ("GET", "/api/activity.csv"): frozenset({Scope.READ}),
}
"""What a token with one scope is for; nothing else is let through."""

CANARY: Final = "Canary & Sons"


def _routes() -> list[tuple[str, str]]:
    def not_open() -> Any:
        raise AssertionError("no request is made here")

    return [
        (method, route.path)
        for route in create_api(not_open, Readiness()).routes
        if isinstance(route, APIRoute)
        for method in sorted(route.methods or ())
    ]


ROUTES: Final = _routes()
GUARDED: Final = [
    route
    for route in ROUTES
    if route not in PUBLIC and not (route[0] == "POST" and route[1] in FORMS)
]
BY_TOKEN: Final = [route for route in GUARDED if route[1] != "/api/payments/portal"]


@dataclass(frozen=True)
class Victim:
    """A team with a customer, its owner, and what one would name it by."""

    owner: Person
    team: Team
    customer: str
    invoice: str

    def secrets(self) -> tuple[str, ...]:
        """What belongs to it and may stand in no answer to anybody else."""
        return (CANARY, self.customer, str(self.team.id), self.team.id.hex)


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """SQLite alone: nothing here depends on the database."""
    return sqlite_url


@pytest.fixture
async def victim(world: World) -> Victim:
    """The team that everybody is after."""
    owner = await world.person(Role.OWNER)
    assert owner.team is not None
    customer = await world.customer(owner.team, subscribed=True)
    async with world.services.database.write() as session:
        named = update(Team).where(col(Team.id) == owner.team.id)
        await session.exec(named.values(name=CANARY, external_id="t-canary"))
        invoice = (await session.exec(select(Invoice.id))).one()
    return Victim(owner, owner.team, customer, invoice)


async def _call(
    client: httpx.AsyncClient,
    victim: Victim,
    route: tuple[str, str],
    headers: Mapping[str, str],
    *,
    team: str | None = None,
) -> httpx.Response:
    """Call a route well, as anybody can who has seen the names that the victim's own addresses have."""
    method, path = route
    address = path.replace("{external_id}", "t-canary").replace("{invoice_id}", victim.invoice)
    assert "{" not in address, f"say what stands for the parameter of {path}"
    if method == "GET":
        params = {} if team is None else {"team": team}
        return await client.request(method, address, params=params, headers=headers)
    assert path in BODIES, f"say what a good body of {path} is"
    body = dict(BODIES[path])
    if team is not None and path not in ("/api/payments/portal", "/api/teams/{external_id}"):
        body["team"] = team
    return await client.request(method, address, json=body, headers=headers)


async def _token(world: World, team: Team | None, *scopes: Scope) -> str:
    made = await create_token(
        world.services.database,
        team_id=team.id if team is not None else None,
        actor=OPERATOR,
        name=f"token {uuid4()}",
        scopes=scopes,
        lifetime=None,
    )
    return made.secret


def _bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def test_what_is_public_is_there() -> None:
    forms = {(method, path) for method, path in ROUTES if method == "POST" and path in FORMS}
    assert {*PUBLIC} <= {*ROUTES}
    assert {path for _, path in forms} == {*FORMS}
    assert {*SCOPES, *MEMBERS_MAY} <= {*GUARDED}
    assert {path for _, path in GUARDED} >= {*BODIES}


@pytest.mark.parametrize("route", GUARDED, ids=" ".join)
async def test_nobody_is_let_through(
    client: httpx.AsyncClient, victim: Victim, route: tuple[str, str]
) -> None:
    for headers in ({}, _bearer("nonsense"), _bearer("bui_" + "A" * 43), {"Origin": BASE_URL}):
        for team in (None, "t-canary"):
            response = await _call(client, victim, route, headers, team=team)
            assert response.status_code == 401, response.text
            assert not any(secret in response.text for secret in victim.secrets())


@pytest.mark.parametrize("route", GUARDED, ids=" ".join)
async def test_a_session_that_was_revoked_is_not_let_through(
    client: httpx.AsyncClient, world: World, victim: Victim, route: tuple[str, str]
) -> None:
    await sign_out(world.services.database, victim.owner.token)
    for headers in (victim.owner.bearer, victim.owner.cookie):
        response = await _call(client, victim, route, headers)
        assert response.status_code == 401, response.text


@pytest.mark.parametrize("route", GUARDED, ids=" ".join)
async def test_a_token_that_was_revoked_is_not_let_through(
    client: httpx.AsyncClient, world: World, victim: Victim, route: tuple[str, str]
) -> None:
    for team in (victim.team, None):
        made = await create_token(
            world.services.database,
            team_id=team.id if team is not None else None,
            actor=OPERATOR,
            name="revoked",
            scopes=frozenset(Scope),
            lifetime=None,
        )
        await revoke_token(
            world.services.database,
            made.token.id,
            team_id=team.id if team is not None else None,
            actor=OPERATOR,
        )
        response = await _call(client, victim, route, _bearer(made.secret), team="t-canary")
        assert response.status_code == 401, response.text


@pytest.mark.parametrize("route", GUARDED, ids=" ".join)
async def test_a_plain_member_is_let_through_to_what_is_everybodys_only(
    client: httpx.AsyncClient, world: World, victim: Victim, route: tuple[str, str]
) -> None:
    member = await world.person(Role.MEMBER, team=victim.team)
    bearer = await _call(client, victim, route, member.bearer)
    cookie = await _call(client, victim, route, member.cookie)
    if route in MEMBERS_MAY:
        assert (bearer.status_code, cookie.status_code) == (200, 200)
        return
    assert {bearer.status_code, cookie.status_code} <= {401, 403}, bearer.text + cookie.text
    assert 403 in (bearer.status_code, cookie.status_code)


@pytest.mark.parametrize("route", GUARDED, ids=" ".join)
async def test_another_teams_owner_gets_nothing_of_this_one(
    client: httpx.AsyncClient, world: World, victim: Victim, route: tuple[str, str]
) -> None:
    other = await world.person(Role.OWNER)
    program = _bearer(await _token(world, other.team, *Scope))
    for headers in (other.bearer, other.cookie, program):
        for team in (None, "t-canary", str(victim.team.id)):
            response = await _call(client, victim, route, headers, team=team)
            assert not any(secret in response.text for secret in victim.secrets()), response.text
            assert response.status_code < 500
            if team is not None and "team" in _takes(route):
                assert response.status_code in (400, 401, 403), response.text
    async with world.services.database.read() as session:
        assert (await session.get_one(Team, victim.team.id)).name == CANARY


def _takes(route: tuple[str, str]) -> tuple[str, ...]:
    """Return by what a route lets a caller name a team."""
    named = {"/api/billing/subscription", "/api/billing/invoices", "/api/sessions"}
    named |= {"/api/billing/portal", "/api/billing/checkout"}
    named |= {"/api/billing/invoices/{invoice_id}/pdf"}
    return ("team",) if route[1] in named else ()


@pytest.mark.parametrize("scope", Scope)
@pytest.mark.parametrize("route", BY_TOKEN, ids=" ".join)
async def test_a_token_is_let_through_to_what_its_scope_is_for_only(
    client: httpx.AsyncClient,
    world: World,
    victim: Victim,
    route: tuple[str, str],
    scope: Scope,
) -> None:
    for secret in (await _token(world, victim.team, scope), await _token(world, None, scope)):
        response = await _call(client, victim, route, _bearer(secret), team="t-canary")
        if scope in SCOPES.get(route, frozenset()):
            assert response.status_code not in (401, 403), response.text
        elif route == ("GET", "/api/activity.csv"):
            # It takes no team, so the operator's token has none.
            assert response.status_code in (403, 404), response.text
        else:
            assert response.status_code == 403, response.text


@pytest.mark.parametrize("path", FORMS)
async def test_no_form_of_ours_is_taken_from_another_sites_page(
    client: httpx.AsyncClient,
    api: FastAPI,
    victim: Victim,
    path: str,
) -> None:
    for origin in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {}):
        headers = {"Cookie": victim.owner.cookie["Cookie"], **origin}
        response = await client.post(path, data={"token": "x"}, headers=headers)
        # A demo sign-in is not there at all beside a real provider.
        assert response.status_code == (404 if path == "/auth/demo" else 403), response.text
        assert "set-cookie" not in response.headers
