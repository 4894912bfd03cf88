"""What the sandbox forgets with time, so that its file does not grow for ever."""

import asyncio
import contextlib
import time
from pathlib import Path

import pytest

from billing_ui.sandbox.core.faults import Faults
from billing_ui.sandbox.core.outbox import Delivery
from billing_ui.sandbox.core.store import Store
from billing_ui.sandbox.server import Clock
from billing_ui.sandbox.stripe.account import Account
from billing_ui.sandbox.stripe.imitation import imitate
from billing_ui.sandbox.stripe.pruning import AT_ONCE, prune

DAY = 24 * 3600
BEGIN = 1_800_000_000


class Hands:
    """The hands of every clock in this process."""

    def __init__(self) -> None:
        self.at = float(BEGIN)

    def __call__(self) -> float:
        """Return what time it is, in Unix seconds."""
        return self.at


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> Hands:
    """The time, which stands still but for a test that moves it."""
    hands = Hands()
    monkeypatch.setattr(time, "time", hands)
    return hands


@pytest.fixture
def account(tmp_path: Path, hands: Hands) -> Account:
    """An account in a file of its own, to which nothing has happened."""
    return Account(Store(tmp_path / "sandbox.db"), "http://127.0.0.1:1", "Acme")


def send(account: Account, *events: str) -> list[Delivery]:
    """Queue events for an endpoint."""
    for event in events:
        account.outbox.add(event, "customer.created", ["we_1"])
    return account.outbox.untouched()


def test_the_answer_to_a_key_is_kept_for_a_day_and_then_forgotten(
    account: Account, hands: Hands
) -> None:
    account.store.remember("key", "fingerprint", 200, "{}", BEGIN)
    hands.at += DAY
    prune(account)
    assert account.store.remembered("key", 0) == ("fingerprint", 200, "{}")
    hands.at += 1
    prune(account)
    assert account.store.remembered("key", 0) is None


def test_what_became_of_a_delivery_is_forgotten_when_its_event_is_listed_no_more(
    account: Account, hands: Hands
) -> None:
    taken, refused = send(account, "evt_taken", "evt_refused")
    account.outbox.delivered(taken)
    account.outbox.give_up(refused)
    hands.at += 30 * DAY
    prune(account)
    assert account.outbox.counts() == {"pending": 0, "delivered": 1, "failed": 1}
    hands.at += 1
    prune(account)
    assert account.outbox.counts() == {"pending": 0, "delivered": 0, "failed": 0}


def test_what_still_waits_is_never_forgotten(account: Account, hands: Hands) -> None:
    [waiting] = send(account, "evt_1")
    hands.at += 365 * DAY
    prune(account)
    assert account.outbox.due(hands.at, 10) == [waiting]


async def test_the_clock_forgets_everything_that_is_old_when_it_ticks(
    account: Account, hands: Hands
) -> None:
    number = 2 * AT_ONCE + 1
    with account.store.transaction():
        for index in range(number):
            account.store.remember(f"key_{index}", "", 200, "{}", BEGIN)
    hands.at += 2 * DAY
    account.store.remember("young", "", 200, "{}", int(hands.at))
    ticking = asyncio.create_task(
        Clock(imitate(account.store, Faults(), account.origin, account.name)).run()
    )
    async with asyncio.timeout(30):
        while any(  # noqa: ASYNC110 - nothing rings when the clock is done
            account.store.remembered(f"key_{index}", 0) for index in range(number)
        ):
            await asyncio.sleep(0)
    assert account.store.remembered("young", 0)
    ticking.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await ticking
