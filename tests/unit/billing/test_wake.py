"""The bell that wakes whoever waits for work."""

import asyncio

from billing_ui.billing.wake import Wake


async def test_all_who_wait_are_woken_in_the_order_they_came() -> None:
    bell, woken = Wake(), []

    async def wait(number: int) -> None:
        await bell.wait(3600)
        woken.append(number)

    waiting = [asyncio.create_task(wait(number)) for number in range(50)]
    await asyncio.sleep(0)
    bell.ring()
    await asyncio.gather(*waiting)
    assert woken == list(range(50))


async def test_who_saw_an_older_count_does_not_wait() -> None:
    bell = Wake()
    seen = bell.rings
    bell.ring()
    await bell.wait(3600, since=seen)
    assert bell.rings == seen + 1


async def test_whose_patience_ends_goes_on_and_is_not_woken_again() -> None:
    bell = Wake()
    await bell.wait(0)
    bell.ring()
