"""Whose turn it is among the customers that are out of date: events before what was marked in bulk.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_OUT_OF_DATE = "wanted > applied AND NOT partial"


def upgrade() -> None:
    """Apply this revision."""
    # Nobody can say any more what marked the customers that wait. As the least urgent they keep their order, and
    # whatever is told of from now on does not wait for them.
    with op.batch_alter_table("customer") as customer:
        customer.drop_index("ix_customer_out_of_date")
        customer.add_column(sa.Column("urgency", sa.Integer(), nullable=False, server_default="3"))
    op.execute("UPDATE customer SET urgency = 2 WHERE team_id IS NOT NULL AND wanted > applied")
    with op.batch_alter_table("customer") as customer:
        customer.alter_column("urgency", server_default=None)
        customer.create_index(
            "ix_customer_out_of_date",
            ["provider", "parked_at", "urgency", "marked_at"],
            postgresql_where=sa.text(_OUT_OF_DATE),
            sqlite_where=sa.text(_OUT_OF_DATE),
        )
