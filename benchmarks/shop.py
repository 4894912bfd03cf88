"""A shop at the sandbox with one plan, and a team that has subscribed to it and was synced."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp

from benchmarks import servers
from billing_ui.accounts.sessions import sign_in_as
from billing_ui.accounts.teams import add_member, create_team
from billing_ui.accounts.users import create_user
from billing_ui.billing.catalog import portal_configuration_id
from billing_ui.billing.customers import link_customer
from billing_ui.billing.services import Services
from billing_ui.billing.sync import sync_customer
from billing_ui.database import Database
from billing_ui.models import Role
from billing_ui.settings import Settings


class Shop:
    """The provider's side: what is sold and who has it."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        """Talk to the sandbox at `url`."""
        self._url = url
        self._session = session
        self.price = ""

    async def open(self) -> None:
        """Put a plan on sale."""
        product = await self.post("/v1/products", name="Pro")
        price = {"product": product, "currency": "usd", "unit_amount": "4900"}
        self.price = await self.post("/v1/prices", **price, **{"recurring[interval]": "month"})

    async def subscribe(self) -> str:
        """Return the id of a new customer who has the plan and a card."""
        customer = await self.post("/v1/customers", name="Acme", email="billing@example.com")
        card = await self.post("/v1/payment_methods/pm_card_visa/attach", customer=customer)
        await self.post(
            "/v1/subscriptions",
            customer=customer,
            default_payment_method=card,
            **{"items[0][price]": self.price},
        )
        return customer

    async def post(self, path: str, **form: str) -> str:
        """Do something at the provider; returns the id of what it answers."""
        headers = {"Authorization": f"Bearer {servers.KEY}"}
        async with self._session.post(self._url + path, data=form, headers=headers) as answer:
            document = await answer.json()
        if not answer.ok:
            raise RuntimeError(document)
        found: str = document["id"]
        return found


@dataclass(frozen=True)
class Subscriber:
    """The owner of a team with a plan, signed in."""

    customer: str
    token: str


@asynccontextmanager
async def opened_shop(sandbox: str) -> AsyncIterator[Shop]:
    """Open the shop at a sandbox that is empty."""
    async with aiohttp.ClientSession() as session:
        shop = Shop(sandbox, session)
        await shop.open()
        yield shop


@asynccontextmanager
async def services_on(database: Database, provider: str) -> AsyncIterator[Services]:
    """Open the application's use cases in this process."""
    url = database.engine.url.render_as_string(hide_password=False)
    services = Services.open(
        Settings(
            _env_file=None,
            database_url=url,
            secret_key="for benchmarks only " * 2,
            stripe_secret_key=servers.KEY,
            stripe_api_base=provider,
            # What is measured is the work, and a thousand calls a minute are no attack.
            rate_limits="off",
        )
    )
    try:
        yield services
    finally:
        await services.close()


async def subscriber(database: Database, sandbox: str, shop: Shop) -> Subscriber:
    """Return the owner of a team that has the plan, all of it in our tables already."""
    async with services_on(database, sandbox) as services:
        user = await create_user(database, "owner@example.com", None)
        team = await create_team(database, "Acme")
        await add_member(database, team.id, user.id, Role.OWNER)
        customer = await shop.subscribe()
        await sync_customer(services, await link_customer(services, team.id, customer))
        await portal_configuration_id(services)
        return Subscriber(customer, await sign_in_as(database, user.id))
