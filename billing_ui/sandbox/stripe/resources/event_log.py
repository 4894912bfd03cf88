"""The event log: `/v1/events`."""

from stripe import EventService

from billing_ui.sandbox.core.outbox import OWED
from billing_ui.sandbox.core.store import Condition, equals, one_of
from billing_ui.sandbox.stripe.account import Account
from billing_ui.sandbox.stripe.errors import StripeError
from billing_ui.sandbox.stripe.fields import created_within
from billing_ui.sandbox.stripe.operations import operation, view
from billing_ui.sandbox.stripe.shapes import Json
from billing_ui.sandbox.stripe.validator import Params


@operation(EventService.retrieve)
def retrieve(account: Account, params: Params, event_id: str) -> Json:
    """Return an event."""
    return account.get("event", event_id)


@operation(EventService.list)
def list_(account: Account, params: Params) -> Json:
    """List events, newest first."""
    conditions = created_within(params)
    if "type" in params and "types" in params:
        raise StripeError("You may only specify one of these parameters: type, types.")
    if params.get("type", "").endswith(".*"):
        prefix = params["type"].removesuffix("*")
        sql = "substr(json_extract(body, '$.type'), 1, ?) = ?"
        conditions.append(Condition(sql, (len(prefix), prefix)))
    elif "type" in params:
        conditions.append(equals("type", params["type"]))
    if "types" in params:
        conditions.append(one_of("type", params["types"]))
    if "delivery_success" in params:
        conditions.append(Condition(f"NOT {OWED}" if params["delivery_success"] else OWED))
    return account.page("event", params, conditions, url="/v1/events")


@view("event")
def _shown(account: Account, shown: Json, tree: Json) -> Json:
    return {**shown, "pending_webhooks": account.outbox.owed(shown["id"])}
