"""Killed while a provider tells of much, whichever provider it is: everything ends as that provider says."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func
from sqlmodel import col, select

from billing_ui.billing.reconcile import reconcile
from billing_ui.billing.services import Services
from billing_ui.migrations import upgrade
from billing_ui.models import (
    Customer,
    InboxEvent,
    Invoice,
    PaymentMethod,
    Subscription,
    SubscriptionItem,
)
from billing_ui.payments.types import SubscriptionState
from billing_ui.settings import KEY_SETTINGS
from tests.conftest import running_sandbox
from tests.drivers.shop_world import LemonSqueezyWorld, PaddleWorld, PolarWorld
from tests.drivers.world import (
    TrueInvoice,
    TrueSubscription,
    Truth,
    World,
    payer,
    settings_of,
    while_it_runs,
)
from tests.e2e.server import Server
from tests.reliability.installation import running
from tests.reliability.truth import stored_events, wait_until_current

CUSTOMERS, EVENTS, KILLS = 8, 80, 1
_LOOK_SECONDS, _PATIENCE_SECONDS = 0.05, 120.0
Kind = type[PolarWorld] | type[LemonSqueezyWorld] | type[PaddleWorld]


@pytest.mark.parametrize(
    "kind",
    [PolarWorld, LemonSqueezyWorld, PaddleWorld],
    ids=lambda kind: kind.provider.value,
)
async def test_what_a_provider_tells_survives_sudden_ends_and_everything_ends_as_it_says(
    kind: Kind, tmp_path: Path
) -> None:
    database, url = tmp_path / "sandbox.db", f"sqlite:///{tmp_path / 'billing.db'}"
    with running_sandbox(database, kind.provider) as sandbox_url:
        world: World = kind(sandbox_url, database)
        services = Services.open(settings_of(world, database_url=url))
        await upgrade(services.settings.database_url)
        customers = await subscribers(services, world)
        with running(tmp_path, "first", sandbox_url, url, environment(world)) as server:
            hook = f"{server.base_url}/api/webhooks/{world.provider}"
            world.control.do("webhooks", {"url": hook, "secret": world.secret})
            storm = {"customers": customers, "events": EVENTS, "seed": 7}
            async with asyncio.TaskGroup() as group:
                group.create_task(asyncio.to_thread(world.control.do, "storm", storm))
                group.create_task(kill_again_and_again(server, services))
            await everything_told(world)
            assert await stored(services) >= EVENTS
            await wait_until_current(services, seconds=_PATIENCE_SECONDS)
            driver = services.drivers.active
            if not world.tells_of_details:
                # What nobody is told of is found by comparing.
                await reconcile(services, fix=True, patience=0)
            events = await stored_events(services)
            assert len(events) == len(set(events))
            for customer in customers:
                kept, truth = await truth_kept(services, customer), world.truth(customer)
                if not driver.capabilities.payment_method_list:
                    assert set(kept.cards) <= set(truth.cards)
                    kept = Truth(**vars(kept) | {"cards": truth.cards})
                assert kept == truth
        await services.close()


async def subscribers(services: Services, world: World) -> list[str]:
    """Return customers who have bought one of two plans."""
    offers = [world.offer(name, unit_label="seat") for name in ("Starter", "Team")]
    customers = []
    for number in range(CUSTOMERS):
        customer = await services.drivers.active.ensure_customer(payer())
        world.add_card(customer)
        world.subscribe(customer, offers[number % 2], 2)
        customers.append(customer)
    return customers


def environment(world: World) -> dict[str, str]:
    """Return the settings of an installation whose provider this is."""
    name = world.provider.value.upper()
    found = {
        "PAYMENT_PROVIDER": world.provider.value,
        KEY_SETTINGS[world.provider]: world.key,
        f"{name}_WEBHOOK_SECRET": world.secret,
        f"{name}_API_BASE": world.url,
    }
    return found | ({"LEMONSQUEEZY_STORE_ID": "1"} if name == "LEMONSQUEEZY" else {})


async def kill_again_and_again(server: Server, services: Services) -> None:
    """Kill and restart the application whenever another part of the storm has arrived."""
    for kill in range(1, KILLS + 1):
        deadline = asyncio.get_running_loop().time() + _PATIENCE_SECONDS
        while (there := await stored(services)) < kill * EVENTS // (KILLS + 2):
            assert asyncio.get_running_loop().time() < deadline, f"only {there} events came"
            await asyncio.sleep(_LOOK_SECONDS)
        await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.start)


async def stored(services: Services) -> int:
    """Return how many events were accepted."""
    async with services.database.read() as session:
        return (await session.exec(select(func.count()).select_from(InboxEvent))).one()


async def everything_told(world: World) -> None:
    """Return when the provider has delivered everything, what was refused in between included."""
    counts: dict[str, Any] = {"pending": 1}
    while counts["pending"]:
        counts = await asyncio.to_thread(world.control.do, "webhooks/flush", {})
    assert not counts["failed"]


async def truth_kept(services: Services, name: str) -> Truth:
    """Return what our tables say of a customer, in the form in which a world tells what is so."""
    async with services.database.read() as session:
        customer = (
            await session.exec(select(Customer).where(Customer.provider_customer_id == name))
        ).one()
        query = (
            select(Subscription, SubscriptionItem)
            .join(SubscriptionItem, col(SubscriptionItem.subscription_id) == Subscription.id)
            .where(Subscription.customer_id == customer.id)
        )
        subscriptions = (await session.exec(query)).all()
        invoices = select(Invoice).where(Invoice.customer_id == customer.id)
        cards = select(PaymentMethod).where(PaymentMethod.customer_id == customer.id)
        return Truth(
            name=customer.name,
            email=customer.email,
            subscriptions=tuple(
                sorted(
                    (true_subscription(one, item) for one, item in subscriptions),
                    key=lambda one: one.id,
                )
            ),
            invoices=tuple(
                sorted(
                    (
                        TrueInvoice(one.id, one.status, one.total)
                        for one in (await session.exec(invoices)).all()
                        if one.total
                    ),
                    key=lambda one: one.id,
                )
            ),
            cards=tuple(
                sorted((one.last4, one.is_default) for one in (await session.exec(cards)).all())
            ),
        )


def true_subscription(one: Subscription, item: SubscriptionItem) -> TrueSubscription:
    """Return what our tables say of a subscription."""
    state = SubscriptionState(one.state)
    return TrueSubscription(
        id=one.id,
        state=state,
        plan=item.plan_name,
        quantity=item.quantity or 1,
        amount=item.unit_amount or 0,
        interval=item.interval or "",
        period_end=while_it_runs(state, item.current_period_end),
        trial_end=while_it_runs(state, one.trial_end),
    )
