"""What the tests of the hosted pages sell, made through the real SDK."""

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import stripe
from stripe import StripeClient

PRICES = {"Starter": 2900, "Pro": 14900, "Team": 2000}


@dataclass
class Plan:
    """A product with its prices."""

    product: str
    monthly: str
    yearly: str


class Shop:
    """Three plans, monthly and yearly, in dollars and euros; Team has seats."""

    def __init__(self, origin: str, database: Path) -> None:
        self.origin = origin
        self.database = database
        self.client = StripeClient(
            "sk_test_shop",
            base_addresses={"api": origin},
            http_client=stripe.UrllibClient(),
        )
        self.v1 = self.client.v1
        self.plans = {name: self._plan(name, amount) for name, amount in PRICES.items()}

    def _plan(self, name: str, amount: int) -> Plan:
        wish: Any = {"name": name} | ({"unit_label": "seat"} if name == "Team" else {})
        product = self.v1.products.create(wish).id
        prices = {}
        for interval, factor in (("month", 1), ("year", 10)):
            price = self.v1.prices.create(
                {
                    "product": product,
                    "currency": "usd",
                    "unit_amount": amount * factor,
                    "recurring": {"interval": interval},
                    "currency_options": {"eur": {"unit_amount": amount * factor - 100}},
                }
            )
            prices[interval] = price.id
        return Plan(product, prices["month"], prices["year"])

    def configuration(self, *, continue_trial: bool = False, **features: Any) -> str:
        """Return a new configuration with everything enabled but what is said otherwise."""
        offered = [
            {
                "product": plan.product,
                "prices": [plan.monthly, plan.yearly],
                "adjustable_quantity": {"enabled": name == "Team", "minimum": 2, "maximum": 50},
            }
            for name, plan in self.plans.items()
        ]
        reasons = ["too_expensive", "missing_features", "switched_service", "unused", "other"]
        enabled: dict[str, Any] = {
            "customer_update": {
                "enabled": True,
                "allowed_updates": ["name", "email", "address", "phone", "tax_id"],
            },
            "invoice_history": {"enabled": True},
            "payment_method_update": {"enabled": True},
            "subscription_cancel": {
                "enabled": True,
                "mode": "at_period_end",
                "cancellation_reason": {"enabled": True, "options": reasons},
            },
            "subscription_update": {
                "enabled": True,
                "default_allowed_updates": ["price", "quantity"],
                "proration_behavior": "create_prorations",
                "products": offered,
                "trial_update_behavior": "continue_trial" if continue_trial else "end_trial",
            },
        }
        wish: Any = {
            "business_profile": {"headline": "Manage your subscription"},
            "features": {**enabled, **features},
        }
        return self.v1.billing_portal.configurations.create(wish).id

    def customer(self, card: str = "pm_card_visa", **fields: Any) -> str:
        """Return a new customer, paying with a card."""
        wish: Any = {"name": "Northwind Labs", "email": "billing@example.com", **fields}
        customer = self.v1.customers.create(wish)
        if card:
            method = self.v1.payment_methods.attach(card, {"customer": customer.id})
            self.v1.customers.update(
                customer.id, {"invoice_settings": {"default_payment_method": method.id}}
            )
        return customer.id

    def subscribe(
        self, customer: str, plan: str = "Pro", quantity: int = 1, **fields: Any
    ) -> stripe.Subscription:
        """Subscribe a customer to a plan by the month."""
        item = {"price": self.plans[plan].monthly, "quantity": quantity}
        wish: Any = {"customer": customer, "items": [item], **fields}
        return self.v1.subscriptions.create(wish)

    def portal(self, customer: str, **fields: Any) -> str:
        """Return the URL of a new portal session with everything enabled."""
        wish: Any = {
            "customer": customer,
            "return_url": "https://app.example.com/billing",
            "configuration": fields.pop("configuration", None) or self.configuration(),
            **fields,
        }
        return self.v1.billing_portal.sessions.create(wish).url

    def subscription(self, subscription: str) -> stripe.Subscription:
        """Return a subscription as it is now."""
        return self.v1.subscriptions.retrieve(subscription)

    def advance(self, customer: str, to: int) -> None:
        """Let time pass for a customer until a Unix time."""
        body = {"customer": customer, "to": to}
        httpx.post(f"{self.origin}/_control/advance", json=body).raise_for_status()

    def default_card(self, customer: str) -> str | None:
        """Return the id of a customer's default card."""
        settings = self.v1.customers.retrieve(customer).invoice_settings
        assert settings is not None
        method = settings.default_payment_method
        return method if method is None or isinstance(method, str) else method.id

    def events(self, type_: str, customer: str) -> list[stripe.StripeObject]:
        """Return the objects told of in the newest events of a type about a customer."""
        listed = self.v1.events.list({"type": type_, "limit": 100}).data
        told = [event.data.object for event in listed]
        return [one for one in told if one["customer"] == customer]

    def newest(self, kind: str) -> str:
        """Return the id of the object of a kind that was made last."""
        sql = "SELECT id FROM object WHERE type = ? ORDER BY seq DESC LIMIT 1"
        with closing(sqlite3.connect(self.database)) as connection:
            found: str = connection.execute(sql, (kind,)).fetchone()[0]
        return found

    def let_time_pass(self, session: str, seconds: int) -> None:
        """Make a session as old as if time had passed, in the server's own database."""
        with closing(sqlite3.connect(self.database)) as connection, connection:
            (body,) = connection.execute(
                "SELECT body FROM object WHERE id = ?", (session,)
            ).fetchone()
            document = json.loads(body)
            for moment in ("created", "expires_at", "_opened", "_due"):
                if document.get(moment):
                    document[moment] -= seconds
            connection.execute(
                "UPDATE object SET body = ? WHERE id = ?", (json.dumps(document), session)
            )
