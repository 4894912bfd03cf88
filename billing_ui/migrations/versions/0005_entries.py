"""Where the product that let somebody in wants them back.

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Apply this revision."""
    op.add_column("auth_session", sa.Column("came_from", sa.String(length=2048), nullable=True))
