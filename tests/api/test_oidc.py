"""The two addresses of single sign-on: who may begin, what the browser is given, and where it is sent."""

import json
import re
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from billing_ui.accounts.sessions import identify
from billing_ui.api.app import create_api
from billing_ui.api.health import Readiness
from billing_ui.billing.services import Services
from billing_ui.settings import OidcProvider, Settings
from tests.api.test_signing_in import EVIL_PATHS
from tests.api.world import BASE_URL, client_of
from tests.issuer import SigningIssuer, running_issuer

START, BACK = "/auth/oidc/2", "/auth/oidc/2/callback"
HERE = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """SQLite alone: whom an answer signs in is tested on both databases."""
    return sqlite_url


@pytest.fixture(scope="module")
def issuer() -> Iterator[SigningIssuer]:
    """A running provider."""
    with running_issuer() as running:
        described = {
            "issuer": running.url,
            "jwks_uri": f"{running.url}/keys",
            **{f"{name}_endpoint": f"{running.url}/{name}" for name in ("authorization", "token")},
        }
        running.pages["/.well-known/openid-configuration"] = json.dumps(described)
        yield running


@pytest.fixture
def settings(
    settings: Settings, issuer: SigningIssuer, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """Settings with that provider as number 2, and as number 3 one that is down."""
    # In production pages and backend have one address.
    monkeypatch.setenv("REFLEX_ENV_MODE", "prod")
    known = OidcProvider(issuer=issuer.url, client_id="billing", label="Acme ID")
    down = OidcProvider(issuer="http://127.0.0.1:1", client_id="billing")
    return settings.model_copy(update={"oidc_providers": {2: known, 3: down}})


async def begin(client: httpx.AsyncClient, query: str = "") -> httpx.Response:
    """Press the button on the sign-in page."""
    response = await client.get(f"{START}{query}", headers=HERE)
    assert response.status_code == 303
    return response


def kept(response: httpx.Response) -> str:
    """Return the Cookie header of a browser that got this answer."""
    (cookie,) = response.headers.get_list("set-cookie")
    return str(cookie.partition(";")[0])


def asked(response: httpx.Response) -> dict[str, str]:
    """Return the query that the browser is sent to the provider with."""
    return {
        name: values[0]
        for name, values in parse_qs(urlsplit(response.headers["location"]).query).items()
    }


async def come_back(
    client: httpx.AsyncClient, issuer: SigningIssuer, begun: httpx.Response
) -> httpx.Response:
    """Return what the application answers to who was signed in by the provider."""
    query = asked(begun)
    token = issuer.token(
        header={"typ": "JWT"},
        aud="billing",
        nonce=query["nonce"],
        email="ada@example.com",
        email_verified=True,
    )
    issuer.pages["/token"] = json.dumps({"id_token": token, "access_token": "opaque"})
    return await client.get(
        BACK, params={"code": "c", "state": query["state"]}, headers={"Cookie": kept(begun)}
    )


async def test_the_way_there_leads_to_the_provider_and_keeps_the_attempt_in_a_cookie(
    client: httpx.AsyncClient, issuer: SigningIssuer
) -> None:
    begun = await begin(client)
    assert begun.headers["location"].startswith(f"{issuer.url}/authorization?")
    assert asked(begun)["redirect_uri"] == f"{BASE_URL}{BACK}"
    assert begun.headers["cache-control"] == "no-store"
    (cookie,) = begun.headers.get_list("set-cookie")
    assert re.fullmatch(
        r"billing_sso_[0-9a-f]{16}=[\w=-]+; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax", cookie
    )


async def test_under_https_no_neighbouring_site_can_set_that_cookie(
    services: Services, issuer: SigningIssuer
) -> None:
    secure = Services.open(services.settings.model_copy(update={"base_url": "https://b.example"}))
    secure.settings.__dict__.pop("base_origin", None)
    async with client_of(create_api(lambda: secure, Readiness())) as client:
        begun = await begin(client)
    (cookie,) = begun.headers.get_list("set-cookie")
    assert cookie.startswith("__Host-billing_sso_")
    assert cookie.endswith("; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax; Secure")
    await secure.close()


async def test_the_way_back_begins_a_session_and_forgets_the_attempt(
    client: httpx.AsyncClient, services: Services, issuer: SigningIssuer
) -> None:
    begun = await begin(client, "?next=/pricing%3Finterval%3Dyear")
    back = await come_back(client, issuer, begun)
    assert back.headers["location"] == f"{BASE_URL}/pricing?interval=year"
    session, forgotten = back.headers.get_list("set-cookie")
    identity = await identify(services.database, session.partition("=")[2].partition(";")[0])
    assert identity is not None
    assert identity.email == "ada@example.com"
    name = kept(begun).partition("=")[0]
    assert forgotten.startswith(f"{name}=; Path=/; Max-Age=0;")


async def test_the_session_that_was_there_before_is_replaced(
    client: httpx.AsyncClient, services: Services, issuer: SigningIssuer
) -> None:
    before = await come_back(client, issuer, await begin(client))
    old = before.headers.get_list("set-cookie")[0].partition("=")[2].partition(";")[0]
    begun = await begin(client)
    cookies = f"{kept(begun)}; billing_session={old}"
    await client.get(
        BACK, params={"code": "c", "state": asked(begun)["state"]}, headers={"Cookie": cookies}
    )
    # A failure leaves whoever is signed in alone; only a sign-in replaces them.
    assert await identify(services.database, old) is not None
    begun = await begin(client)
    query = asked(begun)
    token = issuer.token(header={"typ": "JWT"}, aud="billing", nonce=query["nonce"])
    issuer.pages["/token"] = json.dumps({"id_token": token})
    back = await client.get(
        BACK,
        params={"code": "c", "state": query["state"]},
        headers={"Cookie": f"{kept(begun)}; billing_session={old}"},
    )
    assert back.headers["location"] == f"{BASE_URL}/settings/billing"
    assert await identify(services.database, old) is None


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Referer": f"{BASE_URL}/sign-in"},
        {"Referer": "https://evil.example/"},
        {"Referer": "http://["},
        {},
    ],
)
async def test_who_is_led_there_by_another_site_is_shown_the_sign_in_page(
    client: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    response = await client.get(f"{START}?next=/pricing", headers=headers)
    assert response.headers["location"] == f"{BASE_URL}/sign-in?next=%2Fpricing"
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize(
    "headers", [{"Sec-Fetch-Site": "none"}, {"Referer": f"{BASE_URL}/sign-in?next=/pricing"}]
)
async def test_who_typed_the_address_or_has_an_old_browser_can_begin(
    client: httpx.AsyncClient, issuer: SigningIssuer, headers: dict[str, str]
) -> None:
    response = await client.get(START, headers=headers)
    assert response.headers["location"].startswith(issuer.url)


@pytest.mark.parametrize("evil", EVIL_PATHS)
async def test_single_sign_on_never_leads_to_another_place(
    client: httpx.AsyncClient, issuer: SigningIssuer, evil: str
) -> None:
    begun = await client.get(START, params={"next": evil}, headers=HERE)
    back = await come_back(client, issuer, begun)
    assert back.headers["location"] == f"{BASE_URL}/settings/billing"


@pytest.mark.parametrize("number", ["1", "02", "x", "%00", "9" * 5000])
async def test_there_are_no_other_providers(client: httpx.AsyncClient, number: str) -> None:
    for path in (f"/auth/oidc/{number}", f"/auth/oidc/{number}/callback"):
        assert (await client.get(path, headers=HERE)).status_code == 404


async def test_a_provider_that_is_down_leads_back_to_the_sign_in_page(
    client: httpx.AsyncClient,
) -> None:
    response = await client.get("/auth/oidc/3?next=/pricing", headers=HERE)
    target = f"{BASE_URL}/sign-in?error=sso-unreachable&provider=3&next=%2Fpricing"
    assert response.headers["location"] == target


@pytest.mark.parametrize(
    "query",
    ["", "state=", "state=made-up&code=c", "state=%ff&code=c", "state=%00", f"state={'x' * 5000}"],
)
async def test_an_answer_nobody_waits_for_leads_back_to_the_sign_in_page(
    client: httpx.AsyncClient, query: str
) -> None:
    response = await client.get(f"{BACK}?{query}", headers={"Cookie": "billing_sso_x=y"})
    assert response.headers["location"] == f"{BASE_URL}/sign-in?error=sso-state&provider=2"


async def test_what_was_begun_with_one_provider_is_not_finished_with_another(
    client: httpx.AsyncClient,
) -> None:
    begun = await begin(client)
    response = await client.get(
        "/auth/oidc/3/callback",
        params={"code": "c", "state": asked(begun)["state"]},
        headers={"Cookie": kept(begun)},
    )
    assert response.headers["location"] == f"{BASE_URL}/sign-in?error=sso-state&provider=3"


async def test_attempts_that_were_abandoned_do_not_pile_up(client: httpx.AsyncClient) -> None:
    cookies = [kept(await begin(client)) for _ in range(5)]
    response = await client.get(START, headers=HERE | {"Cookie": "; ".join(cookies)})
    given = response.headers.get_list("set-cookie")
    forgotten = {one.partition("=")[0] for one in given if "; Max-Age=0;" in one}
    assert forgotten == {one.partition("=")[0] for one in cookies}
    assert len(given) == 6
