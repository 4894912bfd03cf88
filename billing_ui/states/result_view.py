"""What changed, as a banner above the plan tells it: each change with the icon of what it is about."""

from dataclasses import dataclass, field
from typing import Final

from billing_ui.billing.changes import Told, describe_visit
from billing_ui.billing.visits import VisitBanner
from billing_ui.i18n import Reader

_ICONS: Final = {
    "quantity_changed": "person",
    "payment_method_changed": "card",
    "payment_method_renewed": "card",
    "payment_method_added": "card",
    "payment_method_removed": "card",
    "billing_details_changed": "details",
    "invoice_paid": "invoice",
    "invoice_failed": "invoice",
}
_OTHERWISE: Final = "plan"

RESULT_ICONS: Final = tuple(sorted({*_ICONS.values(), _OTHERWISE}))
"""Every icon a change can have."""


@dataclass(frozen=True)
class ResultLine:
    """One change of several: a sentence, and what comes next, empty when nothing does."""

    icon: str = _OTHERWISE
    sentence: str = ""
    upcoming: str = ""


@dataclass(frozen=True)
class ResultView:
    """What changed, in a banner: a title, then either what follows it or, of several changes, one line each.

    Attributes:
        changed: whether anything did. Without a title there is no banner.
    """

    title: str = ""
    detail: str = ""
    lines: list[ResultLine] = field(default_factory=list)
    changed: bool = False


def visit_view(visit: VisitBanner | None, reader: Reader) -> ResultView:
    """Return what came of a trip to the provider; blank when there is none to tell of."""
    if visit is None:
        return ResultView()
    text = describe_visit(
        visit.changes, reader, place=visit.kind.value, plan=visit.plan, upcoming=visit.upcoming
    )
    lines = [result_line(told) for told in text.changes]
    return ResultView(text.heading, text.detail, lines, changed=bool(visit.changes))


def result_line(told: Told) -> ResultLine:
    """Return a change with its icon."""
    return ResultLine(change_icon(told.kind), told.sentence, told.upcoming)


def change_icon(kind: str) -> str:
    """Return the icon of what a change of this kind is about."""
    return _ICONS.get(kind, _OTHERWISE)
