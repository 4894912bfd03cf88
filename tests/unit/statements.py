"""What the database is asked, by sessions and by direct statements alike."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Dialect

from billing_ui.database import Database
from billing_ui.direct import Direct


@contextmanager
def noted_statements(database: Database) -> Iterator[list[tuple[str, Any]]]:
    """Note each statement that is sent while the block runs, and its arguments; BEGIN is none."""
    noted: list[tuple[str, Any]] = []
    engine = database.engine.sync_engine
    bind = Direct.bind

    def note(_connection: Any, _cursor: Any, statement: str, arguments: Any, *_: Any) -> None:
        if not statement.startswith("BEGIN"):
            noted.append((statement, arguments))

    def note_direct(
        self: Direct[Any], dialect: Dialect, parameters: Mapping[str, Any]
    ) -> tuple[str, list[Any]]:
        statement, arguments = bind(self, dialect, parameters)
        noted.append((statement, tuple(arguments)))
        return statement, arguments

    event.listen(engine, "before_cursor_execute", note)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Direct, "bind", note_direct)
        yield noted
    event.remove(engine, "before_cursor_execute", note)


async def plan_of(database: Database, statement: str, arguments: Any) -> list[str]:
    """Return the steps by which the database would run a statement, had it many rows."""
    async with database.engine.connect() as connection:
        if database.is_sqlite:
            plan = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", arguments)
            return [str(row._mapping["detail"]) for row in plan]
        # Few rows are read and sorted faster than found in an index.
        for other in ("seqscan", "bitmapscan", "sort"):
            await connection.exec_driver_sql(f"SET LOCAL enable_{other} = off")
        plan = await connection.exec_driver_sql(f"EXPLAIN {statement}", arguments)
        return [str(row[0]) for row in plan]
