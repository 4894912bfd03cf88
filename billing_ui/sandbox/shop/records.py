"""The bottom of the shop: its records, its time, and telling of what happens to them."""

import hashlib
import hmac
import json
import secrets
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

from pydantic import TypeAdapter

from billing_ui.sandbox.core.outbox import Outbox
from billing_ui.sandbox.core.store import Condition, Document, Store
from billing_ui.sandbox.shop.dialect import Change, ChangeKind, Dialect
from billing_ui.sandbox.shop.errors import Missing, Taken
from billing_ui.sandbox.shop.model import (
    Card,
    Checkout,
    Customer,
    Endpoint,
    Event,
    Invoice,
    Json,
    Kind,
    Price,
    Product,
    Record,
    Subscription,
)

if TYPE_CHECKING:
    from billing_ui.sandbox.shop.shop import Shop

R = TypeVar("R", bound=Record)

# Each in the order of a list, or SQLite would rather walk the whole list.
_INDEXES = [
    f"CREATE INDEX IF NOT EXISTS shop_{kind}_by_{name} ON object "
    f"({expression}, created DESC, seq DESC) WHERE type = '{kind}'"
    for kind, name, expression in (
        ("customer", "email", "lower(json_extract(body, '$.email'))"),
        ("customer", "external_id", "json_extract(body, '$.external_id')"),
        ("invoice", "subscription", "json_extract(body, '$.subscription')"),
        ("price", "product", "json_extract(body, '$.product')"),
    )
]
_KEY = "shop:key"


class Records:
    """What every operation of the shop stands on.

    Requests run one after the other, each in one transaction: what is read in a request is what
    is written against, and two simultaneous ones cannot both be the first.

    Args:
        store: Where everything is kept.
        outbox: Where events wait for their delivery.
        dialect: The provider that is imitated.
        origin: The sandbox's own address, such as `http://127.0.0.1:8420`; hosted pages are there.
        name: Whose shop it is: the seller on hosted pages and invoices.
    """

    def __init__(
        self, store: Store, outbox: Outbox, dialect: Dialect, origin: str, name: str
    ) -> None:
        self.store = store
        self.outbox = outbox
        self.dialect = dialect
        self.origin = origin
        self.name = name
        self.told = 0
        """How many events there were since the start, those of rehearsals included."""
        self._at: int | None = None
        self._wanted_id: str | None = None
        self._muted = False
        for statement in _INDEXES:
            store.execute(statement)

    @property
    def _whole(self) -> "Shop":
        # Nobody makes less than a whole shop: the layers are there to be read one by one.
        return cast("Shop", self)

    # ------------------------------------------------------------------------------------- time

    @property
    def now(self) -> int:
        """The time at which the current operation happens, in Unix seconds."""
        return int(time.time()) if self._at is None else self._at

    @contextmanager
    def at(self, moment: int | None) -> Iterator[None]:
        """Let everything inside happen at a Unix time; None leaves the time as it is."""
        before = self._at
        if moment is not None:
            self._at = moment
        try:
            yield
        finally:
            self._at = before

    def together(self) -> AbstractContextManager[None]:
        """Let everything inside happen, or nothing of it; an inner one is part of the outer."""
        return self.store.transaction()

    def rehearsal(self) -> AbstractContextManager[None]:
        """Let everything inside happen, and then not have happened: to see what would become."""
        return self.store.rehearsal()

    # ---------------------------------------------------------------------------------- records

    def peek(self, record: type[R], record_id: str) -> R | None:
        """Return a record, or None; a deleted customer is one, with `deleted_at`."""
        document = self.store.get(_key(record.kind, record_id))
        return None if document is None else _read(record, document)

    def get(self, record: type[R], record_id: str) -> R:
        """Return a record, also a deleted customer.

        Raises:
            Missing: There is none.
        """
        found = self.peek(record, record_id)
        if found is None:
            raise Missing(record.kind, record_id)
        return found

    def find(
        self,
        record: type[R],
        *conditions: Condition,
        customer: str | None = None,
        limit: int = -1,
        offset: int = 0,
        oldest_first: bool = False,
        deleted: bool = False,
    ) -> list[R]:
        """Return the records that meet all conditions, newest first.

        Args:
            record: Of which class.
            conditions: From `core.store`: `equals("status", "open")`, `one_of`, `within("created", …)`
                or `after`.
            customer: Only this customer's.
            limit: How many at most; all when -1.
            offset: How many to leave out at the beginning.
            oldest_first: Turn the order round.
            deleted: Whether deleted customers are among them.
        """
        listed = _listed(record, conditions, deleted)
        found = self.store.find(
            record.kind,
            listed,
            customer=customer,
            limit=limit,
            offset=offset,
            oldest_first=oldest_first,
        )
        return [_read(record, document) for document in found]

    def count(
        self,
        record: type[R],
        *conditions: Condition,
        customer: str | None = None,
        deleted: bool = False,
    ) -> int:
        """Return how many records meet all conditions; see `find`."""
        listed = _listed(record, conditions, deleted)
        return self.store.count(record.kind, listed, customer=customer)

    def after(self, record: type[R], record_id: str, *, oldest_first: bool = False) -> Condition:
        """Return the condition of standing after a record in a list.

        Raises:
            Missing: There is no such record.
        """
        place = self.store.position(_key(record.kind, record_id))
        if place is None:
            raise Missing(record.kind, record_id)
        return Condition(f"(created, seq) {'>' if oldest_first else '<'} (?, ?)", place)

    def save(self, record: R, *, touch: bool = True) -> R:
        """Keep a record, new or changed, and return it; nothing is told of it.

        Args:
            record: What to keep.
            touch: Whether it counts as changed now.
        """
        kept = replace(record, updated=self.now) if touch else record
        self.store.put(_written(kept))
        return kept

    def forget(self, record: Record) -> None:
        """Remove a record entirely."""
        self.store.remove(_key(record.kind, record.id))

    def new_id(self, kind: Kind) -> str:
        """Return the id of the record being made: the one wished for, or one of the dialect's.

        Raises:
            Taken: The one wished for is in use.
        """
        wanted, self._wanted_id = self._wanted_id, None
        if wanted is None:
            return self.dialect.new_id(kind, self._whole)
        if self.store.get(_key(kind, wanted)) is not None:
            raise Taken("id", wanted, wanted)
        return wanted

    @contextmanager
    def wishing(self, record_id: str | None) -> Iterator[None]:
        """Give the first record made inside this id; None wishes for nothing."""
        before, self._wanted_id = self._wanted_id, record_id
        try:
            yield
        finally:
            self._wanted_id = before

    def number(self, of: str = "id") -> int:
        """Return 1, and at each call for the same `of` one more: for ids that are numbers."""
        counter = f"shop:number:{of}"
        known = self.store.get(counter) or {"id": counter, "object": "shop", "value": 0}
        known["value"] += 1
        self.store.put(known)
        return int(known["value"])

    # ----------------------------------------------------------------------------------- events

    def tell(self, kind: ChangeKind, subject: Record, before: Record | None = None) -> None:
        """Tell of a change: keep its events, and queue them for the endpoints that want them."""
        if self._muted:
            return
        change = Change(kind, subject, before, self.now)
        for told in self.dialect.told(self._whole, change):
            event = Event(
                id=told.id or self.dialect.new_id(Kind.EVENT, self._whole),
                created=self.now,
                updated=self.now,
                type=told.type,
                payload=told.payload,
                customer=customer_of(subject),
            )
            self.save(event)
            wanting = [
                endpoint.id
                for endpoint in self.find(Endpoint)
                if endpoint.enabled and ("*" in endpoint.events or event.type in endpoint.events)
            ]
            self.outbox.add(event.id, event.type, wanting)
            self.told += 1

    @contextmanager
    def silence(self) -> Iterator[None]:
        """Tell nobody of what happens inside."""
        before, self._muted = self._muted, True
        try:
            yield
        finally:
            self._muted = before

    # ------------------------------------------------------------------------------------ links

    def sign(self, purpose: str, text: str) -> str:
        """Return a text for a URL that holds `text` and which nobody else can make."""
        packed = urlsafe_b64encode(text.encode()).decode().rstrip("=")
        return f"{packed}.{self._seal(purpose, packed)}"

    def unsign(self, purpose: str, signed: str) -> str | None:
        """Return the text that `sign` was given for the same purpose; None when it was not."""
        packed, _, seal = signed.rpartition(".")
        if not hmac.compare_digest(seal.encode(), self._seal(purpose, packed).encode()):
            return None
        return urlsafe_b64decode(packed + "=" * (-len(packed) % 4)).decode()

    def _seal(self, purpose: str, packed: str) -> str:
        known = self.store.get(_KEY)
        if known is None:
            known = {"id": _KEY, "object": "shop", "value": secrets.token_hex(32)}
            self.store.put(known)
        key = str(known["value"]).encode()
        return hmac.new(key, f"{purpose}:{packed}".encode(), hashlib.sha256).hexdigest()[:40]


def customer_of(record: Record) -> str | None:
    """Return the id of the customer a record belongs to; None when it belongs to none."""
    if record.kind is Kind.CUSTOMER:
        return record.id
    return getattr(record, "customer", None)


def _key(kind: Kind, record_id: str) -> str:
    # Some providers' ids are numbers, which begin anew for each kind.
    return f"{kind}:{record_id}"


def _listed(
    record: type[Record], conditions: tuple[Condition, ...], deleted: bool
) -> list[Condition]:
    hidden = record.kind is Kind.CUSTOMER and not deleted
    alive = [Condition("json_extract(body, '$.deleted_at') IS NULL")] if hidden else []
    return [*conditions, *alive]


_ADAPTERS: dict[Kind, TypeAdapter[Any]] = {
    record.kind: TypeAdapter(record)
    for record in (
        Card,
        Checkout,
        Customer,
        Endpoint,
        Event,
        Invoice,
        Price,
        Product,
        Subscription,
    )
}


def _read(record: type[R], document: Document) -> R:
    values = {**document, "id": document["id"].partition(":")[2]}
    found: R = _ADAPTERS[record.kind].validate_python(values)
    return found


def _written(record: Record) -> Json:
    # Through JSON and back: a dialect may keep nothing that would not come back the same.
    values: Json = json.loads(json.dumps(asdict(record)))
    return {
        **values,
        "id": _key(record.kind, record.id),
        "object": str(record.kind),
        "_due": record.next_due,
    }
