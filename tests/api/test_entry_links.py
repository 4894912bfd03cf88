"""Entry links over HTTP: made by a program, shown without being used, used by a form, useless with a clear page."""

from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import delete, update

from billing_ui.accounts.audit import OPERATOR
from billing_ui.accounts.permissions import Scope
from billing_ui.accounts.provisioning import ToldMember, provision_team
from billing_ui.accounts.sessions import Identity, identify
from billing_ui.accounts.tokens import create_token
from billing_ui.clock import utc_now
from billing_ui.models import Membership, OneTimeLink, Role, Team
from billing_ui.settings import Settings
from tests.api.world import BASE_URL, World

PRODUCT = "https://product.example"
FROM_PRODUCT = {"Referer": f"{PRODUCT}/"}
OWN = {"Origin": BASE_URL}
SENDS_ITSELF = "document.forms[0].submit()"


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """SQLite alone: what depends on the database is tried with the use case."""
    return sqlite_url


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """People may be sent back to the product."""
    return settings.model_copy(update={"allowed_return_origins": (PRODUCT,)})


@pytest.fixture(autouse=True)
def built(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages and backend on one port, as everywhere but in development."""
    monkeypatch.setenv("REFLEX_ENV_MODE", "prod")


@pytest.fixture
async def team(world: World) -> Team:
    """The product's team with Ada, its owner."""
    told = [ToldMember(Role.OWNER, "u-ada", "ada@example.com", "Ada")]
    provisioned = await provision_team(world.services.database, OPERATOR, "t-acme", "Acme", told)
    return provisioned.team


async def _token(
    world: World, team: Team | None, scopes: frozenset[Scope] = frozenset(Scope)
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


async def _link(client: httpx.AsyncClient, world: World, **body: str) -> str:
    asked = {"team": "t-acme", "user": "u-ada"} | body
    response = await client.post("/api/sessions", json=asked, headers=await _token(world, None))
    assert response.status_code == 200, response.text
    url: str = response.json()["data"]["url"]
    return url


def _of(url: str) -> str:
    return parse_qs(urlsplit(url).query)["token"][0]


async def _use(client: httpx.AsyncClient, url: str, **headers: str) -> httpx.Response:
    return await client.post("/auth/entry", data={"token": _of(url)}, headers=OWN | headers)


async def _identity(world: World, response: httpx.Response) -> Identity:
    identity = await identify(world.services.database, response.cookies["billing_session"])
    assert identity is not None
    return identity


# ---------------------------------------------------------------- making one


async def test_the_operator_names_the_team_and_a_teams_token_need_not(
    client: httpx.AsyncClient, world: World, team: Team
) -> None:
    own = await _token(world, team)
    asked: list[tuple[dict[str, str], dict[str, str]]] = [
        (await _token(world, None), {"team": "t-acme", "user": "u-ada"}),
        (own, {"user": "u-ada"}),
        (own, {"team": "t-acme", "user": "u-ada"}),
        (own, {"team": str(team.id), "user": "u-ada"}),
    ]
    for headers, body in asked:
        response = await client.post("/api/sessions", json=body, headers=headers)
        assert response.status_code == 200, response.text
        link = response.json()["data"]
        assert link["url"].startswith(f"{BASE_URL}/auth/entry?token=")
        assert link["expiresAt"].endswith("Z")


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({}, 400, "user: is required"),
        ({"user": "u-ada", "surprise": 1}, 400, "surprise: unknown field"),
        ({"user": "u-ada"}, 404, "Team not found"),
        ({"user": "u-ada", "team": "t-none"}, 404, "Team not found"),
        ({"user": "u-none", "team": "t-acme"}, 404, "No member of this team"),
        (
            {"user": "u-ada", "team": "t-acme", "returnUrl": "https://evil.example"},
            400,
            "returnUrl",
        ),
        (
            {"user": "u-none", "team": "t-acme", "returnUrl": "https://evil.example"},
            404,
            "No member",
        ),
        ({"user": "u-new", "team": "t-acme", "email": "ada@example.com"}, 400, "email: somebody"),
        ({"user": "u-new", "team": "t-acme", "email": "nonsense"}, 400, "email: is not an e-mail"),
    ],
)
async def test_a_link_that_cannot_be_is_refused_by_the_first_rule_it_breaks(
    client: httpx.AsyncClient,
    world: World,
    team: Team,
    body: dict[str, Any],
    status: int,
    message: str,
) -> None:
    response = await client.post("/api/sessions", json=body, headers=await _token(world, None))
    assert response.status_code == status, response.text
    assert response.json()["error"]["message"].startswith(message)


async def test_only_a_whole_token_of_the_team_or_the_operator_makes_one(
    client: httpx.AsyncClient, world: World, team: Team
) -> None:
    owner = await world.person(Role.OWNER, team=team)
    other = await world.person(Role.OWNER)
    asked: list[tuple[dict[str, str], int]] = [
        (owner.bearer, 403),
        (await _token(world, team, frozenset({Scope.PORTAL})), 403),
        (await _token(world, team, frozenset({Scope.READ, Scope.CHECKOUT})), 403),
        (await _token(world, None, frozenset({Scope.PORTAL})), 403),
        (await _token(world, other.team), 400),
        (owner.cookie, 401),
        ({}, 401),
    ]
    body = {"team": "t-acme", "user": "u-ada"}
    for headers, status in asked:
        response = await client.post("/api/sessions", json=body, headers=headers)
        assert response.status_code == status, response.text
    leaked = await client.post(
        "/api/sessions", json={"user": "u-ada"}, headers=await _token(world, other.team)
    )
    assert leaked.status_code == 404


async def test_somebody_new_is_made_a_plain_member_when_the_operator_gives_their_address(
    client: httpx.AsyncClient, world: World, team: Team
) -> None:
    response = await _use(client, await _link(client, world, user="u-new", email="new@example.com"))
    identity = await _identity(world, response)
    assert (identity.email, identity.role) == ("new@example.com", Role.MEMBER)


# ---------------------------------------------------------------- using one


async def test_a_link_signs_in_once_and_leads_to_the_billing_page(
    client: httpx.AsyncClient, world: World, team: Team
) -> None:
    url = await _link(client, world)

    page = await client.get(url)
    entered = await _use(client, url)

    assert page.status_code == 200
    assert "ada@example.com" in page.text
    assert (entered.status_code, entered.headers["location"]) == (
        303,
        f"{BASE_URL}/settings/billing",
    )
    identity = await _identity(world, entered)
    assert (identity.email, identity.team_id) == ("ada@example.com", team.id)
    again = await _use(client, url)
    assert again.status_code == 410
    assert "has been used already" in again.text
    assert "set-cookie" not in again.headers


async def test_asking_for_the_page_signs_nobody_in_and_uses_nothing_up(
    client: httpx.AsyncClient, world: World, team: Team
) -> None:
    url = await _link(client, world)
    for headers in ({}, FROM_PRODUCT, {"Sec-Purpose": "prefetch"}):
        response = await client.get(url, headers=headers)
        assert response.status_code == 200
        assert "set-cookie" not in response.headers
    assert (await _use(client, url)).status_code == 303


async def test_the_token_stays_out_of_history_referrers_and_caches(
    client: httpx.AsyncClient, world: World, team: Team
) -> None:
    response = await client.get(await _link(client, world))
    assert 'history.replaceState(null, "", location.pathname)' in response.text
    assert response.headers["referrer-policy"] == "strict-origin"
    assert response.headers["cache-control"] == "no-store"
    policy = response.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "form-action 'self'" in policy
    assert "unsafe" not in policy


async def test_the_form_is_sent_by_itself_only_from_the_product_and_for_nobody_else(
    client: httpx.AsyncClient, world: World, team: Team
) -> None:
    url = await _link(client, world)
    somebody = await world.person(Role.OWNER)
    session = (await _use(client, await _link(client, world))).cookies["billing_session"]
    ada = {"Cookie": f"billing_session={session}"}
    other = {"Cookie": somebody.cookie["Cookie"]}

    assert SENDS_ITSELF in (await client.get(url, headers=FROM_PRODUCT)).text
    assert SENDS_ITSELF in (await client.get(url, headers=FROM_PRODUCT | ada)).text
    assert SENDS_ITSELF not in (await client.get(url)).text
    assert (
        SENDS_ITSELF
        not in (await client.get(url, headers={"Referer": "https://evil.example/"})).text
    )
    asked = (await client.get(url, headers=FROM_PRODUCT | other)).text
    assert SENDS_ITSELF not in asked
    assert "you are signed out there" in asked


async def test_another_sites_form_signs_nobody_in(
    client: httpx.AsyncClient, world: World, team: Team
) -> None:
    url = await _link(client, world)
    for origin in ({"Origin": "https://evil.example"}, {"Origin": PRODUCT}, {"Origin": "null"}, {}):
        response = await client.post("/auth/entry", data={"token": _of(url)}, headers=origin)
        assert response.status_code == 403
        assert "set-cookie" not in response.headers
    assert (await _use(client, url)).status_code == 303


async def test_the_session_that_was_there_ends(
    client: httpx.AsyncClient, world: World, team: Team
) -> None:
    before = await world.person(Role.OWNER)
    response = await _use(client, await _link(client, world), Cookie=before.cookie["Cookie"])
    assert response.status_code == 303
    assert await identify(world.services.database, before.token) is None


@pytest.mark.parametrize(
    ("return_url", "onward", "came_from"),
    [
        ("/pricing?x=1", "/pricing?x=1", None),
        (f"{BASE_URL}/settings/team", "/settings/team", None),
        (f"{PRODUCT}/home?tab=1", "/settings/billing", f"{PRODUCT}/home?tab=1"),
    ],
)
async def test_a_return_url_here_is_where_to_go_and_elsewhere_is_the_way_back(
    client: httpx.AsyncClient,
    world: World,
    team: Team,
    return_url: str,
    onward: str,
    came_from: str | None,
) -> None:
    response = await _use(client, await _link(client, world, returnUrl=return_url))
    assert response.headers["location"] == BASE_URL + onward
    assert (await _identity(world, response)).came_from == came_from


# ---------------------------------------------------------------- useless ones


async def test_every_useless_link_has_a_page_that_says_what_to_do(
    client: httpx.AsyncClient, world: World, team: Team
) -> None:
    database = world.services.database
    url = await _link(client, world)
    altered = url[:-1] + ("a" if url[-1] != "a" else "b")
    for address in (altered, f"{BASE_URL}/auth/entry", f"{BASE_URL}/auth/entry?token=%00%ff"):
        response = await client.get(address)
        assert response.status_code == 404
        assert "isn&#39;t valid" in response.text
        assert "open billing there again" in response.text
    async with database.write() as session:
        await session.exec(delete(Membership))
    for response in (await client.get(url), await _use(client, url)):
        assert response.status_code == 410
        assert "not in the team any more" in response.text
    async with database.write() as session:
        await session.exec(update(OneTimeLink).values(expires_at=utc_now()))
    for response in (await client.get(url), await _use(client, url)):
        assert response.status_code == 410
        assert "has expired" in response.text
        assert "set-cookie" not in response.headers


async def test_whoever_is_signed_in_already_can_go_on_from_there(
    client: httpx.AsyncClient, world: World, team: Team
) -> None:
    url = await _link(client, world)
    session = (await _use(client, url)).cookies["billing_session"]
    response = await client.get(url, headers={"Cookie": f"billing_session={session}"})
    assert response.status_code == 410
    assert f'href="{BASE_URL}/settings/billing"' in response.text
