"""Other host names, other sites, and addresses that do not exist."""

import aiohttp
import httpx
import pytest
from playwright.async_api import expect

from tests.e2e.factories import World
from tests.e2e.server import Server
from tests.e2e.visitors import BILLING, PRICING, RETURN, SIGN_IN, Visitors, billing_shown, button

PAGES = (SIGN_IN, PRICING, BILLING, RETURN)


async def test_another_host_name_is_sent_to_the_real_one_with_its_address(
    visitors: Visitors, server: Server
) -> None:
    page = await visitors.arrive(f"http://127.0.0.1:{server.port}/sign-in?next=/pricing")
    await expect(page).to_have_url(f"{server.base_url}/sign-in?next=/pricing")
    await button(page, "Continue as active").click()
    await expect(page).to_have_url(f"{server.base_url}{PRICING}")


async def open_websocket(server: Server, origin: str | None, token: str) -> aiohttp.WSMessage:
    """Open the pages' websocket as a page of `origin` would; return what the server says first."""
    url = f"{server.base_url}/_event/?EIO=4&transport=websocket"
    headers = {"Cookie": f"billing_session={token}"} | ({"Origin": origin} if origin else {})
    async with aiohttp.ClientSession() as session, session.ws_connect(url, headers=headers) as ws:
        return await ws.receive(timeout=10)


async def test_the_websocket_opens_for_the_sites_own_pages(server: Server, world: World) -> None:
    person = await world.newcomer()
    hello = await open_websocket(server, server.base_url, person.token)
    assert str(hello.data).startswith('0{"sid"')


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "http://127.0.0.1:{port}", "http://localhost:1", "null", None],
)
async def test_the_websocket_stays_shut_for_pages_of_other_sites_and_for_no_page_at_all(
    server: Server, world: World, origin: str | None
) -> None:
    person = await world.newcomer()
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await open_websocket(server, origin and origin.format(port=server.port), person.token)
    assert refused.value.status == 403


@pytest.mark.parametrize(
    "path", ["/ping", "/_health", "/_event/", "/_upload", "/healthz", "/api/openapi.json", SIGN_IN]
)
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
async def test_no_address_lets_another_sites_page_read_it(
    server: Server, method: str, path: str
) -> None:
    headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    async with httpx.AsyncClient(base_url=server.base_url, trust_env=False) as client:
        answer = await client.request(method, path, headers=headers)
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("path", PAGES)
async def test_every_page_answers_at_its_own_address_and_with_a_slash_points_there(
    server: Server, path: str
) -> None:
    async with httpx.AsyncClient(base_url=server.base_url, trust_env=False) as client:
        assert (await client.get(path)).status_code == 200
        with_slash = await client.get(f"{path}/?visit=1")
    assert with_slash.status_code == 308
    assert with_slash.headers["location"] == f"{path}?visit=1"


@pytest.mark.parametrize("path", ["/no-such-page", "/settings", "/settings/billing/other"])
async def test_an_unknown_page_is_404_and_shows_a_way_on(
    visitors: Visitors, server: Server, path: str
) -> None:
    page = await visitors.profile()
    answer = await page.goto(path)
    assert answer is not None
    assert answer.status == 404
    await expect(
        page.get_by_role("heading", level=1, name="Page not found", exact=True)
    ).to_be_visible()
    await page.get_by_role("link", name="Go to billing", exact=True).click()
    await expect(button(page, "Sign in")).to_be_visible()


async def test_an_unknown_api_address_is_a_json_404(server: Server) -> None:
    async with httpx.AsyncClient(base_url=server.base_url, trust_env=False) as client:
        answer = await client.get("/api/no-such-thing")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "NOT_FOUND"


async def test_another_site_cannot_sign_anybody_out(visitors: Visitors, world: World) -> None:
    person = await world.newcomer()
    page = await visitors.arrive(person=person)
    await billing_shown(page)
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.post(
            f"{visitors.base_url}/auth/sign-out",
            headers={
                "Origin": "https://evil.example",
                "Cookie": f"billing_session={person.token}",
                "Content-Type": "application/x-www-form-urlencoded",
            },
        )
    assert answer.status_code == 403
    await page.reload()
    await billing_shown(page)
