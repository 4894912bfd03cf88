"""Invoices: made, charged, tried again, given back."""

from collections.abc import Sequence
from dataclasses import replace

from billing_ui.sandbox.core import cards
from billing_ui.sandbox.core.control import Outcome
from billing_ui.sandbox.core.outbox import Outbox
from billing_ui.sandbox.core.periods import DAY
from billing_ui.sandbox.core.store import Store, equals
from billing_ui.sandbox.shop.catalog import Catalog
from billing_ui.sandbox.shop.customers import Customers
from billing_ui.sandbox.shop.dialect import ChangeKind, Dialect
from billing_ui.sandbox.shop.errors import Impossible, PaymentFailed
from billing_ui.sandbox.shop.model import (
    Card,
    Invoice,
    InvoiceStatus,
    Json,
    Kind,
    Line,
    Reason,
    Status,
    Subscription,
)

RETRY_AFTER = (3 * DAY, 5 * DAY, 7 * DAY)
"""Seconds from each failed payment to the next try."""


class Invoicing(Customers, Catalog):
    """The shop's operations on invoices."""

    def __init__(
        self, store: Store, outbox: Outbox, dialect: Dialect, origin: str, name: str
    ) -> None:
        super().__init__(store, outbox, dialect, origin, name)
        self.after_dunning: Outcome = "cancel"
        """What becomes of a subscription whose invoice was tried in vain for the last time."""

    def bill(
        self, subscription: Subscription, lines: Sequence[Line], reason: Reason
    ) -> tuple[Subscription, Invoice]:
        """Make an invoice, less the subscription's credit; return both.

        Where the lines come to less than nothing, that is credit for later invoices.
        """
        entries = list(lines)
        owed = sum(line.amount for line in entries)
        period = subscription.period_start, subscription.period_end
        used = min(subscription.credit, max(owed, 0))
        if used:
            entries.append(_credit("Credit from earlier", -used, period))
        gained = max(-owed, 0)
        if gained:
            entries.append(_credit("Kept as credit for later invoices", gained, period))
        if used or gained:
            credit = subscription.credit - used + gained
            subscription = self.save(replace(subscription, credit=credit))
        total = sum(line.amount for line in entries)
        invoice = self.save(
            Invoice(
                id=self.new_id(Kind.INVOICE),
                created=self.now,
                updated=self.now,
                number=f"INV-{self.number('invoice'):06}",
                customer=subscription.customer,
                subscription=subscription.id,
                reason=reason,
                lines=tuple(entries),
                total=total,
                currency=subscription.currency,
                status=InvoiceStatus.OPEN,
                due=self.now,
            )
        )
        self.tell(ChangeKind.INVOICE_CREATED, invoice)
        return subscription, invoice

    def charge(self, invoice: Invoice, card: Card | None = None) -> Invoice:
        """Charge an open invoice to a card, the usual one when None; nothing else becomes of it.

        Raises:
            PaymentFailed: There is no card, or it was declined.
        """
        shown: Json | None = None
        if invoice.total:
            subscription = self.get(Subscription, invoice.subscription)
            chosen = card or self.card_charged(invoice.customer, subscription)
            if chosen is None:
                raise PaymentFailed("There is no payment method. Add one first.")
            try:
                cards.charge(chosen.number)
            except cards.CardProblem as problem:
                raise PaymentFailed(str(problem)) from None
            shown = {
                "brand": chosen.brand,
                "last4": chosen.last4,
                "exp_month": chosen.exp_month,
                "exp_year": chosen.exp_year,
            }
        paid = self.save(
            replace(
                invoice,
                status=InvoiceStatus.PAID,
                attempts=invoice.attempts + 1,
                next_attempt=None,
                paid_at=self.now,
                card=shown,
            )
        )
        self.tell(ChangeKind.INVOICE_PAID, paid, invoice)
        return paid

    def pay(self, invoice_id: str, card: Card | None = None) -> Invoice:
        """Pay an open invoice; a subscription that waited for it goes on.

        Args:
            invoice_id: Which.
            card: What is charged; the usual card when None.

        Raises:
            Missing: There is no such invoice.
            Impossible: It is not open.
            PaymentFailed: There is no card, or it was declined.
        """
        with self.together():
            invoice = self.get(Invoice, invoice_id)
            if invoice.status is not InvoiceStatus.OPEN:
                raise Impossible("This invoice is not open.")
            paid = self.charge(invoice, card)
            self._recover(paid.subscription)
        return paid

    def refund(self, invoice_id: str, amount: int | None = None) -> Invoice:
        """Give back some or all of what was paid, in minor units.

        Raises:
            Missing: There is no such invoice.
            Impossible: So much was not paid.
        """
        with self.together():
            before = self.get(Invoice, invoice_id)
            left = before.total - before.refunded
            given = left if amount is None else amount
            if before.status is not InvoiceStatus.PAID or not 0 < given <= left:
                raise Impossible("There is no such amount to give back.")
            status = InvoiceStatus.REFUNDED if given == left else before.status
            after = self.save(replace(before, status=status, refunded=before.refunded + given))
            self.tell(ChangeKind.INVOICE_REFUNDED, after, before)
        return after

    def open_invoices(self, subscription_id: str) -> list[Invoice]:
        """Return a subscription's open invoices, newest first."""
        return self.find(Invoice, equals("subscription", subscription_id), equals("status", "open"))

    def latest_invoice(self, subscription_id: str) -> Invoice | None:
        """Return a subscription's newest invoice; None when there was none yet."""
        found = self.find(Invoice, equals("subscription", subscription_id), limit=1)
        return next(iter(found), None)

    def _try(self, invoice: Invoice) -> bool:
        """Charge an open invoice; when that fails, note it and when to try again."""
        try:
            self.charge(invoice)
        except PaymentFailed:
            attempts = invoice.attempts + 1
            tries_left = attempts <= len(RETRY_AFTER)
            again = self.now + RETRY_AFTER[attempts - 1] if tries_left else None
            failed = self.save(replace(invoice, attempts=attempts, next_attempt=again))
            self.tell(ChangeKind.INVOICE_FAILED, failed, invoice)
            return False
        return True

    def _recover(self, subscription_id: str) -> None:
        before = self.get(Subscription, subscription_id)
        waiting = before.status in (Status.PAST_DUE, Status.UNPAID)
        if waiting and not self.open_invoices(subscription_id):
            after = self.save(replace(before, status=Status.ACTIVE))
            self.tell(ChangeKind.SUBSCRIPTION_RECOVERED, after, before)

    def _close_invoices(self, subscription_id: str, status: InvoiceStatus) -> None:
        for invoice in self.open_invoices(subscription_id):
            closed = self.save(replace(invoice, status=status, next_attempt=None))
            self.tell(ChangeKind.INVOICE_CLOSED, closed, invoice)


def _credit(description: str, amount: int, period: tuple[int, int]) -> Line:
    return Line(
        description=description,
        amount=amount,
        quantity=1,
        unit_amount=None,
        price=None,
        period_start=period[0],
        period_end=period[1],
    )
