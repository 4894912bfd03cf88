"""The way to an invoice's PDF: for programs, for browsers, and what each gets when there is no way."""

from collections.abc import AsyncIterator, Iterator
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest
from sqlmodel import select

from billing_ui.api.app import create_api
from billing_ui.api.health import Readiness
from billing_ui.billing.catalog import refresh_catalog
from billing_ui.billing.customers import link_customer
from billing_ui.billing.services import Services
from billing_ui.billing.sync import sync_customer
from billing_ui.models import Invoice, Role
from billing_ui.settings import Provider as Name
from tests.api.world import BASE_URL, Person, World, client_of
from tests.conftest import running_sandbox
from tests.drivers.shop_world import PaddleWorld, PolarWorld, ShopWorld
from tests.drivers.world import pdf_at, settings_of

ON_DEMAND = {Name.POLAR: PolarWorld, Name.PADDLE: PaddleWorld}
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """SQLite alone: nothing here depends on the database."""
    return sqlite_url


async def invoice_of(world: World) -> tuple[Person, str]:
    """Return an owner whose team pays at Stripe, and the path of its invoice's PDF."""
    person = await world.person(Role.OWNER)
    await world.customer(person.team, subscribed=True)
    async with world.services.database.read() as session:
        invoice = (await session.exec(select(Invoice.id))).one()
    return person, f"/api/billing/invoices/{invoice}/pdf"


class _Page(HTMLParser):
    """What a person reads, and where the links lead."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: dict[str, str] = {}
        self.text = ""
        self._href: str | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._href = dict(attrs).get("href") if tag == "a" else None

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._href and data.strip():
            self.links[data.strip()] = self._href


def page_of(response: httpx.Response) -> _Page:
    """Return an answer as a person sees it, after looking at what a browser may do with it."""
    assert response.headers["content-type"].startswith("text/html")
    assert "script-src" not in response.headers["content-security-policy"]
    assert response.headers["cache-control"] == "no-store"
    page = _Page(response.text)
    assert "The PDF wasn't downloaded" in page.text
    return page


# ---------------------------------------------------------------- the way


async def test_programs_and_browsers_are_led_to_the_file_and_leave_no_trace(
    client: httpx.AsyncClient, world: World
) -> None:
    person, path = await invoice_of(world)
    for headers in (person.bearer, person.cookie, person.cookie | BROWSER):
        answer = await client.get(path, headers=headers)
        assert answer.status_code == 303, answer.text
        assert answer.headers["location"].startswith(world.provider.url)
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.content == b""


# ---------------------------------------------------------------- no way, for programs


async def test_a_program_is_told_in_the_envelope(client: httpx.AsyncClient, world: World) -> None:
    person, path = await invoice_of(world)
    nothing = await client.get("/api/billing/invoices/in_x/pdf", headers=person.bearer | BROWSER)
    assert (nothing.status_code, nothing.json()["error"]) == (
        404,
        {"code": "NOT_FOUND", "message": "There is no such invoice."},
    )
    assert (await client.get(path)).json()["error"]["code"] == "UNAUTHORIZED"
    with world.provider.failing("error", "/v1/invoices", status=503):
        down = await client.get(path, headers=person.bearer)
    assert (down.status_code, down.json()["error"]["code"]) == (503, "PROVIDER_UNAVAILABLE")
    assert int(down.headers["retry-after"]) > 0


@pytest.mark.parametrize("name", ["%00", "%20", "%C3%A9", "x" * 300, "in_%2E%2E", "%0d%0aX-A:b"])
async def test_what_is_no_id_is_no_invoice(
    client: httpx.AsyncClient, world: World, name: str
) -> None:
    person = await world.person(Role.OWNER)
    answer = await client.get(f"/api/billing/invoices/{name}/pdf", headers=person.bearer)
    assert answer.status_code == 404, answer.text


# ---------------------------------------------------------------- no way, for people


async def test_somebody_is_told_what_to_do_when_the_provider_does_not_answer(
    client: httpx.AsyncClient, world: World
) -> None:
    person, path = await invoice_of(world)
    with world.provider.failing("error", "/v1/invoices", status=503):
        answer = await client.get(path, headers=person.cookie | BROWSER)
    assert answer.status_code == 503
    page = page_of(answer)
    assert "Stripe has a problem right now." in page.text
    assert "Nothing was changed" not in page.text
    assert page.links["Try again"].endswith(path)
    assert page.links["Back to billing"] == f"{BASE_URL}/settings/billing"
    assert (await client.get(path, headers=person.cookie | BROWSER)).status_code == 303


async def test_somebody_is_told_that_there_is_no_such_invoice(
    client: httpx.AsyncClient, world: World
) -> None:
    person = await world.person(Role.OWNER)
    path = "/api/billing/invoices/%3Cscript%3E/pdf"
    page = page_of(await client.get(path, headers=person.cookie | BROWSER))
    assert "There is no such invoice." in page.text
    assert set(page.links) == {"Back to billing"}


async def test_somebody_whose_session_ended_signs_in(
    client: httpx.AsyncClient, world: World
) -> None:
    _, path = await invoice_of(world)
    answer = await client.get(path, headers=BROWSER)
    assert answer.status_code == 401
    page = page_of(answer)
    assert page.links == {"Sign in": f"{BASE_URL}/sign-in?next=%2Fsettings%2Fbilling"}


async def test_a_member_is_told_who_may(client: httpx.AsyncClient, world: World) -> None:
    owner, path = await invoice_of(world)
    member = await world.person(Role.MEMBER, team=owner.team)
    answer = await client.get(path, headers=member.cookie | BROWSER)
    assert answer.status_code == 403
    assert "Only an owner or billing manager" in page_of(answer).text


# ---------------------------------------------------------------- where no address lasts


@pytest.fixture(scope="module", params=ON_DEMAND, ids=str)
def running_shop(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ShopWorld]:
    """The sandbox of a provider that gives a PDF only when it is asked."""
    database = tmp_path_factory.mktemp(request.param) / "sandbox.db"
    with running_sandbox(database, request.param) as url:
        yield ON_DEMAND[request.param](url, database)


@pytest.fixture
async def there(running_shop: ShopWorld, sqlite_url: str) -> AsyncIterator[Services]:
    """An installation for that provider, which has nothing yet."""
    running_shop.control.do("reset", {})
    opened = Services.open(settings_of(running_shop, base_url=BASE_URL, database_url=sqlite_url))
    yield opened
    await opened.close()


async def test_the_address_in_the_list_of_invoices_leads_to_the_file(
    there: Services, running_shop: ShopWorld, readiness: Readiness, world: World
) -> None:
    shop = running_shop
    person = await World(there, world.provider, world.shop).person()
    assert person.team is not None
    customer = shop.stranger("ada@northwind.example")
    shop.rename(customer, "Ada")
    shop.move_to(customer, "12 Harbour Street", "Dublin", "IE")
    shop.add_card(customer)
    shop.subscribe(customer, shop.offer("Observatory"))
    await refresh_catalog(there)
    await sync_customer(there, await link_customer(there, person.team.id, customer))

    async with client_of(create_api(lambda: there, readiness)) as client:
        listed: Any = (await client.get("/api/billing/invoices", headers=person.bearer)).json()
        [row] = listed["data"]["invoices"]
        assert row["pdfUrl"].endswith(f"/api/billing/invoices/{row['id']}/pdf")
        path = httpx.URL(row["pdfUrl"]).path
        answer = await client.get(path, headers=person.cookie | BROWSER)
    assert answer.status_code == 303, answer.text
    assert "Observatory" in pdf_at(answer.headers["location"])
    async with there.database.read() as session:
        kept = (await session.exec(select(Invoice))).one()
    assert kept.pdf_url is None
