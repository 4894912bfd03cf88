"""The inbox, recorded changes, jobs, and what the worker remembers of a customer.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Apply this revision."""
    op.create_table(
        "inbox_event",
        sa.Column("provider", sa.String(length=20), nullable=False),
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("type", sa.String(length=255), nullable=False),
        sa.Column("source", sa.String(length=20), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("provider_customer_id", sa.String(length=255), nullable=True),
        sa.Column("catalog", sa.Boolean(), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=True),
        sa.Column(
            "payload", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False
        ),
        sa.PrimaryKeyConstraint("provider", "id"),
    )
    op.create_index("ix_inbox_event_received_at", "inbox_event", ["received_at"])

    op.create_table(
        "job",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_owner", sa.String(length=64), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("error", sa.String(length=500), nullable=True),
        sa.Column("state", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "provider_pace",
        sa.Column("provider", sa.String(length=20), nullable=False),
        sa.Column("next_call_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("provider"),
    )
    op.create_table(
        "change",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("fetch_no", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("source", sa.String(length=20), nullable=False),
        sa.Column("visit_id", sa.Uuid(), nullable=True),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "document", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False
        ),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["visit_id"], ["portal_visit.id"], ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("customer_id", "fetch_no", "position", name="uq_change_found"),
    )
    op.create_index("ix_change_newest", "change", ["customer_id", "id"])

    # The rows that are there need a value; later ones are given theirs by the application.
    with op.batch_alter_table("subscription") as subscription:
        subscription.add_column(
            sa.Column("ends_unpaid", sa.Boolean(), nullable=False, server_default=sa.false())
        )
    with op.batch_alter_table("subscription") as subscription:
        subscription.alter_column("ends_unpaid", server_default=None)

    with op.batch_alter_table("customer") as customer:
        customer.drop_index("ix_customer_out_of_date")
        customer.add_column(sa.Column("sync_traceback", sa.String(), nullable=True))
        customer.add_column(
            sa.Column("partial", sa.Boolean(), nullable=False, server_default=sa.false())
        )
        customer.add_column(sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"))
        customer.add_column(sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True))
        customer.add_column(sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True))
        customer.add_column(sa.Column("parked_at", sa.DateTime(timezone=True), nullable=True))
        customer.add_column(sa.Column("marked_at", sa.DateTime(timezone=True), nullable=True))
        customer.add_column(sa.Column("marked_by", sa.String(length=64), nullable=True))
        customer.add_column(
            sa.Column(
                "next_invoice",
                sa.JSON().with_variant(postgresql.JSONB(), "postgresql"),
                nullable=True,
            )
        )
    with op.batch_alter_table("customer") as customer:
        customer.alter_column("partial", server_default=None)
        customer.alter_column("attempts", server_default=None)
        customer.create_index(
            "ix_customer_out_of_date",
            ["provider", "parked_at", "marked_at"],
            postgresql_where=sa.text("wanted > applied AND NOT partial"),
            sqlite_where=sa.text("wanted > applied AND NOT partial"),
        )
