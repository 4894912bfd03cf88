"""The current plan in words: what it costs, and what happens to it next."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from billing_ui.billing.summary import BillingSummary, PlanItem, PlanSummary
from billing_ui.billing.words import counted_units, several
from billing_ui.i18n import Reader
from billing_ui.payments.types import NextInvoice, SubscriptionState
from billing_ui.states.badges import Badge, plan_badge

WHEN_ICONS: Final = ("calendar", "canceling", "ended", "paused", "warning")
"""Every icon that can stand before what happens next."""

_CHARGED: Final = frozenset(
    {SubscriptionState.ACTIVE, SubscriptionState.PAST_DUE, SubscriptionState.CANCELING}
)

_PEOPLE: Final = frozenset({"editor", "licence", "license", "member", "person", "seat", "user"})
"""The units that members of a team take up; projects or gigabytes are not counted by heads."""


@dataclass(frozen=True)
class SeatsView:
    """How many of the units paid for are taken; blank when the plan counts no people.

    Attributes:
        heading: what is counted, such as "Seats".
        value: "10 of 24 in use"; `label` says the same with the unit, for those who hear only it.
        used, total: the ends of the meter, which is never more than full.
        fill: how far the meter reaches, as a CSS length.
        warning: why nobody else can join, when that is so.
    """

    heading: str = ""
    value: str = ""
    label: str = ""
    used: int = 0
    total: int = 0
    fill: str = "0%"
    warning: str = ""


@dataclass(frozen=True)
class NextInvoiceView:
    """What is charged next: the amount, and when and why so much; blank when nothing is coming."""

    amount: str = ""
    note: str = ""


@dataclass(frozen=True)
class PlanView:
    """One subscription as the page shows it; every text is ready to read."""

    name: str = ""
    badge: Badge = field(default_factory=Badge)
    price: str = ""
    terms: str = ""
    when: str = ""
    when_icon: str = "calendar"
    also: str = ""
    seats: SeatsView = field(default_factory=SeatsView)
    lines: list[str] = field(default_factory=list)
    features: list[str] = field(default_factory=list)


def plan_view(plan: PlanSummary, members: int, reader: Reader) -> PlanView:
    """Return `plan` in the reader's words; `members` is how many people are in the team."""
    when, when_icon, also = _when(plan, reader)
    price, terms = _price(plan, reader)
    several = len(plan.items) > 1
    ended = plan.state is SubscriptionState.ENDED
    return PlanView(
        name=plan.name,
        badge=plan_badge(plan.state, plan.status),
        price=price,
        terms=terms,
        when=when,
        when_icon=when_icon,
        also=also,
        seats=SeatsView() if ended else _seats(plan.items, members, reader),
        lines=[_item_line(item, reader) for item in plan.items] if several else [],
        features=[] if ended else list(plan.features),
    )


def next_invoice_view(summary: BillingSummary, reader: Reader) -> NextInvoiceView:
    """Return a customer's next invoice in words."""
    foreseen, plans = summary.next_invoice, summary.plans
    can_pay = not summary.lacks_payment_method
    if foreseen is None or not any(_is_charged(plan, can_pay=can_pay) for plan in plans):
        return NextInvoiceView()
    date = reader.date(foreseen.at) if foreseen.at else ""
    name = next(
        (plan.name for plan in plans if plan.subscription_id == foreseen.subscription_id), ""
    )
    when = f"{date}, for {name}" if len(plans) > 1 and date and name else date
    sentences = (when, _proration(foreseen, reader), _balance(foreseen, reader))
    note = ". ".join(sentence for sentence in sentences if sentence)
    return NextInvoiceView(
        amount=reader.money(foreseen.amount_due, foreseen.currency),
        note=note if note == when else f"{note}.",
    )


def per_interval(interval: str | None, count: int) -> str:
    """Return how often a price is due, such as "per month" or "every 3 months"; "once" without an interval."""
    if interval is None:
        return "once"
    return f"per {interval}" if count == 1 else f"every {count} {interval}s"


def counted(quantity: int, unit_label: str, reader: Reader) -> str:
    """Return a quantity and what it counts, such as "24 seats"."""
    return reader.plural(quantity, unit_label, several(unit_label))


def _is_charged(plan: PlanSummary, *, can_pay: bool) -> bool:
    """Return whether a plan's next invoice will be charged: a provider foresees one of a paused plan as well."""
    if plan.state is SubscriptionState.TRIALING:
        return can_pay or not plan.ends_unpaid
    return plan.state in _CHARGED


def _proration(foreseen: NextInvoice, reader: Reader) -> str:
    if not foreseen.proration:
        return ""
    amount = reader.money(abs(foreseen.proration), foreseen.currency)
    at = foreseen.prorated_at
    change = f"the change on {reader.day(at)}" if at else "changes within the period"
    if foreseen.proration < 0:
        return f"{amount} less for {change}"
    return f"Includes {amount} for {change}"


def _balance(foreseen: NextInvoice, reader: Reader) -> str:
    used = foreseen.total - foreseen.amount_due
    if used > 0:
        return f"{reader.money(used, foreseen.currency)} comes from your balance"
    return f"Includes {reader.money(-used, foreseen.currency)} owed from before" if used else ""


def _seats(items: Sequence[PlanItem], members: int, reader: Reader) -> SeatsView:
    item = next((each for each in items if (each.unit_label or "").lower() in _PEOPLE), None)
    if item is None or not item.unit_label or not item.quantity:
        return SeatsView()
    total, unit = item.quantity, item.unit_label
    taken, units = reader.number(members), counted(total, unit, reader)
    used = min(members, total)
    warning = ""
    if members > total:
        warning = f"{reader.plural(members - total, 'member', 'members')} more than {units}"
    elif members == total:
        warning = f"All {units} are in use" if total > 1 else f"The only {unit} is in use"
    return SeatsView(
        heading=counted_units(unit),
        value=f"{taken} of {reader.number(total)} in use",
        label=f"{taken} of {units} in use",
        used=used,
        total=total,
        fill=f"{100 * used / total:.1f}%",
        warning=warning,
    )


def _price(plan: PlanSummary, reader: Reader) -> tuple[str, str]:
    if plan.state is SubscriptionState.ENDED:
        return reader.money(0, plan.currency), "no further charges"
    if plan.amount is None:
        return "", "Billed by what you use"
    amount = reader.money(plan.amount, plan.currency)
    often = per_interval(plan.interval, plan.interval_count) if plan.interval else ""
    if plan.state is SubscriptionState.TRIALING:
        return reader.money(0, plan.currency), f"now · {amount} {often} after the trial".strip()
    quantity = _quantity(plan.items[0], reader) if len(plan.items) == 1 else ""
    return amount, " · ".join(part for part in (often, quantity) if part)


def _quantity(item: PlanItem, reader: Reader) -> str:
    if item.unit_amount is None or item.quantity is None:
        return ""
    each = reader.money(item.unit_amount, item.currency)
    if item.unit_label:
        return f"{counted(item.quantity, item.unit_label, reader)} at {each}"
    return f"{reader.number(item.quantity)} × {each}" if item.quantity != 1 else ""


def _item_line(item: PlanItem, reader: Reader) -> str:
    quantity = item.quantity if item.quantity is not None else 1
    name = item.name if quantity == 1 else f"{item.name} × {reader.number(quantity)}"
    if item.unit_amount is None:
        return f"{name}: billed by what you use"
    amount = reader.money(item.unit_amount * quantity, item.currency)
    return f"{name}: {amount} {per_interval(item.interval, item.interval_count)}"


def _when(plan: PlanSummary, reader: Reader) -> tuple[str, str, str]:
    """Return what happens next, its icon, and what else there is to know."""
    pauses = _on("Pauses", plan.pauses_at, reader)
    renews = pauses or _on("Renews", plan.current_period_end, reader)
    match plan.state:
        case SubscriptionState.CANCELING:
            return _on("Cancels", plan.cancel_at, reader), "canceling", ""
        case SubscriptionState.TRIALING:
            return _on("Trial ends", plan.trial_end, reader), "calendar", pauses
        case SubscriptionState.PAST_DUE:
            cancels = _on("Cancels", plan.cancel_at, reader)
            return _overdue(plan.overdue_since, reader), "warning", cancels or renews
        case SubscriptionState.UNPAID:
            return _overdue(plan.overdue_since, reader), "warning", ""
        case SubscriptionState.INCOMPLETE:
            return "First payment not finished", "warning", ""
        case SubscriptionState.PAUSED:
            return _on("Resumes", plan.resumes_at, reader), "paused", ""
        case SubscriptionState.ENDED:
            return _on("Ended", plan.ended_at, reader), "ended", ""
        case SubscriptionState.UNKNOWN:
            # Whether it goes on, nobody knows.
            return "", "calendar", ""
        case _ if pauses:
            return pauses, "paused", _on("Resumes", plan.resumes_at, reader)
        case _:
            return renews, "calendar", ""


def _overdue(since: datetime | None, reader: Reader) -> str:
    return f"Payment overdue since {reader.date(since)}" if since else "Payment overdue"


def _on(verb: str, moment: datetime | None, reader: Reader) -> str:
    return f"{verb} on {reader.date(moment)}" if moment else ""
