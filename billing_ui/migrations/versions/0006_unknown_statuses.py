"""Where the subscriptions are whose status this version has no word for.

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_UNKNOWN = "state = 'unknown'"


def upgrade() -> None:
    """Apply this revision."""
    op.create_index(
        "ix_subscription_unknown",
        "subscription",
        ["provider", "status"],
        postgresql_where=sa.text(_UNKNOWN),
        sqlite_where=sa.text(_UNKNOWN),
    )
