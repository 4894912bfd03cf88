"""Portal configurations: what the hosted portal lets customers do."""

from stripe.billing_portal import Configuration, ConfigurationService

from billing_ui.sandbox.core.ids import random_text
from billing_ui.sandbox.core.store import equals
from billing_ui.sandbox.stripe.account import Account
from billing_ui.sandbox.stripe.errors import StripeError
from billing_ui.sandbox.stripe.fields import apply, refuse
from billing_ui.sandbox.stripe.operations import INCLUDABLE, operation
from billing_ui.sandbox.stripe.shapes import Json, complete
from billing_ui.sandbox.stripe.validator import Params

INCLUDABLE["billing_portal.configuration"] = {"features.subscription_update.products"}

MOST_PRODUCTS = 10


@operation(ConfigurationService.create)
def create(account: Account, params: Params) -> Json:
    """Make a configuration."""
    _check(account, params)
    document = {
        "id": account.new_id("bpc"),
        "object": "billing_portal.configuration",
        "active": True,
        "created": account.now,
        "features": {
            "subscription_cancel": {"mode": "at_period_end", "proration_behavior": "none"},
            "subscription_pause": {"duration": {"type": "indefinite"}},
            "subscription_update": {
                "proration_behavior": "none",
                "trial_update_behavior": "end_trial",
            },
        },
        "metadata": {},
        "updated": account.now,
    }
    document = complete(Configuration, document)
    document = _with_login_page(account, apply(Configuration, document, _plain(params)))
    return account.create(
        Configuration, _with_products(document), "billing_portal.configuration.created"
    )


@operation(ConfigurationService.update)
def update(account: Account, params: Params, configuration_id: str) -> Json:
    """Change a configuration."""
    _check(account, params)
    before = account.get("billing_portal.configuration", configuration_id)
    if params.get("active") is False and before["is_default"]:
        raise StripeError("You cannot deactivate the default configuration.", param="active")
    after = {**apply(Configuration, before, _plain(params)), "updated": account.now}
    after = _with_products(_with_login_page(account, after))
    return account.save(before, after, "billing_portal.configuration.updated")


@operation(ConfigurationService.retrieve)
def retrieve(account: Account, params: Params, configuration_id: str) -> Json:
    """Return a configuration."""
    return account.get("billing_portal.configuration", configuration_id)


@operation(ConfigurationService.list)
def list_(account: Account, params: Params) -> Json:
    """List configurations, newest first."""
    conditions = [equals(name, params[name]) for name in ("active", "is_default") if name in params]
    url = "/v1/billing_portal/configurations"
    return account.page("billing_portal.configuration", params, conditions, url=url)


def _plain(params: Params) -> Params:
    """Return the parameters with fields only ever sent emptied as the empty arrays they mean."""
    features = {name: dict(feature) for name, feature in params.get("features", {}).items()}
    for name, field in (
        ("customer_update", "allowed_updates"),
        ("subscription_update", "default_allowed_updates"),
        ("subscription_update", "products"),
    ):
        if features.get(name, {}).get(field) == "":
            features[name][field] = []
    reason = features.get("subscription_cancel", {}).get("cancellation_reason")
    if reason and reason.get("options") == "":
        features["subscription_cancel"]["cancellation_reason"] = {**reason, "options": []}
    return {**params, "features": features} if features else params


def _with_products(document: Json) -> Json:
    """Return a configuration whose products all say whether their quantity is adjustable."""
    features = document["features"]
    products = [
        {
            **product,
            "adjustable_quantity": {
                "enabled": False,
                "maximum": None,
                "minimum": 1,
                **(product.get("adjustable_quantity") or {}),
            },
        }
        for product in features["subscription_update"]["products"] or []
    ]
    changed = {**features["subscription_update"], "products": products}
    return {**document, "features": {**features, "subscription_update": changed}}


def _with_login_page(account: Account, document: Json) -> Json:
    page = document["login_page"]
    url = page["url"] or f"{account.origin}/p/login/test_{random_text(14)}"
    return {**document, "login_page": {**page, "url": url if page["enabled"] else None}}


def _check(account: Account, params: Params) -> None:
    features = params.get("features", {})
    refuse(features.get("payment_method_update", {}), "payment_method_configuration")
    cancel = features.get("subscription_cancel", {})
    refuse(cancel.get("cancellation_reason", {}), "feedback_options")
    _check_cancel(cancel)
    update_ = features.get("subscription_update", {})
    if update_.get("enabled"):
        _check_update_is_whole(update_)
    _check_products(account, update_.get("products") or [])
    customer = features.get("customer_update", {})
    if customer.get("enabled") and customer.get("allowed_updates") == "":
        raise StripeError.missing("features[customer_update][allowed_updates]")


def _check_cancel(cancel: Params) -> None:
    behavior, mode = cancel.get("proration_behavior"), cancel.get("mode", "at_period_end")
    where = "features[subscription_cancel][proration_behavior]"
    if behavior == "always_invoice":
        raise StripeError(
            "`always_invoice` is not supported for subscription cancellation.", param=where
        )
    if behavior == "create_prorations" and mode == "at_period_end":
        raise StripeError(
            "`proration_behavior` must be `none` when `mode` is `at_period_end`.", param=where
        )


def _check_update_is_whole(feature: Params) -> None:
    where = "features[subscription_update]"
    for name in ("default_allowed_updates", "products"):
        if not feature.get(name):
            raise StripeError.missing(f"{where}[{name}]")


def _check_products(account: Account, products: list[Params]) -> None:
    """See that every product exists with its prices, active, at distinct billing intervals."""
    where = "features[subscription_update][products]"
    if len(products) > MOST_PRODUCTS:
        raise StripeError(
            f"You can configure at most {MOST_PRODUCTS} products for subscription updates.",
            param=where,
        )
    seen: set[str] = set()
    for index, entry in enumerate(products):
        here = f"{where}[{index}]"
        product = account.get("product", entry["product"], f"{here}[product]")
        if product["id"] in seen:
            raise StripeError("Each product may be listed only once.", param=f"{here}[product]")
        seen.add(product["id"])
        if not product["active"]:
            raise StripeError(
                f"The product {product['id']} is not active.", param=f"{here}[product]"
            )
        _check_prices(account, entry, here)
        quantity = entry.get("adjustable_quantity", {})
        if quantity.get("maximum", 10**6) < quantity.get("minimum", 0):
            raise StripeError(
                "The maximum quantity must not be below the minimum.",
                param=f"{here}[adjustable_quantity][maximum]",
            )


def _check_prices(account: Account, entry: Params, where: str) -> None:
    intervals: set[tuple[str, int]] = set()
    for number, price_id in enumerate(entry["prices"]):
        param = f"{where}[prices][{number}]"
        price = account.get("price", price_id, param)
        if price["product"] != entry["product"]:
            raise StripeError(
                f"The price {price_id} does not belong to the product {entry['product']}.",
                param=param,
            )
        if not price["active"]:
            raise StripeError(f"The price {price_id} is not active.", param=param)
        if price["recurring"] is None:
            raise StripeError(f"The price {price_id} is not recurring.", param=param)
        interval = (price["recurring"]["interval"], price["recurring"]["interval_count"])
        if interval in intervals:
            raise StripeError(
                "For each product, its price must have unique billing intervals.", param=param
            )
        intervals.add(interval)
