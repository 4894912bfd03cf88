"""Recent changes as sentences: what, how we know, and how long ago."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from billing_ui.billing.changes import tell
from billing_ui.billing.feed import FeedEntry
from billing_ui.i18n import Reader
from billing_ui.models import ChangeSource
from billing_ui.states.result_view import ResultView, change_icon, result_line

_DAY: Final = timedelta(days=1)
_SOURCES: Final = {
    ChangeSource.PORTAL: "by portal visit",
    ChangeSource.CHECKOUT: "by checkout",
    ChangeSource.WEBHOOK: "by webhook",
    ChangeSource.RECONCILE: "by sync",
}


@dataclass(frozen=True)
class FeedLine:
    """One change: a sentence without its full stop, "by webhook", and when; `moment` and `title` say it exactly."""

    icon: str = "plan"
    sentence: str = ""
    source: str = ""
    when: str = ""
    moment: str = ""
    title: str = ""


def feed_lines(entries: Sequence[FeedEntry], reader: Reader, now: datetime) -> list[FeedLine]:
    """Return recent changes in words."""
    return [
        FeedLine(
            icon=change_icon(entry.change.kind),
            sentence=tell(entry.change, reader).sentence.removesuffix("."),
            source=_SOURCES[entry.source],
            when=when(entry.found_at, reader, now),
            moment=entry.found_at.isoformat(timespec="seconds"),
            title=reader.date_and_time(entry.found_at),
        )
        for entry in entries
    ]


def arrived_view(entries: Sequence[FeedEntry], reader: Reader, now: datetime) -> ResultView:
    """Return what came while the page was open; blank when nothing did."""
    if not entries:
        return ResultView()
    told = [tell(entry.change, reader) for entry in entries]
    if len(told) == 1:
        detail = f"{told[0].upcoming} {_arrival(entries[0], reader, now)}".lstrip()
        return ResultView(told[0].sentence, detail, changed=True)
    # What a change said was coming may have been overtaken by a later one.
    lines = [replace(result_line(each), upcoming="") for each in told]
    return ResultView("Your billing has changed.", lines=lines, changed=True)


def when(moment: datetime, reader: Reader, now: datetime) -> str:
    """Return when something was: "2 min ago" within a day, then its date, with the year when it is another one."""
    age = max(now - moment, timedelta())
    minutes = int(age.total_seconds()) // 60
    if age < _DAY:
        if minutes < 60:
            return f"{minutes} min ago" if minutes else "just now"
        return f"{minutes // 60} h ago"
    year, this_year = (each.astimezone(reader.zone).year for each in (moment, now))
    return reader.day(moment) if year == this_year else reader.date(moment)


def is_fresh(moment: datetime, now: datetime) -> bool:
    """Return whether `when` counts minutes or hours, which go on."""
    return now - moment < _DAY


def _arrival(entry: FeedEntry, reader: Reader, now: datetime) -> str:
    """Return how and when a change came, as a sentence: "By portal visit, just now."."""
    source = _SOURCES[entry.source]
    return f"{source[0].upper()}{source[1:]}, {when(entry.found_at, reader, now)}."
