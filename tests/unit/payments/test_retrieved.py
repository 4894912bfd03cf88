"""What is fetched by its id: a few at the same time, and what does not exist is told apart."""

import asyncio

import pytest

from billing_ui.payments.client import first_failure
from billing_ui.payments.snapshot import retrieved
from billing_ui.payments.types import ProviderUnavailable


async def test_what_exists_is_returned_in_order_and_the_rest_by_its_id() -> None:
    known = {"a": 1, "b": 0, "c": 3}

    async def look(wanted: str) -> int | None:
        return known.get(wanted)

    assert await retrieved("cxbay", look) == ([3, 0, 1], ("x", "y"))


async def test_no_more_are_fetched_at_once_than_allowed() -> None:
    under_way, most = 0, 0

    async def look(wanted: str) -> str:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        return wanted

    found, gone = await retrieved(map(str, range(20)), look, at_once=3)
    assert (len(found), gone, most) == (20, (), 3)


async def test_one_failure_is_told_as_it_is() -> None:
    async def look(wanted: str) -> None:
        raise ProviderUnavailable(wanted)

    with pytest.raises(ProviderUnavailable, match="a"), first_failure():
        await retrieved("a", look)
