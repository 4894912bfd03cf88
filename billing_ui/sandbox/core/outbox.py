"""The queue of events on their way to registered endpoints, kept in the sandbox's own database."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from billing_ui.sandbox.core.store import Store

SCHEMA = (
    """
    CREATE TABLE IF NOT EXISTS delivery (
        id       INTEGER PRIMARY KEY AUTOINCREMENT,
        event    TEXT    NOT NULL,
        type     TEXT    NOT NULL,
        endpoint TEXT    NOT NULL,
        state    TEXT    NOT NULL DEFAULT 'pending',
        queued   REAL    NOT NULL,
        due      REAL,
        attempts INTEGER NOT NULL DEFAULT 0,
        struck   INTEGER NOT NULL DEFAULT 0,
        held     INTEGER NOT NULL DEFAULT 0
    )
    """,
    "CREATE INDEX IF NOT EXISTS delivery_by_due ON delivery (due) WHERE due IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS delivery_by_event ON delivery (event)",
    "CREATE INDEX IF NOT EXISTS delivery_held ON delivery (endpoint) WHERE held",
    "CREATE INDEX IF NOT EXISTS delivery_settled ON delivery (queued) WHERE due IS NULL",
)

FIRST_RETRY, LONGEST_RETRY = 1, 60
"""Seconds until the first retry, which double with each, and what they grow to at most."""
GIVE_UP_AFTER = 3 * 24 * 3600
"""Seconds after which a delivery is tried no more, https://docs.stripe.com/webhooks#retries."""


@dataclass(frozen=True)
class Delivery:
    """One event on its way to one endpoint.

    Attributes:
        id: Its place in the queue.
        event: The id of the event.
        type: The type of the event.
        endpoint: The id of the endpoint.
        queued: When the event happened, in Unix seconds.
        attempts: How often it was sent in vain.
        struck: Whether (1) or not (0) a fault has already been at it.
    """

    id: int
    event: str
    type: str
    endpoint: str
    queued: float
    attempts: int
    struck: int


COLUMNS = "id, event, type, endpoint, queued, attempts, struck"


class Outbox:
    """What waits to be delivered, what was, and what was given up.

    Args:
        store: Whose database and transactions it shares: an event and its deliveries are
            committed together, or not at all.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.bell = asyncio.Event()
        for statement in SCHEMA:
            store.execute(statement)

    def add(self, event: str, type_: str, endpoints: Iterable[str]) -> None:
        """Queue an event for endpoints; part of the transaction the event is written in."""
        now = time.time()
        for endpoint in endpoints:
            self._store.execute(
                "INSERT INTO delivery (event, type, endpoint, queued, due) VALUES (?, ?, ?, ?, ?)",
                (event, type_, endpoint, now, now),
            )
            self.bell.set()

    def due(self, until: float, limit: int) -> list[Delivery]:
        """Return what is to be sent until a Unix time, the longest waiting first."""
        return self._selected("due <= ? ORDER BY due, id LIMIT ?", until, limit)

    def next_due(self, after: float) -> float | None:
        """Return when, after a Unix time, something is next to be sent."""
        row = self._store.execute("SELECT min(due) FROM delivery WHERE due > ?", (after,))
        moment: float | None = row.fetchone()[0]
        return moment

    def untouched(self) -> list[Delivery]:
        """Return what was neither sent nor struck by a fault yet."""
        return self._selected("due IS NOT NULL AND attempts = 0 AND NOT struck ORDER BY id")

    def delivered(self, delivery: Delivery) -> None:
        """Note that an endpoint has taken an event, and let go what was to come after it."""
        with self._store.transaction():
            self._settle(delivery, "delivered")
            self._store.execute(
                "UPDATE delivery SET due = ?, held = 0 WHERE held AND endpoint = ? AND id < ?",
                (time.time(), delivery.endpoint, delivery.id),
            )

    def failed(self, delivery: Delivery) -> None:
        """Note that an endpoint has not taken an event: it is sent again later, for three days."""
        now = time.time()
        if now - delivery.queued >= GIVE_UP_AFTER:
            self.give_up(delivery)
            return
        wait = min(LONGEST_RETRY, FIRST_RETRY * 2 ** min(delivery.attempts, 10))
        with self._store.transaction():
            self._store.execute(
                "UPDATE delivery SET due = ?, held = 0, attempts = attempts + 1 WHERE id = ?",
                (now + wait, delivery.id),
            )

    def give_up(self, delivery: Delivery) -> None:
        """Send an event to an endpoint no more."""
        with self._store.transaction():
            self._settle(delivery, "failed")

    def postpone(self, delivery: Delivery, seconds: float, *, until_overtaken: bool) -> None:
        """Send later: after a while, or before that as soon as a later event has arrived."""
        with self._store.transaction():
            self._store.execute(
                "UPDATE delivery SET due = ?, held = ?, struck = 1 WHERE id = ?",
                (time.time() + seconds, until_overtaken, delivery.id),
            )

    def duplicate(self, delivery: Delivery) -> None:
        """Send twice."""
        with self._store.transaction():
            self._store.execute("UPDATE delivery SET struck = 1 WHERE id = ?", (delivery.id,))
            self._store.execute(
                "INSERT INTO delivery (event, type, endpoint, queued, due, struck) "
                "SELECT event, type, endpoint, queued, due, 1 FROM delivery WHERE id = ?",
                (delivery.id,),
            )
        self.bell.set()

    def hurry(self) -> float:
        """Make everything that waits due; return since when, in Unix seconds."""
        now = time.time()
        with self._store.transaction():
            self._store.execute(
                "UPDATE delivery SET due = ?, held = 0, struck = 1 WHERE due IS NOT NULL", (now,)
            )
        self.bell.set()
        return now

    def owed(self, event: str) -> int:
        """Return how many endpoints have not taken an event."""
        row = self._store.execute(
            "SELECT count(DISTINCT endpoint) FROM delivery "
            "WHERE event = ? AND state <> 'delivered'",
            (event,),
        )
        return int(row.fetchone()[0])

    def counts(self) -> dict[str, int]:
        """Return how many deliveries are pending, delivered and failed."""
        rows = self._store.execute("SELECT state, count(*) FROM delivery GROUP BY state")
        found = Counter(dict(rows.fetchall()))
        return {state: found[state] for state in ("pending", "delivered", "failed")}

    def forget(self, before: float, limit: int) -> int:
        """Forget deliveries queued before a Unix time that wait no more; return how many it was."""
        return self._store.execute(
            "DELETE FROM delivery WHERE id IN "
            "(SELECT id FROM delivery WHERE due IS NULL AND queued < ? LIMIT ?)",
            (before, limit),
        ).rowcount

    def clear(self) -> None:
        """Forget everything."""
        with self._store.transaction():
            self._store.execute("DELETE FROM delivery")

    def _settle(self, delivery: Delivery, state: str) -> None:
        self._store.execute(
            "UPDATE delivery SET state = ?, due = NULL, held = 0 WHERE id = ?", (state, delivery.id)
        )

    def _selected(self, condition: str, *arguments: float) -> list[Delivery]:
        rows = self._store.execute(
            f"SELECT {COLUMNS} FROM delivery WHERE {condition}",  # noqa: S608 - only our own text
            arguments,
        )
        return [Delivery(*row) for row in rows]


OWED = "EXISTS (SELECT 1 FROM delivery WHERE event = object.id AND state <> 'delivered')"
"""The condition on a stored event that some endpoint has not taken it."""
