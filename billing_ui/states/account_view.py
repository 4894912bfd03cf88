"""Payment method, billing details, invoices and the age of it all, in words."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from billing_ui.billing.expiry import Expiry, expiry_of
from billing_ui.billing.invoices import InvoicePage, InvoiceRow
from billing_ui.billing.summary import BillingDetails, PaymentMethodSummary, PlanSummary
from billing_ui.billing.words import payment_method_label
from billing_ui.i18n import Reader
from billing_ui.payments.types import Address
from billing_ui.states.badges import Badge, invoice_badge

_EXPIRES_SOON: Final = timedelta(days=60)


@dataclass(frozen=True)
class PaymentView:
    """A payment method; `warning` is "Expired", "Expires soon" or nothing, and `note` says what follows from it."""

    label: str = ""
    expiry: str = ""
    warning: str = ""
    note: str = ""


@dataclass(frozen=True)
class Detail:
    """One line of the billing details."""

    term: str = ""
    text: str = ""


@dataclass(frozen=True)
class InvoiceView:
    """One row of the invoice table.

    Attributes:
        date_id, number_id: the elements that hold its date and its number.
        short_date: the date for narrow screens.
    """

    date_id: str = ""
    number_id: str = ""
    date: str = ""
    short_date: str = ""
    number: str = ""
    amount: str = ""
    badge: Badge = field(default_factory=Badge)
    pdf_url: str = ""


@dataclass(frozen=True)
class FreshnessView:
    """How old the data is; `age` is short ("2 h") and only set when it is out of date."""

    as_of: str = ""
    moment: str = ""
    title: str = ""
    age: str = ""
    ago: str = ""


def payment_view(
    method: PaymentMethodSummary | None,
    plans: Sequence[PlanSummary],
    reader: Reader,
    now: datetime,
) -> PaymentView:
    """Return a payment method in words, and whether it will outlast what `plans` charge; blank when there is none."""
    if method is None:
        return PaymentView()
    label = payment_method_label(method.type, method.brand, method.last4)
    expiry = expiry_of(method, plans, now)
    if expiry is None:
        return PaymentView(label)
    over = expiry.ends_at <= now
    soon = expiry.ends_at - now <= _EXPIRES_SOON
    verb = "Expired" if over else "Expires"
    return PaymentView(
        label=label,
        expiry=f"{verb} {method.exp_month:02}/{method.exp_year}",
        warning=verb if over else "Expires soon" if soon else "",
        note=_expiry_note(expiry, reader, over=over, soon=soon),
    )


def details_view(details: BillingDetails | None, reader: Reader) -> list[Detail]:
    """Return the billing details line by line, only those there are."""
    if details is None:
        return []
    tax_ids = ", ".join(tax_id.value for tax_id in details.tax_ids)
    lines = (
        Detail("Name", details.name or ""),
        Detail("E-mail", details.email or ""),
        Detail("Phone", details.phone or ""),
        Detail("Address", _address(details.address, reader)),
        Detail("Tax ID", tax_ids),
    )
    return [line for line in lines if line.text]


def invoice_views(page: InvoicePage, reader: Reader, now: datetime) -> list[InvoiceView]:
    """Return the rows of a page of invoices."""
    return [_invoice_view(row, place, reader, now) for place, row in enumerate(page.rows)]


def invoice_range(page: InvoicePage, reader: Reader) -> str:
    """Return which invoices are shown: "1–8 of 24", or "5 invoices" when that is all of them."""
    if page.first == 1 and page.last == page.total:
        return reader.plural(page.total, "invoice", "invoices")
    first, last, total = (reader.number(n) for n in (page.first, page.last, page.total))
    return f"{first}–{last} of {total}" if first != last else f"{last} of {total}"


def freshness_view(
    synced_at: datetime | None, *, stale: bool, reader: Reader, now: datetime
) -> FreshnessView:
    """Return when the data was fetched, with its age when it is `stale`."""
    if synced_at is None:
        return FreshnessView()
    age = max(now - synced_at, timedelta())
    today = synced_at.astimezone(reader.zone).date() == now.astimezone(reader.zone).date()
    return FreshnessView(
        as_of=reader.time(synced_at) if today else reader.short_date_and_time(synced_at),
        moment=synced_at.isoformat(timespec="seconds"),
        title=reader.date_and_time(synced_at),
        age=_short_age(age) if stale else "",
        ago=reader.ago(age) if stale else "",
    )


def _invoice_view(row: InvoiceRow, place: int, reader: Reader, now: datetime) -> InvoiceView:
    return InvoiceView(
        date_id=f"invoice-{place}-date",
        number_id=f"invoice-{place}",
        date=reader.date(row.created_at),
        short_date=reader.short_date(row.created_at),
        number=row.number or "–",
        amount=reader.money(row.total, row.currency),
        badge=invoice_badge(row.status, row.due_at, now),
        pdf_url=row.pdf_url or "",
    )


def _address(address: Address | None, reader: Reader) -> str:
    if address is None:
        return ""
    town = " ".join(part for part in (address.postal_code, address.city) if part)
    country = reader.country(address.country) if address.country else None
    parts = (address.line1, address.line2, town, address.state, country)
    return ", ".join(part for part in parts if part)


def _short_age(age: timedelta) -> str:
    minutes = int(age.total_seconds()) // 60
    if minutes < 60:
        return f"{minutes} min" if minutes else "under 1 min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // (24 * 60)} d"


def _expiry_note(expiry: Expiry, reader: Reader, *, over: bool, soon: bool) -> str:
    if expiry.misses is None:
        return ""
    if over:
        return f"Update it before {reader.date(expiry.misses)} to keep {expiry.plan}."
    if expiry.pays is None:
        invoice = f"{reader.day(expiry.misses)} invoice"
        return f"This card expires before your {invoice}. Update it to keep {expiry.plan}."
    if not soon:
        return ""
    return (
        f"This card pays your {reader.day(expiry.pays)} invoice, then expires."
        f" Update it before {reader.date(expiry.misses)}."
    )
