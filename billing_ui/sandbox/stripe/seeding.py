"""Many customers at once, for tests and benchmarks: consistent, back-dated, and quick to make.

One prototype for each shape is made by ordinary calls and taken back again; its JSON, cut where
ids, times and names stand, is then the mould for all the others.
"""

import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import itemgetter

from billing_ui.sandbox.core.control import Seed
from billing_ui.sandbox.core.ids import growing_text, random_text
from billing_ui.sandbox.core.periods import DAY, HOUR, add_interval
from billing_ui.sandbox.core.store import Row, equals
from billing_ui.sandbox.stripe import lifecycle
from billing_ui.sandbox.stripe.account import Account
from billing_ui.sandbox.stripe.shapes import Json

CHUNK = 500
"""Customers a transaction."""

LEAD = 60
"""How many seconds before its subscriptions a customer is made."""

KINDS = ("customer", "payment_method", "subscription", "invoice", "payment_intent", "charge")
GROWING = 9
"""How many letters of an id grow."""
PREFIX, EMAIL = "SEEDSEED", "seed-prototype@example.com"
PROTOTYPE_BEGINS = 1577873289  # in January 2020, when no month is cut short


def seed(account: Account, wish: Seed) -> Iterator[Json]:
    """Insert customers in chunks, yielding the counts so far after each.

    Nobody is told of them by events, as if they were older than the event log.

    Args:
        wish: How many of what; without `price` the newest recurring one, or a new one.

    Raises:
        StripeError: The price does not exist.
    """
    now = account.now
    price = _price(account, wish.price)
    first = now - 365 * DAY if wish.created_from is None else wish.created_from
    last = now - DAY if wish.created_to is None else wish.created_to
    moulds: dict[int, Mould] = {}
    counts = {"customers": 0, "subscriptions": 0, "invoices": 0}
    began = time.time_ns() // 1000
    yield counts
    while counts["customers"] < wish.customers:
        rows: list[Row] = []
        start = counts["customers"]
        for index in range(start, min(start + CHUNK, wish.customers)):
            created = int(first + (last - first) * index / max(1, wish.customers - 1))
            bounds = _bounds(created + LEAD, now, price["recurring"], wish.invoices_per_customer)
            periods = len(bounds) - 1
            if periods not in moulds:
                moulds[periods] = _mould(account, price, wish, periods)
            email = f"{random_text(12).lower()}@{wish.email_domain}"
            rows += moulds[periods].cast(created, bounds, email, began + counts["customers"])
            counts["customers"] += 1
            counts["subscriptions"] += wish.subscriptions_per_customer
            counts["invoices"] += wish.subscriptions_per_customer * (
                periods if wish.invoices_per_customer else 0
            )
        with account.store.transaction():
            account.store.insert_rows(rows)
        yield counts


def _bounds(earliest: int, now: int, recurring: Json, invoices: int) -> list[int]:
    """Return where the billing periods of a subscription begin, and where the last one ends.

    Args:
        earliest: When it could have begun, in Unix seconds; it begins later, by whole intervals,
            where it would have more invoices than wanted.
        now: What the last period contains.
        recurring: The interval of the price.
        invoices: How many periods there are at most, one of them at least.
    """
    begun = earliest
    while True:
        bounds = [begun]
        while bounds[-1] <= now - HOUR or len(bounds) == 1:
            count = recurring["interval_count"] * len(bounds)
            bounds.append(add_interval(begun, recurring["interval"], count))
        excess = len(bounds) - 1 - max(1, invoices)
        if excess <= 0:
            return bounds
        begun = bounds[excess]


def _price(account: Account, price_id: str | None) -> Json:
    if price_id is not None:
        return account.get("price", price_id, "price")
    usable = [equals("type", "recurring"), equals("active", True)]
    found = account.store.find("price", usable, limit=1)
    if found:
        return found[0]
    made = account.call(
        "post",
        "/v1/prices",
        {
            "currency": "usd",
            "product_data": {"name": "Seeded plan"},
            "recurring": {"interval": "month"},
            "unit_amount": 2000,
        },
    )
    return account.get("price", made["id"])


def _mould(account: Account, price: Json, wish: Seed, periods: int) -> "Mould":
    """Make a prototype customer whose subscriptions have been through so many periods."""
    recurring, begun = price["recurring"], PROTOTYPE_BEGINS
    bounds = [
        add_interval(begun, recurring["interval"], recurring["interval_count"] * number)
        for number in range(periods + 1)
    ]
    with account.rehearsal():
        customer = account.call(
            "post",
            "/v1/customers",
            {
                "email": EMAIL,
                "invoice_prefix": PREFIX,
                "invoice_settings": {"default_payment_method": "pm_card_visa"},
                "payment_method": "pm_card_visa",
            },
            at=begun - LEAD,
        )["id"]
        for _ in range(wish.subscriptions_per_customer):
            items = [{"price": price["id"]}]
            account.call(
                "post", "/v1/subscriptions", {"customer": customer, "items": items}, at=begun
            )
        lifecycle.advance(account, bounds[-1] - 1, customer)
        found = [account.get("customer", customer)]
        for kind in KINDS[1:]:
            found += account.store.find(kind, customer=customer, oldest_first=True)
    kinds: tuple[str, ...] = KINDS if wish.payments else KINDS[:4]
    if not wish.invoices_per_customer:
        kinds = KINDS[:3]
        found = [_without_invoice(document) for document in found]
    return Mould([document for document in found if document["object"] in kinds], bounds)


def _without_invoice(document: Json) -> Json:
    return {**document, "latest_invoice": None} if "latest_invoice" in document else document


@dataclass(frozen=True)
class Part:
    """One document of a mould: its type, and where among the values those of its row stand."""

    type: str
    id: int
    created: int
    customer: int | None
    due: int | None
    text: str
    values: Callable[[list[str]], tuple[str, ...]]


class Mould:
    """The documents of a prototype customer, ready to be cast any number of times.

    Args:
        documents: As stored.
        bounds: Where its billing periods begin, and where the last one ends, in Unix seconds.
    """

    def __init__(self, documents: list[Json], bounds: list[int]) -> None:
        texts = [json.dumps(document, separators=(",", ":")) for document in documents]
        found = [document["id"] for document in documents]
        found += re.findall(r'"((?:si|il|inpay)_\w+)"', "".join(texts))
        # An id is its prefix, a number that grows, and chance: see `cast`.
        self._ids = [
            (known.partition("_")[0], len(known.partition("_")[2]) - GROWING)
            for known in dict.fromkeys(found)
        ]
        self._random = sum(length for _, length in self._ids) + len(PREFIX)
        # What happened, happened when a period began or an hour later, when drafts are finalized.
        self._moments = [(number, offset) for number in range(len(bounds)) for offset in (0, HOUR)]
        moments = [str(bounds[number] + offset) for number, offset in self._moments]
        placeholders = [str(bounds[0] - LEAD), EMAIL, PREFIX, *moments, *dict.fromkeys(found)]
        places = {text: place for place, text in enumerate(placeholders)}
        cut = re.compile("(" + "|".join(map(re.escape, placeholders)) + ")")
        self._parts = [
            _part(document, text, cut, places)
            for document, text in zip(documents, texts, strict=True)
        ]

    def cast(self, created: int, bounds: list[int], email: str, number: int) -> list[Row]:
        """Return the rows of one more customer.

        Args:
            created: When the customer was made, in Unix seconds.
            bounds: Where the billing periods begin, and where the last one ends.
            email: The customer's address.
            number: One that grows: as Stripe's ids it leads every id, so that the index of ids is
                written at a few places rather than all over.
        """
        chance, start = random_text(self._random), len(PREFIX)
        values = [str(created), email, chance[:start].upper()]
        values += [str(bounds[period] + offset) for period, offset in self._moments]
        grown = growing_text(number, GROWING)
        for prefix, length in self._ids:
            values.append(f"{prefix}_{grown}{chance[start : start + length]}")
            start += length
        return [
            (
                values[part.id],
                part.type,
                int(values[part.created]),
                None if part.customer is None else values[part.customer],
                None if part.due is None else int(values[part.due]),
                part.text % part.values(values),
            )
            for part in self._parts
        ]


def _part(document: Json, text: str, cut: re.Pattern[str], places: dict[str, int]) -> Part:
    literals, known = cut.split(text)[::2], cut.split(text)[1::2]
    kind = document["object"]
    return Part(
        type=kind,
        id=places[document["id"]],
        created=places[str(document["created"])],
        customer=None if kind == "customer" else places[document["customer"]],
        due=places.get(str(document.get("_due"))),
        text="%s".join(literal.replace("%", "%%") for literal in literals),
        # Of a single place it would give no tuple; every document has its id and its time.
        values=itemgetter(*(places[placeholder] for placeholder in known)),
    )
