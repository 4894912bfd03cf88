"""The audit log: who did what, when and from where; entries are added and never changed."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Index, Integer
from sqlmodel import Field, SQLModel

from billing_ui.clock import utc_now
from billing_ui.models.columns import JSON_DOCUMENT, UtcDateTime


class ActorKind(StrEnum):
    """What somebody who does something is."""

    USER = "user"
    TOKEN = "token"  # noqa: S105 - a name, not a secret
    OPERATOR = "operator"
    PROVIDER = "provider"
    NOBODY = "nobody"
    """Somebody who has not proved who they are."""


class AuditEntry(SQLModel, table=True):
    """One thing that was done in a team, or outside of every team.

    `action` is an `accounts.audit.AuditAction`, `target` what it was done to, in words, and `actor_label` the
    e-mail or the token's name as it was then. The database itself refuses to change an entry, or to delete
    one before a year has passed. So nothing here refers to other tables: what was done stays known when the
    people and the team are gone.
    """

    __tablename__ = "audit_entry"
    __table_args__ = (
        Index("ix_audit_entry_newest", "team_id", "at", "id"),
        Index("ix_audit_entry_at", "at"),
    )

    # SQLite numbers rows by itself only in a column that is an INTEGER.
    id: int | None = Field(
        default=None, primary_key=True, sa_type=BigInteger().with_variant(Integer, "sqlite")
    )
    at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
    team_id: UUID | None = None
    actor_kind: str = Field(max_length=20)
    actor_id: UUID | None = None
    actor_label: str = Field(default="", max_length=320)
    action: str = Field(max_length=40)
    target: str = Field(default="", max_length=500)
    details: dict[str, Any] = Field(default_factory=dict, sa_type=JSON_DOCUMENT)
    address: str | None = Field(default=None, max_length=64)
    request_id: str | None = Field(default=None, max_length=64)
