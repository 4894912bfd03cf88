"""What the demo sells."""

from dataclasses import dataclass
from typing import Final


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


MONTHS_PAID: Final = (("month", 1), ("year", 10))
"""The intervals of a plan's prices, and how many months each costs."""
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
