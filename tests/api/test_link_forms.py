"""The forms of one-time links and passwords: what they set in motion, and from whom they take nothing."""

import httpx
import pytest

from billing_ui.accounts.invitations import invite
from billing_ui.accounts.members import password_reset_link
from billing_ui.accounts.sessions import Identity, identify, sign_in, sign_in_as
from billing_ui.accounts.teams import add_member
from billing_ui.accounts.users import create_user
from billing_ui.billing.live import Notice, SessionChanged, TeamChanged
from billing_ui.billing.services import Services
from billing_ui.models import Role, Team
from billing_ui.settings import Settings
from tests.api.world import BASE_URL, Person, World

OURS = {"Origin": BASE_URL}
PASSWORD, NEW = "seven purple anvils sing", "violet trumpets over Antwerp"
FORMS = ("/auth/invitation", "/auth/password", "/auth/own-password")


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """SQLite alone: what stands behind the forms is tested on both databases."""
    return sqlite_url


@pytest.fixture
async def owner(world: World) -> Person:
    """The owner of a team."""
    return await world.person()


@pytest.fixture
def heard(services: Services) -> list[Notice]:
    """What open pages are told."""
    notices: list[Notice] = []
    services.live.subscribe(notices.append)
    return notices


async def who(services: Services, token: str) -> Identity:
    """Return whose token it is."""
    identity = await identify(services.database, token)
    assert identity is not None
    return identity


def session_of(response: httpx.Response) -> str:
    """Return the session token in the cookie that a response sets."""
    name, _, value = response.headers["set-cookie"].partition(";")[0].partition("=")
    assert name == "billing_session"
    return value


def team_of(person: Person) -> Team:
    """Return the team of somebody who has one."""
    assert person.team is not None
    return person.team


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize(
    "headers", [{}, {"Origin": "https://evil.example"}, {"Origin": "null"}], ids=str
)
async def test_a_form_on_another_site_does_nothing(
    client: httpx.AsyncClient, path: str, headers: dict[str, str], owner: Person
) -> None:
    cookie = {"Cookie": owner.cookie["Cookie"]}
    response = await client.post(path, data={"token": "x"}, headers=headers | cookie)
    assert response.status_code == 403
    assert "set-cookie" not in response.headers


async def test_somebody_new_joins_by_the_form_and_is_signed_in(
    client: httpx.AsyncClient, services: Services, owner: Person, heard: list[Notice]
) -> None:
    asker = await who(services, owner.token)
    token = await invite(services.database, asker, "ada@example.com", Role.BILLING_MANAGER)
    form = {"token": token, "name": " Ada ", "email": "evil@example.com", "password": PASSWORD}
    response = await client.post("/auth/invitation", data=form, headers=OURS)
    assert response.status_code == 303
    assert response.headers["location"] == f"{BASE_URL}/settings/billing"
    ada = await who(services, session_of(response))
    assert (ada.email, ada.user_name, ada.role) == (
        "ada@example.com",
        "Ada",
        Role.BILLING_MANAGER,
    )
    assert TeamChanged(team_id=team_of(owner).id) in heard
    again = await client.post("/auth/invitation", data=form, headers=OURS)
    assert again.headers["location"] == f"{BASE_URL}/invitation"
    assert "set-cookie" not in again.headers


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"password": "password1"}, "common"),
        ({"password": "ada@example.com"}, "personal"),
        ({"password": ""}, "short"),
        ({"password": PASSWORD, "email": "nonsense"}, "email"),
        ({"password": PASSWORD, "email": "known@example.com"}, "taken"),
    ],
)
async def test_what_cannot_be_accepted_is_said_and_the_invitation_stays(
    client: httpx.AsyncClient,
    services: Services,
    owner: Person,
    given: dict[str, str],
    reason: str,
) -> None:
    await create_user(services.database, "known@example.com", None)
    asker = await who(services, owner.token)
    token = await invite(services.database, asker, "", Role.MEMBER)
    form = {"token": token, "name": "Ada", "email": "ada@example.com"} | given
    response = await client.post("/auth/invitation", data=form, headers=OURS)
    assert response.headers["location"] == f"{BASE_URL}/invitation?error={reason}"
    assert token not in str(response.headers)
    form |= {"password": PASSWORD, "email": "ada@example.com"}
    assert session_of(await client.post("/auth/invitation", data=form, headers=OURS))


async def test_somebody_signed_in_joins_as_themselves_and_their_pages_follow(
    client: httpx.AsyncClient,
    services: Services,
    world: World,
    owner: Person,
    heard: list[Notice],
) -> None:
    visitor = await world.person()
    asker = await who(services, owner.token)
    token = await invite(services.database, asker, "", Role.MEMBER)
    # The form for somebody new, sent after signing in in another tab: nobody is created, nothing is used up.
    form = {"token": token, "name": "Ada", "email": "ada@example.com", "password": PASSWORD}
    response = await client.post("/auth/invitation", data=form, headers=visitor.cookie)
    assert response.headers["location"] == f"{BASE_URL}/invitation"
    response = await client.post("/auth/invitation", data={"token": token}, headers=visitor.cookie)
    assert response.headers["location"] == f"{BASE_URL}/settings/billing"
    now = await who(services, visitor.token)
    assert (now.team_id, now.role) == (team_of(owner).id, Role.MEMBER)
    assert now.session_id is not None
    assert TeamChanged(team_id=team_of(owner).id) in heard
    assert SessionChanged(session_id=now.session_id) in heard


async def test_an_invitation_for_somebody_else_makes_nobody_a_member(
    client: httpx.AsyncClient, services: Services, world: World, owner: Person
) -> None:
    visitor = await world.person()
    asker = await who(services, owner.token)
    token = await invite(services.database, asker, "ada@example.com", Role.OWNER)
    response = await client.post("/auth/invitation", data={"token": token}, headers=visitor.cookie)
    assert response.headers["location"] == f"{BASE_URL}/invitation"
    assert (await who(services, visitor.token)).team_id == team_of(visitor).id


async def test_a_password_link_ends_what_the_old_password_opened_at_once(
    client: httpx.AsyncClient, services: Services, owner: Person, heard: list[Notice]
) -> None:
    ada = await create_user(services.database, "ada@example.com", PASSWORD)
    await add_member(services.database, team_of(owner).id, ada.id, Role.MEMBER)
    old = await who(services, await sign_in_as(services.database, ada.id))
    token = await password_reset_link(services.database, await who(services, owner.token), ada.id)
    weak = await client.post(
        "/auth/password", data={"token": token, "password": "12345678"}, headers=OURS
    )
    assert weak.headers["location"].startswith(f"{BASE_URL}/reset-password?error=")
    response = await client.post(
        "/auth/password", data={"token": token, "password": NEW}, headers=OURS
    )
    assert (await who(services, session_of(response))).user_id == ada.id
    assert old.session_id is not None
    assert SessionChanged(session_id=old.session_id) in heard
    again = await client.post(
        "/auth/password", data={"token": token, "password": PASSWORD}, headers=OURS
    )
    assert again.headers["location"] == f"{BASE_URL}/reset-password"
    assert "set-cookie" not in again.headers
    assert await sign_in(services.database, "ada@example.com", NEW)


async def test_changing_my_password_takes_the_old_one_and_ends_my_other_sessions(
    client: httpx.AsyncClient, services: Services, heard: list[Notice], settings: Settings
) -> None:
    ada = await create_user(services.database, "ada@example.com", PASSWORD)
    here, there = [await sign_in_as(services.database, ada.id) for _ in range(2)]
    other = await who(services, there)
    cookie = OURS | {"Cookie": f"billing_session={here}"}
    page = f"{BASE_URL}/settings/account"
    for current, password, goes in (
        ("wrong", NEW, f"{page}?error=current"),
        (PASSWORD, "password1", f"{page}?error=common"),
        (PASSWORD, NEW, f"{page}?said=password"),
    ):
        form = {"current": current, "password": password}
        response = await client.post("/auth/own-password", data=form, headers=cookie)
        assert response.headers["location"] == goes
    assert (await who(services, here)).user_id == ada.id
    assert await identify(services.database, there) is None
    assert other.session_id is not None
    assert [each for each in heard if isinstance(each, SessionChanged)] == [
        SessionChanged(session_id=other.session_id)
    ]


async def test_guessing_the_present_password_is_slowed_down(
    client: httpx.AsyncClient, services: Services
) -> None:
    ada = await create_user(services.database, "ada@example.com", PASSWORD)
    token = await sign_in_as(services.database, ada.id)
    cookie = OURS | {"Cookie": f"billing_session={token}"}
    places = []
    for _ in range(12):
        form = {"current": "wrong", "password": NEW}
        response = await client.post("/auth/own-password", data=form, headers=cookie)
        places.append(response.headers["location"].partition("=")[2])
    assert places == ["current"] * 10 + ["limited"] * 2


async def test_nobody_changes_nobodys_password(client: httpx.AsyncClient) -> None:
    response = await client.post("/auth/own-password", data={"password": NEW}, headers=OURS)
    assert response.headers["location"] == f"{BASE_URL}/settings/account"
    assert "set-cookie" not in response.headers
