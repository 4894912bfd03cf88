"""The provider's customer of a team, the counters that say whether our copy is current, and the copy itself."""

from datetime import datetime
from enum import IntEnum
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from billing_ui.clock import utc_now
from billing_ui.models.columns import JSON_DOCUMENT, UtcDateTime


class Urgency(IntEnum):
    """Whose turn it is among the customers that are out of date: the smaller the sooner.

    Nobody waits for what was marked in bulk, which may be every customer there is: it is fetched with what events
    leave. It is promised no share of its own. Events mark a customer once, however many they are; where even so
    more come than can be fetched, every page is late already, and a share would make them later.

    Somebody may be looking at a customer that a team has claimed, and at no other.
    """

    EVENT = 0
    """An event told of it, or a person came back from the provider or asked."""
    EVENT_UNCLAIMED = 1
    BULK = 2
    """It was marked with all the others, to be sure."""
    BULK_UNCLAIMED = 3


class Customer(SQLModel, table=True):
    """One customer at one provider.

    The row is committed before the provider is asked to create the customer (the claim): a crash in
    between leaves `provider_customer_id` null, and the retry repeats `create_params` under the same
    idempotency key. A customer deleted at the provider is followed by a row of the next generation.
    Customers we did not create have no team until an operator links them.

    `wanted > applied` means out of date. A fetch takes the next `fetch_no`; a result older than
    `applied_fetch_no` is refused. No clock takes part in either.

    `partial`: what we have of it was listed in bulk, never fetched whole. The worker leaves such a customer
    alone until something marks it: an event, or somebody who looks at it.

    `attempts` counts the failures since the last success, the first of which was at `failing_since`. The worker
    waits until `next_attempt_at`, and gave up at `parked_at`. `marked_at` and `marked_by` (the id of a request)
    say since when and by what it is out of date, for people and metrics. The worker goes by `urgency` (an
    `Urgency`; it says nothing of a customer that is current), then by `marked_at`.
    """

    __table_args__ = (
        UniqueConstraint("team_id", "provider", "generation", name="uq_customer_claim"),
        UniqueConstraint("provider", "provider_customer_id", name="uq_customer_provider_id"),
        # Customers out of date are few among many: the worker finds them without a scan and in their order,
        # those it gave up on left out.
        Index(
            "ix_customer_out_of_date",
            "provider",
            "parked_at",
            "urgency",
            "marked_at",
            postgresql_where=text("wanted > applied AND NOT partial"),
            sqlite_where=text("wanted > applied AND NOT partial"),
        ),
    )

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    team_id: UUID | None = Field(default=None, foreign_key="team.id")
    provider: str = Field(max_length=20)
    provider_customer_id: str | None = Field(default=None, max_length=255)
    generation: int = 1

    create_params: dict[str, Any] | None = Field(default=None, sa_type=JSON_DOCUMENT)
    claimed_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)

    wanted: int = 1
    applied: int = 0
    fetch_no: int = 0
    applied_fetch_no: int = 0
    lease_owner: str | None = Field(default=None, max_length=64)
    lease_until: datetime | None = Field(default=None, sa_type=UtcDateTime)

    synced_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    sync_error: str | None = Field(default=None, max_length=500)
    sync_traceback: str | None = None
    partial: bool = False
    attempts: int = 0
    failing_since: datetime | None = Field(default=None, sa_type=UtcDateTime)
    next_attempt_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    parked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    marked_at: datetime | None = Field(default_factory=utc_now, sa_type=UtcDateTime)
    marked_by: str | None = Field(default=None, max_length=64)
    urgency: int = Urgency.EVENT.value
    deleted_at: datetime | None = Field(default=None, sa_type=UtcDateTime)

    email: str | None = Field(default=None, max_length=512)
    name: str | None = Field(default=None, max_length=512)
    phone: str | None = None
    address: dict[str, Any] | None = Field(default=None, sa_type=JSON_DOCUMENT)
    tax_ids: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSON_DOCUMENT)
    currency: str | None = Field(default=None, max_length=3)
    next_invoice: dict[str, Any] | None = Field(default=None, sa_type=JSON_DOCUMENT)


class CustomerSnapshot(SQLModel, table=True):
    """The newest applied snapshot of a customer: what the next one is compared with.

    The provider's own documents (`raw`) are left out; they stand beside the rows they belong to.
    """

    __tablename__ = "customer_snapshot"

    customer_id: UUID = Field(foreign_key="customer.id", primary_key=True, ondelete="CASCADE")
    fetch_no: int
    data: dict[str, Any] = Field(sa_type=JSON_DOCUMENT)
