"""Group commit: whoever wants something stored at the same time shares one transaction."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass
class _Gathering(Generic[Item, Result]):
    """Who waits in one event loop, and the task that serves them while there are any."""

    waiting: list[tuple[Item, asyncio.Future[Result]]] = field(default_factory=list)
    task: asyncio.Task[None] | None = None


class GroupCommit(Generic[Item, Result]):
    """Stores items in batches: while one batch is committed, the next one gathers.

    Nobody is made to wait for company: an item that comes alone is stored at once, alone.
    """

    def __init__(
        self,
        commit: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]],
        *,
        limit: int,
        separable: Callable[[Exception], bool],
    ) -> None:
        """Begin with nobody waiting.

        Args:
            commit: stores a batch, all of it or nothing; returns one result an item, in their order.
            limit: how many items a batch has at most.
            separable: whether a failure of `commit` may be one item's own, so that each is tried alone.
        """
        self._commit = commit
        self._limit = limit
        self._separable = separable
        # A future belongs to the event loop that waits for it.
        self._gatherings: WeakKeyDictionary[asyncio.AbstractEventLoop, _Gathering[Item, Result]] = (
            WeakKeyDictionary()
        )

    async def store(self, item: Item) -> Result:
        """Return what `commit` returns for `item`, once it is committed.

        Raises:
            Exception: what `commit` raised for the batch or, after a separable failure, for this item.
        """
        loop = asyncio.get_running_loop()
        gathering = self._gatherings.setdefault(loop, _Gathering())
        waiter: asyncio.Future[Result] = loop.create_future()
        gathering.waiting.append((item, waiter))
        if gathering.task is None:
            # In a context of its own: what this caller's log lines carry is not the others'.
            gathering.task = loop.create_task(self._serve(gathering), context=Context())
        return await waiter

    async def _serve(self, gathering: _Gathering[Item, Result]) -> None:
        waiting = gathering.waiting
        try:
            while waiting:
                # Whoever has come already, and is only not at this point yet, goes along.
                await asyncio.sleep(0)
                batch, waiting[: self._limit] = waiting[: self._limit], []
                await self._store(batch)
        finally:
            gathering.task = None
            # Only when this task itself is cancelled is anybody left.
            _cancel(waiting)
            waiting.clear()

    async def _store(self, batch: list[tuple[Item, asyncio.Future[Result]]]) -> None:
        # Whoever has gone was told nothing, and is not stored.
        batch = [(item, waiter) for item, waiter in batch if not waiter.done()]
        if not batch:
            return
        try:
            results = await self._commit([item for item, _ in batch])
        except Exception as error:  # noqa: BLE001 - it is handed to those who wait
            if len(batch) > 1 and self._separable(error):
                for alone in batch:
                    await self._store([alone])
                return
            for _, waiter in batch:
                if not waiter.done():
                    waiter.set_exception(error)
        except BaseException:
            _cancel(batch)
            raise
        else:
            for (_, waiter), result in zip(batch, results, strict=True):
                if not waiter.done():
                    waiter.set_result(result)


def _cancel(batch: Sequence[tuple[object, asyncio.Future[Result]]]) -> None:
    for _, waiter in batch:
        waiter.cancel()
