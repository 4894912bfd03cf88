"""Turn Stripe objects into the words and figures that the hosted pages show."""

from typing import Any

from billing_ui.sandbox.hosted.formats import Formats, per_interval
from billing_ui.sandbox.hosted.wording import (
    CANCELING,
    SUBSCRIPTION_STATUS,
    PlanWords,
    brand_words,
    expiry_words,
    quantity_words,
)
from billing_ui.sandbox.stripe.subscribing import LIVE


def plan_words(
    subscription: dict[str, Any], products: dict[str, dict[str, Any]], card: str, formats: Formats
) -> PlanWords:
    """Return a subscription in words.

    Args:
        subscription: the subscription as the API answers it.
        products: the products of its items by id.
        card: "Visa ending in 4242", the payment method its next invoice is charged to; "" if none.
        formats: how the reader writes amounts and dates.
    """
    canceling = is_canceling(subscription) and subscription["status"] == "active"
    return PlanWords(
        id=subscription["id"],
        name=plan_name(subscription, products),
        status=CANCELING if canceling else SUBSCRIPTION_STATUS[subscription["status"]],
        amount=formats.money(recurring_total(subscription), subscription["currency"]),
        rhythm=_rhythm(subscription, products, formats),
        dates=_dates(subscription, card, formats),
    )


def plan_name(subscription: dict[str, Any], products: dict[str, dict[str, Any]]) -> str:
    """Return the names of everything subscribed to, such as "Team" or "Team + Support"."""
    items = subscription["items"]["data"]
    return " + ".join(products[item["price"]["product"]]["name"] for item in items)


def is_canceling(subscription: dict[str, Any]) -> bool:
    """Tell whether a subscription that still runs has an end set."""
    ends = subscription["cancel_at_period_end"] or subscription["cancel_at"] is not None
    return ends and subscription["status"] in LIVE


def recurring_total(subscription: dict[str, Any]) -> int:
    """Return what one period of the subscription costs before tax, in minor units."""
    return sum(
        (price_amount(item["price"], subscription["currency"]) or 0) * item.get("quantity", 1)
        for item in subscription["items"]["data"]
    )


def price_amount(price: dict[str, Any], currency: str) -> int | None:
    """Return a price's amount in `currency` in minor units; None when it has no fixed one.

    A price in several currencies must have been fetched with its `currency_options`.
    """
    if price["currency"] == currency:
        amount = price["unit_amount"]
    else:
        amount = price.get("currency_options", {}).get(currency, {}).get("unit_amount")
    return None if amount is None else int(amount)


def period_end(subscription: dict[str, Any]) -> int:
    """Return when the subscription's current period ends (its items', the earliest of them)."""
    return min(int(item["current_period_end"]) for item in subscription["items"]["data"])


def card_words(payment_method: dict[str, Any]) -> str:
    """Return a payment method in words, such as "Visa ending in 4242"."""
    card = payment_method.get("card")
    if card is None:
        return str(payment_method["type"]).replace("_", " ").capitalize()
    return brand_words(card["brand"], card["last4"])


def card_expiry(payment_method: dict[str, Any]) -> str:
    """Return "Expires 01/2027"; "" for what is not a card."""
    card = payment_method.get("card")
    return expiry_words(card["exp_month"], card["exp_year"]) if card else ""


def invoice_name(invoice: dict[str, Any]) -> str:
    """Return what an invoice is called: its number, or its id while it is a draft."""
    return str(invoice["number"] or invoice["id"])


def is_proration(line: dict[str, Any]) -> bool:
    """Tell whether an invoice line is for a part of a period, after a change within it."""
    parent = line["parent"] or {}
    details = parent.get("subscription_item_details") or parent.get("invoice_item_details") or {}
    return bool(details.get("proration"))


def _rhythm(
    subscription: dict[str, Any], products: dict[str, dict[str, Any]], formats: Formats
) -> str:
    """Return "per month · 24 seats at $20.00"."""
    items = subscription["items"]["data"]
    words = [per_interval(items[0]["price"]["recurring"])]
    for item in items:
        amount = price_amount(item["price"], subscription["currency"])
        if amount is None or item.get("quantity", 1) == 1:
            continue
        each = formats.money(amount, subscription["currency"])
        product = products[item["price"]["product"]]
        words.append(quantity_words(product.get("unit_label"), item["quantity"], each))
    return " · ".join(words)


def _dates(subscription: dict[str, Any], card: str, formats: Formats) -> str:
    """Return the one date that matters now, with the card it concerns."""
    if subscription["status"] in {"canceled", "incomplete_expired"}:
        return f"Ended on {formats.date(subscription['ended_at'] or subscription['created'])}."
    if is_canceling(subscription):
        ends = subscription["cancel_at"] or period_end(subscription)
        return f"Cancels on {formats.date(ends)}. You will not be charged again."
    paid = f" with {card}" if card else ""
    if subscription["status"] == "trialing":
        return f"Trial ends on {formats.date(subscription['trial_end'])}."
    if subscription["status"] == "paused":
        return "Paused until a payment method is added."
    if subscription["status"] == "incomplete":
        return "The first payment is not finished."
    return f"Renews on {formats.date(period_end(subscription))}{paid}."
