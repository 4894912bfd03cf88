"""Subscriptions: begun, changed, canceled, paused."""

from dataclasses import replace

from billing_ui.sandbox.core.periods import DAY, add_interval, unused_share
from billing_ui.sandbox.shop.dialect import ChangeKind
from billing_ui.sandbox.shop.errors import Impossible
from billing_ui.sandbox.shop.invoicing import Invoicing
from billing_ui.sandbox.shop.model import (
    Customer,
    InvoiceStatus,
    Json,
    Kind,
    Line,
    Price,
    Product,
    Reason,
    Status,
    Subscription,
)

_CHANGEABLE = (Status.ACTIVE, Status.TRIALING, Status.PAST_DUE)


class Subscriptions(Invoicing):
    """The shop's operations on subscriptions."""

    def subscribe(
        self,
        customer_id: str,
        price_id: str,
        quantity: int = 1,
        *,
        trial_days: int | None = None,
        invoice_id: str | None = None,
        metadata: Json | None = None,
        extra: Json | None = None,
    ) -> Subscription:
        """Begin a subscription, with a trial or paid at once by the customer's default card.

        Args:
            customer_id: Who.
            price_id: What.
            quantity: How many units.
            trial_days: How long it is free at first; what the price says when None.
            invoice_id: The id of the first invoice, instead of one of the dialect's.
            metadata: The subscription's.
            extra: See `Record`.

        Raises:
            Missing: There is no such customer or price.
            Impossible: The customer was deleted, or the price cannot be bought so.
            PaymentFailed: There is no card, or it was declined; nothing was begun.
        """
        with self.together():
            customer, price = self.living_customer(customer_id), self._buyable(price_id, quantity)
            days = price.trial_days if trial_days is None else trial_days
            first_end = add_interval(self.now, price.interval, price.interval_count)
            end = self.now + days * DAY if days else first_end
            subscription = self.save(
                Subscription(
                    id=self.new_id(Kind.SUBSCRIPTION),
                    created=self.now,
                    updated=self.now,
                    customer=customer.id,
                    price=price.id,
                    product=price.product,
                    quantity=quantity,
                    currency=price.currency,
                    status=Status.TRIALING if days else Status.ACTIVE,
                    anchor=end if days else self.now,
                    period_start=self.now,
                    period_end=end,
                    trial_end=end if days else None,
                    metadata=metadata or {},
                    extra=extra or {},
                )
            )
            self.tell(ChangeKind.SUBSCRIPTION_CREATED, subscription)
            if days:
                return subscription
            with self.wishing(invoice_id):
                _, invoice = self.bill(subscription, [self._line(subscription)], Reason.PURCHASE)
            self.charge(invoice)
            self.tell(ChangeKind.SUBSCRIPTION_ACTIVATED, subscription, subscription)
        return subscription

    def change_plan(
        self, subscription_id: str, price_id: str | None = None, quantity: int | None = None
    ) -> Subscription:
        """Change price or quantity; the difference for the rest of the period is paid at once.

        Another interval begins a new period. A trial goes on, and nothing is paid.

        Raises:
            Missing: There is no such subscription or price.
            Impossible: It has ended, is paused or canceled, or the price cannot be bought so.
            PaymentFailed: There is no card, or it was declined; nothing was changed.
        """
        with self.together():
            before = self.get(Subscription, subscription_id)
            if before.status not in _CHANGEABLE:
                raise Impossible(f"The subscription is {before.status.replace('_', ' ')}.")
            if before.cancel_at_period_end:
                raise Impossible("The subscription is canceled.")
            wanted = before.quantity if quantity is None else quantity
            price = self._buyable(price_id or before.price, wanted, known=before.price)
            if price.currency != before.currency:
                raise Impossible("A subscription keeps its currency.")
            after = replace(before, price=price.id, product=price.product, quantity=wanted)
            if after == before:
                return before
            if before.status is Status.TRIALING:
                after = self.save(after)
                self.tell(ChangeKind.SUBSCRIPTION_UPDATED, after, before)
                return after
            return self._change_paid(before, after, price)

    def cancel(
        self, subscription_id: str, *, reason: str | None = None, comment: str | None = None
    ) -> Subscription:
        """Let a subscription end with the present period.

        Raises:
            Missing: There is no such subscription.
            Impossible: It has ended, or is canceled already.
        """
        with self.together():
            before = self._running(subscription_id)
            if before.cancel_at_period_end:
                raise Impossible("The subscription is canceled already.")
            if before.next_due is None or before.period_end <= self.now:
                # Unpaid, or paused beyond its period: there is nothing left to wait for.
                return self.end_now(subscription_id, reason=reason, comment=comment)
            after = self.save(
                replace(
                    before,
                    cancel_at_period_end=True,
                    canceled_at=self.now,
                    cancel_reason=reason,
                    cancel_comment=comment,
                )
            )
            self.tell(ChangeKind.SUBSCRIPTION_CANCEL_SCHEDULED, after, before)
        return after

    def keep(self, subscription_id: str) -> Subscription:
        """Take a cancellation back that has not happened yet.

        Raises:
            Missing: There is no such subscription.
            Impossible: It has ended, or is not canceled.
        """
        with self.together():
            before = self._running(subscription_id)
            if not before.cancel_at_period_end:
                raise Impossible("The subscription is not canceled.")
            after = self.save(
                replace(
                    before,
                    cancel_at_period_end=False,
                    canceled_at=None,
                    cancel_reason=None,
                    cancel_comment=None,
                )
            )
            self.tell(ChangeKind.SUBSCRIPTION_KEPT, after, before)
        return after

    def end_now(
        self,
        subscription_id: str,
        *,
        reason: str | None = None,
        comment: str | None = None,
        unpaid: bool = False,
    ) -> Subscription:
        """End a subscription at once; nothing is given back.

        Args:
            subscription_id: Which.
            reason: Why, such as `too_expensive`.
            comment: Why, in the customer's own words.
            unpaid: Whether that is because of an invoice that could not be collected.

        Raises:
            Missing: There is no such subscription.
            Impossible: It has ended already.
        """
        with self.together():
            before = self._running(subscription_id)
            closed = InvoiceStatus.UNCOLLECTIBLE if unpaid else InvoiceStatus.VOID
            self._close_invoices(subscription_id, closed)
            after = self.save(
                replace(
                    before,
                    status=Status.ENDED,
                    ended_at=self.now,
                    canceled_at=before.canceled_at or self.now,
                    cancel_reason=before.cancel_reason or reason,
                    cancel_comment=before.cancel_comment or comment,
                )
            )
            self.tell(ChangeKind.SUBSCRIPTION_ENDED, after, before)
        return after

    def pause(self, subscription_id: str, resumes_at: int | None = None) -> Subscription:
        """Pause a subscription, until a Unix time or until somebody resumes it.

        Raises:
            Missing: There is no such subscription.
            Impossible: It is not active, or is canceled.
        """
        with self.together():
            before = self._running(subscription_id)
            if before.status is not Status.ACTIVE or before.cancel_at_period_end:
                raise Impossible("Only an active subscription can be paused.")
            after = self.save(
                replace(before, status=Status.PAUSED, paused_at=self.now, resumes_at=resumes_at)
            )
            self.tell(ChangeKind.SUBSCRIPTION_PAUSED, after, before)
        return after

    def resume(self, subscription_id: str) -> Subscription:
        """Let a paused subscription go on; where its period is over, a new one begins and is billed.

        Raises:
            Missing: There is no such subscription.
            Impossible: It is not paused.
        """
        with self.together():
            before = self._running(subscription_id)
            if before.status is not Status.PAUSED:
                raise Impossible("The subscription is not paused.")
            after = replace(before, status=Status.ACTIVE, paused_at=None, resumes_at=None)
            over = before.period_end <= self.now
            if over:
                after = self._from_now_on(after, self.get(Price, before.price))
            after = self.save(after)
            self.tell(ChangeKind.SUBSCRIPTION_RESUMED, after, before)
            if over:
                self._collect(after, Reason.RENEWAL)
        return self.get(Subscription, subscription_id)

    def delete_customer(self, customer_id: str) -> Customer:
        """Delete a customer, whose subscriptions end and whose cards are forgotten.

        Raises:
            Missing: There is no such customer.
            Impossible: It was deleted already.
        """
        with self.together():
            before = self.living_customer(customer_id)
            for subscription in self.find(Subscription, customer=customer_id):
                if subscription.live:
                    self.end_now(subscription.id)
            for card in self.cards(customer_id):
                self.forget(card)
            after = self.save(replace(before, deleted_at=self.now))
            self.tell(ChangeKind.CUSTOMER_DELETED, after, before)
        return after

    # ----------------------------------------------------------------------------------- inside

    def _running(self, subscription_id: str) -> Subscription:
        subscription = self.get(Subscription, subscription_id)
        if not subscription.live:
            raise Impossible("The subscription has ended.")
        return subscription

    def _buyable(self, price_id: str, quantity: int, known: str | None = None) -> Price:
        """Return a price that can be had so often; an archived one only by who has it."""
        price = self.get(Price, price_id)
        archived = price.archived or self.get(Product, price.product).archived
        if archived and price_id != known:
            raise Impossible(f"The price {price_id} is not on sale.")
        if quantity < 1 or (quantity > 1 and not price.per_unit):
            raise Impossible(f"The price {price_id} cannot be had {quantity} times.")
        return price

    def _change_paid(self, before: Subscription, after: Subscription, price: Price) -> Subscription:
        """Make a change that is paid at once."""
        old_price = self.get(Price, before.price)
        rhythm = (price.interval, price.interval_count)
        same_rhythm = rhythm == (old_price.interval, old_price.interval_count)
        if not same_rhythm:
            after = self._from_now_on(after, price)
        after = self.save(after)
        self.tell(ChangeKind.SUBSCRIPTION_UPDATED, after, before)
        lines = [self._rest(before, -1)]
        lines.append(self._rest(after, 1) if same_rhythm else self._line(after))
        after, invoice = self.bill(after, lines, Reason.CHANGE)
        self.charge(invoice)
        return after

    def _from_now_on(self, subscription: Subscription, price: Price) -> Subscription:
        end = add_interval(self.now, price.interval, price.interval_count)
        return replace(subscription, anchor=self.now, period_start=self.now, period_end=end)

    def _collect(self, subscription: Subscription, reason: Reason) -> None:
        """Bill the present period; a payment that fails leaves the subscription past due."""
        subscription, invoice = self.bill(subscription, [self._line(subscription)], reason)
        if self._try(invoice):
            self._recover(subscription.id)
        elif subscription.status is not Status.PAST_DUE:
            late = self.save(replace(subscription, status=Status.PAST_DUE))
            self.tell(ChangeKind.SUBSCRIPTION_PAST_DUE, late, subscription)

    def _line(self, subscription: Subscription) -> Line:
        """Return the line of one whole period."""
        price = self.get(Price, subscription.price)
        return Line(
            description=self.get(Product, price.product).name,
            amount=price.amount * subscription.quantity,
            quantity=subscription.quantity,
            unit_amount=price.amount,
            price=price.id,
            period_start=subscription.period_start,
            period_end=subscription.period_end,
        )

    def _rest(self, subscription: Subscription, sign: int) -> Line:
        """Return the line of what is left of a period: 1 to be paid, -1 to be given back."""
        whole = self._line(subscription)
        moment = min(self.now, whole.period_end)
        share = unused_share(whole.amount, whole.period_start, whole.period_end, moment)
        words = "Remaining time on" if sign > 0 else "Unused time on"
        return replace(
            whole,
            description=f"{words} {whole.description}",
            amount=sign * share,
            period_start=moment,
            proration=True,
        )
