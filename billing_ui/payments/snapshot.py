"""How drivers fetch for a snapshot what a list did not bring: by id, a few at the same time."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, TypeVar

INVOICES: Final = 24
"""How many of the newest invoices a snapshot holds."""

_AT_ONCE: Final = 8

T = TypeVar("T")


async def retrieved(
    ids: Iterable[str], retrieve: Callable[[str], Awaitable[T | None]], at_once: int = _AT_ONCE
) -> tuple[list[T], tuple[str, ...]]:
    """Return what was found by its id, and the ids of what does not exist.

    Args:
        retrieve: returns None when nothing has the id.
        at_once: how many are retrieved at the same time.

    Raises:
        ExceptionGroup: one of the calls failed.
    """
    slots = asyncio.Semaphore(at_once)

    async def one(wanted: str) -> T | None:
        async with slots:
            return await retrieve(wanted)

    async with asyncio.TaskGroup() as group:
        calls = {wanted: group.create_task(one(wanted)) for wanted in ids}
    answers = {wanted: call.result() for wanted, call in calls.items()}
    return (
        [found for found in answers.values() if found is not None],
        tuple(wanted for wanted, found in answers.items() if found is None),
    )
