"""Signing in and out: by form at a browser, by JSON for a program, and to the demo in the sandbox."""

from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from billing_ui.accounts.demo import DEMO_ACCOUNTS
from billing_ui.accounts.sessions import identify
from billing_ui.accounts.teams import add_member, create_team
from billing_ui.accounts.users import create_user
from billing_ui.api.app import create_api
from billing_ui.api.health import Readiness
from billing_ui.billing.services import Services
from billing_ui.database import Database
from billing_ui.models import Role
from billing_ui.settings import Settings
from tests.api.world import BASE_URL, client_of

EMAIL, PASSWORD = "ada@example.com", "correct horse & co"
OURS = {"Origin": BASE_URL}

EVIL_PATHS = [
    "https://evil.example/",
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\evil.example",
    "/%2F/evil.example",
    "/%5Cevil.example",
    "/a//b",
    "/\tevil",
    "/a\r\nSet-Cookie: x=y",
    "/%0d%0aSet-Cookie:x=y",
    "/%00",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "data:text/html,x",
    f"{BASE_URL}/settings/billing",
    f"{BASE_URL}@evil.example/",
    "settings/billing",
    " /settings/billing",
    "/é",
    "/\u202e",
    "",
]


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """SQLite alone: sessions themselves are tested on both databases."""
    return sqlite_url


@pytest.fixture
async def ada(services: Services) -> str:
    """Somebody with a password; her user id."""
    user = await create_user(services.database, EMAIL, PASSWORD, "Ada")
    return str(user.id)


@pytest.fixture
async def sandbox(sqlite_url: str, sandbox_url: str) -> AsyncIterator[Services]:
    """Services in sandbox mode, with the demo's people."""
    services = Services.open(
        Settings(
            _env_file=None,
            base_url=BASE_URL,
            database_url=sqlite_url,
            secret_key="for tests only",
            stripe_api_base=sandbox_url,
        )
    )
    for account in DEMO_ACCOUNTS.values():
        if account.role is Role.OWNER:
            await create_team(services.database, account.team_name, team_id=account.team_id)
        user = await create_user(
            services.database, account.email, None, account.name, user_id=account.user_id
        )
        await add_member(services.database, account.team_id, user.id, account.role)
    yield services
    await services.close()


def token_of(response: httpx.Response) -> str:
    """Return the session token that an answer stores, from its only cookie."""
    (cookie,) = response.headers.get_list("set-cookie")
    name, _, rest = cookie.partition("=")
    assert name == "billing_session"
    assert rest.endswith("; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax")
    return rest.partition(";")[0]


async def _email(database: Database, token: str) -> str | None:
    identity = await identify(database, token)
    return identity.email if identity else None


# ---------------------------------------------------------------- the form


async def test_the_form_leads_to_the_billing_page_with_a_session(
    client: httpx.AsyncClient, services: Services, ada: str
) -> None:
    form = {"email": " ADA@example.com", "password": PASSWORD}
    response = await client.post("/auth/sign-in", data=form, headers=OURS)
    assert response.status_code == 303
    assert response.headers["location"] == f"{BASE_URL}/settings/billing"
    assert response.headers["cache-control"] == "no-store"
    assert await _email(services.database, token_of(response)) == EMAIL


async def test_the_form_leads_where_the_person_wanted_to_go(
    client: httpx.AsyncClient, ada: str
) -> None:
    form = {"email": EMAIL, "password": PASSWORD, "next": "/pricing?interval=year#team"}
    response = await client.post("/auth/sign-in", data=form, headers=OURS)
    assert response.headers["location"] == f"{BASE_URL}/pricing?interval=year#team"


@pytest.mark.parametrize(
    ("referer", "path"),
    [
        (f"{BASE_URL}/sign-in?next=%2Fpricing%3Fa%3Db", "/pricing?a=b"),
        (f"{BASE_URL}/sign-in?next=//evil.example", "/settings/billing"),
        (f"{BASE_URL}/sign-in", "/settings/billing"),
        ("http://[", "/settings/billing"),
    ],
)
async def test_a_form_sent_before_its_page_is_alive_leads_where_its_address_says(
    client: httpx.AsyncClient, ada: str, referer: str, path: str
) -> None:
    form = {"email": EMAIL, "password": PASSWORD, "next": ""}
    response = await client.post("/auth/sign-in", data=form, headers=OURS | {"Referer": referer})
    assert response.headers["location"] == f"{BASE_URL}{path}"


@pytest.mark.parametrize("evil", EVIL_PATHS)
async def test_the_form_never_leads_to_another_place(
    client: httpx.AsyncClient, ada: str, evil: str
) -> None:
    good = {"email": EMAIL, "password": PASSWORD, "next": evil}
    response = await client.post("/auth/sign-in", data=good, headers=OURS)
    assert response.headers["location"] == f"{BASE_URL}/settings/billing"
    failed = await client.post("/auth/sign-in", data=good | {"password": "wrong"}, headers=OURS)
    assert failed.headers["location"] == f"{BASE_URL}/sign-in?error=credentials"


@pytest.mark.parametrize(
    "form",
    [
        {"email": EMAIL, "password": "wrong"},
        {"email": "nobody@example.com", "password": PASSWORD},
        {"email": EMAIL},
        {"password": PASSWORD},
        {},
        {"email": "\0", "password": "\0"},
    ],
)
async def test_wrong_credentials_lead_back_to_the_form_and_say_nothing_of_them(
    client: httpx.AsyncClient, ada: str, form: dict[str, str]
) -> None:
    response = await client.post(
        "/auth/sign-in",
        data=form | {"next": "/pricing?a=b&c=d"},
        headers=OURS | {"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert response.status_code == 303
    location = urlsplit(response.headers["location"])
    assert f"{location.scheme}://{location.netloc}{location.path}" == f"{BASE_URL}/sign-in"
    assert parse_qs(location.query) == {"error": ["credentials"], "next": ["/pricing?a=b&c=d"]}
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize("path", ["/auth/sign-in", "/auth/sign-out"])
@pytest.mark.parametrize("origin", [None, "null", "https://evil.example", "http://localhost"])
async def test_a_form_of_another_site_is_refused(
    client: httpx.AsyncClient, ada: str, path: str, origin: str | None
) -> None:
    headers = {} if origin is None else {"Origin": origin}
    form = {"email": EMAIL, "password": PASSWORD}
    response = await client.post(path, data=form, headers=headers)
    assert response.status_code == 403
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (b"{}", "application/json"),
        (b"email=%ff", "application/x-www-form-urlencoded"),
        ("email=é".encode(), "application/x-www-form-urlencoded"),
        (b"&".join(b"a=%d" % n for n in range(99)), "application/x-www-form-urlencoded"),
        (b"a" * 70_000, "application/x-www-form-urlencoded"),
    ],
)
async def test_what_is_no_form_is_refused(
    client: httpx.AsyncClient, content: bytes, content_type: str
) -> None:
    headers = OURS | {"Content-Type": content_type}
    response = await client.post("/auth/sign-in", content=content, headers=headers)
    assert response.status_code == 400
    assert response.json()["error"]["message"].startswith("body: ")


async def test_signing_in_again_ends_the_session_the_browser_had(
    client: httpx.AsyncClient, services: Services, ada: str
) -> None:
    form = {"email": EMAIL, "password": PASSWORD}
    first = token_of(await client.post("/auth/sign-in", data=form, headers=OURS))
    cookie = {"Cookie": f"billing_session={first}"}
    second = token_of(await client.post("/auth/sign-in", data=form, headers=OURS | cookie))
    assert second != first
    assert await _email(services.database, first) is None
    assert await _email(services.database, second) == EMAIL


async def test_a_failed_attempt_does_not_sign_out(
    client: httpx.AsyncClient, services: Services, ada: str
) -> None:
    form = {"email": EMAIL, "password": PASSWORD}
    token = token_of(await client.post("/auth/sign-in", data=form, headers=OURS))
    headers = OURS | {"Cookie": f"billing_session={token}"}
    await client.post("/auth/sign-in", data=form | {"password": "wrong"}, headers=headers)
    assert await _email(services.database, token) == EMAIL


async def test_signing_out_ends_the_session_and_removes_the_cookie(
    client: httpx.AsyncClient, services: Services, ada: str
) -> None:
    form = {"email": EMAIL, "password": PASSWORD}
    token = token_of(await client.post("/auth/sign-in", data=form, headers=OURS))
    response = await client.post(
        "/auth/sign-out", headers=OURS | {"Cookie": f"billing_session={token}"}
    )
    assert response.status_code == 303
    assert response.headers["location"] == f"{BASE_URL}/sign-in"
    assert response.headers["set-cookie"].startswith("billing_session=; Path=/; Max-Age=0;")
    assert await _email(services.database, token) is None


async def test_signing_out_without_a_session_is_no_error(client: httpx.AsyncClient) -> None:
    response = await client.post("/auth/sign-out", headers=OURS)
    assert response.status_code == 303


# ---------------------------------------------------------------- JSON


async def test_a_program_gets_a_token_and_the_same_in_the_cookie(
    client: httpx.AsyncClient, services: Services, ada: str
) -> None:
    response = await client.post("/api/auth/sign-in", json={"email": EMAIL, "password": PASSWORD})
    assert response.status_code == 200
    token = token_of(response)
    assert response.json() == {"success": True, "data": {"token": token}}
    assert response.headers["cache-control"] == "no-store"
    bearer = {"Authorization": f"Bearer {token}"}
    answer = await client.get("/api/billing/subscription", headers=bearer)
    assert answer.json()["error"]["message"] == "Team not found"


@pytest.mark.parametrize("email", [EMAIL, "nobody@example.com", "", "not an address", "a\0@b"])
async def test_a_program_with_wrong_credentials_is_told_so(
    client: httpx.AsyncClient, ada: str, email: str
) -> None:
    response = await client.post("/api/auth/sign-in", json={"email": email, "password": "wrong"})
    assert response.status_code == 401
    assert response.json() == {
        "success": False,
        "error": {"code": "UNAUTHORIZED", "message": "E-mail or password is wrong."},
    }
    assert "set-cookie" not in response.headers


# ---------------------------------------------------------------- the demo


@pytest.mark.parametrize("account", DEMO_ACCOUNTS)
async def test_every_demo_account_can_be_entered_by_its_button(
    sandbox: Services, account: str
) -> None:
    async with client_of(create_api(lambda: sandbox, Readiness())) as client:
        response = await client.post("/auth/demo", data={"account": account}, headers=OURS)
    assert response.status_code == 303
    assert response.headers["location"] == f"{BASE_URL}/settings/billing"
    identity = await identify(sandbox.database, token_of(response))
    assert identity is not None
    assert identity.user_id == DEMO_ACCOUNTS[account].user_id
    assert identity.team_id == DEMO_ACCOUNTS[account].team_id
    assert identity.role == DEMO_ACCOUNTS[account].role


async def test_an_unknown_demo_account_is_refused(sandbox: Services) -> None:
    async with client_of(create_api(lambda: sandbox, Readiness())) as client:
        response = await client.post("/auth/demo", data={"account": "root"}, headers=OURS)
        foreign = await client.post("/auth/demo", data={"account": "active"})
    assert response.status_code == 400
    assert response.json()["error"]["message"].startswith("account: ")
    assert foreign.status_code == 403


async def test_without_the_sandbox_there_is_no_demo(client: httpx.AsyncClient) -> None:
    response = await client.post("/auth/demo", data={"account": "active"}, headers=OURS)
    assert response.status_code == 404
    assert "set-cookie" not in response.headers
