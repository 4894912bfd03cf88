"""What came of a trip to the provider, change by change, each with the icon of what it is about."""

from dataclasses import dataclass
from typing import Final

from billing_ui.billing.changes import Told

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


def result_line(told: Told) -> ResultLine:
    """Return a change with its icon."""
    return ResultLine(change_icon(told.kind), told.sentence, told.upcoming)


def change_icon(kind: str) -> str:
    """Return the icon of what a change of this kind is about."""
    return _ICONS.get(kind, _OTHERWISE)
