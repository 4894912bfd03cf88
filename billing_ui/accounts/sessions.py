"""Sessions: opaque tokens in an HttpOnly cookie or a Bearer header, of which only a hash is stored."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import bindparam, case, delete, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from billing_ui.accounts.errors import InvalidCredentials, InvalidEmail
from billing_ui.accounts.passwords import verify_password
from billing_ui.accounts.permissions import Action, allows
from billing_ui.accounts.users import find_user, normalise_email
from billing_ui.clock import utc_now
from billing_ui.database import Database
from billing_ui.direct import Direct
from billing_ui.models import AuthSession, Membership, Role, Team, User
from billing_ui.settings import Settings

LIFETIME: Final = timedelta(days=30)
"""A session ends this long after signing in, however much it is used."""
IDLE_LIFETIME: Final = timedelta(days=14)
"""A session ends when nobody came back for this long."""
_TOUCH_INTERVAL: Final = timedelta(minutes=1)


class _Found(NamedTuple):
    session_id: UUID
    last_seen_at: datetime
    user_id: UUID
    email: str
    user_name: str
    team_id: UUID | None
    team_name: str | None
    role: str | None


_WHO_ASKS: Final = Direct(
    select(  # type: ignore[call-overload]
        *(AuthSession.id, AuthSession.last_seen_at),
        *(User.id, User.email, User.name),
        *(Team.id, Team.name),
        Membership.role,
    )
    .select_from(AuthSession)
    .join(User, col(User.id) == AuthSession.user_id)
    .outerjoin(Membership, col(Membership.user_id) == User.id)
    .outerjoin(Team, col(Team.id) == Membership.team_id)
    .where(
        AuthSession.token_hash == bindparam("token_hash"),
        AuthSession.expires_at > bindparam("now"),
        AuthSession.last_seen_at > bindparam("idle_since"),
    )
    .order_by(
        case((col(Membership.team_id) == AuthSession.team_id, 0), else_=1),
        col(Membership.created_at),
        col(Membership.team_id),
    )
    .limit(1),
    _Found,
)


@dataclass(frozen=True)
class Identity:
    """Who is asking, in which team and as what; read from the database for every request."""

    session_id: UUID
    user_id: UUID
    email: str
    user_name: str
    team_id: UUID | None
    team_name: str
    role: Role | None

    def may(self, action: Action) -> bool:
        """Return whether this person may do `action` in the team they look at."""
        return allows(self.role, action)


async def identify(database: Database, token: str | None) -> Identity | None:
    """Return who holds `token`, or None when it is missing, unknown, revoked or expired.

    The team is the one the session looks at, or the first one joined when the person is not in it (any more).
    Writes only to note that the session is in use, at most once a minute.
    """
    if not token:
        return None
    now = utc_now()
    found = await database.fetch(
        _WHO_ASKS, token_hash=_hash(token), now=now, idle_since=now - IDLE_LIFETIME
    )
    if not found:
        return None
    [row] = found
    if row.last_seen_at < now - _TOUCH_INTERVAL:
        await _touch(database, row.session_id)
    return Identity(
        session_id=row.session_id,
        user_id=row.user_id,
        email=row.email,
        user_name=row.user_name,
        team_id=row.team_id,
        team_name=row.team_name or "",
        role=Role(row.role) if row.role else None,
    )


async def sign_in(database: Database, email: str, password: str) -> str:
    """Check e-mail and password and return the token of a new session.

    An unknown e-mail takes the same work as a wrong password.

    Raises:
        InvalidCredentials: no user has this e-mail and password.
    """
    user = await _find_by_email(database, email)
    matches, renewed_hash = await verify_password(password, user.password_hash if user else None)
    if user is None or not matches:
        raise InvalidCredentials
    async with database.write() as session:
        # Locked, and read anew: while the old password was being checked it may have been replaced,
        # and every session ended.
        query = select(User).where(User.id == user.id).with_for_update()
        current = (await session.exec(query)).one_or_none()
        if current is None or current.password_hash != user.password_hash:
            raise InvalidCredentials
        if renewed_hash is not None:
            current.password_hash = renewed_hash
            session.add(current)
        return await _start(session, user.id)


async def sign_in_as(database: Database, user_id: UUID) -> str:
    """Return the token of a new session of `user_id`, unchecked: the caller knows who they are.

    Raises:
        InvalidCredentials: there is no such user.
    """
    async with database.write() as session:
        if await session.get(User, user_id) is None:
            raise InvalidCredentials
        return await _start(session, user_id)


async def sign_out(database: Database, token: str | None) -> UUID | None:
    """End the session of `token` and return its id; does nothing when there is none."""
    if not token:
        return None
    statement = (
        delete(AuthSession)
        .where(col(AuthSession.token_hash) == _hash(token))
        .returning(col(AuthSession.id))
    )
    async with database.write() as session:
        return (await session.exec(statement)).scalar_one_or_none()


def session_cookie_name(settings: Settings) -> str:
    """Return the cookie's name; under https the prefix ties it to this very host."""
    return "__Host-billing_session" if settings.secure else "billing_session"


def session_cookie(settings: Settings, token: str | None) -> str:
    """Return the Set-Cookie header value that stores `token`, or removes the cookie for None."""
    seconds = int(LIFETIME.total_seconds()) if token else 0
    secure = "; Secure" if settings.secure else ""
    return (
        f"{session_cookie_name(settings)}={token or ''}; Path=/; Max-Age={seconds}; "
        f"HttpOnly; SameSite=Lax{secure}"
    )


def token_from_cookie_header(settings: Settings, header: str | None) -> str | None:
    """Return the session token in a Cookie header's value, or None."""
    wanted = session_cookie_name(settings)
    for part in (header or "").split(";"):
        name, _, value = part.strip().partition("=")
        if name == wanted and value:
            return value
    return None


async def _find_by_email(database: Database, email: str) -> User | None:
    try:
        address = normalise_email(email)
    except InvalidEmail:
        return None
    async with database.read() as session:
        return await find_user(session, address)


async def _start(session: AsyncSession, user_id: UUID) -> str:
    now = utc_now()
    token = secrets.token_urlsafe(32)
    await session.exec(
        delete(AuthSession).where(
            col(AuthSession.user_id) == user_id,
            (col(AuthSession.expires_at) <= now)
            | (col(AuthSession.last_seen_at) <= now - IDLE_LIFETIME),
        )
    )
    session.add(
        AuthSession(
            token_hash=_hash(token),
            user_id=user_id,
            created_at=now,
            last_seen_at=now,
            expires_at=now + LIFETIME,
        )
    )
    return token


async def _touch(database: Database, session_id: UUID) -> None:
    async with database.write() as session:
        await session.exec(
            update(AuthSession)
            .where(col(AuthSession.id) == session_id)
            .values(last_seen_at=utc_now())
        )


def _hash(token: str) -> str:
    # The token has 256 random bits: one plain SHA-256 cannot be reversed, and look-ups stay fast.
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
