"""New passwords: by the link that an owner made, or by somebody who is signed in and knows the old one."""

from dataclasses import dataclass
from uuid import UUID

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from billing_ui.accounts.audit import Actor
from billing_ui.accounts.errors import (
    InvalidCredentials,
    LinkRevoked,
    LinkUnknown,
    NotTheirAccount,
    Unauthenticated,
)
from billing_ui.accounts.links import find_link, use_link
from billing_ui.accounts.members import may_be_reset
from billing_ui.accounts.password_strength import require_strength
from billing_ui.accounts.passwords import hash_password, verify_password
from billing_ui.accounts.sessions import Identity, start_session
from billing_ui.accounts.users import set_password
from billing_ui.database import Database
from billing_ui.models import ActorKind, AuthSession, LinkKind, OneTimeLink, SignInMethod, User


@dataclass(frozen=True)
class PasswordReset:
    """The token of the session that began, and which sessions ended."""

    token: str
    ended: tuple[UUID, ...]


async def whose_reset(database: Database, token: str) -> str:
    """Return the e-mail of whom a password link is for; uses nothing up.

    Raises:
        LinkUnknown, LinkUsed, LinkRevoked, LinkExpired: it is of no use.
    """
    async with database.read() as session:
        link = await find_link(session, LinkKind.PASSWORD_RESET, token)
        return (await _person_of(session, link)).email


async def reset_by_link(database: Database, token: str, password: str) -> PasswordReset:
    """Give the person a link is for a new password, end all their sessions and begin a new one.

    Raises:
        LinkUnknown, LinkUsed, LinkRevoked, LinkExpired: it is of no use; also once the person has joined another
            team, for which whoever made the link does not speak.
        WeakPassword: the password is not accepted; the link can still be used.
    """
    async with database.read() as session:
        link = await find_link(session, LinkKind.PASSWORD_RESET, token)
        person = await _person_of(session, link)
    await require_strength(password, (person.email, person.name))
    password_hash = await hash_password(password)
    async with database.write() as session:
        # The person first, as everywhere where a password is set, then the link.
        locked = select(User.id).where(User.id == person.id).with_for_update()
        await session.exec(locked)
        await _person_of(session, link)
        await use_link(session, LinkKind.PASSWORD_RESET, token)
        actor = Actor(ActorKind.USER, person.id, person.email)
        ended = await set_password(session, person.id, password_hash, actor=actor)
        user = await session.get_one(User, person.id)
        return PasswordReset(await start_session(session, user, SignInMethod.PASSWORD), ended)


async def change_password(
    database: Database, asker: Identity, current: str, password: str
) -> tuple[UUID, ...]:
    """Give the asker, who knows their present password, a new one; their other sessions end.

    Returns:
        The sessions that ended, to be told to open pages.

    Raises:
        InvalidCredentials: that is not the present password, or they have none.
        WeakPassword: the new one is not accepted.
        NotTheirAccount: a program has no password, and whom the product let in is to sign in first.
        Unauthenticated: their session has ended meanwhile.
    """
    if asker.user_id is None or asker.session_id is None or asker.entered:
        raise NotTheirAccount
    async with database.read() as session:
        user = await session.get_one(User, asker.user_id)
    matches, _ = await verify_password(current, user.password_hash)
    if not matches:
        raise InvalidCredentials
    await require_strength(password, (user.email, user.name))
    password_hash = await hash_password(password)
    async with database.write() as session:
        query = select(User).where(User.id == asker.user_id).with_for_update()
        locked = (await session.exec(query)).one()
        if await session.get(AuthSession, asker.session_id) is None:
            raise Unauthenticated
        if locked.password_hash != user.password_hash:
            raise InvalidCredentials
        return await set_password(
            session, asker.user_id, password_hash, actor=asker.actor, keep=asker.session_id
        )


async def has_password(database: Database, asker: Identity) -> bool:
    """Return whether the asker can sign in with a password."""
    if asker.user_id is None or asker.entered:
        return False
    async with database.read() as session:
        return (await session.get_one(User, asker.user_id)).password_hash is not None


async def _person_of(session: AsyncSession, link: OneTimeLink) -> User:
    """Return whom a password link is for, if it may still be used."""
    query = select(User).where(User.id == link.user_id).execution_options(populate_existing=True)
    user = (await session.exec(query)).one_or_none()
    if user is None or link.team_id is None:
        raise LinkUnknown
    if not await may_be_reset(session, link.team_id, user):
        raise LinkRevoked
    return user
