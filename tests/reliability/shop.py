"""The provider's side of the reliability tests: a shop with customers, what it holds, and its events."""

from collections.abc import Iterable
from typing import Any, Final

from tests.e2e.sandbox import Json, Sandbox

_CUSTOMERS_A_BATCH: Final = 20
_PLANS: Final = {"starter": 2900, "team": 2000, "pro": 14900}


class Shop:
    """A shop at a stand-alone sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        """Sell at `sandbox`, where nothing is sold yet."""
        self.sandbox = sandbox
        self.customers: list[str] = []
        self._seen: set[str] = set()

    async def open(self, customers: int) -> None:
        """Offer three plans, and let `customers` subscribe to one of them."""
        await self.sandbox.batch(
            *(
                call
                for plan, amount in _PLANS.items()
                for call in (
                    _call(
                        "/v1/products", {"name": plan.title()}, name="product", id=f"prod_{plan}"
                    ),
                    _call(
                        "/v1/prices",
                        {
                            "product": f"prod_{plan}",
                            "unit_amount": amount,
                            "currency": "usd",
                            "recurring": {"interval": "month"},
                        },
                        id=f"price_{plan}",
                    ),
                )
            )
        )
        prices = [f"price_{plan}" for plan in _PLANS]
        for start in range(0, customers, _CUSTOMERS_A_BATCH):
            numbers = range(start, min(start + _CUSTOMERS_A_BATCH, customers))
            answers = await self.sandbox.batch(
                *(call for number in numbers for call in _subscriber(number, prices))
            )
            told = [one["id"] for one in answers if one["object"] == "customer"]
            self.customers += dict.fromkeys(told)

    async def storm(self, events: int, *, seed: int) -> list[Json]:
        """Change things until about `events` more have happened, and return the new events, oldest first."""
        response = await self.sandbox.control(
            "storm", {"customers": self.customers, "events": events, "seed": seed}
        )
        assert response is not None
        return await self.new_events()

    async def new_events(self) -> list[Json]:
        """Return the events that were not returned before, oldest first."""
        new: list[Json] = []
        query = {"limit": "100"}
        while True:
            page = await self.sandbox.get("/v1/events", **query)
            fresh = [event for event in page["data"] if event["id"] not in self._seen]
            new += fresh
            if len(fresh) < len(page["data"]) or not page["has_more"]:
                break
            query["starting_after"] = page["data"][-1]["id"]
        self._seen |= {event["id"] for event in new}
        return new[::-1]


def _subscriber(number: int, prices: list[str]) -> Iterable[Json]:
    name = f"c{number}"
    yield _call(
        "/v1/customers", {"name": f"Customer {number}", "email": f"{name}@example.com"}, name=name
    )
    yield _call(
        "/v1/payment_methods/pm_card_visa/attach",
        {"customer": f"{{{name}.id}}"},
        name=f"{name}card",
    )
    yield _call(
        f"/v1/customers/{{{name}.id}}",
        {"invoice_settings": {"default_payment_method": f"{{{name}card.id}}"}},
    )
    yield _call(
        "/v1/subscriptions",
        {
            "customer": f"{{{name}.id}}",
            "items": [{"price": prices[number % len(prices)], "quantity": 2}],
        },
    )


def _call(path: str, params: Json, *, name: str | None = None, id: str | None = None) -> Json:  # noqa: A002
    call: dict[str, Any] = {"method": "post", "path": path, "params": params}
    if name:
        call["as"] = name
    if id:
        call["id"] = id
    return call
