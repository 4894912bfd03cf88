"""Subscriptions and their items, as the provider last told them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKeyConstraint, Index, text
from sqlmodel import Field, SQLModel

from billing_ui.models.columns import JSON_DOCUMENT, UtcDateTime


class Subscription(SQLModel, table=True):
    """One subscription; `status` is the provider's word, `state` ours (see `payments.types`)."""

    __table_args__ = (
        # Few if any: they are looked for again and again, to be reported.
        Index(
            "ix_subscription_unknown",
            "provider",
            "status",
            postgresql_where=text("state = 'unknown'"),
            sqlite_where=text("state = 'unknown'"),
        ),
    )

    provider: str = Field(primary_key=True, max_length=20)
    id: str = Field(primary_key=True, max_length=255)
    customer_id: UUID = Field(foreign_key="customer.id", index=True, ondelete="CASCADE")
    status: str = Field(max_length=40)
    state: str = Field(max_length=40)
    currency: str = Field(max_length=3)
    created_at: datetime = Field(sa_type=UtcDateTime)
    current_period_start: datetime | None = Field(default=None, sa_type=UtcDateTime)
    current_period_end: datetime | None = Field(default=None, sa_type=UtcDateTime)
    cancel_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    canceled_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    trial_end: datetime | None = Field(default=None, sa_type=UtcDateTime)
    ends_unpaid: bool = False
    pauses_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    resumes_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    raw: dict[str, Any] = Field(sa_type=JSON_DOCUMENT)


class SubscriptionItem(SQLModel, table=True):
    """One price and quantity of a subscription; amounts in minor units of `currency`."""

    __tablename__ = "subscription_item"
    __table_args__ = (
        ForeignKeyConstraint(
            ["provider", "subscription_id"],
            ["subscription.provider", "subscription.id"],
            ondelete="CASCADE",
        ),
    )

    provider: str = Field(primary_key=True, max_length=20)
    id: str = Field(primary_key=True, max_length=255)
    subscription_id: str = Field(max_length=255, index=True)
    position: int
    price_id: str = Field(max_length=255)
    product_id: str = Field(max_length=255)
    plan_name: str = Field(max_length=512)
    unit_label: str | None = None
    quantity: int | None = None
    unit_amount: int | None = Field(default=None, sa_type=BigInteger)
    currency: str = Field(max_length=3)
    interval: str | None = Field(default=None, max_length=10)
    interval_count: int = 1
    current_period_start: datetime | None = Field(default=None, sa_type=UtcDateTime)
    current_period_end: datetime | None = Field(default=None, sa_type=UtcDateTime)
