"""The one statement that stores a batch of events on PostgreSQL: a single trip to the database, commit included.

It inserts the events and, of those that were not there, counts what they make out of date. What PostgreSQL cannot
do with several statements for less than three trips more, each of which every waiting request would wait for.
"""

from typing import Any, Final

from sqlalchemy import ColumnElement, Select, Table, bindparam, cast, column, func, literal
from sqlalchemy import select as choose
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.sql.schema import ScalarElementColumnDefault
from sqlalchemy.sql.selectable import CTE, TableValuedAlias
from sqlalchemy.types import Text
from sqlmodel import col

from billing_ui.billing.fetches import Mirror, mark_values
from billing_ui.models import Catalog, Customer, InboxEvent
from billing_ui.models.columns import table_of

ROWS: Final = "rows"
"""The statement's one parameter: rows of `InboxEvent` as JSON, in the order of their keys."""


def marking(mirror: Mirror, inserted: Any) -> dict[str, Any]:
    """Return what becomes of a row that is there when one with a count of marks (`wanted`) is inserted."""
    values = mark_values(mirror) | {"wanted": col(mirror.wanted) + inserted.wanted}
    if mirror is Customer:
        values["marked_at"] = func.coalesce(col(Customer.marked_at), inserted.marked_at)
        values["marked_by"] = inserted.marked_by
    return values


def storing_statement() -> Select[Any]:
    """Return the statement; its rows are provider and id of each event that was new."""
    events = table_of(InboxEvent)
    given = _given(events)
    new = (
        insert(events)
        .from_select(list(given.c.keys()), choose(*given.c))
        .on_conflict_do_nothing()
        .returning(*events.c)
        .cte("new")
    )
    return choose(new.c.provider, new.c.id).add_cte(_marked_catalogs(new), _marked_customers(new))


def _given(table: Table) -> TableValuedAlias:
    document = cast(bindparam(ROWS, type_=Text), JSONB)
    columns = [column(one.name, one.type) for one in table.columns]
    return func.jsonb_to_recordset(document).table_valued(*columns).render_derived(with_types=True)


def _marked_catalogs(new: CTE) -> CTE:
    marks: dict[str, ColumnElement[Any]] = {
        "provider": new.c.provider,
        "wanted": func.count(),
        **_of_a_new_row(Catalog),
    }
    statement = insert(table_of(Catalog)).from_select(
        list(marks), choose(*marks.values()).where(new.c.catalog).group_by(new.c.provider)
    )
    return statement.on_conflict_do_update(
        index_elements=["provider"], set_=marking(Catalog, statement.excluded)
    ).cte("catalogs")


def _marked_customers(new: CTE) -> CTE:
    key = (new.c.provider, new.c.provider_customer_id)
    marks: dict[str, ColumnElement[Any]] = {
        "id": func.gen_random_uuid(),
        "provider": new.c.provider,
        "provider_customer_id": new.c.provider_customer_id,
        "wanted": func.count(),
        "claimed_at": func.now(),
        "marked_at": func.now(),
        "marked_by": func.max(new.c.request_id),
        "tax_ids": cast(literal("[]", Text), JSONB),
        **_of_a_new_row(Customer),
    }
    # In order, so that two processes never wait for each other: in Python's order, whatever the database's own
    # is, for a backfill goes through the same customers in that.
    statement = insert(table_of(Customer)).from_select(
        list(marks),
        choose(*marks.values())
        .where(new.c.provider_customer_id.is_not(None))
        .group_by(*key)
        .order_by(*(part.collate("C") for part in key)),
    )
    return statement.on_conflict_do_update(
        index_elements=["provider", "provider_customer_id"],
        set_=marking(Customer, statement.excluded),
    ).cte("customers")


def _of_a_new_row(mirror: Mirror) -> dict[str, ColumnElement[Any]]:
    """Return the constants that a new row begins with, but for the count of its marks."""
    return {
        one.name: literal(one.default.arg, one.type)
        for one in table_of(mirror).columns
        if isinstance(one.default, ScalarElementColumnDefault) and one.name != "wanted"
    }
