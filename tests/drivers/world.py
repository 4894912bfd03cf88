"""What the conformance tests need of a provider: its sandbox, and a hand in it that knows nothing of our driver."""

import html
import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol
from uuid import uuid4

import httpx
from pypdf import PdfReader

from billing_ui.payments.driver import Driver, Drivers
from billing_ui.payments.types import (
    Payer,
    Snapshot,
    StartCheckoutInput,
    StartPortalSessionInput,
    SubscriptionState,
)
from billing_ui.settings import Provider, Settings

RETURN_URL: Final = "https://app.example.com/settings/billing/return?visit=1&x=%2F#top"
PRICING_URL: Final = "https://app.example.com/pricing"
EVERY_CALL: Final = r"/(?!_control).*"
"""The paths of every call of a provider's API, as the sandbox's faults name them."""

_FIELDS: Final = {
    Provider.STRIPE: ("stripe_secret_key", "stripe_webhook_secret", "stripe_api_base"),
    Provider.POLAR: ("polar_access_token", "polar_webhook_secret", "polar_api_base"),
    Provider.LEMONSQUEEZY: (
        "lemonsqueezy_api_key",
        "lemonsqueezy_webhook_secret",
        "lemonsqueezy_api_base",
    ),
    Provider.PADDLE: ("paddle_api_key", "paddle_webhook_secret", "paddle_api_base"),
}


@dataclass(frozen=True)
class Offer:
    """A plan that is sold: one price of one product; `amount` in minor units of US dollars."""

    product: str
    price: str
    name: str
    amount: int
    interval: str


@dataclass(frozen=True)
class TrueSubscription:
    """What is so of a subscription, whatever words the provider has for it."""

    id: str
    state: SubscriptionState
    plan: str
    quantity: int
    amount: int
    interval: str
    period_end: datetime | None
    trial_end: datetime | None = None


@dataclass(frozen=True)
class TrueInvoice:
    """What is so of an invoice; `total` in minor units."""

    id: str
    status: str
    total: int


@dataclass(frozen=True)
class Truth:
    """What is so of a customer; everything in a fixed order, so that two truths can be compared.

    `cards` are the last four digits of each, with whether it is the one that is charged.
    """

    name: str | None
    email: str | None
    subscriptions: tuple[TrueSubscription, ...]
    invoices: tuple[TrueInvoice, ...]
    cards: tuple[tuple[str | None, bool], ...]


def truth_told(snapshot: Snapshot) -> Truth:
    """Return what a snapshot says of its customer, in the form in which a world tells what is so."""
    return Truth(
        name=snapshot.customer.name,
        email=snapshot.customer.email,
        subscriptions=tuple(
            sorted(
                (
                    TrueSubscription(
                        id=subscription.id,
                        state=subscription.state,
                        plan=item.plan_name,
                        quantity=item.quantity or 1,
                        amount=item.unit_amount or 0,
                        interval=item.interval or "",
                        period_end=while_it_runs(subscription.state, item.current_period_end),
                        trial_end=while_it_runs(subscription.state, subscription.trial_end),
                    )
                    for subscription in snapshot.subscriptions
                    for item in subscription.items
                ),
                key=lambda one: one.id,
            )
        ),
        invoices=tuple(
            sorted(
                # Where nothing was to be paid, some providers make an invoice of nothing.
                (
                    TrueInvoice(one.id, one.status, one.total)
                    for one in snapshot.invoices
                    if one.total
                ),
                key=lambda one: one.id,
            )
        ),
        cards=tuple(sorted((one.last4, one.is_default) for one in snapshot.payment_methods)),
    )


def while_it_runs(state: SubscriptionState, moment: datetime | None) -> datetime | None:
    """Return when something happens to a subscription; None when it has ended or is paused, so that it does not."""
    standing = (SubscriptionState.ENDED, SubscriptionState.PAUSED)
    return None if state in standing else moment


class World(Protocol):
    """One provider: its running sandbox, and what happens there without us.

    Attributes:
        provider: which one.
        url: where its sandbox is.
        control: what no provider offers.
        secret: what the sandbox signs events with.
        key: a key that it takes.
        wrong_key: a key that looks like one, and that it refuses.
        key_setting: the setting which somebody must mend when the key is refused.
        stamped: whether its signatures say when they were made, so that old ones can be told.
        deletes_customers: whether a customer can be deleted there.
        replaces_deleted_customers: whether another customer may follow a deleted one under the same e-mail.
        shares_emails: whether our customer can be made while somebody else's there has the same e-mail.
        portal_before_buying: whether it has a portal for somebody who never bought anything.
        tells_of_details: whether there is an event when a customer's name changes.
    """

    provider: Provider
    url: str
    control: "Control"
    secret: str
    key: str
    wrong_key: str
    key_setting: str
    stamped: bool
    deletes_customers: bool
    replaces_deleted_customers: bool
    shares_emails: bool
    portal_before_buying: bool
    tells_of_details: bool

    def offer(
        self, name: str, amount: int = 14900, interval: str = "month", unit_label: str | None = None
    ) -> Offer:
        """Sell a new product at one price."""

    def archive(self, offer: Offer) -> None:
        """Sell it no more; who has it keeps it."""

    def stranger(self, email: str) -> str:
        """Make a customer as somebody else would, without a word of us; return its id."""

    def customers_with(self, email: str) -> list[str]:
        """Return the id of every customer with an e-mail."""

    def rename(self, customer: str, name: str) -> None:
        """Give a customer another name."""

    def move_to(self, customer: str, line1: str, city: str, country: str) -> None:
        """Give a customer a postal address."""

    def delete_customer(self, customer: str) -> None:
        """Delete a customer."""

    def add_card(self, customer: str, number: str = "4242424242424242") -> None:
        """Give a customer a card, which is charged from now on."""

    def buy(self, checkout: str) -> str:
        """Pay for what an open checkout sells with a new card; return the id of the subscription."""

    def subscribe(
        self, customer: str, offer: Offer, quantity: int = 1, trial_days: int | None = None
    ) -> str:
        """Let a customer who has a card buy something; return the id of the subscription."""

    def change_plan(self, subscription: str, offer: Offer, quantity: int = 1) -> None:
        """Let the only item of a subscription be another."""

    def cancel(self, subscription: str) -> None:
        """Let a subscription end with its period."""

    def keep(self, subscription: str) -> None:
        """Take back that it ends with its period."""

    def end(self, subscription: str) -> None:
        """End a subscription now."""

    def pause(self, subscription: str) -> None:
        """Charge nothing for a subscription until somebody resumes it."""

    def resume(self, subscription: str) -> None:
        """Charge again for a paused subscription."""

    def advance(self, customer: str, to: datetime) -> None:
        """Let time pass for a customer."""

    def truth(self, customer: str) -> Truth:
        """Return what is so of a customer, asked without our driver."""

    def sign(self, body: bytes, secret: str, at: datetime) -> dict[str, str]:
        """Return the headers of an event, signed as of a moment by the provider's own library if it has one."""

    def verified_by_its_library(self, headers: Mapping[str, str], body: bytes) -> bool | None:
        """Return whether the provider's own library takes an event; None when there is none."""


class Control:
    """The sandbox's control API, which is the same for every provider."""

    def __init__(self, url: str, headers: Mapping[str, str] | None = None) -> None:
        """Talk to the sandbox at `url`, sending `headers` with each call."""
        self.http = httpx.Client(base_url=url, trust_env=False, headers=headers, timeout=60)

    def do(self, action: str, body: Mapping[str, Any]) -> Any:
        """Do what no provider offers."""
        answer = self.http.post(f"/_control/{action}", json=body)
        assert answer.is_success, answer.text
        return answer.json()

    def faults(self) -> list[dict[str, Any]]:
        """Return the faults in force, each with how often it will strike yet."""
        found: list[dict[str, Any]] = self.http.get("/_control/faults").json()["faults"]
        return found

    @contextmanager
    def failing(self, kind: str, path: str = EVERY_CALL, **details: Any) -> Iterator[None]:
        """Let the provider fail meanwhile.

        Args:
            kind: "drop", "error", "latency" or "rate_limit".
            path: a regular expression of the paths it strikes.
            details: `seconds` of latency, `status` of an error, `retry_after` seconds, `times`, `method`.
        """
        self.do("faults", {"kind": kind, "path": path, **details})
        try:
            yield
        finally:
            self.http.delete("/_control/faults").raise_for_status()


def settings_of(world: World, **changed: Any) -> Settings:
    """Return the settings of an installation whose provider is `world`; `key`, `secret` and `base` may be others."""
    key, secret, base = _FIELDS[world.provider]
    values = {
        "payment_provider": world.provider,
        key: changed.pop("key", world.key),
        secret: changed.pop("secret", world.secret),
        base: changed.pop("base", world.url),
        "secret_key": "for tests only",
        **changed,
    }
    if world.provider is Provider.LEMONSQUEEZY:
        values.setdefault("lemonsqueezy_store_id", "1")
    return Settings(_env_file=None, **values)


def open_driver(world: World, **changed: Any) -> Driver:
    """Return a new driver; arguments as for `settings_of`."""
    return Drivers(settings_of(world, **changed)).active


def payer(customer_id: str | None = None, **fields: Any) -> Payer:
    """Return somebody who pays, of a new team, with an e-mail that nobody else has."""
    values = {
        "team_id": uuid4(),
        "customer_id": customer_id,
        "email": f"{uuid4().hex[:16]}@northwind.example",
        "name": "Northwind Labs",
    }
    return Payer(**(values | fields))


def unknown_like(name: str) -> str:
    """Return an id that looks like `name`, and that nothing has."""
    if name.isdecimal():
        return str(int(name) + 1_000_000)
    return name[:-3] + ("000" if name[-3:] != "000" else "111")


def portal_request(who: Payer, **fields: Any) -> StartPortalSessionInput:
    """Return a request for a portal."""
    return StartPortalSessionInput(payer=who, return_url=RETURN_URL, **fields)


def checkout_request(who: Payer, offer: Offer, **fields: Any) -> StartCheckoutInput:
    """Return a request for one new subscription."""
    values = {"price_id": offer.price, "success_url": RETURN_URL, "cancel_url": PRICING_URL}
    return StartCheckoutInput(payer=who, **(values | fields))


def page_at(url: str) -> str:
    """Return what a browser that goes to `url` gets to read, with its characters as they are meant."""
    with httpx.Client(trust_env=False, follow_redirects=True) as browser:
        answer = browser.get(url)
    assert answer.status_code == 200, answer.text
    return html.unescape(answer.text)


def pdf_at(url: str) -> str:
    """Return the text of the PDF that a browser which goes to `url` downloads."""
    with httpx.Client(trust_env=False) as browser:
        answer = browser.get(url)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/pdf")
    return " ".join(page.extract_text() for page in PdfReader(io.BytesIO(answer.content)).pages)
