"""The items of a subscription: which prices, how many, and what a change of them is worth."""

from stripe import InvoiceItem

from billing_ui.sandbox.core import periods
from billing_ui.sandbox.core.ids import new_id
from billing_ui.sandbox.stripe import billing, currencies
from billing_ui.sandbox.stripe.account import Account
from billing_ui.sandbox.stripe.errors import StripeError
from billing_ui.sandbox.stripe.fields import merge_metadata, refuse
from billing_ui.sandbox.stripe.resources import prices
from billing_ui.sandbox.stripe.shapes import Json
from billing_ui.sandbox.stripe.validator import Params

MOST = 999_999
"""The highest quantity."""

UNSUPPORTED = frozenset(
    {
        "billing_thresholds",
        "clear_usage",
        "current_trial",
        "discounts",
        "tax_rates",
    }
)


def recurring_price(account: Account, item: Params, where: str) -> Json:
    """Return the active recurring price an item names or describes.

    Args:
        item: With `price`, the older `plan`, or `price_data`.
        where: How the item is called on the wire, such as `items[0]`.

    Raises:
        StripeError: There is none, or it cannot be subscribed to.
    """
    refuse(item, *UNSUPPORTED)
    check_quantity(item, where)
    name = "price" if "price" in item else "plan"
    if "price_data" in item:
        account.get("product", item["price_data"]["product"], f"{where}[price_data][product]")
        made = prices.make(account, item["price_data"])
        # A price made inline is for this one use: Stripe keeps it inactive.
        return account.save(made, {**made, "active": False})
    if name not in item:
        raise StripeError.missing(f"{where}[price]")
    price = account.get("price", item[name], f"{where}[{name}]")
    if not price["active"]:
        raise StripeError(
            "The price specified is inactive. This field only accepts active prices.",
            param=f"{where}[{name}]",
        )
    product = account.get("product", price["product"])
    if not product["active"]:
        raise StripeError(
            f"The product {product['id']} is marked as inactive, and we're unable to create new "
            "subscriptions for inactive products.",
            param=f"{where}[{name}]",
        )
    if price["type"] != "recurring":
        raise StripeError(
            "The price specified is set to `type=one_time` but this field only accepts prices "
            "with `type=recurring`.",
            param=f"{where}[{name}]",
        )
    return price


def check_quantity(item: Params, where: str) -> None:
    """See that a quantity is one.

    Raises:
        StripeError: It is negative, or beyond counting.
    """
    if not 0 <= item.get("quantity", 1) <= MOST:
        raise StripeError(
            f"Quantity must be between 0 and {MOST}.",
            code="parameter_invalid_integer",
            param=f"{where}[quantity]",
        )


def check_currency(price: Json, currency: str, param: str) -> None:
    """See that a price can be paid in a currency.

    Raises:
        StripeError: It has no amount in it.
    """
    if prices.cost(price, currency) is None:
        offered = ", ".join(f"`{name}`" for name in price["currency_options"])
        raise StripeError(
            f"The price specified only supports {offered}. This doesn't match the expected "
            f"currency: `{currency}`.",
            param=param,
        )


def make(
    account: Account, subscription_id: str, price: Json, item: Params, period: tuple[int, int]
) -> Json:
    """Return a new item of a subscription, for a period in Unix seconds."""
    return {
        "id": new_id("si", 14),
        "object": "subscription_item",
        "billed_until": None,
        "billing_thresholds": None,
        "created": account.now,
        "current_period_end": period[1],
        "current_period_start": period[0],
        "current_trial": None,
        "discounts": [],
        "metadata": merge_metadata(None, item.get("metadata", {})),
        "price": price["id"],
        "quantity": item.get("quantity", 1),
        "subscription": subscription_id,
        "tax_rates": [],
    }


def changed(account: Account, subscription: Json, wanted: list[Params]) -> list[Json]:
    """Return the items of a subscription after an update's `items`.

    Raises:
        StripeError: An item or price is not what it should be.
    """
    items = {item["id"]: item for item in subscription["items"]["data"]}
    for index, change in enumerate(wanted):
        where = f"items[{index}]"
        item_id = change.get("id")
        if item_id is not None and item_id not in items:
            raise StripeError.no_such("subscription_item", item_id, f"{where}[id]")
        if change.get("deleted"):
            if item_id is None:
                raise StripeError.missing(f"{where}[id]")
            del items[item_id]
            continue
        names = {"price", "plan", "price_data"} & change.keys()
        if item_id is None or names:
            price = recurring_price(account, change, where)
            check_currency(price, subscription["currency"], f"{where}[price]")
        if item_id is None:
            period = billing.period_around(
                subscription["billing_cycle_anchor"], account.now, price["recurring"]
            )
            item = make(account, subscription["id"], price, change, period)
        else:
            refuse(change, *UNSUPPORTED)
            check_quantity(change, where)
            item = dict(items[item_id])
            item["price"] = price["id"] if names else item["price"]
            item["quantity"] = change.get("quantity", item["quantity"])
            item["metadata"] = merge_metadata(item["metadata"], change.get("metadata", {}))
        items[item["id"]] = item
    if not items:
        raise StripeError(
            "A subscription must have at least one active item. To cancel it, use the cancel "
            "endpoint.",
            param="items",
        )
    check_distinct(list(items.values()))
    return list(items.values())


def check_distinct(items: list[Json]) -> None:
    """See that no price stands on a subscription twice, and that there are not too many.

    Raises:
        StripeError: It does.
    """
    seen = [item["price"] for item in items]
    for price_id in seen:
        if seen.count(price_id) > 1:
            raise StripeError(
                "Cannot add multiple subscription items with the same plan: "
                f"{price_id}. Use `quantity` instead.",
                param="items",
            )
    if len(items) > 20:
        raise StripeError("A subscription can have at most 20 items.", param="items")


def interval_of(account: Account, item: Json) -> tuple[str, int]:
    """Return the interval and interval count of an item's price."""
    recurring = account.get("price", item["price"])["recurring"]
    return recurring["interval"], recurring["interval_count"]


def total(account: Account, item: Json, currency: str) -> int:
    """Return what an item costs a period, in minor units."""
    price = account.get("price", item["price"])
    return prices.cost(price, currency, item["quantity"]) or 0


def lines(account: Account, subscription: Json, items: list[Json], trial: bool) -> list[Json]:
    """Return an invoice line for each item's current period; free of charge on trial."""
    made = []
    for item in items:
        price = account.get("price", item["price"])
        product = account.get("product", price["product"])
        currency, quantity = subscription["currency"], item["quantity"]
        each = currencies.money(prices.cost(price, currency) or 0, currency)
        name = f"{quantity} × {product['name']} (at {each} / {billing.per(price['recurring'])})"
        parent = {
            "subscription_item_details": {
                "proration": False,
                "subscription": subscription["id"],
                "subscription_item": item["id"],
            },
            "type": "subscription_item_details",
        }
        made.append(
            billing.line(
                id_=new_id("il"),
                amount=0 if trial else total(account, item, currency),
                currency=currency,
                description=f"Trial period for {product['name']}" if trial else name,
                period=(item["current_period_start"], item["current_period_end"]),
                quantity=quantity,
                parent=parent,
                price=price,
                unit_amount="0" if trial else prices.unit(price, currency),
                metadata=subscription["metadata"],
            )
        )
    return made


def prorate(account: Account, subscription: Json, item: Json, sign: int, moment: int) -> None:
    """Leave a pending invoice item for the rest of an item's period.

    Args:
        subscription: Whose item it is.
        item: With the price and quantity that is credited or charged.
        sign: -1 credits time not used, 1 charges time to come.
        moment: Since when, in Unix seconds.
    """
    start, end = item["current_period_start"], item["current_period_end"]
    currency = subscription["currency"]
    amount = sign * periods.unused_share(total(account, item, currency), start, end, moment)
    if not amount:
        return
    price = account.get("price", item["price"])
    name = account.get("product", price["product"])["name"]
    name = f"{item['quantity']} × {name}" if item["quantity"] != 1 else name
    words = "Unused time on" if sign < 0 else "Remaining time on"
    subscription_details = {"subscription": subscription["id"], "subscription_item": item["id"]}
    account.create(
        InvoiceItem,
        {
            "id": new_id("ii"),
            "object": "invoiceitem",
            "amount": amount,
            "currency": currency,
            "customer": subscription["customer"],
            "date": account.now,
            "description": f"{words} {name} after {billing.day(moment)}",
            "discountable": False,
            "metadata": subscription["metadata"],
            "net_amount": amount,
            "parent": {
                "subscription_details": subscription_details,
                "type": "subscription_details",
            },
            "period": {"start": moment, "end": end},
            "pricing": {
                "price_details": {"price": price["id"], "product": price["product"]},
                "type": "price_details",
                "unit_amount_decimal": str(amount),
            },
            "proration": True,
            "quantity": item["quantity"],
            "quantity_decimal": str(item["quantity"]),
            "test_clock": subscription["test_clock"],
        },
        "invoiceitem.created",
    )


def restarted(account: Account, item: Json) -> Json:
    """Return an item whose period begins now."""
    recurring = account.get("price", item["price"])["recurring"]
    start, end = billing.period_around(account.now, account.now, recurring)
    return {**item, "current_period_start": start, "current_period_end": end}
