"""The named changes that a customer's billing can go through, each with its sentence."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, Literal, TypeAlias, get_args

from pydantic import Field, TypeAdapter

from billing_ui.billing.words import billed_how_often, counted_units
from billing_ui.i18n import Reader
from billing_ui.payments.types import Frozen, SubscriptionState

# ---------------------------------------------------------------- values


class NextDate(Frozen):
    """What happens to a subscription next, and when (UTC)."""

    what: Literal["renews", "cancels", "pauses", "trial_ends"]
    at: datetime

    def sentence(self, reader: Reader) -> str:
        """Return it in words, such as "Renews on January 3, 2027."."""
        verb = "Trial ends" if self.what == "trial_ends" else self.what.capitalize()
        return f"{verb} on {reader.date(self.at)}."


class Terms(Frozen):
    """What one item of a subscription costs; `unit_amount` in minor units of `currency`, None when tiered."""

    plan: str
    unit_amount: int | None = None
    currency: str
    interval: str | None = None
    interval_count: int = 1

    @property
    def every(self) -> tuple[str | None, int]:
        """The billing interval and its count."""
        return self.interval, self.interval_count


# ---------------------------------------------------------------- changes


class PlanChanged(Frozen):
    """An item moved to another price, mostly of another product."""

    kind: Literal["plan_changed"] = "plan_changed"
    subscription_id: str
    before: Terms
    after: Terms
    next: NextDate | None = None

    def sentence(self, reader: Reader) -> str:
        """Return the change in words."""
        before, after = self.before, self.after
        often = billed_how_often(after.interval, after.interval_count) if after.interval else None
        other_interval = before.every != after.every and often is not None
        if before.plan != after.plan:
            billed = f", billed {often}" if other_interval else ""
            return f"Plan changed from {before.plan} to {after.plan}{billed}."
        if other_interval:
            return f"{after.plan} is now billed {often}."
        if None not in (before.unit_amount, after.unit_amount) and before != after:
            old, new = _money(before, reader), _money(after, reader)
            return f"The price of {after.plan} changed from {old} to {new}."
        return f"{after.plan} moved to another price."


class ItemAdded(Frozen):
    """A subscription got one more item."""

    kind: Literal["item_added"] = "item_added"
    subscription_id: str
    plan: str

    def sentence(self, reader: Reader) -> str:
        """Return the change in words."""
        return f"{self.plan} added to your plan."


class ItemRemoved(Frozen):
    """A subscription lost one of its items."""

    kind: Literal["item_removed"] = "item_removed"
    subscription_id: str
    plan: str

    def sentence(self, reader: Reader) -> str:
        """Return the change in words."""
        return f"{self.plan} removed from your plan."


class QuantityChanged(Frozen):
    """An item's quantity changed; `unit_label` says what it counts, if the product does."""

    kind: Literal["quantity_changed"] = "quantity_changed"
    subscription_id: str
    plan: str
    unit_label: str | None = None
    before: int | None
    after: int

    def sentence(self, reader: Reader) -> str:
        """Return the change in words."""
        return f"{counted_units(self.unit_label)} set to {reader.number(self.after)}."


class StatusChanged(Frozen):
    """A subscription that goes on changed its state; `status` is the provider's word."""

    kind: Literal["status_changed"] = "status_changed"
    subscription_id: str
    plan: str
    before: SubscriptionState
    after: SubscriptionState
    status: str
    next: NextDate | None = None

    def sentence(self, reader: Reader) -> str:
        """Return the change in words."""
        known = {
            SubscriptionState.ACTIVE: f"{self.plan} is active.",
            SubscriptionState.TRIALING: f"{self.plan} is in its trial.",
            SubscriptionState.PAST_DUE: f"{self.plan} is past due.",
            SubscriptionState.UNPAID: f"{self.plan} is on hold until its open invoice is paid.",
            SubscriptionState.PAUSED: f"{self.plan} is paused.",
            SubscriptionState.INCOMPLETE: f"The first payment of {self.plan} is not finished.",
        }
        return known.get(self.after) or f"{self.plan} is now {self.status.replace('_', ' ')}."


class CancellationScheduled(Frozen):
    """A subscription is going to end; `sole` says that the customer has no other one."""

    kind: Literal["cancellation_scheduled"] = "cancellation_scheduled"
    subscription_id: str
    plan: str
    sole: bool
    cancel_at: datetime

    def sentence(self, reader: Reader) -> str:
        """Return the change in words."""
        what = "Your plan" if self.sole else self.plan
        return f"{what} is set to cancel on {reader.date(self.cancel_at)}."


class CancellationWithdrawn(Frozen):
    """A subscription that was going to end stays; `sole` says that the customer has no other one."""

    kind: Literal["cancellation_withdrawn"] = "cancellation_withdrawn"
    subscription_id: str
    plan: str
    sole: bool
    next: NextDate | None = None

    def sentence(self, reader: Reader) -> str:
        """Return the change in words."""
        return "Cancellation withdrawn." if self.sole else f"Cancellation of {self.plan} withdrawn."


class PauseScheduled(Frozen):
    """A subscription is going to be paused; `sole` says that the customer has no other one."""

    kind: Literal["pause_scheduled"] = "pause_scheduled"
    subscription_id: str
    plan: str
    sole: bool
    pauses_at: datetime

    def sentence(self, reader: Reader) -> str:
        """Return the change in words."""
        what = "Your plan" if self.sole else self.plan
        return f"{what} is set to pause on {reader.date(self.pauses_at)}."


class PauseWithdrawn(Frozen):
    """A subscription that was going to be paused goes on; `sole` says that the customer has no other one."""

    kind: Literal["pause_withdrawn"] = "pause_withdrawn"
    subscription_id: str
    plan: str
    sole: bool
    next: NextDate | None = None

    def sentence(self, reader: Reader) -> str:
        """Return the change in words."""
        return f"{'Your plan' if self.sole else self.plan} is no longer set to pause."


class RenewalMoved(Frozen):
    """Nothing but the date at which a subscription renews, or its trial ends, changed."""

    kind: Literal["renewal_moved"] = "renewal_moved"
    subscription_id: str
    plan: str
    next: NextDate

    def sentence(self, reader: Reader) -> str:
        """Return the change in words."""
        date = reader.date(self.next.at)
        if self.next.what == "trial_ends":
            return f"The trial of {self.plan} now ends on {date}."
        return f"{self.plan} now renews on {date}."


class SubscriptionStarted(Frozen):
    """A subscription appeared, or an ended one lives again."""

    kind: Literal["subscription_started"] = "subscription_started"
    subscription_id: str
    plan: str
    state: SubscriptionState
    next: NextDate | None = None

    def sentence(self, reader: Reader) -> str:
        """Return the change in words."""
        if self.state is SubscriptionState.TRIALING:
            return f"Your trial of {self.plan} started."
        if self.state is SubscriptionState.INCOMPLETE:
            return f"The first payment of {self.plan} is not finished."
        return f"{self.plan} started."


class SubscriptionEnded(Frozen):
    """A subscription ended; `ended_at` is None when the provider no longer tells of it."""

    kind: Literal["subscription_ended"] = "subscription_ended"
    subscription_id: str
    plan: str
    ended_at: datetime | None = None

    def sentence(self, reader: Reader) -> str:
        """Return the change in words."""
        when = f" on {reader.date(self.ended_at)}" if self.ended_at else ""
        return f"{self.plan} ended{when}."


class PaymentMethodChanged(Frozen):
    """Another payment method is the default one."""

    kind: Literal["payment_method_changed"] = "payment_method_changed"
    label: str

    def sentence(self, reader: Reader) -> str:
        """Return the change in words."""
        return f"Payment method changed to {self.label}."


class PaymentMethodRenewed(Frozen):
    """A card kept its number and got another expiry."""

    kind: Literal["payment_method_renewed"] = "payment_method_renewed"
    label: str
    exp_month: int
    exp_year: int

    def sentence(self, reader: Reader) -> str:
        """Return the change in words."""
        return f"{self.label} now expires {self.exp_month:02}/{self.exp_year}."


class PaymentMethodAdded(Frozen):
    """A payment method was added beside the default one."""

    kind: Literal["payment_method_added"] = "payment_method_added"
    label: str

    def sentence(self, reader: Reader) -> str:
        """Return the change in words."""
        return f"Payment method {self.label} added."


class PaymentMethodRemoved(Frozen):
    """A payment method is gone."""

    kind: Literal["payment_method_removed"] = "payment_method_removed"
    label: str

    def sentence(self, reader: Reader) -> str:
        """Return the change in words."""
        return f"Payment method {self.label} removed."


DetailField: TypeAlias = Literal["name", "email", "phone", "address", "tax_ids"]
DETAIL_FIELDS: Final[dict[DetailField, str]] = {
    "name": "name",
    "email": "e-mail",
    "phone": "phone number",
    "address": "address",
    "tax_ids": "tax ID",
}


class BillingDetailsChanged(Frozen):
    """What stands on the invoices changed; the values are not repeated."""

    kind: Literal["billing_details_changed"] = "billing_details_changed"
    fields: tuple[DetailField, ...]

    def sentence(self, reader: Reader) -> str:
        """Return the change in words."""
        *first, last = (DETAIL_FIELDS[field] for field in self.fields)
        return f"Billing details updated: {', '.join(first)}{' and ' if first else ''}{last}."


class InvoicePaid(Frozen):
    """An invoice was paid; `total` in minor units of `currency`."""

    kind: Literal["invoice_paid"] = "invoice_paid"
    invoice_id: str
    number: str | None
    total: int
    currency: str

    def sentence(self, reader: Reader) -> str:
        """Return the change in words."""
        return f"{_invoice(self.number)} paid, {reader.money(self.total, self.currency)}."


class InvoiceFailed(Frozen):
    """A payment was tried and failed; `amount` is what remains due, in minor units of `currency`."""

    kind: Literal["invoice_failed"] = "invoice_failed"
    invoice_id: str
    number: str | None
    amount: int
    currency: str
    next_attempt_at: datetime | None = None

    def sentence(self, reader: Reader) -> str:
        """Return the change in words."""
        amount = reader.money(self.amount, self.currency)
        return f"Payment of {amount} for {_invoice(self.number, start=False)} failed."


class CustomerRemoved(Frozen):
    """The customer was deleted at the provider."""

    kind: Literal["customer_removed"] = "customer_removed"

    def sentence(self, reader: Reader) -> str:
        """Return the change in words."""
        return "Your billing account was deleted at the payment provider."


PlanNews: TypeAlias = (
    PlanChanged
    | ItemAdded
    | ItemRemoved
    | QuantityChanged
    | StatusChanged
    | CancellationScheduled
    | CancellationWithdrawn
    | PauseScheduled
    | PauseWithdrawn
    | RenewalMoved
    | SubscriptionStarted
    | SubscriptionEnded
)
"""What tells of nothing but the plan, which every member of a team sees."""

AccountNews: TypeAlias = (
    PaymentMethodChanged
    | PaymentMethodRenewed
    | PaymentMethodAdded
    | PaymentMethodRemoved
    | BillingDetailsChanged
    | InvoicePaid
    | InvoiceFailed
    | CustomerRemoved
)
"""What tells of the account that pays, which is for those who may see invoices."""

AnyChange: TypeAlias = PlanNews | AccountNews
Change: TypeAlias = Annotated[AnyChange, Field(discriminator="kind")]

PLAN_KINDS: Final = frozenset(
    str(change.model_fields["kind"].default) for change in get_args(PlanNews)
)
"""The kind of each of the `PlanNews`."""

_CHANGES: Final[TypeAdapter[tuple[AnyChange, ...]]] = TypeAdapter(tuple[Change, ...])


def dump_changes(changes: Sequence[Change]) -> list[dict[str, Any]]:
    """Return changes as a JSON document."""
    document: list[dict[str, Any]] = _CHANGES.dump_python(tuple(changes), mode="json")
    return document


def load_changes(document: list[dict[str, Any]]) -> tuple[Change, ...]:
    """Return the changes in a JSON document that `dump_changes` made."""
    return _CHANGES.validate_python(document)


# ---------------------------------------------------------------- words


@dataclass(frozen=True)
class Told:
    """A change of some kind as a sentence, and what comes next as another one, empty when nothing does."""

    kind: str
    sentence: str
    upcoming: str = ""

    def __str__(self) -> str:
        """Return both, such as "Plan changed from Pro to Team. Renews on January 3, 2027."."""
        return f"{self.sentence} {self.upcoming}".rstrip()


@dataclass(frozen=True)
class VisitText:
    """What a visit came to, in words: a heading, what follows it, and every change when there are several."""

    heading: str
    detail: str = ""
    changes: tuple[Told, ...] = ()


def tell(change: Change, reader: Reader) -> Told:
    """Return a change in words, and with it what comes next: "Renews on January 3, 2027."."""
    upcoming: NextDate | None = getattr(change, "next", None)
    sentence = change.sentence(reader)
    if upcoming is None or isinstance(change, RenewalMoved):
        return Told(change.kind, sentence)
    return Told(change.kind, sentence, upcoming.sentence(reader))


def describe_visit(
    changes: Sequence[Change] | None,
    reader: Reader,
    *,
    place: str = "portal",
    plan: str | None = None,
    upcoming: NextDate | None = None,
) -> VisitText:
    """Return what a trip to the provider came to, in words.

    Args:
        changes: what changed; None when the state before was unknown.
        place: where the person was, "portal" or "checkout".
        plan, upcoming: the plan as it now is, said when nothing changed.
    """
    if changes is None:
        return VisitText("Your billing is up to date.")
    if not changes:
        where = "in the portal" if place == "portal" else "at checkout"
        sentences = [f"You made no changes {where}."]
        if plan and upcoming:
            verb = "its trial ends" if upcoming.what == "trial_ends" else upcoming.what
            what = f"and {verb} on {reader.date(upcoming.at)}"
            sentences.append(f"Your plan is still {plan} {what}.")
        elif plan:
            sentences.append(f"Your plan is still {plan}.")
        return VisitText("Nothing changed", " ".join(sentences))
    told = tuple(tell(change, reader) for change in changes)
    if len(told) == 1:
        return VisitText(told[0].sentence, told[0].upcoming)
    trip = "portal visit" if place == "portal" else "checkout"
    return VisitText(
        f"Your billing is up to date: {reader.plural(len(told), 'change', 'changes')} from your {trip}",
        changes=told,
    )


def _money(terms: Terms, reader: Reader) -> str:
    return reader.money(terms.unit_amount or 0, terms.currency)


def _invoice(number: str | None, *, start: bool = True) -> str:
    if number:
        return f"{'Invoice' if start else 'invoice'} {number}"
    return "An invoice" if start else "an invoice"
