"""One customer at Paddle for each claim, by the e-mail address that Paddle gives to one customer only."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from billing_ui.payments.paddle import PaddleDriver
from billing_ui.payments.types import CustomerDeleted, ProviderRejected
from billing_ui.sandbox.shop.model import Customer
from tests.unit.payments.paddle import PaddleAccount, paddle_driver, serving_paddle
from tests.unit.payments.requests import payer


@pytest.fixture
async def account() -> AsyncIterator[PaddleAccount]:
    """An account without anything."""
    async with serving_paddle() as serving:
        yield serving


@pytest.fixture
async def driver(account: PaddleAccount) -> AsyncIterator[PaddleDriver]:
    """A driver of that account."""
    opened = paddle_driver(account.url)
    yield opened
    await opened.close()


async def test_parallel_calls_of_two_processes_make_one_customer(
    account: PaddleAccount, driver: PaddleDriver
) -> None:
    who, other = payer(), paddle_driver(account.url)
    calls = (one.ensure_customer(who) for one in (driver, other) for _ in range(10))
    found = set(await asyncio.gather(*calls))
    [customer] = account.shop.find(Customer)
    assert found == {customer.id}
    assert customer.metadata == {"team_id": str(who.team_id), "generation": "1"}
    await other.close()


async def test_without_an_address_there_is_no_customer_and_a_sentence_why(
    account: PaddleAccount, driver: PaddleDriver
) -> None:
    nameless = payer().model_copy(update={"email": None})
    with pytest.raises(ProviderRejected, match="e-mail address"):
        await driver.ensure_customer(nameless)
    assert account.shop.find(Customer) == []


@pytest.mark.parametrize(
    ("metadata", "linked"), [({}, None), ({"team_id": "0" * 32}, "ctm_…"), ({"team_id": "x"}, None)]
)
async def test_a_customer_of_the_same_address_is_named_and_never_taken(
    metadata: dict[str, str], linked: str | None, account: PaddleAccount, driver: PaddleDriver
) -> None:
    who = payer()
    stranger = account.shop.create_customer(str(who.email), metadata=metadata)
    with pytest.raises(ProviderRejected) as caught:
        await driver.ensure_customer(who)
    # Another team's customer cannot be linked as well.
    command = f"billing-ui customers link --team {who.team_id} --customer {linked or stranger.id}"
    assert str(caught.value).endswith(command)
    assert f"({stranger.id})" in str(caught.value)
    assert str(who.email) not in str(caught.value)
    assert account.shop.get(Customer, stranger.id) == stranger


async def test_what_was_created_and_archived_is_named_as_deleted(
    account: PaddleAccount, driver: PaddleDriver
) -> None:
    who = payer()
    account.shop.delete_customer(await driver.ensure_customer(who))
    with pytest.raises(CustomerDeleted):
        await driver.ensure_customer(who)


async def test_the_team_before_this_generation_keeps_its_address(
    account: PaddleAccount, driver: PaddleDriver
) -> None:
    who = payer()
    former = await driver.ensure_customer(who)
    account.shop.delete_customer(former)
    with pytest.raises(ProviderRejected, match="former customer") as caught:
        await driver.ensure_customer(who.model_copy(update={"generation": 2}))
    assert f"customers link --team {who.team_id} --customer {former}" in str(caught.value)


async def test_an_archived_customer_counts_as_deleted_once_nothing_of_it_lives(
    account: PaddleAccount, driver: PaddleDriver
) -> None:
    bought = account.subscriber()
    with account.shop.together():
        archived = account.shop.get(Customer, bought.customer)
        account.shop.save(type(archived)(**{**vars(archived), "deleted_at": archived.created}))
    snapshot = await driver.fetch_snapshot(bought.customer)
    assert not snapshot.customer.deleted
    assert snapshot.subscriptions
    account.shop.end_now(bought.id)
    assert (await driver.fetch_snapshot(bought.customer)).customer.deleted
