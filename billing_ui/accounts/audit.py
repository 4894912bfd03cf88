"""The audit log: written in the transaction of what was done, read a page at a time, and never changed."""

import csv
import io
import json
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import bindparam, delete, false, insert, tuple_
from sqlmodel import col, func, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from billing_ui.accounts.clients import current_client
from billing_ui.clock import utc_now
from billing_ui.database import Database
from billing_ui.direct import Direct
from billing_ui.models import ActorKind, AuditEntry, Membership
from billing_ui.models.columns import table_of
from billing_ui.telemetry import current_request_id

KEPT_FOR: Final = timedelta(days=365)
"""So long the database refuses to delete an entry; `forget_old` deletes older ones."""
# The database looks at its own clock, and ours may be ahead of it.
_LEEWAY: Final = timedelta(days=1)
_EXPORT_BATCH: Final = 500
_MAX_TARGET: Final = 500
_MAX_LABEL: Final = 320


_RECORD: Final[Direct[tuple[()]]] = Direct(
    # Inline: nobody asks which number it gets.
    insert(table_of(AuditEntry))
    .values(
        **{
            name: bindparam(name)
            for name in (
                *("at", "team_id", "actor_kind", "actor_id", "actor_label"),
                *("action", "target", "details", "address", "request_id"),
            )
        }
    )
    .inline(),
    tuple,
)


class AuditAction(StrEnum):
    """What the audit log tells of."""

    SIGN_IN = "sign_in"
    SIGN_IN_FAILED = "sign_in_failed"
    SIGN_OUT = "sign_out"
    SIGNED_OUT_EVERYWHERE = "signed_out_everywhere"
    IDENTITY_LINKED = "identity_linked"
    """Somebody can sign in at an OpenID provider from now on, an operator has made sure that it is them."""
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - a name, not a secret
    PASSWORD_RESET_LINK_MADE = "password_reset_link_made"  # noqa: S105 - a name, not a secret
    ROLE_CHANGED = "role_changed"
    MEMBER_REMOVED = "member_removed"
    MEMBER_LEFT = "member_left"
    MEMBER_JOINED = "member_joined"
    INVITATION_MADE = "invitation_made"
    INVITATION_REVOKED = "invitation_revoked"
    TOKEN_CREATED = "token_created"  # noqa: S105 - a name, not a secret
    TOKEN_REVOKED = "token_revoked"  # noqa: S105 - a name, not a secret
    PORTAL_VISIT = "portal_visit"
    VISIT_SETTLED = "visit_settled"
    """What came of a portal visit or a checkout."""
    CHECKOUT = "checkout"
    EVENTS_REPLAYED = "events_replayed"
    TEAM_PROVISIONED = "team_provisioned"
    ENTRY_LINK_MADE = "entry_link_made"
    ENTRY_LINK_USED = "entry_link_used"


class AuditKind(StrEnum):
    """What entries are about: every action belongs to one of these."""

    BILLING = "billing"
    SIGN_INS = "sign-ins"
    PEOPLE = "people"
    TOKENS = "tokens"


KIND_ACTIONS: Final[dict[AuditKind, frozenset[AuditAction]]] = {
    AuditKind.BILLING: frozenset(
        {
            AuditAction.PORTAL_VISIT,
            AuditAction.CHECKOUT,
            AuditAction.VISIT_SETTLED,
            AuditAction.EVENTS_REPLAYED,
        }
    ),
    AuditKind.SIGN_INS: frozenset(
        {
            AuditAction.SIGN_IN,
            AuditAction.SIGN_IN_FAILED,
            AuditAction.SIGN_OUT,
            AuditAction.SIGNED_OUT_EVERYWHERE,
            AuditAction.IDENTITY_LINKED,
            AuditAction.PASSWORD_CHANGED,
            AuditAction.PASSWORD_RESET_LINK_MADE,
            AuditAction.ENTRY_LINK_MADE,
            AuditAction.ENTRY_LINK_USED,
        }
    ),
    AuditKind.PEOPLE: frozenset(
        {
            AuditAction.ROLE_CHANGED,
            AuditAction.MEMBER_JOINED,
            AuditAction.MEMBER_LEFT,
            AuditAction.MEMBER_REMOVED,
            AuditAction.INVITATION_MADE,
            AuditAction.INVITATION_REVOKED,
            AuditAction.TEAM_PROVISIONED,
        }
    ),
    AuditKind.TOKENS: frozenset({AuditAction.TOKEN_CREATED, AuditAction.TOKEN_REVOKED}),
}


@dataclass(frozen=True)
class Actor:
    """Who did something: what they are, the id of that user or token, and their e-mail or name at the time."""

    kind: ActorKind
    id: UUID | None = None
    label: str = ""


OPERATOR: Final = Actor(ActorKind.OPERATOR, label="operator")
"""Whoever runs this installation, from its command line."""
UNKNOWN: Final = "unknown"


class Position(NamedTuple):
    """A place in the log: entries before it are older."""

    at: datetime
    id: int


@dataclass(frozen=True)
class Filter:
    """Which entries to read.

    Attributes:
        kind: only about this; all when None.
        person: only what was done by, or to, somebody in whose e-mail or name this stands; all when empty.
        days: only what was done within so many days; all when None.
    """

    kind: AuditKind | None = None
    person: str = ""
    days: int | None = None


@dataclass(frozen=True)
class AuditPage:
    """Some entries, newest first; `next_before` is where to go on, None on the last page."""

    entries: tuple[AuditEntry, ...]
    next_before: Position | None


async def record(
    session: AsyncSession,
    action: AuditAction,
    *,
    team_id: UUID | None,
    actor: Actor,
    target: str = "",
    details: Mapping[str, Any] | None = None,
) -> None:
    """Write within a transaction what is done in it; the log then has it exactly when it was done.

    From where it was asked, and in which request, is known by itself.

    Args:
        team_id: whose log it belongs in; None for that of no team.
        actor: who does it.
        target: what it is done to, such as an e-mail address or a token's name; too much is cut.
        details: more of it, as JSON; never a secret.
    """
    session.add(AuditEntry(**_values(action, team_id, actor, target, details)))


async def record_directly(
    database: Database,
    action: AuditAction,
    *,
    team_id: UUID | None,
    actor: Actor,
    target: str = "",
    details: Mapping[str, Any] | None = None,
) -> None:
    """Write an entry by itself, the short way, committed then: for what somebody waits for; arguments as `record`."""
    await database.execute(_RECORD, **_values(action, team_id, actor, target, details))


async def record_in_teams_of(
    session: AsyncSession,
    user_id: UUID | None,
    action: AuditAction,
    *,
    actor: Actor,
    target: str = "",
    details: Mapping[str, Any] | None = None,
) -> None:
    """Write what concerns a person, such as a sign-in, in the log of each team they are in.

    A session can look at any of them. Without a team, or for nobody we know, it is written once, in no team's log.
    """
    of_user = select(Membership.team_id).where(Membership.user_id == user_id)
    teams: list[UUID | None] = [*(await session.exec(of_user)).all()] or [None]
    for team_id in teams:
        await record(session, action, team_id=team_id, actor=actor, target=target, details=details)


async def entries(
    database: Database,
    team_id: UUID,
    *,
    which: Filter | None = None,
    before: Position | None = None,
    limit: int = 50,
) -> AuditPage:
    """Return entries of a team's log, newest first; whoever calls has checked that the asker may see them.

    Args:
        which: only these.
        before: only what is older than this, for the next page.
        limit: how many at most, 1 or more.
    """
    place = tuple_(col(AuditEntry.at), col(AuditEntry.id))
    query = select(AuditEntry).where(AuditEntry.team_id == team_id, *_chosen(which or Filter()))
    if before is not None:
        query = query.where(place < before)
    query = query.order_by(*(column.desc() for column in place.clauses)).limit(limit + 1)
    async with database.read() as session:
        rows = (await session.exec(query)).all()
    shown = tuple(rows[:limit])
    return AuditPage(shown, _position(shown[-1]) if len(rows) > limit else None)


async def export_csv(
    database: Database, team_id: UUID, *, which: Filter | None = None
) -> AsyncIterator[str]:
    """Yield a team's log as CSV (RFC 4180), newest first, a piece at a time: it may be long.

    No transaction is open while a piece is on its way to somebody who reads slowly. A text that a spreadsheet
    would take for a formula begins with an apostrophe.
    """
    yield _csv_lines([_COLUMNS])
    before: Position | None = None
    while True:
        page = await entries(database, team_id, which=which, before=before, limit=_EXPORT_BATCH)
        if page.entries:
            yield _csv_lines(map(_csv_row, page.entries))
        before = page.next_before
        if before is None:
            return


async def forget_old(session: AsyncSession, limit: int) -> int:
    """Delete some of the entries that are older than a year, the oldest first; the only way one is ever deleted.

    Args:
        limit: how many at most.

    Returns:
        How many were deleted.
    """
    oldest = (
        select(AuditEntry.id)
        .where(AuditEntry.at < utc_now() - KEPT_FOR - _LEEWAY)
        .order_by(col(AuditEntry.at))
        .limit(limit)
    )
    return (await session.exec(delete(AuditEntry).where(col(AuditEntry.id).in_(oldest)))).rowcount


async def count(
    database: Database, team_id: UUID, *, which: Filter | None = None, at_most: int
) -> int:
    """Return how many entries a team's log has, counting no further than `at_most`."""
    some = (
        select(AuditEntry.id)
        .where(AuditEntry.team_id == team_id, *_chosen(which or Filter()))
        .limit(at_most)
    )
    async with database.read() as session:
        return (await session.exec(select(func.count()).select_from(some.subquery()))).one()


def _values(
    action: AuditAction,
    team_id: UUID | None,
    actor: Actor,
    target: str,
    details: Mapping[str, Any] | None,
) -> dict[str, Any]:
    return {
        "at": utc_now(),
        "team_id": team_id,
        "actor_kind": actor.kind.value,
        "actor_id": actor.id,
        "actor_label": _storable(actor.label)[:_MAX_LABEL],
        "action": action.value,
        "target": _storable(target)[:_MAX_TARGET],
        "details": dict(details or {}),
        "address": current_client().address,
        "request_id": current_request_id(),
    }


def _chosen(which: Filter) -> Collection[Any]:
    conditions: list[Any] = []
    if which.kind:
        conditions.append(col(AuditEntry.action).in_(sorted(KIND_ACTIONS[which.kind])))
    if which.days is not None:
        conditions.append(col(AuditEntry.at) >= utc_now() - timedelta(days=which.days))
    if which.person != _storable(which.person):
        conditions.append(false())
    elif which.person:
        conditions.append(
            or_(
                col(AuditEntry.actor_label).icontains(which.person, autoescape=True),
                col(AuditEntry.target).icontains(which.person, autoescape=True),
            )
        )
    return conditions


def _storable(text: str) -> str:
    """Return `text` without what no database takes: NUL, and halves of characters."""
    return text.replace("\0", "").encode("utf-8", "ignore").decode()


def _position(entry: AuditEntry) -> Position:
    assert entry.id is not None  # it comes from the database
    return Position(entry.at, entry.id)


_COLUMNS: Final = (
    *("time", "action", "actor", "actor_kind", "target"),
    *("details", "address", "request_id"),
)
# A spreadsheet takes what begins so for a formula, and its formulas can send what stands beside them elsewhere.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def _csv_row(entry: AuditEntry) -> tuple[str, ...]:
    details = json.dumps(entry.details, ensure_ascii=False, sort_keys=True) if entry.details else ""
    return (
        entry.at.isoformat(timespec="seconds").replace("+00:00", "Z"),
        *(entry.action, entry.actor_label, entry.actor_kind, entry.target),
        *(details, entry.address or "", entry.request_id or ""),
    )


def _csv_lines(rows: Iterable[Iterable[str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerows([[_harmless(cell) for cell in row] for row in rows])
    return text.getvalue()


def _harmless(cell: str) -> str:
    risky = cell.startswith(_FORMULA) or cell.lstrip().startswith(_FORMULA)
    return f"'{cell}" if risky else cell
