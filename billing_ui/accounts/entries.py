"""Entry links: the product, which knows its people, lets one of them in to their team's billing page."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import and_, or_
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from billing_ui.accounts.audit import Actor, AuditAction, record
from billing_ui.accounts.errors import AccountError, LinkError
from billing_ui.accounts.links import find_link, make_link, use_link
from billing_ui.accounts.provisioning import (
    ADDRESS_TAKEN,
    CannotProvision,
    add_person,
    told_address,
)
from billing_ui.accounts.sessions import Identity, start_session
from billing_ui.database import Database
from billing_ui.models import (
    ActorKind,
    LinkKind,
    Membership,
    OneTimeLink,
    Role,
    SignInMethod,
    Team,
    User,
)

_TRIES: Final = 3


class NotInTeam(AccountError):
    """Nobody in the team has this external id."""

    default = "No member of this team has this external id."


class LinkForNobody(LinkError):
    """Whom the link was for is no longer in the team."""

    default = "This link is for somebody who is not in the team any more. Ask an owner of the team."


@dataclass(frozen=True)
class EntryLink:
    """A link that was made: its token, which is kept nowhere, and until when it can be used, in UTC."""

    token: str
    expires_at: datetime


@dataclass(frozen=True)
class Entry:
    """What a link is for: whom it lets in, to which team, and where they go on to; None for the billing page."""

    user: User
    team: Team
    destination: str | None


@dataclass(frozen=True)
class Entered:
    """Somebody who was let in: the token of their new session, and what the link was for."""

    session_token: str
    entry: Entry


async def check_entrant(
    database: Database, identity: Identity, team_id: UUID, external_id: str, email: str | None
) -> None:
    """Find out whether `make_entry_link` would make a link for somebody, and make nothing.

    Raises:
        NotInTeam, CannotProvision: as that one.
    """
    async with database.read() as session:
        await _entrant(session, identity, team_id, external_id, email)


async def make_entry_link(
    database: Database,
    identity: Identity,
    team_id: UUID,
    external_id: str,
    *,
    email: str | None = None,
    destination: str | None = None,
) -> EntryLink:
    """Make a link that lets a member of a team in, once, within five minutes.

    For the operator, somebody who is wholly unknown is made a plain member when their address is given. Not for a
    team's own token: it could take an external id before the person whom the product means by it comes. And not
    somebody who is known and not in the team: perhaps an owner has just removed them.

    Args:
        identity: the API token that asks.
        team_id: the team it may do so for.
        external_id: what the product calls the person.
        email: their address, of use for somebody unknown only.
        destination: where they go on to, which is allowed; None for the billing page.

    Raises:
        NotInTeam: nobody in the team has this external id.
        CannotProvision: somebody unknown cannot be made with this address.
    """
    for remaining in reversed(range(_TRIES)):
        try:
            async with database.write() as session:
                entrant = await _entrant(session, identity, team_id, external_id, email)
                user = (
                    entrant
                    if isinstance(entrant, User)
                    else await _newcomer(session, identity, team_id, external_id, entrant)
                )
                token = await make_link(
                    session,
                    LinkKind.ENTRY,
                    team_id=team_id,
                    user_id=user.id,
                    destination=destination,
                )
                link = await find_link(session, LinkKind.ENTRY, token)
                await record(
                    session,
                    AuditAction.ENTRY_LINK_MADE,
                    team_id=team_id,
                    actor=identity.actor,
                    target=user.email,
                )
                return EntryLink(token, link.expires_at)
        except IntegrityError:
            # Another call has made the same person meanwhile: they are found now.
            if not remaining:
                raise
    raise AssertionError("unreachable")


async def look_at_entry(database: Database, token: str) -> Entry:
    """Return what a link is for, without using it: whatever follows links to look at them must not use them up.

    Raises:
        LinkError: it is of no use; the sentence says why.
    """
    async with database.read() as session:
        return await _entry(session, await find_link(session, LinkKind.ENTRY, token))


async def enter(database: Database, token: str, *, came_from: str | None = None) -> Entered:
    """Use a link up, and begin a session of the person it is for, which sees the link's team and no other.

    Args:
        came_from: where the product wants its person back, a URL that is allowed.

    Raises:
        LinkError: it is of no use; the sentence says why.
    """
    async with database.write() as session:
        entry = await _entry(session, await use_link(session, LinkKind.ENTRY, token))
        session_token = await start_session(
            session,
            entry.user,
            SignInMethod.ENTRY,
            team_id=entry.team.id,
            came_from=came_from,
        )
        await record(
            session,
            AuditAction.ENTRY_LINK_USED,
            team_id=entry.team.id,
            actor=Actor(ActorKind.USER, entry.user.id, entry.user.email),
            target=entry.user.email,
        )
        return Entered(session_token, entry)


async def _entrant(
    session: AsyncSession, identity: Identity, team_id: UUID, external_id: str, email: str | None
) -> User | str:
    """Return the member whom a product means, or the normalised address to make somebody wholly unknown with.

    Raises:
        NotInTeam, CannotProvision: as `make_entry_link`.
    """
    # One statement, for all of it must be true at the same moment: a call beside this one may just be making them.
    query = (
        select(User, Membership.role)
        .outerjoin(
            Membership,
            and_(col(Membership.user_id) == User.id, col(Membership.team_id) == team_id),
        )
        .where(
            or_(
                col(User.external_id) == external_id,
                col(User.email) == (email or "").strip().lower(),
            )
        )
    )
    found = (await session.exec(query)).all()
    for user, role in found:
        if user.external_id == external_id:
            if role is None:
                raise NotInTeam
            return user
    if email is None or not identity.operator:
        raise NotInTeam
    address = told_address("email", email)
    if found:
        raise CannotProvision("email", ADDRESS_TAKEN)
    return address


async def _newcomer(
    session: AsyncSession, identity: Identity, team_id: UUID, external_id: str, address: str
) -> User:
    user = await add_person(session, external_id, address, "")
    session.add(Membership(team_id=team_id, user_id=user.id, role=Role.MEMBER))
    await session.flush()
    await record(
        session,
        AuditAction.MEMBER_JOINED,
        team_id=team_id,
        actor=identity.actor,
        target=user.email,
        details={"role": Role.MEMBER.value},
    )
    return user


async def _entry(session: AsyncSession, link: OneTimeLink) -> Entry:
    query = (
        select(User, Team)
        .join(Membership, col(Membership.user_id) == User.id)
        .join(Team, col(Team.id) == Membership.team_id)
        .where(Membership.user_id == link.user_id, Membership.team_id == link.team_id)
    )
    found = (await session.exec(query)).one_or_none()
    if found is None:
        raise LinkForNobody
    user, team = found
    return Entry(user, team, link.destination)
