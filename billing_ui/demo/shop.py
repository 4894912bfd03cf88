"""What the demo sells."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from billing_ui.demo.calls import Sandbox


@dataclass(frozen=True)
class Plan:
    """A product of the demo shop; amounts are minor units a month, a year costs ten months."""

    key: str
    description: str
    usd: int
    eur: int
    features: tuple[str, ...]
    unit_label: str | None = None

    @property
    def name(self) -> str:
        """What people see."""
        return self.key.capitalize()

    def price_id(self, interval: str) -> str:
        """Return the id of the monthly ("month") or yearly ("year") price."""
        return f"price_demo_{self.key}_{interval}"


PLANS: Final = (
    Plan(
        "starter",
        "For trying it out with a few people.",
        2900,
        2700,
        ("5 projects", "1 GB storage", "Community support", "Activity log, 7 days"),
    ),
    Plan(
        "pro",
        "For one team that ships every week.",
        14900,
        13900,
        ("50 projects", "50 GB storage", "E-mail support", "Activity log, 90 days"),
    ),
    Plan(
        "team",
        "For companies that grow seat by seat.",
        2000,
        1900,
        (
            "Unlimited projects",
            "1 TB storage",
            "Single sign-on",
            "Priority support",
            "Activity log, 1 year",
        ),
        unit_label="seat",
    ),
)
STARTER, PRO, TEAM = PLANS


async def create_catalog(sandbox: Sandbox, at: datetime) -> None:
    """Create the products and their prices."""
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
        await sandbox.call("/v1/products", product | {"id": product_id}, at=at)
        for interval, months in (("month", 1), ("year", 10)):
            price = {
                "product": product_id,
                "currency": "usd",
                "unit_amount": plan.usd * months,
                "currency_options": {"eur": {"unit_amount": plan.eur * months}},
                "recurring": {"interval": interval},
                "lookup_key": f"{plan.key}_{interval}",
            }
            await sandbox.call("/v1/prices", price, at=at, object_id=plan.price_id(interval))
        default = {"default_price": plan.price_id("month")}
        await sandbox.call(f"/v1/products/{product_id}", default, at=at)
