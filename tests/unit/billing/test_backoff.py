"""Delays grow, are spread, and obey the provider."""

from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_ui.billing.backoff import FIRST, LONGEST, LONGEST_ASKED_FOR, retry_delay


def test_the_delays_double_up_to_half_an_hour() -> None:
    delays = [retry_delay(failures, 0) for failures in range(1, 12)]
    assert delays[0] == FIRST == timedelta(seconds=5)
    assert delays[-1] == LONGEST == timedelta(minutes=30)
    assert all(later == min(2 * earlier, LONGEST) for earlier, later in pairwise(delays))


@given(failures=st.integers(1, 10**9), chance=st.floats(0, 1))
def test_chance_takes_a_quarter_at_most(failures: int, chance: float) -> None:
    longest = retry_delay(failures, 0)
    assert longest * 0.75 <= retry_delay(failures, chance) <= longest <= LONGEST


@pytest.mark.parametrize("chance", [0, 0.5, 1])
def test_a_provider_that_asks_for_time_is_given_it(chance: float) -> None:
    delay = retry_delay(1, chance, retry_after=120)
    assert timedelta(seconds=120) <= delay <= timedelta(seconds=132)
    # It never shortens the delay.
    assert retry_delay(20, chance, retry_after=1) == retry_delay(20, chance)


def test_an_absurd_wait_is_not_obeyed() -> None:
    assert retry_delay(1, 0, retry_after=10**9) == LONGEST_ASKED_FOR
    for absurd in (1e300, float("inf"), float("nan")):
        assert retry_delay(1, 0, retry_after=absurd) == LONGEST_ASKED_FOR
