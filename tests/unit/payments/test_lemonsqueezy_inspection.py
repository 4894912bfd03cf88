"""What the doctor finds at Lemon Squeezy."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from billing_ui.payments.inspection import Expected, Finding, Level
from billing_ui.payments.lemonsqueezy.webhooks import NEEDED_EVENTS
from tests.conftest import free_port
from tests.unit.payments.lemon import LEMON_KEY, Lemon, document, lemon_driver, one, serving_lemon
from tests.unit.payments.scripted import ScriptedServer, json_answer

URL = "https://billing.example.com/api/webhooks/lemonsqueezy"
WELL = Expected(webhook_url=URL, secure=False)


@pytest.fixture
async def lemon() -> AsyncIterator[Lemon]:
    """A running Lemon Squeezy where everything is as it must be."""
    async with serving_lemon() as served:
        served.plan()
        served.shop.register_endpoint(URL, "secret", NEEDED_EVENTS)
        yield served


async def found(lemon: Lemon, expected: Expected = WELL, **fields: Any) -> dict[str, Finding]:
    """Return what a driver finds, by what was looked at."""
    driver = lemon_driver(lemon.url, **fields)
    findings = await driver.inspect(expected)
    await driver.close()
    return {finding.check: finding for finding in findings}


async def test_nothing_is_wrong_where_nothing_is(lemon: Lemon) -> None:
    findings = await found(lemon)
    assert {finding.level for finding in findings.values()} == {Level.OK}
    assert set(findings) == {"mode", "store", "catalog", "webhook secret", "webhook"}


async def test_a_refused_key_is_told_and_nothing_else(scripted: ScriptedServer) -> None:
    scripted.answers = [json_answer({"errors": [{"detail": "Unauthenticated."}]}, 401)]
    driver = lemon_driver(scripted.url)
    [finding] = await driver.inspect(WELL)
    await driver.close()
    assert (finding.check, finding.level) == ("key", Level.PROBLEM)
    assert "LEMONSQUEEZY_API_KEY" in finding.mend
    assert LEMON_KEY not in str(finding)


async def test_nobody_there_is_told() -> None:
    driver = lemon_driver(f"http://127.0.0.1:{free_port()}")
    [finding] = await driver.inspect(WELL)
    await driver.close()
    assert (finding.check, finding.level) == ("provider", Level.PROBLEM)


async def test_a_store_that_is_not_there_is_told(lemon: Lemon) -> None:
    finding = (await found(lemon, store_id="2"))["store"]
    assert finding.level is Level.PROBLEM
    assert "LEMONSQUEEZY_STORE_ID" in finding.mend


async def test_nothing_to_sell_is_told() -> None:
    async with serving_lemon() as empty:
        assert (await found(empty))["catalog"].level is Level.WARNING


@pytest.mark.parametrize(
    ("test_mode", "secure", "level"),
    [
        (True, False, Level.OK),
        (False, True, Level.OK),
        (True, True, Level.WARNING),
        (False, False, Level.PROBLEM),
        (None, True, Level.WARNING),
    ],
)
async def test_the_mode_of_the_key_must_fit_the_site(
    test_mode: bool | None, secure: bool, level: Level, scripted: ScriptedServer
) -> None:
    meta = {} if test_mode is None else {"test_mode": test_mode}
    scripted.answers = [
        json_answer({**one(document("users", "1", name="Ada")), "meta": meta}),
        json_answer({"errors": []}, 404),
    ]
    driver = lemon_driver(scripted.url)
    first, *_ = await driver.inspect(Expected(webhook_url=URL, secure=secure))
    await driver.close()
    assert (first.check, first.level) == ("mode", level)


@pytest.mark.parametrize("secrets", [(), ("short",), ("x" * 41,)])
async def test_a_secret_that_cannot_be_one_is_told(secrets: tuple[str, ...], lemon: Lemon) -> None:
    finding = (await found(lemon, webhook_secrets=secrets))["webhook secret"]
    assert finding.level is Level.PROBLEM
    assert "LEMONSQUEEZY_WEBHOOK_SECRET" in finding.what


async def test_a_webhook_that_is_not_there_is_told(lemon: Lemon) -> None:
    expected = Expected(webhook_url=f"{URL}/elsewhere", secure=False)
    finding = (await found(lemon, expected))["webhook"]
    assert finding.level is Level.PROBLEM
    assert "subscription_updated" in finding.mend


async def test_events_that_are_not_sent_are_told(lemon: Lemon) -> None:
    lemon.shop.register_endpoint(URL, "secret", NEEDED_EVENTS[1:])
    finding = (await found(lemon))["webhook events"]
    assert finding.level is Level.PROBLEM
    assert NEEDED_EVENTS[0] in finding.what


async def test_events_cannot_be_asked_for(lemon: Lemon) -> None:
    findings = await found(lemon, Expected(webhook_url=None, secure=False))
    assert findings["events"].level is Level.PROBLEM
    assert "EVENTS_MODE=webhook" in findings["events"].mend
