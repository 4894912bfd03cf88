"""One-time links: making them, looking at one, and using it, which only the first can."""

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from billing_ui.accounts.errors import LinkExpired, LinkRevoked, LinkUnknown, LinkUsed
from billing_ui.accounts.random_tokens import new_token, token_hash
from billing_ui.clock import utc_now
from billing_ui.models import LinkKind, OneTimeLink, Role

LIFETIMES: Final[dict[LinkKind, timedelta]] = {
    LinkKind.INVITATION: timedelta(days=7),
    LinkKind.PASSWORD_RESET: timedelta(hours=24),
    LinkKind.ENTRY: timedelta(minutes=5),
}
"""So long a link of each kind can be used."""


async def make_link(
    session: AsyncSession,
    kind: LinkKind,
    *,
    team_id: UUID | None = None,
    user_id: UUID | None = None,
    email: str | None = None,
    role: Role | None = None,
    destination: str | None = None,
    created_by: UUID | None = None,
) -> str:
    """Write a new link within a transaction and return its token, which is kept nowhere.

    Args:
        team_id: the team it leads into.
        user_id: whom it is for, when they are known here.
        email: whom it is for, by a normalised address.
        role: what they become in the team.
        destination: the path or allowed URL they go on to.
        created_by: the user who makes it.
    """
    token, now = new_token(), utc_now()
    session.add(
        OneTimeLink(
            kind=kind,
            token_hash=token_hash(token),
            team_id=team_id,
            user_id=user_id,
            email=email,
            role=role,
            destination=destination,
            created_by=created_by,
            created_at=now,
            expires_at=now + LIFETIMES[kind],
        )
    )
    await session.flush()
    return token


async def find_link(session: AsyncSession, kind: LinkKind, token: str) -> OneTimeLink:
    """Return the link of `token` without using it: to show what it is for.

    Raises:
        LinkUnknown, LinkUsed, LinkRevoked, LinkExpired: it is of no use.
    """
    query = select(OneTimeLink).where(
        OneTimeLink.token_hash == token_hash(token), OneTimeLink.kind == kind
    )
    link = (await session.exec(query)).one_or_none()
    if link is None:
        raise LinkUnknown
    if link.used_at is not None:
        raise LinkUsed
    if link.revoked_at is not None:
        raise LinkRevoked
    if link.expires_at <= utc_now():
        raise LinkExpired
    return link


async def use_link(session: AsyncSession, kind: LinkKind, token: str) -> OneTimeLink:
    """Use the link of `token` up, within a transaction, and return it.

    Of many that use it at once one gets it: it is taken by a single statement, and whoever comes second waits
    for the first one's transaction. When that fails, the link can be used again.

    Raises:
        LinkUnknown, LinkUsed, LinkRevoked, LinkExpired: it is of no use.
    """
    now = utc_now()
    taken = await session.exec(
        update(OneTimeLink)
        .where(
            col(OneTimeLink.token_hash) == token_hash(token),
            col(OneTimeLink.kind) == kind,
            _usable(now),
        )
        .values(used_at=now)
        .returning(OneTimeLink)
        # The row is read as it is after the update, whatever this session has seen of it before.
        .execution_options(synchronize_session=False, populate_existing=True)
    )
    link: OneTimeLink | None = taken.scalar_one_or_none()
    if link is not None:
        return link
    await find_link(session, kind, token)
    raise LinkUsed


async def revoke_link(session: AsyncSession, team_id: UUID, link_id: UUID) -> OneTimeLink | None:
    """Let a team's link be of no more use, and return it; None when there is no such link that is."""
    now = utc_now()
    revoked = await session.exec(
        update(OneTimeLink)
        .where(
            col(OneTimeLink.id) == link_id,
            col(OneTimeLink.team_id) == team_id,
            _usable(now),
        )
        .values(revoked_at=now)
        .returning(OneTimeLink)
        .execution_options(synchronize_session=False, populate_existing=True)
    )
    link: OneTimeLink | None = revoked.scalar_one_or_none()
    return link


def _usable(now: datetime) -> Any:
    return (
        col(OneTimeLink.used_at).is_(None)
        & col(OneTimeLink.revoked_at).is_(None)
        & (col(OneTimeLink.expires_at) > now)
    )
