"""What every provider's inspection says alike: of the clock, and of the key's mode."""

from datetime import timedelta
from email.utils import format_datetime

import pytest

from billing_ui.clock import utc_now
from billing_ui.payments.inspection import Level, clock, mode


@pytest.mark.parametrize(
    ("seconds", "level"),
    [(0, Level.OK), (30, Level.WARNING), (-30, Level.WARNING), (90, Level.PROBLEM)],
)
def test_a_clock_that_differs_is_told_before_webhooks_fail(seconds: int, level: Level) -> None:
    date = format_datetime(utc_now() + timedelta(seconds=seconds), usegmt=True)
    [found] = clock("Acme", date, tolerance=60, warn_after=15)
    assert found.level is level
    assert "Acme's" in found.what


@pytest.mark.parametrize("date", ["", "yesterday", "Fri, 99 Nov 2026 06:29:00 GMT"])
def test_what_is_no_date_tells_nothing_of_the_clock(date: str) -> None:
    assert list(clock("Acme", date, tolerance=60, warn_after=15)) == []


@pytest.mark.parametrize(
    ("live", "secure", "level"),
    [
        (True, True, Level.OK),
        (False, False, Level.OK),
        (False, True, Level.WARNING),
        (True, False, Level.PROBLEM),
    ],
)
def test_the_mode_of_a_key_must_fit_the_address(live: bool, secure: bool, level: Level) -> None:
    assert mode(live=live, secure=secure, to_go_live="Take another.").level is level
