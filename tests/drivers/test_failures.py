"""A provider that is slow, failing, unreachable or refusing: named errors, with nothing secret in them."""

import importlib
import logging
import traceback
from collections.abc import Awaitable, Callable

import pytest

from billing_ui.payments import client as payments_client
from billing_ui.payments.driver import Driver
from billing_ui.payments.inspection import Expected, Level
from billing_ui.payments.types import PaymentError, ProviderRejected, ProviderUnavailable
from tests.conftest import free_port
from tests.drivers.world import World, open_driver, payer

Ask = Callable[[Driver, str], Awaitable[object]]
CALLS: dict[str, Ask] = {
    "create": lambda driver, customer: driver.ensure_customer(payer()),
    "snapshot": lambda driver, customer: driver.fetch_snapshot(customer),
    "catalogue": lambda driver, customer: driver.fetch_catalog(),
}


@pytest.fixture
async def customer(driver: Driver) -> str:
    """Somebody whom the provider knows."""
    return await driver.ensure_customer(payer())


async def failure(ask: Ask, driver: Driver, customer: str) -> PaymentError:
    """Return what a call fails with."""
    with pytest.raises(PaymentError) as caught:
        await ask(driver, customer)
    return caught.value


@pytest.mark.parametrize("call", CALLS)
async def test_too_many_requests_says_how_long_to_wait(
    call: str, driver: Driver, customer: str, world: World
) -> None:
    with world.control.failing("rate_limit", retry_after=20):
        error = await failure(CALLS[call], driver, customer)
    assert isinstance(error, ProviderUnavailable)
    assert error.retry_after == 20
    assert "20 seconds" in str(error)


@pytest.mark.parametrize("status", [500, 502, 503])
@pytest.mark.parametrize("call", CALLS)
async def test_a_failing_provider_is_unavailable(
    call: str, status: int, driver: Driver, customer: str, world: World
) -> None:
    with world.control.failing("error", status=status):
        error = await failure(CALLS[call], driver, customer)
    assert isinstance(error, ProviderUnavailable)
    assert driver.display_name in str(error)


@pytest.mark.parametrize("call", CALLS)
async def test_a_dropped_connection_is_unavailable(
    call: str, driver: Driver, customer: str, world: World
) -> None:
    with world.control.failing("drop"):
        error = await failure(CALLS[call], driver, customer)
    assert isinstance(error, ProviderUnavailable)
    assert str(error).startswith(f"{driver.display_name} can't be reached right now.")


@pytest.mark.parametrize("kind", ["drop", "error"])
@pytest.mark.parametrize("call", CALLS)
async def test_one_failure_is_not_noticed(
    call: str, kind: str, driver: Driver, customer: str, world: World
) -> None:
    with world.control.failing(kind, times=1):
        assert await CALLS[call](driver, customer)


@pytest.mark.parametrize(("kind", "most"), [("error", 3), ("drop", 3), ("rate_limit", 1)])
async def test_a_call_is_not_repeated_for_ever_nor_when_asked_to_wait(
    kind: str, most: int, driver: Driver, world: World
) -> None:
    many = 9
    wait = 20 if kind == "rate_limit" else None
    with world.control.failing(kind, times=many, method="POST", retry_after=wait):
        with pytest.raises(ProviderUnavailable):
            await driver.ensure_customer(payer())
        [left] = world.control.faults()
    assert 1 <= many - left["times"] <= most


async def test_a_provider_that_is_not_there_is_unavailable(world: World) -> None:
    alone = open_driver(world, base=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(ProviderUnavailable, match="can't be reached"):
        await alone.fetch_catalog()
    await alone.close()


async def test_a_provider_that_does_not_answer_in_time_is_unavailable(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (payments_client.CONNECT_SECONDS, payments_client.ANSWER_SECONDS) == (3.0, 10.0)
    client = importlib.import_module(f"billing_ui.payments.{world.provider}.client")
    monkeypatch.setattr(client, "ANSWER_SECONDS", 0.2)
    hurried = open_driver(world)
    with (
        world.control.failing("latency", seconds=2),
        pytest.raises(ProviderUnavailable, match="didn't answer in time"),
    ):
        await hurried.fetch_catalog()
    await hurried.close()


async def test_a_call_that_is_late_is_not_made_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = importlib.import_module(f"billing_ui.payments.{world.provider}.client")
    monkeypatch.setattr(client, "ANSWER_SECONDS", 0.2)
    hurried, many = open_driver(world), 9
    with world.control.failing("latency", seconds=2, times=many, method="POST"):
        with pytest.raises(ProviderUnavailable, match="didn't answer in time"):
            await hurried.ensure_customer(payer())
        [left] = world.control.faults()
    await hurried.close()
    assert many - left["times"] == 1


async def test_a_wrong_key_is_refused_and_the_setting_named(world: World) -> None:
    driver = open_driver(world, key=world.wrong_key)
    with pytest.raises(ProviderRejected, match=world.key_setting):
        await driver.fetch_catalog()
    await driver.close()


async def test_an_inspection_finds_what_is_wrong_and_raises_nothing(
    driver: Driver, world: World
) -> None:
    expected = Expected(webhook_url="https://app.example.com/hook", secure=True)
    found = await driver.inspect(expected)
    assert [one for one in found if one.level is Level.OK]
    assert all(one.mend for one in found if one.level is not Level.OK)
    for changed in ({"key": world.wrong_key}, {"base": f"http://127.0.0.1:{free_port()}"}):
        lost = open_driver(world, **changed)
        assert Level.PROBLEM in {one.level for one in await lost.inspect(expected)}
        await lost.close()


@pytest.mark.parametrize("kind", ["rate_limit", "error", "drop"])
async def test_no_failure_shows_a_secret(
    kind: str, driver: Driver, customer: str, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with world.control.failing(kind):
        error = await failure(CALLS["create"], driver, customer)
    shown = "".join(traceback.format_exception(error)) + repr(driver) + caplog.text
    assert world.key not in shown
    assert world.secret not in shown
