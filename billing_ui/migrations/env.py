"""What Alembic runs: migrations over the connection it is handed, or over the configured database."""

import asyncio
from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import JSON, Connection
from sqlmodel import SQLModel
from sqlmodel.sql.sqltypes import AutoString

import billing_ui.models  # noqa: F401 - importing it registers every table
from billing_ui.database import Database
from billing_ui.models.columns import UtcDateTime
from billing_ui.settings import get_settings


def _render_item(kind: str, item: Any, autogen: AutogenContext) -> str | Literal[False]:
    # A revision must not change when the models do, so it names plain column types only.
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, AutoString):
        return f"sa.String(length={item.length})" if item.length else "sa.String()"
    if kind == "type" and isinstance(item, JSON):
        autogen.imports.add("from sqlalchemy.dialects import postgresql")
        return 'sa.JSON().with_variant(postgresql.JSONB(), "postgresql")'
    return False


def _migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=SQLModel.metadata,
        render_item=_render_item,
        compare_type=True,
        compare_server_default=True,
        render_as_batch=connection.dialect.name == "sqlite",
    )
    with context.begin_transaction():
        context.run_migrations()


async def _migrate_configured_database() -> None:
    database = Database(get_settings().database_url)
    try:
        async with database.engine.begin() as connection:
            await connection.run_sync(_migrate)
    finally:
        await database.close()


handed: Connection | None = context.config.attributes.get("connection")
if handed is not None:
    _migrate(handed)
else:
    # Alembic's own command line, with which a developer writes a new revision.
    asyncio.run(_migrate_configured_database())
