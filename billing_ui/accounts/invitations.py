"""Invitations into a team: made by its owners, accepted by whoever holds the link and is meant by it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from billing_ui.accounts.audit import Actor, AuditAction, record
from billing_ui.accounts.errors import (
    AlreadyMember,
    EmailTaken,
    InvitedSomebodyElse,
    LinkUnknown,
    NotTheirAccount,
    TooManyInvitations,
    Unauthenticated,
)
from billing_ui.accounts.links import find_link, make_link, revoke_link, use_link
from billing_ui.accounts.members import lock_and_require, lock_team
from billing_ui.accounts.password_strength import require_strength
from billing_ui.accounts.permissions import Action, require
from billing_ui.accounts.sessions import Identity, start_session
from billing_ui.accounts.users import add_user, find_user, new_user, normalise_email
from billing_ui.clock import utc_now
from billing_ui.database import Database
from billing_ui.models import (
    ActorKind,
    AuthSession,
    LinkKind,
    Membership,
    OneTimeLink,
    Role,
    SignInMethod,
    Team,
    User,
)

MOST_OPEN: Final = 50
"""So many invitations of a team may be open at once: one page shows them all."""


@dataclass(frozen=True)
class Invitation:
    """An open invitation; without an e-mail it is for whoever holds the link."""

    id: UUID
    email: str
    role: Role
    made_at: datetime
    expires_at: datetime


class Way(StrEnum):
    """What somebody who opens an invitation can do about it."""

    ACCEPT = "accept"
    SIGN_UP = "sign_up"
    """Nobody is signed in: they choose a name and a password."""
    SIGN_IN = "sign_in"
    """Nobody is signed in, and whom it is for has an account."""
    MEMBER_ALREADY = "member_already"
    SOMEBODY_ELSE = "somebody_else"
    """It is for another person than the one who is signed in."""


@dataclass(frozen=True)
class Offer:
    """What an invitation is for, to whoever holds its link."""

    team_name: str
    role: Role
    email: str
    way: Way


async def invite(database: Database, asker: Identity, email: str, role: Role) -> str:
    """Invite somebody into the asker's team, and return the link's token.

    Args:
        email: whom it is for; empty for whoever holds the link.

    Raises:
        NoTeam, NotAllowed: the asker may not.
        InvalidEmail: that cannot be an e-mail address.
        AlreadyMember: whom it is for is in the team.
        TooManyInvitations: too many are open.
    """
    address = normalise_email(email) if email.strip() else None
    async with database.write() as session:
        team_id = await lock_and_require(session, asker, Action.MANAGE_MEMBERS)
        open_ones = select(func.count()).select_from(OneTimeLink).where(*_open(team_id))
        if (await session.exec(open_ones)).one() >= MOST_OPEN:
            raise TooManyInvitations
        if address is not None and await _is_member(session, team_id, address):
            raise AlreadyMember("They are in the team already.")
        await record(
            session,
            AuditAction.INVITATION_MADE,
            team_id=team_id,
            actor=asker.actor,
            target=address or "",
            details={"role": role.value},
        )
        return await make_link(
            session,
            LinkKind.INVITATION,
            team_id=team_id,
            email=address,
            role=role,
            created_by=asker.user_id,
        )


async def open_invitations(database: Database, asker: Identity) -> tuple[Invitation, ...]:
    """Return the open invitations of the asker's team, newest first.

    Raises:
        NoTeam, NotAllowed: the asker may not see them.
    """
    team_id = require(asker, Action.MANAGE_MEMBERS)
    query = (
        select(OneTimeLink)
        .where(*_open(team_id))
        .order_by(col(OneTimeLink.created_at).desc(), col(OneTimeLink.id))
        .limit(MOST_OPEN)
    )
    async with database.read() as session:
        links = (await session.exec(query)).all()
    return tuple(
        Invitation(link.id, link.email or "", _role(link), link.created_at, link.expires_at)
        for link in links
    )


async def withdraw(database: Database, asker: Identity, invitation_id: UUID) -> None:
    """Let an invitation of the asker's team be of no more use; does nothing when it is not.

    Raises:
        NoTeam, NotAllowed: the asker may not.
    """
    async with database.write() as session:
        team_id = await lock_and_require(session, asker, Action.MANAGE_MEMBERS)
        link = await revoke_link(session, team_id, invitation_id)
        if link is None:
            return
        await record(
            session,
            AuditAction.INVITATION_REVOKED,
            team_id=team_id,
            actor=asker.actor,
            target=link.email or "",
            details={"role": link.role},
        )


async def look_at(database: Database, token: str, visitor: Identity | None) -> Offer:
    """Return what the invitation of `token` is for and what `visitor` can do about it; uses nothing up.

    Raises:
        LinkUnknown, LinkUsed, LinkRevoked, LinkExpired: it is of no use.
    """
    async with database.read() as session:
        link = await find_link(session, LinkKind.INVITATION, token)
        team = await _team_of(session, link)
        way = await _way(session, link, visitor)
    return Offer(team.name, _role(link), link.email or "", way)


async def accept(database: Database, token: str, visitor: Identity) -> UUID:
    """Make `visitor`, who is signed in, a member as the invitation says, and let their session look at that team.

    An invitation for an e-mail is accepted only by the person who has it: addresses of people are given by the
    operator, by the product, or by an OpenID provider that has verified them.

    Returns:
        The team's id.

    Raises:
        LinkUnknown, LinkUsed, LinkRevoked, LinkExpired: it is of no use.
        InvitedSomebodyElse: it is for another person.
        AlreadyMember: they are in the team already; the invitation stays open.
        NotTheirAccount: a program cannot join a team, and whom the product let in is to sign in first.
        Unauthenticated: their session has ended meanwhile.
    """
    if visitor.user_id is None or visitor.session_id is None or visitor.entered:
        raise NotTheirAccount
    async with database.write() as session:
        link = await find_link(session, LinkKind.INVITATION, token)
        if link.email is not None and link.email != visitor.email:
            raise InvitedSomebodyElse
        team = await _locked_team(session, link)
        # Locked like the person of a password that is being reset, which depends on the teams they are in.
        await session.exec(select(User.id).where(User.id == visitor.user_id).with_for_update())
        own = await session.get(AuthSession, visitor.session_id)
        if own is None:
            raise Unauthenticated
        if await session.get(Membership, (team.id, visitor.user_id)) is not None:
            raise AlreadyMember
        await use_link(session, LinkKind.INVITATION, token)
        await _join(session, team.id, visitor.user_id, visitor.email, _role(link))
        own.team_id = team.id
        session.add(own)
    return team.id


async def sign_up(database: Database, token: str, email: str, name: str, password: str) -> str:
    """Create the person an invitation is for, as a member of its team, and return the token of their session.

    Args:
        email: what they call themselves; an invitation for an e-mail has its own and this is not looked at.

    Raises:
        LinkUnknown, LinkUsed, LinkRevoked, LinkExpired: it is of no use.
        InvalidEmail, WeakPassword: what was given is not usable.
        EmailTaken: somebody has that e-mail; they are to sign in and accept.
    """
    async with database.read() as session:
        link = await find_link(session, LinkKind.INVITATION, token)
        team = await _team_of(session, link)
    address = normalise_email(link.email or email)
    await require_strength(password, (address, name, team.name))
    user = await new_user(address, password, name)
    try:
        async with database.write() as session:
            team = await _locked_team(session, link)
            await use_link(session, LinkKind.INVITATION, token)
            await add_user(session, user)
            await _join(session, team.id, user.id, user.email, _role(link))
            return await start_session(session, user, SignInMethod.PASSWORD, team_id=team.id)
    except IntegrityError:
        # Somebody took the same e-mail in the same moment.
        raise EmailTaken from None


def _open(team_id: UUID) -> tuple[Any, ...]:
    return (
        OneTimeLink.team_id == team_id,
        OneTimeLink.kind == LinkKind.INVITATION,
        col(OneTimeLink.used_at).is_(None),
        col(OneTimeLink.revoked_at).is_(None),
        OneTimeLink.expires_at > utc_now(),
    )


async def _way(session: AsyncSession, link: OneTimeLink, visitor: Identity | None) -> Way:
    if visitor is None or visitor.user_id is None or visitor.entered:
        known = link.email is not None and await find_user(session, link.email) is not None
        return Way.SIGN_IN if known else Way.SIGN_UP
    if link.email is not None and link.email != visitor.email:
        return Way.SOMEBODY_ELSE
    joined = await session.get(Membership, (link.team_id, visitor.user_id))
    return Way.ACCEPT if joined is None else Way.MEMBER_ALREADY


async def _join(
    session: AsyncSession, team_id: UUID, user_id: UUID, email: str, role: Role
) -> None:
    session.add(Membership(team_id=team_id, user_id=user_id, role=role))
    await session.flush()
    await record(
        session,
        AuditAction.MEMBER_JOINED,
        team_id=team_id,
        actor=Actor(ActorKind.USER, user_id, email),
        target=email,
        details={"role": role.value},
    )


async def _is_member(session: AsyncSession, team_id: UUID, email: str) -> bool:
    query = (
        select(Membership)
        .join(User, col(User.id) == Membership.user_id)
        .where(Membership.team_id == team_id, User.email == email)
    )
    return (await session.exec(query)).one_or_none() is not None


async def _team_of(session: AsyncSession, link: OneTimeLink) -> Team:
    team = await session.get(Team, link.team_id) if link.team_id else None
    if team is None:
        raise LinkUnknown
    return team


async def _locked_team(session: AsyncSession, link: OneTimeLink) -> Team:
    team = await lock_team(session, link.team_id) if link.team_id else None
    if team is None:
        raise LinkUnknown
    return team


def _role(link: OneTimeLink) -> Role:
    return Role(link.role or Role.MEMBER)
