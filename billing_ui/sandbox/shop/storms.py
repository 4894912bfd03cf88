"""A storm: many real changes as quick as they go, for load tests."""

import random
from collections.abc import Iterator

from billing_ui.sandbox.core.cards import AMEX, MASTERCARD, VISA
from billing_ui.sandbox.core.control import Storm
from billing_ui.sandbox.core.store import one_of
from billing_ui.sandbox.shop.errors import Impossible
from billing_ui.sandbox.shop.model import Customer, Price, Subscription
from billing_ui.sandbox.shop.shop import Shop

NAMES = ("Alder", "Birch", "Cedar", "Elm", "Hazel", "Juniper", "Larch", "Maple", "Rowan", "Willow")
MOST_CARDS = 3
"""How many cards a customer comes to have at most."""
MOST_SEATS = 50
"""The highest quantity a subscription comes to have."""
SUBSCRIPTION_SHARE = 0.6
"""How often a subscription is changed rather than its customer."""
MOST_SILENT = 1000
"""How many changes in a row may tell nobody of anything."""


def storm(shop: Shop, wish: Storm) -> Iterator[int]:
    """Change customers and their subscriptions until at least so many events were told of.

    Args:
        shop: Where.
        wish: Which customers, how many events, and the seed of chance.

    Yields:
        How many events there were so far, after each change.

    Raises:
        Missing: A customer does not exist.
        Impossible: There is none at all, or the provider tells nobody of what can be changed.
    """
    customers = wish.customers
    if customers is None:
        customers = [customer.id for customer in shop.find(Customer)]
    for customer_id in customers:
        shop.living_customer(customer_id)
    if not customers:
        raise Impossible("There is no customer to change.")
    storming = _Storming(shop, random.Random(wish.seed))  # noqa: S311 - repeatable on purpose
    events = silent = 0
    while events < wish.events:
        # Between two changes others are served, whose events do not count.
        before = shop.told
        with shop.together():
            storming.change(storming.chance.choice(customers))
        happened = shop.told - before
        events += happened
        silent = 0 if happened else silent + 1
        if silent > MOST_SILENT:
            raise Impossible("Nobody is told of what can be changed.")
        yield events


class _Storming:
    """What a storm does to one customer at a time.

    Args:
        shop: Where.
        chance: What decides.
    """

    def __init__(self, shop: Shop, chance: random.Random) -> None:
        self.chance = chance
        self._shop = shop

    def change(self, customer_id: str) -> None:
        """Change a customer, or a subscription of theirs."""
        running = one_of("status", ("active", "trialing"))
        found = self._shop.find(Subscription, running, customer=customer_id)
        if found and self.chance.random() < SUBSCRIPTION_SHARE:
            subscription = self.chance.choice(found)
            if subscription.cancel_at_period_end:
                self._shop.keep(subscription.id)
            elif self.chance.random() < 0.3:
                self._shop.cancel(subscription.id)
            else:
                self._change_plan(subscription)
        elif self.chance.random() < 0.5:
            name = f"{self.chance.choice(NAMES)} {self.chance.randrange(1_000_000)}"
            self._shop.update_customer(customer_id, name=name)
        else:
            self._change_cards(customer_id)

    def _change_cards(self, customer_id: str) -> None:
        cards = self._shop.cards(customer_id)
        others = [card.id for card in cards if not card.default]
        if others and self.chance.random() < 0.5:
            self._shop.make_default(self.chance.choice(others))
        elif len(cards) >= MOST_CARDS:
            self._shop.remove_card(self.chance.choice(others))
        else:
            number = self.chance.choice((VISA, MASTERCARD, AMEX))
            self._shop.add_card(customer_id, number, default=False)

    def _change_plan(self, subscription: Subscription) -> None:
        """Take more or fewer units, or another price of the same rhythm."""
        now = self._shop.get(Price, subscription.price)
        rhythm = now.interval, now.interval_count
        possible = [
            price
            for _, price in self._shop.on_sale(subscription.currency)
            if (price.interval, price.interval_count) == rhythm and (price != now or now.per_unit)
        ]
        if not possible or self._shop.card_charged(subscription.customer, subscription) is None:
            return
        price = self.chance.choice(possible)
        quantity = self.chance.randint(1, MOST_SEATS) if price.per_unit else 1
        self._shop.change_plan(subscription.id, price.id, quantity)
