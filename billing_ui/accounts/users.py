"""People: creating them, finding them by e-mail, and their passwords."""

import re
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import delete
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from billing_ui.accounts.errors import EmailTaken, InvalidEmail, UnknownUser
from billing_ui.accounts.passwords import hash_password
from billing_ui.database import Database
from billing_ui.models import AuthSession, User

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


async def reset_password(database: Database, email: str, password: str) -> None:
    """Give a user a new password and end all their sessions.

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
        user.password_hash = password_hash
        session.add(user)
        # Whoever made the new password necessary may be signed in with the old one.
        await session.exec(delete(AuthSession).where(col(AuthSession.user_id) == user.id))
