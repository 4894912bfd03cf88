"""Invoices, as the provider last told them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Index
from sqlmodel import Field, SQLModel

from billing_ui.models.columns import JSON_DOCUMENT, UtcDateTime


class Invoice(SQLModel, table=True):
    """One invoice; amounts in minor units of `currency`."""

    __table_args__ = (Index("ix_invoice_newest", "customer_id", "created_at", "id"),)

    provider: str = Field(primary_key=True, max_length=20)
    id: str = Field(primary_key=True, max_length=255)
    customer_id: UUID = Field(foreign_key="customer.id", ondelete="CASCADE")
    subscription_id: str | None = Field(default=None, max_length=255)
    number: str | None = Field(default=None, max_length=255)
    status: str = Field(max_length=40)
    currency: str = Field(max_length=3)
    total: int = Field(sa_type=BigInteger)
    amount_due: int = Field(sa_type=BigInteger)
    amount_paid: int = Field(sa_type=BigInteger)
    amount_remaining: int = Field(sa_type=BigInteger)
    created_at: datetime = Field(sa_type=UtcDateTime)
    due_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    next_attempt_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    attempt_count: int = 0
    hosted_url: str | None = None
    pdf_url: str | None = None
    raw: dict[str, Any] = Field(sa_type=JSON_DOCUMENT)
