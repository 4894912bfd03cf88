"""People: creating them, finding them by e-mail, and their passwords."""

import re
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import delete, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from billing_ui.accounts.audit import OPERATOR, Actor, AuditAction, record_in_teams_of
from billing_ui.accounts.errors import EmailTaken, InvalidEmail, UnknownUser
from billing_ui.accounts.passwords import hash_password
from billing_ui.clock import utc_now
from billing_ui.database import Database
from billing_ui.models import AuthSession, LinkKind, OneTimeLink, User

# Deliberately loose: only delivery proves an address. It keeps out spaces and control characters.
_EMAIL: Final = re.compile(r"[^@\s\x00-\x1f\x7f]{1,64}@[^@\s\x00-\x1f\x7f]{1,255}")


def normalise_email(email: str) -> str:
    """Return `email` as it is stored and compared: without surrounding spaces, in lower case.

    Raises:
        InvalidEmail: it cannot be an e-mail address.
    """
    address = email.strip().lower()
    if not _EMAIL.fullmatch(address):
        raise InvalidEmail
    return address


async def create_user(
    database: Database,
    email: str,
    password: str | None,
    name: str = "",
    *,
    user_id: UUID | None = None,
) -> User:
    """Create a person who can sign in; without a password only by other means.

    Args:
        user_id: a fixed id instead of a random one.

    Raises:
        InvalidEmail, UnusablePassword: what was given is not usable.
        EmailTaken: another user has this e-mail.
    """
    user = await new_user(email, password, name, user_id=user_id)
    async with database.write() as session:
        await add_user(session, user)
    return user


async def new_user(
    email: str, password: str | None, name: str = "", *, user_id: UUID | None = None
) -> User:
    """Return a user that is not stored yet; hashing is slow and must not happen inside a transaction.

    Raises:
        InvalidEmail, UnusablePassword: what was given is not usable.
    """
    return User(
        id=user_id or uuid4(),
        email=normalise_email(email),
        name=name.strip(),
        password_hash=await hash_password(password) if password is not None else None,
    )


async def add_user(session: AsyncSession, user: User) -> None:
    """Store a new user within a transaction.

    Raises:
        EmailTaken: another user has this e-mail.
    """
    if await find_user(session, user.email) is not None:
        raise EmailTaken
    session.add(user)
    await session.flush()


async def find_user(session: AsyncSession, email: str) -> User | None:
    """Return the user with this (already normalised) e-mail, or None."""
    return (await session.exec(select(User).where(User.email == email))).one_or_none()


async def reset_password(database: Database, email: str, password: str) -> tuple[UUID, ...]:
    """Give a user a new password and end all their sessions, for the operator.

    Returns:
        The sessions that ended, to be told to open pages.

    Raises:
        UnknownUser: nobody has this e-mail.
        UnusablePassword: the password is not accepted.
    """
    address = normalise_email(email)
    password_hash = await hash_password(password)
    async with database.write() as session:
        user = await find_user(session, address)
        if user is None:
            raise UnknownUser
        return await set_password(session, user.id, password_hash, actor=OPERATOR)


async def set_password(
    session: AsyncSession,
    user_id: UUID,
    password_hash: str,
    *,
    actor: Actor,
    keep: UUID | None = None,
) -> tuple[UUID, ...]:
    """Give a user a new password within a transaction, and end what the old one may have opened.

    Args:
        actor: who does it, for the audit log.
        keep: the one session that goes on.

    Returns:
        The sessions that ended, to be told to open pages after the commit.
    """
    query = select(User).where(User.id == user_id).with_for_update()
    user = (await session.exec(query.execution_options(populate_existing=True))).one()
    user.password_hash = password_hash
    session.add(user)
    await session.exec(
        update(OneTimeLink)
        .where(
            col(OneTimeLink.user_id) == user_id,
            col(OneTimeLink.kind) == LinkKind.PASSWORD_RESET,
            col(OneTimeLink.used_at).is_(None),
            col(OneTimeLink.revoked_at).is_(None),
        )
        .values(revoked_at=utc_now())
        .execution_options(synchronize_session=False)
    )
    # Whoever made the new password necessary may be signed in with the old one.
    others = delete(AuthSession).where(col(AuthSession.user_id) == user_id)
    if keep is not None:
        others = others.where(col(AuthSession.id) != keep)
    ended = await session.exec(
        others.returning(col(AuthSession.id)).execution_options(synchronize_session=False)
    )
    ids = tuple(row.id for row in ended)
    await record_in_teams_of(
        session, user_id, AuditAction.PASSWORD_CHANGED, actor=actor, target=user.email
    )
    return ids
