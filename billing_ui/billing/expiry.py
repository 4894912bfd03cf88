"""Whether a card outlives the invoices it is to pay."""

from calendar import monthrange
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from billing_ui.billing.summary import PaymentMethodSummary, PlanSummary
from billing_ui.payments.types import SubscriptionState

_RENEWING: Final = frozenset(
    {SubscriptionState.ACTIVE, SubscriptionState.TRIALING, SubscriptionState.PAST_DUE}
)
_MONTHS: Final = {"month": 1, "year": 12}
_DAYS: Final = {"day": 1, "week": 7}


@dataclass(frozen=True)
class Expiry:
    """The end of a card; times are UTC.

    Attributes:
        ends_at: the first moment at which it is no longer good.
        plan: what the next renewal is of; empty when nothing renews.
        pays: the next renewal, when the card is still good then.
        misses: the first renewal for which it is not, if that is the next one or the one after.
    """

    ends_at: datetime
    plan: str = ""
    pays: datetime | None = None
    misses: datetime | None = None


def expiry_of(
    method: PaymentMethodSummary, plans: Sequence[PlanSummary], now: datetime
) -> Expiry | None:
    """Return when a card ends and which renewals that concerns; None for what does not expire."""
    if method.exp_month is None or method.exp_year is None:
        return None
    # A card is good until its month ends.
    year, month = method.exp_year + method.exp_month // 12, method.exp_month % 12 + 1
    ends_at = datetime(year, month, 1, tzinfo=UTC)
    renewals = [
        (plan.current_period_end, plan)
        for plan in plans
        if plan.state in _RENEWING
        and not plan.pauses_at
        and plan.current_period_end
        and plan.current_period_end > now
    ]
    if not renewals:
        return Expiry(ends_at)
    renewal, plan = min(renewals, key=lambda each: each[0])
    if ends_at <= renewal:
        return Expiry(ends_at, plan.name, misses=renewal)
    following = _after(renewal, plan.interval, plan.interval_count)
    misses = following if following and ends_at <= following else None
    return Expiry(ends_at, plan.name, pays=renewal, misses=misses)


def _after(moment: datetime, interval: str | None, count: int) -> datetime | None:
    """Return the moment one billing interval later, None when that is not known."""
    if interval in _DAYS:
        return moment + timedelta(days=_DAYS[interval] * count)
    if interval not in _MONTHS:
        return None
    years, month = divmod(moment.month - 1 + _MONTHS[interval] * count, 12)
    year, month = moment.year + years, month + 1
    return moment.replace(year=year, month=month, day=min(moment.day, monthrange(year, month)[1]))
