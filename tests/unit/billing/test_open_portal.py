"""Opening the portal: who may, for whom, back to where, and with which wishes."""

import asyncio
import logging

import pytest
from sqlalchemy import delete
from sqlalchemy.exc import DBAPIError
from sqlmodel import col, select

from billing_ui.accounts.errors import NoTeam
from billing_ui.accounts.sessions import Identity
from billing_ui.billing.catalog import portal_configuration_id
from billing_ui.billing.portal import open_portal, open_switch
from billing_ui.billing.services import Services
from billing_ui.billing.sync import sync_customer
from billing_ui.models import Customer, PortalVisit, Role, User
from billing_ui.payments.types import (
    Capabilities,
    ConfigurationUnusable,
    CustomerDeleted,
    FlowType,
    InvalidRequest,
    InvalidReturnUrl,
    NoCustomer,
    NotAllowed,
    PortalFlow,
    ProviderMismatch,
    ProviderRejected,
    ProviderUnavailable,
)
from tests.unit.billing.factories import (
    PRO,
    TEAM,
    Account,
    canceling,
    ended,
    item,
    new_account,
    new_member,
    snapshot,
    subscription,
)
from tests.unit.billing.fake_driver import FakeDriver
from tests.unit.statements import noted_statements

EVIL = "https://evil.example"


async def subscribed(services: Services, driver: FakeDriver, *subscriptions: object) -> Account:
    """Return an account whose customer has been synced with these subscriptions."""
    account = await new_account(services, customer="cus_1")
    driver.has(snapshot(*subscriptions))  # type: ignore[arg-type]
    await sync_customer(services, account.customer)
    return account


async def visits(services: Services) -> list[PortalVisit]:
    """Return every visit."""
    async with services.database.read() as session:
        return list((await session.exec(select(PortalVisit))).all())


async def test_the_portal_opens_for_the_teams_customer_and_returns_through_us(
    shop: Services, driver: FakeDriver
) -> None:
    account = await subscribed(shop, driver, subscription(PRO))
    opened = await open_portal(shop, account.identity, "/settings/billing?tab=1", locale="de")
    [request] = driver.portals
    assert request.payer.customer_id == "cus_1"
    assert (
        request.return_url
        == f"http://localhost:3000/settings/billing/return?visit={opened.visit_id}"
    )
    assert request.configuration == await portal_configuration_id(shop)
    assert request.locale == "de"
    assert opened.provider == "stripe"
    assert opened.url.startswith("https://portal.example.com/p/session/")

    [visit] = await visits(shop)
    assert visit.id == opened.visit_id
    assert (visit.team_id, visit.user_id) == (account.team_id, account.identity.user_id)
    assert (visit.kind, visit.flow, visit.return_url) == (
        "portal",
        None,
        "/settings/billing?tab=1",
    )
    assert visit.before is not None
    assert visit.before["subscriptions"][0]["items"][0]["plan_name"] == "Pro"
    assert visit.returned_at is None


async def test_the_portal_url_is_in_no_repr_no_log_and_no_table(
    shop: Services, driver: FakeDriver, caplog: pytest.LogCaptureFixture
) -> None:
    account = await subscribed(shop, driver, subscription(PRO))
    with caplog.at_level(logging.DEBUG):
        opened = await open_portal(shop, account.identity)
    assert opened.url not in repr(opened)
    assert opened.url not in caplog.text
    assert all(opened.url not in str(visit.model_dump()) for visit in await visits(shop))


async def test_opening_takes_one_provider_call_one_query_and_a_write_for_the_visit_and_one_for_the_log(
    shop: Services, driver: FakeDriver
) -> None:
    account = await subscribed(shop, driver, subscription(PRO))
    await open_portal(shop, account.identity)
    driver.calls.clear()
    with noted_statements(shop.database) as statements:
        await open_portal(shop, account.identity)
    assert driver.calls == ["start_portal_session"]
    assert [statement.split()[0] for statement, _ in statements] == ["SELECT", "INSERT", "INSERT"]


async def test_a_visit_before_the_first_sync_knows_no_state_before(
    shop: Services, driver: FakeDriver
) -> None:
    account = await new_account(shop, customer="cus_1")
    driver.has(snapshot())
    await open_portal(shop, account.identity)
    [visit] = await visits(shop)
    assert visit.before is None


# ---------------------------------------------------------------- who may not


async def test_a_person_without_a_team_is_told_so_first(shop: Services) -> None:
    nobody = (await new_account(shop)).identity
    nobody = Identity(**{**vars(nobody), "team_id": None, "role": None})
    with pytest.raises(NoTeam):
        await open_portal(shop, nobody, EVIL)


async def test_a_member_without_billing_rights_is_refused_before_anything_is_looked_at(
    shop: Services,
) -> None:
    account = await new_account(shop)
    member = await new_member(shop, account)
    with pytest.raises(NotAllowed):
        await open_portal(shop, member, EVIL)


async def test_a_billing_manager_may(shop: Services, driver: FakeDriver) -> None:
    account = await subscribed(shop, driver)
    await open_portal(shop, await new_member(shop, account, Role.BILLING_MANAGER))
    assert len(driver.portals) == 1


async def test_a_team_without_a_customer_never_gets_one_by_asking(
    shop: Services, driver: FakeDriver
) -> None:
    account = await new_account(shop)
    with pytest.raises(NoCustomer, match="No billing customer record found"):
        await open_portal(shop, account.identity, EVIL)
    assert driver.snapshots == {}
    async with shop.database.read() as session:
        assert (await session.exec(select(Customer))).all() == []


async def test_a_claim_that_was_never_carried_out_is_no_customer(shop: Services) -> None:
    account = await new_account(shop)
    async with shop.database.write() as session:
        session.add(Customer(team_id=account.team_id, provider="stripe"))
    with pytest.raises(NoCustomer):
        await open_portal(shop, account.identity)


async def test_another_providers_customer_is_a_mismatch_before_the_return_url_is_looked_at(
    shop: Services,
) -> None:
    account = await new_account(shop, customer="polar_1", provider="polar")
    with pytest.raises(ProviderMismatch) as caught:
        await open_portal(shop, account.identity, EVIL)
    assert str(caught.value) == "Customer provider (polar) does not match active provider (stripe)"


async def test_a_return_url_elsewhere_is_refused_before_the_provider_is_asked(
    shop: Services, driver: FakeDriver
) -> None:
    account = await subscribed(shop, driver)
    with pytest.raises(InvalidReturnUrl):
        await open_portal(shop, account.identity, EVIL)
    assert driver.portals == []
    assert await visits(shop) == []


# ---------------------------------------------------------------- failures


async def test_a_customer_deleted_at_the_provider_is_an_error_and_makes_nothing_new(
    shop: Services, driver: FakeDriver
) -> None:
    account = await subscribed(shop, driver)
    driver.delete("cus_1")
    with pytest.raises(CustomerDeleted):
        await open_portal(shop, account.identity)
    assert list(driver.snapshots) == ["cus_1"]
    assert await visits(shop) == []
    async with shop.database.read() as session:
        row = (await session.exec(select(Customer))).one()
    # The page learns of it with the sync that its next opening starts.
    assert row.wanted > row.applied


async def test_a_provider_that_is_down_leaves_no_visit(shop: Services, driver: FakeDriver) -> None:
    account = await subscribed(shop, driver)
    driver.fail("start_portal_session", ProviderUnavailable(retry_after=7))
    with pytest.raises(ProviderUnavailable) as caught:
        await open_portal(shop, account.identity)
    assert caught.value.retry_after == 7
    assert await visits(shop) == []


async def test_an_address_is_given_only_when_the_visit_is_stored(
    shop: Services, driver: FakeDriver
) -> None:
    account = await subscribed(shop, driver)
    async with shop.database.write() as session:
        await session.exec(delete(User).where(col(User.id) == account.identity.user_id))
    with pytest.raises(DBAPIError):
        await open_portal(shop, account.identity)
    assert await visits(shop) == []


# ---------------------------------------------------------------- configurations


async def test_the_configuration_is_made_once_however_many_ask_first(
    services: Services, other_process: Services, driver: FakeDriver
) -> None:
    account = await subscribed(services, driver)
    await asyncio.gather(
        *(
            open_portal(process, account.identity)
            for process in (services, other_process)
            for _ in range(3)
        )
    )
    assert len(driver.configurations) == 1
    assert {request.configuration for request in driver.portals} == set(driver.configurations)


@pytest.mark.parametrize("name", ["bpc_someone_elses", "bpc_listed2", ""])
async def test_a_configuration_that_is_not_ours_nor_listed_is_refused(
    shop: Services, driver: FakeDriver, name: str
) -> None:
    account = await subscribed(shop, driver)
    with pytest.raises(InvalidRequest, match=r"^configuration: "):
        await open_portal(shop, account.identity, configuration=name)
    assert driver.portals == []


async def test_a_listed_configuration_and_our_own_are_used(
    shop: Services, driver: FakeDriver
) -> None:
    account = await subscribed(shop, driver)
    await open_portal(shop, account.identity, configuration="bpc_listed")
    ours = await portal_configuration_id(shop)
    await open_portal(shop, account.identity, configuration=ours)
    assert [request.configuration for request in driver.portals] == ["bpc_listed", ours]


async def test_our_configuration_is_remade_when_the_provider_refuses_it(
    shop: Services, driver: FakeDriver
) -> None:
    account = await subscribed(shop, driver)
    old = await portal_configuration_id(shop)
    driver.configurations = {"bpc_new": "x"}
    driver.fail("start_portal_session", ConfigurationUnusable("inactive"))
    await open_portal(shop, account.identity)
    assert driver.portals[-1].configuration == "bpc_new" != old
    await open_portal(shop, account.identity)
    assert driver.count("start_portal_session") == 3


# ---------------------------------------------------------------- flows


@pytest.mark.parametrize("flow", list(FlowType))
async def test_each_flow_reaches_the_provider(
    shop: Services, driver: FakeDriver, flow: FlowType
) -> None:
    account = await subscribed(shop, driver, subscription(PRO))
    change = flow is FlowType.SUBSCRIPTION_UPDATE_CONFIRM
    wish = PortalFlow(type=flow, price_id=TEAM, quantity=5) if change else PortalFlow(type=flow)
    await open_portal(shop, account.identity, flow=wish)
    [request] = driver.portals
    assert request.flow
    assert request.flow.type is flow
    assert request.flow.subscription_id == ("sub_1" if flow.about_subscription else None)
    assert request.flow.item_id == ("si_1" if change else None)
    assert (request.flow.price_id, request.flow.quantity) == (wish.price_id, wish.quantity)
    [visit] = await visits(shop)
    assert visit.flow == flow.value


CHANGE = FlowType.SUBSCRIPTION_UPDATE_CONFIRM


@pytest.mark.parametrize(
    ("flow", "message"),
    [
        (PortalFlow(type=CHANGE), "needs a price or a quantity"),
        (PortalFlow(type=CHANGE, price_id="price_nobody"), "not for sale"),
        (PortalFlow(type=CHANGE, price_id=PRO, quantity=1), "your plan already"),
        (PortalFlow(type=CHANGE, price_id=TEAM, item_id="si_other"), "no such item"),
        (PortalFlow(type=FlowType.SUBSCRIPTION_CANCEL, price_id=TEAM), "takes no price"),
        (PortalFlow(type=FlowType.CUSTOMER_UPDATE, quantity=2), "takes no price"),
    ],
)
async def test_a_change_that_cannot_be_confirmed_is_refused(
    shop: Services, driver: FakeDriver, flow: PortalFlow, message: str
) -> None:
    account = await subscribed(shop, driver, subscription(PRO))
    with pytest.raises(InvalidRequest, match=rf"^flow: .*{message}"):
        await open_portal(shop, account.identity, flow=flow)
    assert driver.portals == []


async def test_a_plan_of_several_items_is_not_changed_by_a_link(
    shop: Services, driver: FakeDriver
) -> None:
    several = subscription(items=(item(PRO), item(TEAM, id="si_2")))
    account = await subscribed(shop, driver, several)
    with pytest.raises(InvalidRequest, match=r"^flow: a plan of several items"):
        await open_portal(shop, account.identity, flow=PortalFlow(type=CHANGE, price_id=TEAM))


async def test_a_switch_opens_where_it_is_only_left_to_be_confirmed(
    shop: Services, driver: FakeDriver
) -> None:
    account = await subscribed(shop, driver, subscription(PRO))
    await open_switch(shop, account.identity, TEAM, 5, locale="de")
    [request] = driver.portals
    assert request.flow == PortalFlow(
        type=CHANGE, subscription_id="sub_1", item_id="si_1", price_id=TEAM, quantity=5
    )
    assert request.locale == "de"
    [visit] = await visits(shop)
    assert visit.flow == CHANGE.value


@pytest.mark.parametrize("refusal", [InvalidRequest, ProviderRejected])
async def test_a_switch_the_portal_refuses_opens_where_plans_are_chosen(
    shop: Services, driver: FakeDriver, refusal: type[Exception]
) -> None:
    account = await subscribed(shop, driver, subscription(PRO))
    driver.fail("start_portal_session", refusal("This price is not in the configuration."))
    await open_switch(shop, account.identity, TEAM, 5)
    [request] = driver.portals
    assert request.flow == PortalFlow(type=FlowType.SUBSCRIPTION_UPDATE, subscription_id="sub_1")
    [visit] = await visits(shop)
    assert visit.flow == FlowType.SUBSCRIPTION_UPDATE.value


async def test_a_switch_of_several_items_opens_where_plans_are_chosen(
    shop: Services, driver: FakeDriver
) -> None:
    several = subscription(items=(item(PRO), item(TEAM, id="si_2")))
    account = await subscribed(shop, driver, several)
    await open_switch(shop, account.identity, TEAM, 5)
    [request] = driver.portals
    assert request.flow
    assert request.flow.type is FlowType.SUBSCRIPTION_UPDATE


async def test_a_switch_from_a_plan_set_to_cancel_opens_where_it_is_kept(
    shop: Services, driver: FakeDriver
) -> None:
    account = await subscribed(shop, driver, canceling(PRO))
    await open_switch(shop, account.identity, TEAM, 5)
    [request] = driver.portals
    assert request.flow is None


async def test_a_switch_while_the_provider_is_down_is_not_asked_for_twice(
    shop: Services, driver: FakeDriver
) -> None:
    account = await subscribed(shop, driver, subscription(PRO))
    driver.fail("start_portal_session", ProviderUnavailable(retry_after=7))
    with pytest.raises(ProviderUnavailable):
        await open_switch(shop, account.identity, TEAM, 5)
    assert driver.count("start_portal_session") == 1


async def test_a_member_without_billing_rights_switches_nothing(
    shop: Services, driver: FakeDriver
) -> None:
    account = await subscribed(shop, driver, subscription(PRO))
    with pytest.raises(NotAllowed):
        await open_switch(shop, await new_member(shop, account), TEAM, 5)
    assert driver.calls.count("start_portal_session") == 0


async def test_a_flow_the_provider_lacks_is_refused(shop: Services, driver: FakeDriver) -> None:
    account = await subscribed(shop, driver, subscription(PRO))
    driver.capabilities = Capabilities(flows=frozenset(), checkout=True, event_list=True)
    with pytest.raises(InvalidRequest, match=r"^flow: "):
        await open_portal(
            shop, account.identity, flow=PortalFlow(type=FlowType.PAYMENT_METHOD_UPDATE)
        )


@pytest.mark.parametrize("name", ["sub_of_someone_else", "sub_nobody"])
async def test_a_subscription_of_someone_else_is_refused(
    shop: Services, driver: FakeDriver, name: str
) -> None:
    other = await new_account(shop, customer="cus_2")
    driver.has(
        snapshot(subscription(id="sub_of_someone_else", items=(item(id="si_9"),)), customer="cus_2")
    )
    await sync_customer(shop, other.customer)
    account = await subscribed(shop, driver, subscription(PRO))
    flow = PortalFlow(type=FlowType.SUBSCRIPTION_CANCEL, subscription_id=name)
    with pytest.raises(InvalidRequest, match=r"^flow: there is no such live subscription"):
        await open_portal(shop, account.identity, flow=flow)
    assert driver.portals == []


async def test_of_several_subscriptions_a_flow_gets_the_newest_live_one_that_is_not_canceling(
    shop: Services, driver: FakeDriver
) -> None:
    first = subscription(PRO)
    account = await subscribed(
        shop,
        driver,
        subscription(PRO, id="sub_0", created_at=first.created_at.replace(year=2025)),
        first,
        canceling(
            TEAM,
            id="sub_2",
            items=(item(TEAM, id="si_2"),),
            created_at=first.created_at.replace(day=5),
        ),
        ended(id="sub_3", items=(item(id="si_3"),), created_at=first.created_at.replace(day=9)),
    )
    update = PortalFlow(type=FlowType.SUBSCRIPTION_UPDATE)
    cancel = PortalFlow(type=FlowType.SUBSCRIPTION_CANCEL)
    await open_portal(shop, account.identity, flow=update)
    await open_portal(shop, account.identity, flow=cancel)
    named = [request.flow.subscription_id for request in driver.portals if request.flow]
    assert named == ["sub_1", "sub_1"]


@pytest.mark.parametrize("flow", [FlowType.SUBSCRIPTION_CANCEL, FlowType.SUBSCRIPTION_UPDATE])
async def test_a_plan_that_is_canceling_is_neither_canceled_again_nor_changed(
    shop: Services, driver: FakeDriver, flow: FlowType
) -> None:
    account = await subscribed(shop, driver, canceling())
    with pytest.raises(InvalidRequest, match="already set to cancel"):
        await open_portal(shop, account.identity, flow=PortalFlow(type=flow))


async def test_without_a_live_subscription_such_a_flow_says_to_choose_a_plan(
    shop: Services, driver: FakeDriver
) -> None:
    account = await subscribed(shop, driver, ended())
    with pytest.raises(InvalidRequest, match="Choose a plan"):
        await open_portal(
            shop, account.identity, flow=PortalFlow(type=FlowType.SUBSCRIPTION_UPDATE)
        )
    await open_portal(shop, account.identity)
    assert len(driver.portals) == 1
