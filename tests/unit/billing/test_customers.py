"""A team has exactly one customer, however many ask for it and whatever dies in between."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from sqlmodel import select

from billing_ui.billing.customers import (
    choose_customer,
    claim_customer,
    current_customer,
    ensure_customer,
    link_customer,
    mark_customer_out_of_date,
)
from billing_ui.billing.services import Services
from billing_ui.billing.sync import sync_customer
from billing_ui.clock import utc_now
from billing_ui.models import Customer
from billing_ui.payments.types import (
    CustomerDeleted,
    InvalidRequest,
    NoCustomer,
    ProviderUnavailable,
)
from tests.unit.billing.factories import (
    Account,
    card,
    ended,
    invoice,
    new_account,
    snapshot,
    subscription,
)
from tests.unit.billing.fake_driver import FakeDriver


async def customers(services: Services) -> list[Customer]:
    """Return every customer row, oldest generation first."""
    async with services.database.read() as session:
        return list((await session.exec(select(Customer).order_by("generation"))).all())


async def ensure(services: Services, account: Account) -> Customer:
    """Ensure the account's customer."""
    return await ensure_customer(services, account.identity, account.team_id)


async def test_a_customer_is_created_with_the_payers_mail_and_the_teams_name(
    services: Services, driver: FakeDriver
) -> None:
    account = await new_account(services)
    customer = await ensure(services, account)
    payer = driver.created[(account.team_id, 1)]
    assert (payer.email, payer.name) == (account.identity.email, "Northwind Labs")
    assert customer.provider_customer_id in driver.snapshots
    assert customer.wanted > customer.applied


async def test_a_customer_that_exists_is_not_created_again(
    services: Services, driver: FakeDriver
) -> None:
    account = await new_account(services)
    first = await ensure(services, account)
    assert (await ensure(services, account)).id == first.id
    assert driver.count("ensure_customer") == 1


async def test_the_claim_is_committed_before_the_provider_is_asked(
    services: Services, driver: FakeDriver
) -> None:
    account = await new_account(services)
    hold = driver.hold("ensure_customer")
    asking = asyncio.create_task(ensure(services, account))
    await hold.reached.wait()
    [claim] = await customers(services)
    assert claim.provider_customer_id is None
    assert claim.create_params == {"email": account.identity.email, "name": "Northwind Labs"}
    hold.release()
    await asking


async def test_parallel_calls_of_two_processes_make_one_customer(
    services: Services, other_process: Services, driver: FakeDriver
) -> None:
    account = await new_account(services)
    made = await asyncio.gather(
        *(ensure(process, account) for process in (services, other_process) for _ in range(6))
    )
    assert len({customer.provider_customer_id for customer in made}) == 1
    assert len(driver.snapshots) == 1
    assert len(await customers(services)) == 1


async def test_a_crash_between_create_and_save_ends_with_one_customer(
    services: Services, other_process: Services, driver: FakeDriver
) -> None:
    account = await new_account(services)
    hold = driver.hold("ensure_customer:answer")
    dying = asyncio.create_task(ensure(services, account))
    await hold.reached.wait()
    dying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await dying
    assert len(driver.snapshots) == 1
    assert [row.provider_customer_id for row in await customers(services)] == [None]

    customer = await ensure(other_process, account)
    assert list(driver.snapshots) == [customer.provider_customer_id]
    assert len(await customers(services)) == 1


async def test_a_retry_repeats_the_request_of_the_claim_though_names_have_changed(
    services: Services, driver: FakeDriver
) -> None:
    account = await new_account(services)
    driver.fail("ensure_customer:answer", ProviderUnavailable())
    with pytest.raises(ProviderUnavailable):
        await ensure(services, account)
    renamed = Account(
        account.identity.__class__(
            **{**vars(account.identity), "team_name": "Southwind", "email": "new@example.com"}
        ),
        account.team_id,
    )
    # The fake refuses other parameters under the same key, as a provider does.
    await ensure(services, renamed)
    assert len(driver.snapshots) == 1


async def test_a_claim_is_made_once(services: Services, other_process: Services) -> None:
    account = await new_account(services)
    claims = await asyncio.gather(
        *(
            claim_customer(process, account.identity, account.team_id)
            for process in (services, other_process)
            for _ in range(4)
        )
    )
    assert len({claim.id for claim in claims}) == 1


async def test_a_customer_deleted_before_it_was_saved_is_followed_by_the_next_generation(
    services: Services, driver: FakeDriver
) -> None:
    account = await new_account(services)
    driver.fail("ensure_customer:answer", ProviderUnavailable())
    with pytest.raises(ProviderUnavailable):
        await ensure(services, account)
    driver.delete(next(iter(driver.snapshots)))
    customer = await ensure(services, account)
    assert customer.generation == 2
    first, second = await customers(services)
    assert first.deleted_at is not None
    assert second.deleted_at is None


async def test_a_row_that_the_providers_event_stored_first_gives_way(
    services: Services, driver: FakeDriver
) -> None:
    account = await new_account(services)
    hold = driver.hold("ensure_customer:answer")
    asking = asyncio.create_task(ensure(services, account))
    await hold.reached.wait()
    async with services.database.write() as session:
        session.add(Customer(provider="stripe", provider_customer_id=next(iter(driver.snapshots))))
    hold.release()
    customer = await asking
    assert [row.id for row in await customers(services)] == [customer.id]
    assert customer.team_id == account.team_id


async def test_marking_counts_every_time(services: Services) -> None:
    account = await new_account(services, customer="cus_1")
    marks = await asyncio.gather(
        *(mark_customer_out_of_date(services, account.customer) for _ in range(5))
    )
    assert sorted(marks) == [2, 3, 4, 5, 6]


# ---------------------------------------------------------------- which one counts


def row(**fields: Any) -> Customer:
    """Return a customer of a team, not stored."""
    defaults: dict[str, Any] = {
        "provider": "stripe",
        "provider_customer_id": "cus",
        "generation": 1,
    }
    return Customer(**defaults | fields)


def test_the_customer_that_counts_is_the_active_providers_living_newest() -> None:
    polar = row(provider="polar", generation=9)
    deleted = row(deleted_at=utc_now(), generation=3)
    old, new = row(generation=1), row(generation=2)
    claim = row(provider_customer_id=None, generation=4)
    assert choose_customer([polar, deleted, old, new, claim], ("stripe",)) is new
    assert choose_customer([polar, deleted, claim], ("stripe",)) is deleted
    assert choose_customer([polar, claim], ("stripe",)) is polar
    assert choose_customer([claim], ("stripe",)) is None
    assert choose_customer([], ("stripe",)) is None


# ---------------------------------------------------------------- linking


async def test_an_operator_links_a_customer_to_a_team(
    services: Services, driver: FakeDriver
) -> None:
    account = await new_account(services)
    driver.has(snapshot(customer="cus_old"))
    customer_id = await link_customer(services, account.team_id, "cus_old")
    async with services.database.read() as session:
        customer = await current_customer(session, account.team_id, ("stripe",))
    assert customer
    assert customer.id == customer_id
    assert customer.wanted > customer.applied
    # Saying it again is harmless.
    assert await link_customer(services, account.team_id, "cus_old") == customer_id
    assert len(await customers(services)) == 1


async def test_an_unclaimed_customer_is_linked_where_it_stands(
    services: Services, driver: FakeDriver
) -> None:
    account = await new_account(services)
    driver.has(snapshot(customer="cus_old"))
    async with services.database.write() as session:
        unclaimed = Customer(provider="stripe", provider_customer_id="cus_old")
        session.add(unclaimed)
    assert await link_customer(services, account.team_id, "cus_old") == unclaimed.id


async def test_a_customer_of_another_team_is_not_linked(
    services: Services, driver: FakeDriver
) -> None:
    await new_account(services, customer="cus_theirs")
    account = await new_account(services)
    driver.has(snapshot(customer="cus_theirs"))
    with pytest.raises(InvalidRequest, match="Another team"):
        await link_customer(services, account.team_id, "cus_theirs")


async def test_a_team_with_a_customer_gets_no_second_one(
    services: Services, driver: FakeDriver
) -> None:
    account = await new_account(services, customer="cus_1")
    driver.has(snapshot(customer="cus_2"))
    with pytest.raises(InvalidRequest, match="already has the customer cus_1"):
        await link_customer(services, account.team_id, "cus_2")


async def test_a_customer_that_nothing_was_bought_with_gives_way_to_the_one_that_is_linked(
    services: Services, driver: FakeDriver
) -> None:
    account = await new_account(services, customer="cus_1")
    driver.has(snapshot(customer="cus_1"))
    driver.has(snapshot(subscription(), customer="cus_2"))
    customer_id = await link_customer(services, account.team_id, "cus_2")
    async with services.database.read() as session:
        customer = await current_customer(session, account.team_id, ("stripe",))
    assert customer
    assert (customer.id, customer.generation) == (customer_id, 2)
    # Nothing is lost: what the other one once had would still be the team's.
    assert {one.team_id for one in await customers(services)} == {account.team_id}
    # Saying it again is harmless, and so is changing one's mind before anything was bought.
    assert await link_customer(services, account.team_id, "cus_2") == customer_id
    assert len(await customers(services)) == 2


@pytest.mark.parametrize(
    "holds",
    [
        {"subscriptions": (ended(),)},
        {"payment_methods": (card(),)},
        {"invoices": (invoice(status="void"),)},
    ],
)
@pytest.mark.parametrize("known", ["here", "there"])
async def test_a_customer_with_anything_gives_way_to_none(
    holds: dict[str, Any], known: str, services: Services, driver: FakeDriver
) -> None:
    account = await new_account(services, customer="cus_1")
    driver.has(snapshot(customer="cus_1").model_copy(update=holds))
    if known == "here":
        assert account.customer
        await sync_customer(services, account.customer)
        driver.has(snapshot(customer="cus_1"))
    driver.has(snapshot(customer="cus_2"))
    with pytest.raises(InvalidRequest, match="already has the customer cus_1") as caught:
        await link_customer(services, account.team_id, "cus_2")
    assert str(caught.value).endswith(
        "only if it is known to have no subscription, invoice or payment method."
    )


async def test_linking_what_does_not_exist_is_refused(
    services: Services, driver: FakeDriver
) -> None:
    account = await new_account(services)
    with pytest.raises(NoCustomer):
        await link_customer(services, account.team_id, "cus_nobody")
    driver.delete("cus_gone")
    with pytest.raises(CustomerDeleted):
        await link_customer(services, account.team_id, "cus_gone")
    driver.has(snapshot(customer="cus_1"))
    with pytest.raises(InvalidRequest, match="no such team"):
        await link_customer(services, uuid4(), "cus_1")
    assert await customers(services) == []


async def test_linking_takes_back_no_count_of_another_process(
    services: Services, other_process: Services, driver: FakeDriver
) -> None:
    account = await new_account(services)
    driver.has(snapshot(customer="cus_1"))
    customer_id = await link_customer(services, account.team_id, "cus_1")
    before = (await customers(services))[0].wanted
    others = [mark_customer_out_of_date(other_process, customer_id) for _ in range(20)]
    ours = [link_customer(services, account.team_id, "cus_1") for _ in range(20)]
    await asyncio.gather(*(call for pair in zip(others, ours, strict=True) for call in pair))
    assert (await customers(services))[0].wanted == before + 40
