"""A storm: many real changes by ordinary calls, as quick as they go, for load tests."""

import random
from collections.abc import Iterator

from billing_ui.sandbox.core.control import Storm
from billing_ui.sandbox.core.store import equals, one_of
from billing_ui.sandbox.stripe import subscription_items
from billing_ui.sandbox.stripe.account import Account
from billing_ui.sandbox.stripe.errors import StripeError
from billing_ui.sandbox.stripe.resources import prices, test_clocks
from billing_ui.sandbox.stripe.shapes import Json

NAMES = ("Alder", "Birch", "Cedar", "Elm", "Hazel", "Juniper", "Larch", "Maple", "Rowan", "Willow")
CARDS = ("pm_card_visa", "pm_card_mastercard", "pm_card_amex")
MOST_CARDS = 3
"""How many cards a customer comes to have at most."""
MOST_SEATS = 50
"""The highest quantity a subscription comes to have."""
SUBSCRIPTION_SHARE = 0.6
"""How often a subscription is changed rather than its customer."""
MOST_EVENTS = 3
"""How many events a change makes at most: a proration credits, charges, and updates."""


def storm(account: Account, wish: Storm) -> Iterator[int]:
    """Change customers and their subscriptions until enough events were told of.

    Args:
        wish: Which customers, how many events exactly, and the seed of chance.

    Yields:
        How many events there were so far, after each change.

    Raises:
        StripeError: A customer does not exist, or there is none at all.
    """
    customers = wish.customers
    if customers is None:
        conditions = [test_clocks.condition(account, {})]
        customers = [customer["id"] for customer in account.store.find("customer", conditions)]
    for customer_id in customers:
        account.get("customer", customer_id, "customers")
    if not customers:
        raise StripeError("There is no customer to change.", param="customers")
    storming = Storming(account, random.Random(wish.seed))  # noqa: S311 - repeatable on purpose
    events = 0
    while events < wish.events:
        # Between two changes others are served, whose events do not count.
        before = account.told
        customer = account.get("customer", storming.chance.choice(customers))
        if wish.events - events < MOST_EVENTS:
            # What is told of by one event alone keeps the number exact.
            storming.rename(customer)
        else:
            storming.change(customer)
        events += account.told - before
        yield events


class Storming:
    """What a storm does to one customer at a time.

    Args:
        account: Where.
        chance: What decides.
    """

    def __init__(self, account: Account, chance: random.Random) -> None:
        self.chance = chance
        self._account = account

    def change(self, customer: Json) -> None:
        """Change a customer, or a subscription of theirs."""
        conditions = [one_of("status", ("active", "trialing", "past_due"))]
        found = self._account.store.find("subscription", conditions, customer=customer["id"])
        changes = [self.rename, self.change_cards]
        if found and self.chance.random() < SUBSCRIPTION_SHARE:
            subscription = self.chance.choice(found)
            of_subscriptions = [self.change_quantity, self.change_plan, self.toggle_end]
            self.chance.choice(of_subscriptions)(subscription)
        else:
            self.chance.choice(changes)(customer)

    def rename(self, customer: Json) -> None:
        """Give a customer another name."""
        name = f"{self.chance.choice(NAMES)} {self.chance.randrange(1_000_000)}"
        self._post(f"/v1/customers/{customer['id']}", {"name": name})

    def change_cards(self, customer: Json) -> None:
        """Attach a card, detach one, or make another the default."""
        found = self._account.store.find("payment_method", customer=customer["id"])
        default = customer["invoice_settings"]["default_payment_method"]
        others = [card["id"] for card in found if card["id"] != default]
        if others and self.chance.random() < 0.5:
            settings = {"default_payment_method": self.chance.choice(others)}
            self._post(f"/v1/customers/{customer['id']}", {"invoice_settings": settings})
        elif others and len(found) >= MOST_CARDS:
            self._post(f"/v1/payment_methods/{self.chance.choice(others)}/detach", {})
        else:
            card = self.chance.choice(CARDS)
            self._post(f"/v1/payment_methods/{card}/attach", {"customer": customer["id"]})

    def change_quantity(self, subscription: Json) -> None:
        """Take more or fewer of what the first item is."""
        item = subscription["items"]["data"][0]
        wanted = [number for number in range(1, MOST_SEATS + 1) if number != item["quantity"]]
        change = {"id": item["id"], "quantity": self.chance.choice(wanted)}
        self._post(f"/v1/subscriptions/{subscription['id']}", {"items": [change]})

    def change_plan(self, subscription: Json) -> None:
        """Move the first item to another price of the same interval; where there is none, seats."""
        item = subscription["items"]["data"][0]
        taken = {entry["price"] for entry in subscription["items"]["data"]}
        interval = subscription_items.interval_of(self._account, item)
        on_sale = self._account.store.find(
            "price",
            [
                equals("active", True),
                equals("recurring.interval", interval[0]),
                equals("recurring.interval_count", interval[1]),
            ],
        )
        possible = [
            price["id"]
            for price in on_sale
            if price["id"] not in taken
            and prices.cost(price, subscription["currency"]) is not None
            and self._account.get("product", price["product"])["active"]
        ]
        if not possible:
            self.change_quantity(subscription)
            return
        change = {"id": item["id"], "price": self.chance.choice(possible)}
        self._post(f"/v1/subscriptions/{subscription['id']}", {"items": [change]})

    def toggle_end(self, subscription: Json) -> None:
        """Cancel at the end of the period, or withdraw that."""
        ends = subscription["cancel_at"] is not None
        params: Json = {"cancel_at": ""} if ends else {"cancel_at_period_end": True}
        self._post(f"/v1/subscriptions/{subscription['id']}", params)

    def _post(self, path: str, params: Json) -> None:
        self._account.call("post", path, params)
