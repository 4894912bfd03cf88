"""People who call the API, their teams, and what happens at the provider meanwhile."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx

from billing_ui.accounts.sessions import sign_in_as
from billing_ui.accounts.teams import add_member, create_team
from billing_ui.accounts.users import create_user
from billing_ui.billing.customers import link_customer
from billing_ui.billing.services import Services
from billing_ui.billing.sync import sync_customer
from billing_ui.clock import utc_now
from billing_ui.models import Customer, Role, Team

BASE_URL = "http://localhost:3000"


class Provider:
    """What a test does at the provider itself."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._client = httpx.Client(
            base_url=url, trust_env=False, headers={"Authorization": "Bearer sk_test_tests"}
        )

    def call(self, method: str, path: str, **form: str) -> dict[str, Any]:
        """Call the provider's API as its dashboard would."""
        response = self._client.request(method, path, data=form)
        assert response.is_success, response.text
        answer: dict[str, Any] = response.json()
        return answer

    @contextmanager
    def failing(self, kind: str, path: str = "/v1", **details: Any) -> Iterator[None]:
        """Let the provider's calls under `path` fail meanwhile; a beginning of paths, or a pattern."""
        fault = {"kind": kind, "path": path, **details}
        assert self._client.post("/_control/faults", json=fault).is_success
        try:
            yield
        finally:
            headers = {"Content-Type": "application/json"}
            assert self._client.delete("/_control/faults", headers=headers).is_success


@dataclass(frozen=True)
class Shop:
    """One product at the provider, and its monthly price."""

    product: str
    price: str


@dataclass(frozen=True)
class Person:
    """Somebody signed in: what their browser and their programs send."""

    token: str
    team: Team | None

    @property
    def bearer(self) -> dict[str, str]:
        """The headers of a program."""
        return {"Authorization": f"Bearer {self.token}"}

    @property
    def cookie(self) -> dict[str, str]:
        """The headers of a browser on one of our pages."""
        return {"Cookie": f"billing_session={self.token}", "Origin": BASE_URL}


class World:
    """Teams, people and customers of one test."""

    def __init__(self, services: Services, provider: Provider, shop: Shop) -> None:
        self.services, self.provider, self.shop = services, provider, shop

    async def person(self, role: Role | None = Role.OWNER, *, team: Team | None = None) -> Person:
        """Sign somebody in: into `team`, a new one, or none when they have no role."""
        database = self.services.database
        user = await create_user(database, f"{uuid4().hex}@example.com", None)
        if role is not None:
            team = team or await create_team(database, "Acme")
            await add_member(database, team.id, user.id, role)
        return Person(await sign_in_as(database, user.id), team)

    async def customer(self, team: Team | None, *, subscribed: bool = False) -> str:
        """Give a team a customer at the provider, and return the provider's id of it."""
        assert team is not None
        customer: str = self.provider.call("POST", "/v1/customers", name=team.name)["id"]
        if subscribed:
            method = self.provider.call(
                "POST", "/v1/payment_methods/pm_card_visa/attach", customer=customer
            )
            self.provider.call(
                "POST",
                "/v1/subscriptions",
                **{
                    "customer": customer,
                    "items[0][price]": self.shop.price,
                    "default_payment_method": method["id"],
                },
            )
        await sync_customer(self.services, await link_customer(self.services, team.id, customer))
        return customer

    async def customer_of_another_provider(self, team: Team | None) -> None:
        """Give a team a customer of a provider that is not the active one."""
        assert team is not None
        async with self.services.database.write() as session:
            session.add(
                Customer(
                    team_id=team.id,
                    provider="polar",
                    provider_customer_id=uuid4().hex,
                    claimed_at=utc_now(),
                )
            )


def client_of(app: Any) -> httpx.AsyncClient:
    """Return a client of an ASGI app; an exception that leaves the app fails the test."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE_URL)
