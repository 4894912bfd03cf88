"""Showing on a terminal how far long work is: a bar, or a line now and then where nobody looks."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeAlias

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn

_SECONDS_BETWEEN_LINES: Final = 10.0

Show: TypeAlias = Callable[[int, int, str], None]
"""Shows how much is done, of how much in all, and what to say beside it."""


@contextmanager
def progress() -> Iterator[Show]:
    """Yield what shows how far the work is, on standard error."""
    if sys.stderr.isatty():
        with _bar() as show:
            yield show
    else:
        yield _lines()


@contextmanager
def _bar() -> Iterator[Show]:
    columns = (
        SpinnerColumn(),
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        TextColumn("{task.description}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)

        def show(done: int, total: int, text: str) -> None:
            bar.update(task, completed=done, total=total, description=text)

        yield show


def _lines() -> Show:
    said = time.monotonic()

    def show(done: int, total: int, text: str) -> None:
        nonlocal said
        if time.monotonic() - said >= _SECONDS_BETWEEN_LINES:
            said = time.monotonic()
            print(f"{done / max(total, 1):.0%}  {text}", file=sys.stderr, flush=True)  # noqa: T201

    return show


def time_left(seconds: float | None) -> str:
    """Return in words how long the rest takes, empty when that is not known."""
    if seconds is None:
        return ""
    if seconds < 60:
        return "less than a minute left"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"about {minutes} min left"
    return f"about {minutes // 60} h {minutes % 60} min left"
