"""A small product with billing-ui beside it: its own people, a "Billing" link, and a page for those who pay.

Run it with the address of billing-ui, an operator's API token with every scope, and its own address:

    BILLING_URL=http://localhost:3000 BILLING_TOKEN=bui_… PRODUCT_URL=http://127.0.0.1:5000 \
        uvicorn product:create_product --factory --port 5000
"""

import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from html import escape
from typing import Annotated, Any

import httpx
from fastapi import Cookie, FastAPI, Form
from fastapi.responses import HTMLResponse, RedirectResponse

COOKIE = "product_session"
PAYS = {"active", "trialing", "canceling", "past_due"}


@dataclass(frozen=True)
class Person:
    """Somebody with an account at the product, and what they are in their team's billing."""

    id: str
    email: str
    name: str
    team: str
    role: str


TEAMS = {"northwind": "Northwind Labs", "bluefin": "Bluefin Studio"}
PEOPLE = {
    person.id: person
    for person in (
        Person("u-1", "ada@northwind.example", "Ada", "northwind", "owner"),
        Person("u-2", "ben@northwind.example", "Ben", "northwind", "member"),
        Person("u-3", "cleo@bluefin.example", "Cleo", "bluefin", "owner"),
    )
}


class Billing:
    """The few calls that the product's backend makes to billing-ui; the token never leaves this process."""

    def __init__(self, url: str, token: str) -> None:
        """Call the installation at `url` with an operator's API token."""
        self._http = httpx.AsyncClient(
            base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=10.0
        )

    async def provision(self, team: str, name: str, people: list[Person]) -> None:
        """Tell of a team and everybody in it; to be called whenever either changes, and as often as you like."""
        members = [
            {"externalId": one.id, "email": one.email, "name": one.name, "role": one.role}
            for one in people
        ]
        await self._ask("PUT", f"/api/teams/{team}", json={"name": name, "members": members})

    async def entry_link(self, person: Person, return_url: str) -> str:
        """Return an address that lets one person in to their team's billing page, once, within five minutes."""
        asked = {"team": person.team, "user": person.id, "returnUrl": return_url}
        link = await self._ask("POST", "/api/sessions", json=asked)
        return str(link["url"])

    async def pays(self, team: str) -> bool:
        """Return whether a team has a subscription that lets it use what is paid for."""
        state = await self._ask("GET", "/api/billing/subscription", params={"team": team})
        return state["status"] in PAYS

    async def close(self) -> None:
        """Close every connection."""
        await self._http.aclose()

    async def _ask(self, method: str, path: str, **options: Any) -> Any:
        response = await self._http.request(method, path, **options)
        response.raise_for_status()
        return response.json()["data"]


def create_product() -> FastAPI:
    """Return the product, set up by its environment."""
    own_url = os.environ["PRODUCT_URL"]
    billing = Billing(os.environ["BILLING_URL"], os.environ["BILLING_TOKEN"])
    sessions: dict[str, Person] = {}

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        for team, name in TEAMS.items():
            people = [person for person in PEOPLE.values() if person.team == team]
            await billing.provision(team, name, people)
        yield
        await billing.close()

    app = FastAPI(lifespan=lifespan)
    Session = Annotated[str, Cookie(alias=COOKIE)]  # noqa: N806 - a type

    @app.get("/")
    async def home(session: Session = "") -> HTMLResponse:
        person = sessions.get(session)
        if person is None:
            choices = "".join(
                f'<button name="person" value="{one.id}">Sign in as {escape(one.name)}</button> '
                for one in PEOPLE.values()
            )
            return _page(f'<form method="post" action="/sign-in">{choices}</form>')
        return _page(
            f"<p>Hello {escape(person.name)} of {escape(TEAMS[person.team])}</p>"
            '<p><a href="/reports">Reports</a> · <a href="/billing">Billing</a></p>'
        )

    @app.post("/sign-in")
    async def sign_in(person: Annotated[str, Form()]) -> RedirectResponse:
        # This stands for however your product finds out who somebody is.
        token = secrets.token_urlsafe()
        sessions[token] = PEOPLE[person]
        response = RedirectResponse("/", 303)
        response.set_cookie(COOKIE, token, httponly=True, samesite="lax")
        return response

    @app.get("/billing", response_model=None)
    async def open_billing(session: Session = "") -> RedirectResponse:
        person = sessions.get(session)
        if person is None:
            return RedirectResponse("/", 303)
        # Who it is comes from the product's own session, never from the request.
        return RedirectResponse(await billing.entry_link(person, f"{own_url}/"), 303)

    @app.get("/reports", response_model=None)
    async def reports(session: Session = "") -> HTMLResponse | RedirectResponse:
        person = sessions.get(session)
        if person is None:
            return RedirectResponse("/", 303)
        if not await billing.pays(person.team):
            return _page('<p>Reports need a plan.</p><p><a href="/billing">Billing</a></p>', 402)
        return _page("<h2>Reports</h2><p>All is well.</p>")

    return app


def _page(body: str, status: int = 200) -> HTMLResponse:
    return HTMLResponse(
        f'<!doctype html><html lang="en"><title>Product</title><h1>The product</h1>{body}', status
    )
