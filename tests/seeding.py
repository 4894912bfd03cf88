"""Filling a sandbox with customers whom time leaves alone while a test looks at them."""

import time
from typing import Final

import httpx

_DAY: Final = 86_400
_MONTH: Final = 30.44 * _DAY
_BANDS: Final = (0, 1, 5, 11)
"""How many whole months ago they came, each a quarter of them."""


def seed_still(url: str, customers: int, *, invoices: int, payments: bool = True) -> int:
    """Make customers with a monthly subscription each, over a year, none of which renews within six days.

    Returns how many invoices they have.

    A renewal changes what a test compares, at a moment nobody chose: of customers spread evenly over the past
    year the first has its anniversary a minute from now.

    Args:
        url: of the sandbox.
        customers: how many; a multiple of four.
        invoices: how many invoices each has at most, one a month.
        payments: whether they have cards and payments as well.
    """
    now, made = time.time(), 0
    with httpx.Client(base_url=url, trust_env=False, timeout=600) as control:
        for months in _BANDS:
            seed = {
                "customers": customers // len(_BANDS),
                "invoices_per_customer": invoices,
                "payments": payments,
                "created_from": int(now - months * _MONTH - 20 * _DAY),
                "created_to": int(now - months * _MONTH - 10 * _DAY),
            }
            answer = control.post("/_control/seed", json=seed).raise_for_status()
            made += int(answer.json()["invoices"])
    return made
