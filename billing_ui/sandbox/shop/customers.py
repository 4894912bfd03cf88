"""Customers and their cards."""

from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from billing_ui.sandbox.core import cards as test_cards
from billing_ui.sandbox.core.store import Condition, equals
from billing_ui.sandbox.shop.dialect import ChangeKind
from billing_ui.sandbox.shop.errors import Impossible, Taken
from billing_ui.sandbox.shop.model import Address, Card, Customer, Json, Kind, Subscription
from billing_ui.sandbox.shop.records import Records


class Customers(Records):
    """The shop's operations on customers and cards."""

    def create_customer(
        self,
        email: str,
        *,
        name: str | None = None,
        external_id: str | None = None,
        phone: str | None = None,
        address: Address | None = None,
        tax_id: str | None = None,
        metadata: Json | None = None,
        extra: Json | None = None,
    ) -> Customer:
        """Make a customer; see `Customer` for the arguments.

        Raises:
            Taken: `email` or `external_id` belongs to another one.
        """
        with self.together():
            self._check_free(email, external_id, ())
            customer = Customer(
                id=self.new_id(Kind.CUSTOMER),
                created=self.now,
                updated=self.now,
                email=email,
                name=name,
                external_id=external_id,
                phone=phone,
                address=address,
                tax_id=tax_id,
                metadata=metadata or {},
                extra=extra or {},
            )
            self.save(customer)
            self.tell(ChangeKind.CUSTOMER_CREATED, customer)
        return customer

    def update_customer(self, customer_id: str, **changes: Any) -> Customer:
        """Change fields of a customer, given by the names `Customer` has for them.

        Raises:
            Missing: There is no such customer.
            Impossible: It was deleted.
            Taken: The new e-mail address or external id belongs to another one.
        """
        with self.together():
            before = self.living_customer(customer_id)
            after = replace(before, **changes)
            self._check_free(after.email, after.external_id, (before.id,))
            if after == before:
                return before
            after = self.save(after)
            self.tell(ChangeKind.CUSTOMER_UPDATED, after, before)
        return after

    def living_customer(self, customer_id: str) -> Customer:
        """Return a customer that was not deleted.

        Raises:
            Missing: There is no such customer.
            Impossible: It was deleted.
        """
        customer = self.get(Customer, customer_id)
        if customer.deleted_at is not None:
            raise Impossible(f"The customer {customer_id} was deleted.")
        return customer

    def customer_by_email(self, email: str) -> Customer | None:
        """Return the customer with an e-mail address, in any case; None when there is none."""
        condition = Condition("lower(json_extract(body, '$.email')) = ?", (email.lower(),))
        return next(iter(self.find(Customer, condition, limit=1)), None)

    def customer_by_external_id(self, external_id: str) -> Customer | None:
        """Return the customer with an external id; None when there is none."""
        return next(iter(self.find(Customer, equals("external_id", external_id), limit=1)), None)

    def _check_free(self, email: str, external_id: str | None, own: Collection[str]) -> None:
        other = self.customer_by_email(email)
        if other is not None and other.id not in own:
            raise Taken("email", email, other.id)
        other = self.customer_by_external_id(external_id) if external_id else None
        if other is not None and other.id not in own:
            raise Taken("external_id", external_id or "", other.id)

    # ------------------------------------------------------------------------------------ cards

    def cards(self, customer_id: str) -> list[Card]:
        """Return a customer's cards, the default one first, then the newest."""
        found = self.find(Card, customer=customer_id)
        return sorted(found, key=lambda card: not card.default)

    def add_card(
        self,
        customer_id: str,
        number: str = test_cards.VISA,
        exp_month: int | None = None,
        exp_year: int | None = None,
        cvc: str | None = None,
        *,
        default: bool = True,
    ) -> Card:
        """Add a card to a customer.

        Args:
            customer_id: Whose.
            number: A test card's: 4242 4242 4242 4242 works, 4000 0000 0000 0341 can be added but
                not charged, 4000 0000 0000 0002 can't even be added.
            exp_month: 1 to 12; December when None.
            exp_year: Two or four digits; in two years when None.
            cvc: The security code; not checked when None.
            default: Whether it is charged from now on. The first one always is.

        Raises:
            Missing: There is no such customer.
            core.cards.CardProblem: The card is not accepted.
        """
        today = datetime.fromtimestamp(self.now, UTC)
        card = test_cards.read(
            number,
            12 if exp_month is None else exp_month,
            today.year + 2 if exp_year is None else exp_year,
            cvc,
            today.year,
            today.month,
        )
        test_cards.refuse_to_attach(card.number)
        with self.together():
            self.living_customer(customer_id)
            first = not self.count(Card, customer=customer_id)
            added = self.save(
                Card(
                    id=self.new_id(Kind.CARD),
                    created=self.now,
                    updated=self.now,
                    customer=customer_id,
                    number=card.number,
                    brand=test_cards.brand_of(card.number),
                    exp_month=card.exp_month,
                    exp_year=card.exp_year,
                    default=first,
                )
            )
            self.tell(ChangeKind.CARD_ADDED, added)
            return self.make_default(added.id) if default else added

    def make_default(self, card_id: str) -> Card:
        """Charge a card from now on, also for the subscriptions that had a card of their own.

        Raises:
            Missing: There is no such card.
        """
        with self.together():
            wanted = self.get(Card, card_id)
            for card in self.cards(wanted.customer):
                if card.default != (card.id == card_id):
                    after = self.save(replace(card, default=card.id == card_id))
                    self.tell(ChangeKind.CARD_UPDATED, after, card)
            for subscription in self.find(Subscription, customer=wanted.customer):
                if subscription.live and subscription.card not in (None, card_id):
                    moved = self.save(replace(subscription, card=None))
                    self.tell(ChangeKind.SUBSCRIPTION_UPDATED, moved, subscription)
            return self.get(Card, card_id)

    def remove_card(self, card_id: str) -> None:
        """Remove a card; the newest of those left becomes the default when it was that.

        Raises:
            Missing: There is no such card.
        """
        with self.together():
            card = self.get(Card, card_id)
            for subscription in self.find(Subscription, customer=card.customer):
                if subscription.card == card_id:
                    self.save(replace(subscription, card=None))
            self.forget(card)
            self.tell(ChangeKind.CARD_REMOVED, card, card)
            left = self.cards(card.customer)
            if card.default and left:
                self.make_default(left[0].id)

    def card_charged(self, customer_id: str, subscription: Subscription | None) -> Card | None:
        """Return the card that is charged for a subscription; None when there is none."""
        own = subscription.card if subscription is not None else None
        listed = self.cards(customer_id)
        chosen = next((card for card in listed if card.id == own), None)
        return chosen or next((card for card in listed if card.default), None)
