"""The Stripe driver: customers, portal and checkout sessions, snapshots, catalogue and events."""

import contextlib
from collections.abc import AsyncIterator, Collection, Mapping
from datetime import datetime, timedelta
from itertools import dropwhile, islice
from typing import TYPE_CHECKING, Self

import stripe

from billing_ui.clock import from_unix, utc_now
from billing_ui.payments.access import access_to, background_rate
from billing_ui.payments.inspection import Expected, Finding
from billing_ui.payments.mapping import metadata
from billing_ui.payments.stripe import inspection, mapping, webhooks
from billing_ui.payments.stripe.catalog import ensure_configuration, fetch_catalog
from billing_ui.payments.stripe.client import (
    PAGE,
    is_missing,
    open_client,
    replayed,
    stored_failure,
    translated,
)
from billing_ui.payments.stripe.listing import list_page
from billing_ui.payments.stripe.snapshot import SNAPSHOT_CALLS, fetch_snapshot
from billing_ui.payments.types import (
    Capabilities,
    CatalogSnapshot,
    CheckoutSession,
    CustomerDeleted,
    FlowType,
    InvalidRequest,
    ListedPage,
    Listing,
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

if TYPE_CHECKING:
    from stripe.params import CustomerCreateParams
    from stripe.params.billing_portal import SessionCreateParams as PortalParams
    from stripe.params.billing_portal import SessionCreateParamsFlowData
    from stripe.params.billing_portal import (
        SessionCreateParamsFlowDataSubscriptionUpdateConfirm as SubscriptionUpdateConfirm,
    )
    from stripe.params.billing_portal import (
        SessionCreateParamsFlowDataSubscriptionUpdateConfirmItem as SubscriptionUpdateConfirmItem,
    )
    from stripe.params.checkout import SessionCreateParams as CheckoutParams

API_BASE = "https://api.stripe.com"

LIVE_CALLS, TEST_CALLS = 80, 20
"""How many calls a second work in the background makes of the 100, and with a test key 25, that Stripe allows.

See https://docs.stripe.com/rate-limits.
"""

# Stripe remembers an idempotency key for at least 24 hours.
_KEY_MEMORY = timedelta(hours=23)
_CLOCK_MARGIN = timedelta(minutes=10)


class StripeDriver:
    """One Stripe account, reached with one secret key; see `payments.driver.Driver` for every method."""

    provider = Provider.STRIPE
    display_name = "Stripe"
    webhook_events = webhooks.NEEDED_EVENTS

    def __init__(
        self,
        secret_key: str,
        *,
        api_base: str = API_BASE,
        webhook_secrets: tuple[str, ...] = (),
        portal_configuration: str | None = None,
    ) -> None:
        """Connect to nothing yet.

        Args:
            secret_key: secret or restricted key of the account.
            api_base: address of the API, without `/v1`.
            webhook_secrets: signing secrets of the webhook endpoint, any of which may verify.
            portal_configuration: the configuration a portal session uses when its request names none.
        """
        self._livemode = webhooks.livemode_of(secret_key)
        self.capabilities = Capabilities(
            flows=frozenset(FlowType),
            checkout=True,
            event_list=True,
            portal_configurations=True,
            snapshot_calls=SNAPSHOT_CALLS,
            background_calls_per_second=background_rate(
                api_base, LIVE_CALLS if self._livemode else TEST_CALLS
            ),
        )
        self._client, self._transport = open_client(secret_key, api_base)
        self._webhook_secrets = webhook_secrets
        self._portal_configuration = portal_configuration

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Return the driver that `settings` describe; in sandbox mode that of the sandbox.

        Raises:
            ProviderRejected: no Stripe key is set, but another provider's is.
        """
        key, base = access_to(cls.provider, cls.display_name, settings)
        return cls(
            key,
            api_base=base or API_BASE,
            webhook_secrets=settings.webhook_secrets(cls.provider),
            portal_configuration=settings.stripe_portal_configuration or None,
        )

    async def close(self) -> None:
        """Close the connections made in the running event loop."""
        await self._transport.close_async()

    # ------------------------------------------------------------ customers

    async def ensure_customer(self, payer: Payer) -> str:
        """Return the customer id of `payer`, creating the customer when it has none.

        Every attempt sends the same idempotency key, for which Stripe answers the same customer for at
        least 24 hours. A claim that may be older is searched for first. Search lags behind by a minute
        or so, which does no harm: what it cannot see yet is young enough for the key to be remembered.
        """
        if payer.customer_id is not None:
            return payer.customer_id
        with translated():
            if payer.claimed_at is not None and utc_now() - payer.claimed_at > _KEY_MEMORY:
                query = " AND ".join(
                    f"metadata['{name}']:'{value}'" for name, value in metadata(payer).items()
                )
                found = await self._client.v1.customers.search_async({"query": query})
                if found.data:
                    return min(found.data, key=lambda customer: customer.created).id
            customer = await self._create_customer(payer)
            # A repeated answer shows the customer as it was when created.
            if replayed(_headers(customer)) and await self._is_deleted(customer.id):
                raise CustomerDeleted()
            return customer.id

    async def _create_customer(self, payer: Payer) -> stripe.Customer:
        params: CustomerCreateParams = {"metadata": metadata(payer)}
        if payer.email is not None:
            params["email"] = payer.email
        if payer.name is not None:
            params["name"] = payer.name
        create = self._client.v1.customers.create_async
        key = f"billing-ui:customer:{payer.team_id}:{self.provider}:{payer.generation}"
        try:
            return await create(params, {"idempotency_key": key})
        except stripe.APIError as error:
            # Stripe stores failures too, and would repeat this one for a day. Whether the attempt made
            # a customer is open; listing, unlike search, knows at once. The next key derives from the
            # failure, so that parallel attempts still agree on one.
            failed = stored_failure(error)
            if not failed:
                raise
            return await self._listed_customer(payer) or await create(
                params, {"idempotency_key": f"{key}:{failed}"}
            )

    async def _listed_customer(self, payer: Payer) -> stripe.Customer | None:
        since = (payer.claimed_at or utc_now() - _KEY_MEMORY) - _CLOCK_MARGIN
        page = await self._client.v1.customers.list_async(
            {"created": {"gte": int(since.timestamp())}, "limit": PAGE}
        )
        wanted = metadata(payer)
        async for customer in page.auto_paging_iter():
            if all(mapping.metadata_of(customer, name) == wanted[name] for name in wanted):
                return customer
        return None

    async def _is_deleted(self, customer_id: str) -> bool:
        return mapping.is_deleted(await self._client.v1.customers.retrieve_async(customer_id))

    # ------------------------------------------------------------ sessions

    async def ensure_portal_configuration(
        self, catalog: CatalogSnapshot, known: PortalConfigurationRef | None
    ) -> PortalConfigurationRef:
        """Return the portal configuration for the catalogue: `known` if it fits, else found, updated or made."""
        with translated():
            return await ensure_configuration(self._client, catalog, known)

    async def start_portal_session(self, request: StartPortalSessionInput) -> PortalSession:
        """Open a portal session: one call when the request names customer and configuration."""
        configuration = request.configuration or self._portal_configuration
        if configuration is None:
            catalog = await self.fetch_catalog()
            configuration = (await self.ensure_portal_configuration(catalog, None)).id
        customer = await self.ensure_customer(request.payer)
        params: PortalParams = {
            "customer": customer,
            "configuration": configuration,
            "return_url": request.return_url,
        }
        if locale := mapping.locale_of(request.locale):
            params["locale"] = locale
        if request.flow is not None:
            params["flow_data"] = _flow_data(request.flow, request.return_url)
        with translated():
            session = await self._client.v1.billing_portal.sessions.create_async(params)
        return PortalSession(
            provider=self.provider,
            customer=customer,
            portal_url=session.url,
            session_id=session.id,
            configuration=configuration,
        )

    async def start_checkout(self, request: StartCheckoutInput) -> CheckoutSession:
        """Open a checkout session for one price."""
        customer = await self.ensure_customer(request.payer)
        team_id = str(request.payer.team_id)
        params: CheckoutParams = {
            "mode": "subscription",
            "customer": customer,
            "client_reference_id": team_id,
            "line_items": [{"price": request.price_id, "quantity": request.quantity}],
            "subscription_data": {"metadata": {"team_id": team_id}},
            "success_url": request.success_url,
            "cancel_url": request.cancel_url,
        }
        if request.adjustable_quantity:
            params["line_items"][0]["adjustable_quantity"] = {"enabled": True, "minimum": 1}
        if request.currency is not None:
            params["currency"] = request.currency
        if locale := mapping.locale_of(request.locale):
            params["locale"] = locale
        with translated():
            session = await self._client.v1.checkout.sessions.create_async(params)
            await self._expire_earlier(session, customer)
        if session.url is None:
            raise ProviderRejected("Stripe opened a checkout session without a page.")
        return CheckoutSession(
            provider=self.provider,
            customer=customer,
            checkout_url=session.url,
            session_id=session.id,
            expires_at=from_unix(session.expires_at),
        )

    async def _expire_earlier(self, session: stripe.checkout.Session, customer: str) -> None:
        """Close the team's other open checkouts, so that two tabs cannot buy two subscriptions.

        Of several opened at once each closes those before it, in one order for all: one stays open.
        That order is the list's own, newest first: their times tie within a second, and their ids are random.
        """
        sessions = self._client.v1.checkout.sessions
        opened = await sessions.list_async({"customer": customer, "status": "open", "limit": PAGE})
        newer_to_older = dropwhile(lambda listed: listed.id != session.id, opened.data)
        for other in islice(newer_to_older, 1, None):
            if other.client_reference_id == session.client_reference_id:
                # Refused when it was paid or expired a moment ago: then there is nothing to close.
                with contextlib.suppress(stripe.InvalidRequestError):
                    await sessions.expire_async(other.id)

    # ------------------------------------------------------------ snapshots, catalogue and events

    async def fetch_snapshot(
        self,
        customer_id: str,
        *,
        invoices: Collection[str] = (),
        invoices_since: datetime | None = None,
    ) -> Snapshot:
        """Fetch one customer's whole billing state, mostly in the time of one round trip."""
        with translated():
            return await fetch_snapshot(self._client, customer_id, invoices, invoices_since)

    async def invoice_pdf(self, invoice_id: str) -> str | None:
        """Return the address of an invoice's PDF; None of a draft, or when there is no such invoice."""
        with translated():
            try:
                return (await self._client.v1.invoices.retrieve_async(invoice_id)).invoice_pdf
            except stripe.InvalidRequestError as error:
                if is_missing(error):
                    return None
                raise

    async def fetch_catalog(self) -> CatalogSnapshot:
        """Fetch every product with all its prices, archived ones included."""
        with translated():
            return await fetch_catalog(self._client)

    async def list_page(
        self,
        listing: Listing,
        catalog: CatalogSnapshot,
        *,
        created_from: datetime | None = None,
        created_to: datetime | None = None,
        cursor: str | None = None,
    ) -> ListedPage:
        """Fetch one page of all customers, subscriptions or invoices, newest first."""
        with translated():
            return await list_page(
                self._client,
                listing,
                catalog,
                created_from=created_from,
                created_to=created_to,
                cursor=cursor,
            )

    def verify_webhook(self, headers: Mapping[str, str], body: bytes) -> ProviderEvent:
        """Check a webhook's signature over its raw body and return its event."""
        return webhooks.verify(self._webhook_secrets, headers, body, livemode=self._livemode)

    async def inspect(self, expected: Expected) -> tuple[Finding, ...]:
        """Look whether everything at Stripe is as it must be, with calls that change nothing."""
        return await inspection.inspect(
            self._client,
            expected,
            livemode=self._livemode,
            webhook_secrets=self._webhook_secrets,
            named_configuration=self._portal_configuration,
        )

    async def list_events(self, since: datetime) -> AsyncIterator[ProviderEvent]:
        """Walk the events created at or after `since` (UTC), newest first; Stripe keeps 30 days of them."""
        with translated():
            page = await self._client.v1.events.list_async(
                {"created": {"gte": int(since.timestamp())}, "limit": PAGE}
            )
            async for event in page.auto_paging_iter():
                yield webhooks.event_of(event.to_dict(for_json=True))


def _headers(answer: stripe.StripeObject) -> Mapping[str, str] | None:
    response = answer.last_response
    return response.headers if response is not None else None


def _flow_data(flow: PortalFlow, return_url: str) -> "SessionCreateParamsFlowData":
    data: SessionCreateParamsFlowData = {
        "type": flow.type.value,
        "after_completion": {"type": "redirect", "redirect": {"return_url": return_url}},
    }
    if not flow.type.about_subscription:
        return data
    if flow.subscription_id is None:
        raise InvalidRequest(f"flow: {flow.type} needs a subscription.")
    if flow.type is FlowType.SUBSCRIPTION_CANCEL:
        data["subscription_cancel"] = {"subscription": flow.subscription_id}
    elif flow.type is FlowType.SUBSCRIPTION_UPDATE_CONFIRM:
        data["subscription_update_confirm"] = _change(flow, flow.subscription_id)
    else:
        data["subscription_update"] = {"subscription": flow.subscription_id}
    return data


def _change(flow: PortalFlow, subscription_id: str) -> "SubscriptionUpdateConfirm":
    """Return the change that is only left to be confirmed."""
    if flow.item_id is None:
        raise InvalidRequest(f"flow: {flow.type} needs an item of the subscription.")
    if flow.price_id is None and flow.quantity is None:
        raise InvalidRequest(f"flow: {flow.type} needs a price or a quantity.")
    item: SubscriptionUpdateConfirmItem = {"id": flow.item_id}
    if flow.price_id is not None:
        item["price"] = flow.price_id
    if flow.quantity is not None:
        item["quantity"] = flow.quantity
    return {"subscription": subscription_id, "items": [item]}
