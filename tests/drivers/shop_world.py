"""The providers whose sandboxes share one shop: changed and read without a word of their own API."""

import base64
import hashlib
import hmac
import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from paddle_billing.Notifications import (
    PaddleSignature,
    Secret,
    Verifier,
)
from polar.v2026_10.webhooks import validate_event
from polar.webhooks import PolarWebhookUnknownTypeError

from billing_ui.payments.types import SubscriptionState
from billing_ui.settings import Provider
from tests.drivers.world import Control, Offer, TrueInvoice, TrueSubscription, Truth, while_it_runs

Json = dict[str, Any]

_STATES = {
    "trialing": SubscriptionState.TRIALING,
    "active": SubscriptionState.ACTIVE,
    "past_due": SubscriptionState.PAST_DUE,
    "unpaid": SubscriptionState.UNPAID,
    "paused": SubscriptionState.PAUSED,
    "ended": SubscriptionState.ENDED,
}


class ShopWorld:
    """A sandbox that is a shop with a provider's dialect."""

    stamped = True
    deletes_customers = True
    replaces_deleted_customers = True
    shares_emails = False
    portal_before_buying = True
    tells_of_details = True

    def __init__(self, url: str, database: Path) -> None:
        """Change things in the sandbox at `url`, and read what it keeps in `database`."""
        self.url = url
        self.control = Control(url)
        self._database = database
        # What a price is called in the shop, where the provider calls it otherwise.
        self._prices: dict[str, str] = {}

    # ------------------------------------------------------------ what is sold

    def offer(
        self, name: str, amount: int = 14900, interval: str = "month", unit_label: str | None = None
    ) -> Offer:
        product = self._do("create_product", name=name, unit_label=unit_label)
        price = self._do("create_price", product_id=product["id"], amount=amount, interval=interval)
        return Offer(product["id"], price["id"], name, amount, interval)

    def archive(self, offer: Offer) -> None:
        self._do("update_price", price_id=self._price(offer), archived=True)
        self._do("update_product", product_id=offer.product, archived=True)

    # ------------------------------------------------------------ customers

    def stranger(self, email: str) -> str:
        return str(self._do("create_customer", email=email)["id"])

    def customers_with(self, email: str) -> list[str]:
        return [one["id"] for one in self._kept("customer") if one["email"] == email]

    def rename(self, customer: str, name: str) -> None:
        self._do("update_customer", customer_id=customer, name=name)

    def move_to(self, customer: str, line1: str, city: str, country: str) -> None:
        address = {"line1": line1, "city": city, "country": country}
        self._do("update_customer", customer_id=customer, address=address)

    def delete_customer(self, customer: str) -> None:
        self._do("delete_customer", customer_id=customer)

    def add_card(self, customer: str, number: str = "4242424242424242") -> None:
        self._do("add_card", customer_id=customer, number=number)

    # ------------------------------------------------------------ subscriptions

    def buy(self, checkout: str) -> str:
        bought = self._do("complete_checkout", checkout_id=checkout, number="4242424242424242")
        return str(bought["id"])

    def subscribe(
        self, customer: str, offer: Offer, quantity: int = 1, trial_days: int | None = None
    ) -> str:
        made = self._do(
            "subscribe",
            customer_id=customer,
            price_id=self._price(offer),
            quantity=quantity,
            **({"trial_days": trial_days} if trial_days else {}),
        )
        return str(made["id"])

    def change_plan(self, subscription: str, offer: Offer, quantity: int = 1) -> None:
        self._do(
            "change_plan",
            subscription_id=subscription,
            price_id=self._price(offer),
            quantity=quantity,
        )

    def cancel(self, subscription: str) -> None:
        self._do("cancel", subscription_id=subscription)

    def keep(self, subscription: str) -> None:
        self._do("keep", subscription_id=subscription)

    def end(self, subscription: str) -> None:
        self._do("end_now", subscription_id=subscription)

    def pause(self, subscription: str) -> None:
        self._do("pause", subscription_id=subscription)

    def resume(self, subscription: str) -> None:
        self._do("resume", subscription_id=subscription)

    def advance(self, customer: str, to: datetime) -> None:
        self.control.do("advance", {"customer": customer, "to": int(to.timestamp())})

    # ------------------------------------------------------------ what is so

    def truth(self, customer: str) -> Truth:
        [found] = [one for one in self._kept("customer") if one["id"] == customer]
        products = {one["id"]: one for one in self._kept("product")}
        prices = {one["id"]: one for one in self._kept("price")}
        return Truth(
            name=found["name"],
            email=found["email"],
            subscriptions=tuple(
                sorted(
                    (
                        _true_subscription(one, prices[one["price"]], products[one["product"]])
                        for one in self._kept("subscription", customer)
                    ),
                    key=lambda one: one.id,
                )
            ),
            invoices=tuple(
                sorted(
                    (
                        TrueInvoice(one["id"], one["status"], one["total"])
                        for one in self._kept("invoice", customer)
                        if one["total"]
                    ),
                    key=lambda one: one.id,
                )
            ),
            cards=tuple(
                sorted((one["number"][-4:], one["default"]) for one in self._kept("card", customer))
            ),
        )

    def _price(self, offer: Offer) -> str:
        return self._prices.get(offer.price, offer.price)

    def _kept(self, kind: str, customer: str | None = None) -> list[Json]:
        sql = "SELECT body FROM object WHERE type = ? AND (? IS NULL OR customer = ?)"
        with closing(sqlite3.connect(self._database)) as connection:
            rows = connection.execute(sql, (kind, customer, customer)).fetchall()
        found = [json.loads(body) for (body,) in rows]
        # Ids are unique among things of one kind, which is written before them.
        return [one | {"id": one["id"].removeprefix(f"{kind}:")} for one in found]

    def _do(self, what: str, **details: Any) -> Json:
        done: Json = self.control.do("shop", {"do": what, **details})
        return done


def _true_subscription(one: Json, price: Json, product: Json) -> TrueSubscription:
    state = _STATES[one["status"]]
    if state is not SubscriptionState.ENDED and one["cancel_at_period_end"]:
        state = SubscriptionState.CANCELING
    return TrueSubscription(
        id=one["id"],
        state=state,
        plan=product["name"],
        quantity=one["quantity"],
        amount=price["amount"],
        interval=price["interval"],
        period_end=while_it_runs(state, _moment(one["period_end"])),
        trial_end=while_it_runs(state, _moment(one["trial_end"])),
    )


def _moment(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


class PolarWorld(ShopWorld):
    """Polar's sandbox."""

    provider = Provider.POLAR
    secret = "polar_whs_conformance"
    key = "polar_oat_conformance"
    wrong_key = "nonsense"
    key_setting = "POLAR_ACCESS_TOKEN"
    # A team's customer needs no e-mail of its own there.
    shares_emails = True

    def offer(
        self, name: str, amount: int = 14900, interval: str = "month", unit_label: str | None = None
    ) -> Offer:
        """Sell a new product at one price; there is no other, so the product stands for both."""
        made = super().offer(name, amount, interval, unit_label)
        self._prices[made.product] = made.price
        return replace(made, price=made.product)

    def sign(self, body: bytes, secret: str, at: datetime) -> dict[str, str]:
        # Its library can only verify, so what Standard Webhooks prescribes is done here.
        name, stamp = "evt_signed_by_the_tests", int(at.timestamp())
        content = f"{name}.{stamp}.".encode() + body
        digest = hmac.new(secret.encode(), content, hashlib.sha256).digest()
        return {
            "webhook-id": name,
            "webhook-timestamp": str(stamp),
            "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
        }

    def verified_by_its_library(self, headers: Mapping[str, str], body: bytes) -> bool | None:
        try:
            return validate_event(body, dict(headers), self.secret) is not None
        except PolarWebhookUnknownTypeError:
            return True


class LemonSqueezyWorld(ShopWorld):
    """Lemon Squeezy's sandbox."""

    provider = Provider.LEMONSQUEEZY
    secret = "lemonsqueezy-conformance"
    key = "lemonsqueezy-conformance-key"
    wrong_key = "nonsense"
    key_setting = "LEMONSQUEEZY_API_KEY"
    stamped = False
    deletes_customers = False
    portal_before_buying = False
    tells_of_details = False

    def sign(self, body: bytes, secret: str, at: datetime) -> dict[str, str]:
        # It has no library. Nor does it say when something was signed.
        digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        return {"X-Signature": digest}

    def verified_by_its_library(self, headers: Mapping[str, str], body: bytes) -> bool | None:
        return None


@dataclass(frozen=True)
class _Request:
    """A webhook in the form in which Paddle's library takes it."""

    headers: Mapping[str, str]
    body: bytes


class PaddleWorld(ShopWorld):
    """Paddle's sandbox."""

    provider = Provider.PADDLE
    secret = "pdl_ntfset_conformance"
    key = "pdl_sdbx_apikey_conformance"
    wrong_key = "nonsense"
    key_setting = "PADDLE_API_KEY"
    replaces_deleted_customers = False

    def sign(self, body: bytes, secret: str, at: datetime) -> dict[str, str]:
        stamp = int(at.timestamp())
        digest = PaddleSignature.calculate_hmac(secret, f"{stamp}:".encode() + body).hexdigest()
        return {"Paddle-Signature": f"ts={stamp};h1={digest}"}

    def verified_by_its_library(self, headers: Mapping[str, str], body: bytes) -> bool | None:
        named = {name.title(): value for name, value in headers.items()}
        return bool(Verifier().verify(_Request(named, body), Secret(self.secret)))
