"""Teams, their people and what they pay for, made through the application's own modules."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import update
from sqlmodel import col

from billing_ui.accounts.sessions import sign_in_as
from billing_ui.accounts.teams import add_member, create_team
from billing_ui.accounts.users import create_user
from billing_ui.billing.customers import current_customer, link_customer
from billing_ui.billing.services import Services
from billing_ui.billing.sync import sync_customer
from billing_ui.clock import utc_now
from billing_ui.models import Customer, Role
from tests.e2e.sandbox import Sandbox


@dataclass(frozen=True)
class Person:
    """Somebody signed in; `customer` is the provider's id of what their team pays as, if it does."""

    token: str
    user_id: UUID
    email: str
    team: UUID | None = None
    customer: str = ""

    @property
    def team_id(self) -> UUID:
        """The team they are in."""
        assert self.team is not None
        return self.team


class World:
    """Makes what a test needs and nobody else touches."""

    def __init__(self, services: Services, sandbox: Sandbox) -> None:
        """Write into the database of `services`, and into `sandbox`."""
        self.services = services
        self.sandbox = sandbox

    async def newcomer(self, team_name: str = "Newcomers") -> Person:
        """Return the owner of a new team that the provider has never heard of."""
        team = await create_team(self.services.database, team_name)
        return await self.colleague(team.id)

    async def colleague(self, team_id: UUID, role: Role = Role.OWNER) -> Person:
        """Return somebody new in a team."""
        person = await self.loner()
        await add_member(self.services.database, team_id, person.user_id, role)
        return replace(person, team=team_id)

    async def join(self, team_id: UUID, user_id: UUID) -> None:
        """Make somebody an owner of a team."""
        await add_member(self.services.database, team_id, user_id, Role.OWNER)

    async def loner(self) -> Person:
        """Return somebody in no team."""
        database = self.services.database
        user = await create_user(database, f"{uuid4().hex[:12]}@example.com", None, "Robin Reed")
        return Person(await sign_in_as(database, user.id), user.id, user.email)

    async def customer(
        self, card: str | None = "pm_card_visa", team_name: str = "Subscribers", **params: Any
    ) -> Person:
        """Return the owner of a new team with a customer who has a card, but no plan."""
        owner = await self.newcomer(team_name)
        customer = {
            "name": team_name,
            "email": owner.email,
            "metadata": {"team_id": str(owner.team_id), "generation": "1"},
        }
        calls = [_call("/v1/customers", customer | params, "customer")]
        if card is not None:
            calls += [
                _call(f"/v1/payment_methods/{card}/attach", {"customer": "{customer.id}"}, "card"),
                _call(
                    "/v1/customers/{customer.id}",
                    {"invoice_settings": {"default_payment_method": "{card.id}"}},
                ),
            ]
        created = await self.sandbox.batch(*calls)
        person = replace(owner, customer=created[0]["id"])
        await self.sync(person)
        return person

    async def subscriber(
        self,
        plan: str = "pro",
        seats: int = 1,
        *,
        interval: str = "month",
        card: str | None = "pm_card_visa",
        **params: Any,
    ) -> Person:
        """Return the owner of a new team that has subscribed to a plan of the demo shop."""
        person = await self.customer(card)
        price = f"price_demo_{plan}_{interval}"
        subscription = {
            "customer": person.customer,
            "items": [{"price": price, "quantity": seats}],
            **params,
        }
        await self.sandbox.batch(_call("/v1/subscriptions", subscription))
        await self.sync(person)
        return person

    async def refresh(self, person: Person) -> None:
        """Make the application's copy say what the provider says of a customer it knows already."""
        await sync_customer(self.services, (await self.row(person)).id)

    async def settle(self, person: Person) -> None:
        """Wait until everything that happened so far has arrived in the application's copy."""
        await self.sandbox.tell_all()
        customer = await self.row(person)
        await sync_customer(self.services, customer.id, after=customer.wanted)

    async def row(self, person: Person) -> Customer:
        """Return our row of the customer a person pays as."""
        providers = self.services.settings.served_providers
        async with self.services.database.read() as session:
            customer = await current_customer(session, person.team_id, providers)
        assert customer is not None
        return customer

    async def fall_behind(self, person: Person, age: timedelta) -> None:
        """Make it look as if the provider had not answered about a customer for `age`.

        The worker has tried so often that it waits for a while now: nobody comes before the page.
        """
        await self.settle(person)
        now = utc_now()
        async with self.services.database.write() as session:
            await session.exec(
                update(Customer)
                .where(col(Customer.provider_customer_id) == person.customer)
                .values(
                    wanted=col(Customer.wanted) + 1,
                    synced_at=now - age,
                    attempts=20,
                    failing_since=now - age,
                    next_attempt_at=now + timedelta(minutes=30),
                    sync_error="Stripe can't be reached right now. Nothing was changed.",
                )
            )

    async def sync(self, person: Person) -> None:
        """Make the application's copy say what the provider says."""
        customer_id = await link_customer(self.services, person.team_id, person.customer)
        await sync_customer(self.services, customer_id)


def _call(path: str, params: dict[str, Any], name: str | None = None) -> dict[str, Any]:
    call = {"method": "post", "path": path, "params": params}
    return call if name is None else call | {"as": name}
