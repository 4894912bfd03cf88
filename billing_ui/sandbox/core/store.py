"""Documents in one SQLite file: every object of a provider is one row of JSON."""

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

Document = dict[str, Any]
"""One object as the provider would answer it, plus private keys that begin with an underscore."""

Row = tuple[str, str, int, str | None, int | None, str]
"""Id, type, created, customer, due and the JSON text of a document."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS object (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT,
    id       TEXT    NOT NULL UNIQUE,
    type     TEXT    NOT NULL,
    created  INTEGER NOT NULL,
    customer TEXT,
    due      INTEGER,
    body     TEXT    NOT NULL
);
CREATE INDEX IF NOT EXISTS object_by_type ON object (type, created DESC, seq DESC);
CREATE INDEX IF NOT EXISTS object_by_customer ON object (customer, type, created DESC, seq DESC)
    WHERE customer IS NOT NULL;
CREATE INDEX IF NOT EXISTS object_by_due ON object (due) WHERE due IS NOT NULL;
CREATE INDEX IF NOT EXISTS object_by_email
    ON object (json_extract(body, '$.email'), created DESC, seq DESC) WHERE type = 'customer';
CREATE INDEX IF NOT EXISTS object_by_first_item
    ON object (json_extract(body, '$.items.data[0].id')) WHERE type = 'subscription';
CREATE TABLE IF NOT EXISTS idempotency (
    key         TEXT    PRIMARY KEY,
    fingerprint TEXT    NOT NULL,
    status      INTEGER NOT NULL,
    body        TEXT    NOT NULL,
    created     INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS idempotency_by_created ON idempotency (created);
"""


@dataclass(frozen=True)
class Condition:
    """One SQL condition over the columns of `object`, with its arguments."""

    sql: str
    arguments: tuple[Any, ...] = ()


def equals(path: str, value: str | int | bool) -> Condition:
    """Match documents whose JSON value at `path` (such as `recurring.interval`) is `value`."""
    return Condition(f"json_extract(body, '$.{path}') = ?", (value,))


def one_of(path: str, values: Iterable[str]) -> Condition:
    """Match documents whose JSON value at `path` is among `values`."""
    listed = tuple(values)
    marks = ", ".join("?" * len(listed))
    return Condition(f"json_extract(body, '$.{path}') IN ({marks})", listed)


def within(expression: str, bounds: Mapping[str, int]) -> list[Condition]:
    """Match by `gt`, `gte`, `lt`, `lte` on a column or SQL expression (times: Unix seconds)."""
    signs = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
    return [Condition(f"{expression} {signs[name]} ?", (at,)) for name, at in bounds.items()]


class Store:
    """The rows of one sandbox. Used by one thread at a time; every write is in `transaction()`."""

    def __init__(self, path: str | Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode = WAL")
        # A killed process loses nothing with NORMAL; only a power cut could cost the last writes.
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.execute("PRAGMA busy_timeout = 5000")
        self._connection.execute("PRAGMA cache_size = -65536")
        self._connection.executescript(SCHEMA)
        self._depth = 0

    def close(self) -> None:
        """Close the database file."""
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit everything written inside, or nothing; an inner one becomes part of the outer."""
        with self._block() as undo:
            try:
                yield
            except BaseException:
                undo()
                raise

    @contextmanager
    def rehearsal(self) -> Iterator[None]:
        """Undo everything written inside, however it ends."""
        with self._block() as undo:
            try:
                yield
            finally:
                undo()

    @contextmanager
    def _block(self) -> Iterator[Callable[[], object]]:
        """Begin a transaction or a savepoint inside it; yield what undoes it; end it."""
        execute, name = self._connection.execute, f"level_{self._depth}"
        outermost = self._depth == 0
        execute("BEGIN IMMEDIATE" if outermost else f"SAVEPOINT {name}")
        self._depth += 1
        try:
            yield partial(execute, "ROLLBACK" if outermost else f"ROLLBACK TO {name}")
        finally:
            self._depth -= 1
            if not outermost:
                execute(f"RELEASE {name}")
            elif self._connection.in_transaction:
                execute("COMMIT")

    def execute(self, sql: str, arguments: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Run a statement on a table of somebody who shares this database."""
        return self._connection.execute(sql, arguments)

    def get(self, object_id: str) -> Document | None:
        """Return one document, or None."""
        row = self._connection.execute(
            "SELECT body FROM object WHERE id = ?", (object_id,)
        ).fetchone()
        return None if row is None else json.loads(row[0])

    def put(self, document: Document) -> None:
        """Insert or replace one document.

        `created` orders lists, `customer` makes it findable by customer, `_due` (Unix seconds) is
        when time next changes it. A document with `deleted` stays readable and leaves every list.
        """
        self._connection.execute(UPSERT, row_of(document))

    def insert_rows(self, rows: Iterable[Row]) -> None:
        """Insert many new documents at once, given as the rows `row_of` would make."""
        self._connection.executemany(INSERT, rows)

    def remove(self, object_id: str) -> None:
        """Forget a document entirely."""
        self._connection.execute("DELETE FROM object WHERE id = ?", (object_id,))

    def find(
        self,
        type_: str,
        conditions: Iterable[Condition] = (),
        *,
        customer: str | None = None,
        limit: int = -1,
        offset: int = 0,
        oldest_first: bool = False,
    ) -> list[Document]:
        """Return the documents of a type that meet all conditions, newest first."""
        where, arguments = _where(type_, conditions, customer)
        order = "created, seq" if oldest_first else "created DESC, seq DESC"
        rows = self._connection.execute(
            f"SELECT body FROM object WHERE {where} ORDER BY {order} LIMIT ? OFFSET ?",  # noqa: S608
            (*arguments, limit, offset),
        )
        return [json.loads(body) for (body,) in rows]

    def count(
        self, type_: str, conditions: Iterable[Condition] = (), *, customer: str | None = None
    ) -> int:
        """Return how many documents of a type meet all conditions."""
        where, arguments = _where(type_, conditions, customer)
        row = self._connection.execute(
            f"SELECT count(*) FROM object WHERE {where}",  # noqa: S608 - only our own text
            arguments,
        )
        return int(row.fetchone()[0])

    def position(self, object_id: str) -> tuple[int, int] | None:
        """Return `(created, seq)` of a document: its place in every list."""
        row: tuple[int, int] | None = self._connection.execute(
            "SELECT created, seq FROM object WHERE id = ?", (object_id,)
        ).fetchone()
        return row

    def next_due(self, until: int, *conditions: Condition) -> Document | None:
        """Return the document whose `_due` comes first and is not after `until` (Unix seconds)."""
        listed = [Condition("due <= ?", (until,)), *conditions]
        where = " AND ".join(condition.sql for condition in listed)
        row = self._connection.execute(
            f"SELECT body FROM object WHERE {where} ORDER BY due, seq LIMIT 1",  # noqa: S608
            [argument for condition in listed for argument in condition.arguments],
        ).fetchone()
        return None if row is None else json.loads(row[0])

    def remembered(self, key: str, since: int) -> tuple[str, int, str] | None:
        """Return `(fingerprint, status, body)` kept for an idempotency key since a Unix time."""
        row: tuple[str, int, str] | None = self._connection.execute(
            "SELECT fingerprint, status, body FROM idempotency WHERE key = ? AND created >= ?",
            (key, since),
        ).fetchone()
        return row

    def remember(self, key: str, fingerprint: str, status: int, body: str, created: int) -> None:
        """Keep the answer given for an idempotency key."""
        self._connection.execute(
            "INSERT OR REPLACE INTO idempotency VALUES (?, ?, ?, ?, ?)",
            (key, fingerprint, status, body, created),
        )

    def forget_keys(self, before: int, limit: int) -> int:
        """Forget answers kept for idempotency keys before a Unix time; return how many it was."""
        return self._connection.execute(
            "DELETE FROM idempotency WHERE key IN "
            "(SELECT key FROM idempotency WHERE created < ? LIMIT ?)",
            (before, limit),
        ).rowcount

    def wipe(self) -> None:
        """Forget everything."""
        with self.transaction():
            self._connection.execute("DELETE FROM object")
            self._connection.execute("DELETE FROM idempotency")


def _where(
    type_: str, conditions: Iterable[Condition], customer: str | None
) -> tuple[str, list[Any]]:
    """Return the text and the arguments of a WHERE."""
    # Written out, for SQLite uses an index made for one type only where it sees that type.
    listed = [Condition(f"type = '{type_}'"), *conditions]
    if customer is not None:
        listed.insert(0, Condition("customer = ?", (customer,)))
    where = " AND ".join(condition.sql for condition in listed)
    return where, [argument for condition in listed for argument in condition.arguments]


INSERT = "INSERT INTO object (id, type, created, customer, due, body) VALUES (?, ?, ?, ?, ?, ?)"
UPSERT = f"""
{INSERT}
ON CONFLICT (id) DO UPDATE SET type = excluded.type, customer = excluded.customer,
    due = excluded.due, body = excluded.body
"""


def row_of(document: Document) -> Row:
    """Return the row that holds a document."""
    return (
        document["id"],
        "deleted" if document.get("deleted") else document["object"],
        # Of all Stripe's objects the invoice item alone calls it otherwise.
        document.get("created") or document.get("date", 0),
        document.get("customer"),
        document.get("_due"),
        json.dumps(document, separators=(",", ":")),
    )
