"""INSERT … ON CONFLICT, in the dialect of the database that is in use."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from billing_ui.models.columns import table_of


def insert_into(connection: AsyncConnection, model: type[SQLModel]) -> Any:
    """Return an INSERT that can be told what to do on a conflict."""
    # The table itself: the session would look for objects of its own that the statement changes.
    table = table_of(model)
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)


async def upsert(
    session: AsyncSession, model: type[SQLModel], rows: Sequence[Mapping[str, Any]]
) -> None:
    """Insert rows, or overwrite those with the same primary key. All rows name the same columns."""
    if not rows:
        return
    connection = await session.connection()
    statement = insert_into(connection, model)
    keys = [column.name for column in table_of(model).primary_key]
    values = {name: statement.excluded[name] for name in rows[0] if name not in keys}
    await connection.execute(
        statement.on_conflict_do_update(index_elements=keys, set_=values), list(rows)
    )


async def insert_if_absent(session: AsyncSession, row: SQLModel) -> None:
    """Insert a row unless it violates a unique constraint; waits for a transaction that is inserting the same."""
    connection = await session.connection()
    statement = insert_into(connection, type(row)).values(**row.model_dump())
    await connection.execute(statement.on_conflict_do_nothing())
