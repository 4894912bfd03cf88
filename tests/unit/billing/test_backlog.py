"""What waits is counted without looking at what does not."""

from sqlalchemy import event

from billing_ui.billing.backlog import backlogs
from billing_ui.database import Database


async def test_customers_that_are_current_are_never_looked_at(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    asked: list[tuple[str, tuple[object, ...]]] = []
    event.listen(
        database.engine.sync_engine,
        "before_cursor_execute",
        lambda _connection, _cursor, statement, values, *_: asked.append((statement, values)),
    )
    assert await backlogs(database) == ()
    ((query, values),) = asked
    async with database.engine.connect() as connection:
        plan = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", values)
        steps = [str(row.detail) for row in plan]
    await database.close()
    (of_customers,) = [step for step in steps if " customer " in step]
    assert of_customers.endswith("USING INDEX ix_customer_out_of_date")
