"""Group commit: who comes at the same time shares a batch, and nobody pays for anybody else."""

import asyncio
from collections.abc import Sequence
from contextvars import ContextVar

import pytest

from billing_ui.billing.group_commit import GroupCommit

NAME: ContextVar[str] = ContextVar("name", default="nobody")


class Refused(Exception):
    """The store does not take an item."""


class Broken(Exception):
    """The store does not answer."""


class Store:
    """Keeps what it is given, in batches that a test can hold; answers with the item's place."""

    def __init__(self, *, refuses: Sequence[int] = ()) -> None:
        self.batches: list[list[int]] = []
        self.kept: list[int] = []
        self.refuses = refuses
        self.failures: list[Exception] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.busy = asyncio.Event()

    async def commit(self, items: Sequence[int]) -> Sequence[str]:
        """Keep all of a batch, or nothing of it."""
        self.batches.append(list(items))
        self.busy.set()
        await self.gate.wait()
        if self.failures:
            raise self.failures.pop(0)
        if any(item in self.refuses for item in items):
            raise Refused
        self.kept.extend(items)
        return [f"kept {item}" for item in items]


def group(store: Store, limit: int = 10) -> GroupCommit[int, str]:
    """Return a group commit over `store`, where only a refusal may be one item's own."""
    return GroupCommit(
        store.commit, limit=limit, separable=lambda error: isinstance(error, Refused)
    )


async def test_one_that_comes_alone_is_stored_alone() -> None:
    store = Store()
    assert await group(store).store(1) == "kept 1"
    assert store.batches == [[1]]


async def test_those_that_come_together_share_a_batch_and_each_has_its_own_answer() -> None:
    store = Store()
    together = group(store)
    answers = await asyncio.gather(*(together.store(item) for item in range(5)))
    assert answers == [f"kept {item}" for item in range(5)]
    assert store.batches == [[0, 1, 2, 3, 4]]


async def test_while_a_batch_is_committed_the_next_one_gathers() -> None:
    store = Store()
    together = group(store)
    store.gate.clear()
    first = asyncio.create_task(together.store(1))
    await store.busy.wait()
    others = [asyncio.create_task(together.store(item)) for item in (2, 3, 4)]
    await asyncio.sleep(0)
    assert store.batches == [[1]]
    store.gate.set()
    await asyncio.gather(first, *others)
    assert store.batches == [[1], [2, 3, 4]]


async def test_a_batch_has_a_limit() -> None:
    store = Store()
    together = group(store, limit=2)
    await asyncio.gather(*(together.store(item) for item in range(5)))
    assert store.batches == [[0, 1], [2, 3], [4]]


async def test_what_is_refused_fails_alone() -> None:
    store = Store(refuses=[1])
    together = group(store)
    answers = await asyncio.gather(
        *(together.store(item) for item in range(3)), return_exceptions=True
    )
    assert answers[0] == "kept 0"
    assert isinstance(answers[1], Refused)
    assert answers[2] == "kept 2"
    assert store.kept == [0, 2]


async def test_a_store_that_is_broken_is_not_tried_once_for_each() -> None:
    store = Store()
    store.failures = [Broken()]
    together = group(store)
    answers = await asyncio.gather(
        *(together.store(item) for item in range(3)), return_exceptions=True
    )
    assert [type(answer) for answer in answers] == [Broken] * 3
    assert store.batches == [[0, 1, 2]]


async def test_a_failure_reaches_exactly_those_of_its_batch() -> None:
    store = Store()
    together = group(store)
    store.failures = [Broken()]
    store.gate.clear()
    first = asyncio.create_task(together.store(1))
    await store.busy.wait()
    second = asyncio.create_task(together.store(2))
    await asyncio.sleep(0)
    store.gate.set()
    with pytest.raises(Broken):
        await first
    assert await second == "kept 2"


async def test_after_a_failure_the_next_one_is_stored() -> None:
    store = Store()
    together = group(store)
    store.failures = [Broken()]
    with pytest.raises(Broken):
        await together.store(1)
    assert await together.store(2) == "kept 2"


async def test_one_that_goes_before_its_batch_begins_is_left_out() -> None:
    store = Store()
    together = group(store)
    store.gate.clear()
    first = asyncio.create_task(together.store(1))
    await store.busy.wait()
    gone = asyncio.create_task(together.store(2))
    stays = asyncio.create_task(together.store(3))
    await asyncio.sleep(0)
    gone.cancel()
    store.gate.set()
    assert await first == "kept 1"
    assert await stays == "kept 3"
    assert store.kept == [1, 3]


async def test_one_that_goes_during_the_commit_harms_nobody() -> None:
    store = Store()
    together = group(store)
    store.gate.clear()
    gone, stays = (asyncio.create_task(together.store(item)) for item in (1, 2))
    await store.busy.wait()
    gone.cancel()
    store.gate.set()
    assert await stays == "kept 2"
    with pytest.raises(asyncio.CancelledError):
        await gone
    assert await together.store(3) == "kept 3"


async def test_when_everybody_has_gone_nothing_is_stored() -> None:
    store = Store()
    together = group(store)
    task = asyncio.create_task(together.store(1))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await together.store(2) == "kept 2"
    assert store.batches == [[2]]


async def test_a_batch_runs_in_nobodys_context() -> None:
    seen: list[str] = []

    async def commit(items: Sequence[int]) -> Sequence[str]:
        seen.append(NAME.get())
        return ["kept"] * len(items)

    together = GroupCommit(commit, limit=10, separable=lambda _: False)
    NAME.set("somebody")
    await together.store(1)
    assert seen == ["nobody"]


def test_it_serves_one_event_loop_after_another() -> None:
    store = Store()
    together = group(store)
    assert asyncio.run(together.store(1)) == "kept 1"
    assert asyncio.run(together.store(2)) == "kept 2"


def test_a_loop_that_ends_in_the_middle_of_a_commit_leaves_nobody_waiting() -> None:
    together: GroupCommit[int, str] | None = None

    async def begin() -> list[object]:
        nonlocal together
        store = Store()
        store.gate.clear()
        together = group(store)
        waiting = [asyncio.create_task(together.store(item)) for item in (1, 2)]
        await store.busy.wait()
        late = asyncio.create_task(together.store(3))
        await asyncio.sleep(0)
        tasks = asyncio.all_tasks() - {asyncio.current_task(), late, *waiting}
        for task in tasks:
            task.cancel()
        return list(await asyncio.gather(*waiting, late, return_exceptions=True))

    answers = asyncio.run(begin())
    assert [type(answer) for answer in answers] == [asyncio.CancelledError] * 3
