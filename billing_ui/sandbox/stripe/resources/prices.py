"""Prices: what a product costs, once or per interval, in one or more currencies."""

from decimal import ROUND_HALF_UP, Decimal

from stripe import Price, PriceService

from billing_ui.sandbox.core.store import Condition, equals, one_of
from billing_ui.sandbox.stripe import currencies
from billing_ui.sandbox.stripe.account import Account
from billing_ui.sandbox.stripe.errors import StripeError
from billing_ui.sandbox.stripe.fields import apply, created_within, refuse
from billing_ui.sandbox.stripe.operations import INCLUDABLE, operation, view
from billing_ui.sandbox.stripe.shapes import Json, complete
from billing_ui.sandbox.stripe.validator import Params

INCLUDABLE["price"] = {"currency_options", "tiers"}

MOST = 99_999_999_999
"""The highest amount of a price, in minor units."""

LONGEST = {"day": 1095, "week": 156, "month": 36, "year": 3}
"""Interval -> how many of it a period may have: three years at most."""


@operation(PriceService.create)
def create(account: Account, params: Params) -> Json:
    """Make a price of an existing product, or of a new one."""
    if "product_data" in params:
        if "product" in params:
            raise StripeError(
                "You may only specify one of these parameters: product, product_data."
            )
        product = account.call("post", "/v1/products", params["product_data"])
        params = {**params, "product": product["id"]}
    if "product" not in params:
        raise StripeError.missing("product")
    account.get("product", params["product"], "product")
    return make(account, params)


def make(account: Account, params: Params) -> Json:
    """Make a price of a product that exists."""
    refuse(params, "custom_unit_amount", "tiers", "tiers_mode", "transform_quantity")
    if params.get("billing_scheme") == "tiered":
        raise StripeError.unsupported("billing_scheme")
    amount = _amounts(params, "")
    recurring = params.get("recurring")
    if recurring is not None:
        recurring = _recurring(recurring)
    currency = currencies.read(params["currency"], "currency")
    own = {**amount, "tax_behavior": params.get("tax_behavior", "unspecified")}
    handled = {"product_data", "currency", "currency_options", "recurring", "transfer_lookup_key"}
    handled |= {"unit_amount", "unit_amount_decimal"}
    document = {
        "id": account.new_id("price"),
        "object": "price",
        "active": True,
        "billing_scheme": "per_unit",
        "currency": currency,
        "currency_options": {currency: own, **_options(params.get("currency_options") or {})},
        "metadata": {},
        "recurring": recurring,
        "type": "one_time" if recurring is None else "recurring",
        **own,
    }
    document = apply(Price, document, params, handled=handled)
    _claim_lookup_key(account, params, document["id"])
    return account.create(Price, document, "price.created")


@operation(PriceService.update)
def update(account: Account, params: Params, price_id: str) -> Json:
    """Change a price; its amount never changes, but currencies may be added."""
    before = account.get("price", price_id)
    handled = ("currency_options", "transfer_lookup_key")
    after = apply(Price, before, params, handled=handled)
    if params.get("currency_options"):
        added = _options(params["currency_options"])
        after = {**after, "currency_options": {**before["currency_options"], **added}}
    _claim_lookup_key(account, params, price_id)
    return account.save(before, complete(Price, after), "price.updated")


@operation(PriceService.retrieve)
def retrieve(account: Account, params: Params, price_id: str) -> Json:
    """Return a price."""
    return account.get("price", price_id)


@operation(PriceService.list)
def list_(account: Account, params: Params) -> Json:
    """List prices, newest first."""
    conditions = created_within(params)
    names = ("active", "currency", "product", "type")
    conditions += [equals(name, params[name]) for name in names if name in params]
    recurring = params.get("recurring", {})
    conditions += [equals(f"recurring.{name}", value) for name, value in recurring.items()]
    if "lookup_keys" in params:
        conditions.append(one_of("lookup_key", params["lookup_keys"]))
    return account.page("price", params, conditions, url="/v1/prices")


def cost(price: Json, currency: str, quantity: int = 1) -> int | None:
    """Return what a quantity costs in a currency, in minor units; None when it has no such price.

    A price may be a fraction of a minor unit; only the whole is rounded.
    """
    option = price["currency_options"].get(currency)
    if option is None:
        return None
    exact = Decimal(option["unit_amount_decimal"]) * quantity
    return int(exact.quantize(Decimal(1), ROUND_HALF_UP))


def unit(price: Json, currency: str) -> str:
    """Return the exact decimal price of one unit, in minor units."""
    return str(price["currency_options"][currency]["unit_amount_decimal"])


def plan_of(price: Json) -> Json:
    """Return the old-style plan a recurring price also is."""
    recurring = price["recurring"]
    return {
        "id": price["id"],
        "object": "plan",
        "active": price["active"],
        "amount": price["unit_amount"],
        "amount_decimal": price["unit_amount_decimal"],
        "billing_scheme": price["billing_scheme"],
        "created": price["created"],
        "currency": price["currency"],
        "interval": recurring["interval"],
        "interval_count": recurring["interval_count"],
        "livemode": False,
        "metadata": price["metadata"],
        "meter": None,
        "nickname": price["nickname"],
        "product": price["product"],
        "tiers_mode": None,
        "transform_usage": None,
        "trial_period_days": None,
        "usage_type": recurring["usage_type"],
    }


def _recurring(recurring: Params) -> Json:
    if recurring.get("usage_type") == "metered" or "meter" in recurring:
        raise StripeError.unsupported("recurring[usage_type]")
    count = recurring.get("interval_count", 1)
    interval = recurring["interval"]
    if not 1 <= count <= LONGEST[interval]:
        raise StripeError(
            f"Invalid recurring[interval_count]: a period of {count} {interval}s is longer than "
            "three years or shorter than one of them.",
            param="recurring[interval_count]",
        )
    return {"interval_count": 1, "usage_type": "licensed", "meter": None, **recurring}


def _amounts(params: Params, prefix: str) -> Json:
    """Return `unit_amount` and `unit_amount_decimal`, of which one must be given."""
    if "unit_amount" in params and "unit_amount_decimal" in params:
        raise StripeError(
            "You may only specify one of these parameters: unit_amount, unit_amount_decimal."
        )
    if "unit_amount" not in params and "unit_amount_decimal" not in params:
        raise StripeError(
            "Prices require an `unit_amount` or `unit_amount_decimal` parameter to be set.",
            code="parameter_missing",
            param=f"{prefix}[unit_amount]" if prefix else "unit_amount",
        )
    exact = Decimal(str(params.get("unit_amount_decimal", params.get("unit_amount"))))
    if not 0 <= exact <= MOST:
        raise StripeError(
            f"This value must be greater than or equal to 0 and at most {MOST}.",
            code="parameter_invalid_integer",
            param=f"{prefix}[unit_amount]" if prefix else "unit_amount",
        )
    whole = exact == exact.to_integral_value()
    return {
        "unit_amount": int(exact) if whole else None,
        "unit_amount_decimal": format(exact.normalize() if exact else Decimal(0), "f"),
    }


def _options(options: Params) -> Json:
    made: Json = {}
    for name, option in options.items():
        where = f"currency_options[{name}]"
        refuse(option, "custom_unit_amount", "tiers")
        amount = _amounts(option, where)
        tax_behavior = option.get("tax_behavior", "unspecified")
        made[currencies.read(name, where)] = {
            "custom_unit_amount": None,
            "tax_behavior": tax_behavior,
            **amount,
        }
    return made


def _claim_lookup_key(account: Account, params: Params, price_id: str) -> None:
    """See that a lookup key stands for one price only."""
    key = params.get("lookup_key")
    if not key:
        return
    others = [equals("lookup_key", key), Condition("id <> ?", (price_id,))]
    for other in account.store.find("price", others):
        if not params.get("transfer_lookup_key"):
            raise StripeError(
                f"A price (`{other['id']}`) already uses that lookup key.", param="lookup_key"
            )
        account.save(other, {**other, "lookup_key": None}, "price.updated")


@view("price")
def _shown(account: Account, shown: Json, tree: Json) -> Json:
    if "tiers" in tree:
        shown["tiers"] = None
    return shown
