"""`PUT /api/teams/{external_id}`: the product's backend tells which teams and people there are."""

import json
from typing import Any
from uuid import uuid4

import httpx
import pytest

from billing_ui.accounts.audit import OPERATOR
from billing_ui.accounts.permissions import Scope
from billing_ui.accounts.tokens import create_token
from billing_ui.models import Role
from tests.api.world import World

PATH = "/api/teams/t-acme"
ADA = {"externalId": "u-ada", "email": "ada@example.com", "name": "Ada", "role": "owner"}
BOB = {"externalId": "u-bob", "email": "bob@example.com", "role": "member"}


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """SQLite alone: what depends on the database is tried with the use case."""
    return sqlite_url


@pytest.fixture
async def operator(world: World) -> dict[str, str]:
    """The headers of the operator's token."""
    return await _token(world, None)


async def _token(
    world: World, team: Any, scopes: frozenset[Scope] = frozenset(Scope)
) -> dict[str, str]:
    made = await create_token(
        world.services.database,
        team_id=team.id if team is not None else None,
        actor=OPERATOR,
        name=f"the product {uuid4()}",
        scopes=scopes,
        lifetime=None,
    )
    return {"Authorization": f"Bearer {made.secret}"}


async def test_a_team_is_answered_as_it_stands(
    client: httpx.AsyncClient, operator: dict[str, str]
) -> None:
    response = await client.put(
        PATH, json={"name": "Acme", "members": [ADA, BOB]}, headers=operator
    )

    assert response.status_code == 200, response.text
    team = response.json()["data"]
    assert (team["externalId"], team["name"]) == ("t-acme", "Acme")
    assert [
        {key: member[key] for key in ("externalId", "email", "name", "role")}
        for member in team["members"]
    ] == [ADA, BOB | {"name": ""}]
    again = await client.put(PATH, json={"name": "Acme", "members": [ADA, BOB]}, headers=operator)
    assert again.json() == response.json()


async def test_a_name_alone_leaves_the_people_as_they_are(
    client: httpx.AsyncClient, operator: dict[str, str]
) -> None:
    await client.put(PATH, json={"name": "Acme", "members": [ADA]}, headers=operator)
    response = await client.put(PATH, json={"name": "Acme Inc"}, headers=operator)
    team = response.json()["data"]
    assert team["name"] == "Acme Inc"
    assert [member["email"] for member in team["members"]] == ["ada@example.com"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "name: is required"),
        ({"name": ""}, "name: must not be blank"),
        ({"name": "Acme", "surprise": 1}, "surprise: unknown field"),
        ({"name": "Acme\n"}, "name: must not hold control characters"),
        ({"name": "Acme", "members": [{"externalId": "u"}]}, "members.0.role: is required"),
        ({"name": "Acme", "members": [ADA | {"role": "king"}]}, "members.0.role: must be 'owner'"),
        ({"name": "Acme", "members": [ADA, ADA]}, "members.1: is somebody who stands"),
        ({"name": "Acme", "members": [ADA | {"email": "x"}]}, "members.0.email: is not an e-mail"),
        ({"name": "Acme", "members": [ADA | {"externalId": "\ud800"}]}, "members.0.externalId: "),
        ({"name": "Acme", "members": [ADA | {"email": "\ud800@x.example"}]}, "members.0.email: "),
    ],
)
async def test_what_cannot_be_is_refused_and_named(
    client: httpx.AsyncClient, operator: dict[str, str], body: dict[str, Any], message: str
) -> None:
    # Escaped, as half a character can only be written in JSON.
    response = await client.put(
        PATH, content=json.dumps(body), headers=operator | {"Content-Type": "application/json"}
    )
    assert response.status_code == 400, response.text
    error = response.json()["error"]
    assert error["code"] == "INVALID_REQUEST"
    assert error["message"].startswith(message)


@pytest.mark.parametrize("name", ["%00", "x" * 256, "a%0Ab"])
async def test_an_external_id_is_printable_and_not_long(
    client: httpx.AsyncClient, operator: dict[str, str], name: str
) -> None:
    response = await client.put(f"/api/teams/{name}", json={"name": "Acme"}, headers=operator)
    assert response.status_code == 400
    assert response.json()["error"]["message"].startswith("external_id: ")


async def test_only_the_operators_whole_token_tells_of_teams(
    client: httpx.AsyncClient, world: World
) -> None:
    owner = await world.person(Role.OWNER)
    for headers in (
        owner.bearer,
        await _token(world, owner.team),
        await _token(world, None, frozenset({Scope.READ, Scope.PORTAL})),
    ):
        response = await client.put(PATH, json={"name": "Acme"}, headers=headers)
        assert response.status_code == 403, response.text
        assert response.json()["error"]["code"] == "FORBIDDEN"
    for headers in ({}, owner.cookie, {"Authorization": "Bearer bui_nonsense"}):
        response = await client.put(PATH, json={"name": "Acme"}, headers=headers)
        assert response.status_code == 401, response.text


async def test_a_broken_body_is_told_of_before_a_missing_right(
    client: httpx.AsyncClient, world: World
) -> None:
    owner = await world.person(Role.OWNER)
    response = await client.put(PATH, json={"surprise": 1}, headers=owner.bearer)
    assert response.status_code == 400
