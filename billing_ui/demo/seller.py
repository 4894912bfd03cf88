"""What the demo asks of a sandbox, whichever provider that imitates."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from billing_ui.accounts.demo import DemoAccount
from billing_ui.demo.plans import Plan


@dataclass(frozen=True)
class Card:
    """A test card; without an expiry it is good for two years more from when it is added."""

    number: str
    exp_month: int | None = None
    exp_year: int | None = None


VISA: Final = Card("4242424242424242")
MASTERCARD: Final = Card("5555555555554444")
FAILING: Final = Card("4000000000000341")
"""One that can be added, and is declined when it is charged."""


@dataclass(frozen=True)
class Details:
    """What an invoice says of a company; the country is an ISO 3166 code."""

    line1: str
    city: str
    country: str
    vat: str


class Seller(Protocol):
    """A sandbox, in which everything happens at a moment of the past.

    Every method raises `demo.calls.SandboxRefused` when the sandbox does not accept it.
    """

    async def reset(self) -> None:
        """Empty it."""
        ...

    async def create_catalog(self, at: datetime) -> None:
        """Create the plans and their prices."""
        ...

    def customer_id(self, account: DemoAccount) -> str:
        """Return the id that the account's customer has or will have, the same at every try."""
        ...

    async def create_customer(
        self, account: DemoAccount, at: datetime, details: Details | None = None
    ) -> str:
        """Create the account's customer; return its id."""
        ...

    async def pay_with(self, customer: str, card: Card, at: datetime) -> None:
        """Add a card, which is charged from then on."""
        ...

    async def subscribe(
        self,
        customer: str,
        plan: Plan,
        at: datetime,
        *,
        quantity: int = 1,
        trial_days: int = 0,
        euros: bool = False,
    ) -> str:
        """Begin a monthly subscription; return its id.

        Args:
            trial_days: how long it is free; then it ends unless there is a card.
            euros: whether it is paid in euros, where a price of the provider has several currencies.
        """
        ...

    async def change(self, subscription: str, plan: Plan, quantity: int, at: datetime) -> None:
        """Move a subscription to another plan or quantity."""
        ...

    async def cancel(self, subscription: str, at: datetime) -> None:
        """Let a subscription end with its period."""
        ...

    async def advance(self, customer: str, to: datetime) -> None:
        """Let everything happen to a customer that happens by itself until then."""
        ...
