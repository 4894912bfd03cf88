"""What changed in a customer's billing, one row a change, in the order we found out."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Index, Integer, UniqueConstraint
from sqlmodel import Field, SQLModel

from billing_ui.clock import utc_now
from billing_ui.models.columns import JSON_DOCUMENT, UtcDateTime


class ChangeSource(StrEnum):
    """What a change came from, as far as we know."""

    PORTAL = "portal"
    CHECKOUT = "checkout"
    WEBHOOK = "webhook"
    RECONCILE = "reconcile"


class RecordedChange(SQLModel, table=True):
    """One named difference between two snapshots of a customer; `document` is the change itself.

    `fetch_no` is the fetch that found it and `position` its place among what that fetch found.
    """

    __tablename__ = "change"
    __table_args__ = (
        UniqueConstraint("customer_id", "fetch_no", "position", name="uq_change_found"),
        Index("ix_change_newest", "customer_id", "id"),
    )

    # SQLite numbers rows by itself only in a column that is an INTEGER.
    id: int | None = Field(
        default=None, primary_key=True, sa_type=BigInteger().with_variant(Integer, "sqlite")
    )
    customer_id: UUID = Field(foreign_key="customer.id", ondelete="CASCADE")
    fetch_no: int
    position: int
    source: str = Field(max_length=20)
    visit_id: UUID | None = Field(default=None, foreign_key="portal_visit.id", ondelete="SET NULL")
    found_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
    document: dict[str, Any] = Field(sa_type=JSON_DOCUMENT)
