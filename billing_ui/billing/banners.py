"""What stands above the plan: payments that failed, trials, and plans that stop, the most urgent first."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo

from billing_ui.billing.summary import BillingSummary, PlanSummary
from billing_ui.payments.types import SubscriptionState


@dataclass(frozen=True)
class PaymentFailed:
    """A renewal could not be charged.

    Attributes:
        amount: what is owed, in minor units of `currency`; None when the provider does not say.
        next_attempt_at: when the provider tries again (UTC), None when it does not.
        by_card: whether it is a card that failed, as far as we know.
        pay_url: where the invoice can be paid by hand.
    """

    plan: str
    amount: int | None
    currency: str
    next_attempt_at: datetime | None
    by_card: bool
    pay_url: str | None


@dataclass(frozen=True)
class OnHold:
    """The provider has given up charging, and waits for the invoice at `pay_url` to be paid."""

    plan: str
    pay_url: str | None


@dataclass(frozen=True)
class PaymentUnfinished:
    """The first payment waits for its payer, at `pay_url`."""

    plan: str
    pay_url: str | None


@dataclass(frozen=True)
class SetToCancel:
    """The plan stops at `ends_at` (UTC); `last_charge` says that nothing will be charged any more."""

    plan: str
    ends_at: datetime | None
    last_charge: bool


@dataclass(frozen=True)
class OnTrial:
    """A trial.

    Attributes:
        days_left: how many days lie between today and the day it ends; 0 on its last day.
        can_pay: whether there is something to charge when it ends.
        ends_unpaid: whether, with nothing to charge, the plan just ends.
    """

    plan: str
    days_left: int
    can_pay: bool
    ends_unpaid: bool


@dataclass(frozen=True)
class Paused:
    """Nothing is collected until `resumes_at` (UTC), or until somebody resumes it when None."""

    plan: str
    resumes_at: datetime | None


Banner: TypeAlias = PaymentFailed | OnHold | PaymentUnfinished | SetToCancel | OnTrial | Paused

_URGENCY: Final[tuple[type[Banner], ...]] = (
    OnHold,
    PaymentFailed,
    PaymentUnfinished,
    SetToCancel,
    OnTrial,
    Paused,
)


def banners_of(summary: BillingSummary, now: datetime, zone: ZoneInfo) -> tuple[Banner, ...]:
    """Return what stands above the plan, for someone who can do something about it.

    Args:
        zone: whose days a trial is counted in.
    """
    if not summary.can_manage or summary.mismatch or summary.customer_deleted:
        return ()
    found = _payments(summary)
    # Beside another plan, one that stops or has not begun says so on its own line: "your plan" goes on.
    if len(summary.plans) == 1:
        found = (*found, *_course(summary, summary.plans[0], now, zone))
    return tuple(sorted(found, key=lambda banner: _URGENCY.index(type(banner))))


def _payments(summary: BillingSummary) -> tuple[Banner, ...]:
    banners: list[Banner] = []
    method = summary.payment_method
    for plan in summary.plans:
        owed = plan.overdue
        pay_url = owed.hosted_url if owed else None
        match plan.state:
            case SubscriptionState.PAST_DUE:
                banners.append(
                    PaymentFailed(
                        plan=plan.name,
                        amount=owed.amount if owed else None,
                        currency=owed.currency if owed else plan.currency,
                        next_attempt_at=owed.next_attempt_at if owed else None,
                        by_card=method is not None and method.type == "card",
                        pay_url=pay_url,
                    )
                )
            case SubscriptionState.UNPAID:
                banners.append(OnHold(plan.name, pay_url))
            case SubscriptionState.INCOMPLETE:
                banners.append(PaymentUnfinished(plan.name, pay_url))
    return tuple(banners)


def _course(
    summary: BillingSummary, plan: PlanSummary, now: datetime, zone: ZoneInfo
) -> Iterator[Banner]:
    match plan.state:
        case SubscriptionState.CANCELING:
            foreseen = summary.next_invoice
            last_charge = foreseen is None or foreseen.amount_due == 0
            yield SetToCancel(plan.name, plan.cancel_at, last_charge)
        case SubscriptionState.TRIALING if plan.trial_end:
            today, last = now.astimezone(zone).date(), plan.trial_end.astimezone(zone).date()
            yield OnTrial(
                plan=plan.name,
                days_left=max((last - today).days, 0),
                can_pay=not summary.lacks_payment_method,
                ends_unpaid=plan.ends_unpaid,
            )
        case SubscriptionState.PAUSED:
            yield Paused(plan.name, plan.resumes_at)
