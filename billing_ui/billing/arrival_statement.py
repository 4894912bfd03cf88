"""The one statement that stores a batch of events on PostgreSQL: a single trip to the database, commit included.

It inserts the events and, of those that were not there, counts what they make out of date. What PostgreSQL cannot
do with several statements for less than three trips more, each of which every waiting request would wait for.
"""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, Table, bindparam, cast, column, func, literal
from sqlalchemy import select as choose
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.sql.schema import ScalarElementColumnDefault
from sqlalchemy.sql.selectable import CTE, TableValuedAlias
from sqlalchemy.types import Text
from sqlmodel import col

from billing_ui.billing.fetches import Mirror, mark_values
from billing_ui.models import Catalog, Customer, InboxEvent, Urgency
from billing_ui.models.columns import table_of

ROWS: Final = "rows"
"""The statement's one parameter: rows of `InboxEvent` as JSON."""


def marking(mirror: Mirror, inserted: Any) -> dict[str, Any]:
    """Return what becomes of a row that is there when one with a count of marks (`wanted`) is inserted."""
    customers = mirror is Customer
    values = (
        mark_values(mirror, inserted.marked_by, at=inserted.marked_at)
        if customers
        else mark_values(mirror)
    )
    return values | {"wanted": col(mirror.wanted) + inserted.wanted}


def storing_statement() -> Select[Any]:
    """Return the statement; its rows are provider and id of each event that was new."""
    events = table_of(InboxEvent)
    given = _given(events)
    new = (
        insert(events)
        .from_select(
            list(given.c.keys()),
            choose(*given.c).order_by(*_in_order(given.c.provider, given.c.id)),
        )
        .on_conflict_do_nothing()
        .returning(*events.c)
        .cte("new")
    )
    catalogs = _marked_catalogs(new)
    return choose(new.c.provider, new.c.id).add_cte(catalogs, _marked_customers(new, catalogs))


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
        list(marks),
        choose(*marks.values())
        .where(new.c.catalog)
        .group_by(new.c.provider)
        .order_by(*_in_order(new.c.provider)),
    )
    return (
        statement.on_conflict_do_update(
            index_elements=["provider"], set_=marking(Catalog, statement.excluded)
        )
        .returning(table_of(Catalog).c.provider)
        .cte("catalogs")
    )


def _marked_customers(new: CTE, catalogs: CTE) -> CTE:
    """Return what marks the customers, once every catalogue is marked.

    PostgreSQL promises no order among the parts of a statement that write, except that what one reads of another
    is there. Both count the new events, so all of these are stored before; this one counts the catalogues too.
    """
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
        "urgency": literal(Urgency.EVENT_UNCLAIMED.value),
    }
    statement = insert(table_of(Customer)).from_select(
        list(marks),
        choose(*marks.values())
        .where(
            new.c.provider_customer_id.is_not(None),
            choose(func.count()).select_from(catalogs).scalar_subquery() >= 0,
        )
        .group_by(*key)
        .order_by(*_in_order(*key)),
    )
    return statement.on_conflict_do_update(
        index_elements=["provider", "provider_customer_id"],
        set_=marking(Customer, statement.excluded),
    ).cte("customers")


def _in_order(*key: ColumnElement[Any]) -> Sequence[ColumnElement[Any]]:
    """Return by what the rows to be inserted are sorted, so that two processes never wait for each other.

    That is Python's order, whatever the database's own is: a backfill goes through the same customers in that.
    """
    return [part.collate("C") for part in key]


def _of_a_new_row(mirror: Mirror) -> dict[str, ColumnElement[Any]]:
    """Return the constants that a new row begins with, but for the count of its marks."""
    return {
        one.name: literal(one.default.arg, one.type)
        for one in table_of(mirror).columns
        if isinstance(one.default, ScalarElementColumnDefault) and one.name != "wanted"
    }
