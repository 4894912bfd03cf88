"""Coming back from the provider: fresh data, what changed in words, and nothing for strangers."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

import pytest
from sqlmodel import select

from billing_ui.accounts.sessions import Identity
from billing_ui.billing.changes import describe_visit
from billing_ui.billing.checkout import open_checkout
from billing_ui.billing.portal import open_portal
from billing_ui.billing.services import Services
from billing_ui.billing.sync import sync_customer
from billing_ui.billing.visits import dismiss_visit, return_from_visit
from billing_ui.models import Customer, PortalVisit, Role
from billing_ui.payments.types import ProviderUnavailable, Snapshot
from tests.unit.billing.factories import (
    AMERICAN,
    PRO,
    TEAM,
    Account,
    canceling,
    card,
    invoice,
    latest_outcome,
    new_account,
    new_member,
    snapshot,
    subscription,
)
from tests.unit.billing.fake_driver import FakeDriver


async def away(
    services: Services, driver: FakeDriver, return_url: str | None = None
) -> tuple[Account, str]:
    """Return an account on Pro whose owner has just gone to the portal, and the visit's id."""
    account = await new_account(services, customer="cus_1")
    driver.has(snapshot(subscription(PRO), payment_methods=(card("0005"),)))
    await sync_customer(services, account.customer)
    opened = await open_portal(services, account.identity, return_url)
    return account, str(opened.visit_id)


def on_team(seats: int = 1) -> Snapshot:
    """Return that account after it changed to Team."""
    return snapshot(subscription(TEAM, seats), payment_methods=(card("0005"),))


async def customer_row(services: Services, account: Account) -> Customer:
    """Return the account's customer."""
    async with services.database.read() as session:
        return (await session.exec(select(Customer).where(Customer.id == account.customer))).one()


async def visit_row(services: Services, visit_id: str) -> PortalVisit:
    """Return a visit."""
    async with services.database.read() as session:
        return (
            await session.exec(select(PortalVisit).where(PortalVisit.id == UUID(visit_id)))
        ).one()


async def banner(services: Services, identity: Identity) -> tuple[str, ...] | None:
    """Return what the banner on somebody's billing page says, part by part."""
    outcome = await latest_outcome(services, identity)
    if outcome is None:
        return None
    text = describe_visit(
        outcome.changes, AMERICAN, place=outcome.kind, plan=outcome.plan, upcoming=outcome.upcoming
    )
    parts = (text.heading, text.detail, *map(str, text.changes))
    return tuple(part for part in parts if part)


async def test_the_return_says_what_changed_at_once(shop: Services, driver: FakeDriver) -> None:
    account, visit_id = await away(shop, driver)
    driver.has(on_team())
    outcome = await return_from_visit(shop, visit_id, account.identity)
    assert (outcome.kind, outcome.next_url, outcome.error) == ("synced", "/settings/billing", None)
    assert [change.kind for change in outcome.changes or ()] == ["plan_changed"]
    assert await banner(shop, account.identity) == (
        "Plan changed from Pro to Team.",
        "Renews on January 3, 2027.",
    )


async def test_several_changes_are_told_as_a_list(shop: Services, driver: FakeDriver) -> None:
    account, visit_id = await away(shop, driver)
    driver.has(snapshot(subscription(TEAM, 24), payment_methods=(card(),), invoices=(invoice(24),)))
    await return_from_visit(shop, visit_id, account.identity)
    assert await banner(shop, account.identity) == (
        "Your billing is up to date: 4 changes from your portal visit",
        "Plan changed from Pro to Team. Renews on January 3, 2027.",
        "Seats set to 24.",
        "Payment method changed to Visa ending in 4242.",
        "Invoice ACME-0024 paid, $174.60.",
    )


async def test_that_nothing_changed_is_said_too(shop: Services, driver: FakeDriver) -> None:
    account, visit_id = await away(shop, driver)
    outcome = await return_from_visit(shop, visit_id, account.identity)
    assert outcome.changes == ()
    assert await banner(shop, account.identity) == (
        "Nothing changed",
        "You made no changes in the portal. Your plan is still Pro and renews on January 3, 2027.",
    )


async def test_after_checkout_the_new_plan_is_told(shop: Services, driver: FakeDriver) -> None:
    account = await new_account(shop)
    opened = await open_checkout(shop, account.identity, PRO)
    [created] = driver.snapshots.values()
    driver.has(snapshot(subscription(PRO), customer=created.customer, payment_methods=(card(),)))
    outcome = await return_from_visit(shop, str(opened.visit_id), account.identity)
    assert outcome.kind == "synced"
    assert await banner(shop, account.identity) == (
        "Your billing is up to date: 2 changes from your checkout",
        "Pro started. Renews on January 3, 2027.",
        "Payment method Visa ending in 4242 added.",
    )


async def test_the_callers_return_url_is_where_the_person_goes_on(
    shop: Services, driver: FakeDriver
) -> None:
    account, visit_id = await away(shop, driver, "https://app.example.com/back?x=1")
    outcome = await return_from_visit(shop, visit_id, account.identity)
    assert outcome.next_url == "https://app.example.com/back?x=1"


async def test_a_change_that_a_webhook_brought_before_the_return_belongs_to_the_visit(
    shop: Services, driver: FakeDriver
) -> None:
    account, visit_id = await away(shop, driver)
    driver.has(snapshot(canceling(PRO), payment_methods=(card("0005"),)))
    await sync_customer(shop, account.customer)
    outcome = await return_from_visit(shop, visit_id, account.identity)
    assert [change.kind for change in outcome.changes or ()] == ["cancellation_scheduled"]


async def test_without_a_known_state_before_nothing_is_claimed(
    shop: Services, driver: FakeDriver
) -> None:
    account = await new_account(shop, customer="cus_1")
    driver.has(snapshot(subscription(PRO)))
    opened = await open_portal(shop, account.identity)
    outcome = await return_from_visit(shop, str(opened.visit_id), account.identity)
    assert outcome.changes is None
    assert await banner(shop, account.identity) == ("Your billing is up to date.",)


# ---------------------------------------------------------------- again, and not at all


async def test_reloading_does_no_harm(shop: Services, driver: FakeDriver) -> None:
    account, visit_id = await away(shop, driver)
    driver.has(on_team())
    first = await return_from_visit(shop, visit_id, account.identity)
    again = await asyncio.gather(
        *(return_from_visit(shop, visit_id, account.identity) for _ in range(3))
    )
    assert all(outcome == first for outcome in again)


async def test_a_dismissed_banner_stays_away_when_the_return_is_reloaded(
    shop: Services, driver: FakeDriver
) -> None:
    account, visit_id = await away(shop, driver)
    driver.has(on_team())
    await return_from_visit(shop, visit_id, account.identity)
    await dismiss_visit(shop, account.identity, visit_id)
    assert await banner(shop, account.identity) is None
    await return_from_visit(shop, visit_id, account.identity)
    assert await banner(shop, account.identity) is None


async def test_going_back_into_the_portal_and_changing_more_is_told_as_well(
    shop: Services, driver: FakeDriver
) -> None:
    account, visit_id = await away(shop, driver)
    driver.has(on_team())
    await return_from_visit(shop, visit_id, account.identity)
    await dismiss_visit(shop, account.identity, visit_id)
    driver.has(on_team(24))
    outcome = await return_from_visit(shop, visit_id, account.identity)
    assert [change.kind for change in outcome.changes or ()] == ["plan_changed", "quantity_changed"]
    assert await banner(shop, account.identity) is not None


async def test_opening_an_old_return_by_hand_syncs_but_tells_nothing_new(
    shop: Services, driver: FakeDriver
) -> None:
    account, visit_id = await away(shop, driver)
    await return_from_visit(shop, visit_id, account.identity)
    await dismiss_visit(shop, account.identity, visit_id)
    async with shop.database.write() as session:
        visit = await session.get_one(PortalVisit, UUID(visit_id))
        visit.created_at -= timedelta(days=30)
        session.add(visit)
    driver.has(on_team())
    outcome = await return_from_visit(shop, visit_id, account.identity)
    assert (outcome.kind, outcome.changes) == ("synced", ())
    assert await banner(shop, account.identity) is None


async def test_a_banner_does_not_stay_for_ever(shop: Services, driver: FakeDriver) -> None:
    account, visit_id = await away(shop, driver)
    await return_from_visit(shop, visit_id, account.identity)
    async with shop.database.write() as session:
        visit = await session.get_one(PortalVisit, UUID(visit_id))
        assert visit.returned_at
        visit.returned_at -= timedelta(days=2)
        session.add(visit)
    assert await banner(shop, account.identity) is None


async def test_a_provider_that_is_down_is_said_and_a_later_sync_tells_what_changed(
    shop: Services, other_process: Services, driver: FakeDriver
) -> None:
    account, visit_id = await away(shop, driver)
    driver.has(on_team())
    driver.fail("fetch_snapshot", ProviderUnavailable("Stripe didn't answer in time."))
    outcome = await return_from_visit(shop, visit_id, account.identity)
    assert (outcome.kind, outcome.next_url) == ("failed", "/settings/billing")
    assert outcome.error == "Stripe didn't answer in time."
    assert outcome.changes is None
    assert await banner(shop, account.identity) is None

    await sync_customer(other_process, account.customer)
    assert await banner(shop, account.identity) == (
        "Plan changed from Pro to Team.",
        "Renews on January 3, 2027.",
    )


async def test_trying_again_after_a_failure_succeeds(shop: Services, driver: FakeDriver) -> None:
    account, visit_id = await away(shop, driver)
    driver.fail("fetch_snapshot", ProviderUnavailable())
    assert (await return_from_visit(shop, visit_id, account.identity)).kind == "failed"
    assert (await return_from_visit(shop, visit_id, account.identity)).kind == "synced"


async def test_a_sync_that_began_before_the_return_does_not_settle_the_visit(
    shop: Services, other_process: Services, driver: FakeDriver
) -> None:
    account, visit_id = await away(shop, driver)
    hold = driver.hold("fetch_snapshot:answer")
    early = asyncio.create_task(sync_customer(other_process, account.customer))
    await hold.reached.wait()
    driver.has(on_team())
    returning = asyncio.create_task(return_from_visit(shop, visit_id, account.identity))
    # Until the return has marked the customer, which the early fetch cannot have seen.
    while (await visit_row(shop, visit_id)).wanted is None:  # noqa: ASYNC110
        await asyncio.sleep(0)
    hold.release()
    await early
    outcome = await returning
    assert [change.kind for change in outcome.changes or ()] == ["plan_changed"]


# ---------------------------------------------------------------- strangers


async def test_without_a_session_nothing_is_shown_and_sign_in_leads_back(
    shop: Services, driver: FakeDriver
) -> None:
    account, visit_id = await away(shop, driver, "https://app.example.com/back")
    before = await customer_row(shop, account)
    outcome = await return_from_visit(shop, visit_id, None)
    assert (outcome.kind, outcome.changes, outcome.error) == ("sign_in", None, None)
    address = urlsplit(outcome.next_url)
    assert address.path == "/sign-in"
    assert parse_qs(address.query)["next"] == [f"/settings/billing/return?visit={visit_id}"]
    after = await customer_row(shop, account)
    assert after.wanted == before.wanted + 1
    assert driver.count("fetch_snapshot") == 1
    assert (await visit_row(shop, visit_id)).returned_at is None


async def test_without_a_session_a_visit_that_exists_looks_like_one_that_does_not(
    shop: Services, driver: FakeDriver
) -> None:
    _, visit_id = await away(shop, driver)
    invented = str(uuid4())
    real = await return_from_visit(shop, visit_id, None)
    unreal = await return_from_visit(shop, invented, None)
    assert real.next_url.replace(visit_id, invented) == unreal.next_url
    assert real.kind == unreal.kind


async def test_someone_elses_visit_tells_nothing_but_marks_the_customer(
    shop: Services, driver: FakeDriver
) -> None:
    account, visit_id = await away(shop, driver, "https://app.example.com/secret-path")
    stranger = await new_account(shop, customer="cus_2")
    colleague = await new_member(shop, account, Role.OWNER)
    member = await new_member(shop, account)
    before = await customer_row(shop, account)
    for identity in (stranger.identity, colleague, member):
        outcome = await return_from_visit(shop, visit_id, identity)
        assert outcome.kind == "unknown"
        assert outcome.next_url == "/settings/billing"
        assert outcome.changes is None
        assert await banner(shop, identity) is None
    assert (await customer_row(shop, account)).wanted == before.wanted + 3
    assert (await visit_row(shop, visit_id)).returned_at is None
    assert driver.count("fetch_snapshot") == 1


@pytest.mark.parametrize(
    "visit_id",
    [
        "",
        "x",
        "../../etc/passwd",
        "1' OR '1'='1",
        "\x00",
        "é" * 300,
        "//evil.example",
        "0a1b2c3d-0000-4000-8000-000000000000",
    ],
)
async def test_an_id_that_is_none_leads_to_the_billing_page(shop: Services, visit_id: str) -> None:
    account = await new_account(shop)
    outcome = await return_from_visit(shop, visit_id, account.identity)
    assert (outcome.kind, outcome.next_url) == ("unknown", "/settings/billing")
    signed_out = await return_from_visit(shop, visit_id, None)
    assert signed_out.next_url.startswith("/sign-in?next=%2Fsettings%2Fbilling%2Freturn%3Fvisit%3D")
    await dismiss_visit(shop, account.identity, visit_id)


async def test_who_comes_back_from_a_trip_that_a_token_opened_is_told_and_nobody_else(
    shop: Services, driver: FakeDriver
) -> None:
    account, _ = await away(shop, driver)
    token = replace(account.identity, user_id=None, token_id=uuid4(), user_name="Product")
    visit_id = str((await open_portal(shop, token)).visit_id)
    driver.has(on_team())
    colleague = await new_member(shop, account, Role.OWNER)
    await return_from_visit(shop, visit_id, account.identity)
    said = await banner(shop, account.identity)
    assert said
    assert said[0] == "Plan changed from Pro to Team."
    assert await banner(shop, colleague) is None
    await dismiss_visit(shop, colleague, visit_id)
    assert await banner(shop, account.identity) == said
    await dismiss_visit(shop, account.identity, visit_id)
    assert await banner(shop, account.identity) is None


async def test_someone_else_cannot_dismiss_a_banner(shop: Services, driver: FakeDriver) -> None:
    account, visit_id = await away(shop, driver)
    await return_from_visit(shop, visit_id, account.identity)
    await dismiss_visit(shop, (await new_account(shop)).identity, visit_id)
    await dismiss_visit(shop, await new_member(shop, account, Role.OWNER), visit_id)
    assert await banner(shop, account.identity) is not None


async def test_a_person_who_lost_their_billing_rights_no_longer_sees_the_banner(
    shop: Services, driver: FakeDriver
) -> None:
    account, visit_id = await away(shop, driver)
    await return_from_visit(shop, visit_id, account.identity)
    demoted = Identity(**{**vars(account.identity), "role": Role.MEMBER})
    assert await banner(shop, demoted) is None
    assert (await return_from_visit(shop, visit_id, demoted)).kind == "unknown"
