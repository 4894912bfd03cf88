"""The whole shop: everything below, time passing, and being told how to begin again."""

from collections.abc import Callable
from dataclasses import replace

from billing_ui.sandbox.core.periods import period_around
from billing_ui.sandbox.core.store import Condition, equals
from billing_ui.sandbox.shop.checkouts import Checkouts
from billing_ui.sandbox.shop.dialect import ChangeKind
from billing_ui.sandbox.shop.model import (
    Checkout,
    CheckoutStatus,
    Endpoint,
    Invoice,
    Kind,
    Price,
    Reason,
    Status,
    Subscription,
)


class Shop(Checkouts):
    """One provider's account, whatever provider it is.

    Its layers: `records` (get, find, count, after, save, tell, new_id, number, sign), `catalog`,
    `customers`, `invoicing`, `subscriptions`, `checkouts`, and time passing, here.
    """

    # ------------------------------------------------------------------------------------- time

    def advance(self, to: int, customer_id: str | None = None) -> int:
        """Let everything happen that is due, each at its own time; return how much it was.

        Args:
            to: Until when, in Unix seconds.
            customer_id: Whose time passes; everybody's when None.

        Raises:
            Missing: There is no such customer.
        """
        if customer_id is not None:
            self.living_customer(customer_id)
        happened = 0
        while self.step(to, customer_id):
            happened += 1
        return happened

    def step(self, to: int, customer_id: str | None = None) -> bool:
        """Let the next thing happen that is due until `to`; return whether there was one."""
        mine = [] if customer_id is None else [Condition("customer = ?", (customer_id,))]
        with self.together():
            due = self.store.next_due(to, *mine)
            if due is None:
                return False
            happens = self._happenings()[Kind(due["object"])]
            with self.at(due["_due"]):
                happens(due["id"].partition(":")[2])
        return True

    def _happenings(self) -> dict[Kind, Callable[[str], object]]:
        return {
            Kind.SUBSCRIPTION: self._subscription_due,
            Kind.INVOICE: self._invoice_due,
            Kind.CHECKOUT: self._checkout_due,
        }

    def _subscription_due(self, subscription_id: str) -> None:
        subscription = self.get(Subscription, subscription_id)
        if subscription.cancel_at_period_end:
            self.end_now(subscription_id)
        elif subscription.status is Status.PAUSED:
            self.resume(subscription_id)
        elif subscription.status is Status.TRIALING and self._card_of(subscription) is None:
            # Nothing was ever paid, and nothing can be: the provider gives up without a try.
            self.end_now(subscription_id)
        else:
            self._renew(subscription)

    def _card_of(self, subscription: Subscription) -> object:
        return self.card_charged(subscription.customer, subscription)

    def _renew(self, before: Subscription) -> None:
        price = self.get(Price, before.price)
        start, end = period_around(
            before.anchor, before.period_end, price.interval, price.interval_count
        )
        trial = before.status is Status.TRIALING
        status = Status.ACTIVE if trial else before.status
        after = replace(before, period_start=start, period_end=end, status=status)
        after = self.save(after)
        kind = ChangeKind.SUBSCRIPTION_ACTIVATED if trial else ChangeKind.SUBSCRIPTION_RENEWED
        self.tell(kind, after, before)
        self._collect(after, Reason.RENEWAL)

    def _invoice_due(self, invoice_id: str) -> None:
        """Charge an invoice again; after the last time in vain its subscription is given up."""
        invoice = self.get(Invoice, invoice_id)
        if self._try(invoice):
            self._recover(invoice.subscription)
            return
        if self.get(Invoice, invoice_id).next_attempt is not None:
            return
        before = self.get(Subscription, invoice.subscription)
        if self.after_dunning == "cancel":
            self.end_now(before.id, unpaid=True)
        elif self.after_dunning == "unpaid":
            after = self.save(replace(before, status=Status.UNPAID))
            self.tell(ChangeKind.SUBSCRIPTION_UNPAID, after, before)

    def _checkout_due(self, checkout_id: str) -> None:
        checkout = self.get(Checkout, checkout_id)
        self.save(replace(checkout, status=CheckoutStatus.EXPIRED))

    # -------------------------------------------------------------------------------- endpoints

    def register_endpoint(
        self,
        url: str,
        secret: str,
        events: tuple[str, ...] = ("*",),
        endpoint_id: str | None = None,
    ) -> Endpoint:
        """Tell an endpoint of events from now on; there is one at each URL, and one with each id.

        One that is registered under its id again moves to `url`, and with it what waits for it.
        """
        with self.together():
            known = self.peek(Endpoint, endpoint_id) if endpoint_id else None
            known = known or next(iter(self.find(Endpoint, equals("url", url))), None)
            if known is not None:
                moved = replace(known, url=url, secret=secret, events=events, enabled=True)
                return self.save(moved)
            with self.wishing(endpoint_id):
                made = self.new_id(Kind.ENDPOINT)
            return self.save(
                Endpoint(
                    id=made,
                    created=self.now,
                    updated=self.now,
                    url=url,
                    secret=secret,
                    events=events,
                )
            )

    def disable_endpoint(self, endpoint_id: str) -> None:
        """Tell an endpoint of nothing more, not even of what waits for it; unknown ones are fine."""
        with self.together():
            known = self.peek(Endpoint, endpoint_id)
            if known is not None:
                self.save(replace(known, enabled=False))

    def wipe(self) -> None:
        """Forget everything, as if the shop had just been opened."""
        with self.together():
            self.store.wipe()
            self.outbox.clear()
        self.after_dunning = "cancel"
