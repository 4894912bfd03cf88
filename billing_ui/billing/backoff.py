"""How long to wait before something that failed is tried again."""

from datetime import timedelta
from typing import Final

FIRST: Final = timedelta(seconds=5)
LONGEST: Final = timedelta(minutes=30)
LONGEST_ASKED_FOR: Final = timedelta(days=1)
"""So long a wait that a provider asks for is obeyed; more is taken for a mistake."""

_DOUBLINGS: Final = 20
"""After so many doublings any delay has passed the longest; more would only make huge numbers."""


def retry_delay(
    failures: int,
    chance: float,
    *,
    retry_after: float | None = None,
    first: timedelta = FIRST,
    longest: timedelta = LONGEST,
) -> timedelta:
    """Return how long to wait after a failure: twice as long after each, less up to a quarter by chance.

    Args:
        failures: how many in a row there were, 1 or more.
        chance: a random number from 0 to 1, so that what failed together is not tried together again.
        retry_after: seconds the provider asks to wait; the delay is no shorter.
        first: the delay after the first failure.
        longest: what the delays grow to.
    """
    doubled: timedelta = first * 2 ** min(failures - 1, _DOUBLINGS)
    delay = min(doubled, longest) * (1 - chance / 4)
    if retry_after is None:
        return delay
    # The smaller number first: not every number of seconds is a timedelta.
    asked = timedelta(seconds=min(LONGEST_ASKED_FOR.total_seconds(), retry_after))
    return max(delay, asked * (1 + chance / 10))
