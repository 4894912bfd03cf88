"""Whom a Bearer token stands for, and what each may do: sessions, API tokens, and tokens of the company's issuer."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from sqlmodel import select
from starlette.requests import Request

from billing_ui.accounts.audit import OPERATOR
from billing_ui.accounts.errors import NoTeam
from billing_ui.accounts.permissions import Scope
from billing_ui.accounts.sessions import Identity
from billing_ui.accounts.tokens import create_token, identify_token, revoke_token
from billing_ui.api.app import create_api
from billing_ui.api.caller import acting_for
from billing_ui.api.errors import BadRequest
from billing_ui.api.health import Readiness
from billing_ui.billing.services import Services
from billing_ui.models import (
    ActorKind,
    AuditEntry,
    Customer,
    PortalVisit,
    Role,
    Team,
    User,
    UserIdentity,
)
from billing_ui.settings import OidcProvider, Settings
from tests.api.world import Person, World, client_of
from tests.issuer import AUDIENCE, SigningIssuer, rsa_key, running_issuer
from tests.unit.statements import noted_statements

ROUTES = {
    "POST /api/billing/portal": Scope.PORTAL,
    "POST /api/billing/checkout": Scope.CHECKOUT,
    "GET /api/billing/subscription": Scope.READ,
    "GET /api/billing/invoices": Scope.READ,
    "GET /api/billing/invoices/{invoice_id}/pdf": Scope.READ,
    "GET /api/activity.csv": Scope.READ,
}
"""What a token needs for each address that takes one and is about one team."""
EMBEDDING = {"PUT /api/teams/{external_id}", "POST /api/sessions"}
"""What only the product's own backend does, with a token of every scope; tested with embedding."""


@pytest.fixture
def settings(settings: Settings, issuer: SigningIssuer) -> Settings:
    """Settings that trust an issuer."""
    provider = OidcProvider(issuer=issuer.url, client_id="billing", audience=AUDIENCE)
    return settings.model_copy(update={"oidc_providers": {1: provider}})


@pytest.fixture(scope="module")
def issuer() -> Iterator[SigningIssuer]:
    """A running issuer."""
    with running_issuer() as running:
        yield running


@pytest.fixture
async def owner(world: World) -> Person:
    """The owner of a team that has a customer."""
    person = await world.person()
    await world.customer(person.team)
    return person


async def secret_of(
    world: World,
    team: Team | None,
    *scopes: Scope,
    lifetime: timedelta | None = None,
) -> str:
    """Return a new token of a team, or of the operator."""
    made = await create_token(
        world.services.database,
        team_id=team.id if team else None,
        actor=OPERATOR,
        name=uuid4().hex,
        scopes=scopes or tuple(Scope),
        lifetime=lifetime,
    )
    return made.secret


def bearer(token: str) -> dict[str, str]:
    """Return the headers of whoever has `token`."""
    return {"Authorization": f"Bearer {token}"}


async def ask(
    client: httpx.AsyncClient, world: World, route: str, headers: dict[str, str]
) -> httpx.Response:
    """Make a call that whoever may make it gets an answer to."""
    method, path = route.split()
    bodies: dict[str, Any] = {
        "/api/billing/portal": {"returnUrl": "/settings/billing"},
        "/api/billing/checkout": {"priceId": world.shop.price},
    }
    url = path.format(invoice_id="in_of_nobody")
    return await client.request(method, url, json=bodies.get(path), headers=headers)


def is_let_in(response: httpx.Response) -> bool:
    """Return whether whoever asked was heard; the one invoice that is asked for is nobody's."""
    if response.status_code == 404:
        message: str = response.json()["error"]["message"]
        return message == "There is no such invoice."
    return response.status_code == 200


def test_every_address_that_takes_a_token_is_tried_here(api: FastAPI) -> None:
    taking = {
        f"{method.upper()} {path}"
        for path, operations in api.openapi()["paths"].items()
        for method, operation in operations.items()
        if {"bearer": []} in operation.get("security", [])
    }
    assert taking - EMBEDDING == set(ROUTES)


@pytest.mark.parametrize("scope", Scope)
@pytest.mark.parametrize("route", ROUTES)
async def test_a_token_may_do_what_it_was_made_for_and_nothing_else(
    scope: Scope, route: str, client: httpx.AsyncClient, world: World, owner: Person
) -> None:
    headers = bearer(await secret_of(world, owner.team, scope))
    response = await ask(client, world, route, headers)
    if ROUTES[route] is scope:
        assert is_let_in(response), response.text
        return
    assert response.status_code == 403
    assert response.json()["error"] == {
        "code": "FORBIDDEN",
        "message": f"This token was not made for this: it needs the scope {ROUTES[route]}.",
    }


async def test_a_token_sees_its_own_team_only(
    client: httpx.AsyncClient, world: World, owner: Person
) -> None:
    await world.customer((await world.person()).team, subscribed=True)
    headers = bearer(await secret_of(world, owner.team, Scope.READ))
    answer = (await ask(client, world, "GET /api/billing/subscription", headers)).json()
    assert answer["data"]["plan"] is None


@pytest.mark.parametrize("route", ROUTES)
async def test_a_token_is_refused_as_soon_as_it_is_revoked(
    route: str, client: httpx.AsyncClient, world: World, owner: Person
) -> None:
    assert owner.team is not None
    secret = await secret_of(world, owner.team)
    database = world.services.database
    identity = await identify_token(database, secret)
    assert identity is not None
    assert identity.token_id is not None
    await revoke_token(database, identity.token_id, team_id=owner.team.id, actor=OPERATOR)
    response = await ask(client, world, route, bearer(secret))
    assert response.status_code == 401
    assert response.json()["error"]["message"] == "Authentication required"


@pytest.mark.parametrize(
    "token", ["bui_", f"bui_{'x' * 43}", f"bui_{'x' * 44}", "bui_a.b.c", "a.b", "a.b.c.d", "é"]
)
async def test_what_only_looks_like_a_token_is_refused(
    token: str, client: httpx.AsyncClient, world: World
) -> None:
    headers = {"Authorization": f"Bearer {token}".encode()}
    response = await client.get("/api/billing/subscription", headers=headers)
    assert response.status_code == 401


async def test_an_api_token_is_of_no_use_as_a_cookie(
    client: httpx.AsyncClient, world: World, owner: Person
) -> None:
    secret = await secret_of(world, owner.team)
    response = await client.get(
        "/api/billing/subscription", headers={"Cookie": f"billing_session={secret}"}
    )
    assert response.status_code == 401


async def test_whoever_asks_is_found_with_one_statement(
    client: httpx.AsyncClient, world: World, owner: Person
) -> None:
    database = world.services.database
    secret = await secret_of(world, owner.team)
    counts = []
    for headers in (owner.bearer, bearer(secret)):
        await client.get("/api/billing/invoices", headers=headers)
        with noted_statements(database) as noted:
            await client.get("/api/billing/invoices", headers=headers)
        counts.append(len(noted))
    assert counts[0] == counts[1]


async def test_a_visit_by_a_token_is_nobodys_and_the_log_names_the_token(
    client: httpx.AsyncClient, world: World, owner: Person
) -> None:
    secret = await secret_of(world, owner.team, Scope.PORTAL)
    assert (await ask(client, world, "POST /api/billing/portal", bearer(secret))).is_success
    async with world.services.database.read() as session:
        [visit] = (await session.exec(select(PortalVisit))).all()
        query = select(AuditEntry).where(AuditEntry.action == "portal_visit")
        [entry] = (await session.exec(query)).all()
    identity = await identify_token(world.services.database, secret)
    assert identity is not None
    assert visit.user_id is None
    assert (entry.actor_kind, entry.actor_id) == (ActorKind.TOKEN, identity.token_id)
    assert entry.actor_label == identity.user_name


async def test_a_team_that_a_token_buys_the_first_plan_for_gets_a_customer_without_an_email(
    client: httpx.AsyncClient, world: World
) -> None:
    team = (await world.person()).team
    headers = bearer(await secret_of(world, team, Scope.CHECKOUT))
    response = await ask(client, world, "POST /api/billing/checkout", headers)
    assert response.status_code == 200, response.text
    async with world.services.database.read() as session:
        [customer] = (await session.exec(select(Customer))).all()
    made = world.provider.call("GET", f"/v1/customers/{customer.provider_customer_id}")
    assert (made["email"], made["name"]) == (None, "Acme")


async def test_an_operators_token_acts_for_the_team_it_names(
    client: httpx.AsyncClient, world: World, owner: Person, api: FastAPI
) -> None:
    assert owner.team is not None
    database = world.services.database
    async with database.write() as session:
        owner.team.external_id = "northwind"
        session.add(owner.team)
    request = _request(api)
    operator = await identify_token(database, await secret_of(world, None, Scope.READ))
    assert operator is not None
    for name in ("northwind", str(owner.team.id)):
        acting = await acting_for(request, operator, name)
        assert (acting.team_id, acting.role) == (owner.team.id, Role.OWNER)
        assert (acting.operator, acting.scopes) == (True, frozenset({Scope.READ}))
    for missing in (None, "", "southwind", str(uuid4()), "a\x00b", "\ud800"):
        with pytest.raises(NoTeam, match="Team not found"):
            await acting_for(request, operator, missing)


async def test_only_the_operator_names_another_team_than_their_own(
    world: World, owner: Person, api: FastAPI
) -> None:
    assert owner.team is not None
    request, other = _request(api), (await world.person()).team
    assert other is not None
    token = await identify_token(world.services.database, await secret_of(world, owner.team))
    assert isinstance(token, Identity)
    for own in (None, str(owner.team.id)):
        assert await acting_for(request, token, own) == token
    # Whether there is such a team is not told.
    for foreign in (str(other.id), str(uuid4()), ""):
        with pytest.raises(BadRequest, match=r"^team: is not yours; leave it out$"):
            await acting_for(request, token, foreign)


async def test_an_operators_token_without_a_team_finds_none(
    client: httpx.AsyncClient, world: World, owner: Person
) -> None:
    headers = bearer(await secret_of(world, None))
    for route in ROUTES:
        response = await ask(client, world, route, headers)
        assert response.status_code == 404, route
        assert response.json()["error"]["message"] == "Team not found"


def _request(api: FastAPI) -> Request:
    return Request({"type": "http", "app": api, "headers": [], "method": "GET", "path": "/"})


@pytest.fixture
async def subject(world: World, owner: Person) -> str:
    """What the issuer calls the owner."""
    async with world.services.database.write() as session:
        user = (await session.exec(select(User))).one()
        provider = world.services.settings.oidc_providers[1]
        session.add(UserIdentity(issuer=provider.issuer, subject="ada", user_id=user.id))
    return "ada"


async def test_the_companys_own_token_does_what_its_person_may(
    client: httpx.AsyncClient, world: World, issuer: SigningIssuer, subject: str
) -> None:
    for route in ROUTES:
        response = await ask(client, world, route, bearer(issuer.token(subject)))
        assert is_let_in(response), (route, response.text)


async def test_a_refused_token_is_told_why_where_programs_look(
    client: httpx.AsyncClient, world: World, issuer: SigningIssuer, subject: str
) -> None:
    for token, reason in (
        (issuer.token(subject, aud="else"), "The token is for another audience."),
        (issuer.token("eve"), "The person in the token is not known here."),
        (issuer.token(subject, key=rsa_key("first")), "The signature of the token is not right."),
    ):
        response = await client.get("/api/billing/subscription", headers=bearer(token))
        assert response.status_code == 401
        assert response.json()["error"] == {
            "code": "UNAUTHORIZED",
            "message": "Authentication required",
        }
        assert response.headers["www-authenticate"] == (
            f'Bearer error="invalid_token", error_description="{reason}"'
        )


async def test_a_token_that_names_a_foreign_team_finds_none(
    client: httpx.AsyncClient, world: World, issuer: SigningIssuer, subject: str
) -> None:
    other = (await world.person()).team
    assert other is not None
    headers = bearer(issuer.token(subject, team=str(other.id)))
    response = await client.get("/api/billing/subscription", headers=headers)
    assert response.status_code == 404
    assert response.json()["error"]["message"] == "Team not found"


async def test_a_token_is_worth_nothing_where_no_issuer_is_trusted(
    settings: Settings, issuer: SigningIssuer, readiness: Readiness
) -> None:
    for providers in (
        {},
        {1: OidcProvider(issuer=issuer.url, client_id="billing")},
    ):
        services = Services.open(settings.model_copy(update={"oidc_providers": providers}))
        async with client_of(create_api(lambda services=services: services, readiness)) as client:
            response = await client.get("/api/billing/subscription", headers=bearer(issuer.token()))
        await services.close()
        assert response.status_code == 401


async def test_an_issuer_that_does_not_answer_is_said_to(
    settings: Settings, readiness: Readiness
) -> None:
    with running_issuer() as gone:
        token = gone.token()
        provider = OidcProvider(issuer=gone.url, client_id="billing", audience=AUDIENCE)
    services = Services.open(settings.model_copy(update={"oidc_providers": {1: provider}}))
    async with client_of(create_api(lambda: services, readiness)) as client:
        response = await client.get("/api/billing/subscription", headers=bearer(token))
    await services.close()
    assert response.status_code == 503
    assert int(response.headers["retry-after"]) > 0
    assert response.json()["error"]["code"] == "PROVIDER_UNAVAILABLE"
    assert "cannot be reached" in response.json()["error"]["message"]
