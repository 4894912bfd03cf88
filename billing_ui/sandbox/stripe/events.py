"""Events: what Stripe would tell of every write."""

from typing import TYPE_CHECKING

import stripe

from billing_ui.sandbox.core.ids import new_id
from billing_ui.sandbox.stripe.shapes import Json

if TYPE_CHECKING:
    from billing_ui.sandbox.stripe.account import Account


def emit(account: "Account", type_: str, shown: Json, previous: Json | None = None) -> Json:
    """Store an event and return it.

    Args:
        account: Where it happened.
        type_: Such as `customer.subscription.updated`.
        shown: The object as the API answers it now.
        previous: The former values of what changed, for updates.
    """
    data: Json = {"object": shown}
    if previous is not None:
        data["previous_attributes"] = previous
    event: Json = {
        "id": new_id("evt"),
        "object": "event",
        "account": None,
        "api_version": stripe.api_version,
        "context": None,
        "created": account.wall_time,
        "data": data,
        "livemode": False,
        "pending_webhooks": 0,  # counted whenever the event is shown
        "request": {"id": account.request_id, "idempotency_key": account.idempotency_key},
        "type": type_,
    }
    account.told += 1
    account.store.put(event)
    account.outbox.add(event["id"], type_, _listening(account, type_))
    return event


def _listening(account: "Account", type_: str) -> list[str]:
    """Return the ids of the endpoints that want events of a type."""
    return [
        endpoint["id"]
        for endpoint in account.store.find("webhook_endpoint")
        if endpoint["status"] == "enabled"
        and not {"*", type_}.isdisjoint(endpoint["enabled_events"])
    ]


def differences(before: Json, after: Json) -> Json:
    """Return the former values of everything that differs, hashes compared key by key."""
    changed: Json = {}
    for name in before.keys() | after.keys():
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        if isinstance(old, dict) and isinstance(new, dict) and "object" not in new:
            # An object inside an object, such as a list of items, is told whole.
            changed[name] = differences(old, new)
        else:
            changed[name] = old
    return changed
