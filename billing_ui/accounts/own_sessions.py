"""What somebody does with their own sessions: looking at them, ending them, and choosing the team to look at."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import delete, update
from sqlmodel import col, select

from billing_ui.accounts.audit import AuditAction, record_in_teams_of
from billing_ui.accounts.errors import NotTheirAccount
from billing_ui.accounts.sessions import IDLE_LIFETIME, Identity
from billing_ui.clock import utc_now
from billing_ui.database import Database
from billing_ui.models import AuthSession, Membership

_MOST_SHOWN: Final = 50
_ASKED_AT_ONCE: Final = 500


@dataclass(frozen=True)
class OwnSession:
    """One of somebody's sessions; `this` is the one they ask with, and times are UTC."""

    id: UUID
    this: bool
    user_agent: str
    address: str
    method: str
    signed_in_at: datetime
    last_seen_at: datetime


async def own_sessions(database: Database, asker: Identity) -> tuple[OwnSession, ...]:
    """Return the asker's sessions, the present one first and then by when they were last in use.

    Raises:
        NotTheirAccount: the product let them in, and not to this.
    """
    _require_account(asker)
    query = (
        select(AuthSession)
        .where(AuthSession.user_id == asker.user_id, *_holding())
        .order_by(
            (col(AuthSession.id) == asker.session_id).desc(), col(AuthSession.last_seen_at).desc()
        )
        .limit(_MOST_SHOWN)
    )
    async with database.read() as session:
        rows = (await session.exec(query)).all()
    return tuple(
        OwnSession(
            id=row.id,
            this=row.id == asker.session_id,
            user_agent=row.user_agent or "",
            address=row.address or "",
            method=row.method,
            signed_in_at=row.created_at,
            last_seen_at=row.last_seen_at,
        )
        for row in rows
    )


async def end_session(database: Database, asker: Identity, session_id: UUID) -> bool:
    """End one of the asker's sessions; return whether there was one, to be told to its open pages.

    Raises:
        NotTheirAccount: the product let them in, and not to this.
    """
    _require_account(asker)
    ended = delete(AuthSession).where(
        col(AuthSession.id) == session_id, col(AuthSession.user_id) == asker.user_id
    )
    async with database.write() as session:
        if (await session.exec(ended)).rowcount == 0:
            return False
        await record_in_teams_of(session, asker.user_id, AuditAction.SIGN_OUT, actor=asker.actor)
    return True


async def end_all_sessions(database: Database, asker: Identity) -> tuple[UUID, ...]:
    """End every session of the asker, the present one too, and return them, to be told to open pages.

    Raises:
        NotTheirAccount: the product let them in, and not to this.
    """
    _require_account(asker)
    ended = (
        delete(AuthSession)
        .where(col(AuthSession.user_id) == asker.user_id)
        .returning(col(AuthSession.id))
    )
    async with database.write() as session:
        ids = tuple(row.id for row in await session.exec(ended))
        await record_in_teams_of(
            session,
            asker.user_id,
            AuditAction.SIGNED_OUT_EVERYWHERE,
            actor=asker.actor,
            target=asker.email,
            details={"sessions": len(ids)},
        )
    return ids


async def look_at_team(database: Database, asker: Identity, team_id: UUID) -> bool:
    """Let the asker's session look at another of their teams; return whether it is one of theirs.

    Raises:
        NotTheirAccount: the product let them in, to one team alone.
    """
    _require_account(asker)
    theirs = select(Membership.team_id).where(
        Membership.user_id == asker.user_id, Membership.team_id == team_id
    )
    turned = (
        update(AuthSession)
        .where(col(AuthSession.id) == asker.session_id, theirs.exists())
        .values(team_id=team_id)
    )
    async with database.write() as session:
        return (await session.exec(turned)).rowcount > 0


async def ended_among(database: Database, session_ids: Collection[UUID]) -> frozenset[UUID]:
    """Return which of these sessions hold no longer."""
    wanted, holding = list(session_ids), set[UUID]()
    for start in range(0, len(wanted), _ASKED_AT_ONCE):
        some = wanted[start : start + _ASKED_AT_ONCE]
        query = select(AuthSession.id).where(col(AuthSession.id).in_(some), *_holding())
        async with database.read() as session:
            holding |= set((await session.exec(query)).all())
    return frozenset(wanted) - holding


def _require_account(asker: Identity) -> None:
    if asker.user_id is None or asker.entered:
        raise NotTheirAccount


def _holding() -> tuple[Any, ...]:
    now = utc_now()
    return (
        col(AuthSession.expires_at) > now,
        col(AuthSession.last_seen_at) > now - IDLE_LIFETIME,
    )
