"""What the tests sell at the provider, and who buys it."""

from dataclasses import dataclass
from typing import Any

import stripe

from billing_ui.payments.stripe import StripeDriver
from tests.unit.payments.requests import payer


@dataclass(frozen=True)
class Shop:
    """The provider's side, through the real SDK."""

    sdk: stripe.StripeClient

    async def product(self, name: str = "Pro", **fields: Any) -> str:
        """Make a product and return its id."""
        params: Any = {"name": name, **fields}
        return (await self.sdk.v1.products.create_async(params)).id

    async def price(
        self, product: str, amount: int = 14900, interval: Any = "month", **fields: Any
    ) -> str:
        """Make a price in dollars and return its id; no interval makes it a price for once."""
        if interval:
            fields["recurring"] = {"interval": interval}
        params: Any = {"product": product, "currency": "usd", "unit_amount": amount, **fields}
        return (await self.sdk.v1.prices.create_async(params)).id

    async def customer(self, driver: StripeDriver, card: str | None = "pm_card_visa") -> str:
        """Make a customer with a default card and return the id."""
        customer = await driver.ensure_customer(payer())
        if card:
            method = await self.sdk.v1.payment_methods.attach_async(card, {"customer": customer})
            await self.sdk.v1.customers.update_async(
                customer, {"invoice_settings": {"default_payment_method": method.id}}
            )
        return customer

    async def subscribe(self, customer: str, *prices: str, **fields: Any) -> stripe.Subscription:
        """Subscribe a customer to prices."""
        items = [{"price": price} for price in prices]
        params: Any = {"customer": customer, "items": items, **fields}
        return await self.sdk.v1.subscriptions.create_async(params)
