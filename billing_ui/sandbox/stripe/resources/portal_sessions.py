"""Portal sessions: one visit of a customer to the hosted portal."""

from collections.abc import Callable

from stripe.billing_portal import Session, SessionService

from billing_ui.sandbox.core.ids import secret_for
from billing_ui.sandbox.core.store import equals
from billing_ui.sandbox.stripe import subscribing, subscription_items
from billing_ui.sandbox.stripe.account import Account
from billing_ui.sandbox.stripe.errors import StripeError
from billing_ui.sandbox.stripe.fields import refuse
from billing_ui.sandbox.stripe.operations import operation
from billing_ui.sandbox.stripe.shapes import Json
from billing_ui.sandbox.stripe.validator import Params

KIND = "billing_portal.configuration"


@operation(SessionService.create)
def create(account: Account, params: Params) -> Json:
    """Make a session; its URL is good for an hour and opens once."""
    refuse(params, "after_expiration", "on_behalf_of", "customer_account")
    if "customer" not in params:
        raise StripeError.missing("customer")
    customer = account.get("customer", params["customer"], "customer")
    configuration = _configuration(account, params)
    flow = None
    if "flow_data" in params:
        flow = _flow(account, params["flow_data"], customer, configuration)
    session_id = account.new_id("bps")
    secret = secret_for(session_id)
    return account.create(
        Session,
        {
            "id": session_id,
            "object": "billing_portal.session",
            "configuration": configuration["id"],
            "customer": customer["id"],
            "flow": flow,
            "locale": params.get("locale"),
            "return_url": params.get("return_url") or configuration["default_return_url"],
            "url": f"{account.origin}/p/session/{secret}",
            "_secret": secret,
        },
        "billing_portal.session.created",
    )


def _configuration(account: Account, params: Params) -> Json:
    if "configuration" in params:
        configuration = account.get(KIND, params["configuration"], "configuration")
        if not configuration["active"]:
            raise StripeError(
                f"The configuration {configuration['id']} is not active.", param="configuration"
            )
        return configuration
    default = account.store.find(KIND, [equals("is_default", True)], limit=1)
    if not default:
        raise StripeError(
            "No configuration provided and your test mode default configuration has not been "
            "created. Provide a configuration or create your default by saving your customer "
            "portal settings in test mode at "
            "https://dashboard.stripe.com/test/settings/billing/portal."
        )
    return default[0]


def _flow(account: Account, data: Params, customer: Json, configuration: Json) -> Json:
    """Return the flow of a session.

    Raises:
        StripeError: It is incomplete, or neither the subscription nor the configuration allows it.
    """
    kind = data["type"]
    check = FLOWS.get(kind)
    if check is None:
        raise StripeError.unsupported(f"flow_data[{kind}]")
    for name in data:
        if name.startswith("subscription_") and name != kind:
            raise StripeError(
                f"flow_data[{name}] may only be given when flow_data[type] is {name}.",
                param=f"flow_data[{name}]",
            )
    feature = "subscription_update" if kind == "subscription_update_confirm" else kind
    if not configuration["features"][feature]["enabled"]:
        raise StripeError(
            f"The {kind} flow cannot be used: {feature} is disabled in the portal configuration "
            f"{configuration['id']}.",
            param="flow_data[type]",
        )
    flow = {"after_completion": _after_completion(data.get("after_completion", {})), "type": kind}
    details = check(account, data.get(kind), customer, configuration)
    return flow if details is None else {**flow, kind: details}


def _after_completion(data: Params) -> Json:
    kind = data.get("type", "portal_homepage")
    if kind == "redirect" and "redirect" not in data:
        raise StripeError.missing("flow_data[after_completion][redirect]")
    return {
        "hosted_confirmation": data.get("hosted_confirmation"),
        "redirect": data.get("redirect"),
        "type": kind,
    }


def _nothing(account: Account, data: Params | None, customer: Json, configuration: Json) -> None:
    return None


def _details(account: Account, data: Params | None, customer: Json, configuration: Json) -> Json:
    return {}


def _cancel(account: Account, data: Params | None, customer: Json, configuration: Json) -> Json:
    subscription = _subscription(account, data, customer, "subscription_cancel")
    refuse(data or {}, "retention")
    if subscription["cancel_at_period_end"] or subscription["cancel_at"] is not None:
        raise StripeError(
            f"The subscription `{subscription['id']}` is already set to be canceled at the end of "
            "the billing period.",
            param="flow_data[subscription_cancel][subscription]",
        )
    return {"retention": None, "subscription": subscription["id"]}


def _update(account: Account, data: Params | None, customer: Json, configuration: Json) -> Json:
    subscription = _updatable(account, data, customer, "subscription_update")
    return {"subscription": subscription["id"]}


def _confirm(account: Account, data: Params | None, customer: Json, configuration: Json) -> Json:
    """Check a change that is only left to be confirmed."""
    kind = "subscription_update_confirm"
    subscription = _updatable(account, data, customer, kind)
    wanted, param = data or {}, f"flow_data[{kind}][items]"
    refuse(wanted, "discounts")
    if len(wanted["items"]) != 1:
        raise StripeError("You must specify exactly one subscription item.", param=param)
    change, param = wanted["items"][0], f"{param}[0]"
    item = subscription["items"]["data"][0]
    if change["id"] != item["id"]:
        raise StripeError.no_such("subscription_item", change["id"], f"{param}[id]")
    price = account.get("price", change.get("price", item["price"]), f"{param}[price]")
    subscription_items.check_quantity(change, param)
    feature = configuration["features"]["subscription_update"]
    switches = price["id"] != item["price"]
    if switches:
        subscription_items.recurring_price(account, {"price": price["id"]}, param)
        subscription_items.check_currency(price, subscription["currency"], f"{param}[price]")
        _check_offered(feature, price, f"{param}[price]")
    quantity = _quantity(feature, price, item, change, switches, f"{param}[quantity]")
    if not switches and quantity == item["quantity"]:
        raise StripeError("The update must change the price or the quantity.", param=param)
    shown = {"id": item["id"], "price": price["id"], "quantity": quantity}
    return {"discounts": [], "items": [shown], "subscription": subscription["id"]}


def _check_offered(feature: Json, price: Json, param: str) -> None:
    """See that one may switch to a price in the portal.

    Raises:
        StripeError: The configuration does not have it.
    """
    offered = {price_id for entry in feature["products"] or [] for price_id in entry["prices"]}
    if price["id"] not in offered or "price" not in feature["default_allowed_updates"]:
        raise StripeError(
            f"The price `{price['id']}` is not included in the portal configuration's "
            "`features[subscription_update][products]`.",
            param=param,
        )


def _quantity(
    feature: Json, price: Json, item: Json, change: Params, switches: bool, param: str
) -> int:
    """Return how many of a price a change is to.

    Raises:
        StripeError: The configuration does not let it be so many.
    """
    offered = {entry["product"]: entry for entry in feature["products"] or []}
    limits = offered.get(price["product"], {}).get("adjustable_quantity")
    if not limits or not limits["enabled"] or "quantity" not in feature["default_allowed_updates"]:
        # Seats of the old plan are not seats of one that has none.
        fixed: int = 1 if switches else item["quantity"]
        if change.get("quantity", fixed) != fixed:
            raise StripeError(
                f"The quantity of the price `{price['id']}` cannot be adjusted.", param=param
            )
        return fixed
    quantity: int = change["quantity"] if "quantity" in change else item["quantity"]
    most = limits["maximum"] or subscription_items.MOST
    if not limits["minimum"] <= quantity <= most:
        raise StripeError(
            f"The quantity must be between {limits['minimum']} and {most}.", param=param
        )
    return quantity


def _updatable(account: Account, data: Params | None, customer: Json, kind: str) -> Json:
    """Return the live subscription of a flow, which must have a single item."""
    subscription = _subscription(account, data, customer, kind)
    if len(subscription["items"]["data"]) > 1:
        raise StripeError(
            f"The subscription `{subscription['id']}` cannot be updated because it contains "
            "multiple items.",
            param=f"flow_data[{kind}][subscription]",
        )
    return subscription


def _subscription(account: Account, data: Params | None, customer: Json, kind: str) -> Json:
    """Return the live subscription of the customer that a flow is about."""
    if data is None:
        raise StripeError.missing(f"flow_data[{kind}]")
    param = f"flow_data[{kind}][subscription]"
    subscription = account.get("subscription", data["subscription"], param)
    if subscription["customer"] != customer["id"]:
        raise StripeError.no_such("subscription", subscription["id"], param)
    if subscription["status"] not in subscribing.LIVE - {"incomplete", "paused"}:
        raise StripeError(
            f"The subscription `{subscription['id']}` is in the `{subscription['status']}` status "
            "and cannot be used in this flow.",
            param=param,
        )
    return subscription


FLOWS: dict[str, Callable[[Account, Params | None, Json, Json], Json | None]] = {
    "customer_update": _details,
    "payment_method_update": _nothing,
    "subscription_cancel": _cancel,
    "subscription_update": _update,
    "subscription_update_confirm": _confirm,
}
"""What each flow requires, and what of it the session shows."""
