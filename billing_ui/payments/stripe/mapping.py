"""Stripe's objects as ours: customers, subscriptions, payment methods and invoices."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

import stripe

from billing_ui.clock import from_unix
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

STATES = {
    "active": SubscriptionState.ACTIVE,
    "canceled": SubscriptionState.ENDED,
    "incomplete": SubscriptionState.INCOMPLETE,
    "incomplete_expired": SubscriptionState.ENDED,
    "past_due": SubscriptionState.PAST_DUE,
    "paused": SubscriptionState.PAUSED,
    "trialing": SubscriptionState.TRIALING,
    "unpaid": SubscriptionState.UNPAID,
}
"""Stripe's status -> our state, before a scheduled end or a pause of collection is looked at."""

LOCALES = (
    *("bg", "cs", "da", "de", "el", "en", "en-GB", "es", "es-419", "et", "fi", "fil", "fr"),
    *("fr-CA", "hr", "hu", "id", "it", "ja", "ko", "lt", "lv", "ms", "mt", "nb", "nl", "pl"),
    *("pt", "pt-BR", "ro", "ru", "sk", "sl", "sv", "th", "tr", "vi", "zh", "zh-HK", "zh-TW"),
)
"""The languages in which Stripe has both its portal and its checkout."""

_LOCALE_BY_LOWER = {locale.lower(): locale for locale in LOCALES}


class HasId(Protocol):
    """An expanded object of the SDK."""

    id: str


class HasMetadata(Protocol):
    """An object of the SDK that carries metadata."""

    @property
    def metadata(self) -> stripe.StripeObject | None:
        """Names and values that Stripe keeps for us."""
        ...


def id_of(value: str | HasId | None) -> str | None:
    """Return the id of an expandable field, expanded or not."""
    return value if value is None or isinstance(value, str) else value.id


def moment(seconds: int | None) -> datetime | None:
    """Return Unix time as an aware UTC datetime."""
    return None if seconds is None else from_unix(seconds)


def locale_of(tag: str | None) -> str | None:
    """Return Stripe's locale nearest to an IETF language tag, None to let Stripe choose."""
    parts = (tag or "").replace("_", "-").lower().split("-")
    for length in range(len(parts), 0, -1):
        if found := _LOCALE_BY_LOWER.get("-".join(parts[:length])):
            return found
    return None


def state_of(subscription: stripe.Subscription) -> SubscriptionState:
    """Return our word for a subscription; a status we do not know is `UNKNOWN`, never a guess."""
    state = STATES.get(subscription.status, SubscriptionState.UNKNOWN)
    if state not in (SubscriptionState.ACTIVE, SubscriptionState.TRIALING):
        return state
    # The portal sets `cancel_at` alone on flexible-billing subscriptions, the default for new ones.
    if subscription.cancel_at_period_end or subscription.cancel_at is not None:
        return SubscriptionState.CANCELING
    # Pausing the collection of payments leaves Stripe's status as it was.
    return SubscriptionState.PAUSED if subscription.pause_collection else state


def is_deleted(customer: stripe.Customer) -> bool:
    """Return whether what Stripe answers is the tombstone of a customer."""
    return bool(_optional(customer, "deleted"))


def customer_of(customer: stripe.Customer) -> SnapshotCustomer:
    """Return a customer; of a deleted one Stripe keeps nothing but the id."""
    if is_deleted(customer):
        return SnapshotCustomer(id=customer.id, deleted=True)
    tax_ids = customer.tax_ids if "tax_ids" in customer else None
    return SnapshotCustomer(
        id=customer.id,
        team_id=team_in(metadata_of(customer, "team_id")),
        generation=generation_in(metadata_of(customer, "generation")),
        email=customer.email,
        name=customer.name,
        phone=customer.phone,
        address=_address_of(customer.address),
        tax_ids=tuple(TaxId(type=tax_id.type, value=tax_id.value) for tax_id in tax_ids or ()),
        currency=customer.currency,
    )


def metadata_of(thing: HasMetadata, name: str) -> str:
    """Return a metadata value, empty when there is none of that name."""
    metadata = thing.metadata
    return str(metadata[name]) if metadata is not None and name in metadata else ""


def _address_of(address: stripe.Customer.Address | None) -> Address | None:
    if address is None:
        return None
    return Address(
        line1=address.line1,
        line2=address.line2,
        city=address.city,
        state=address.state,
        postal_code=address.postal_code,
        country=address.country,
    )


def subscription_of(
    subscription: stripe.Subscription,
    items: Sequence[stripe.SubscriptionItem],
    prices: Mapping[str, stripe.Price],
) -> SnapshotSubscription:
    """Return a subscription with its items.

    Args:
        subscription: as Stripe answers it.
        items: all its items; the subscription itself holds ten at most.
        prices: price id -> price with its product, and with its currency options where the currency is another.
    """
    state = state_of(subscription)
    # Periods stand on the items only, and may differ: the next renewal is the earliest end.
    renewing = min(items, key=lambda item: item.current_period_end, default=None)
    period_end = moment(renewing.current_period_end) if renewing else None
    cancel_at = moment(subscription.cancel_at)
    if cancel_at is None and subscription.cancel_at_period_end:
        cancel_at = period_end
    pause = subscription.pause_collection
    return SnapshotSubscription(
        id=subscription.id,
        status=subscription.status,
        state=state,
        currency=subscription.currency,
        created_at=from_unix(subscription.created),
        items=tuple(_item_of(item, subscription.currency, prices) for item in items),
        current_period_start=moment(renewing.current_period_start) if renewing else None,
        current_period_end=period_end,
        cancel_at=None if state is SubscriptionState.ENDED else cancel_at,
        canceled_at=moment(subscription.canceled_at),
        ended_at=moment(subscription.ended_at),
        trial_end=moment(subscription.trial_end),
        ends_unpaid=_ends_unpaid(subscription),
        resumes_at=moment(pause.resumes_at) if pause else None,
        raw=subscription.to_dict(for_json=True),
    )


def _ends_unpaid(subscription: stripe.Subscription) -> bool:
    settings = _optional(subscription, "trial_settings")
    end = _optional(settings, "end_behavior")
    return _optional(end, "missing_payment_method") == "cancel"


def _item_of(
    item: stripe.SubscriptionItem, currency: str, prices: Mapping[str, stripe.Price]
) -> SnapshotItem:
    price = prices.get(item.price.id, item.price)
    recurring = price.recurring
    return SnapshotItem(
        id=item.id,
        price_id=price.id,
        product_id=id_of(price.product) or "",
        plan_name=_plan_name(price),
        unit_label=_unit_label(price),
        # Metered items have no quantity.
        quantity=item.quantity if "quantity" in item else None,
        unit_amount=unit_amount(price, currency),
        currency=currency,
        interval=recurring.interval if recurring else None,
        interval_count=recurring.interval_count if recurring else 1,
        current_period_start=from_unix(item.current_period_start),
        current_period_end=from_unix(item.current_period_end),
    )


def _plan_name(price: stripe.Price) -> str:
    product = price.product
    # A deleted product leaves its id behind, and nothing else.
    if not isinstance(product, str) and not _optional(product, "deleted"):
        return product.name
    return price.nickname or id_of(product) or price.id


def _unit_label(price: stripe.Price) -> str | None:
    return None if isinstance(price.product, str) else _optional_text(price.product, "unit_label")


def unit_amount(price: stripe.Price, currency: str) -> int | None:
    """Return what one unit costs in `currency`, in minor units.

    None when nothing is paid by the unit (tiers, packages, metered use), or it is not for sale in that currency.
    """
    if (
        _optional(price, "transform_quantity")
        or _optional(price.recurring, "usage_type") == "metered"
    ):
        return None
    if currency == price.currency:
        return price.unit_amount
    options = price.currency_options if "currency_options" in price else None
    return options[currency].unit_amount if options and currency in options else None


def default_payment_method(
    customer: stripe.Customer, subscriptions: Iterable[stripe.Subscription]
) -> str | None:
    """Return the id of what the customer pays with: their default, else that of a live subscription."""
    settings = customer.invoice_settings
    if settings and (chosen := id_of(settings.default_payment_method)):
        return chosen
    for subscription in subscriptions:
        chosen = id_of(subscription.default_payment_method)
        if chosen and state_of(subscription).live:
            return chosen
    return id_of(customer.default_source)


def payment_method_of(
    method: stripe.PaymentMethod, default: str | None = None
) -> SnapshotPaymentMethod:
    """Return a payment method; `default` is the id of the customer's default one."""
    # Each type has its details in a field of its own name: card, sepa_debit, us_bank_account …
    details = _optional(method, method.type)
    brand = _optional(details, "brand") or _optional(details, "bank_name")
    last4 = _optional(details, "last4")
    month, year = _optional(details, "exp_month"), _optional(details, "exp_year")
    return SnapshotPaymentMethod(
        id=method.id,
        type=method.type,
        brand=brand if isinstance(brand, str) else None,
        last4=last4 if isinstance(last4, str) else None,
        exp_month=month if isinstance(month, int) else None,
        exp_year=year if isinstance(year, int) else None,
        is_default=method.id == default,
    )


def invoice_of(invoice: stripe.Invoice) -> SnapshotInvoice:
    """Return an invoice."""
    parent = invoice.parent.subscription_details if invoice.parent else None
    return SnapshotInvoice(
        id=invoice.id,
        number=invoice.number,
        status=invoice.status or "unknown",
        currency=invoice.currency,
        total=invoice.total,
        amount_due=invoice.amount_due,
        amount_paid=invoice.amount_paid,
        amount_remaining=invoice.amount_remaining,
        created_at=from_unix(invoice.created),
        due_at=moment(invoice.due_date),
        next_attempt_at=moment(invoice.next_payment_attempt),
        attempt_count=invoice.attempt_count,
        subscription_id=id_of(parent.subscription) if parent else None,
        hosted_url=_optional_text(invoice, "hosted_invoice_url"),
        pdf_url=_optional_text(invoice, "invoice_pdf"),
        raw=invoice.to_dict(for_json=True),
    )


def next_invoice_of(preview: stripe.Invoice) -> NextInvoice:
    """Return what a preview foresees; what it says of changes is left out when it does not list all its lines."""
    parent = preview.parent.subscription_details if preview.parent else None
    lines = [] if preview.lines.has_more else preview.lines.data
    prorated = [line for line in lines if _is_proration(line)]
    # What a change costs or gives back is counted from the moment of the change.
    moments = {line.period.start for line in prorated}
    return NextInvoice(
        subscription_id=id_of(parent.subscription) if parent else None,
        # The usage period of a renewal looks back: it ends when the next one begins.
        at=moment(preview.period_end),
        currency=preview.currency,
        amount_due=preview.amount_due,
        total=preview.total,
        proration=sum(line.amount for line in prorated),
        prorated_at=moment(moments.pop()) if len(moments) == 1 else None,
    )


def _is_proration(line: stripe.InvoiceLineItem) -> bool:
    if line.parent is None:
        return False
    item = line.parent.subscription_item_details or line.parent.invoice_item_details
    return bool(item and item.proration)


def _optional(value: object, name: str) -> object:
    """Return a field that Stripe leaves out of some answers, None when it did."""
    return value[name] if isinstance(value, stripe.StripeObject) and name in value else None


def _optional_text(value: stripe.StripeObject, name: str) -> str | None:
    found = _optional(value, name)
    return found if isinstance(found, str) else None
