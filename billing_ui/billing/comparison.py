"""What differs between two snapshots of one customer, as named changes."""

from collections.abc import Iterator, Sequence
from typing import Final

from billing_ui.billing.changes import (
    DETAIL_FIELDS,
    BillingDetailsChanged,
    CancellationScheduled,
    CancellationWithdrawn,
    Change,
    CustomerRemoved,
    InvoiceFailed,
    InvoicePaid,
    ItemAdded,
    ItemRemoved,
    NextDate,
    PauseScheduled,
    PauseWithdrawn,
    PaymentMethodAdded,
    PaymentMethodChanged,
    PaymentMethodRemoved,
    PaymentMethodRenewed,
    PlanChanged,
    QuantityChanged,
    RenewalMoved,
    StatusChanged,
    SubscriptionEnded,
    SubscriptionStarted,
    Terms,
)
from billing_ui.billing.words import payment_method_label
from billing_ui.payments.types import (
    Snapshot,
    SnapshotCustomer,
    SnapshotInvoice,
    SnapshotItem,
    SnapshotPaymentMethod,
    SnapshotSubscription,
    SubscriptionState,
)

_RENEWING: Final = frozenset(
    {
        SubscriptionState.ACTIVE,
        SubscriptionState.TRIALING,
        SubscriptionState.PAST_DUE,
        SubscriptionState.UNPAID,
    }
)


def compare(before: Snapshot | None, after: Snapshot) -> tuple[Change, ...]:
    """Return what differs between two full snapshots of one customer, the most important first.

    Args:
        before: None stands for a customer that had nothing yet: only what started is new then.
    """
    if before is None:
        return tuple(
            _started(subscription)
            for subscription in after.subscriptions
            if subscription.state.live
        )
    return (
        *_customer_changes(before.customer, after.customer),
        *_subscription_changes(before.subscriptions, after.subscriptions),
        *_payment_method_changes(before.payment_methods, after.payment_methods),
        *_detail_changes(before.customer, after.customer),
        *_invoice_changes(before.invoices, after.invoices),
    )


def default_payment_method(
    methods: Sequence[SnapshotPaymentMethod],
) -> SnapshotPaymentMethod | None:
    """Return the one that pays the next invoice: the default one, or the only one."""
    return min(
        (method for method in methods if method.is_default),
        key=lambda method: method.id,
        default=methods[0] if len(methods) == 1 else None,
    )


def next_date(subscription: SnapshotSubscription) -> NextDate | None:
    """Return what happens to a subscription next, or None when the provider does not say."""
    if subscription.cancel_at:
        return NextDate(what="cancels", at=subscription.cancel_at)
    if subscription.state is SubscriptionState.TRIALING and subscription.trial_end:
        return NextDate(what="trial_ends", at=subscription.trial_end)
    if subscription.pauses_at:
        return NextDate(what="pauses", at=subscription.pauses_at)
    if subscription.current_period_end and subscription.state in _RENEWING:
        return NextDate(what="renews", at=subscription.current_period_end)
    return None


def _customer_changes(before: SnapshotCustomer, after: SnapshotCustomer) -> Iterator[Change]:
    if after.deleted and not before.deleted:
        yield CustomerRemoved()


def _subscription_changes(
    before: Sequence[SnapshotSubscription], after: Sequence[SnapshotSubscription]
) -> Iterator[Change]:
    earlier = {subscription.id: subscription for subscription in before}
    later = {subscription.id: subscription for subscription in after}
    going_on = {s.id for s in (*before, *after) if s.state.live}
    for subscription in after:
        known = earlier.get(subscription.id)
        if known is None or _ended(known):
            if not _ended(subscription):
                yield _started(subscription)
        elif _ended(subscription):
            yield _subscription_ended(subscription)
        else:
            yield from _changes_within(known, subscription, sole=len(going_on) <= 1)
    for subscription in before:
        if subscription.id not in later and not _ended(subscription):
            yield _subscription_ended(subscription)


def _changes_within(
    before: SnapshotSubscription, after: SnapshotSubscription, *, sole: bool
) -> Iterator[Change]:
    changes: list[Change] = list(_item_changes(before, after))
    plan = _plan(after)
    if after.cancel_at and after.cancel_at != before.cancel_at:
        changes.append(
            CancellationScheduled(
                subscription_id=after.id, plan=plan, sole=sole, cancel_at=after.cancel_at
            )
        )
    elif before.cancel_at and not after.cancel_at:
        changes.append(
            CancellationWithdrawn(
                subscription_id=after.id, plan=plan, sole=sole, next=next_date(after)
            )
        )
    changes += _pause_changes(before, after, sole=sole)
    if _status_changed(before, after):
        changes.append(
            StatusChanged(
                subscription_id=after.id,
                plan=plan,
                before=before.state,
                after=after.state,
                status=after.status,
                next=next_date(after),
            )
        )
    upcoming = next_date(after)
    # The other changes tell the new date themselves.
    if (
        upcoming
        and upcoming.what not in ("cancels", "pauses")
        and upcoming != next_date(before)
        and not any(hasattr(change, "next") for change in changes)
    ):
        changes.append(RenewalMoved(subscription_id=after.id, plan=plan, next=upcoming))
    yield from changes


def _pause_changes(
    before: SnapshotSubscription, after: SnapshotSubscription, *, sole: bool
) -> Iterator[Change]:
    if after.pauses_at and after.pauses_at != before.pauses_at:
        yield PauseScheduled(
            subscription_id=after.id, plan=_plan(after), sole=sole, pauses_at=after.pauses_at
        )
    # What is paused by now, or going to end instead, tells so itself.
    elif (
        before.pauses_at
        and not after.pauses_at
        and after.state in _RENEWING
        and not after.cancel_at
    ):
        yield PauseWithdrawn(
            subscription_id=after.id, plan=_plan(after), sole=sole, next=next_date(after)
        )


def _status_changed(before: SnapshotSubscription, after: SnapshotSubscription) -> bool:
    if after.state is SubscriptionState.CANCELING or after.state is before.state:
        return before.state is after.state is SubscriptionState.UNKNOWN and (
            before.status != after.status
        )
    # A subscription that is no longer going to end is active again: that is told as a withdrawal.
    return not (before.state is SubscriptionState.CANCELING and before.status == after.status)


def _item_changes(before: SnapshotSubscription, after: SnapshotSubscription) -> Iterator[Change]:
    kept = {item.id for item in before.items} & {item.id for item in after.items}
    earlier = {item.id: item for item in before.items}
    gone = [item for item in before.items if item.id not in kept]
    new = [item for item in after.items if item.id not in kept]
    # A provider may replace an item instead of changing it: the first that went became the first that came.
    pairs = [(earlier[item.id], item) for item in after.items if item.id in kept]
    pairs += zip(gone, new, strict=False)
    for old, item in pairs:
        yield from _changes_of_item(after, old, item)
    for item in new[len(gone) :]:
        yield ItemAdded(subscription_id=after.id, plan=item.plan_name)
    for item in gone[len(new) :]:
        yield ItemRemoved(subscription_id=after.id, plan=item.plan_name)


def _changes_of_item(
    subscription: SnapshotSubscription, before: SnapshotItem, after: SnapshotItem
) -> Iterator[Change]:
    other_price = before.price_id != after.price_id
    if other_price:
        yield PlanChanged(
            subscription_id=subscription.id,
            before=_terms(before),
            after=_terms(after),
            next=next_date(subscription),
        )
    # Leaving a plan that counts seats for one that does not is no change of a quantity.
    if (
        after.quantity is not None
        and after.quantity != before.quantity
        and (after.unit_label or not other_price)
    ):
        yield QuantityChanged(
            subscription_id=subscription.id,
            plan=after.plan_name,
            unit_label=after.unit_label,
            before=before.quantity,
            after=after.quantity,
        )


def _payment_method_changes(
    before: Sequence[SnapshotPaymentMethod], after: Sequence[SnapshotPaymentMethod]
) -> Iterator[Change]:
    earlier = {method.id: method for method in before}
    kept = {method.id for method in after}
    old, new = default_payment_method(before), default_payment_method(after)
    told: set[str] = set()
    if new and before and (old is None or old.id != new.id):
        yield PaymentMethodChanged(label=_label(new))
        told = {new.id, old.id} if old else {new.id}
    for method in after:
        known = earlier.get(method.id)
        if known is None and method.id not in told:
            yield PaymentMethodAdded(label=_label(method))
        elif known and method.exp_month and method.exp_year and _expiry(known) != _expiry(method):
            yield PaymentMethodRenewed(
                label=_label(method), exp_month=method.exp_month, exp_year=method.exp_year
            )
    for method in before:
        if method.id not in kept and method.id not in told:
            yield PaymentMethodRemoved(label=_label(method))


def _detail_changes(before: SnapshotCustomer, after: SnapshotCustomer) -> Iterator[Change]:
    if after.deleted:
        return
    fields = tuple(name for name in DETAIL_FIELDS if getattr(before, name) != getattr(after, name))
    if fields:
        yield BillingDetailsChanged(fields=fields)


def _invoice_changes(
    before: Sequence[SnapshotInvoice], after: Sequence[SnapshotInvoice]
) -> Iterator[Change]:
    earlier = {invoice.id: invoice for invoice in before}
    # Snapshots hold the newest invoices only: an old one that comes back into view is no news.
    newest = max((invoice.created_at for invoice in before), default=None)
    for invoice in after:
        known = earlier.get(invoice.id)
        if known is None and newest and invoice.created_at < newest:
            continue
        if invoice.status == "paid" and invoice.total > 0:
            if known is None or known.status != "paid":
                yield InvoicePaid(
                    invoice_id=invoice.id,
                    number=invoice.number,
                    total=invoice.total,
                    currency=invoice.currency,
                )
        elif (
            invoice.status == "open"
            and invoice.amount_remaining > 0
            and invoice.attempt_count > (known.attempt_count if known else 0)
        ):
            yield InvoiceFailed(
                invoice_id=invoice.id,
                number=invoice.number,
                amount=invoice.amount_remaining,
                currency=invoice.currency,
                next_attempt_at=invoice.next_attempt_at,
            )


def _ended(subscription: SnapshotSubscription) -> bool:
    return subscription.state is SubscriptionState.ENDED


def _started(subscription: SnapshotSubscription) -> SubscriptionStarted:
    return SubscriptionStarted(
        subscription_id=subscription.id,
        plan=_plan(subscription),
        state=subscription.state,
        next=next_date(subscription),
    )


def _subscription_ended(subscription: SnapshotSubscription) -> SubscriptionEnded:
    return SubscriptionEnded(
        subscription_id=subscription.id, plan=_plan(subscription), ended_at=subscription.ended_at
    )


def _plan(subscription: SnapshotSubscription) -> str:
    return subscription.items[0].plan_name if subscription.items else "Your plan"


def _terms(item: SnapshotItem) -> Terms:
    return Terms(
        plan=item.plan_name,
        unit_amount=item.unit_amount,
        currency=item.currency,
        interval=item.interval,
        interval_count=item.interval_count,
    )


def _label(method: SnapshotPaymentMethod) -> str:
    return payment_method_label(method.type, method.brand, method.last4)


def _expiry(method: SnapshotPaymentMethod) -> tuple[int | None, int | None]:
    return method.exp_year, method.exp_month
