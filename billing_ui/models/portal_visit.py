"""Trips to the provider's portal or checkout, and what came of them."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from billing_ui.clock import utc_now
from billing_ui.models.columns import JSON_DOCUMENT, UtcDateTime


class VisitKind(StrEnum):
    """Where the person went."""

    PORTAL = "portal"
    CHECKOUT = "checkout"


class PortalVisit(SQLModel, table=True):
    """One trip: who went, with which flow, the state before, and the changes found on the return.

    `returned_user_id` is who came back last: the one who went, or anybody of the team when an API token opened
    the trip. They are told what came of it, which does not make them the one who did it.

    The id stands in the return URL; it never grants access to anything. Coming back marks the customer
    out of date and keeps that count in `wanted`: the sync that reaches it says what changed. `changes`
    stays null when the state before was unknown, so that nothing can be said.
    """

    __tablename__ = "portal_visit"
    __table_args__ = (
        Index("ix_portal_visit_recent", "returned_user_id", "team_id", "returned_at"),
    )

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    customer_id: UUID = Field(foreign_key="customer.id", ondelete="CASCADE", index=True)
    team_id: UUID = Field(foreign_key="team.id", ondelete="CASCADE")
    user_id: UUID | None = Field(default=None, foreign_key="user.id", ondelete="SET NULL")
    kind: str = Field(max_length=20)
    flow: str | None = Field(default=None, max_length=40)
    return_url: str | None = Field(default=None, max_length=2048)
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
    before: dict[str, Any] | None = Field(default=None, sa_type=JSON_DOCUMENT)
    returned_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    returned_user_id: UUID | None = Field(default=None, foreign_key="user.id", ondelete="SET NULL")
    wanted: int | None = None
    synced_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    changes: list[dict[str, Any]] | None = Field(default=None, sa_type=JSON_DOCUMENT)
    dismissed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
