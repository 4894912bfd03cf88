"""What the tables share: column types, so that both databases behave alike, and how statements name them."""

from datetime import UTC, datetime
from typing import Any, cast

from sqlalchemy import JSON, DateTime, Table, inspect
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import defer
from sqlalchemy.orm.interfaces import ORMOption
from sqlalchemy.types import TypeDecorator
from sqlmodel import SQLModel


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC datetime on both databases; SQLite would hand back a naive one."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse a naive datetime and store any other in UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime cannot be stored; say which zone it is in")
        return value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Return what is stored as aware UTC."""
        if value is None:
            return None
        moment: datetime = value
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


# None is SQL NULL: a missing document, not the document `null`.
JSON_DOCUMENT = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def left_out(column: Any) -> ORMOption:
    """Return the option that leaves `column` out of a query for whole rows; using it then is an error."""
    return defer(column, raiseload=True)


def table_of(model: type[SQLModel]) -> Table:
    """Return the table itself of a model, for statements that need no session's objects."""
    return cast(Table, inspect(model).local_table)
