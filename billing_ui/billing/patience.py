"""Asking the provider for much in the background: at its pace, and with patience when it is in trouble."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta
from itertools import count
from typing import Final, TypeVar

from billing_ui.billing.backoff import retry_delay
from billing_ui.billing.pace import hold_back, keep_pace
from billing_ui.billing.services import Services
from billing_ui.payments.driver import Driver
from billing_ui.payments.types import ProviderUnavailable

_ATTEMPTS: Final = 8
"""So often something is asked for: for about a minute, unless the provider names a longer time."""
_FIRST_PAUSE: Final = timedelta(seconds=0.5)
_LONGEST_PAUSE: Final = timedelta(seconds=30)

T = TypeVar("T")


async def ask(
    services: Services, driver: Driver, call: Callable[[], Awaitable[T]], *, calls: int = 1
) -> T:
    """Return what `call` gets from the provider, trying again while it cannot be reached.

    Args:
        calls: how many calls of the provider's API it makes.

    Raises:
        ProviderUnavailable: it cannot be reached for about a minute.
        PaymentError: it refuses.
    """
    rate = driver.capabilities.background_calls_per_second
    for attempt in count(1):
        if rate is not None:
            await keep_pace(services.database, driver.provider, calls, rate)
        try:
            return await call()
        except ProviderUnavailable as error:
            if attempt == _ATTEMPTS:
                raise
            if rate is not None and error.retry_after is not None:
                await hold_back(services.database, driver.provider, error.retry_after)
            pause = retry_delay(
                attempt,
                random.random(),  # noqa: S311 - it spreads retries and guards nothing
                retry_after=error.retry_after,
                first=_FIRST_PAUSE,
                longest=_LONGEST_PAUSE,
            )
        await asyncio.sleep(pause.total_seconds())
    raise AssertionError("unreachable")
