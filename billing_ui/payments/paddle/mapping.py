"""Paddle's entities as ours: customers, subscriptions, payment methods and transactions."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from paddle_billing.Entities.Address import Address as PaddleAddress
from paddle_billing.Entities.Business import Business
from paddle_billing.Entities.Customer import Customer
from paddle_billing.Entities.PaymentMethod import PaymentMethod
from paddle_billing.Entities.Price import Price
from paddle_billing.Entities.Shared import CustomData, MethodDetails
from paddle_billing.Entities.Subscription import Subscription
from paddle_billing.Entities.Subscriptions import SubscriptionItem, SubscriptionNextTransaction
from paddle_billing.Entities.Transaction import Transaction

from billing_ui.payments.mapping import generation_in, team_in
from billing_ui.payments.types import (
    Address,
    NextInvoice,
    SnapshotCustomer,
    SnapshotInvoice,
    SnapshotItem,
    SnapshotPaymentMethod,
    SnapshotSubscription,
    SubscriptionState,
    TaxId,
)

STATES: Final = {
    "active": SubscriptionState.ACTIVE,
    "canceled": SubscriptionState.ENDED,
    "past_due": SubscriptionState.PAST_DUE,
    "paused": SubscriptionState.PAUSED,
    "trialing": SubscriptionState.TRIALING,
}
"""Paddle's status -> our state, before a scheduled end is looked at.

The SDK also knows `inactive`, of which Paddle says nothing but that nothing can be done with it: it is not guessed.
"""

INVOICE_STATUSES: Final = {
    "draft": "draft",
    "ready": "draft",
    "billed": "open",
    "past_due": "open",
    "paid": "paid",
    "completed": "paid",
    "canceled": "void",
}
"""A transaction's status -> that of an invoice. Between `paid` and `completed` Paddle only does its books."""

_UNPAID_CHECKOUTS: Final = frozenset({"draft", "ready"})
_METHOD_CHANGE: Final = "subscription_payment_method_change"
_PAID_WITH: Final = frozenset({"authorized", "captured"})

_CREDENTIALS: Final = frozenset({"management_urls", "checkout"})
"""Links that let somebody into the portal or pay: never stored."""


# ---------------------------------------------------------------- customers


def is_archived(customer: Customer) -> bool:
    """Return whether a customer is archived, the nearest that Paddle has to deleted."""
    return bool(customer.status.value == "archived")


def value_in(custom_data: CustomData | None, name: str) -> object:
    """Return a value of somebody's own data at Paddle, None when there is none of that name."""
    data = custom_data.data if custom_data is not None else None
    return data.get(name) if isinstance(data, Mapping) else None


def text_in(custom_data: CustomData | None, name: str) -> str:
    """Return a value of somebody's own data at Paddle as text, empty when there is none of that name."""
    value = value_in(custom_data, name)
    return "" if value is None else str(value)


def customer_of(
    customer: Customer,
    *,
    deleted: bool = False,
    address: PaddleAddress | None = None,
    businesses: Iterable[Business] = (),
) -> SnapshotCustomer:
    """Return a customer.

    Args:
        deleted: whether it counts as deleted.
        address: where it is billed.
        businesses: those it buys as.
    """
    return SnapshotCustomer(
        id=customer.id,
        deleted=deleted,
        team_id=team_in(text_in(customer.custom_data, "team_id")),
        generation=generation_in(text_in(customer.custom_data, "generation")),
        email=customer.email,
        name=customer.name,
        address=_address_of(address) if address else None,
        tax_ids=tuple(
            # Paddle keeps the number without its kind, which follows from the country.
            TaxId(type="tax_id", value=business.tax_identifier)
            for business in businesses
            if business.tax_identifier
        ),
    )


def _address_of(address: PaddleAddress) -> Address:
    return Address(
        line1=address.first_line,
        line2=address.second_line,
        city=address.city,
        state=address.region,
        postal_code=address.postal_code,
        country=address.country_code.value,
    )


def billing_address(
    addresses: Sequence[PaddleAddress], subscriptions: Iterable[Subscription]
) -> PaddleAddress | None:
    """Return the address that a live subscription is billed to, else the newest; `addresses` are newest first."""
    used = {one.address_id for one in subscriptions if state_of(one).live}
    return next((one for one in addresses if one.id in used), addresses[0] if addresses else None)


# ---------------------------------------------------------------- subscriptions


def state_of(subscription: Subscription) -> SubscriptionState:
    """Return our word for a subscription; a status we do not know is `UNKNOWN`, never a guess."""
    state = STATES.get(subscription.status.value, SubscriptionState.UNKNOWN)
    if state in (SubscriptionState.ACTIVE, SubscriptionState.TRIALING) and _ends_at(subscription):
        return SubscriptionState.CANCELING
    return state


def _ends_at(subscription: Subscription) -> datetime | None:
    return _scheduled(subscription, "cancel")


def _scheduled(subscription: Subscription, action: str) -> datetime | None:
    change = subscription.scheduled_change
    return utc(change.effective_at) if change and change.action.value == action else None


def _resumes_at(subscription: Subscription) -> datetime | None:
    """Return when a pause ends: of one that runs it is scheduled itself, of a coming one it stands beside it."""
    change = subscription.scheduled_change
    return _scheduled(subscription, "resume") or (utc(change.resume_at) if change else None)


def utc(moment: datetime | None) -> datetime | None:
    """Return a time in UTC."""
    return None if moment is None else moment.astimezone(UTC)


def subscription_of(subscription: Subscription, raw: Mapping[str, Any]) -> SnapshotSubscription:
    """Return a subscription.

    Args:
        subscription: as the SDK read it.
        raw: the JSON it was read from.
    """
    state = state_of(subscription)
    ended = state is SubscriptionState.ENDED
    period = subscription.current_billing_period
    currency = subscription.currency_code.value.lower()
    return SnapshotSubscription(
        id=subscription.id,
        status=subscription.status.value,
        state=state,
        currency=currency,
        created_at=subscription.created_at.astimezone(UTC),
        items=tuple(_item_of(item, subscription, currency) for item in subscription.items),
        current_period_start=utc(period.starts_at) if period else None,
        current_period_end=utc(period.ends_at) if period else None,
        cancel_at=None if ended else _ends_at(subscription),
        canceled_at=utc(subscription.canceled_at),
        ended_at=utc(subscription.canceled_at) if ended else None,
        trial_end=_trial_end(subscription),
        pauses_at=_scheduled(subscription, "pause"),
        resumes_at=_resumes_at(subscription),
        raw=without_credentials(raw),
    )


def _trial_end(subscription: Subscription) -> datetime | None:
    ends = [item.trial_dates.ends_at for item in subscription.items if item.trial_dates]
    return utc(max(ends, default=None))


def _item_of(item: SubscriptionItem, subscription: Subscription, currency: str) -> SnapshotItem:
    price, period = item.price, subscription.current_billing_period
    cycle = price.billing_cycle
    return SnapshotItem(
        # Paddle gives an item no id: of one subscription each price stands there once.
        id=f"{subscription.id}:{price.id}",
        price_id=price.id,
        product_id=price.product_id,
        plan_name=item.product.name,
        unit_label=text_in(item.product.custom_data, "unit_label") or None,
        quantity=item.quantity,
        unit_amount=unit_amount(price, currency),
        currency=currency,
        interval=cycle.interval.value if cycle else None,
        interval_count=cycle.frequency if cycle else 1,
        current_period_start=utc(period.starts_at) if period else None,
        current_period_end=utc(period.ends_at) if period else None,
    )


def unit_amount(price: Price, currency: str) -> int | None:
    """Return what one unit costs in `currency`, in minor units, before taxes that Paddle adds.

    None when the price does not say: Paddle converts into currencies that it has no amount for, and a
    currency that several countries share can have several amounts.
    """
    if currency_of(price) == currency:
        return int(price.unit_price.amount)
    amounts = {
        override.unit_price.amount
        for override in price.unit_price_overrides
        if str(override.unit_price.currency_code).lower() == currency
    }
    return int(amounts.pop()) if len(amounts) == 1 else None


def currency_of(price: Price) -> str:
    """Return the currency that a price is in everywhere it has no other one for, in lower case."""
    return str(price.unit_price.currency_code).lower()


# ---------------------------------------------------------------- payment methods


def payment_methods_of(
    saved: Iterable[PaymentMethod], transactions: Iterable[Transaction], *, live: bool
) -> tuple[SnapshotPaymentMethod, ...]:
    """Return what a customer pays with; the default one is what was last paid with.

    Args:
        saved: the payment methods that Paddle lists, which may be without the one that a subscription
            is paid with, when the shop does not let people save theirs.
        transactions: newest first.
        live: whether there is a subscription that keeps what was last paid with.
    """
    last = _last_payment(transactions)
    default = last[0] if last else None
    methods = [_method(method.id, method, is_default=method.id == default) for method in saved]
    if last and live and all(method.id != default for method in methods):
        methods.insert(0, _method(last[0], last[1], is_default=True))
    return tuple(methods)


def _last_payment(transactions: Iterable[Transaction]) -> tuple[str, MethodDetails] | None:
    for transaction in transactions:
        for payment in sorted(
            transaction.payments, key=lambda payment: payment.created_at, reverse=True
        ):
            if payment.status.value in _PAID_WITH:
                # Without an id it no longer exists.
                method_id = payment.payment_method_id
                return (method_id, payment.method_details) if method_id else None
    return None


def _method(
    method_id: str, details: PaymentMethod | MethodDetails, *, is_default: bool
) -> SnapshotPaymentMethod:
    card = details.card
    return SnapshotPaymentMethod(
        id=method_id,
        type=details.type.value,
        brand=card.type.value if card else None,
        last4=card.last4 if card else None,
        exp_month=card.expiry_month if card else None,
        exp_year=card.expiry_year if card else None,
        is_default=is_default,
    )


# ---------------------------------------------------------------- transactions


def is_invoice(transaction: Transaction) -> bool:
    """Return whether a transaction is one that was billed.

    Not one is a checkout that nobody has paid (yet), nor the transaction of nothing by which a trial
    begins or a payment method is exchanged.
    """
    if transaction.status.value in _UNPAID_CHECKOUTS or transaction.origin.value == _METHOD_CHANGE:
        return False
    if transaction.invoice_number:
        return True
    unpaid = transaction.status.value == "canceled" and transaction.billed_at is None
    return not unpaid and int(transaction.details.totals.total) > 0


def invoice_of(transaction: Transaction, raw: Mapping[str, Any]) -> SnapshotInvoice:
    """Return a transaction as an invoice; Paddle's PDF is made for an hour when it is asked for, so none is named."""
    totals = transaction.details.totals
    total, balance = int(totals.total), int(totals.balance)
    # What is charged once credit is taken off; Paddle leaves it out of the oldest ones.
    due = total if totals.grand_total is None else int(totals.grand_total)
    status = transaction.status.value
    # Nothing is owed of what was canceled, and nothing was paid: what was paid can no longer be canceled.
    void = INVOICE_STATUSES.get(status) == "void"
    failed = [payment for payment in transaction.payments if payment.status.value == "error"]
    return SnapshotInvoice(
        id=transaction.id,
        number=transaction.invoice_number,
        status=INVOICE_STATUSES.get(status, status),
        currency=transaction.currency_code.value.lower(),
        total=total,
        amount_due=due,
        amount_paid=0 if void else max(due - balance, 0),
        amount_remaining=0 if void else balance,
        created_at=transaction.created_at.astimezone(UTC),
        due_at=_due_at(transaction),
        attempt_count=len(failed) if INVOICE_STATUSES.get(status) == "open" else 0,
        subscription_id=transaction.subscription_id,
        raw=without_credentials(raw),
    )


def _due_at(transaction: Transaction) -> datetime | None:
    """Return until when a transaction is to be paid by hand; one charged by itself is due at once."""
    terms = transaction.billing_details.payment_terms if transaction.billing_details else None
    if terms is None or transaction.billed_at is None:
        return None
    days = {"day": 1, "week": 7}.get(terms.interval.value)
    if days is None:
        return None
    return transaction.billed_at.astimezone(UTC) + timedelta(days=days * terms.frequency)


def next_invoice_of(
    subscription: Subscription, foreseen: SubscriptionNextTransaction
) -> NextInvoice:
    """Return the next transaction of a subscription as Paddle foresees it."""
    totals = foreseen.details.totals
    prorated = [line for line in foreseen.details.line_items if line.proration]
    # What a change costs is counted from the moment of the change.
    moments = {line.proration.billing_period.starts_at for line in prorated if line.proration}
    return NextInvoice(
        subscription_id=subscription.id,
        at=utc(subscription.next_billed_at or foreseen.billing_period.starts_at),
        currency=totals.currency_code.value.lower(),
        amount_due=int(totals.total if totals.grand_total is None else totals.grand_total),
        total=int(totals.total),
        proration=sum(int(line.totals.total) for line in prorated),
        prorated_at=utc(moments.pop()) if len(moments) == 1 else None,
    )


def without_credentials(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return what Paddle says of something, without the links that let somebody in or pay."""
    return {name: value for name, value in raw.items() if name not in _CREDENTIALS}
