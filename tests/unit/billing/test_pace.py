"""The pace towards a provider: one for all processes, pushed out when the provider asks for it."""

import asyncio

import pytest
from sqlmodel import select

from billing_ui.billing import pace, patience
from billing_ui.billing.pace import LONGEST_HOLD_SECONDS, hold_back, keep_pace
from billing_ui.billing.patience import ask
from billing_ui.billing.services import Services
from billing_ui.billing.worker import drain
from billing_ui.models import ProviderPace
from billing_ui.payments.stripe.driver import StripeDriver
from billing_ui.payments.types import ProviderUnavailable
from billing_ui.settings import Provider
from tests.unit.billing.factories import new_account, snapshot
from tests.unit.billing.fake_driver import FakeDriver

SECOND = 1_000_000


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Collect how long each is made to wait, instead of waiting."""
    seconds: list[float] = []

    class Clock:
        @staticmethod
        async def sleep(delay: float) -> None:
            seconds.append(delay)
            await asyncio.sleep(0)

    monkeypatch.setattr(pace, "asyncio", Clock)
    return seconds


async def test_calls_of_all_processes_follow_each_other_at_the_rate(
    services: Services, other_process: Services, waits: list[float]
) -> None:
    for process in (services, other_process, services, other_process):
        # A rate so low that the time the test takes does not count.
        await keep_pace(process.database, Provider.STRIPE, 6, 0.001)
    assert waits[0] == 0
    assert waits[1:] == pytest.approx([6_000, 12_000, 18_000], rel=0.01)


async def test_parallel_calls_share_the_pace(services: Services, waits: list[float]) -> None:
    await asyncio.gather(
        *(keep_pace(services.database, Provider.STRIPE, 1, 0.001) for _ in range(8))
    )
    assert sorted(waits) == pytest.approx([1_000 * place for place in range(8)], rel=0.01)


async def test_time_that_nobody_used_is_not_saved_up(
    services: Services, waits: list[float]
) -> None:
    async with services.database.write() as session:
        session.add(ProviderPace(provider="stripe", next_call_at=0))
    await keep_pace(services.database, Provider.STRIPE, 1, 0.001)
    await keep_pace(services.database, Provider.STRIPE, 1, 0.001)
    assert waits == pytest.approx([0, 1_000], rel=0.01)


async def test_a_provider_that_asks_to_wait_is_left_alone_by_all(
    services: Services, other_process: Services, waits: list[float]
) -> None:
    await hold_back(services.database, Provider.STRIPE, 250)
    await hold_back(services.database, Provider.STRIPE, 10)
    await keep_pace(other_process.database, Provider.STRIPE, 1, 20)
    assert waits == pytest.approx([250], rel=0.01)


@pytest.mark.parametrize("seconds", [99_999_999, 1e300, float("inf"), float("nan")])
async def test_a_provider_that_asks_for_an_absurd_wait_is_left_alone_for_minutes(
    services: Services, waits: list[float], seconds: float
) -> None:
    await hold_back(services.database, Provider.STRIPE, seconds)
    await keep_pace(services.database, Provider.STRIPE, 1, 20)
    assert waits == pytest.approx([LONGEST_HOLD_SECONDS], rel=0.01)


async def test_who_asks_in_the_background_obeys_an_absurd_wait_for_minutes_only(
    services: Services, driver: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    class Clock:
        @staticmethod
        async def sleep(delay: float) -> None:
            pauses.append(delay)

    answers = iter([ProviderUnavailable(retry_after=99_999_999), None])

    async def call() -> str:
        if (failure := next(answers)) is not None:
            raise failure
        return "an answer"

    monkeypatch.setattr(patience, "asyncio", Clock)
    assert await ask(services, driver, call) == "an answer"
    [pause] = pauses
    assert LONGEST_HOLD_SECONDS <= pause <= LONGEST_HOLD_SECONDS * 1.1


async def test_the_worker_has_every_second_place_however_many_ask_for_much(
    services: Services, driver: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver.capabilities = driver.capabilities.model_copy(
        update={"background_calls_per_second": 0.001}
    )
    places: asyncio.Queue[tuple[str, float, asyncio.Event]] = asyncio.Queue()

    class Clock:
        @staticmethod
        async def sleep(delay: float) -> None:
            over, task = asyncio.Event(), asyncio.current_task()
            assert task
            places.put_nowait((task.get_name(), delay, over))
            await over.wait()

    async def call() -> None:
        pass

    async def work() -> None:
        for _ in range(4):
            await keep_pace(services.database, Provider.STRIPE, 1, 0.001)

    monkeypatch.setattr(pace, "asyncio", Clock)
    waited: list[float] = []
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        for _ in range(8):
            group.create_task(ask(services, driver, call), name="one of many")
        _, _, before = await places.get()
        group.create_task(work(), name="worker")
        for _ in range(11):
            if len(waited) == 4:
                before.set()
            # While both want one, the next place is taken before the time of this one has come.
            name, delay, over = await places.get()
            if name == "worker":
                waited.append(delay)
            before.set()
            before = over
        before.set()
    assert waited == pytest.approx([1_000, 3_000, 5_000, 7_000], rel=0.01)


async def test_the_time_that_a_provider_asks_a_sync_for_is_given_by_all(
    services: Services, other_process: Services, driver: FakeDriver, waits: list[float]
) -> None:
    driver.capabilities = driver.capabilities.model_copy(
        update={"background_calls_per_second": 20.0}
    )
    driver.has(snapshot(customer="cus_1"))
    await new_account(services, customer="cus_1")
    driver.fail("fetch_snapshot", ProviderUnavailable(retry_after=200))
    await drain(services)
    await keep_pace(other_process.database, Provider.STRIPE, 1, 20)
    assert waits[-1] == pytest.approx(200, rel=0.05)


async def test_syncs_that_keep_the_pace_run_at_the_same_time(
    services: Services, driver: FakeDriver, waits: list[float]
) -> None:
    driver.capabilities = driver.capabilities.model_copy(
        update={"background_calls_per_second": 0.001}
    )
    for name in ("cus_1", "cus_2", "cus_3"):
        driver.has(snapshot(customer=name))
        await new_account(services, customer=name)
    holds = [driver.hold("fetch_snapshot") for _ in range(3)]
    draining = asyncio.create_task(drain(services))
    async with asyncio.timeout(30):
        for hold in holds:
            await hold.reached.wait()
    for hold in holds:
        hold.release()
    assert await draining == 3
    assert len(waits) == 3


async def test_only_the_worker_keeps_the_pace(
    services: Services, driver: FakeDriver, waits: list[float]
) -> None:
    driver.capabilities = driver.capabilities.model_copy(
        update={"snapshot_calls": 6, "background_calls_per_second": 0.001}
    )
    for name in ("cus_1", "cus_2"):
        driver.has(snapshot(customer=name))
        await new_account(services, customer=name)
    assert await drain(services) == 2
    assert waits == pytest.approx([0, 6_000], rel=0.01)


async def test_without_a_rate_nothing_is_remembered(services: Services, driver: FakeDriver) -> None:
    driver.has(snapshot())
    await new_account(services, customer="cus_1")
    await drain(services)
    async with services.database.read() as session:
        assert (await session.exec(select(ProviderPace))).all() == []


@pytest.mark.parametrize(
    ("key", "base", "rate"),
    [
        ("sk_test_1", "https://api.stripe.com", 20),
        ("rk_test_1", "https://stripe.example.com", 20),
        ("sk_live_1", "https://api.stripe.com", 80),
        ("rk_live_1", "https://api.stripe.com", 80),
        ("sk_test_1", "http://127.0.0.1:8420", None),
        ("sk_live_1", "http://localhost:12111", None),
        ("sk_test_1", "http://[::1]:12111", None),
    ],
)
def test_the_rate_follows_from_key_and_address(key: str, base: str, rate: float | None) -> None:
    capabilities = StripeDriver(key, api_base=base).capabilities
    assert capabilities.background_calls_per_second == rate
    assert capabilities.snapshot_calls == 6
