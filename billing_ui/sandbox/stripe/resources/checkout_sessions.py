"""Checkout sessions: a hosted page where something is bought."""

from stripe import LineItem
from stripe.checkout import Session, SessionLineItemService, SessionService

from billing_ui.sandbox.core import periods
from billing_ui.sandbox.core.ids import random_text
from billing_ui.sandbox.core.store import equals
from billing_ui.sandbox.stripe import currencies, subscription_items
from billing_ui.sandbox.stripe.account import Account
from billing_ui.sandbox.stripe.errors import StripeError
from billing_ui.sandbox.stripe.fields import apply, check_email, created_within, refuse
from billing_ui.sandbox.stripe.operations import INCLUDABLE, operation, view
from billing_ui.sandbox.stripe.resources import prices
from billing_ui.sandbox.stripe.shapes import Json, complete
from billing_ui.sandbox.stripe.validator import Params

INCLUDABLE["checkout.session"] = {"line_items"}

KIND = "checkout.session"
OPEN_FOR = 24 * periods.HOUR

UNSUPPORTED = frozenset(
    {
        "after_expiration",
        "branding_settings",
        "consent_collection",
        "custom_fields",
        "discounts",
        "invoice_creation",
        "name_collection",
        "optional_items",
        "payment_method_configuration",
        "payment_method_data",
        "permissions",
        "return_url",
        "setup_intent_data",
        "shipping_address_collection",
        "shipping_options",
    }
)

DATA = {
    "payment_intent_data": {
        "description",
        "metadata",
        "receipt_email",
        "setup_future_usage",
        "shipping",
        "statement_descriptor",
    },
    "subscription_data": {
        "billing_mode",
        "description",
        "invoice_settings",
        "metadata",
        "trial_end",
        "trial_period_days",
        "trial_settings",
    },
}
"""What may be said of the subscription or payment a session is to make."""

HANDLED = frozenset(
    {
        "automatic_tax",
        "cancel_url",
        "currency",
        "customer",
        "customer_update",
        "expires_at",
        "line_items",
        "mode",
        "payment_intent_data",
        "subscription_data",
        "success_url",
        "ui_mode",
    }
)


@operation(SessionService.create)
def create(account: Account, params: Params) -> Json:
    """Make a session for a subscription or a single payment."""
    refuse(params, *UNSUPPORTED)
    mode = params.get("mode", "payment")
    if mode == "setup" or params.get("ui_mode", "hosted_page") not in ("hosted", "hosted_page"):
        raise StripeError.unsupported("mode" if mode == "setup" else "ui_mode")
    if params.get("automatic_tax", {}).get("enabled"):
        raise StripeError.unsupported("automatic_tax[enabled]")
    if not params.get("success_url"):
        raise StripeError.missing("success_url")
    if not params.get("line_items"):
        raise StripeError.missing("line_items")
    if "customer" in params and "customer_email" in params:
        raise StripeError("You may only specify one of these parameters: customer, customer_email.")
    for other in {"subscription_data": "subscription", "payment_intent_data": "payment"}.items():
        if other[0] in params and mode != other[1]:
            raise StripeError(
                f"You can only use `{other[0]}` in `{other[1]}` mode.", param=other[0]
            )
    check_email(params, "customer_email")
    _check_data(params)
    customer = None
    if "customer" in params:
        customer = account.get("customer", params["customer"], "customer")
    chosen = [
        _price(account, item, mode, f"line_items[{index}]")
        for index, item in enumerate(params["line_items"])
    ]
    if mode == "subscription" and not any(price["recurring"] for price in chosen):
        raise StripeError(
            "You must provide at least one recurring price in `subscription` mode when using "
            "prices.",
            param="line_items",
        )
    return _new(account, params, mode, customer, chosen)


def _new(
    account: Account, params: Params, mode: str, customer: Json | None, chosen: list[Json]
) -> Json:
    currency = _currency(params, customer, chosen)
    items = [
        _line_item(item, price, currency, f"line_items[{index}]", account)
        for index, (item, price) in enumerate(zip(params["line_items"], chosen, strict=True))
    ]
    total = sum(item["amount_total"] for item in items)
    trial = mode == "subscription" and _has_trial(params)
    due = 0 if trial else total
    session_id = account.new_id("cs_test", 58)
    expires = params.get("expires_at", account.now + OPEN_FOR)
    if not account.now + 30 * 60 <= expires <= account.now + OPEN_FOR:
        raise StripeError(
            "The `expires_at` timestamp must be between 30 minutes and 24 hours from Checkout "
            "Session creation.",
            param="expires_at",
        )
    document = {
        "id": session_id,
        "object": KIND,
        "adaptive_pricing": {"enabled": False},
        "allow_promotion_codes": None,
        "amount_subtotal": due,
        "amount_total": due,
        "cancel_url": params.get("cancel_url"),
        "client_secret": None,
        "currency": currency,
        "custom_text": {},
        "customer": customer and customer["id"],
        "customer_creation": None if customer else "if_required",
        "customer_details": customer_details(customer, params),
        "expires_at": expires,
        "line_items": {
            "object": "list",
            "data": items,
            "has_more": False,
            "url": f"/v1/checkout/sessions/{session_id}/line_items",
        },
        "metadata": {},
        "mode": mode,
        "payment_method_collection": "always" if mode == "subscription" else "if_required",
        "payment_method_types": ["card"],
        "payment_status": "unpaid",
        "phone_number_collection": {"enabled": False},
        "status": "open",
        "success_url": params["success_url"],
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "ui_mode": params.get("ui_mode", "hosted_page"),
        "url": f"{account.origin}/c/pay/{session_id}",
        "_due": expires,
        "_data": params.get("subscription_data") or params.get("payment_intent_data") or {},
    }
    document = complete(Session, {"created": account.now, **document})
    document = apply(Session, document, params, handled=HANDLED)
    account.store.put(document)
    return document


@operation(SessionService.retrieve)
def retrieve(account: Account, params: Params, session_id: str) -> Json:
    """Return a session."""
    return account.get(KIND, session_id)


@operation(SessionService.list)
def list_(account: Account, params: Params) -> Json:
    """List sessions, newest first."""
    refuse(params, "payment_link")
    conditions = created_within(params)
    names = ("status", "payment_intent", "subscription")
    conditions += [equals(name, params[name]) for name in names if name in params]
    email = params.get("customer_details", {}).get("email")
    if email:
        conditions.append(equals("customer_details.email", email))
    return account.page(
        KIND, params, conditions, url="/v1/checkout/sessions", customer=params.get("customer")
    )


@operation(SessionService.expire)
def expire_(account: Account, params: Params, session_id: str) -> Json:
    """Close an open session."""
    session = account.get(KIND, session_id)
    if session["status"] != "open":
        raise StripeError(
            f'Only Checkout Sessions with a status in ["open"] can be expired. This Checkout '
            f"Session has a status of `{session['status']}`."
        )
    return expire(account, session)


def expire(account: Account, session: Json) -> Json:
    """Close an open session and tell of it."""
    after = {**session, "_due": None, "status": "expired", "url": None}
    account.store.put(after)
    account.tell("checkout.session.expired", after)
    return after


@operation(SessionLineItemService.list)
def line_items(account: Account, params: Params, session_id: str) -> Json:
    """List what a session sells."""
    refuse(params, "starting_after", "ending_before")
    found = account.get(KIND, session_id)["line_items"]
    limit = params.get("limit", 10)
    return {
        **found,
        "data": [_embedded(account, item, {}) for item in found["data"][:limit]],
        "has_more": len(found["data"]) > limit,
    }


def _check_data(params: Params) -> None:
    """Refuse now what could not be honoured when the session is paid."""
    for where, known in DATA.items():
        for name in params.get(where, {}):
            if name not in known:
                raise StripeError.unsupported(f"{where}[{name}]")


def _price(account: Account, item: Params, mode: str, where: str) -> Json:
    """Return the active price a line item names or describes."""
    refuse(item, "tax_rates")
    if "price_data" in item:
        price = _inline_price(account, item["price_data"], where)
    elif "price" in item:
        price = account.get("price", item["price"], f"{where}[price]")
        if not price["active"]:
            raise StripeError(
                "The price specified is inactive. This field only accepts active prices.",
                param=f"{where}[price]",
            )
        if not account.get("product", price["product"])["active"]:
            raise StripeError(
                f"The product {price['product']} is marked as inactive.", param=f"{where}[price]"
            )
    else:
        raise StripeError.missing(f"{where}[price]")
    if mode == "payment" and price["recurring"]:
        raise StripeError(
            "You specified `payment` mode but passed a recurring price. Either switch to "
            "`subscription` mode or use only one-time prices.",
            param=where,
        )
    return price


def _inline_price(account: Account, data: Params, where: str) -> Json:
    if ("product" in data) == ("product_data" in data):
        raise StripeError(
            "You must specify one of these parameters: product, product_data.",
            param=f"{where}[price_data]",
        )
    data = dict(data)
    if "product" in data:
        account.get("product", data["product"], f"{where}[price_data][product]")
    else:
        product = account.call("post", "/v1/products", data.pop("product_data"))
        data["product"] = product["id"]
    made = prices.make(account, data)
    # A price made inline is for this one use: Stripe keeps it inactive.
    return account.save(made, {**made, "active": False})


def _line_item(item: Params, price: Json, currency: str, where: str, account: Account) -> Json:
    if prices.cost(price, currency) is None:
        raise StripeError(
            f"The price {price['id']} has no amount in the currency `{currency}`.",
            param=f"{where}[price]",
        )
    subscription_items.check_quantity(item, where)
    quantity = item.get("quantity")
    if quantity is None:
        raise StripeError(
            "Quantity is required. Add `quantity` to `" + where + "`", param=f"{where}[quantity]"
        )
    return complete(
        LineItem,
        {
            "id": f"li_{random_text(24)}",
            "object": "item",
            "adjustable_quantity": item.get("adjustable_quantity"),
            "amount_subtotal": prices.cost(price, currency, quantity),
            "amount_total": prices.cost(price, currency, quantity),
            "currency": currency,
            "description": account.get("product", price["product"])["name"],
            "metadata": item.get("metadata", {}),
            "price": price["id"],
            "quantity": quantity,
        },
    )


def _currency(params: Params, customer: Json | None, chosen: list[Json]) -> str:
    if "currency" in params:
        return currencies.read(params["currency"], "currency")
    own = customer and customer["currency"]
    if own and prices.cost(chosen[0], own) is not None:
        return str(own)
    return str(chosen[0]["currency"])


def _has_trial(params: Params) -> bool:
    data = params.get("subscription_data", {})
    return bool(data.get("trial_period_days") or data.get("trial_end"))


def customer_details(customer: Json | None, params: Params) -> Json | None:
    """Return what a session shows of its customer, or of an e-mail address it was given."""
    if customer is None and "customer_email" not in params:
        return None
    customer = customer or {"email": params["customer_email"]}
    return {
        **nothing_known(),
        "address": customer.get("address"),
        "email": customer.get("email"),
        "name": customer.get("name"),
        "phone": customer.get("phone"),
        "tax_exempt": customer.get("tax_exempt", "none"),
    }


def nothing_known() -> Json:
    """Return the customer details of somebody of whom nothing is known."""
    return complete(Session.CustomerDetails, {"tax_exempt": "none", "tax_ids": []})


def _embedded(account: Account, item: Json, tree: Json) -> Json:
    price = account.render(account.get("price", item["price"]), tree)
    return {**item, "price": price}


@view(KIND)
def _shown(account: Account, shown: Json, tree: Json) -> Json:
    if "line_items" in tree:
        branch = tree["line_items"].get("data", {}).get("price", {})
        listed = shown["line_items"]
        data = [_embedded(account, item, branch) for item in listed["data"]]
        shown["line_items"] = {**listed, "data": data}
    return shown
