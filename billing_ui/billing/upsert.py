"""INSERT … ON CONFLICT, in the dialect of the database that is in use."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from sqlalchemy import Table, inspect
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession


async def upsert(
    session: AsyncSession, model: type[SQLModel], rows: Sequence[Mapping[str, Any]]
) -> None:
    """Insert rows, or overwrite those with the same primary key. All rows name the same columns."""
    if not rows:
        return
    # The table itself: the session would look for objects of its own that the statement changes.
    statement = _insert(session, cast(Table, inspect(model).local_table))
    keys = [column.name for column in _primary_key(model)]
    values = {name: statement.excluded[name] for name in rows[0] if name not in keys}
    connection = await session.connection()
    await connection.execute(
        statement.on_conflict_do_update(index_elements=keys, set_=values), list(rows)
    )


async def insert_if_absent(session: AsyncSession, row: SQLModel) -> None:
    """Insert a row unless it violates a unique constraint; waits for a transaction that is inserting the same."""
    statement = _insert(session, type(row)).values(**row.model_dump())
    await session.exec(statement.on_conflict_do_nothing())


def _insert(session: AsyncSession, into: type[SQLModel] | Table) -> Any:
    dialect = session.get_bind().dialect.name
    return sqlite.insert(into) if dialect == "sqlite" else postgresql.insert(into)


def _primary_key(model: type[SQLModel]) -> Iterable[Any]:
    return inspect(model).primary_key  # type: ignore[no-any-return]
