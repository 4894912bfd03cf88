"""One customer for each claim, whatever runs at once, breaks off or comes late."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
import stripe

from billing_ui.clock import utc_now
from billing_ui.payments.stripe import StripeDriver
from billing_ui.payments.types import CustomerDeleted, ProviderUnavailable
from tests.unit.payments.conftest import KEY
from tests.unit.payments.requests import payer
from tests.unit.payments.scripted import (
    STORED_FAILURE,
    ScriptedServer,
    error_answer,
    json_answer,
)

LONG_AGO = timedelta(days=3)


async def customers_of(sdk: stripe.StripeClient, team_id: UUID) -> list[stripe.Customer]:
    """Return every customer at the provider that belongs to a team."""
    found = await sdk.v1.customers.search_async({"query": f"metadata['team_id']:'{team_id}'"})
    return list(found.data)


async def test_a_customer_is_created_with_team_and_generation_in_its_metadata(
    driver: StripeDriver, sdk: stripe.StripeClient
) -> None:
    who = payer()
    customer = await sdk.v1.customers.retrieve_async(await driver.ensure_customer(who))
    assert customer.email == who.email
    assert customer.name == who.name
    assert customer.metadata is not None
    assert customer.metadata.to_dict() == {"team_id": str(who.team_id), "generation": "1"}


async def test_a_known_customer_costs_no_call(
    scripted: ScriptedServer, scripted_driver: StripeDriver
) -> None:
    assert await scripted_driver.ensure_customer(payer("cus_known")) == "cus_known"
    assert scripted.seen == []


async def test_twenty_calls_at_once_make_one_customer(
    driver: StripeDriver, sdk: stripe.StripeClient
) -> None:
    who = payer()
    ids = await asyncio.gather(*(driver.ensure_customer(who) for _ in range(20)))
    assert len(set(ids)) == 1
    assert [customer.id for customer in await customers_of(sdk, who.team_id)] == [ids[0]]


async def test_a_crash_between_creating_and_saving_makes_no_second_customer(
    driver: StripeDriver, sdk: stripe.StripeClient, sandbox_url: str
) -> None:
    who = payer(claimed_at=utc_now())
    created = await driver.ensure_customer(who)
    after_the_crash = StripeDriver(KEY, api_base=sandbox_url)
    assert await after_the_crash.ensure_customer(who) == created
    await after_the_crash.close()
    assert len(await customers_of(sdk, who.team_id)) == 1


async def test_a_claim_older_than_a_day_finds_what_it_made(
    driver: StripeDriver, sdk: stripe.StripeClient
) -> None:
    team_id = uuid4()
    # Made under a key that the provider has forgotten since.
    forgotten = await sdk.v1.customers.create_async(
        {"metadata": {"team_id": str(team_id), "generation": "1"}}
    )
    claim = payer(team_id=team_id, claimed_at=utc_now() - LONG_AGO)
    assert await driver.ensure_customer(claim) == forgotten.id
    assert len(await customers_of(sdk, team_id)) == 1


async def test_an_old_claim_does_not_take_an_earlier_generation_or_another_team(
    driver: StripeDriver, sdk: stripe.StripeClient
) -> None:
    team_id = uuid4()
    for metadata in (
        {"team_id": str(team_id), "generation": "1"},
        {"team_id": str(uuid4()), "generation": "2"},
        {"team_id": str(team_id)},
    ):
        await sdk.v1.customers.create_async({"metadata": metadata})
    claim = payer(team_id=team_id, generation=2, claimed_at=utc_now() - LONG_AGO)
    created = await sdk.v1.customers.retrieve_async(await driver.ensure_customer(claim))
    assert created.metadata is not None
    assert created.metadata.to_dict() == {"team_id": str(team_id), "generation": "2"}
    assert len(await customers_of(sdk, team_id)) == 3


async def test_an_old_claim_whose_customer_the_search_cannot_see_yet_gets_it_by_its_key(
    scripted: ScriptedServer, scripted_driver: StripeDriver
) -> None:
    nothing = {
        "object": "search_result",
        "data": [],
        "has_more": False,
        "url": "/",
        "next_page": None,
    }
    customer = {"id": "cus_1", "object": "customer"}
    scripted.answers = [
        json_answer(nothing),
        json_answer(customer, Idempotent_Replayed="true"),
        json_answer(customer),
    ]
    claim = payer(claimed_at=utc_now() - LONG_AGO)
    assert await scripted_driver.ensure_customer(claim) == "cus_1"
    first_key = scripted.seen[1].headers["Idempotency-Key"]
    scripted.seen.clear()
    scripted.answers = [json_answer(customer)]
    assert await scripted_driver.ensure_customer(claim.model_copy(update={"claimed_at": None}))
    assert scripted.seen[0].headers["Idempotency-Key"] == first_key


async def test_a_customer_is_never_taken_over_by_its_email(
    driver: StripeDriver, sdk: stripe.StripeClient
) -> None:
    who = payer()
    assert who.email is not None
    stranger = await sdk.v1.customers.create_async({"email": who.email})
    assert await driver.ensure_customer(who) != stranger.id
    late = payer(claimed_at=utc_now() - LONG_AGO)
    assert await driver.ensure_customer(late) != stranger.id


async def test_a_customer_deleted_before_it_was_saved_is_named_as_such(
    driver: StripeDriver, sdk: stripe.StripeClient
) -> None:
    who = payer()
    await sdk.v1.customers.delete_async(await driver.ensure_customer(who))
    with pytest.raises(CustomerDeleted):
        await driver.ensure_customer(who)
    again = await driver.ensure_customer(who.model_copy(update={"generation": 2}))
    assert [customer.id for customer in await customers_of(sdk, who.team_id)] == [again]


async def test_a_failure_that_the_provider_repeats_does_not_block_the_team_for_a_day(
    scripted: ScriptedServer, scripted_driver: StripeDriver
) -> None:
    others = {"object": "list", "data": [{"id": "cus_2", "object": "customer", "metadata": {}}]}
    scripted.answers = [
        STORED_FAILURE,
        json_answer({**others, "has_more": False, "url": "/v1/customers"}),
        json_answer({"id": "cus_1", "object": "customer"}),
    ]
    assert await scripted_driver.ensure_customer(payer()) == "cus_1"
    first, _, second = scripted.seen
    assert second.form == first.form
    assert second.headers["Idempotency-Key"] == first.headers["Idempotency-Key"] + ":req_failed"


async def test_what_a_failed_attempt_did_make_is_found_and_used(
    scripted: ScriptedServer, scripted_driver: StripeDriver
) -> None:
    who = payer()
    made = {
        "id": "cus_1",
        "object": "customer",
        "metadata": {"team_id": str(who.team_id), "generation": "1"},
    }
    scripted.answers = [
        STORED_FAILURE,
        json_answer({"object": "list", "data": [made], "has_more": False, "url": "/v1/customers"}),
    ]
    assert await scripted_driver.ensure_customer(who) == "cus_1"
    assert [seen.method for seen in scripted.seen] == ["POST", "GET"]


async def test_a_failure_that_is_new_is_simply_unavailable(
    scripted: ScriptedServer, scripted_driver: StripeDriver
) -> None:
    scripted.answers = [error_answer(500, {"message": "Boom."}, Stripe_Should_Retry="false")]
    with pytest.raises(ProviderUnavailable):
        await scripted_driver.ensure_customer(payer())
    assert len(scripted.seen) == 1
