"""Storing events that arrive, each once, and marking in the same transaction what they make out of date."""

import json
import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, TypeAlias

import structlog
from pydantic_core import PydanticSerializationError, to_json
from sqlalchemy import tuple_
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import OperationalError, StatementError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from billing_ui.billing.arrival_statement import ROWS, marking, storing_statement
from billing_ui.billing.fetches import Mirror
from billing_ui.billing.group_commit import GroupCommit
from billing_ui.billing.upsert import insert_into
from billing_ui.clock import utc_now
from billing_ui.database import Database
from billing_ui.direct import Direct
from billing_ui.models import Catalog, Customer, EventSource, InboxEvent, PaymentMethod, Urgency
from billing_ui.models.columns import table_of
from billing_ui.payments.types import ProviderEvent
from billing_ui.settings import Provider

log = structlog.get_logger(__name__)

_DATA_EXCEPTION: Final = "22"
"""The class of SQLSTATE for a value that the database does not take."""
_REFUSED_BY_DRIVER: Final = (
    ValueError,  # asyncpg's own DataError is one, and so is text that is no Unicode
    TypeError,
    OverflowError,
    sqlite3.DataError,
    sqlite3.InterfaceError,
)
_BATCH: Final = 64
"""How many events share a transaction at most."""

_STORING: Final = Direct(storing_statement(), lambda provider, event: (provider, event))

EventKey: TypeAlias = tuple[str, str]
"""A provider and its id of an event."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """An event as it came: from which provider, by which way, and with which request."""

    provider: Provider
    event: ProviderEvent
    source: EventSource
    request_id: str | None = None

    @property
    def key(self) -> EventKey:
        """What makes it the same event when it comes again."""
        return self.provider.value, self.event.id


def gather_arrivals(database: Database) -> GroupCommit[Arrival, bool]:
    """Return what stores events that arrive at the same time in one transaction; True for a new one."""

    async def commit(arrivals: Sequence[Arrival]) -> Sequence[bool]:
        return await store_arrivals(database, arrivals)

    return GroupCommit(commit, limit=_BATCH, separable=refuses_a_value)


async def store_arrivals(database: Database, arrivals: Sequence[Arrival]) -> tuple[bool, ...]:
    """Store events in one transaction, and mark what the new ones make out of date.

    Every transaction goes through events, catalogues and customers in the same order, each by their keys, so
    that two processes never wait for each other. On SQLite the steps follow each other; PostgreSQL's one
    statement makes each part need what the part before it wrote.

    Returns:
        For each arrival whether its event was new; of several of one event, the first counts.

    Raises:
        sqlalchemy.exc.SQLAlchemyError, OSError: the database failed, or refused (`refuses_a_value`) one of
            several events; nothing is stored.
    """
    try:
        return await _store(database, arrivals)
    except StatementError as error:
        if len(arrivals) > 1 or not refuses_a_value(error):
            raise
    # Whom it concerns is what must not be lost. The rest, such as a NUL in some text, is only for reading.
    (arrival,) = arrivals
    log.warning("event_without_payload", provider=arrival.provider.value, id=arrival.event.id)
    bare = replace(arrival, event=arrival.event.model_copy(update={"payload": {}}))
    return await _store(database, [bare])


async def mark_again(session: AsyncSession, event: InboxEvent) -> None:
    """Mark what a stored event concerns, its customer or the catalogue, out of date once more."""
    connection = await session.connection()
    if event.catalog:
        await _mark(connection, Catalog, [{"provider": event.provider, "wanted": 1}])
    if event.provider_customer_id is not None:
        row = _customer_row(event.provider, event.provider_customer_id, 1, event.request_id)
        await _mark(connection, Customer, [row])


def refuses_a_value(error: Exception) -> bool:
    """Return whether the database refused a value it was given, rather than failed."""
    if not isinstance(error, StatementError) or isinstance(error, OperationalError):
        return False
    state: str | None = getattr(error.orig, "sqlstate", None)
    if state is not None:
        return state.startswith(_DATA_EXCEPTION)
    # The driver itself refused it, before the database saw it; a lost connection has no state either.
    cause = error.orig and error.orig.__cause__
    return isinstance(error.orig, _REFUSED_BY_DRIVER) or isinstance(cause, _REFUSED_BY_DRIVER)


async def _store(database: Database, arrivals: Sequence[Arrival]) -> tuple[bool, ...]:
    distinct = {arrival.key: arrival for arrival in reversed(arrivals)}
    customers = await _customers(database, list(distinct.values()))
    if database.is_sqlite:
        new = await _store_in_steps(database, distinct, customers)
    else:
        new = await _store_at_once(database, distinct, customers)
    # A line for all of them: it is written while others wait for their turn.
    log.info(
        "events_stored",
        events=[id_ for _, id_ in sorted(new)],
        duplicates=len(arrivals) - len(new),
        request_ids=[arrival.request_id for arrival in arrivals if arrival.request_id],
    )
    return tuple(arrival.key in new and distinct[arrival.key] is arrival for arrival in arrivals)


async def _store_in_steps(
    database: Database, arrivals: dict[EventKey, Arrival], customers: dict[EventKey, str]
) -> set[EventKey]:
    """Store events and mark what they make out of date, step by step; returns the new ones."""
    statement = (
        sqlite.insert(table_of(InboxEvent))
        .on_conflict_do_nothing()
        .returning(col(InboxEvent.provider), col(InboxEvent.id))
    )
    async with database.write(durable=True) as session:
        connection = await session.connection()
        result = await connection.execute(statement, _rows(arrivals, customers))
        new = {(provider, event) for provider, event in result}
        await _mark_catalogs(connection, [arrivals[key] for key in new])
        await _mark_customers(connection, [arrivals[key] for key in new], customers)
    return new


async def _store_at_once(
    database: Database, arrivals: dict[EventKey, Arrival], customers: dict[EventKey, str]
) -> set[EventKey]:
    """Do what `_store_in_steps` does, in one statement."""
    rows = _rows(arrivals, customers)
    try:
        document = to_json(rows).decode()
    except PydanticSerializationError:
        # Text that is no Unicode; the database says so of the event whose it is.
        document = json.dumps(rows, default=datetime.isoformat)
    return set(await database.execute(_STORING, durable=True, **{ROWS: document}))


async def _customers(database: Database, arrivals: Sequence[Arrival]) -> dict[EventKey, str]:
    """Return the provider's id of the customer that each event concerns, as far as one is known.

    An event about a payment method may name no customer; then it is that of our own row of it.
    """
    found = {
        arrival.key: arrival.event.customer_id
        for arrival in arrivals
        if arrival.event.customer_id is not None
    }
    methods = {
        arrival.key: (arrival.provider.value, arrival.event.payment_method_id)
        for arrival in arrivals
        if arrival.event.customer_id is None and arrival.event.payment_method_id is not None
    }
    if methods:
        owners = await _owners(database, sorted(set(methods.values())))
        found |= {key: owners[method] for key, method in methods.items() if method in owners}
    return found


async def _owners(
    database: Database, methods: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], str]:
    query = (
        select(PaymentMethod.provider, PaymentMethod.id, Customer.provider_customer_id)
        .join(Customer, col(Customer.id) == PaymentMethod.customer_id)
        .where(tuple_(col(PaymentMethod.provider), col(PaymentMethod.id)).in_(methods))
    )
    async with database.read() as session:
        rows = (await session.exec(query)).all()
    return {(provider, method): owner for provider, method, owner in rows if owner is not None}


def _rows(
    arrivals: dict[EventKey, Arrival], customers: dict[EventKey, str]
) -> list[dict[str, Any]]:
    now = utc_now()
    return [
        {
            "provider": arrival.provider.value,
            "id": arrival.event.id,
            "type": arrival.event.type,
            "source": arrival.source.value,
            "created_at": arrival.event.created_at,
            "received_at": now,
            "provider_customer_id": customers.get(key),
            "catalog": arrival.event.catalog,
            "request_id": arrival.request_id,
            "payload": arrival.event.payload,
        }
        for key, arrival in sorted(arrivals.items())
    ]


async def _mark_catalogs(connection: AsyncConnection, new: Sequence[Arrival]) -> None:
    times = Counter(arrival.provider.value for arrival in new if arrival.event.catalog)
    rows = [{"provider": provider, "wanted": count} for provider, count in sorted(times.items())]
    await _mark(connection, Catalog, rows)


async def _mark_customers(
    connection: AsyncConnection, new: Sequence[Arrival], customers: dict[EventKey, str]
) -> None:
    times: Counter[tuple[str, str]] = Counter()
    request_ids: dict[tuple[str, str], str | None] = {}
    for arrival in new:
        if (customer := customers.get(arrival.key)) is not None:
            times[arrival.provider.value, customer] += 1
            request_ids[arrival.provider.value, customer] = arrival.request_id
    rows = [
        _customer_row(provider, customer, count, request_ids[provider, customer])
        for (provider, customer), count in sorted(times.items())
    ]
    await _mark(connection, Customer, rows)


def _customer_row(
    provider: str, customer_id: str, times: int, request_id: str | None
) -> dict[str, Any]:
    """Return the row of a customer of nobody's: what is inserted when we have not heard of it yet."""
    return {
        "provider": provider,
        "provider_customer_id": customer_id,
        "wanted": times,
        "marked_by": request_id,
        "urgency": Urgency.EVENT_UNCLAIMED.value,
    }


async def _mark(
    connection: AsyncConnection, mirror: Mirror, rows: Sequence[dict[str, Any]]
) -> None:
    """Insert rows, or mark those that are there as often as their `wanted` says."""
    if not rows:
        return
    statement = insert_into(connection, mirror)
    key = ["provider", "provider_customer_id"] if mirror is Customer else ["provider"]
    marked = statement.on_conflict_do_update(
        index_elements=key, set_=marking(mirror, statement.excluded)
    )
    await connection.execute(marked, list(rows))
