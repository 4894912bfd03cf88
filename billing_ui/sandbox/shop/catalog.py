"""What is sold: products and their prices."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from billing_ui.sandbox.core.store import equals
from billing_ui.sandbox.shop.dialect import ChangeKind
from billing_ui.sandbox.shop.errors import Impossible
from billing_ui.sandbox.shop.model import Interval, Json, Kind, Price, Product
from billing_ui.sandbox.shop.records import Records


class Catalog(Records):
    """The shop's operations on products and prices."""

    def create_product(
        self,
        name: str,
        *,
        description: str | None = None,
        features: Sequence[str] = (),
        unit_label: str | None = None,
        metadata: Json | None = None,
        extra: Json | None = None,
    ) -> Product:
        """Make a product; see `Product` for the arguments."""
        with self.together():
            product = self.save(
                Product(
                    id=self.new_id(Kind.PRODUCT),
                    created=self.now,
                    updated=self.now,
                    name=name,
                    description=description,
                    features=tuple(features),
                    unit_label=unit_label,
                    metadata=metadata or {},
                    extra=extra or {},
                )
            )
            self.tell(ChangeKind.PRODUCT_CREATED, product)
        return product

    def create_price(
        self,
        product_id: str,
        amount: int,
        *,
        currency: str = "usd",
        interval: Interval = Interval.MONTH,
        interval_count: int = 1,
        per_unit: bool | None = None,
        trial_days: int = 0,
        metadata: Json | None = None,
        extra: Json | None = None,
    ) -> Price:
        """Make a price; see `Price` for the arguments.

        Args:
            product_id: Of what.
            amount: Minor units.
            currency: In either case.
            per_unit: As the product has a `unit_label` or not when None.

        Raises:
            Missing: There is no such product.
            Impossible: It has a price, and the provider knows one for each product only.
        """
        with self.together():
            product = self.get(Product, product_id)
            if self.dialect.one_price_per_product and self.prices(product_id):
                raise Impossible(f"The product {product_id} has its price already.")
            price = self.save(
                Price(
                    id=self.new_id(Kind.PRICE),
                    created=self.now,
                    updated=self.now,
                    product=product_id,
                    amount=amount,
                    currency=currency.lower(),
                    interval=interval,
                    interval_count=interval_count,
                    per_unit=bool(product.unit_label) if per_unit is None else per_unit,
                    trial_days=trial_days,
                    metadata=metadata or {},
                    extra=extra or {},
                )
            )
            self.tell(ChangeKind.PRICE_CREATED, price)
        return price

    def update_product(self, product_id: str, **changes: Any) -> Product:
        """Change fields of a product, given by the names `Product` has for them (`archived` too).

        Raises:
            Missing: There is no such product.
        """
        with self.together():
            before = self.get(Product, product_id)
            after = replace(before, **changes)
            if after == before:
                return before
            after = self.save(after)
            self.tell(ChangeKind.PRODUCT_UPDATED, after, before)
        return after

    def update_price(self, price_id: str, **changes: Any) -> Price:
        """Change fields of a price, given by the names `Price` has for them (`archived` too).

        Subscriptions pay the new amount from their next period on.

        Raises:
            Missing: There is no such price.
        """
        with self.together():
            before = self.get(Price, price_id)
            after = replace(before, **changes)
            if after == before:
                return before
            after = self.save(after)
            self.tell(ChangeKind.PRICE_UPDATED, after, before)
        return after

    def prices(self, product_id: str) -> list[Price]:
        """Return a product's prices, the oldest first, archived ones too."""
        return self.find(Price, equals("product", product_id), oldest_first=True)

    def on_sale(self, currency: str | None = None) -> list[tuple[Product, Price]]:
        """Return what can be bought, in the order it was made; only in one currency if given."""
        return [
            (product, price)
            for product in self.find(Product, equals("archived", False), oldest_first=True)
            for price in self.prices(product.id)
            if not price.archived and currency in (None, price.currency)
        ]
