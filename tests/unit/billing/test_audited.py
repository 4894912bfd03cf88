"""What the audit log tells of billing: trips to the provider, what came of them, and replays."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlmodel import select

from billing_ui.accounts.audit import KEPT_FOR
from billing_ui.accounts.clients import client_bound
from billing_ui.accounts.permissions import Scope
from billing_ui.billing.checkout import open_checkout
from billing_ui.billing.events import replay_event
from billing_ui.billing.portal import open_portal
from billing_ui.billing.pruning import prune
from billing_ui.billing.services import Services
from billing_ui.billing.sync import sync_customer
from billing_ui.billing.visits import return_from_visit
from billing_ui.clock import utc_now
from billing_ui.models import AuditEntry, InboxEvent
from billing_ui.payments.types import (
    FlowType,
    InvalidRequest,
    NotAllowed,
    PortalFlow,
    ProviderUnavailable,
)
from tests.unit.billing.factories import (
    PRO,
    TEAM,
    Account,
    new_account,
    snapshot,
    subscription,
)
from tests.unit.billing.fake_driver import FakeDriver


async def on_pro(services: Services, driver: FakeDriver) -> Account:
    """Return an account on Pro."""
    account = await new_account(services, customer="cus_1")
    driver.has(snapshot(subscription(PRO)))
    await sync_customer(services, account.customer)
    return account


async def log(services: Services) -> list[AuditEntry]:
    """Return the whole audit log, oldest first."""
    async with services.database.read() as session:
        return sorted(
            (await session.exec(select(AuditEntry))).all(), key=lambda entry: entry.id or 0
        )


async def test_a_trip_to_the_portal_is_told_with_who_went_and_where(
    shop: Services, driver: FakeDriver
) -> None:
    account = await on_pro(shop, driver)
    flow = PortalFlow(type=FlowType.PAYMENT_METHOD_UPDATE)
    with client_bound("192.0.2.7", None):
        opened = await open_portal(shop, account.identity, flow=flow)
    [entry] = await log(shop)
    assert (entry.team_id, entry.action) == (account.team_id, "portal_visit")
    assert (entry.actor_id, entry.actor_label) == (
        account.identity.user_id,
        account.identity.email,
    )
    assert entry.details == {"visit": str(opened.visit_id), "flow": "payment_method_update"}
    assert entry.address == "192.0.2.7"
    assert opened.url not in str(entry.model_dump())


async def test_a_token_is_told_by_its_name(shop: Services, driver: FakeDriver) -> None:
    account = await on_pro(shop, driver)
    token = replace(
        account.identity,
        user_id=None,
        session_id=None,
        user_name="Product backend",
        token_id=uuid4(),
        scopes=frozenset({Scope.PORTAL}),
    )
    await open_portal(shop, token)
    [entry] = await log(shop)
    assert (entry.actor_kind, entry.actor_id) == ("token", token.token_id)
    assert entry.actor_label == "Product backend"


async def test_a_portal_that_did_not_open_is_not_told(shop: Services, driver: FakeDriver) -> None:
    account = await on_pro(shop, driver)
    driver.fail("start_portal_session", ProviderUnavailable())
    with pytest.raises(ProviderUnavailable):
        await open_portal(shop, account.identity)
    with pytest.raises(NotAllowed):
        await open_portal(shop, replace(account.identity, scopes=frozenset()))
    assert await log(shop) == []


async def test_a_checkout_is_told_with_the_plan(shop: Services, driver: FakeDriver) -> None:
    account = await new_account(shop)
    await open_checkout(shop, account.identity, PRO)
    [entry] = await log(shop)
    assert (entry.action, entry.target) == ("checkout", "Pro")


async def test_what_came_of_a_trip_is_told_once_as_done_by_who_went(
    shop: Services, driver: FakeDriver
) -> None:
    account = await on_pro(shop, driver)
    visit = str((await open_portal(shop, account.identity)).visit_id)
    driver.has(snapshot(subscription(TEAM)))
    with client_bound("192.0.2.7", None):
        await return_from_visit(shop, visit, account.identity)
        await return_from_visit(shop, visit, account.identity)
    [_, entry] = await log(shop)
    assert entry.action == "visit_settled"
    assert entry.actor_label == account.identity.email
    assert entry.address is None
    assert entry.details["visit"] == visit
    assert [change["kind"] for change in entry.details["changes"]] == ["plan_changed"]


async def test_a_trip_without_a_change_is_told_so(shop: Services, driver: FakeDriver) -> None:
    account = await on_pro(shop, driver)
    visit = str((await open_portal(shop, account.identity)).visit_id)
    await return_from_visit(shop, visit, account.identity)
    assert (await log(shop))[1].details["changes"] == []


async def test_what_came_of_a_tokens_trip_is_known_from_the_provider(
    shop: Services, driver: FakeDriver
) -> None:
    account = await on_pro(shop, driver)
    token = replace(account.identity, user_id=None, token_id=uuid4(), user_name="Product")
    visit = str((await open_portal(shop, token)).visit_id)
    driver.has(snapshot(subscription(TEAM)))
    await return_from_visit(shop, visit, account.identity)
    entry = (await log(shop))[1]
    assert (entry.actor_kind, entry.actor_label) == ("provider", "Stripe")


async def _receive(services: Services, event_id: str, customer: str | None) -> None:
    async with services.database.write() as session:
        session.add(
            InboxEvent(
                provider="stripe",
                id=event_id,
                type="invoice.paid",
                created_at=utc_now(),
                provider_customer_id=customer,
                payload={},
            )
        )


async def test_a_replay_is_told_to_the_team_that_the_event_concerns(
    shop: Services, driver: FakeDriver
) -> None:
    account = await on_pro(shop, driver)
    await _receive(shop, "evt_1", "cus_1")
    await _receive(shop, "evt_2", None)
    await replay_event(shop, "evt_1")
    await replay_event(shop, "evt_2")
    first, second = await log(shop)
    assert (first.team_id, first.action) == (account.team_id, "events_replayed")
    assert (first.actor_kind, first.target) == ("operator", "evt_1")
    assert first.details == {"type": "invoice.paid"}
    assert second.team_id is None


async def test_a_replay_of_no_event_is_not_told(shop: Services) -> None:
    with pytest.raises(InvalidRequest):
        await replay_event(shop, "evt_9")
    assert await log(shop) == []


async def test_pruning_forgets_what_is_older_than_a_year(services: Services) -> None:
    async with services.database.write() as session:
        for age in (KEPT_FOR * 2, KEPT_FOR * 2, KEPT_FOR - timedelta(days=1), timedelta()):
            session.add(AuditEntry(at=utc_now() - age, action="sign_in", actor_kind="user"))
    assert await prune(services) == 2
    assert await prune(services) == 0
    assert len(await log(services)) == 2


async def test_trips_at_the_same_time_are_all_told(shop: Services, driver: FakeDriver) -> None:
    account = await on_pro(shop, driver)
    await asyncio.gather(*(open_portal(shop, account.identity) for _ in range(8)))
    assert [entry.action for entry in await log(shop)] == ["portal_visit"] * 8
