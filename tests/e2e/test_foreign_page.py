"""A page of another site, open in the browser of somebody who is signed in here, gets nothing and does nothing.

Each attempt is made twice: from another host, where `SameSite` already keeps the cookie back, and from another port
of our own host, which browsers count as the same site, so that the cookie comes along and only we can tell.
"""

import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, Response
from playwright.async_api import Error as PlaywrightError
from sqlmodel import col, func, select

from billing_ui.accounts.sessions import identify
from billing_ui.models import PortalVisit
from tests.e2e.factories import Person, World
from tests.e2e.server import Server
from tests.e2e.visitors import BILLING, Visitors, billing_shown

_SIGNS: Final = ("149.00", "Current plan", "Manage Billing", "portal.url")
"""What stands on the billing page, and must not be found where it does not belong."""


class _Empty(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Answer an empty page."""
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>Elsewhere</title><body></body>")

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """The port of another site."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Empty) as site:
        threading.Thread(target=site.serve_forever, daemon=True).start()
        yield site.server_port
        site.shutdown()


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def person(world: World) -> Person:
    """Somebody who pays for something, and whom no attempt may have any effect on."""
    return await world.subscriber("pro")


@dataclass
class Elsewhere:
    """A page of another site, and what its attempts were answered."""

    page: Page
    context: BrowserContext
    person: Person
    ours: str
    answers: dict[str, int] = field(default_factory=dict)

    def note(self, response: Response) -> None:
        """Remember the status of an answer of ours."""
        if response.url.startswith(self.ours):
            self.answers[response.url.removeprefix(self.ours)] = response.status

    async def attempt(self, script: str) -> Any:
        """Run a script of the page; `ours` is where we are."""
        return await self.page.evaluate(f"async (ours) => {{ {script} }}", self.ours)


@pytest_asyncio.fixture(loop_scope="session", params=["127.0.0.1", "localhost"])
async def elsewhere(
    request: pytest.FixtureRequest,
    browser: Browser,
    server: Server,
    visitors: Visitors,
    person: Person,
    port: int,
) -> AsyncIterator[Elsewhere]:
    """A page of another site, in the browser of somebody who is signed in here."""
    # Not a visitor of ours: what goes wrong on this page is meant to.
    context = await browser.new_context()
    await visitors.sign_in(context, person)
    page = await context.new_page()
    await page.goto(f"http://{request.param}:{port}/")
    opened = Elsewhere(page, context, person, server.base_url)
    context.on("response", opened.note)
    yield opened
    await context.close()


async def still_signed_in(world: World, person: Person) -> bool:
    """Return whether a person's session holds."""
    return await identify(world.services.database, person.token) is not None


async def visits_of(world: World, person: Person) -> int:
    """Return how often the portal was opened for a person."""
    query = select(func.count()).where(col(PortalVisit.user_id) == person.user_id)
    async with world.services.database.read() as session:
        return (await session.exec(query)).one()


# ---------------------------------------------------------------- the websocket


async def test_it_cannot_open_the_websocket(elsewhere: Elsewhere) -> None:
    heard = await elsewhere.attempt(
        """
        const socket = new WebSocket(ours.replace("http", "ws") + "/_event/?EIO=4&transport=websocket");
        return await new Promise((tell) => {
          socket.onopen = () => tell("open");
          socket.onmessage = () => tell("message");
          socket.onclose = (event) => tell(`closed ${event.code}`);
        });
        """
    )
    assert heard == "closed 1006"


async def test_our_own_page_does_so_in_the_same_browser(elsewhere: Elsewhere) -> None:
    await elsewhere.page.goto(f"{elsewhere.ours}{BILLING}")
    await billing_shown(elsewhere.page)


# ---------------------------------------------------------------- the API


@pytest.mark.parametrize(
    "path", ["/api/billing/subscription", "/api/billing/invoices", "/healthz", BILLING]
)
async def test_it_cannot_read_an_answer(elsewhere: Elsewhere, path: str) -> None:
    read = await elsewhere.attempt(
        f"""
        try {{
          const answer = await fetch(ours + "{path}", {{ credentials: "include" }});
          return await answer.text();
        }} catch (error) {{
          return error.name;
        }}
        """
    )
    assert read == "TypeError"


@pytest.mark.parametrize(
    "path", ["/api/billing/portal", "/api/payments/portal", "/api/billing/checkout"]
)
@pytest.mark.parametrize("content_type", ["application/json", "text/plain", ""])
async def test_it_cannot_post_to_the_api(
    elsewhere: Elsewhere, world: World, path: str, content_type: str
) -> None:
    headers = f'{{"Content-Type": "{content_type}"}}' if content_type else "{}"
    for mode in ("cors", "no-cors"):
        sent = await elsewhere.attempt(
            f"""
            const body = new Blob(['{{"returnUrl": "/"}}']);
            const how = {{ method: "POST", mode: "{mode}", credentials: "include", headers: {headers}, body }};
            try {{
              const answer = await fetch(ours + "{path}", how);
              return `${{answer.type}} ${{answer.status}} ${{await answer.text()}}`;
            }} catch (error) {{
              return error.name;
            }}
            """
        )
        # Of an opaque answer nothing can be read; of all others not even that they came.
        assert sent in ("TypeError", "opaque 0 ")
    assert elsewhere.answers.get(path) in (None, 401, 403)
    assert await visits_of(world, elsewhere.person) == 0


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/auth/sign-out", {}),
        ("/auth/demo", {"account": "no plan"}),
        ("/auth/sign-in", {"email": "mallory@example.com", "password": "hers"}),
        # As plain text, name and value make a JSON object with an equals sign in it.
        ("/api/payments/portal", {'{"returnUrl": "/': '"}'}),
        ("/api/billing/portal", {'{"returnUrl": "/': '"}'}),
        ("/api/billing/checkout", {'{"priceId": "': '"}'}),
        ("/api/auth/sign-in", {'{"email": "mallory@example.com", "password": "': '"}'}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("encoding", ["application/x-www-form-urlencoded", "text/plain"])
async def test_it_cannot_post_a_form(
    elsewhere: Elsewhere, world: World, path: str, fields: dict[str, str], encoding: str
) -> None:
    async with elsewhere.page.expect_navigation() as arrived:
        await elsewhere.page.evaluate(
            """
            ([address, encoding, fields]) => {
              const form = document.createElement("form");
              Object.assign(form, { action: address, method: "post", enctype: encoding });
              for (const [name, value] of Object.entries(fields)) {
                const input = document.createElement("input");
                Object.assign(input, { type: "hidden", name, value });
                form.append(input);
              }
              document.body.append(form);
              form.submit();
            }
            """,
            [f"{elsewhere.ours}{path}", encoding, fields],
        )
    answer = await arrived.value
    assert answer.status in (400, 401, 403)
    assert "set-cookie" not in await answer.all_headers()
    assert await still_signed_in(world, elsewhere.person)
    assert await visits_of(world, elsewhere.person) == 0


# ---------------------------------------------------------------- showing us, and loading parts of us


@pytest.mark.parametrize("tag", ["iframe", "object", "embed"])
@pytest.mark.parametrize("path", [BILLING, "/sign-in", "/api/docs", "/healthz"])
async def test_it_cannot_frame_us(elsewhere: Elsewhere, tag: str, path: str) -> None:
    source = "data" if tag == "object" else "src"
    await elsewhere.attempt(
        f"""
        const frame = document.createElement("{tag}");
        frame.{source} = ours + "{path}";
        const settled = new Promise((done) => {{ frame.onload = frame.onerror = done; }});
        document.body.append(frame);
        await settled;
        """
    )
    assert path in elsewhere.answers
    for frame in elsewhere.page.frames[1:]:
        # What cannot be shown may be taken away again while we look.
        with suppress(PlaywrightError):
            shown = await frame.content()
            assert not frame.url.startswith(elsewhere.ours)
            assert not [sign for sign in _SIGNS if sign in shown]


@pytest.mark.parametrize(
    ("tag", "path"),
    [
        ("script", "/api/billing/subscription"),
        ("script", "/healthz"),
        ("img", "/favicon.ico"),
        ("link", "/billing.css"),
    ],
)
async def test_it_cannot_load_a_part_of_us(elsewhere: Elsewhere, tag: str, path: str) -> None:
    source = "href" if tag == "link" else "src"
    outcome = await elsewhere.attempt(
        f"""
        const part = document.createElement("{tag}");
        part.rel = "stylesheet";
        const settled = new Promise((tell) => {{
          part.onload = () => tell("loaded");
          part.onerror = () => tell("refused");
        }});
        part.{source} = ours + "{path}";
        document.head.append(part);
        return await settled;
        """
    )
    # A page of the same site may ask for parts, which say nothing of anybody; never for an answer of the API.
    assert outcome == "refused"


async def test_it_loses_hold_of_a_window_it_opens_on_us(elsewhere: Elsewhere) -> None:
    async with elsewhere.context.expect_page() as opened:
        await elsewhere.attempt(f'window.held = window.open(ours + "{BILLING}");')
    ours = await opened.value
    await billing_shown(ours)
    assert await elsewhere.page.evaluate("window.held.closed")
    assert await ours.evaluate("window.opener") is None
