"""Paddle's lists: pages that begin after an id."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar
from urllib.parse import urlencode

from billing_ui.sandbox.core.store import Condition
from billing_ui.sandbox.paddle.requests import found, invalid
from billing_ui.sandbox.shop.dialect import Answered, Asked
from billing_ui.sandbox.shop.errors import Missing
from billing_ui.sandbox.shop.model import Json, Record
from billing_ui.sandbox.shop.shop import Shop

R = TypeVar("R", bound=Record)

PAGING: Final = frozenset({"after", "per_page", "order_by"})
"""What every list understands."""

MOST: Final = 200
"""How many entities a page has at most."""

_ORDERS: Final = {"id[asc]": True, "id[desc]": False}


@dataclass(frozen=True)
class Listed(Generic[R]):
    """What a list is of.

    Attributes:
        record: The class.
        shown: Makes an entity of a record.
        conditions: Which of them.
        deleted: Whether archived customers can be among them.
    """

    record: type[R]
    shown: Callable[[R], Json]
    conditions: Sequence[Condition]
    deleted: bool = False


@dataclass(frozen=True)
class Pager:
    """Which page of a list: after which id, how many, and in which order."""

    after: str | None
    per_page: int
    oldest_first: bool


def split(text: str) -> list[str]:
    """Return what a comma-separated parameter lists."""
    return [part for part in text.split(",") if part]


def pager(query: Json, *, most: int = MOST, default: int = 50) -> Pager:
    """Return which page a query asks for; more than the most is the most.

    Raises:
        Refusal: It does not say so properly.
    """
    wanted = query.get("per_page", str(default))
    if not wanted.isascii() or not wanted.isdigit() or int(wanted) < 1:
        raise invalid(per_page="must be a whole number from 1")
    order = query.get("order_by", "id[DESC]").lower()
    if order not in _ORDERS:
        raise invalid(order_by="must be id[ASC] or id[DESC]")
    return Pager(query.get("after"), min(int(wanted), most), _ORDERS[order])


def answered(shop: Shop, asked: Asked, query: Json, listed: Listed[R]) -> Answered:
    """Return a page of a list.

    Raises:
        Refusal: The query asks for a page that there is none of.
    """
    page, conditions = pager(query), list(listed.conditions)
    if "id" in query:
        conditions.append(_by_id(listed.record, split(query["id"])))
    after = conditions
    if page.after is not None:
        try:
            place = shop.after(listed.record, page.after, oldest_first=page.oldest_first)
        except Missing:
            raise invalid(after="there is no such entity") from None
        after = [*conditions, place]
    records = shop.find(
        listed.record,
        *after,
        limit=page.per_page + 1,
        oldest_first=page.oldest_first,
        deleted=listed.deleted,
    )
    total = shop.count(listed.record, *conditions, deleted=listed.deleted)
    shown = [listed.shown(record) for record in records[: page.per_page]]
    return paged(
        shop, asked, shown, page, more=len(records) > page.per_page, last=records, total=total
    )


def paged(
    shop: Shop,
    asked: Asked,
    shown: list[Json],
    page: Pager,
    *,
    more: bool,
    last: Sequence[Record],
    total: int,
) -> Answered:
    """Return entities as a page; `last` are their records."""
    kept = [(name, value) for name, value in asked.query if name != "after"]
    after = [("after", last[len(shown) - 1].id)] if shown else []
    return found(
        shown,
        pagination={
            "per_page": page.per_page,
            "next": f"{shop.origin}{asked.path}?{urlencode([*kept, *after])}",
            "has_more": more,
            "estimated_total": total,
        },
    )


def _by_id(record: type[Record], ids: Sequence[str]) -> Condition:
    marks = ", ".join("?" * len(ids))
    return Condition(f"id IN ({marks})", tuple(f"{record.kind}:{one}" for one in ids))


def in_status(archived: str, query: Json) -> Condition:
    """Return the condition of a list that is of what is active unless it is told otherwise."""
    wanted = split(query.get("status", "active"))
    if not set(wanted) <= {"active", "archived"}:
        raise invalid(status="must be active or archived")
    if len(set(wanted)) == 2:
        return Condition("1 = 1")
    return Condition(archived if wanted == ["archived"] else f"NOT ({archived})")


def check_among(name: str, query: Json, allowed: set[str]) -> None:
    """Refuse a parameter that lists something else than what is allowed."""
    if name in query and not set(split(query[name])) <= allowed:
        raise invalid(**{name: f"must be among {', '.join(sorted(allowed))}"})


def among(column: str, values: list[str]) -> Condition:
    """Return the condition that a column is one of some values."""
    marks = ", ".join("?" * len(values))
    return Condition(f"{column} IN ({marks})", tuple(values))
