"""Work that comes round by itself, done by one process at a time: recovery, reconciliation, pruning, backfill."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger
from sqlmodel import Field, SQLModel

from billing_ui.models.columns import JSON_DOCUMENT, UtcDateTime


class Job(SQLModel, table=True):
    """One job: when it is due, who is at it, how it last went, and what it must remember (`state`).

    `failures` counts since it last went well; `error` is what it last failed with.
    """

    name: str = Field(primary_key=True, max_length=80)
    due_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    lease_owner: str | None = Field(default=None, max_length=64)
    lease_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    started_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    finished_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    failures: int = 0
    error: str | None = Field(default=None, max_length=500)
    state: dict[str, Any] | None = Field(default=None, sa_type=JSON_DOCUMENT)


class ProviderPace(SQLModel, table=True):
    """When the next background call to a provider may begin: what all processes together keep to.

    `next_call_at` is Unix time in microseconds, a number both databases can reckon with.
    """

    __tablename__ = "provider_pace"

    provider: str = Field(primary_key=True, max_length=20)
    next_call_at: int = Field(sa_type=BigInteger)
