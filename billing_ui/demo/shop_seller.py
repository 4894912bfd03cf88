"""The demo's past in a sandbox of Polar, Lemon Squeezy or Paddle, which share one shop."""

from datetime import datetime
from typing import Any
from uuid import uuid5

from billing_ui.accounts.demo import DEMO_ACCOUNTS, DemoAccount
from billing_ui.demo.calls import Control, seconds
from billing_ui.demo.plans import MONTHS_PAID, PLANS, Plan
from billing_ui.demo.seller import Card, Details
from billing_ui.settings import Provider

_FIRST_NUMBER = 9_000_001
"""A number far beyond those a sandbox counts up to by itself."""


class ShopSeller:
    """A `Seller` whose sandbox imitates a provider that shares the shop."""

    def __init__(self, control: Control, provider: Provider) -> None:
        """Ask by `control`; ids are as `provider` makes them."""
        self._control = control
        self._provider = provider
        self._monthly: dict[str, str] = {}

    async def reset(self) -> None:
        """Empty it."""
        await self._control.reset()

    async def create_catalog(self, at: datetime) -> None:
        """Create the plans and their prices."""
        for position, plan in enumerate(PLANS, start=1):
            made = await self._do(
                "create_plan",
                at,
                name=plan.name,
                description=plan.description,
                features=plan.features,
                unit_label=plan.unit_label,
                metadata={"position": str(position)},
                prices=[
                    {"amount": plan.usd * months, "interval": interval}
                    for interval, months in MONTHS_PAID
                ],
            )
            self._monthly[plan.key] = made["prices"][0]["id"]

    def customer_id(self, account: DemoAccount) -> str:
        """Return the id that the account's customer has or will have."""
        made = uuid5(account.team_id, "customer")
        match self._provider:
            case Provider.LEMONSQUEEZY:
                return str(_FIRST_NUMBER + list(DEMO_ACCOUNTS).index(account.key))
            case Provider.PADDLE:
                return f"ctm_01{made.hex[:24]}"
        return str(made)

    async def create_customer(
        self, account: DemoAccount, at: datetime, details: Details | None = None
    ) -> str:
        """Create the account's customer; return its id."""
        customer = self.customer_id(account)
        known: dict[str, Any] = {}
        if details is not None:
            known["tax_id"] = details.vat
            known["address"] = {
                "line1": details.line1,
                "city": details.city,
                "country": details.country,
            }
        await self._do(
            "create_customer",
            at,
            id=customer,
            name=account.team_name,
            email=account.billing_email,
            external_id=str(account.team_id),
            metadata={"team_id": str(account.team_id), "generation": "1"},
            **known,
        )
        return customer

    async def pay_with(self, customer: str, card: Card, at: datetime) -> None:
        """Add a card, which is charged from then on."""
        await self._do(
            "add_card",
            at,
            customer_id=customer,
            number=card.number,
            exp_month=card.exp_month,
            exp_year=card.exp_year,
        )

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
        """Begin a monthly subscription; return its id. A price has one currency here, so never in euros."""
        made = await self._do(
            "subscribe",
            at,
            customer_id=customer,
            price_id=self._monthly[plan.key],
            quantity=quantity,
            trial_days=trial_days,
        )
        subscription: str = made["id"]
        return subscription

    async def change(self, subscription: str, plan: Plan, quantity: int, at: datetime) -> None:
        """Move a subscription to another plan or quantity."""
        await self._do(
            "change_plan",
            at,
            subscription_id=subscription,
            price_id=self._monthly[plan.key],
            quantity=quantity,
        )

    async def cancel(self, subscription: str, at: datetime) -> None:
        """Let a subscription end with its period."""
        await self._do("cancel", at, subscription_id=subscription)

    async def advance(self, customer: str, to: datetime) -> None:
        """Let everything happen to a customer that happens by itself until then."""
        await self._control.advance(customer, to)

    async def _do(self, what: str, at: datetime, **arguments: Any) -> dict[str, Any]:
        return await self._control.do("shop", {"do": what, "at": seconds(at), **arguments})
