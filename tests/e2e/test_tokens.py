"""API tokens in a browser: made, seen once, used by a program, and revoked."""

import re

import httpx
from playwright.async_api import Locator, Page, expect

from billing_ui.models import Role
from tests.e2e.accessibility import complaints
from tests.e2e.factories import World
from tests.e2e.server import Server
from tests.e2e.visitors import BILLING, Visitors, billing_shown, button, region, said

TOKENS = "/settings/tokens"


async def list_shown(page: Page) -> Locator:
    """Wait for the page's content; return the region "Active tokens"."""
    listed = region(page, "Active tokens")
    await expect(listed).to_be_visible()
    return listed


async def make(page: Page, name: str, *scopes: str, expires: str = "90 days") -> str:
    """Make a token and return it, as it stands on the page."""
    await button(page, "Create token").click()
    form = region(page, "New token")
    await form.get_by_label("Name").fill(name)
    for scope in ("portal", "read", "checkout"):
        await form.get_by_label(re.compile(f"^{scope} ")).set_checked(scope in scopes)
    await form.get_by_label("Expires").select_option(expires)
    await button(form, "Create token").click()
    await expect(said(page, f"Token “{name}” created.")).to_be_visible()
    field = page.get_by_label("New API token")
    await expect(field).to_have_value(re.compile(r"^bui_[\w-]{43}$"))
    await expect(field).to_be_focused()
    return await field.input_value()


def asks(server: Server, token: str) -> httpx.Response:
    """Let a program ask with a token."""
    return httpx.get(
        f"{server.base_url}/api/billing/subscription",
        headers={"Authorization": f"Bearer {token}"},
        trust_env=False,
    )


async def test_a_token_is_made_used_and_revoked(
    visitors: Visitors, world: World, server: Server
) -> None:
    owner = await world.subscriber("pro")
    page = await visitors.arrive(BILLING, owner)
    await billing_shown(page)
    settings = page.get_by_role("navigation", name="Settings")
    await settings.get_by_role("link", name="API tokens").click()
    listed = await list_shown(page)
    await expect(listed).to_contain_text("No tokens yet")

    token = await make(page, "Product backend", "portal", "read")
    row = listed.get_by_role("row", name="Product backend")
    await expect(row).to_contain_text(f"bui_…{token[-4:]}")
    await expect(row).to_contain_text("portalread")
    await expect(row).to_contain_text("Never used")
    await expect(listed.get_by_text("1 token", exact=True)).to_be_attached()

    answer = asks(server, token)
    assert answer.status_code == 200
    assert answer.json()["data"]["plan"] == "Pro"

    await page.reload()
    await list_shown(page)
    await expect(row).to_contain_text("Just now")
    assert token not in await page.content()
    await expect(page.get_by_label("New API token")).to_be_hidden()

    await button(page, "Revoke Product backend").click()
    question = page.get_by_role("alertdialog", name="Revoke “Product backend”?")
    await button(question, "Cancel").click()
    await expect(question).to_be_hidden()
    await expect(button(page, "Revoke Product backend")).to_be_focused()
    await button(page, "Revoke Product backend").click()
    await button(question, "Revoke token").click()
    await expect(listed).to_contain_text("No tokens yet")
    await expect(listed.get_by_role("heading", name="Active tokens")).to_be_focused()
    assert asks(server, token).status_code == 401

    await settings.get_by_role("link", name="Activity").click()
    log = region(page, "Activity log")
    await expect(log).to_contain_text("Product backend")


async def test_a_new_token_is_gone_when_its_page_is_left(visitors: Visitors, world: World) -> None:
    page = await visitors.arrive(TOKENS, await world.newcomer())
    await list_shown(page)
    token = await make(page, "First", "read")
    await page.get_by_role("link", name="Billing", exact=True).click()
    await billing_shown(page)
    await page.get_by_role("link", name="API tokens").click()
    await list_shown(page)
    field = page.get_by_label("New API token")
    await expect(field).to_be_hidden()
    await expect(field).to_have_value("")

    await make(page, "Second", "checkout", expires="Never")
    await button(page, "Dismiss").click()
    await expect(page.get_by_role("heading", name="API tokens")).to_be_focused()
    await expect(field).to_have_value("")
    await page.go_back()
    await page.go_forward()
    await list_shown(page)
    assert token not in await page.content()


async def test_a_token_is_copied_and_the_page_says_so(visitors: Visitors, world: World) -> None:
    page = await visitors.arrive(
        TOKENS, await world.newcomer(), permissions=["clipboard-read", "clipboard-write"]
    )
    await list_shown(page)
    token = await make(page, "Product backend", "read")
    await button(page, "Copy").click()
    await expect(page.get_by_role("status").filter(has_text="Copied").last).to_be_visible()
    assert await page.evaluate("navigator.clipboard.readText()") == token


async def test_a_token_never_stays_in_what_the_server_keeps_of_a_tab(
    visitors: Visitors, world: World, server: Server
) -> None:
    page = await visitors.profile(await world.newcomer())
    frames: list[str] = []
    page.on(
        "websocket",
        lambda socket: socket.on("framereceived", lambda frame: frames.append(str(frame))),
    )
    await page.goto(TOKENS)
    await list_shown(page)
    token = await make(page, "Product backend", "read")
    assert sum(token in frame for frame in frames) == 1
    assert token not in server.tail(10_000)
    frames.clear()
    # A new connection of the same tab is sent the whole state.
    await page.reload()
    await list_shown(page)
    assert frames
    assert not any(token in frame for frame in frames)


async def test_what_cannot_be_made_is_said_and_nothing_typed_is_lost(
    visitors: Visitors, world: World
) -> None:
    page = await visitors.arrive(TOKENS, await world.newcomer())
    await list_shown(page)
    await make(page, "Export", "read")
    await button(page, "Create token").click()
    form = region(page, "New token")
    await expect(form.get_by_label("Name")).to_be_focused()
    await form.get_by_label("Name").fill("Export")
    await page.keyboard.press("Enter")
    await expect(form.get_by_role("alert")).to_contain_text("There is a token “Export” already.")
    await expect(form.get_by_label("Name")).to_have_value("Export")
    await button(form, "Cancel").click()
    await expect(form).to_be_hidden()
    await expect(page.get_by_role("heading", name="API tokens")).to_be_focused()


async def test_only_an_owner_manages_tokens(visitors: Visitors, world: World) -> None:
    owner = await world.newcomer()
    for role in (Role.BILLING_MANAGER, Role.MEMBER):
        page = await visitors.arrive(TOKENS, await world.colleague(owner.team_id, role))
        nothing = region(page, "API tokens")
        await expect(nothing).to_contain_text(
            f"Only an owner can make and revoke them. Ask {owner.email}."
        )
        await expect(page.get_by_role("link", name="API tokens")).to_be_hidden()
        await expect(button(page, "Create token")).to_be_hidden()


async def test_dates_are_the_readers(visitors: Visitors, world: World) -> None:
    page = await visitors.arrive(TOKENS, await world.newcomer(), locale="de-DE")
    listed = await list_shown(page)
    await make(page, "Export", "read", expires="1 year")
    await expect(listed.get_by_role("row", name="Export")).to_contain_text(
        re.compile(r"\d{1,2}\. \w+ 20\d\d")
    )


async def test_the_page_pleases_axe_and_fits_every_screen(visitors: Visitors, world: World) -> None:
    for scheme in ("light", "dark"):
        page = await visitors.arrive(TOKENS, await world.newcomer(), color_scheme=scheme)
        await list_shown(page)
        await make(page, "Nightly export", "read", expires="Never")
        await make(page, "Product backend", "portal", "read")
        for width in (320, 390, 768, 1440):
            await page.set_viewport_size({"width": width, "height": 900})
            assert await page.evaluate("document.documentElement.scrollWidth") <= width
        assert not await complaints(page)
        await button(page, "Create token").click()
        await expect(region(page, "New token")).to_be_visible()
        for width in (320, 390, 1440):
            await page.set_viewport_size({"width": width, "height": 900})
            assert await page.evaluate("document.documentElement.scrollWidth") <= width
        assert not await complaints(page)
        await button(page, "Cancel").click()
        await button(page, "Revoke Nightly export").click()
        await expect(page.get_by_role("alertdialog")).to_be_visible()
        assert not await complaints(page)
