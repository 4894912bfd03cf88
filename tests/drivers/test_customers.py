"""One customer for each claim, whatever runs at once, breaks off or comes late."""

import asyncio
from datetime import timedelta

import pytest

from billing_ui.clock import utc_now
from billing_ui.payments.driver import Driver
from billing_ui.payments.types import CustomerDeleted, InvalidRequest, NoCustomer, ProviderRejected
from tests.conftest import free_port
from tests.drivers.world import World, open_driver, payer, portal_request, unknown_like

LONG_AGO = timedelta(days=3)


async def test_a_customer_is_created_as_the_payer_is_called_and_says_whose_it_is(
    driver: Driver, world: World
) -> None:
    who = payer()
    customer = await driver.ensure_customer(who)
    truth = world.truth(customer)
    assert (truth.name, truth.email) == (who.name, who.email)
    made = (await driver.fetch_snapshot(customer)).customer
    assert (made.id, made.team_id, made.generation) == (customer, who.team_id, 1)
    assert (made.name, made.email, made.deleted) == (who.name, who.email, False)


async def test_a_known_customer_costs_no_call(world: World) -> None:
    nobody_there = open_driver(world, base=f"http://127.0.0.1:{free_port()}")
    assert await nobody_there.ensure_customer(payer("known_1")) == "known_1"
    await nobody_there.close()


async def test_twenty_calls_at_once_from_two_processes_make_one_customer(
    driver: Driver, other_driver: Driver, world: World
) -> None:
    who = payer(claimed_at=utc_now())
    calls = (one.ensure_customer(who) for one in (driver, other_driver) for _ in range(10))
    found = set(await asyncio.gather(*calls))
    assert len(found) == 1
    assert world.customers_with(str(who.email)) == list(found)


async def test_a_crash_between_creating_and_saving_makes_no_second_customer(
    driver: Driver, other_driver: Driver, world: World
) -> None:
    who = payer(claimed_at=utc_now())
    created = await driver.ensure_customer(who)
    assert await other_driver.ensure_customer(who) == created
    assert world.customers_with(str(who.email)) == [created]


async def test_a_claim_of_days_ago_finds_what_it_made(
    driver: Driver, other_driver: Driver, world: World
) -> None:
    who = payer(claimed_at=utc_now())
    created = await driver.ensure_customer(who)
    late = who.model_copy(update={"claimed_at": utc_now() - LONG_AGO})
    assert await other_driver.ensure_customer(late) == created
    assert world.customers_with(str(who.email)) == [created]


async def test_an_answer_that_is_lost_makes_no_second_customer(
    driver: Driver, world: World
) -> None:
    who = payer(claimed_at=utc_now())
    with world.control.failing("drop", times=1, method="POST"):
        created = await driver.ensure_customer(who)
    assert await driver.ensure_customer(who) == created
    assert world.customers_with(str(who.email)) == [created]


async def test_two_teams_have_a_customer_each(driver: Driver) -> None:
    first, second = payer(), payer()
    assert await driver.ensure_customer(first) != await driver.ensure_customer(second)


async def test_two_teams_of_one_person_never_share_a_customer(driver: Driver, world: World) -> None:
    first = payer()
    second = payer(email=first.email)
    ours = await driver.ensure_customer(first)
    if world.shares_emails:
        assert await driver.ensure_customer(second) != ours
    else:
        with pytest.raises((InvalidRequest, ProviderRejected), match=r"(?i)e-?mail"):
            await driver.ensure_customer(second)
    assert (await driver.fetch_snapshot(ours)).customer.team_id == first.team_id
    assert await driver.ensure_customer(first) == ours


@pytest.mark.parametrize("claimed", [timedelta(0), LONG_AGO], ids=["at once", "days later"])
async def test_a_customer_is_never_taken_over_by_its_email(
    claimed: timedelta, driver: Driver, world: World
) -> None:
    who = payer(claimed_at=utc_now() - claimed)
    stranger = world.stranger(str(who.email))
    if world.shares_emails:
        assert await driver.ensure_customer(who) != stranger
    else:
        # Whose it is, only the operator can say, who links it to a team.
        with pytest.raises((InvalidRequest, ProviderRejected), match=r"(?i)e-?mail"):
            await driver.ensure_customer(who)
        assert world.customers_with(str(who.email)) == [stranger]
    assert (await driver.fetch_snapshot(stranger)).customer.team_id is None


async def test_a_deleted_customer_is_named_as_such_and_followed_by_another_generation(
    driver: Driver, world: World
) -> None:
    if not world.deletes_customers:
        pytest.skip(f"{driver.display_name} keeps every customer for ever")
    world.offer("Pro")
    who = payer(claimed_at=utc_now())
    gone = await driver.ensure_customer(who)
    world.delete_customer(gone)
    assert (await driver.fetch_snapshot(gone)).customer.deleted
    with pytest.raises(CustomerDeleted):
        await driver.ensure_customer(who)
    known = who.model_copy(update={"customer_id": gone})
    with pytest.raises(CustomerDeleted):
        await driver.start_portal_session(portal_request(known))
    next_one = who.model_copy(update={"generation": 2, "claimed_at": utc_now()})
    if not world.replaces_deleted_customers:
        # The e-mail stays with the one before; the operator can take another, or bring that one back.
        with pytest.raises(ProviderRejected, match="former customer"):
            await driver.ensure_customer(next_one)
        next_one = next_one.model_copy(update={"email": f"new-{who.email}"})
    successor = await driver.ensure_customer(next_one)
    assert successor != gone
    assert await driver.ensure_customer(next_one) == successor
    made = (await driver.fetch_snapshot(successor)).customer
    assert (made.team_id, made.generation, made.deleted) == (who.team_id, 2, False)


async def test_a_customer_nobody_knows_is_no_customer(driver: Driver, world: World) -> None:
    created = await driver.ensure_customer(payer())
    with pytest.raises(NoCustomer):
        await driver.fetch_snapshot(unknown_like(created))
