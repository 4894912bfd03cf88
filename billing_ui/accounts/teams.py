"""Teams and their members."""

from dataclasses import dataclass
from uuid import UUID, uuid4

from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from billing_ui.accounts.errors import AmbiguousTeam, UnknownTeam
from billing_ui.accounts.users import add_user, new_user
from billing_ui.database import Database
from billing_ui.models import Membership, Role, Team, User


@dataclass(frozen=True)
class Enrolment:
    """A new user in a team, and whether the team is new as well."""

    user: User
    team: Team
    team_created: bool


async def create_team(database: Database, name: str, *, team_id: UUID | None = None) -> Team:
    """Create a team without members; names need not be unique.

    Args:
        team_id: a fixed id instead of a random one.
    """
    team = Team(id=team_id or uuid4(), name=name.strip())
    async with database.write() as session:
        session.add(team)
    return team


async def add_member(database: Database, team_id: UUID, user_id: UUID, role: Role) -> None:
    """Make a user a member of a team, or give a member another role."""
    async with database.write() as session:
        membership = await session.get(Membership, (team_id, user_id))
        if membership is None:
            membership = Membership(team_id=team_id, user_id=user_id, role=role)
        membership.role = role
        session.add(membership)


async def enrol(
    database: Database, email: str, password: str, name: str, team: str, role: Role
) -> Enrolment:
    """Create a user as a member of a team, in one transaction; the team is created when none has that name.

    Args:
        team: the team's name or id.

    Raises:
        InvalidEmail, UnusablePassword, EmailTaken: the user cannot be created.
        AmbiguousTeam: several teams have that name.
        UnknownTeam: `team` is an id, and no team has it.
    """
    user = await new_user(email, password, name)
    async with database.write() as session:
        found = await _find_team(session, team)
        if found is None and _as_id(team) is not None:
            raise UnknownTeam
        chosen = found or Team(name=team.strip())
        await add_user(session, user)
        session.add(chosen)
        await session.flush()
        session.add(Membership(team_id=chosen.id, user_id=user.id, role=role))
    return Enrolment(user, chosen, team_created=found is None)


async def find_team(database: Database, name_or_id: str) -> Team:
    """Return the team with this id, or the only one with this name.

    Raises:
        UnknownTeam, AmbiguousTeam: there is none, or there are several.
    """
    async with database.read() as session:
        team = await _find_team(session, name_or_id)
    if team is None:
        raise UnknownTeam
    return team


async def find_named_team(database: Database, external_or_own_id: str) -> Team | None:
    """Return the team that a program names: by what the product calls it, else by our id; None when there is none."""
    if not external_or_own_id.isprintable():
        return None
    async with database.read() as session:
        query = select(Team).where(Team.external_id == external_or_own_id)
        team = (await session.exec(query)).one_or_none()
        team_id = _as_id(external_or_own_id)
        if team is None and team_id is not None:
            team = await session.get(Team, team_id)
        return team


async def owner_contact(database: Database, team_id: UUID) -> str | None:
    """Return the e-mail of the team's longest-standing owner: whom a member asks, or None without an owner."""
    async with database.read() as session:
        return await read_owner_contact(session, team_id)


async def read_owner_contact(session: AsyncSession, team_id: UUID) -> str | None:
    """Return what `owner_contact` does, in a session that is open."""
    query = (
        select(User.email)
        .join(Membership, col(Membership.user_id) == User.id)
        .where(Membership.team_id == team_id, Membership.role == Role.OWNER)
        .order_by(col(Membership.created_at), col(User.id))
        .limit(1)
    )
    return (await session.exec(query)).first()


async def count_members(session: AsyncSession, team_id: UUID) -> int:
    """Return how many people are in a team."""
    query = select(func.count()).where(col(Membership.team_id) == team_id)
    return (await session.exec(query)).one()


async def _find_team(session: AsyncSession, name_or_id: str) -> Team | None:
    team_id = _as_id(name_or_id)
    if team_id is not None:
        return await session.get(Team, team_id)
    query = select(Team).where(Team.name == name_or_id.strip()).limit(2)
    found = (await session.exec(query)).all()
    if len(found) > 1:
        raise AmbiguousTeam
    return found[0] if found else None


def _as_id(text: str) -> UUID | None:
    try:
        return UUID(text.strip())
    except ValueError:
        return None
