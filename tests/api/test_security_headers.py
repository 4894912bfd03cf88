"""What every answer tells browsers to refuse, and the websocket that opens for our own pages alone."""

import base64
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.staticfiles import StaticFiles
from starlette.types import Message

from billing_ui.api.app import create_api
from billing_ui.api.frontend import clean_addresses
from billing_ui.api.health import Readiness
from billing_ui.billing.services import Services
from billing_ui.settings import Settings
from tests.api.world import BASE_URL, client_of

PAGE = """<!doctype html><html><head><script>one("</div>") && two</script>
<script type="module" src="/assets/a.js"></script></head>
<body><style data-emotion="css a">.a{width:1px}</style><script type="module">three()</script></body></html>"""
SCRIPTS = ('one("</div>") && two', "three()")


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """SQLite alone: nothing here depends on the database."""
    return sqlite_url


@pytest.fixture
def build(tmp_path: Path) -> Path:
    """A directory of built pages."""
    directory = tmp_path / "build"
    (directory / "settings").mkdir(parents=True)
    (directory / "assets").mkdir()
    (directory / "assets" / "a.js").write_text("three()")
    for name in ("index", "404", "sign-in", "settings/billing"):
        (directory / f"{name}.html").write_text(PAGE.replace("three", name.replace("/", "_")))
    return directory


@pytest.fixture
async def site(api: FastAPI, settings: Settings, build: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the whole site: the API, and the pages behind it."""
    pages = StaticFiles(directory=build, html=True)
    api.mount("", clean_addresses(pages, build, settings))
    async with client_of(api) as opened:
        yield opened


def hash_of(text: str) -> str:
    """Return what a policy calls an inline script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def policy_of(response: httpx.Response) -> dict[str, list[str]]:
    """Return an answer's policy: each directive and its sources."""
    (header,) = response.headers.get_list("content-security-policy")
    parts = [directive.split() for directive in header.split(";")]
    return {name: sources for name, *sources in parts}


EVERYWHERE = (
    "/",
    "/sign-in",
    "/settings/billing",
    "/settings/billing/",
    "/assets/a.js",
    "/no-such-page",
    "/api/docs",
    "/api/openapi.json",
    "/api/no-such-route",
    "/api/billing/subscription",
    "/auth/sign-in",
    "/healthz",
    "/metrics",
)


@pytest.mark.parametrize("path", EVERYWHERE)
async def test_every_answer_can_neither_be_framed_nor_guessed_nor_read_by_other_sites(
    site: httpx.AsyncClient, path: str
) -> None:
    response = await site.get(path)
    policy = policy_of(response)
    assert policy["frame-ancestors"] == policy["base-uri"] == ["'none'"]
    assert policy["default-src"] == ["'none'"]
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "same-origin"
    assert response.headers["cross-origin-opener-policy"] == "same-origin"
    assert response.headers["cross-origin-resource-policy"] == "same-origin"
    assert "camera=()" in response.headers["permissions-policy"]
    assert "strict-transport-security" not in response.headers


@pytest.mark.parametrize("path", EVERYWHERE)
async def test_no_policy_lets_a_script_in_that_does_not_stand_in_our_build(
    site: httpx.AsyncClient, path: str
) -> None:
    policy = policy_of(await site.get(path))
    scripts = policy.get("script-src", policy["default-src"])
    assert {"'unsafe-inline'", "'unsafe-eval'", "*", "https:", "http:", "data:"}.isdisjoint(scripts)


@pytest.mark.parametrize(
    ("path", "own"),
    [
        ("/", "index"),
        ("/sign-in", "sign-in"),
        ("/settings/billing", "settings_billing"),
        ("/no-such-page", "404"),
    ],
)
async def test_a_page_may_run_its_own_scripts_and_connect_home_and_nothing_else(
    site: httpx.AsyncClient, path: str, own: str
) -> None:
    policy = policy_of(await site.get(path))
    assert policy["script-src"] == ["'self'", hash_of(SCRIPTS[0]), hash_of(f"{own}()")]
    assert policy["connect-src"] == ["'self'", "ws://localhost:3000"]
    assert policy["img-src"] == policy["font-src"] == policy["form-action"] == ["'self'"]
    assert policy["style-src-attr"] == policy["object-src"] == ["'none'"]


async def test_what_is_no_page_may_load_nothing(site: httpx.AsyncClient) -> None:
    for path in ("/assets/a.js", "/api/openapi.json", "/api/no-such-route", "/healthz"):
        assert set(policy_of(await site.get(path))) == {
            "default-src",
            "base-uri",
            "form-action",
            "frame-ancestors",
        }


async def test_the_documentation_may_use_its_own_style_sheet_alone(
    site: httpx.AsyncClient,
) -> None:
    response = await site.get("/api/docs")
    style = response.text.partition("<style>")[2].partition("</style>")[0]
    assert style
    assert policy_of(response)["style-src"] == [hash_of(style)]


async def test_a_style_attribute_that_stands_in_a_page_may_stay(
    api: FastAPI, settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "index.html").write_text('<p style="color:red;&quot;"></p>')
    api.mount("", clean_addresses(StaticFiles(directory=tmp_path, html=True), tmp_path, settings))
    async with client_of(api) as client:
        policy = policy_of(await client.get("/"))
    assert policy["style-src-attr"] == ["'unsafe-hashes'", hash_of('color:red;"')]


@pytest.mark.parametrize(
    ("logo", "sources"),
    [
        ("", []),
        ("/logo.svg", []),
        ("https://cdn.example.com/a/logo.png?x=1", ["https://cdn.example.com"]),
        ("//cdn.example.com/logo.png", ["https://cdn.example.com"]),
        ("data:image/svg+xml;base64,AAAA", ["data:"]),
    ],
)
async def test_the_operators_logo_is_let_in(
    api: FastAPI, settings: Settings, build: Path, logo: str, sources: list[str]
) -> None:
    with_logo = settings.model_copy(update={"app_logo": logo})
    api.mount("", clean_addresses(StaticFiles(directory=build, html=True), build, with_logo))
    async with client_of(api) as client:
        assert policy_of(await client.get("/"))["img-src"] == ["'self'", *sources]


async def test_under_https_browsers_are_told_to_stay_there(settings: Settings, build: Path) -> None:
    secure = Settings(
        _env_file=None,
        base_url="https://billing.example.com",
        database_url=settings.database_url,
        secret_key="for tests only",
        stripe_secret_key="sk_test_tests",
    )
    services = Services.open(secure)
    api = create_api(lambda: services, Readiness())
    api.mount("", clean_addresses(StaticFiles(directory=build, html=True), build, secure))
    async with client_of(api) as client:
        for path in EVERYWHERE:
            response = await client.get(path)
            assert response.headers["strict-transport-security"] == "max-age=31536000"
        policy = policy_of(await client.get("/sign-in"))
    assert policy["connect-src"] == ["'self'", "wss://billing.example.com"]
    await services.close()


async def test_a_departure_tells_the_provider_nothing_of_where_it_came_from(
    client: httpx.AsyncClient,
) -> None:
    response = await client.get("/api/billing/departures/anything")
    assert response.headers.get_list("referrer-policy") == ["no-referrer"]


# ---------------------------------------------------------------- websockets


async def knock(api: Any, *origins: str) -> list[Message]:
    """Ask for a websocket as pages of `origins`; return what the server answers."""
    answers: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        answers.append(message)

    headers = [(b"host", b"localhost:3000"), *((b"origin", one.encode()) for one in origins)]
    scope = {
        "type": "websocket",
        "path": "/_event/",
        "raw_path": b"/_event/",
        "query_string": b"EIO=4&transport=websocket",
        "headers": headers,
        "subprotocols": [],
        "root_path": "",
    }
    await api(scope, receive, send)
    return answers


@pytest.fixture
def listening(api: FastAPI) -> FastAPI:
    """The API, with a websocket behind it that accepts everybody."""

    async def accept(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})

    api.mount("/_event", accept)
    return api


async def test_our_own_pages_open_the_websocket(listening: FastAPI) -> None:
    assert await knock(listening, BASE_URL) == [{"type": "websocket.accept"}]


@pytest.mark.parametrize(
    "origins",
    [
        (),
        ("",),
        ("null",),
        ("https://evil.example",),
        ("http://localhost",),
        ("http://localhost:3001",),
        ("https://localhost:3000",),
        ("http://localhost:3000.evil.example",),
        ("http://localhost:3000/",),
        ("http://LOCALHOST:3000",),
        ("http://127.0.0.1:3000",),
        (BASE_URL, BASE_URL),
        (BASE_URL, "https://evil.example"),
        (f"{BASE_URL}, https://evil.example",),
        (f"{BASE_URL}\x00",),
        ("*",),
    ],
)
async def test_nobody_else_does_before_any_handshake(
    listening: FastAPI, origins: tuple[str, ...]
) -> None:
    (refused,) = await knock(listening, *origins)
    assert refused["type"] == "websocket.close"


async def test_in_development_the_server_of_the_pages_is_ours_too(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    tunnelled = Settings(
        _env_file=None,
        base_url="https://tunnel.example.com",
        database_url=settings.database_url,
        secret_key="for tests only",
        stripe_secret_key="sk_test_tests",
    )
    monkeypatch.setenv("REFLEX_ENV_MODE", "prod")
    assert tunnelled.page_origins == ("https://tunnel.example.com",)
    monkeypatch.setenv("REFLEX_ENV_MODE", "dev")
    assert tunnelled.page_origins == ("https://tunnel.example.com", "http://localhost:3000")


# ---------------------------------------------------------------- other sites' pages


@pytest.mark.parametrize("path", ["/healthz", "/api/openapi.json", "/sign-in", "/assets/a.js"])
async def test_no_answer_of_ours_lets_another_sites_page_read_it(
    site: httpx.AsyncClient, path: str
) -> None:
    response = await site.get(path, headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in response.headers
