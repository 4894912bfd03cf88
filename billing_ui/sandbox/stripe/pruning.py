"""Forgetting what nobody can ask for any more: old answers to idempotency keys, and old deliveries."""

import time

from billing_ui.sandbox.stripe.account import Account
from billing_ui.sandbox.stripe.http import KEPT_SECONDS

DELIVERIES_KEPT_SECONDS = 30 * 24 * 3600
"""How long it is known what became of a delivery: as long as Stripe lists its event,
https://docs.stripe.com/api/events."""
AT_ONCE = 500
"""How many rows are forgotten in one go; requests are served in between."""


def prune(account: Account) -> bool:
    """Forget some of what is too old; return whether there may be more. What still waits is kept."""
    now = time.time()
    with account.store.transaction():
        keys = account.store.forget_keys(int(now) - KEPT_SECONDS, AT_ONCE)
        deliveries = account.outbox.forget(now - DELIVERIES_KEPT_SECONDS, AT_ONCE)
    return AT_ONCE in (keys, deliveries)
