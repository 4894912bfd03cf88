"""One customer at Polar for each claim, though it knows no idempotency keys and wants e-mails to be unique."""

import asyncio

import pytest

from billing_ui.payments.polar import PolarDriver
from billing_ui.payments.types import CustomerDeleted, InvalidRequest, ProviderRejected
from billing_ui.sandbox.polar import shapes
from billing_ui.sandbox.shop.model import Customer
from tests.polar_description import complaints
from tests.polar_requests import Notes
from tests.unit.payments.polar_shop import POLAR_KEY, Polar
from tests.unit.payments.requests import payer
from tests.unit.payments.scripted import ScriptedServer, json_answer

TAKEN = {"type": "value_error", "loc": ["body", "external_id"], "msg": "Taken."}
NOTHING = {"items": [], "pagination": {"total_count": 0, "max_page": 0}}


async def test_a_customer_is_a_team_that_its_owner_looks_after(polar: Polar) -> None:
    driver, who = polar.driver(), payer()
    made = polar.shop.get(Customer, await driver.ensure_customer(who))
    assert (made.email, made.name, made.external_id) == (who.email, who.name, str(who.team_id))
    assert made.metadata == {"team_id": str(who.team_id), "generation": 1}
    owner = shapes.owner(made)
    assert (owner["email"], owner["external_id"]) == (who.email, str(who.team_id))
    await driver.close()


async def test_who_looks_after_two_teams_has_a_customer_for_each(polar: Polar) -> None:
    driver, first, second = polar.driver(), payer(), payer()
    assert first.email == second.email
    made = [await driver.ensure_customer(who) for who in (first, second)]
    records = [polar.shop.get(Customer, one) for one in made]
    assert [shapes.email_of(one) for one in records] == [first.email, None]
    assert [shapes.owner(one)["email"] for one in records] == [first.email, first.email]
    told = [(await driver.fetch_snapshot(one)).customer.team_id for one in made]
    assert told == [first.team_id, second.team_id]
    await driver.close()


async def test_parallel_calls_with_a_taken_email_make_one_customer(polar: Polar) -> None:
    who = payer()
    polar.shop.create_customer(str(who.email))
    drivers = [polar.driver(), polar.driver()]
    calls = [one.ensure_customer(who) for one in drivers for _ in range(10)]
    assert len(set(await asyncio.gather(*calls))) == 1
    assert polar.shop.count(Customer) == 2
    for one in drivers:
        await one.close()


async def test_a_customer_made_elsewhere_with_the_teams_external_id_is_its_own(
    polar: Polar,
) -> None:
    driver, who = polar.driver(), payer()
    known = polar.shop.create_customer("other@example.com", external_id=str(who.team_id))
    assert await driver.ensure_customer(who) == known.id
    await driver.close()


async def test_a_deleted_customer_is_remembered_though_its_external_id_is_free(
    polar: Polar,
) -> None:
    driver, who = polar.driver(), payer()
    polar.shop.delete_customer(await driver.ensure_customer(who))
    assert polar.shop.customer_by_external_id(str(who.team_id)) is None
    with pytest.raises(CustomerDeleted):
        await driver.ensure_customer(who)
    assert polar.shop.count(Customer) == 0
    await driver.close()


async def test_what_was_in_the_way_and_is_gone_was_deleted(scripted: ScriptedServer) -> None:
    driver = PolarDriver(POLAR_KEY, api_base=scripted.url)
    gone = json_answer({"error": "ResourceNotFound", "detail": "Customer not found"}, 404)
    scripted.answers = [json_answer(NOTHING), json_answer({"detail": [TAKEN]}, 422), gone]
    with pytest.raises(CustomerDeleted):
        await driver.ensure_customer(payer())
    await driver.close()


async def test_who_has_no_email_is_told_to_give_one(polar: Polar) -> None:
    driver = polar.driver()
    with pytest.raises(InvalidRequest, match="e-mail address"):
        await driver.ensure_customer(payer().model_copy(update={"email": None}))
    assert polar.shop.count(Customer) == 0
    await driver.close()


async def test_an_email_that_is_none_is_refused_in_words(
    polar: Polar, asked_of_polar: Notes
) -> None:
    driver = polar.driver()
    with pytest.raises(ProviderRejected, match="valid email address"):
        await driver.ensure_customer(payer().model_copy(update={"email": "nobody"}))
    await driver.close()
    # Told what is no address, our driver asks what Polar's description forbids; only here, and it is refused.
    assert complaints(one for one in asked_of_polar.new() if not one.refused) == []
