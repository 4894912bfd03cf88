"""The demo's past, lived through Stripe's own API."""

from datetime import datetime
from typing import Any

from billing_ui.accounts.demo import DemoAccount
from billing_ui.demo.calls import Control, seconds
from billing_ui.demo.plans import MONTHS_PAID, PLANS, Plan
from billing_ui.demo.seller import Card, Details


class StripeSeller:
    """A `Seller` whose sandbox imitates Stripe."""

    def __init__(self, control: Control) -> None:
        """Ask by `control`."""
        self._control = control

    async def reset(self) -> None:
        """Empty it."""
        await self._control.reset()

    async def create_catalog(self, at: datetime) -> None:
        """Create the plans and their prices."""
        for position, plan in enumerate(PLANS, start=1):
            product: dict[str, Any] = {
                "name": plan.name,
                "description": plan.description,
                "marketing_features": [{"name": feature} for feature in plan.features],
                "metadata": {"position": str(position)},
            }
            if plan.unit_label:
                product["unit_label"] = plan.unit_label
            product_id = f"prod_demo_{plan.key}"
            await self._call("/v1/products", product | {"id": product_id}, at)
            for interval, months in MONTHS_PAID:
                price = {
                    "product": product_id,
                    "currency": "usd",
                    "unit_amount": plan.usd * months,
                    "currency_options": {"eur": {"unit_amount": plan.eur * months}},
                    "recurring": {"interval": interval},
                    "lookup_key": f"{plan.key}_{interval}",
                }
                await self._call("/v1/prices", price, at, object_id=_price_id(plan, interval))
            default = {"default_price": _price_id(plan, "month")}
            await self._call(f"/v1/products/{product_id}", default, at)

    def customer_id(self, account: DemoAccount) -> str:
        """Return the id that the account's customer has or will have."""
        return f"cus_demo_{account.key.replace(' ', '_')}"

    async def create_customer(
        self, account: DemoAccount, at: datetime, details: Details | None = None
    ) -> str:
        """Create the account's customer; return its id."""
        params: dict[str, Any] = {
            "name": account.team_name,
            "email": account.billing_email,
            "metadata": {"team_id": str(account.team_id), "generation": "1"},
        }
        if details is not None:
            params["address"] = {
                "line1": details.line1,
                "city": details.city,
                "country": details.country,
            }
            params["tax_id_data"] = [{"type": "eu_vat", "value": details.vat}]
        customer = self.customer_id(account)
        await self._call("/v1/customers", params, at, object_id=customer)
        return customer

    async def pay_with(self, customer: str, card: Card, at: datetime) -> None:
        """Add a card, which is charged from then on."""
        fields = {
            "number": card.number,
            "exp_month": card.exp_month or 12,
            "exp_year": card.exp_year or at.year + 2,
        }
        method = await self._call("/v1/payment_methods", {"type": "card", "card": fields}, at)
        path = f"/v1/payment_methods/{method['id']}/attach"
        await self._call(path, {"customer": customer}, at)
        settings = {"invoice_settings": {"default_payment_method": method["id"]}}
        await self._call(f"/v1/customers/{customer}", settings, at)

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
        """Begin a monthly subscription; return its id."""
        params: dict[str, Any] = {
            "customer": customer,
            "items": [{"price": _price_id(plan, "month"), "quantity": quantity}],
        }
        if trial_days:
            params["trial_period_days"] = trial_days
            params["trial_settings"] = {"end_behavior": {"missing_payment_method": "cancel"}}
        if euros:
            params["currency"] = "eur"
        made = await self._call("/v1/subscriptions", params, at)
        subscription: str = made["id"]
        return subscription

    async def change(self, subscription: str, plan: Plan, quantity: int, at: datetime) -> None:
        """Move a subscription to another plan or quantity."""
        path = f"/v1/subscriptions/{subscription}"
        item = (await self._call(path, {}, at, method="get"))["items"]["data"][0]["id"]
        params = {
            "items": [{"id": item, "price": _price_id(plan, "month"), "quantity": quantity}],
            "proration_behavior": "create_prorations",
        }
        await self._call(path, params, at)

    async def cancel(self, subscription: str, at: datetime) -> None:
        """Let a subscription end with its period."""
        await self._call(f"/v1/subscriptions/{subscription}", {"cancel_at_period_end": True}, at)

    async def advance(self, customer: str, to: datetime) -> None:
        """Let everything happen to a customer that happens by itself until then."""
        await self._control.advance(customer, to)

    async def _call(
        self,
        path: str,
        params: dict[str, Any],
        at: datetime,
        *,
        object_id: str | None = None,
        method: str = "post",
    ) -> dict[str, Any]:
        call = {"method": method, "path": path, "params": params, "at": seconds(at)}
        if object_id is not None:
            call["id"] = object_id
        answer = await self._control.do("batch", {"calls": [call]})
        result: dict[str, Any] = answer["results"][0]
        return result


def _price_id(plan: Plan, interval: str) -> str:
    return f"price_demo_{plan.key}_{interval}"
