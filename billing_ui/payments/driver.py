"""The driver signature: what a payment provider must be able to do, and the choice of the active one."""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, Protocol, runtime_checkable
from uuid import UUID

from billing_ui.payments.inspection import Expected, Finding
from billing_ui.payments.types import (
    Capabilities,
    CatalogSnapshot,
    CheckoutSession,
    ListedPage,
    Listing,
    Payer,
    PaymentError,
    PortalConfigurationRef,
    PortalSession,
    ProviderEvent,
    ProviderRejected,
    Snapshot,
    StartCheckoutInput,
    StartPortalSessionInput,
)
from billing_ui.settings import Provider, Settings, get_settings


class Driver(Protocol):
    """One provider. Stateless: it knows no database, and every method may be called at the same time.

    Every method raises a `payments.types.PaymentError`: `ProviderUnavailable` when the provider cannot
    be reached or asks to wait, `ProviderRejected` when it refuses for good, or a narrower one named below.
    """

    @property
    def provider(self) -> Provider:
        """Which provider this is."""
        ...

    @property
    def display_name(self) -> str:
        """The provider's name as people know it, such as "Stripe"."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What this provider can do."""
        ...

    @property
    def webhook_events(self) -> Collection[str]:
        """The types of event that a webhook endpoint must be told of."""
        ...

    async def ensure_customer(self, payer: Payer) -> str:
        """Return the provider's customer id of `payer`, creating the customer when it has none.

        Repeated and parallel calls with equal team, generation, e-mail and name return one customer.

        Raises:
            CustomerDeleted: what was created under this claim has been deleted at the provider.
        """
        ...

    async def ensure_portal_configuration(
        self, catalog: CatalogSnapshot, known: PortalConfigurationRef | None
    ) -> PortalConfigurationRef | None:
        """Return the portal configuration for `catalog`: `known` if it fits, else found, updated or made.

        None when the provider has no such thing. When `catalog` has nothing to offer, one that exists
        stays as it is: someone on an archived plan can still cancel.

        Raises:
            ProductNotActive: one must be made, and no product is active.
            NoActivePrices: one must be made, and no active product has an active recurring price.
        """
        ...

    async def start_portal_session(self, request: StartPortalSessionInput) -> PortalSession:
        """Open a portal session; the customer is created first when the payer has none.

        Raises:
            CustomerDeleted: the payer's customer was deleted at the provider.
            ConfigurationUnusable: the named configuration is missing or inactive at the provider.
            InvalidRequest: the flow cannot be gone through, such as canceling what is already canceling.
        """
        ...

    async def start_checkout(self, request: StartCheckoutInput) -> CheckoutSession:
        """Open a checkout session for a new subscription; the customer is created first when the payer has none.

        Raises:
            CustomerDeleted: the payer's customer was deleted at the provider.
            InvalidRequest: the price cannot be bought.
        """
        ...

    async def fetch_snapshot(
        self,
        customer_id: str,
        *,
        invoices: Collection[str] = (),
        invoices_since: datetime | None = None,
    ) -> Snapshot:
        """Fetch one customer's whole billing state.

        A customer deleted at the provider is a snapshot too, with `customer.deleted` set.

        Args:
            invoices: ids of invoices that the snapshot must tell of even if they are not among the newest.
            invoices_since: tell of every invoice created then or later (UTC), however many they are.

        Raises:
            NoCustomer: the provider knows no such customer (another account, or the wrong mode).
        """
        ...

    async def list_page(
        self,
        listing: Listing,
        catalog: CatalogSnapshot,
        *,
        created_from: datetime | None = None,
        created_to: datetime | None = None,
        cursor: str | None = None,
    ) -> ListedPage:
        """Fetch one page of all customers, subscriptions or invoices, newest first.

        What stands on a page is as a snapshot has it, except what a list cannot tell: it is partial.

        Args:
            catalog: where the names of what was bought are taken from.
            created_from: leave out what was created before (UTC, whole seconds).
            created_to: leave out what was created then or later (UTC, whole seconds).
            cursor: where the page before ended; the range may have become smaller since.

        Raises:
            CursorGone: what the page before ended with was deleted meanwhile.
        """
        ...

    async def invoice_pdf(self, invoice_id: str) -> str | None:
        """Return the address that an invoice's PDF has now; None when there is no such invoice, or no PDF of it.

        Whoever has the address may download the file: it is neither stored nor logged.

        Raises:
            InvalidRequest: the provider lacks something that an invoice must have.
        """
        ...

    async def fetch_catalog(self) -> CatalogSnapshot:
        """Fetch every product with all its prices."""
        ...

    def verify_webhook(self, headers: Mapping[str, str], body: bytes) -> ProviderEvent:
        """Check a webhook's signature over its raw body and return its event.

        Raises:
            NoWebhookSecret: none is configured.
            InvalidSignature: no configured secret verifies it.
            InvalidRequest: it is signed, but not an event.
        """
        ...

    def list_events(self, since: datetime) -> AsyncIterator[ProviderEvent]:
        """Walk the events created at or after `since` (UTC), newest first."""
        ...

    async def inspect(self, expected: Expected) -> tuple[Finding, ...]:
        """Look whether everything at the provider is as it must be, with calls that change nothing.

        Raises nothing: a provider that cannot be reached, or refuses the key, is a finding.
        """
        ...

    async def close(self) -> None:
        """Close the connections to the provider."""
        ...


@runtime_checkable
class TellsBuyers(Protocol):
    """What a driver can do besides, whose provider lets a purchase land on another customer than was named."""

    async def team_of_purchase(
        self, customer_id: str, events: Iterable[Mapping[str, Any]]
    ) -> UUID | None:
        """Return the team whose purchase made a customer, None where that is not proved beyond doubt.

        Args:
            events: the payloads of events about the customer, as they were verified and stored.
        """
        ...


class Drivers:
    """The drivers of this process, each opened when first asked for."""

    def __init__(self, settings: Settings) -> None:
        """Open nothing yet; `settings` say which provider is active and with which keys."""
        self._settings = settings
        self._open: dict[Provider, Driver] = {}

    @property
    def active(self) -> Driver:
        """The driver of the provider that PAYMENT_PROVIDER chooses."""
        return self.get(self._settings.payment_provider)

    def get(self, provider: Provider) -> Driver:
        """Return the driver of `provider`.

        Raises:
            ProviderRejected: it is neither the active nor a legacy one, or has no key.
        """
        if not self.serves(provider):
            raise ProviderRejected(
                f"{provider} is neither PAYMENT_PROVIDER nor one of LEGACY_PROVIDERS."
            )
        if provider not in self._open:
            self._open[provider] = _open_driver(provider, self._settings)
        return self._open[provider]

    def serves(self, provider: str) -> bool:
        """Return whether `provider` is the active one or a legacy one."""
        return provider in self._settings.served_providers

    def usable(self) -> tuple[Driver, ...]:
        """Return the driver of every served provider that can be asked, the active one's first."""
        found = []
        for provider in self._settings.served_providers:
            with suppress(PaymentError):
                found.append(self.get(provider))
        return tuple(found)

    async def close(self) -> None:
        """Close every open driver."""
        for driver in self._open.values():
            await driver.close()
        self._open.clear()


def _open_driver(provider: Provider, settings: Settings) -> Driver:
    # Imported here: a provider's SDK is heavy, and only the one in use should be loaded.
    match provider:
        case Provider.STRIPE:
            from billing_ui.payments.stripe.driver import StripeDriver

            return StripeDriver.from_settings(settings)
        case Provider.POLAR:
            from billing_ui.payments.polar.driver import PolarDriver

            return PolarDriver.from_settings(settings)
        case Provider.LEMONSQUEEZY:
            from billing_ui.payments.lemonsqueezy.driver import LemonSqueezyDriver

            return LemonSqueezyDriver.from_settings(settings)
        case Provider.PADDLE:
            from billing_ui.payments.paddle.driver import PaddleDriver

            return PaddleDriver.from_settings(settings)


async def start_portal_session(request: StartPortalSessionInput) -> PortalSession:
    """Open a portal session at the configured provider, without the dashboard's database.

    Args:
        request: who, where to return, and optionally configuration, flow and locale.

    Raises:
        PaymentError: as `Driver.start_portal_session`.
    """
    drivers = Drivers(get_settings())
    try:
        return await drivers.active.start_portal_session(request)
    finally:
        await drivers.close()
