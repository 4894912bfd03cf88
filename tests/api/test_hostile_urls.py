"""No address that anybody may give us leads people off the allowed origins, and none breaks anything."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from itertools import product
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from billing_ui.accounts.users import create_user
from billing_ui.api.app import create_api
from billing_ui.api.health import Readiness
from billing_ui.billing.return_urls import allowed_return_url
from billing_ui.billing.services import Services
from billing_ui.payments.types import InvalidReturnUrl
from billing_ui.settings import Settings
from tests.api.world import BASE_URL, Person, Provider, Shop, World, client_of
from tests.hostile_urls import ALLOWED, ELSEWHERE, HOSTILE_URLS, OURS

EMAIL, PASSWORD = "ada@example.com", "correct horse & co"
OWN_ORIGIN = {"Origin": BASE_URL}


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """SQLite alone: nothing here depends on the database."""
    return sqlite_url


@pytest.fixture
async def services(settings: Settings) -> AsyncIterator[Services]:
    """An installation that also lets people return to the product; without limits, for a storm of calls."""
    changes = {"allowed_return_origins": (ALLOWED,), "rate_limits": "off"}
    opened = Services.open(settings.model_copy(update=changes))
    yield opened
    await opened.close()


@pytest.fixture
async def client(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    """A client of it."""
    async with client_of(create_api(lambda: services, Readiness())) as opened:
        yield opened


@pytest.fixture
async def owner(services: Services, provider: Provider, shop: Shop) -> Person:
    """The owner of a team with a customer."""
    world = World(services, provider, shop)
    person = await world.person()
    await world.customer(person.team)
    return person


def test_the_table_is_long_and_repeats_nothing() -> None:
    assert len(HOSTILE_URLS) >= 400
    assert len(set(HOSTILE_URLS)) == len(HOSTILE_URLS)


async def test_the_portal_for_programs_returns_to_none_of_them(
    client: httpx.AsyncClient, owner: Person
) -> None:
    for url in HOSTILE_URLS:
        response = await client.post(
            "/api/billing/portal", json={"returnUrl": url}, headers=owner.bearer
        )
        assert response.status_code == 400, url
        assert response.json()["error"]["code"] == "INVALID_RETURN_URL", url


async def test_the_portal_for_browsers_returns_to_none_of_them(
    client: httpx.AsyncClient, owner: Person
) -> None:
    for url in HOSTILE_URLS:
        response = await client.post(
            "/api/payments/portal", json={"returnUrl": url}, headers=owner.cookie
        )
        assert response.status_code == 400, url
        assert response.json() == {"error": "Invalid return URL"}, url


async def test_checkout_returns_to_none_of_them(
    client: httpx.AsyncClient, owner: Person, shop: Shop
) -> None:
    for url in HOSTILE_URLS:
        body = {"priceId": shop.price, "returnUrl": url}
        response = await client.post("/api/billing/checkout", json=body, headers=owner.bearer)
        assert response.status_code == 400, url
        assert response.json()["error"]["code"] == "INVALID_RETURN_URL", url


async def test_signing_in_leads_to_none_of_them_whether_it_succeeds_or_not(
    client: httpx.AsyncClient, services: Services
) -> None:
    await create_user(services.database, EMAIL, PASSWORD)
    # Every sign-in is a session more, and takes its time.
    for url in HOSTILE_URLS[::2]:
        form = {"email": EMAIL, "password": PASSWORD, "next": url}
        response = await client.post("/auth/sign-in", data=form, headers=OWN_ORIGIN)
        assert response.headers.get("location") == f"{BASE_URL}/settings/billing", url
    for url in HOSTILE_URLS[::20]:
        form = {"email": "nobody@example.com", "password": "wrong", "next": url}
        response = await client.post("/auth/sign-in", data=form, headers=OWN_ORIGIN)
        assert response.headers.get("location") == f"{BASE_URL}/sign-in?error=credentials", url


async def test_signing_in_leads_to_none_of_them_in_the_address_of_its_page_either(
    client: httpx.AsyncClient, services: Services
) -> None:
    await create_user(services.database, EMAIL, PASSWORD)
    form = {"email": EMAIL, "password": PASSWORD}
    for url in HOSTILE_URLS[1::2]:
        page = f"{BASE_URL}/sign-in?next={url}"
        headers = {"Origin": BASE_URL.encode(), "Referer": page.encode("utf-8")}
        response = await client.post("/auth/sign-in", data=form, headers=headers)
        location = response.headers.get("location", "")
        assert location == f"{BASE_URL}/settings/billing", url


async def test_a_departure_goes_nowhere_without_a_ticket_of_ours(
    client: httpx.AsyncClient, owner: Person
) -> None:
    for url in HOSTILE_URLS:
        path = f"/api/billing/departures/{quote(url[:2000], safe='/%')}"
        response = await client.get(path, headers=owner.cookie)
        assert response.status_code in (303, 404), url
        assert response.headers.get("location") in (None, f"{BASE_URL}/settings/billing"), url


def test_whatever_is_allowed_leads_a_browser_to_an_allowed_origin(settings: Settings) -> None:
    ours = settings.model_copy(update={"allowed_return_origins": (ALLOWED,)})
    allowed = [url for url in candidates() if is_allowed(ours, url)]
    # The parser of the URL standard, which browsers have too.
    script = (
        "const {urls, base} = JSON.parse(require('fs').readFileSync(0, 'utf8'));"
        "console.log(JSON.stringify(urls.map((url) => new URL(url, base).origin)));"
    )
    node = Path(sys.executable).with_name("node")
    told = subprocess.run(
        [node, "-e", script],
        input=json.dumps({"urls": allowed, "base": OURS}),
        capture_output=True,
        text=True,
        check=True,
    )
    origins = json.loads(told.stdout)
    assert len(allowed) > 50
    astray = [
        url for url, origin in zip(allowed, origins, strict=True) if origin not in (OURS, ALLOWED)
    ]
    assert astray == []


def candidates() -> list[str]:
    """Return addresses put together of all that one can consist of, harmless ones among them."""
    starts = ("/", OURS, ALLOWED, "HTTPS://App.Example.com:443", "http:", "https:/", "\\", "?", "")
    middles = (
        *(
            "",
            "/",
            ".",
            "..",
            "@",
            ":",
            ":3000",
            ":443",
            "#",
            "?",
            ";",
            "%",
            "%2e%2e",
            "%40",
            "%3a",
        ),
        *("/./", "/../", "%23", "%3f", "[", "]", "*", "$", "|", "^", "`", "{", "~", "&a=b", "+"),
    )
    ends = ("", "/", f"/{ELSEWHERE}", ELSEWHERE, f"@{ELSEWHERE}", f"?to=//{ELSEWHERE}", "/a/../b")
    made = ("".join(parts) for parts in product(starts, middles, middles, ends))
    return [*dict.fromkeys(made), *HOSTILE_URLS]


def is_allowed(settings: Settings, url: str) -> bool:
    """Return whether people may be sent to `url`."""
    try:
        allowed_return_url(settings, url)
    except InvalidReturnUrl:
        return False
    return True
