"""What each status of a subscription or an invoice is called, and how it is coloured."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from billing_ui.payments.types import SubscriptionState


@dataclass(frozen=True)
class Badge:
    """A word, the colour that goes with it, and the icon that carries the colour."""

    word: str = ""
    tone: str = "gray"
    icon: str = "ended"


_PLAN: Final = {
    SubscriptionState.ACTIVE: Badge("Active", "green", "active"),
    SubscriptionState.TRIALING: Badge("Trialing", "blue", "clock"),
    SubscriptionState.PAST_DUE: Badge("Past due", "red", "warning"),
    SubscriptionState.UNPAID: Badge("Unpaid", "red", "failed"),
    SubscriptionState.CANCELING: Badge("Canceling", "amber", "canceling"),
    SubscriptionState.INCOMPLETE: Badge("Incomplete", "amber", "warning"),
    SubscriptionState.PAUSED: Badge("Paused", "gray", "paused"),
    SubscriptionState.ENDED: Badge("Ended", "gray", "ended"),
}

_INVOICE: Final = {
    "paid": Badge("Paid", "green", "check"),
    "open": Badge("Open", "amber", "clock"),
    "uncollectible": Badge("Uncollectible", "red", "close"),
    "void": Badge("Void", "gray", "dash"),
    "draft": Badge("Draft", "gray", "clock"),
}
_OVERDUE: Final = Badge("Overdue", "red", "warning")

BADGE_ICONS: Final = tuple(
    sorted({badge.icon for badge in (*_PLAN.values(), *_INVOICE.values(), _OVERDUE)})
)
"""Every icon a badge can have, for a page that learns only later which one it is."""


def plan_badge(state: SubscriptionState, provider_word: str) -> Badge:
    """Return the badge of a subscription; a state unknown to us keeps the provider's own word."""
    return _PLAN.get(state) or Badge(_as_words(provider_word))


def invoice_badge(status: str, due_at: datetime | None, now: datetime) -> Badge:
    """Return the badge of an invoice, open ones past their due date being overdue."""
    if status == "open" and due_at is not None and due_at < now:
        return _OVERDUE
    return _INVOICE.get(status) or Badge(_as_words(status))


def _as_words(code: str) -> str:
    return code.replace("_", " ").strip().capitalize() or "Unknown"
