"""Whether our tables say what the provider says, read from both and compared field by field."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlmodel import col, select

from billing_ui.billing.services import Services
from billing_ui.models import (
    Customer,
    InboxEvent,
    Invoice,
    PaymentMethod,
    Subscription,
    SubscriptionItem,
)
from tests.e2e.sandbox import Json, Sandbox

_POLL_SECONDS: Final = 0.2
_AT_ONCE: Final = 8

Facts = dict[str, Any]


@dataclass(frozen=True)
class Difference:
    """What we and the provider say differently of one customer."""

    customer: str
    ours: Facts
    theirs: Facts


async def wait_until_current(services: Services, *, seconds: float) -> None:
    """Wait until no customer is out of date.

    Raises:
        AssertionError: some still are after `seconds`.
    """
    deadline = asyncio.get_running_loop().time() + seconds
    while left := await _out_of_date(services):
        assert asyncio.get_running_loop().time() < deadline, f"still out of date: {left[:5]}"
        await asyncio.sleep(_POLL_SECONDS)


async def _out_of_date(services: Services) -> list[tuple[Any, ...]]:
    query = select(
        Customer.provider_customer_id, Customer.attempts, Customer.sync_error, Customer.parked_at
    ).where(col(Customer.wanted) > col(Customer.applied))
    async with services.database.read() as session:
        return [tuple(row) for row in (await session.exec(query)).all()]


async def stored_events(services: Services) -> list[str]:
    """Return the id of every event in the inbox."""
    async with services.database.read() as session:
        return list((await session.exec(select(InboxEvent.id))).all())


async def stored_customers(services: Services) -> list[str]:
    """Return the provider's id of every customer we have."""
    async with services.database.read() as session:
        found = (await session.exec(select(Customer.provider_customer_id))).all()
    return [one for one in found if one is not None]


async def differences(
    services: Services, provider: Sandbox, customers: list[str]
) -> list[Difference]:
    """Return what our tables and the provider say differently of `customers`."""
    places = asyncio.Semaphore(_AT_ONCE)

    async def compare(customer: str) -> Difference | None:
        async with places:
            theirs = await facts_told(provider, customer)
            ours = await facts_kept(services, customer)
        return None if ours == theirs else Difference(customer, ours, theirs)

    found = await asyncio.gather(*map(compare, customers))
    return [one for one in found if one is not None]


async def facts_told(provider: Sandbox, customer_id: str) -> Facts:
    """Return what the provider's API says of a customer: without our driver, which may be wrong itself."""
    customer = await provider.get(f"/v1/customers/{customer_id}")
    subscriptions = await _listed(provider, "subscriptions", customer=customer_id, status="all")
    methods = await _listed(provider, "payment_methods", customer=customer_id)
    invoices = await _listed(provider, "invoices", customer=customer_id)
    return {
        "customer": (customer["name"], customer["email"]),
        "subscriptions": sorted(
            (one["id"], one["status"], one["cancel_at"], one["ended_at"]) for one in subscriptions
        ),
        "items": sorted(
            (
                item["id"],
                one["id"],
                item["price"]["id"],
                item["quantity"],
                item["current_period_end"],
            )
            for one in subscriptions
            for item in one["items"]["data"]
        ),
        "payment_methods": sorted((one["id"], "stripe") for one in methods),
        "invoices": sorted(
            (one["id"], one["status"], one["total"], one["amount_paid"]) for one in invoices
        ),
    }


async def _listed(provider: Sandbox, resource: str, **query: str) -> list[Json]:
    found: list[Json] = []
    query["limit"] = "100"
    while True:
        page = await provider.get(f"/v1/{resource}", **query)
        found += page["data"]
        if not page["has_more"]:
            return found
        query["starting_after"] = page["data"][-1]["id"]


async def facts_kept(services: Services, provider_customer_id: str) -> Facts:
    """Return what our tables say of a customer, in the form of `facts_told`."""
    async with services.database.read() as session:
        query = select(Customer).where(Customer.provider_customer_id == provider_customer_id)
        customer = (await session.exec(query)).one()

        async def rows(query: Any) -> list[tuple[Any, ...]]:
            return sorted(tuple(map(_plain, row)) for row in (await session.exec(query)).all())

        return {
            "customer": (customer.name, customer.email),
            "subscriptions": await rows(
                select(
                    Subscription.id,
                    Subscription.status,
                    Subscription.cancel_at,
                    Subscription.ended_at,
                ).where(Subscription.customer_id == customer.id)
            ),
            "items": await rows(
                select(  # type: ignore[call-overload]
                    SubscriptionItem.id,
                    SubscriptionItem.subscription_id,
                    SubscriptionItem.price_id,
                    SubscriptionItem.quantity,
                    SubscriptionItem.current_period_end,
                )
                .join(Subscription, col(Subscription.id) == SubscriptionItem.subscription_id)
                .where(Subscription.customer_id == customer.id)
            ),
            "payment_methods": await rows(
                select(PaymentMethod.id, PaymentMethod.provider).where(
                    PaymentMethod.customer_id == customer.id
                )
            ),
            "invoices": await rows(
                select(Invoice.id, Invoice.status, Invoice.total, Invoice.amount_paid).where(
                    Invoice.customer_id == customer.id
                )
            ),
        }


def _plain(value: Any) -> Any:
    """Return a moment as the Unix time that the provider tells."""
    return int(value.timestamp()) if isinstance(value, datetime) else value
