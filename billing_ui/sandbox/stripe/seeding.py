"""Many customers at once, for tests and benchmarks: consistent, back-dated, and quick to make.

One prototype for each shape is made by ordinary calls and taken back again; its JSON, cut where
ids, times and names stand, is then the mould for all the others.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from billing_ui.sandbox.core.control import Seed
from billing_ui.sandbox.core.ids import random_text
from billing_ui.sandbox.core.store import Row, equals
from billing_ui.sandbox.stripe import billing, lifecycle
from billing_ui.sandbox.stripe.account import Account
from billing_ui.sandbox.stripe.shapes import Json

CHUNK = 500
"""Customers a transaction."""

LEAD = 60
"""How many seconds before its subscriptions a customer is made."""

KINDS = ("customer", "payment_method", "subscription", "invoice", "payment_intent", "charge")
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
    first = now - 365 * billing.DAY if wish.created_from is None else wish.created_from
    last = now - billing.DAY if wish.created_to is None else wish.created_to
    moulds: dict[int, Mould] = {}
    counts = {"customers": 0, "subscriptions": 0, "invoices": 0}
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
            rows += moulds[periods].cast(created, bounds, email)
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
        while bounds[-1] <= now - billing.HOUR or len(bounds) == 1:
            count = recurring["interval_count"] * len(bounds)
            bounds.append(billing.add_interval(begun, recurring["interval"], count))
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
        billing.add_interval(begun, recurring["interval"], recurring["interval_count"] * number)
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
    if not wish.invoices_per_customer:
        found = [
            _without_invoice(document) for document in found if document["object"] in KINDS[:3]
        ]
    return Mould(found, bounds)


def _without_invoice(document: Json) -> Json:
    return {**document, "latest_invoice": None} if "latest_invoice" in document else document


@dataclass(frozen=True)
class Part:
    """One document of a mould: the keys of its row, and its text cut at every placeholder."""

    id: str
    type: str
    created: str
    customer: str
    due: str
    pieces: list[str]


class Mould:
    """The documents of a prototype customer, ready to be cast any number of times.

    Args:
        documents: As stored.
        bounds: Where its billing periods begin, and where the last one ends, in Unix seconds.
    """

    def __init__(self, documents: list[Json], bounds: list[int]) -> None:
        texts = [json.dumps(document, separators=(",", ":")) for document in documents]
        ids = [document["id"] for document in documents]
        ids += re.findall(r'"((?:si|il|inpay)_\w+)"', "".join(texts))
        self._ids = list(dict.fromkeys(ids))
        # What happened, happened when a period began or an hour later, when drafts are finalized.
        self._moments = [
            (str(bound + offset), number, offset)
            for number, bound in enumerate(bounds)
            for offset in (0, billing.HOUR)
        ]
        self._made = str(bounds[0] - LEAD)
        placeholders = [self._made, *(text for text, _, _ in self._moments), *self._ids]
        placeholders += [EMAIL, PREFIX]
        cut = re.compile("(" + "|".join(map(re.escape, placeholders)) + ")")
        self._parts = [
            Part(
                document["id"],
                document["object"],
                str(document["created"]),
                document["id"] if document["object"] == "customer" else document["customer"],
                str(document.get("_due")),
                cut.split(text),
            )
            for document, text in zip(documents, texts, strict=True)
        ]

    def cast(self, created: int, bounds: list[int], email: str) -> list[Row]:
        """Return the rows of one more customer.

        Args:
            created: When the customer was made, in Unix seconds.
            bounds: Where the billing periods begin, and where the last one ends.
            email: The customer's address.
        """
        filled = {self._made: str(created), EMAIL: email, PREFIX: random_text(8).upper()}
        for known in self._ids:
            prefix, _, tail = known.partition("_")
            filled[known] = f"{prefix}_{random_text(len(tail))}"
        for known, number, offset in self._moments:
            filled[known] = str(bounds[number] + offset)
        rows: list[Row] = []
        for part in self._parts:
            due = filled.get(part.due)
            rows.append(
                (
                    filled[part.id],
                    part.type,
                    int(filled[part.created]),
                    None if part.type == "customer" else filled[part.customer],
                    None if due is None else int(due),
                    "".join([filled.get(piece, piece) for piece in part.pieces]),
                )
            )
        return rows
