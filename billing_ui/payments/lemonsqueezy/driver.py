"""The Lemon Squeezy driver: customers, portal and checkout, snapshots, catalogue and events."""

import hmac
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Self
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

from billing_ui.clock import from_unix, utc_now
from billing_ui.payments.access import access_to, background_rate
from billing_ui.payments.inspection import Expected, Finding
from billing_ui.payments.lemonsqueezy import inspection, mapping, webhooks
from billing_ui.payments.lemonsqueezy.catalog import fetch_catalog, fetch_store
from billing_ui.payments.lemonsqueezy.client import (
    Client,
    One,
    Refused,
    included,
    parsed,
    translated,
)
from billing_ui.payments.lemonsqueezy.listing import list_page
from billing_ui.payments.lemonsqueezy.resources import (
    CheckoutAttributes,
    CustomerAttributes,
    InvoiceAttributes,
    Resource,
    SubscriptionAttributes,
)
from billing_ui.payments.lemonsqueezy.snapshot import SNAPSHOT_CALLS, fetch_snapshot
from billing_ui.payments.mapping import whole_number
from billing_ui.payments.types import (
    Capabilities,
    CatalogSnapshot,
    CheckoutSession,
    CustomerDeleted,
    FlowType,
    InvalidRequest,
    ListedPage,
    Listing,
    NothingBought,
    Payer,
    PortalConfigurationRef,
    PortalFlow,
    PortalSession,
    ProviderEvent,
    ProviderRejected,
    Snapshot,
    StartCheckoutInput,
    StartPortalSessionInput,
)
from billing_ui.settings import Provider, Settings

API_BASE: Final = "https://api.lemonsqueezy.com"

SANDBOX_STORE: Final = "1"
"""The id of the one store that the embedded sandbox has."""

CHECKOUT_LIFETIME: Final = timedelta(hours=1)
"""How long a checkout is open. It cannot be closed by hand, so one that is forgotten in a tab must end soon."""

BACKGROUND_CALLS_PER_SECOND: Final = 4.0
"""Lemon Squeezy allows 300 calls a minute (https://docs.lemonsqueezy.com/api); people's clicks need some as well."""


class LemonSqueezyDriver:
    """One store, reached with one API key; see `payments.driver.Driver` for every method."""

    provider = Provider.LEMONSQUEEZY
    display_name = "Lemon Squeezy"
    webhook_events = webhooks.NEEDED_EVENTS

    def __init__(
        self,
        api_key: str,
        store_id: str,
        *,
        api_base: str = API_BASE,
        webhook_secrets: tuple[str, ...] = (),
    ) -> None:
        """Connect to nothing yet.

        Args:
            api_key: a key of the account, of live or of test mode.
            store_id: the store whose customers these are.
            api_base: address of the API, without `/v1`.
            webhook_secrets: signing secrets of the store's webhook, any of which may verify.
        """
        self.capabilities = Capabilities(
            flows=frozenset({FlowType.PAYMENT_METHOD_UPDATE, FlowType.SUBSCRIPTION_UPDATE}),
            checkout=True,
            event_list=False,
            returns=False,
            lists_by_time=False,
            payment_method_list=False,
            snapshot_calls=SNAPSHOT_CALLS,
            background_calls_per_second=background_rate(api_base, BACKGROUND_CALLS_PER_SECOND),
        )
        self._client = Client(api_key, api_base)
        self._store_id = store_id
        self._webhook_secrets = webhook_secrets
        self._mark_key = hmac.digest(api_key.encode(), b"billing-ui customers", "sha256")
        self._store_currency: str | None = None

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Return the driver that `settings` describe; in sandbox mode that of the sandbox.

        Raises:
            ProviderRejected: no Lemon Squeezy key is set, but another provider's is; or no store is.
        """
        key, base = access_to(cls.provider, cls.display_name, settings)
        store = settings.lemonsqueezy_store_id or (SANDBOX_STORE if settings.sandbox else "")
        if not store:
            raise ProviderRejected(
                "It is not said which Lemon Squeezy store this is for. Set LEMONSQUEEZY_STORE_ID."
            )
        return cls(
            key,
            store,
            api_base=base or API_BASE,
            webhook_secrets=settings.webhook_secrets(cls.provider),
        )

    async def close(self) -> None:
        """Close the connections made in the running event loop."""
        await self._client.close()

    # ------------------------------------------------------------ customers

    async def ensure_customer(self, payer: Payer) -> str:
        """Return the customer id of `payer`, creating the customer when it has none.

        Lemon Squeezy has neither idempotency keys nor a place for our own data, and finds customers by e-mail
        alone. So a customer is created with a mark (see `mapping.mark_of`), and one that bears it is looked for
        before and after: an attempt that died is found again, and of several made at the same time all take the
        first. A customer with the same e-mail and without the mark is never taken for ours.

        Raises:
            InvalidRequest: the payer has no e-mail.
            ProviderRejected: somebody else there has the e-mail, for all that can be told.
        """
        if payer.customer_id is not None:
            return payer.customer_id
        if payer.email is None:
            raise InvalidRequest(
                "Lemon Squeezy makes no customer without an e-mail address. Sign in as a person to choose a plan."
            )
        with translated():
            if ours := self._ours(payer, await self._customers_with(payer.email)):
                return ours
            try:
                created = await self._create_customer(payer, payer.email)
            except Refused as refusal:
                if refusal.status != 422:
                    raise
                found = await self._customers_with(payer.email)
                if ours := self._ours(payer, found):
                    return ours
                raise _taken() if found else refusal from None
            # Should two have been made at the same time, the first counts.
            return self._ours(payer, await self._customers_with(payer.email)) or created

    async def _create_customer(self, payer: Payer, email: str) -> str:
        attributes = {
            "name": payer.name or email,
            "email": email,
            "city": mapping.mark_of(payer, self._mark_key),
        }
        created = await self._client.create(
            "customers", attributes, {"store": ("stores", self._store_id)}
        )
        return parsed(CustomerAttributes, created.data).id

    async def _customers_with(self, email: str) -> list[Resource[CustomerAttributes]]:
        query = {"filter[store_id]": self._store_id, "filter[email]": email}
        return [found async for found in self._client.walk(CustomerAttributes, "customers", query)]

    def _ours(self, payer: Payer, found: Iterable[Resource[CustomerAttributes]]) -> str | None:
        """Return the first customer that bears the mark of this claim."""
        mark = mapping.mark_of(payer, self._mark_key)
        ids = (customer.id for customer in found if customer.attributes.city == mark)
        return min(ids, key=int, default=None)

    # ------------------------------------------------------------ sessions

    async def ensure_portal_configuration(
        self, catalog: CatalogSnapshot, known: PortalConfigurationRef | None
    ) -> PortalConfigurationRef | None:
        """Return None: what the portal offers is set in Lemon Squeezy's dashboard, and there only."""
        return None

    async def start_portal_session(self, request: StartPortalSessionInput) -> PortalSession:
        """Ask for the customer's portal address, which is good for 24 hours.

        It cannot be told where to return to, in which language to speak, or by which configuration: these parts
        of the request have no effect, and `capabilities.returns` says so of the first.

        Raises:
            NothingBought: the customer has never had a subscription, and so has no portal.
        """
        customer_id = await self.ensure_customer(request.payer)
        with translated():
            if request.flow is None:
                url = await self._portal_url(customer_id)
            else:
                url = await self._flow_url(customer_id, request.flow)
        return PortalSession(
            provider=self.provider,
            customer=customer_id,
            portal_url=url,
            # There are no sessions: the same customer's portal is opened every time.
            session_id=customer_id,
            expires_at=_expiry(url),
        )

    async def _portal_url(self, customer_id: str) -> str:
        found = parsed(CustomerAttributes, (await self._get_customer(customer_id)).data)
        self._check_store(found)
        if found.attributes.urls.customer_portal is None:
            raise NothingBought()
        return found.attributes.urls.customer_portal

    async def _flow_url(self, customer_id: str, flow: PortalFlow) -> str:
        """Return where the flow is gone through, for the subscription it names or the newest live one."""
        if flow.type not in self.capabilities.flows:
            raise InvalidRequest(f"Lemon Squeezy's portal cannot open at {flow.type}.")
        answer = await self._get_customer(customer_id, {"include": "subscriptions"})
        self._check_store(parsed(CustomerAttributes, answer.data))
        live = [
            one
            for one in included(SubscriptionAttributes, "subscriptions", answer)
            if mapping.state_of(one.attributes).live and flow.subscription_id in (None, one.id)
        ]
        if not live:
            raise InvalidRequest("There is no such live subscription at Lemon Squeezy.")
        urls = max(live, key=lambda one: (one.attributes.created_at, int(one.id))).attributes.urls
        url = (
            urls.update_payment_method
            if flow.type is FlowType.PAYMENT_METHOD_UPDATE
            else urls.customer_portal_update_subscription
        )
        if url is None:
            raise InvalidRequest(f"Lemon Squeezy's portal cannot open at {flow.type} now.")
        return url

    async def _get_customer(self, customer_id: str, query: Mapping[str, str] | None = None) -> One:
        try:
            return await self._client.get("customers", customer_id, query)
        except Refused as error:
            raise CustomerDeleted() if error.missing else error from None

    def _check_store(self, customer: Resource[CustomerAttributes]) -> None:
        if str(customer.attributes.store_id) != self._store_id:
            raise CustomerDeleted(
                "Your billing account belongs to another store and can't be used with the present one. "
                "Choose a plan to start again, or contact support."
            )

    async def start_checkout(self, request: StartCheckoutInput) -> CheckoutSession:
        """Open a checkout for one variant.

        Lemon Squeezy finds the customer of a purchase by the e-mail that is given there. It is filled in with
        that of our customer, but cannot be fixed (https://lemonsqueezy.nolt.io/756): somebody who changes it
        buys as another customer, and only `custom_data` in the purchase's events says which team that was for
        (see `team_of_purchase`).
        There is no link back for who changes their mind, and no way to close a checkout that was left open in
        another tab.
        """
        customer_id = await self.ensure_customer(request.payer)
        with translated():
            if request.currency not in (None, await self._currency()):
                raise InvalidRequest("Lemon Squeezy sells in the currency of the store only.")
            customer = parsed(CustomerAttributes, (await self._get_customer(customer_id)).data)
            self._check_store(customer)
            made = await self._create_checkout(request, customer.attributes)
        checkout = parsed(CheckoutAttributes, made.data)
        return CheckoutSession(
            provider=self.provider,
            customer=customer_id,
            checkout_url=checkout.attributes.url,
            session_id=checkout.id,
            expires_at=checkout.attributes.expires_at,
        )

    async def _create_checkout(
        self, request: StartCheckoutInput, customer: CustomerAttributes
    ) -> One:
        variant, opened_at = _variant_id(request.price_id), utc_now()
        attributes = {
            "product_options": {
                "redirect_url": request.success_url,
                # Else every variant of the product is offered there.
                "enabled_variants": [variant],
            },
            "checkout_data": {
                "email": customer.email,
                "name": customer.name,
                # Lemon Squeezy takes text only.
                "custom": mapping.purchase_data(request.payer, opened_at, self._mark_key),
                "variant_quantities": [{"variant_id": variant, "quantity": request.quantity}],
            },
            "expires_at": (opened_at + CHECKOUT_LIFETIME).isoformat(timespec="seconds"),
        }
        owners = {"store": ("stores", self._store_id), "variant": ("variants", request.price_id)}
        try:
            return await self._client.create("checkouts", attributes, owners)
        except Refused as error:
            if error.status not in (404, 422):
                raise
            raise InvalidRequest(f"Lemon Squeezy can't open this page: {error.detail}") from None

    # ------------------------------------------------------------ snapshots, catalogue and events

    async def fetch_snapshot(
        self,
        customer_id: str,
        *,
        invoices: Collection[str] = (),
        invoices_since: datetime | None = None,
    ) -> Snapshot:
        """Fetch one customer's whole billing state, mostly in the time of two round trips."""
        with translated():
            return await fetch_snapshot(
                self._client,
                self._store_id,
                await self._currency(),
                self._mark_key,
                customer_id,
                invoices,
                invoices_since,
            )

    async def invoice_pdf(self, invoice_id: str) -> str | None:
        """Return the address of an invoice's PDF; None when there is no such invoice, or nothing was paid."""
        with translated():
            try:
                found = await self._client.get("subscription-invoices", invoice_id)
            except Refused as refusal:
                if refusal.missing:
                    return None
                raise
        return parsed(InvoiceAttributes, found.data).attributes.urls.invoice_url

    async def fetch_catalog(self) -> CatalogSnapshot:
        """Fetch every product with all its variants, drafts included."""
        with translated():
            return await fetch_catalog(self._client, self._store_id, await self._currency())

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

        A subscription names its product by itself, so the catalogue has no part in it.
        """
        with translated():
            return await list_page(
                self._client,
                self._store_id,
                await self._currency(),
                self._mark_key,
                listing,
                created_from=created_from,
                created_to=created_to,
                cursor=cursor,
            )

    async def _currency(self) -> str:
        """Return the currency of the store, lower case; it is asked for once."""
        if self._store_currency is None:
            try:
                store = await fetch_store(self._client, self._store_id)
            except Refused as error:
                if not error.missing:
                    raise
                raise ProviderRejected(
                    f"Lemon Squeezy has no store {self._store_id} under the present API key. "
                    "Whoever runs the site must set LEMONSQUEEZY_STORE_ID."
                ) from None
            self._store_currency = store.currency.lower()
        return self._store_currency

    async def team_of_purchase(
        self, customer_id: str, events: Iterable[Mapping[str, Any]]
    ) -> UUID | None:
        """Return the team whose checkout made a customer, None where that is not proved beyond doubt.

        What we signed says for which team a checkout was opened. Yet who buys there may give anybody's e-mail,
        and gets whatever customer has it. So the customer must have come to be while the checkout was open.

        Args:
            events: the payloads of events about the customer, as they were verified and stored.
        """
        found = {mark for event in events if (mark := mapping.purchaser_of(event, self._mark_key))}
        if not found:
            return None
        with translated():
            answer = await self._get_customer(customer_id)
        made_at = parsed(CustomerAttributes, answer.data).attributes.created_at
        teams = {
            team_id
            for team_id, opened_at in found
            if opened_at <= made_at <= opened_at + CHECKOUT_LIFETIME
        }
        return teams.pop() if len(teams) == 1 else None

    def verify_webhook(self, headers: Mapping[str, str], body: bytes) -> ProviderEvent:
        """Check a webhook's signature over its raw body and return its event."""
        return webhooks.verify(self._webhook_secrets, headers, body, store_id=self._store_id)

    def list_events(self, since: datetime) -> AsyncIterator[ProviderEvent]:
        """Refuse: Lemon Squeezy keeps no list of its events; `capabilities.event_list` says so.

        Raises:
            ProviderRejected: always.
        """
        raise ProviderRejected("Lemon Squeezy keeps no list of its events.")

    async def inspect(self, expected: Expected) -> tuple[Finding, ...]:
        """Look whether everything at Lemon Squeezy is as it must be, with calls that change nothing."""
        return await inspection.inspect(
            self._client,
            expected,
            store_id=self._store_id,
            webhook_secrets=self._webhook_secrets,
        )


def _taken() -> ProviderRejected:
    return ProviderRejected(
        "Lemon Squeezy already has a customer with your e-mail address, and it makes only one for each. "
        "Whoever runs this site can link it to your team, if it is yours."
    )


def _variant_id(price_id: str) -> int:
    if (found := whole_number(price_id)) is None:
        raise InvalidRequest("Lemon Squeezy has no such variant.")
    return found


def _expiry(url: str) -> datetime | None:
    """Return until when a pre-signed address is good, if it says so."""
    (said,) = parse_qs(urlsplit(url).query).get("expires", [""])[:1]
    seconds = whole_number(said, digits=11)
    return None if seconds is None else from_unix(seconds)
