"""People and teams for the tests of who may do what, and who asks with which session."""

from collections.abc import Sequence
from uuid import UUID, uuid4

from sqlmodel import col, select

from billing_ui.accounts.sessions import Identity, identify, sign_in_as
from billing_ui.accounts.teams import add_member, create_team
from billing_ui.accounts.users import create_user
from billing_ui.database import Database
from billing_ui.models import AuditEntry, Membership, Role, Team, User

PASSWORD = "seven purple anvils sing"


async def new_person(
    database: Database, team: Team | None = None, role: Role = Role.OWNER, **given: str | None
) -> User:
    """Return somebody new, in `team` when there is one; `given` may hold an e-mail and a password."""
    email = given.get("email") or f"{uuid4().hex[:12]}@example.com"
    user = await create_user(database, email, given.get("password"), "Robin Reed")
    if team is not None:
        await add_member(database, team.id, user.id, role)
    return user


async def asking(database: Database, user: User) -> Identity:
    """Return `user` with a new session."""
    identity = await identify(database, await sign_in_as(database, user.id))
    assert identity is not None
    return identity


async def new_owner(database: Database, name: str = "Northwind Labs") -> tuple[Identity, Team]:
    """Return the owner of a new team, signed in, and the team."""
    team = await create_team(database, name)
    return await asking(database, await new_person(database, team)), team


async def roles(database: Database, team: Team) -> dict[UUID, str]:
    """Return who is in a team, and as what."""
    async with database.read() as session:
        rows = (await session.exec(select(Membership).where(Membership.team_id == team.id))).all()
    return {row.user_id: row.role for row in rows}


async def told(database: Database, team: Team) -> Sequence[tuple[str, str, str, dict[str, object]]]:
    """Return what a team's audit log tells besides sign-ins: action, actor, target and details."""
    query = (
        select(AuditEntry)
        .where(AuditEntry.team_id == team.id, AuditEntry.action != "sign_in")
        .order_by(col(AuditEntry.id))
    )
    async with database.read() as session:
        rows = (await session.exec(query)).all()
    return [(row.action, row.actor_label, row.target, row.details) for row in rows]
