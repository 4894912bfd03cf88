"""A payment provider in memory that keeps its own state and log of events, and whose calls stand still on demand."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count

from billing_ui.payments.types import (
    Capabilities,
    CatalogSnapshot,
    ListedPage,
    Listing,
    NoCustomer,
    ProviderEvent,
    Snapshot,
    SnapshotCustomer,
    SnapshotInvoice,
    SnapshotPaymentMethod,
    SnapshotSubscription,
)
from billing_ui.settings import Provider
from tests.unit.billing.factories import canceling, card, invoice, item, subscription
from tests.unit.billing.fake_driver import FakeDriver

NEWEST_INVOICES = 2
"""How many invoices a snapshot holds unasked: few, so that many are old."""


@dataclass
class Call:
    """Somebody's way through the provider's calls: it stands still before each look at the state.

    Attributes:
        held: whether it stands still just now.
    """

    changed: asyncio.Event
    held: bool = False
    _go_on: asyncio.Future[None] | None = None

    async def stand_still(self) -> None:
        """Wait for `go_on` or `fail`."""
        self._go_on = asyncio.get_running_loop().create_future()
        self.held = True
        self.changed.set()
        try:
            await self._go_on
        finally:
            self.held = False

    def go_on(self) -> None:
        """Let it go on to where it stands still next."""
        self.held = False
        assert self._go_on is not None
        self._go_on.set_result(None)

    def fail(self, error: BaseException) -> None:
        """Let the provider's answer be a failure, or the process die."""
        self.held = False
        assert self._go_on is not None
        self._go_on.set_exception(error)


present_call: ContextVar[Call | None] = ContextVar("present_call", default=None)
"""Whose calls the running task makes; they never stand still when it is nobody's."""


@dataclass
class Account:
    """What the provider knows of one customer; whatever changes gets a number that nothing else has.

    Attributes:
        version: how often something of it changed.
    """

    customer: SnapshotCustomer
    version: int = 0
    subscriptions: dict[str, SnapshotSubscription] = field(default_factory=dict)
    payment_methods: dict[str, SnapshotPaymentMethod] = field(default_factory=dict)
    invoices: dict[str, SnapshotInvoice] = field(default_factory=dict)

    def newest_invoices(self) -> list[SnapshotInvoice]:
        """Return the invoices, newest first."""
        return list(reversed(self.invoices.values()))


@dataclass(frozen=True)
class Look:
    """A snapshot that was told, and which version of the customer each of its two halves is."""

    snapshot: Snapshot
    versions: tuple[int, int]


class ProviderModel(FakeDriver):
    """A provider whose state a test changes, and that logs an event for every change.

    Its events have whole seconds, so that many tie, and can be listed, newest first.
    """

    def __init__(
        self, provider: Provider = Provider.STRIPE, capabilities: Capabilities | None = None
    ) -> None:
        super().__init__()
        self.provider = provider
        self.capabilities = capabilities or self.capabilities
        self.accounts: dict[str, Account] = {}
        self.looks: dict[int, Look] = {}
        self.now = datetime.now(UTC).replace(microsecond=0)
        self._ids = count(1)

    def forget(self) -> None:
        """Begin again with nobody; time and numbers go on."""
        self.accounts.clear()
        self.events.clear()
        self.looks.clear()

    # ------------------------------------------------------------ what happens at the provider

    def open_account(self, customer_id: str) -> None:
        """Create a customer."""
        self.accounts[customer_id] = Account(SnapshotCustomer(id=customer_id, name="As created"))
        self._log(customer_id, "customer.created")

    def number(self) -> int:
        """Return a number that was never used."""
        return next(self._ids)

    def rename(self, customer_id: str) -> None:
        """Change the billing details."""
        account = self.accounts[customer_id]
        account.customer = account.customer.model_copy(update={"name": f"Name {self.number()}"})
        self._log(customer_id, "customer.updated")

    def delete_account(self, customer_id: str) -> None:
        """Delete a customer; what it subscribed to and paid with goes as well."""
        account = self.accounts[customer_id]
        account.customer = SnapshotCustomer(id=customer_id, deleted=True)
        account.subscriptions.clear()
        account.payment_methods.clear()
        self._log(customer_id, "customer.deleted")

    def subscribe(self, customer_id: str) -> None:
        """Begin a subscription."""
        number = self.number()
        self._put(
            customer_id,
            subscription(id=f"sub_{number}", items=(item(id=f"si_{number}", quantity=number),)),
            "customer.subscription.created",
        )

    def change_quantity(self, customer_id: str, subscription_id: str) -> None:
        """Set the quantity of a subscription to a higher one than any before."""
        found = self.accounts[customer_id].subscriptions[subscription_id]
        [only] = found.items
        changed = only.model_copy(update={"quantity": self.number()})
        self._put(customer_id, found.model_copy(update={"items": (changed,)}))

    def replace_item(self, customer_id: str, subscription_id: str) -> None:
        """Put an item of another id, and of a higher quantity, in the place of the one there is."""
        found = self.accounts[customer_id].subscriptions[subscription_id]
        number = self.number()
        items = (item(id=f"si_{number}", quantity=number),)
        self._put(customer_id, found.model_copy(update={"items": items}))

    def toggle_cancellation(self, customer_id: str, subscription_id: str) -> None:
        """Schedule a cancellation, or withdraw it."""
        found = self.accounts[customer_id].subscriptions[subscription_id]
        make = subscription if found.cancel_at else canceling
        self._put(customer_id, make(id=found.id, items=found.items))

    def end(self, customer_id: str, subscription_id: str) -> None:
        """End a subscription; it is listed no longer."""
        del self.accounts[customer_id].subscriptions[subscription_id]
        self._log(customer_id, "customer.subscription.deleted")

    def add_card(self, customer_id: str) -> None:
        """Attach a card, which becomes the default one."""
        methods = self.accounts[customer_id].payment_methods
        for method in methods.values():
            methods[method.id] = method.model_copy(update={"is_default": False})
        added = card(f"{self.number() % 10_000:04}", id=f"pm_{self.number()}")
        methods[added.id] = added
        self._log(customer_id, "payment_method.attached")

    def remove_card(self, customer_id: str, method_id: str) -> None:
        """Detach a card."""
        del self.accounts[customer_id].payment_methods[method_id]
        self._log(customer_id, "payment_method.detached")

    def bill(self, customer_id: str, status: str) -> None:
        """Create an invoice, as a draft, open or paid."""
        number = self.number()
        made = invoice(number, id=f"in_{number}", status=status, created_at=self.now)
        self.accounts[customer_id].invoices[made.id] = made
        self._log(customer_id, "invoice.created")

    def bill_for_a_season(self, customer_id: str) -> None:
        """Create more invoices than a snapshot holds unasked, the oldest of them open."""
        for status in ("open", *("paid",) * NEWEST_INVOICES):
            self.time_passes()
            self.bill(customer_id, status)

    def settle(self, customer_id: str, invoice_id: str, status: str) -> None:
        """Finalize, pay or void an invoice."""
        invoices = self.accounts[customer_id].invoices
        paid = {"amount_paid": 17460, "amount_remaining": 0} if status == "paid" else {}
        invoices[invoice_id] = invoices[invoice_id].model_copy(update={"status": status, **paid})
        self._log(customer_id, f"invoice.{status}")

    def delete_draft(self, customer_id: str, invoice_id: str) -> None:
        """Delete an invoice that was never finalized."""
        del self.accounts[customer_id].invoices[invoice_id]
        self._log(customer_id, "invoice.deleted")

    def _put(
        self,
        customer_id: str,
        changed: SnapshotSubscription,
        event: str = "customer.subscription.updated",
    ) -> None:
        self.accounts[customer_id].subscriptions[changed.id] = changed
        self._log(customer_id, event)

    def _log(self, customer_id: str, kind: str) -> None:
        self.accounts[customer_id].version += 1
        self.events.append(
            ProviderEvent(
                id=f"evt_{self.number()}", type=kind, created_at=self.now, customer_id=customer_id
            )
        )

    # ------------------------------------------------------------ the signature

    async def fetch_snapshot(
        self,
        customer_id: str,
        *,
        invoices: Collection[str] = (),
        invoices_since: datetime | None = None,
    ) -> Snapshot:
        """Return the state as seen in two looks, between which it may change: a provider has no transactions."""
        await self._stand_still()
        account = self.accounts.get(customer_id)
        if account is None:
            raise NoCustomer
        first = replace(account, subscriptions=dict(account.subscriptions))
        await self._stand_still()
        newest_first = account.newest_invoices()
        told = [
            found
            for position, found in enumerate(newest_first)
            if position < NEWEST_INVOICES
            or (invoices_since is not None and found.created_at >= invoices_since)
            or found.id in invoices
        ]
        deleted_invoices = tuple(sorted(set(invoices) - account.invoices.keys()))
        methods = tuple(account.payment_methods.values())
        versions = (first.version, account.version)
        await self._stand_still()
        gone = first.customer.deleted
        snapshot = Snapshot(
            provider=self.provider.value,
            customer=first.customer,
            subscriptions=() if gone else tuple(first.subscriptions.values()),
            payment_methods=() if gone else methods,
            invoices=tuple(told),
            deleted_invoices=deleted_invoices,
        )
        self.looks[id(snapshot)] = Look(snapshot, versions)
        return snapshot

    async def list_page(
        self,
        listing: Listing,
        catalog: CatalogSnapshot,
        *,
        created_from: datetime | None = None,
        created_to: datetime | None = None,
        cursor: str | None = None,
    ) -> ListedPage:
        """Return every customer that still exists, on one page."""
        assert listing is Listing.CUSTOMERS
        pieces = tuple(
            Snapshot(provider=self.provider.value, customer=account.customer, partial=True)
            for account in reversed(self.accounts.values())
            if not account.customer.deleted
        )
        return ListedPage(snapshots=pieces, count=len(pieces), reached=None, cursor=None)

    async def list_events(self, since: datetime) -> AsyncIterator[ProviderEvent]:
        """Walk the events, newest first; one that has no list of them has nothing to walk."""
        assert self.capabilities.event_list
        for event in reversed(self.events):
            if event.created_at >= since:
                yield event

    def time_passes(self) -> None:
        """Let a second pass."""
        self.now += timedelta(seconds=1)

    @staticmethod
    async def _stand_still() -> None:
        call = present_call.get()
        if call is not None:
            await call.stand_still()
