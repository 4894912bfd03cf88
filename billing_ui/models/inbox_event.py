"""The inbox: every event a provider told us, each once."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlmodel import Field, SQLModel

from billing_ui.clock import utc_now
from billing_ui.models.columns import JSON_DOCUMENT, UtcDateTime


class EventSource(StrEnum):
    """How an event reached us."""

    WEBHOOK = "webhook"
    RECOVERY = "recovery"


class InboxEvent(SQLModel, table=True):
    """One accepted event. What it made out of date was marked in the transaction that stored it.

    Its key is the provider's own id: a second delivery finds the first. `provider_customer_id` is whom it
    concerns, resolved when it was accepted, and `catalog` whether it concerns what the provider sells;
    `request_id` is of the request that brought it.
    """

    __tablename__ = "inbox_event"

    provider: str = Field(primary_key=True, max_length=20)
    id: str = Field(primary_key=True, max_length=255)
    type: str = Field(max_length=255)
    source: str = Field(default=EventSource.WEBHOOK, max_length=20)
    created_at: datetime = Field(sa_type=UtcDateTime)
    received_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime, index=True)
    provider_customer_id: str | None = Field(default=None, max_length=255)
    catalog: bool = False
    request_id: str | None = Field(default=None, max_length=64)
    payload: dict[str, Any] = Field(sa_type=JSON_DOCUMENT)
