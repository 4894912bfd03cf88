"""Who came back from a trip to the provider, which an API token may have opened.

Revision ID: 0008
Revises: 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Apply this revision."""
    with op.batch_alter_table("portal_visit") as visit:
        visit.drop_index("ix_portal_visit_recent")
        visit.add_column(sa.Column("returned_user_id", sa.Uuid(), nullable=True))
        visit.create_foreign_key(
            "fk_portal_visit_returned_user_id",
            "user",
            ["returned_user_id"],
            ["id"],
            ondelete="SET NULL",
        )
        visit.create_index("ix_portal_visit_recent", ["returned_user_id", "team_id", "returned_at"])
    # Until now nobody but who went was told what came of it.
    op.execute("UPDATE portal_visit SET returned_user_id = user_id WHERE returned_at IS NOT NULL")
