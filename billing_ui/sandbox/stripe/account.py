"""One imitated Stripe account: the only way in, for HTTP, for the hosted pages and for control."""

import asyncio
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from billing_ui.sandbox.core.control import Outcome
from billing_ui.sandbox.core.ids import new_id, owner_of
from billing_ui.sandbox.core.outbox import Outbox
from billing_ui.sandbox.core.store import Condition, Store
from billing_ui.sandbox.stripe import events, test_time
from billing_ui.sandbox.stripe.errors import StripeError
from billing_ui.sandbox.stripe.operations import INCLUDABLE, VIEWS, Operation, find
from billing_ui.sandbox.stripe.shapes import Json, SDKClass, can_expand, complete
from billing_ui.sandbox.stripe.validator import Params, encode, validate

KINDS = {
    "billing_portal.configuration": "configuration",
    "checkout.session": "checkout.session",
    "payment_method": "PaymentMethod",
    "payment_intent": "payment_intent",
}
"""What an object is called in "No such …", where that is not its object name."""


class Account:
    """The state of the account and the operations on it.

    Requests run one after the other, each in one transaction: what is read in a request is what
    is written against, and two simultaneous ones cannot both be the first.

    Args:
        store: Where everything is kept.
        origin: The sandbox's own address, such as `http://127.0.0.1:8420`; hosted pages are there.
        name: Whose account it is: the seller on hosted pages and invoices.
    """

    def __init__(self, store: Store, origin: str, name: str = "Acme Cloud") -> None:
        self.store = store
        self.outbox = Outbox(store)
        self.origin = origin
        self.name = name
        self.request_id: str | None = None
        self.idempotency_key: str | None = None
        self.told = 0
        """How many events there were since the start, those of rehearsals included."""
        self.after_dunning: Outcome = "cancel"
        """What becomes of a subscription whose invoice was tried in vain for the last time."""
        self.clock_bell = asyncio.Event()
        """Rung when a test clock begins to advance."""
        self._lock = threading.RLock()
        self._at: int | None = None
        self._simulated = False
        self._wanted_id: str | None = None

    # ------------------------------------------------------------------------------- operations

    def call(
        self,
        method: str,
        path: str,
        params: Params | None = None,
        *,
        at: int | None = None,
        wanted_id: str | None = None,
    ) -> Json:
        """Run one API operation, as the HTTP layer would.

        Args:
            method: `get`, `post` or `delete`.
            path: Such as `/v1/customers/cus_1`.
            params: Python values as the SDK takes them, `expand` included.
            at: The time the operation happens at, in Unix seconds; now when not given.
            wanted_id: The id of the object to be made, instead of a random one.

        Returns:
            The JSON answer.

        Raises:
            StripeError: What Stripe would answer instead.
        """
        return self.perform(method, path, encode(params or {}), at=at, wanted_id=wanted_id)

    def perform(
        self,
        method: str,
        path: str,
        wire_params: Params,
        *,
        at: int | None = None,
        wanted_id: str | None = None,
    ) -> Json:
        """Run one API operation whose parameters are strings, as they come over the wire."""
        found = find(method.lower(), path)
        if found is None:
            raise StripeError.unknown_url(method, path)
        entry, ids = found
        params = validate(entry.params_type, wire_params)
        if "customer_account" in params:
            # Of Stripe's two kinds of customer the sandbox has the one.
            raise StripeError.unsupported("customer_account")
        tree = expand_tree(entry, params.pop("expand", []))
        failure: StripeError | None = None
        answer: Json = {}
        clocked = None
        if entry.method != "get" and at is None and self._at is None:
            clocked = test_time.of_call(self.store, path, params, ids)
        moment = at if clocked is None else clocked
        with (
            self._lock,
            self.at(moment, simulated=clocked is not None),
            self.store.transaction(),
        ):
            outer_wish, self._wanted_id = self._wanted_id, wanted_id
            try:
                answer = self.render(entry.handler(self, params, *ids), tree)
            except StripeError as error:
                error.began = True
                if not error.commits:
                    raise
                failure = error
            finally:
                self._wanted_id = outer_wish
        if failure:
            raise failure
        return answer

    @contextmanager
    def asked_by(self, request_id: str, idempotency_key: str | None) -> Iterator[None]:
        """Name the HTTP request inside events that come of it."""
        self.request_id, self.idempotency_key = request_id, idempotency_key
        try:
            yield
        finally:
            self.request_id = self.idempotency_key = None

    @contextmanager
    def rehearsal(self) -> Iterator[None]:
        """Let everything inside happen, and then not have happened: to see what would become."""
        with self._lock, self.store.rehearsal():
            yield

    # ------------------------------------------------------------------------------------- time

    @property
    def now(self) -> int:
        """The time at which the current operation happens, in Unix seconds."""
        return int(time.time()) if self._at is None else self._at

    @property
    def wall_time(self) -> int:
        """The time outside: of what keeps no test clock's time, such as events."""
        return int(time.time()) if self._simulated else self.now

    @contextmanager
    def at(self, moment: int | None, *, simulated: bool = False) -> Iterator[None]:
        """Let everything inside happen at a Unix time; None leaves the time as it is.

        Args:
            moment: The time, in Unix seconds.
            simulated: Whether it is a test clock's, rather than that of all.
        """
        before = self._at, self._simulated
        if moment is not None:
            self._at, self._simulated = moment, simulated
        try:
            yield
        finally:
            self._at, self._simulated = before

    # ---------------------------------------------------------------------------------- objects

    def new_id(self, prefix: str, length: int = 24) -> str:
        """Return the id of the object being made."""
        wanted, self._wanted_id = self._wanted_id, None
        if wanted is not None and self.store.get(wanted) is not None:
            raise StripeError(
                f"An object with the ID '{wanted}' already exists.",
                code="resource_already_exists",
                param="id",
            )
        return wanted or new_id(prefix, length)

    def create(self, cls: SDKClass, document: Json, event: str | None = None) -> Json:
        """Store a new object, completed with every field its class declares, and tell of it."""
        document = complete(cls, document)
        if document.get("created") == 0:
            document["created"] = self.now
        self.store.put(document)
        if event:
            self.tell(event, document)
        return document

    def save(self, before: Json, after: Json, event: str | None = None) -> Json:
        """Store the new state of an object; tell of it when something visible changed."""
        if after == before:
            return after
        self.store.put(after)
        if event:
            shown = self.render(after)
            previous = events.differences(self.render(before), shown)
            if previous:
                events.emit(self, event, shown, previous)
        return after

    def delete(self, document: Json, event: str | None = None) -> Json:
        """Delete an object, leaving its tombstone, and tell of it."""
        if event:
            self.tell(event, document)
        tombstone = {"id": document["id"], "object": document["object"], "deleted": True}
        self.store.put(tombstone)
        return tombstone

    def tell(self, event: str, document: Json) -> None:
        """Emit an event about an object as it is now."""
        events.emit(self, event, self.render(document))

    def get(self, kind: str, object_id: str, param: str = "id") -> Json:
        """Return a stored object that exists and is not deleted.

        Args:
            kind: Its object name, such as `customer`.
            object_id: Its id.
            param: Where the id was given: a parameter's name, or `id` for the path.

        Raises:
            StripeError: There is none (`resource_missing`).
        """
        document = self.store.get(object_id)
        if document is None or document["object"] != kind or document.get("deleted"):
            raise StripeError.no_such(KINDS.get(kind, kind), object_id, param)
        return document

    def by_secret(self, kind: str, secret: str) -> Json | None:
        """Return the stored object a secret in a hosted page's URL stands for, or None."""
        document = self.store.get(owner_of(secret))
        if document is None or document["object"] != kind or document.get("_secret") != secret:
            return None
        return document

    def page(
        self,
        kind: str,
        params: Params,
        conditions: Iterable[Condition] = (),
        *,
        url: str,
        customer: str | None = None,
    ) -> Json:
        """Return one page of a list, by `limit`, `starting_after` and `ending_before`."""
        limit = params.get("limit", 10)
        after, before = params.get("starting_after"), params.get("ending_before")
        if after and before:
            raise StripeError(
                "You may only specify one of these parameters: starting_after, ending_before."
            )
        listed = list(conditions)
        cursor = after or before
        if cursor:
            named, place = self.store.get(cursor), self.store.position(cursor)
            if named is None or named.get("deleted") or place is None:
                name = "starting_after" if after else "ending_before"
                raise StripeError.no_such(KINDS.get(kind, kind), cursor, name)
            listed.append(Condition(f"(created, seq) {'<' if after else '>'} (?, ?)", place))
        found = self.store.find(
            kind, listed, customer=customer, limit=limit + 1, oldest_first=bool(before)
        )
        data = found[:limit]
        if before:
            data.reverse()
        return {"object": "list", "data": data, "has_more": len(found) > limit, "url": url}

    # --------------------------------------------------------------------------------- answers

    def render(self, document: Json, tree: Json | None = None) -> Json:
        """Return a stored object as the API answers it.

        Args:
            document: As stored, or a list of such.
            tree: What to expand: field -> tree.
        """
        tree = tree or {}
        kind = document.get("object")
        if kind in ("list", "search_result"):
            data = [self.render(item, tree.get("data")) for item in document["data"]]
            return {**document, "data": data}
        if document.get("deleted"):
            return document
        shown = {name: value for name, value in document.items() if name[0] != "_"}
        for path in INCLUDABLE.get(kind or "", ()):
            _leave_out(shown, path.split("."), tree)
        make = VIEWS.get(kind or "")
        if make:
            shown = make(self, shown, tree)
        return self._expand_hash(shown, tree)

    def _expand_hash(self, shown: Json, tree: Json) -> Json:
        if not tree:
            return shown
        expanded = {
            name: self._expand(shown[name], branch)
            for name, branch in tree.items()
            if name in shown
        }
        return {**shown, **expanded}

    def _expand(self, value: Any, tree: Json) -> Any:
        if isinstance(value, str):
            document = self.store.get(value)
            return value if document is None else self.render(document, tree)
        if isinstance(value, list):
            return [self._expand(item, tree) for item in value]
        if isinstance(value, dict):
            return self._expand_hash(value, tree)
        return value


def _leave_out(shown: Json, path: list[str], tree: Json) -> None:
    """Drop a field that nobody asked to expand, without touching the stored document."""
    head, *rest = path
    if not rest:
        if head not in tree:
            shown.pop(head, None)
    elif isinstance(shown.get(head), dict):
        shown[head] = dict(shown[head])
        _leave_out(shown[head], rest, tree.get(head, {}))


def expand_tree(entry: Operation, paths: list[str]) -> Json:
    """Return the paths to expand as a tree.

    Raises:
        StripeError: One goes too deep or names what cannot be expanded.
    """
    tree: Json = {}
    for index, path in enumerate(paths):
        segments = path.split(".")
        if len(segments) > 4:
            raise StripeError(
                f"You cannot expand more than 4 levels of a property. Property: {path}",
                param=f"expand[{index}]",
            )
        if not can_expand(entry.returns, segments):
            hint = ""
            if can_expand(entry.returns, ["data", *segments]):
                hint = f" You may want to try expanding 'data.{path}' instead."
            raise StripeError(
                f"This property cannot be expanded ({path}).{hint}", param=f"expand[{index}]"
            )
        branch = tree
        for segment in segments:
            branch = branch.setdefault(segment, {})
    return tree
