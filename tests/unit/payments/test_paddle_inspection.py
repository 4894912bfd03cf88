"""What is wrong at Paddle is found, with how to mend it, and nothing is changed by looking."""

from collections.abc import AsyncIterator

import pytest

from billing_ui.payments.inspection import Expected, Finding, Level
from billing_ui.payments.paddle import PaddleDriver, inspection, webhooks
from billing_ui.sandbox.shop.model import Event
from tests.unit.payments.paddle import (
    PADDLE_SECRETS,
    PaddleAccount,
    paddle_driver,
    serving_paddle,
)
from tests.unit.payments.scripted import ScriptedServer, json_answer

URL = "https://app.example.com/api/webhooks/paddle"
EXPECTED = Expected(webhook_url=URL, secure=False)


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


def levels(found: tuple[Finding, ...]) -> dict[str, Level]:
    """Return how bad each thing is that was looked at."""
    return {one.check: one.level for one in found}


async def test_an_account_as_it_must_be_has_nothing_wrong(
    account: PaddleAccount, driver: PaddleDriver
) -> None:
    account.plan()
    account.shop.register_endpoint(URL, PADDLE_SECRETS[1], tuple(webhooks.NEEDED_EVENTS))
    events = account.shop.count(Event)
    found = await driver.inspect(EXPECTED)
    assert set(levels(found).values()) == {Level.OK}, found
    assert account.shop.count(Event) == events


async def test_an_account_that_sells_nothing_and_tells_nobody_is_found_out(
    driver: PaddleDriver,
) -> None:
    found = levels(await driver.inspect(EXPECTED))
    assert found["catalogue"] is Level.WARNING
    assert found["webhook destination"] is Level.PROBLEM


async def test_a_destination_that_lacks_events_or_has_another_secret_is_named(
    account: PaddleAccount, driver: PaddleDriver
) -> None:
    account.shop.register_endpoint(URL, "pdl_ntfset_other", ("customer.updated",))
    found = await driver.inspect(EXPECTED)
    assert levels(found)["webhook events"] is Level.PROBLEM
    assert levels(found)["webhook secret"] is Level.PROBLEM
    assert "subscription.canceled" in next(
        one.what for one in found if one.check == "webhook events"
    )
    assert "pdl_ntfset_other" not in str(found)


async def test_a_destination_that_is_switched_off_is_named(
    account: PaddleAccount, driver: PaddleDriver
) -> None:
    made = account.shop.register_endpoint(URL, PADDLE_SECRETS[0])
    account.shop.disable_endpoint(made.id)
    found = await driver.inspect(EXPECTED)
    assert "is not active" in next(one.what for one in found if one.check == "webhook destination")


async def test_who_asks_for_events_needs_no_destination(driver: PaddleDriver) -> None:
    found = levels(await driver.inspect(Expected(webhook_url=None, secure=False)))
    assert not [check for check in found if check.startswith("webhook")]


async def test_a_wrong_key_is_all_that_is_told(account: PaddleAccount) -> None:
    driver = paddle_driver(account.url, key="pdl_live_apikey_wrong")
    [found] = await driver.inspect(EXPECTED)
    assert (found.check, found.level) == ("key", Level.PROBLEM)
    await driver.close()


async def test_a_key_that_may_nothing_is_told_what_it_lacks(scripted: ScriptedServer) -> None:
    error = {"type": "request_error", "code": "forbidden", "detail": "No.", "documentation_url": ""}
    scripted.answers = [json_answer({"error": error, "meta": {}}, 403)]
    driver = paddle_driver(scripted.url)
    found = await driver.inspect(EXPECTED)
    [permissions] = [one for one in found if one.check == "permissions"]
    assert "customer.read, subscription.read" in permissions.what
    assert levels(found)["payment link"] is Level.WARNING
    assert levels(found)["webhook destination"] is Level.WARNING
    await driver.close()


@pytest.mark.parametrize(
    ("key", "secure", "level"),
    [
        ("pdl_live_apikey_x", True, Level.OK),
        ("pdl_live_apikey_x", False, Level.PROBLEM),
        ("pdl_sdbx_apikey_x", True, Level.WARNING),
        ("pdl_sdbx_apikey_x", False, Level.OK),
        ("0123456789", True, Level.WARNING),
    ],
)
def test_the_key_must_fit_how_people_reach_the_dashboard(
    key: str, secure: bool, level: Level
) -> None:
    assert inspection._mode(key, secure=secure).level is level
