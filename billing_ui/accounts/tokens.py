"""API tokens: made once, shown once, kept as a hash, and looked up by every request that carries one."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import bindparam, or_, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from billing_ui.accounts.audit import Actor, AuditAction, record
from billing_ui.accounts.errors import UnusableToken
from billing_ui.accounts.permissions import Scope
from billing_ui.accounts.random_tokens import new_token, token_hash
from billing_ui.accounts.sessions import Identity
from billing_ui.clock import utc_now
from billing_ui.database import Database
from billing_ui.direct import Direct
from billing_ui.models import ApiToken, Role, Team

PREFIX: Final = "bui_"
MAX_NAME: Final = 100
MAX_ACTIVE: Final = 50
"""So many tokens a team, or the operator, can have at a time: a list that a person can still look through."""
LONGEST_LIFE: Final = timedelta(days=3650)

_HINT_LENGTH: Final = 4
_LENGTH: Final = len(new_token(PREFIX))
_TOUCH_INTERVAL: Final = timedelta(minutes=1)


class _Found(NamedTuple):
    id: UUID
    name: str
    scopes: list[str]
    last_used_at: datetime | None
    team_id: UUID | None
    team_name: str | None


_HOLDER: Final = Direct(
    select(  # type: ignore[call-overload]
        *(ApiToken.id, ApiToken.name, ApiToken.scopes, ApiToken.last_used_at),
        *(ApiToken.team_id, Team.name),
    )
    .select_from(ApiToken)
    .outerjoin(Team, col(Team.id) == ApiToken.team_id)
    .where(
        ApiToken.token_hash == bindparam("token_hash"),
        col(ApiToken.revoked_at).is_(None),
        or_(col(ApiToken.expires_at).is_(None), col(ApiToken.expires_at) > bindparam("now")),
    ),
    _Found,
)


@dataclass(frozen=True)
class NewToken:
    """A token that was just made; `secret` is all of it, and is known to nobody afterwards."""

    token: ApiToken
    secret: str = field(repr=False)


def is_api_token(text: str) -> bool:
    """Return whether `text` has the shape of an API token; a session's token may begin like one, and is shorter."""
    return text.startswith(PREFIX) and len(text) == _LENGTH


async def identify_token(database: Database, secret: str) -> Identity | None:
    """Return who an API token acts for, or None when it is unknown, revoked or expired; one statement.

    A team's token acts for it as its owner would, within its scopes. The operator's has no team until it names
    one. Writes only to note that the token is in use, at most once a minute.
    """
    now = utc_now()
    found = await database.fetch(_HOLDER, token_hash=token_hash(secret), now=now)
    if not found:
        return None
    [row] = found
    if row.last_used_at is None or row.last_used_at < now - _TOUCH_INTERVAL:
        await _touch(database, row.id, now)
    return Identity(
        session_id=None,
        user_id=None,
        email="",
        user_name=row.name,
        team_id=row.team_id,
        team_name=row.team_name or "",
        role=Role.OWNER if row.team_id is not None else None,
        token_id=row.id,
        scopes=frozenset(map(Scope, row.scopes)),
        operator=row.team_id is None,
    )


async def create_token(
    database: Database,
    *,
    team_id: UUID | None,
    actor: Actor,
    name: str,
    scopes: Collection[Scope],
    lifetime: timedelta | None,
    created_by: UUID | None = None,
) -> NewToken:
    """Make an API token; whoever calls has checked that the asker may.

    Args:
        team_id: the team it acts for; None for one of the operator's.
        actor: who makes it, for the audit log.
        name: what people know it by; a second one of the same name is refused.
        scopes: what it is for, at least one.
        lifetime: how long it is valid; None for ever.
        created_by: the person who makes it, if one does.

    Raises:
        UnusableToken: the name, the scopes or the lifetime cannot be had, or there are too many tokens already.
    """
    name = " ".join(name.split())
    if not (name and len(name) <= MAX_NAME and name.isprintable()):
        raise UnusableToken(f"Give the token a name of at most {MAX_NAME} characters.")
    if not scopes:
        raise UnusableToken("Choose at least one scope.")
    if lifetime is not None and not timedelta() < lifetime <= LONGEST_LIFE:
        raise UnusableToken(f"A token can be valid for 1 to {LONGEST_LIFE.days} days.")
    secret, now = new_token(PREFIX), utc_now()
    token = ApiToken(
        name=name,
        token_hash=token_hash(secret),
        hint=secret[-_HINT_LENGTH:],
        team_id=team_id,
        created_by=created_by,
        scopes=sorted(scope.value for scope in set(scopes)),
        created_at=now,
        expires_at=now + lifetime if lifetime is not None else None,
    )
    async with database.write() as session:
        await _check_room(session, team_id, name)
        session.add(token)
        await record(
            session,
            AuditAction.TOKEN_CREATED,
            team_id=team_id,
            actor=actor,
            target=name,
            details={"scopes": token.scopes},
        )
    return NewToken(token, secret)


async def active_tokens(database: Database, team_id: UUID | None) -> Sequence[ApiToken]:
    """Return the tokens of a team (None: the operator's) that work, the newest first."""
    query = (
        select(ApiToken)
        .where(*_active(team_id))
        .order_by(col(ApiToken.created_at).desc(), col(ApiToken.id))
    )
    async with database.read() as session:
        return (await session.exec(query)).all()


async def revoke_token(
    database: Database, token_id: UUID, *, team_id: UUID | None, actor: Actor
) -> ApiToken | None:
    """Let a token work no more, from the next request on; whoever calls has checked that the asker may.

    Args:
        team_id: whose it is, None for the operator: another one's is left alone.

    Returns:
        The token, or None when this team has no such one that works.
    """
    async with database.write() as session:
        query = select(ApiToken).where(ApiToken.id == token_id, *_active(team_id))
        token = (await session.exec(query.with_for_update())).one_or_none()
        if token is None:
            return None
        token.revoked_at = utc_now()
        session.add(token)
        await record(
            session,
            AuditAction.TOKEN_REVOKED,
            team_id=team_id,
            actor=actor,
            target=token.name,
            details={"scopes": token.scopes},
        )
        return token


def _active(team_id: UUID | None) -> tuple[Any, ...]:
    return (
        # SQL compares nothing to NULL, so the operator's are asked for by name.
        col(ApiToken.team_id).is_(None) if team_id is None else ApiToken.team_id == team_id,
        col(ApiToken.revoked_at).is_(None),
        or_(col(ApiToken.expires_at).is_(None), col(ApiToken.expires_at) > utc_now()),
    )


async def _check_room(session: AsyncSession, team_id: UUID | None, name: str) -> None:
    active = select(ApiToken.name).where(*_active(team_id))
    names = (await session.exec(active)).all()
    if len(names) >= MAX_ACTIVE:
        raise UnusableToken(f"There are {MAX_ACTIVE} tokens already. Revoke one that is not used.")
    if name in names:
        raise UnusableToken(f"There is a token “{name}” already. Choose another name.")


async def _touch(database: Database, token_id: UUID, now: datetime) -> None:
    async with database.write() as session:
        await session.exec(
            update(ApiToken)
            .where(
                col(ApiToken.id) == token_id,
                # Of many requests at once one is enough, and none makes it look older again.
                or_(
                    col(ApiToken.last_used_at).is_(None),
                    col(ApiToken.last_used_at) < now - _TOUCH_INTERVAL,
                ),
            )
            .values(last_used_at=now)
        )
