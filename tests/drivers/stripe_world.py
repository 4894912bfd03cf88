"""Stripe for the conformance tests: its sandbox, changed and read through its own API."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import stripe

from billing_ui.payments.types import SubscriptionState
from billing_ui.settings import Provider
from tests.drivers.world import Control, Offer, TrueInvoice, TrueSubscription, Truth, while_it_runs

_CARDS = {
    "4242424242424242": "pm_card_visa",
    "5555555555554444": "pm_card_mastercard",
}
_STATES = {
    "active": SubscriptionState.ACTIVE,
    "trialing": SubscriptionState.TRIALING,
    "past_due": SubscriptionState.PAST_DUE,
    "unpaid": SubscriptionState.UNPAID,
    "incomplete": SubscriptionState.INCOMPLETE,
    "canceled": SubscriptionState.ENDED,
}
Json = dict[str, Any]


class StripeWorld:
    """Stripe's sandbox."""

    provider = Provider.STRIPE
    secret = "whsec_conformance"
    key = "sk_test_conformance"
    wrong_key = "nonsense"
    key_setting = "STRIPE_SECRET_KEY"
    stamped = True
    deletes_customers = True
    replaces_deleted_customers = True
    shares_emails = True
    portal_before_buying = True
    tells_of_details = True

    def __init__(self, url: str, database: Path) -> None:
        """Change things in the sandbox at `url`; its API tells what is so."""
        self.url = url
        self.control = Control(url, {"Authorization": f"Bearer {self.key}"})

    # ------------------------------------------------------------ what is sold

    def offer(
        self, name: str, amount: int = 14900, interval: str = "month", unit_label: str | None = None
    ) -> Offer:
        product = self._create(
            "products", {"name": name} | ({"unit_label": unit_label} if unit_label else {})
        )
        price = self._create(
            "prices",
            {
                "product": product["id"],
                "currency": "usd",
                "unit_amount": amount,
                "recurring": {"interval": interval},
            },
        )
        return Offer(product["id"], price["id"], name, amount, interval)

    def archive(self, offer: Offer) -> None:
        self._create(f"prices/{offer.price}", {"active": "false"})
        self._create(f"products/{offer.product}", {"active": "false"})

    # ------------------------------------------------------------ customers

    def stranger(self, email: str) -> str:
        return str(self._create("customers", {"email": email})["id"])

    def customers_with(self, email: str) -> list[str]:
        return [one["id"] for one in self._listed("customers", email=email)]

    def rename(self, customer: str, name: str) -> None:
        self._create(f"customers/{customer}", {"name": name})

    def move_to(self, customer: str, line1: str, city: str, country: str) -> None:
        address = {"line1": line1, "city": city, "country": country}
        self._create(f"customers/{customer}", {"address": address})

    def delete_customer(self, customer: str) -> None:
        self.control.http.delete(f"/v1/customers/{customer}").raise_for_status()

    def add_card(self, customer: str, number: str = "4242424242424242") -> None:
        attach = f"payment_methods/{_CARDS[number]}/attach"
        method = self._create(attach, {"customer": customer})
        self._create(
            f"customers/{customer}", {"invoice_settings": {"default_payment_method": method["id"]}}
        )

    # ------------------------------------------------------------ subscriptions

    def buy(self, checkout: str) -> str:
        page = self._get(f"payment_pages/{checkout}")
        card = self._create("payment_methods", {"type": "card", "card": {"token": "tok_visa"}})
        wish = {"payment_method": card["id"], "expected_amount": page["amount"]}
        self._create(f"payment_pages/{checkout}/confirm", wish)
        return str(self._get(f"checkout/sessions/{checkout}")["subscription"])

    def subscribe(
        self, customer: str, offer: Offer, quantity: int = 1, trial_days: int | None = None
    ) -> str:
        wish: Json = {
            "customer": customer,
            "items": [{"price": offer.price, "quantity": quantity}],
        }
        if trial_days:
            wish["trial_period_days"] = trial_days
        return str(self._create("subscriptions", wish)["id"])

    def change_plan(self, subscription: str, offer: Offer, quantity: int = 1) -> None:
        [item] = self._get(f"subscriptions/{subscription}")["items"]["data"]
        change = {"id": item["id"], "price": offer.price, "quantity": quantity}
        self._create(f"subscriptions/{subscription}", {"items": [change]})

    def cancel(self, subscription: str) -> None:
        self._create(f"subscriptions/{subscription}", {"cancel_at_period_end": "true"})

    def keep(self, subscription: str) -> None:
        self._create(f"subscriptions/{subscription}", {"cancel_at_period_end": "false"})

    def end(self, subscription: str) -> None:
        self.control.http.delete(f"/v1/subscriptions/{subscription}").raise_for_status()

    def pause(self, subscription: str) -> None:
        self._create(f"subscriptions/{subscription}", {"pause_collection": {"behavior": "void"}})

    def resume(self, subscription: str) -> None:
        self._create(f"subscriptions/{subscription}", {"pause_collection": ""})

    def advance(self, customer: str, to: datetime) -> None:
        self.control.do("advance", {"customer": customer, "to": int(to.timestamp())})

    # ------------------------------------------------------------ what is so

    def truth(self, customer: str) -> Truth:
        found = self._get(f"customers/{customer}")
        default = (found.get("invoice_settings") or {}).get("default_payment_method")
        return Truth(
            name=found["name"],
            email=found["email"],
            subscriptions=tuple(
                sorted(
                    (
                        _true_subscription(one, self._product_name(one))
                        for one in self._listed("subscriptions", customer=customer, status="all")
                    ),
                    key=lambda one: one.id,
                )
            ),
            invoices=tuple(
                sorted(
                    (
                        TrueInvoice(one["id"], one["status"], one["total"])
                        for one in self._listed("invoices", customer=customer)
                        if one["total"]
                    ),
                    key=lambda one: one.id,
                )
            ),
            cards=tuple(
                sorted(
                    (one["card"]["last4"], one["id"] == default)
                    for one in self._listed("payment_methods", customer=customer)
                )
            ),
        )

    # ------------------------------------------------------------ signatures

    def sign(self, body: bytes, secret: str, at: datetime) -> dict[str, str]:
        header = stripe.WebhookSignature.generate_signature_header(
            body.decode(), secret, int(at.timestamp())
        )
        return {"Stripe-Signature": header}

    def verified_by_its_library(self, headers: Mapping[str, str], body: bytes) -> bool | None:
        signature = {name.lower(): value for name, value in headers.items()}["stripe-signature"]
        return bool(stripe.Webhook.construct_event(body, signature, self.secret))

    # ------------------------------------------------------------ its API

    def _get(self, path: str) -> Json:
        answer = self.control.http.get(f"/v1/{path}")
        assert answer.is_success, answer.text
        found: Json = answer.json()
        return found

    def _listed(self, path: str, **query: str) -> list[Json]:
        answer = self.control.http.get(f"/v1/{path}", params={"limit": "100", **query})
        assert answer.is_success, answer.text
        found: Json = answer.json()
        assert not found["has_more"]
        data: list[Json] = found["data"]
        return data

    def _create(self, path: str, wish: Json) -> Json:
        form = dict(_flattened(wish))
        answer = self.control.http.post(f"/v1/{path}", data=form)
        assert answer.is_success, answer.text
        made: Json = answer.json()
        return made

    def _product_name(self, subscription: Json) -> str:
        [item] = subscription["items"]["data"]
        return str(self._get(f"products/{item['price']['product']}")["name"])


def _flattened(value: Any, name: str = "") -> list[tuple[str, str]]:
    """Return nested parameters as the fields of a form, as Stripe's API takes them."""
    if isinstance(value, dict):
        named = ((f"{name}[{key}]" if name else key, item) for key, item in value.items())
    elif isinstance(value, list):
        named = ((f"{name}[{index}]", item) for index, item in enumerate(value))
    else:
        return [(name, str(value))]
    return [field for key, item in named for field in _flattened(item, key)]


def _true_subscription(one: Json, plan: str) -> TrueSubscription:
    [item] = one["items"]["data"]
    state = _STATES[one["status"]]
    if state is not SubscriptionState.ENDED and one["pause_collection"]:
        state = SubscriptionState.PAUSED
    elif state is not SubscriptionState.ENDED and one["cancel_at"]:
        state = SubscriptionState.CANCELING
    return TrueSubscription(
        id=one["id"],
        state=state,
        plan=plan,
        quantity=item["quantity"],
        amount=item["price"]["unit_amount"],
        interval=item["price"]["recurring"]["interval"],
        period_end=while_it_runs(state, _moment(item["current_period_end"])),
        trial_end=while_it_runs(state, _moment(one["trial_end"])),
    )


def _moment(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
