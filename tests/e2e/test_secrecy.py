"""Nothing secret travels to a page: not in a frame of its websocket, not in a variable of any state."""

import re
from collections.abc import Iterator
from typing import Final
from uuid import uuid4

from playwright.async_api import Page, Request, WebSocket, expect
from reflex.state import BaseState

import billing_ui.pages  # noqa: F401 - brings every state into being
from billing_ui.accounts.users import create_user
from billing_ui.billing.services import install_services
from billing_ui.states.billing import BillingState
from billing_ui.states.pricing import PricingState
from billing_ui.states.returning import ReturnState
from billing_ui.states.sign_in import HomeState, SignInState
from tests.e2e.factories import World
from tests.e2e.visitors import (
    BILLING,
    PRICING,
    SIGN_IN,
    Visitors,
    billing_shown,
    button,
    choose_price,
    come_back,
    in_portal,
    said,
    to_portal,
    type_card,
)
from tests.unit.states.tab import Tab

PASSWORD: Final = "a password nobody may overhear"
SECRET: Final = re.compile(
    r"/p/session/|/c/pay/|[sr]k_(?:test|live)_|\$argon2|token_hash|password_hash|billing_session"
)
"""Links that are credentials, the provider's keys, hashes of passwords, and the cookie's own name."""
_ROUTER: Final = "rx_router_"
"""What Reflex knows of the handshake, the cookie included; it keeps this to itself, which is checked."""


class Wire:
    """Everything a page's websockets carry, both ways, and the addresses its browser asks for."""

    def __init__(self, page: Page) -> None:
        """Listen to `page`."""
        self.frames: list[str] = []
        self.requests: list[str] = []
        page.on("websocket", self._listen)
        page.on("request", self._ask)

    def _listen(self, socket: WebSocket) -> None:
        socket.on("framesent", self._record)
        socket.on("framereceived", self._record)

    def _record(self, payload: str | bytes) -> None:
        self.frames.append(payload if isinstance(payload, str) else payload.decode("latin-1"))

    def _ask(self, request: Request) -> None:
        self.requests.append(request.url)

    def carries(self, text: str) -> bool:
        """Return whether any frame holds `text`."""
        return any(text in frame for frame in self.frames)


async def what_scripts_can_read(page: Page) -> str:
    """Return the document, its cookies and its storage, as any script on it could read them."""
    stored: str = await page.evaluate(
        "() => document.cookie + JSON.stringify(localStorage) + JSON.stringify(sessionStorage)"
    )
    return stored + await page.content()


async def test_no_frame_of_a_whole_journey_carries_a_secret(
    visitors: Visitors, world: World
) -> None:
    email = f"{uuid4().hex[:12]}@example.com"
    user = await create_user(world.services.database, email, PASSWORD, "Robin Reed")
    owner = await world.newcomer()
    await world.join(owner.team_id, user.id)
    page = await visitors.profile()
    wire, readable = Wire(page), []

    await page.goto(SIGN_IN)
    await page.get_by_label("E-mail").fill(email)
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await button(page, "Show password").click()
    await button(page, "Sign in").click()
    await billing_shown(page)
    (cookie,) = await page.context.cookies()
    await page.goto(PRICING)
    await button(page, "Choose Starter").click()
    await expect(page.get_by_role("heading", name="Subscribe to Starter")).to_be_visible()
    await type_card(page)
    await button(page, "Subscribe").click()
    await expect(said(page, "Starter started.")).to_be_visible()
    readable.append(await what_scripts_can_read(page))
    await to_portal(page)
    await button(page, "Update plan").click()
    await choose_price(page, "Pro – $149.00 per month")
    await come_back(page)
    await expect(said(page, "Plan changed from Starter to Pro.")).to_be_visible()
    await button(page, "Refresh").click()
    await button(page, "Update payment method").click()
    await in_portal(page, "Add payment method")
    await page.goto(PRICING)
    await button(page, "Switch to Team").click()
    await in_portal(page, "Confirm your plan")
    await page.goto(BILLING)
    await billing_shown(page)
    readable.append(await what_scripts_can_read(page))

    assert any("/p/session/" in url for url in wire.requests), "the portal was visited"
    assert any("/c/pay/" in url for url in wire.requests), "the checkout was visited"
    assert wire.carries("Plan changed from Starter to Pro."), "the frames were heard"
    overheard = [*wire.frames, *readable]
    assert [found[0] for text in overheard if (found := SECRET.search(text))] == []
    token = cookie["value"]
    assert token
    assert not [text for text in overheard if token in text or PASSWORD in text]
    assert user.password_hash
    assert not [text for text in overheard if user.password_hash in text]


async def test_no_variable_of_any_state_holds_a_secret_after_its_page_has_loaded(
    world: World,
) -> None:
    install_services(world.services)
    try:
        person = await world.subscriber("pro")
        tab = Tab(person.token)
        for state in (HomeState, SignInState, PricingState, BillingState, ReturnState):
            await tab.send(state.event_handlers["load"])
        shown = {f"{state}.{name}": value for state, name, value in variables(tab.root)}
        sent = tab.sent()
    finally:
        install_services(None)

    assert any("Renews on" in value for value in shown.values()), "the states are filled"
    guarded = {name: value for name, value in shown.items() if f".{_ROUTER}" not in name}
    for name, value in guarded.items():
        assert not SECRET.search(value), name
        assert person.token not in value, name
    assert person.token not in sent
    assert not SECRET.search(sent)


def variables(state: BaseState) -> Iterator[tuple[str, str, str]]:
    """Yield class, name and value of everything a state would let a page have."""
    cls = type(state)
    for name in (*cls.base_vars, *cls.computed_vars):
        if not name.startswith("_"):
            yield cls.__name__, name, repr(getattr(state, name))
    for child in state.substates.values():
        yield from variables(child)
