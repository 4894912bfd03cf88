"""Whose time a change happens at: everybody's, or that of a customer's test clock."""

from billing_ui.sandbox.core.store import Store
from billing_ui.sandbox.stripe.errors import StripeError
from billing_ui.sandbox.stripe.validator import Params

CLOCK = "test_helpers.test_clock"

CLOCKED = ("/v1/customers", "/v1/invoice", "/v1/subscription")
"""How the paths begin of what keeps a test clock's time; payments and sessions do not."""


def of_call(store: Store, path: str, params: Params, ids: list[str]) -> int | None:
    """Return the frozen time of the test clock a change is made under, or None.

    Args:
        store: Where clocks and customers are.
        path: Of the operation.
        params: Of the operation, validated.
        ids: Of its path.

    Raises:
        StripeError: The clock is advancing: nobody may interfere meanwhile.
    """
    if not path.startswith(CLOCKED) or not store.find(CLOCK, limit=1):
        return None
    named = [params.get("customer"), params.get("subscription"), *ids]
    found = [params.get("test_clock"), *(_clock_of(store, object_id) for object_id in named)]
    clock = store.get(next(filter(None, found), ""))
    if clock is None or clock["object"] != CLOCK or clock.get("deleted"):
        return None
    if clock["status"] == "advancing":
        raise StripeError(
            "Test clock advancement underway - cannot perform modifications.", status=429
        )
    return int(clock["frozen_time"])


def _clock_of(store: Store, object_id: str | None) -> str | None:
    """Return the id of the test clock of a customer, or of the customer of something."""
    document = store.get(object_id or "") or {}
    if document.get("object") != "customer":
        document = store.get(document.get("customer") or "") or {}
    clock_id: str | None = document.get("test_clock")
    return clock_id
