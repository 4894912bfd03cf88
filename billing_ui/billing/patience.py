"""Asking the provider for much in the background: at its pace, and with patience when it is in trouble."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta
from itertools import count
from typing import Final, TypeVar
from weakref import WeakValueDictionary

from billing_ui.billing.backoff import retry_delay
from billing_ui.billing.pace import LONGEST_HOLD_SECONDS, hold_back, keep_pace
from billing_ui.billing.services import Services
from billing_ui.payments.driver import Driver
from billing_ui.payments.types import ProviderUnavailable
from billing_ui.settings import Provider

_ATTEMPTS: Final = 8
"""So often something is asked for: for about a minute, unless the provider names a longer time."""
_FIRST_PAUSE: Final = timedelta(seconds=0.5)
_LONGEST_PAUSE: Final = timedelta(seconds=30)

T = TypeVar("T")

_turns: WeakValueDictionary[tuple[asyncio.AbstractEventLoop, Provider], asyncio.Lock] = (
    WeakValueDictionary()
)
"""Who asks a provider for much, one at a time; a lock belongs to its event loop, and lasts while somebody wants it."""


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
            await _keep_pace(services, driver.provider, calls, rate)
        try:
            return await call()
        except ProviderUnavailable as error:
            if attempt == _ATTEMPTS:
                raise
            asked: float | None = error.retry_after
            if asked is not None:
                asked = min(LONGEST_HOLD_SECONDS, asked)
                if rate is not None:
                    await hold_back(services.database, driver.provider, asked)
            pause = retry_delay(
                attempt,
                random.random(),  # noqa: S311 - it spreads retries and guards nothing
                retry_after=asked,
                first=_FIRST_PAUSE,
                longest=_LONGEST_PAUSE,
            )
        await asyncio.sleep(pause.total_seconds())
    raise AssertionError("unreachable")


async def _keep_pace(services: Services, provider: Provider, calls: int, rate: float) -> None:
    """Wait for calls that belong to much, all of which has one place in the queue for the provider.

    The worker has one as well. It takes turns with us, however many of us there are: what an event told is not
    kept waiting by what nobody waits for.
    """
    turn = _turns.setdefault((asyncio.get_running_loop(), provider), asyncio.Lock())
    async with turn:
        await keep_pace(services.database, provider, calls, rate)
