"""The product of docs/examples/embedding, served beside the application, and its people's way to billing and back.

It is another site to the browser, as it is in life: only what the links themselves carry comes along.
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from billing_ui.accounts.audit import OPERATOR
from billing_ui.accounts.permissions import Scope
from billing_ui.accounts.teams import find_named_team
from billing_ui.accounts.tokens import create_token
from billing_ui.billing.customers import link_customer
from billing_ui.billing.sync import sync_customer
from tests.e2e.accessibility import complaints
from tests.e2e.factories import World
from tests.e2e.server import Server
from tests.e2e.visitors import BILLING, Visitors, billing_shown, button, region

_EXAMPLE: Final = Path(__file__).resolve().parents[2] / "docs" / "examples" / "embedding"
_START_SECONDS: Final = 30.0


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def product(
    server: Server, world: World, product_port: int, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[str]:
    """The address of the product, running."""
    token = await create_token(
        world.services.database,
        team_id=None,
        actor=OPERATOR,
        name="the product",
        scopes=frozenset(Scope),
        lifetime=None,
    )
    url = f"http://127.0.0.1:{product_port}"
    log = tmp_path_factory.mktemp("product") / "product.log"
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: ASYNC220 - it starts at once, and nothing else runs
            [
                *(sys.executable, "-m", "uvicorn", "product:create_product", "--factory"),
                *("--port", str(product_port)),
            ],
            cwd=_EXAMPLE,
            env=os.environ
            | {
                "BILLING_URL": server.base_url,
                "BILLING_TOKEN": token.secret,
                "PRODUCT_URL": url,
                "NO_PROXY": "*",
            },
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_until_there(url, process, log)
        yield url
    finally:
        process.terminate()
        process.wait()


def _wait_until_there(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        with suppress(httpx.TransportError):
            if httpx.get(url, trust_env=False).is_success:
                return
        time.sleep(0.05)
    raise AssertionError(f"the product does not answer:\n{log.read_text()}")


async def _sign_in_there(page: Page, product: str, name: str) -> None:
    await page.goto(product)
    await button(page, f"Sign in as {name}").click()
    await expect(page.get_by_text(f"Hello {name} of")).to_be_visible()


async def _entry_link(page: Page, product: str) -> str:
    """Return a link for whoever is signed in at the product, which nobody has followed yet."""
    response = await page.request.get(f"{product}/billing", max_redirects=0)
    location: str = response.headers["location"]
    assert "/auth/entry?token=" in location
    return location


async def _buy(world: World, team_name: str) -> None:
    """Let a team of the product's have a plan."""
    team = await find_named_team(world.services.database, team_name)
    assert team is not None
    calls: list[tuple[str, dict[str, Any]]] = [
        ("/v1/customers", {"metadata": {"team_id": str(team.id), "generation": "1"}}),
        ("/v1/payment_methods/pm_card_visa/attach", {"customer": "{customer.id}"}),
        (
            "/v1/subscriptions",
            {
                "customer": "{customer.id}",
                "items": [{"price": "price_demo_pro_month"}],
                "default_payment_method": "{card.id}",
            },
        ),
    ]
    created = await world.sandbox.batch(
        *(
            {"method": "post", "path": path, "params": params, "as": name}
            for name, (path, params) in zip(("customer", "card", "plan"), calls, strict=True)
        )
    )
    customer_id = await link_customer(world.services, team.id, created[0]["id"])
    await sync_customer(world.services, customer_id)


async def test_the_products_link_leads_to_its_persons_billing_and_back(
    product: str, server: Server, visitors: Visitors
) -> None:
    page = await visitors.profile()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await _sign_in_there(page, product, "Ada")

    await page.get_by_role("link", name="Billing").click()

    await billing_shown(page)
    assert page.url == f"{server.base_url}{BILLING}"
    await expect(button(page, "Account: ada@northwind.example")).to_be_visible()
    await expect(page.get_by_text("Northwind Labs").first).to_be_visible()
    [token] = {url.partition("token=")[2] for url in asked if "token=" in url}
    assert token not in server.log.read_text(errors="replace")

    await page.get_by_role("link", name="Back to Acme Cloud").click()

    await expect(page.get_by_text("Hello Ada of Northwind Labs")).to_be_visible()
    assert page.url == f"{product}/"


async def test_going_back_in_the_browser_meets_no_link_that_was_used(
    product: str, visitors: Visitors
) -> None:
    page = await visitors.profile()
    await _sign_in_there(page, product, "Ada")
    await page.get_by_role("link", name="Billing").click()
    await billing_shown(page)

    await page.go_back()

    await expect(page.get_by_text("Hello Ada of Northwind Labs")).to_be_visible()


async def test_a_plain_member_comes_in_as_that_and_sees_their_own_team_only(
    product: str, visitors: Visitors
) -> None:
    page = await visitors.profile()
    await _sign_in_there(page, product, "Ben")

    await page.get_by_role("link", name="Billing").click()

    await billing_shown(page)
    await expect(button(page, "Account: ben@northwind.example")).to_be_visible()
    await expect(button(page, "Manage Billing")).to_have_count(0)
    await expect(page.get_by_text("Bluefin")).to_have_count(0)


async def test_the_products_gate_opens_for_a_team_that_pays(
    product: str, world: World, visitors: Visitors
) -> None:
    page = await visitors.profile()
    await _sign_in_there(page, product, "Cleo")
    await page.get_by_role("link", name="Reports").click()
    await expect(page.get_by_text("Reports need a plan.")).to_be_visible()

    await _buy(world, "bluefin")
    await page.reload()

    await expect(page.get_by_text("All is well.")).to_be_visible()
    await page.goto(product)
    await page.get_by_role("link", name="Billing").click()
    await billing_shown(page)
    await expect(region(page, "Current plan").get_by_text("Pro", exact=True)).to_be_visible()


async def test_somebody_elses_session_ends_only_when_they_say_so(
    product: str, server: Server, world: World, visitors: Visitors
) -> None:
    somebody = await world.newcomer()
    page = await visitors.profile(somebody)
    await _sign_in_there(page, product, "Ada")

    await page.get_by_role("link", name="Billing").click()

    await expect(page.get_by_text(f"You are signed in as {somebody.email}")).to_be_visible()
    assert page.url == f"{server.base_url}/auth/entry"
    await page.get_by_role("link", name=f"Stay signed in as {somebody.email}").click()
    await billing_shown(page)
    await expect(button(page, f"Account: {somebody.email}")).to_be_visible()

    await page.goto(product)
    await page.get_by_role("link", name="Billing").click()
    await button(page, "Continue").click()
    await billing_shown(page)
    await expect(button(page, "Account: ada@northwind.example")).to_be_visible()


async def test_a_link_from_nowhere_signs_in_by_a_press_and_only_once(
    product: str, server: Server, visitors: Visitors
) -> None:
    page = await visitors.profile()
    await _sign_in_there(page, product, "Ada")
    link = await _entry_link(page, product)
    elsewhere = await visitors.profile()

    await elsewhere.goto(link)
    await expect(elsewhere.get_by_text("ada@northwind.example")).to_be_visible()
    assert elsewhere.url == f"{server.base_url}/auth/entry"
    await button(elsewhere, "Continue").click()
    await billing_shown(elsewhere)

    third = await visitors.profile()
    await third.goto(link)
    await expect(third.get_by_role("alert")).to_have_text("This link has been used already.")
    await expect(third.get_by_role("link", name="Sign in another way")).to_be_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
async def test_axe_finds_nothing_on_the_pages_of_a_link(
    product: str, world: World, visitors: Visitors, tmp_path: Path, theme: str, width: int
) -> None:
    page = await visitors.profile(
        await world.newcomer(), color_scheme=theme, viewport={"width": width, "height": 800}
    )
    await _sign_in_there(page, product, "Ada")
    link = await _entry_link(page, product)
    for name, address in (("entry", link), ("useless", re.sub("token=.*", "token=x", link))):
        await page.goto(address)
        await expect(page.get_by_role("heading", level=1)).to_be_visible()
        await page.screenshot(path=tmp_path / f"{name}-{theme}-{width}.png")
        assert not await complaints(page)
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
