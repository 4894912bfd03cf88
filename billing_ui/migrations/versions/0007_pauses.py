"""When a subscription that goes on is going to be paused.

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Apply this revision."""
    op.add_column("subscription", sa.Column("pauses_at", sa.DateTime(timezone=True)))
