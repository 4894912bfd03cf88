"""Who is asking: a team with one person, its customer and our portal configuration, written into the tables."""

from dataclasses import dataclass
from uuid import UUID

from benchmarks.provider import CONFIGURATION, CUSTOMER
from billing_ui.accounts.sessions import sign_in_as
from billing_ui.accounts.teams import add_member, create_team
from billing_ui.accounts.users import create_user
from billing_ui.clock import utc_now
from billing_ui.database import Database
from billing_ui.models import Customer, PortalConfiguration, Role


@dataclass(frozen=True)
class Person:
    """An owner who is signed in."""

    team_id: UUID
    customer_id: UUID
    token: str


async def settle(database: Database) -> Person:
    """Write the team, its customer (up to date) and the portal configuration; the database is migrated."""
    user = await create_user(database, "owner@example.com", None)
    team = await create_team(database, "Acme")
    await add_member(database, team.id, user.id, Role.OWNER)
    customer = Customer(
        team_id=team.id,
        provider="stripe",
        provider_customer_id=CUSTOMER,
        wanted=1,
        applied=1,
        fetch_no=1,
        applied_fetch_no=1,
        synced_at=utc_now(),
        marked_at=None,
    )
    async with database.write() as session:
        session.add(customer)
        session.add(
            PortalConfiguration(provider="stripe", id=CONFIGURATION, hash="", updated_at=utc_now())
        )
    return Person(team.id, customer.id, await sign_in_as(database, user.id))
