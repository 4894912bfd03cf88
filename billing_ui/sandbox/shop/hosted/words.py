"""Turn the shop's records into the words and figures that the hosted pages show."""

from dataclasses import asdict

from billing_ui.sandbox.hosted.formats import Formats, per_interval
from billing_ui.sandbox.hosted.wording import (
    CANCELING,
    SUBSCRIPTION_STATUS,
    PlanWords,
    address_lines,
    brand_words,
    quantity_words,
)
from billing_ui.sandbox.shop.model import Card, Customer, Price, Product, Status, Subscription


def plan_words(
    subscription: Subscription, product: Product, price: Price, card: Card | None, formats: Formats
) -> PlanWords:
    """Return a subscription in words; `card` is what its next invoice is charged to."""
    canceling = subscription.cancel_at_period_end and subscription.status is Status.ACTIVE
    words = [rhythm(price)]
    if subscription.quantity != 1:
        each = formats.money(price.amount, price.currency)
        words.append(quantity_words(product.unit_label, subscription.quantity, each))
    return PlanWords(
        id=subscription.id,
        name=product.name,
        status=CANCELING if canceling else SUBSCRIPTION_STATUS[subscription.status],
        amount=formats.money(price.amount * subscription.quantity, price.currency),
        rhythm=" · ".join(words),
        dates=_dates(subscription, card, formats),
    )


def rhythm(price: Price) -> str:
    """Return "per month", or "every 3 months"."""
    return per_interval({"interval": price.interval, "interval_count": price.interval_count})


def card_words(card: Card) -> str:
    """Return a card in words, such as "Visa ending in 4242"."""
    return brand_words(card.brand, card.last4)


def address_words(customer: Customer, formats: Formats) -> list[str]:
    """Return a customer's address as lines, the country written out."""
    return address_lines(asdict(customer.address) if customer.address else None, formats)


def _dates(subscription: Subscription, card: Card | None, formats: Formats) -> str:
    """Return the one date that matters now, with the card it concerns."""
    end = formats.date(subscription.period_end)
    if subscription.cancel_at_period_end:
        return f"Cancels on {end}. You will not be charged again."
    if subscription.status is Status.TRIALING:
        return f"Trial ends on {end}."
    if subscription.status is Status.PAUSED:
        if subscription.resumes_at is None:
            return "Paused. You will not be charged."
        return f"Paused until {formats.date(subscription.resumes_at)}."
    if subscription.status is Status.UNPAID:
        return "Waits for its payment."
    paid = f" with {card_words(card)}" if card else ""
    return f"Renews on {end}{paid}."
