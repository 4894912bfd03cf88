"""The items of a subscription one by one; each change is one of the subscription."""

from collections.abc import Iterator
from contextlib import contextmanager

from stripe import SubscriptionItemService

from billing_ui.sandbox.core.store import Condition, equals
from billing_ui.sandbox.stripe.account import Account
from billing_ui.sandbox.stripe.errors import StripeError
from billing_ui.sandbox.stripe.fields import refuse
from billing_ui.sandbox.stripe.operations import operation
from billing_ui.sandbox.stripe.shapes import Json
from billing_ui.sandbox.stripe.validator import Params

OF_SUBSCRIPTION = frozenset(
    {"off_session", "payment_behavior", "proration_behavior", "proration_date"}
)
"""Parameters that are about the change of the subscription rather than about the item."""


@operation(SubscriptionItemService.create)
def create(account: Account, params: Params) -> Json:
    """Add an item to a subscription."""
    refuse(params, "clear_usage")
    subscription = account.get("subscription", params["subscription"], "subscription")
    known = {item["id"] for item in subscription["items"]["data"]}
    item = {name: value for name, value in params.items() if name != "subscription"}
    items = _changed(account, subscription, item)
    return next(item for item in items if item["id"] not in known)


@operation(SubscriptionItemService.update)
def update(account: Account, params: Params, item_id: str) -> Json:
    """Change the price or the quantity of an item."""
    items = _changed(account, _subscription_of(account, item_id), {**params, "id": item_id})
    return next(item for item in items if item["id"] == item_id)


@operation(SubscriptionItemService.delete)
def delete(account: Account, params: Params, item_id: str) -> Json:
    """Take an item off its subscription."""
    subscription = _subscription_of(account, item_id)
    _changed(account, subscription, {**params, "id": item_id, "deleted": True})
    return {"id": item_id, "object": "subscription_item", "deleted": True}


@operation(SubscriptionItemService.retrieve)
def retrieve(account: Account, params: Params, item_id: str) -> Json:
    """Return an item."""
    items = _subscription_of(account, item_id)["items"]["data"]
    return next(item for item in items if item["id"] == item_id)


@operation(SubscriptionItemService.list)
def list_(account: Account, params: Params) -> Json:
    """List the items of a subscription."""
    subscription = account.get("subscription", params["subscription"], "subscription")
    found = subscription["items"]["data"]
    ids = [item["id"] for item in found]
    start, limit = 0, params.get("limit", 10)
    if "starting_after" in params:
        if params["starting_after"] not in ids:
            raise StripeError.no_such(
                "subscription_item", params["starting_after"], "starting_after"
            )
        start = ids.index(params["starting_after"]) + 1
    return {
        "object": "list",
        "data": found[start : start + limit],
        "has_more": len(found) > start + limit,
        "url": "/v1/subscription_items",
    }


def _subscription_of(account: Account, item_id: str) -> Json:
    """Return the subscription an item stands on."""
    first = equals("items.data[0].id", item_id)
    # Only the first item has an index: almost every subscription has no other.
    among_all = Condition(
        "EXISTS (SELECT 1 FROM json_each(body, '$.items.data') AS item"
        " WHERE json_extract(item.value, '$.id') = ?)",
        (item_id,),
    )
    for condition in (first, among_all):
        found = account.store.find("subscription", [condition], limit=1)
        if found:
            return found[0]
    raise StripeError.no_such("subscription_item", item_id)


def _changed(account: Account, subscription: Json, change: Params) -> list[Json]:
    """Change an item by way of its subscription; return the items there are then."""
    item = {name: value for name, value in change.items() if name not in OF_SUBSCRIPTION}
    others = {name: value for name, value in change.items() if name in OF_SUBSCRIPTION}
    with _named_here():
        account.call("post", f"/v1/subscriptions/{subscription['id']}", {"items": [item], **others})
    items: list[Json] = account.get("subscription", subscription["id"])["items"]["data"]
    return items


@contextmanager
def _named_here() -> Iterator[None]:
    """Let a complaint name the parameter as it was sent: `price`, not `items[0][price]`."""
    try:
        yield
    except StripeError as error:
        head, found, rest = (error.param or "").partition("items[0][")
        if found and not head:
            error.param = rest.replace("]", "", 1)
        raise
