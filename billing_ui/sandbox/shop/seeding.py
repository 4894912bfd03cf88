"""Many customers at once, each with its subscriptions and their past; nobody is told of them."""

from collections.abc import Iterator

from billing_ui.sandbox.core.control import Seed
from billing_ui.sandbox.core.ids import random_text
from billing_ui.sandbox.core.periods import DAY, HOUR, add_interval
from billing_ui.sandbox.shop.model import Interval, Invoice, Json, Price
from billing_ui.sandbox.shop.shop import Shop

CHUNK = 50
"""How many customers are made before others are served."""
LEAD = 60
"""Seconds from a customer's creation to the first subscription."""


def seed(shop: Shop, wish: Seed) -> Iterator[Json]:
    """Make customers, evenly between two times, whose subscriptions are paid until now.

    Yields:
        How many customers, subscriptions and invoices there are so far.

    Raises:
        Missing: There is no such price.
    """
    now = shop.now
    with shop.silence():
        price = _price(shop, wish.price)
    first = now - 365 * DAY if wish.created_from is None else wish.created_from
    last = now - DAY if wish.created_to is None else wish.created_to
    counts = {"customers": 0, "subscriptions": 0, "invoices": 0}
    yield counts
    while counts["customers"] < wish.customers:
        start = counts["customers"]
        with shop.together(), shop.silence():
            for index in range(start, min(start + CHUNK, wish.customers)):
                created = int(first + (last - first) * index / max(1, wish.customers - 1))
                counts["invoices"] += _customer(shop, price, wish, created, now)
                counts["customers"] += 1
                counts["subscriptions"] += wish.subscriptions_per_customer
        yield counts


def _customer(shop: Shop, price: Price, wish: Seed, created: int, now: int) -> int:
    """Make one customer; return how many invoices there are of it."""
    with shop.at(created):
        email = f"{random_text(12).lower()}@{wish.email_domain}"
        customer = shop.create_customer(email, name=f"Customer {email[:6]}")
        shop.add_card(customer.id)
    with shop.at(_begin(price, created + LEAD, now, wish.invoices_per_customer)):
        for _ in range(wish.subscriptions_per_customer):
            shop.subscribe(customer.id, price.id, trial_days=0)
    shop.advance(now, customer.id)
    if wish.invoices_per_customer:
        return shop.count(Invoice, customer=customer.id)
    for invoice in shop.find(Invoice, customer=customer.id):
        shop.forget(invoice)
    return 0


def _begin(price: Price, earliest: int, now: int, invoices: int) -> int:
    """Return when a subscription begins, so that it has no more invoices than wanted until now."""
    begins, number = [earliest], 1
    while begins[-1] < now - HOUR:
        begins.append(add_interval(earliest, price.interval, price.interval_count * number))
        number += 1
    past = [moment for moment in begins if moment <= now]
    return past[-max(1, min(invoices, len(past)))] if past else earliest


def _price(shop: Shop, price_id: str | None) -> Price:
    if price_id is not None:
        return shop.get(Price, price_id)
    on_sale = shop.on_sale()
    if on_sale:
        return on_sale[0][1]
    product = shop.create_product("Seeded plan")
    return shop.create_price(product.id, 2000, interval=Interval.MONTH)
