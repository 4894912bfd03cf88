"""Filling a sandbox with customers whom time leaves alone while a test looks at them."""

import time
from typing import Final

import httpx

_DAY: Final = 86_400
_MONTH: Final = 30.44 * _DAY
_BANDS: Final = (0, 1, 5, 11)
"""How many whole months ago they came, each a quarter of them."""


def seed_still(url: str, customers: int, *, invoices: int) -> None:
    """Make customers with a monthly subscription each, over a year, none of which renews within six days.

    A renewal changes what a test compares, at a moment nobody chose: of customers spread evenly over the past
    year the first has its anniversary a minute from now.

    Args:
        url: of the sandbox.
        customers: how many; a multiple of four.
        invoices: how many invoices each has at most, one a month.
    """
    now = time.time()
    with httpx.Client(base_url=url, trust_env=False, timeout=60) as control:
        for months in _BANDS:
            seed = {
                "customers": customers // len(_BANDS),
                "invoices_per_customer": invoices,
                "created_from": int(now - months * _MONTH - 20 * _DAY),
                "created_to": int(now - months * _MONTH - 10 * _DAY),
            }
            control.post("/_control/seed", json=seed).raise_for_status()
