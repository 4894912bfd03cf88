"""The people of a team: who they are, what they may do in it, and how they come to leave it.

Every team keeps an owner. Whatever changes who owns it first locks the team's row, so of two owners who demote each
other at the same time one stays.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import update
from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from billing_ui.accounts.audit import AuditAction, record
from billing_ui.accounts.errors import LastOwner, NoTeam, OtherAccess, UnknownMember
from billing_ui.accounts.links import make_link
from billing_ui.accounts.permissions import Action, allows, require
from billing_ui.accounts.sessions import Identity
from billing_ui.clock import utc_now
from billing_ui.database import Database
from billing_ui.models import LinkKind, Membership, OneTimeLink, Role, Team, User
from billing_ui.payments.types import NotAllowed

MEMBERS_A_PAGE: Final = 20

_ONLY_OWNERS: Final = "Only an owner can change who is in the team."


@dataclass(frozen=True)
class Member:
    """One person of a team.

    Attributes:
        joined_at: when they joined (UTC).
        last_owner: the team has no other owner, so they can neither leave nor become less.
        resettable: an owner may make them a link to a new password; see `password_reset_link`.
    """

    user_id: UUID
    email: str
    name: str
    role: Role
    joined_at: datetime
    last_owner: bool
    resettable: bool


@dataclass(frozen=True)
class MemberPage:
    """Some people of a team, those who joined first at the beginning; `first` counts from 1."""

    members: tuple[Member, ...]
    first: int
    total: int


@dataclass(frozen=True)
class TeamChoice:
    """A team that somebody is in."""

    team_id: UUID
    name: str


async def load_members(database: Database, asker: Identity, first: int = 1) -> MemberPage:
    """Return a page of the asker's team, from its `first` person on; the last page when that is too far.

    Raises:
        NoTeam, NotAllowed: the asker is in no team, or may not see who else is.
    """
    team_id = require(asker, Action.VIEW_MEMBERS)
    async with database.read() as session:
        total = await _count(session, team_id)
        last = max(total - 1, 0) // MEMBERS_A_PAGE * MEMBERS_A_PAGE
        skipped = min(max(first - 1, 0), last)
        query = (
            select(User, Membership)
            .join(Membership, col(Membership.user_id) == User.id)
            .where(Membership.team_id == team_id)
            .order_by(col(Membership.created_at), col(User.id))
            .offset(skipped)
            .limit(MEMBERS_A_PAGE)
        )
        rows = (await session.exec(query)).all()
        owners = await _count(session, team_id, Role.OWNER)
        elsewhere = await _in_several_teams(session, [user.id for user, _ in rows])
    members = tuple(
        Member(
            user_id=user.id,
            email=user.email,
            name=user.name,
            role=Role(membership.role),
            joined_at=membership.created_at,
            last_owner=owners == 1 and membership.role == Role.OWNER,
            resettable=user.password_hash is not None
            and user.id not in elsewhere
            and not asker.entered,
        )
        for user, membership in rows
    )
    return MemberPage(members, skipped + 1, total)


async def change_role(database: Database, asker: Identity, user_id: UUID, role: Role) -> None:
    """Give a member of the asker's team another role.

    Raises:
        NoTeam, NotAllowed: the asker may not.
        UnknownMember: nobody in the team has that id.
        LastOwner: the team would have no owner left.
    """
    async with database.write() as session:
        team_id = await lock_and_require(session, asker, Action.MANAGE_MEMBERS)
        user, membership = await _member(session, team_id, user_id)
        before = Role(membership.role)
        if before is role:
            return
        if before is Role.OWNER:
            await _require_another_owner(session, team_id)
            await withdraw_links_made_by(session, team_id, user_id)
        membership.role = role
        session.add(membership)
        await record(
            session,
            AuditAction.ROLE_CHANGED,
            team_id=team_id,
            actor=asker.actor,
            target=user.email,
            details={"from": before.value, "to": role.value},
        )


async def remove_member(database: Database, asker: Identity, user_id: UUID) -> None:
    """Take somebody out of the asker's team; they stay a person, with their other teams.

    Raises:
        NoTeam, NotAllowed: the asker may not.
        UnknownMember: nobody in the team has that id.
        LastOwner: the team would have no owner left.
    """
    async with database.write() as session:
        team_id = await lock_and_require(session, asker, Action.MANAGE_MEMBERS)
        await _take_out(session, asker, team_id, user_id, AuditAction.MEMBER_REMOVED)


async def leave_team(database: Database, asker: Identity) -> None:
    """Take the asker out of the team they look at.

    Raises:
        NoTeam, NotAllowed: they are in no team, or are no person.
        LastOwner: they are its last owner.
    """
    if asker.user_id is None:
        raise NotAllowed("Only people can leave a team.")
    async with database.write() as session:
        team_id = await lock_and_require(session, asker, Action.LEAVE_TEAM)
        await _take_out(session, asker, team_id, asker.user_id, AuditAction.MEMBER_LEFT)


async def may_leave(database: Database, asker: Identity) -> bool:
    """Return whether the asker can leave the team they look at: they may, and it keeps an owner."""
    if asker.team_id is None or not asker.may(Action.LEAVE_TEAM):
        return False
    async with database.read() as session:
        return asker.role != Role.OWNER or await _count(session, asker.team_id, Role.OWNER) > 1


async def password_reset_link(database: Database, asker: Identity, user_id: UUID) -> str:
    """Return the token of a link by which a member of the asker's team chooses a new password.

    Whoever makes a link could also use it. So there is one only for somebody who has a password and is in no other
    team: their access is to nothing that an owner of this team has not already. That is looked at again when it is
    used. Nor is one made by an owner whom the product let in: that would make its API token a key to passwords.
    For everybody else the operator has `billing-ui users reset-password`.

    Raises:
        NoTeam, NotAllowed: the asker may not.
        UnknownMember: nobody in the team has that id.
        OtherAccess: the person is in other teams as well, or has no password.
    """
    if asker.entered:
        raise NotAllowed("Sign in here to make a password link.")
    async with database.write() as session:
        team_id = await lock_and_require(session, asker, Action.MANAGE_MEMBERS)
        user, _ = await _member(session, team_id, user_id)
        if not await may_be_reset(session, team_id, user):
            raise OtherAccess
        await record(
            session,
            AuditAction.PASSWORD_RESET_LINK_MADE,
            team_id=team_id,
            actor=asker.actor,
            target=user.email,
        )
        return await make_link(
            session,
            LinkKind.PASSWORD_RESET,
            team_id=team_id,
            user_id=user.id,
            email=user.email,
            created_by=asker.user_id,
        )


async def may_be_reset(session: AsyncSession, team_id: UUID, user: User) -> bool:
    """Return whether an owner of the team may let `user` choose a new password: they have one, and no other team."""
    teams = (
        await session.exec(select(Membership.team_id).where(Membership.user_id == user.id))
    ).all()
    return user.password_hash is not None and list(teams) == [team_id]


async def teams_of(database: Database, asker: Identity) -> tuple[TeamChoice, ...]:
    """Return the teams that the asker may look at, by name; none when the product let them in to this one alone."""
    if asker.user_id is None or asker.entered:
        return ()
    query = (
        select(Team.id, Team.name)
        .join(Membership, col(Membership.team_id) == Team.id)
        .where(Membership.user_id == asker.user_id)
        .order_by(func.lower(Team.name), col(Team.id))
    )
    async with database.read() as session:
        return tuple(TeamChoice(*row) for row in (await session.exec(query)).all())


async def lock_team(session: AsyncSession, team_id: UUID) -> Team | None:
    """Return a team, so that nobody else changes who is in it until this transaction ends; None when it is gone."""
    # Rows that only refer to the team, such as sessions, can be written meanwhile.
    query = select(Team).where(Team.id == team_id).with_for_update(key_share=True)
    return (await session.exec(query)).one_or_none()


async def lock_and_require(session: AsyncSession, asker: Identity, action: Action) -> UUID:
    """Lock the asker's team, look again, now that nobody can change it, whether they may, and return its id.

    Raises:
        NoTeam: they are in no team.
        NotAllowed: they may not, or no longer.
    """
    team_id = asker.team_id
    if team_id is None or await lock_team(session, team_id) is None:
        raise NoTeam
    role = asker.role
    if asker.user_id is not None:
        membership = await session.get(Membership, (team_id, asker.user_id), populate_existing=True)
        role = Role(membership.role) if membership else None
    if not allows(role, action, asker.scopes):
        raise NotAllowed(_ONLY_OWNERS)
    return team_id


async def _take_out(
    session: AsyncSession, asker: Identity, team_id: UUID, user_id: UUID, action: AuditAction
) -> None:
    user, membership = await _member(session, team_id, user_id)
    if membership.role == Role.OWNER:
        await _require_another_owner(session, team_id)
    await withdraw_links_made_by(session, team_id, user_id)
    await session.delete(membership)
    await record(
        session,
        action,
        team_id=team_id,
        actor=asker.actor,
        target=user.email,
        details={"role": membership.role},
    )


async def _member(session: AsyncSession, team_id: UUID, user_id: UUID) -> tuple[User, Membership]:
    membership = await session.get(Membership, (team_id, user_id), populate_existing=True)
    if membership is None:
        raise UnknownMember
    return await session.get_one(User, user_id), membership


async def _require_another_owner(session: AsyncSession, team_id: UUID) -> None:
    if await _count(session, team_id, Role.OWNER) < 2:
        raise LastOwner


async def withdraw_links_made_by(session: AsyncSession, team_id: UUID, user_id: UUID) -> None:
    """Let links that somebody has made into a team, and perhaps kept, be of no use once they own it no more."""
    await session.exec(
        update(OneTimeLink)
        .where(
            col(OneTimeLink.team_id) == team_id,
            col(OneTimeLink.created_by) == user_id,
            col(OneTimeLink.used_at).is_(None),
            col(OneTimeLink.revoked_at).is_(None),
        )
        .values(revoked_at=utc_now())
        .execution_options(synchronize_session=False)
    )


async def _count(session: AsyncSession, team_id: UUID, role: Role | None = None) -> int:
    conditions: list[Any] = [Membership.team_id == team_id]
    if role is not None:
        conditions.append(Membership.role == role)
    query = select(func.count()).select_from(Membership).where(*conditions)
    return (await session.exec(query)).one()


async def _in_several_teams(session: AsyncSession, user_ids: Sequence[UUID]) -> frozenset[UUID]:
    query = (
        select(Membership.user_id)
        .where(col(Membership.user_id).in_(user_ids))
        .group_by(col(Membership.user_id))
        .having(func.count() > 1)
    )
    return frozenset((await session.exec(query)).all())
