"""Sessions: opaque tokens in an HttpOnly cookie or a Bearer header, of which only a hash is stored."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import bindparam, case, delete, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from billing_ui.accounts.audit import (
    UNKNOWN,
    Actor,
    AuditAction,
    record_in_teams_of,
)
from billing_ui.accounts.clients import current_client
from billing_ui.accounts.errors import InvalidCredentials, InvalidEmail
from billing_ui.accounts.passwords import verify_password
from billing_ui.accounts.permissions import Action, Scope, allows
from billing_ui.accounts.random_tokens import new_token, token_hash
from billing_ui.accounts.users import find_user, normalise_email
from billing_ui.clock import utc_now
from billing_ui.database import Database
from billing_ui.direct import Direct
from billing_ui.models import ActorKind, AuthSession, Membership, Role, SignInMethod, Team, User
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
    method: str
    came_from: str | None


_WHO_ASKS: Final = Direct(
    select(  # type: ignore[call-overload]
        *(AuthSession.id, AuthSession.last_seen_at),
        *(User.id, User.email, User.name),
        *(Team.id, Team.name),
        Membership.role,
        *(AuthSession.method, AuthSession.came_from),
    )
    .select_from(AuthSession)
    .join(User, col(User.id) == AuthSession.user_id)
    .outerjoin(
        Membership,
        (col(Membership.user_id) == User.id)
        # Whom a product lets in by a link sees the team it is for, and none of those they are in besides: a link
        # can be made by that team's own token.
        & (
            (col(AuthSession.method) != SignInMethod.ENTRY)
            | (col(Membership.team_id) == AuthSession.team_id)
        ),
    )
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
    """Who is asking, in which team and as what; read from the database for every request.

    Attributes:
        session_id: a person's session; None for whoever has no session here, such as an API token.
        user_id: the person; None for a program that acts for a team or for the operator.
        email: the person's address, empty for a program.
        user_name: the person's name, or the API token's.
        team_id, team_name: the team they look at; None and empty when there is none.
        role: what they are in it.
        token_id: the API token that asks.
        scopes: what that token was made for; None for a person, who has all of them.
        operator: acts for the operator: every team is theirs to name.
        entered: was let in by a link of the product, into this one team: nothing of the person's account besides
            may be shown or changed.
        came_from: where that product wants its person back.
    """

    session_id: UUID | None
    user_id: UUID | None
    email: str
    user_name: str
    team_id: UUID | None
    team_name: str
    role: Role | None
    token_id: UUID | None = None
    scopes: frozenset[Scope] | None = None
    operator: bool = False
    entered: bool = False
    came_from: str | None = None

    def may(self, action: Action) -> bool:
        """Return whether role and scopes both allow `action` in the team that is looked at."""
        return allows(self.role, action, self.scopes)

    @property
    def actor(self) -> Actor:
        """Who this is in the audit log."""
        if self.token_id is not None:
            return Actor(ActorKind.TOKEN, self.token_id, self.user_name)
        return Actor(ActorKind.USER, self.user_id, self.email)


async def identify(database: Database, token: str | None) -> Identity | None:
    """Return who holds `token`, or None when it is missing, unknown, revoked or expired.

    The team is the one the session looks at, or the first one joined when the person is not in it (any more).
    Writes only to note that the session is in use, at most once a minute.
    """
    if not token:
        return None
    now = utc_now()
    found = await database.fetch(
        _WHO_ASKS, token_hash=token_hash(token), now=now, idle_since=now - IDLE_LIFETIME
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
        entered=row.method == SignInMethod.ENTRY,
        came_from=row.came_from,
    )


async def sign_in(database: Database, email: str, password: str) -> str:
    """Check e-mail and password and return the token of a new session.

    An unknown e-mail takes the same work as a wrong password. What fails is told of in the audit log: with the
    e-mail when it is somebody's, else without, for people also type their password there.

    Raises:
        InvalidCredentials: no user has this e-mail and password.
    """
    user = await _find_by_email(database, email)
    matches, renewed_hash = await verify_password(password, user.password_hash if user else None)
    if user is None or not matches:
        await _note_failure(database, user)
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
        return await start_session(session, current, SignInMethod.PASSWORD)


async def sign_in_as(
    database: Database, user_id: UUID, method: SignInMethod = SignInMethod.DEMO
) -> str:
    """Return the token of a new session of `user_id`, unchecked: the caller knows who they are.

    Raises:
        InvalidCredentials: there is no such user.
    """
    async with database.write() as session:
        user = await session.get(User, user_id)
        if user is None:
            raise InvalidCredentials
        return await start_session(session, user, method)


async def start_session(
    session: AsyncSession,
    user: User,
    method: SignInMethod,
    *,
    team_id: UUID | None = None,
    issuer: str | None = None,
    sealed_id_token: str | None = None,
    came_from: str | None = None,
) -> str:
    """Begin a session of `user` within a transaction, and return its token; the audit log tells of it.

    Args:
        method: how they proved who they are.
        team_id: the team it looks at; None for the one joined first. By an entry link it never looks at another.
        issuer, sealed_id_token: of a sign-in at an OpenID provider, to sign out there as well.
        came_from: where the product that lets them in wants them back.
    """
    now, client, token = utc_now(), current_client(), new_token()
    await session.exec(
        delete(AuthSession).where(
            col(AuthSession.user_id) == user.id,
            (col(AuthSession.expires_at) <= now)
            | (col(AuthSession.last_seen_at) <= now - IDLE_LIFETIME),
        )
    )
    session.add(
        AuthSession(
            token_hash=token_hash(token),
            user_id=user.id,
            team_id=team_id,
            created_at=now,
            last_seen_at=now,
            expires_at=now + LIFETIME,
            method=method,
            user_agent=client.user_agent,
            address=client.address,
            issuer=issuer,
            sealed_id_token=sealed_id_token,
            came_from=came_from,
        )
    )
    details = {"method": method.value} | ({"issuer": issuer} if issuer else {})
    await record_in_teams_of(
        session, user.id, AuditAction.SIGN_IN, actor=_actor(user), details=details
    )
    return token


async def sign_out(database: Database, token: str | None, *, replaced: bool = False) -> UUID | None:
    """End the session of `token` and return its id; does nothing when there is none.

    Args:
        replaced: it ends because somebody signs in in its place, which the audit log then says.
    """
    if not token:
        return None
    ended = (
        delete(AuthSession)
        .where(col(AuthSession.token_hash) == token_hash(token))
        .returning(col(AuthSession.id), col(AuthSession.user_id))
    )
    async with database.write() as session:
        row = (await session.exec(ended)).one_or_none()
        if row is None:
            return None
        ended_id: UUID = row.id
        user = await session.get_one(User, row.user_id)
        await record_in_teams_of(
            session,
            user.id,
            AuditAction.SIGN_OUT,
            actor=_actor(user),
            details={"replaced": True} if replaced else None,
        )
        return ended_id


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


async def _note_failure(database: Database, user: User | None) -> None:
    """Tell in the audit log that somebody could not sign in, `user` when they gave the e-mail of one."""
    label = user.email if user else UNKNOWN
    async with database.write() as session:
        await record_in_teams_of(
            session,
            user.id if user else None,
            AuditAction.SIGN_IN_FAILED,
            actor=Actor(ActorKind.NOBODY, label=label),
        )


def _actor(user: User) -> Actor:
    return Actor(ActorKind.USER, user.id, user.email)


async def _touch(database: Database, session_id: UUID) -> None:
    async with database.write() as session:
        await session.exec(
            update(AuthSession)
            .where(col(AuthSession.id) == session_id)
            .values(last_seen_at=utc_now())
        )
