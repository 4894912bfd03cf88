"""Who a person is elsewhere, API tokens, one-time links, how a session began, and the audit log.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Apply this revision."""
    for table in ("team", "user"):
        op.add_column(table, sa.Column("external_id", sa.String(length=255), nullable=True))
        op.create_index(f"ix_{table}_external_id", table, ["external_id"], unique=True)
    _sessions()
    _identities()
    _tokens()
    _links()
    _audit_log()
    if op.get_context().dialect.name == "postgresql":
        _protect_on_postgresql()
    else:
        _protect_on_sqlite()


def _sessions() -> None:
    with op.batch_alter_table("auth_session") as session:
        # Until now there was no other way in, but for the sandbox's.
        session.add_column(
            sa.Column("method", sa.String(length=20), nullable=False, server_default="password")
        )
        session.add_column(sa.Column("user_agent", sa.String(length=400), nullable=True))
        session.add_column(sa.Column("address", sa.String(length=64), nullable=True))
        session.add_column(sa.Column("issuer", sa.String(length=500), nullable=True))
        session.add_column(sa.Column("sealed_id_token", sa.String(), nullable=True))
    with op.batch_alter_table("auth_session") as session:
        session.alter_column("method", server_default=None)


def _identities() -> None:
    op.create_table(
        "user_identity",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("issuer", sa.String(length=500), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("issuer", "subject", name="uq_user_identity_subject"),
    )
    op.create_index("ix_user_identity_user_id", "user_identity", ["user_id"])


def _tokens() -> None:
    op.create_table(
        "api_token",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("hint", sa.String(length=4), nullable=False),
        sa.Column("team_id", sa.Uuid(), nullable=True),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.Column(
            "scopes", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["created_by"], ["user.id"], ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("token_hash"),
    )
    op.create_index("ix_api_token_team_id", "api_token", ["team_id"])


def _links() -> None:
    op.create_table(
        "one_time_link",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("team_id", sa.Uuid(), nullable=True),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("email", sa.String(length=320), nullable=True),
        sa.Column("role", sa.String(length=20), nullable=True),
        sa.Column("destination", sa.String(length=2048), nullable=True),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["created_by"], ["user.id"], ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("token_hash"),
    )
    for column in ("team_id", "user_id", "expires_at"):
        op.create_index(f"ix_one_time_link_{column}", "one_time_link", [column])


def _audit_log() -> None:
    op.create_table(
        "audit_entry",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("team_id", sa.Uuid(), nullable=True),
        sa.Column("actor_kind", sa.String(length=20), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("actor_label", sa.String(length=320), nullable=False),
        sa.Column("action", sa.String(length=40), nullable=False),
        sa.Column("target", sa.String(length=500), nullable=False),
        sa.Column(
            "details", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False
        ),
        sa.Column("address", sa.String(length=64), nullable=True),
        sa.Column("request_id", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_audit_entry_newest", "audit_entry", ["team_id", "at", "id"])
    op.create_index("ix_audit_entry_at", "audit_entry", ["at"])


def _protect_on_postgresql() -> None:
    op.execute(
        """
        CREATE FUNCTION refuse_to_rewrite_audit_entry() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'DELETE' AND OLD.at < now() - INTERVAL '365 days' THEN
                RETURN OLD;
            END IF;
            RAISE EXCEPTION 'the audit log is only ever added to';
        END $$
        """
    )
    op.execute(
        "CREATE TRIGGER audit_entry_is_kept BEFORE UPDATE OR DELETE ON audit_entry"
        " FOR EACH ROW EXECUTE FUNCTION refuse_to_rewrite_audit_entry()"
    )


def _protect_on_sqlite() -> None:
    refuse = "SELECT RAISE(ABORT, 'the audit log is only ever added to')"
    op.execute(
        f"CREATE TRIGGER audit_entry_is_unchanged BEFORE UPDATE ON audit_entry BEGIN {refuse}; END"
    )
    op.execute(
        "CREATE TRIGGER audit_entry_is_kept BEFORE DELETE ON audit_entry"
        f" WHEN OLD.at >= datetime('now', '-365 days') BEGIN {refuse}; END"
    )
