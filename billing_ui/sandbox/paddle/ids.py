"""Paddle's ids: a prefix, and 26 letters and digits that begin with the time."""

import secrets
from typing import Final

from billing_ui.sandbox.shop.model import Kind

_LETTERS: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_PREFIXES: Final = {
    Kind.CUSTOMER: "ctm",
    Kind.PRODUCT: "pro",
    Kind.PRICE: "pri",
    Kind.CARD: "paymtd",
    Kind.SUBSCRIPTION: "sub",
    Kind.INVOICE: "txn",
    Kind.CHECKOUT: "txn",
    Kind.ENDPOINT: "ntfset",
    Kind.EVENT: "evt",
}


def new_id(kind: Kind, now: int) -> str:
    """Return the id of something made at a Unix time."""
    return f"{_PREFIXES[kind]}_{ulid(now)}"


def ulid(now: int) -> str:
    """Return 48 bits of time in milliseconds and 80 random ones, five of them a letter."""
    number = (now * 1000 << 80) | secrets.randbits(80)
    return "".join(_LETTERS[number >> shift & 31] for shift in range(125, -1, -5))
