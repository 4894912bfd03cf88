"""Measuring two things in turn, so that whatever else the machine does falls on both alike."""

import statistics
from collections.abc import Awaitable, Callable, Sequence

from benchmarks.load import Answered

Measure = Callable[[], Awaitable[Answered]]


async def in_turn(ours: Measure, bare: Measure, rounds: int) -> tuple[list[Answered], ...]:
    """Call both `rounds` times, one after the other; returns what each call measured."""
    ours_answered, bare_answered = [], []
    for _ in range(rounds):
        ours_answered.append(await ours())
        bare_answered.append(await bare())
    return ours_answered, bare_answered


def p50(answers: Sequence[Answered]) -> float:
    """Return the median of all calls, in milliseconds."""
    return statistics.median(ms for answered in answers for ms in answered.milliseconds)


def rate(answers: Sequence[Answered]) -> float:
    """Return the median of the rounds' calls per second."""
    return statistics.median(len(one.milliseconds) / one.seconds for one in answers)


def percentile(values: Sequence[float], percent: int) -> float:
    """Return the value that `percent` of `values` do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]
