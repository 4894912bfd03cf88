"""An operator's token acts for the team it names, and for none without a name."""

from uuid import uuid4

import httpx
import pytest
from sqlalchemy import update
from sqlmodel import col

from billing_ui.accounts.audit import OPERATOR
from billing_ui.accounts.permissions import Scope
from billing_ui.accounts.tokens import create_token
from billing_ui.models import Role, Team
from tests.api.world import Person, World


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """SQLite alone: nothing here depends on the database."""
    return sqlite_url


@pytest.fixture
async def owner(world: World) -> Person:
    """The owner of a team with a subscription, which the product calls t-acme."""
    person = await world.person(Role.OWNER)
    await world.customer(person.team, subscribed=True)
    assert person.team is not None
    async with world.services.database.write() as session:
        named = update(Team).where(col(Team.id) == person.team.id).values(external_id="t-acme")
        await session.exec(named)
    return person


async def _operator(world: World) -> dict[str, str]:
    made = await create_token(
        world.services.database,
        team_id=None,
        actor=OPERATOR,
        name=f"product {uuid4()}",
        scopes=frozenset(Scope),
        lifetime=None,
    )
    return {"Authorization": f"Bearer {made.secret}"}


async def _everything(
    client: httpx.AsyncClient, headers: dict[str, str], team: str | None, price: str
) -> list[httpx.Response]:
    named = {} if team is None else {"team": team}
    return [
        await client.get("/api/billing/subscription", params=named, headers=headers),
        await client.get("/api/billing/invoices", params=named, headers=headers),
        await client.get("/api/activity.csv", params=named, headers=headers),
        await client.post("/api/billing/portal", json={"returnUrl": "/"} | named, headers=headers),
        await client.post(
            "/api/billing/checkout", json={"priceId": price} | named, headers=headers
        ),
    ]


async def test_it_acts_for_the_team_it_names_by_either_id(
    client: httpx.AsyncClient, world: World, owner: Person
) -> None:
    assert owner.team is not None
    headers = await _operator(world)
    for team in ("t-acme", str(owner.team.id)):
        *good, checkout = await _everything(client, headers, team, world.shop.price)
        assert [response.status_code for response in good] == [200] * 4
        assert good[0].json()["data"]["plan"] == "Pro"
        assert "already has a plan" in checkout.json()["error"]["message"]


@pytest.mark.parametrize("team", [None, "t-none", "00000000-0000-0000-0000-000000000000"])
async def test_without_a_team_or_with_one_that_there_is_not_it_finds_none(
    client: httpx.AsyncClient, world: World, owner: Person, team: str | None
) -> None:
    for response in await _everything(client, await _operator(world), team, world.shop.price):
        assert response.status_code == 404
        assert response.json()["error"]["message"] == "Team not found"


async def test_nobody_else_reaches_another_team_by_naming_it(
    client: httpx.AsyncClient, world: World, owner: Person
) -> None:
    stranger = await world.person(Role.OWNER)
    for response in await _everything(client, stranger.bearer, "t-acme", world.shop.price):
        assert response.status_code == 400
        assert response.json()["error"]["message"].startswith("team: ")


@pytest.mark.parametrize("team", ["", "\x00", "a\nb", "x" * 256])
async def test_what_can_be_no_id_is_refused(
    client: httpx.AsyncClient, world: World, owner: Person, team: str
) -> None:
    for response in await _everything(client, owner.bearer, team, world.shop.price):
        assert response.status_code == 400
        assert response.json()["error"]["message"].startswith("team: ")
