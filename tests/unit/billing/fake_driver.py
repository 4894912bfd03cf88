"""A payment provider in memory, behind the driver signature, that a test can hold at any point."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count

from billing_ui.billing.words import provider_name
from billing_ui.payments.driver import Driver, Drivers
from billing_ui.payments.inspection import Expected, Finding
from billing_ui.payments.types import (
    Capabilities,
    CatalogSnapshot,
    CheckoutSession,
    CustomerDeleted,
    FlowType,
    InvalidSignature,
    ListedPage,
    Listing,
    NoCustomer,
    Payer,
    PaymentError,
    PortalConfigurationRef,
    PortalSession,
    ProviderEvent,
    Snapshot,
    SnapshotCustomer,
    StartCheckoutInput,
    StartPortalSessionInput,
)
from billing_ui.settings import Provider, Settings


@dataclass
class Hold:
    """A point where one call stands still: `reached` when it is there, going on after `release`."""

    reached: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)

    def release(self) -> None:
        """Let the call go on."""
        self.released.set()


class FakeDriver:
    """A provider that remembers customers and what each has, and creates one customer per idempotency key.

    A method passes the points `<method>` before it looks at the provider's state and `<method>:answer`
    after it has; a test holds the next call at a point, or makes it fail there.
    """

    webhook_events = ("customer.updated",)

    def __init__(self, provider: Provider = Provider.STRIPE) -> None:
        self.provider = provider
        self.display_name = provider_name(provider)
        self.capabilities = Capabilities(
            flows=frozenset(FlowType), checkout=True, event_list=True, portal_configurations=True
        )
        self.snapshots: dict[str, Snapshot] = {}
        self.created: dict[tuple[object, int], Payer] = {}
        self.events: list[ProviderEvent] = []
        self.catalog = CatalogSnapshot(provider=provider.value, products=())
        self.configurations: dict[str, str] = {}
        self.pdfs: dict[str, str] = {}
        self.calls: list[str] = []
        self.portals: list[StartPortalSessionInput] = []
        self.checkouts: list[StartCheckoutInput] = []
        self._holds: dict[str, list[Hold]] = defaultdict(list)
        self._failures: dict[str, list[BaseException]] = defaultdict(list)
        self._numbers = count(1)

    # ------------------------------------------------------------ what a test does

    def hold(self, point: str) -> Hold:
        """Hold the next call that comes to `point`."""
        hold = Hold()
        self._holds[point].append(hold)
        return hold

    def fail(self, point: str, error: BaseException) -> None:
        """Let the next call that comes to `point` fail with `error`."""
        self._failures[point].append(error)

    def has(self, snapshot: Snapshot) -> str:
        """Make the provider's truth of a customer be `snapshot`; returns the customer's id."""
        self.snapshots[snapshot.customer.id] = snapshot
        return snapshot.customer.id

    def delete(self, customer_id: str) -> None:
        """Delete a customer at the provider."""
        self.has(
            Snapshot(
                provider=self.provider.value,
                customer=SnapshotCustomer(id=customer_id, deleted=True),
            )
        )

    def count(self, method: str) -> int:
        """Return how often `method` was called."""
        return self.calls.count(method)

    # ------------------------------------------------------------ the signature

    async def ensure_customer(self, payer: Payer) -> str:
        if payer.customer_id is not None:
            return payer.customer_id
        await self._pass("ensure_customer")
        customer_id = f"cus_{str(payer.team_id)[:8]}_{payer.generation}"
        known = self.created.setdefault((payer.team_id, payer.generation), payer)
        assert (known.email, known.name) == (payer.email, payer.name), "other parameters, same key"
        if customer_id not in self.snapshots:
            self.has(
                Snapshot(
                    provider=self.provider.value,
                    customer=SnapshotCustomer(
                        id=customer_id, team_id=payer.team_id, email=payer.email, name=payer.name
                    ),
                )
            )
        if self.snapshots[customer_id].customer.deleted:
            raise CustomerDeleted
        await self._pass("ensure_customer:answer")
        return customer_id

    async def ensure_portal_configuration(
        self, catalog: CatalogSnapshot, known: PortalConfigurationRef | None
    ) -> PortalConfigurationRef | None:
        await self._pass("ensure_portal_configuration")
        digest = str(hash(catalog.model_dump_json()))
        name = (
            known.id
            if known and known.id in self.configurations
            else next(iter(self.configurations), f"bpc_{next(self._numbers)}")
        )
        self.configurations[name] = digest
        await self._pass("ensure_portal_configuration:answer")
        return PortalConfigurationRef(id=name, hash=digest)

    async def start_portal_session(self, request: StartPortalSessionInput) -> PortalSession:
        await self._pass("start_portal_session")
        customer_id = self._living(request.payer)
        self.portals.append(request)
        await self._pass("start_portal_session:answer")
        return PortalSession(
            provider=self.provider.value,
            customer=customer_id,
            portal_url=f"https://portal.example.com/p/session/{next(self._numbers)}",
            session_id=f"bps_{next(self._numbers)}",
            configuration=request.configuration,
        )

    async def start_checkout(self, request: StartCheckoutInput) -> CheckoutSession:
        await self._pass("start_checkout")
        customer_id = self._living(request.payer)
        self.checkouts.append(request)
        return CheckoutSession(
            provider=self.provider.value,
            customer=customer_id,
            checkout_url=f"https://checkout.example.com/c/pay/{next(self._numbers)}",
            session_id=f"cs_{next(self._numbers)}",
        )

    async def fetch_snapshot(
        self,
        customer_id: str,
        *,
        invoices: Collection[str] = (),
        invoices_since: datetime | None = None,
    ) -> Snapshot:
        await self._pass("fetch_snapshot")
        snapshot = self.snapshots.get(customer_id)
        if snapshot is None:
            raise NoCustomer
        await self._pass("fetch_snapshot:answer")
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
        await self._pass("list_page")
        fields = {
            Listing.CUSTOMERS: {},
            Listing.SUBSCRIPTIONS: {"subscriptions"},
            Listing.INVOICES: {"invoices"},
        }[listing]
        pieces = tuple(
            Snapshot(
                provider=self.provider.value,
                customer=(
                    snapshot.customer
                    if listing is Listing.CUSTOMERS
                    else SnapshotCustomer(id=snapshot.customer.id)
                ),
                partial=True,
                **{name: getattr(snapshot, name) for name in fields},
            )
            for snapshot in self.snapshots.values()
            if not snapshot.customer.deleted
        )
        await self._pass("list_page:answer")
        return ListedPage(snapshots=pieces, count=len(pieces), reached=None, cursor=None)

    async def invoice_pdf(self, invoice_id: str) -> str | None:
        await self._pass("invoice_pdf")
        return self.pdfs.get(invoice_id)

    async def fetch_catalog(self) -> CatalogSnapshot:
        await self._pass("fetch_catalog")
        catalog = self.catalog
        await self._pass("fetch_catalog:answer")
        return catalog

    def verify_webhook(self, headers: Mapping[str, str], body: bytes) -> ProviderEvent:
        raise InvalidSignature

    async def list_events(self, since: datetime) -> AsyncIterator[ProviderEvent]:
        await self._pass("list_events")
        newest_first = sorted(self.events, key=lambda event: event.created_at, reverse=True)
        for event in newest_first:
            if event.created_at >= since:
                await self._pass("list_events:event")
                yield event

    async def inspect(self, expected: Expected) -> tuple[Finding, ...]:
        await self._pass("inspect")
        return ()

    async def close(self) -> None:
        self._holds.clear()

    def _living(self, payer: Payer) -> str:
        assert payer.customer_id is not None
        snapshot = self.snapshots.get(payer.customer_id)
        if snapshot is None:
            raise NoCustomer
        if snapshot.customer.deleted:
            raise CustomerDeleted
        return payer.customer_id

    async def _pass(self, point: str) -> None:
        if ":" not in point:
            self.calls.append(point)
        if self._holds[point]:
            hold = self._holds[point].pop(0)
            hold.reached.set()
            await hold.released.wait()
        if self._failures[point]:
            raise self._failures[point].pop(0)
        # Every call of a real provider lets others run.
        await asyncio.sleep(0)


class FakeDrivers(Drivers):
    """The drivers of a process whose only providers are fake ones."""

    def __init__(self, settings: Settings, *drivers: FakeDriver) -> None:
        super().__init__(settings)
        self._drivers = {driver.provider: driver for driver in drivers}

    def get(self, provider: Provider) -> Driver:
        """Return the fake for its own provider."""
        if provider in self._drivers and self.serves(provider):
            return self._drivers[provider]
        raise PaymentError(f"no driver for {provider}")
