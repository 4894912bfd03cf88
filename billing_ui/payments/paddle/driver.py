"""The Paddle driver: customers, portal sessions and checkouts, snapshots, catalogue and events."""

import re
from collections.abc import AsyncIterator, Collection, Mapping
from datetime import datetime
from typing import Any, Final, Self

from paddle_billing import Client
from paddle_billing.Entities.Customer import Customer
from paddle_billing.Entities.CustomerPortalSession import CustomerPortalSession
from paddle_billing.Entities.Shared import CustomData
from paddle_billing.Resources.CustomerPortalSessions.Operations import CreateCustomerPortalSession
from paddle_billing.Resources.Customers.Operations import CreateCustomer
from paddle_billing.Resources.Events.Operations import ListEvents
from paddle_billing.Resources.Shared.Operations import OrderBy, Pager
from paddle_billing.Resources.Subscriptions.Operations import ListSubscriptions
from paddle_billing.Undefined import Undefined

from billing_ui.payments.access import access_to, background_rate
from billing_ui.payments.inspection import Expected, Finding
from billing_ui.payments.mapping import generation_in, metadata, team_in
from billing_ui.payments.paddle import inspection, mapping, webhooks
from billing_ui.payments.paddle.catalog import fetch_catalog
from billing_ui.payments.paddle.checkouts import NO_PAGE, open_checkout
from billing_ui.payments.paddle.client import PAGE, Paddle, Refused
from billing_ui.payments.paddle.listing import list_page
from billing_ui.payments.paddle.snapshot import SNAPSHOT_CALLS, fetch_snapshot
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

LIVE_API: Final = "https://api.paddle.com"
SANDBOX_API: Final = "https://sandbox-api.paddle.com"

_SANDBOX_KEY: Final = "pdl_sdbx_"
_FLOWS: Final = frozenset({FlowType.PAYMENT_METHOD_UPDATE, FlowType.SUBSCRIPTION_CANCEL})
_CUSTOMER_ID: Final = re.compile(r"\bctm_[a-z0-9]+")


class PaddleDriver:
    """One Paddle account, reached with one API key; see `payments.driver.Driver` for every method."""

    provider = Provider.PADDLE
    display_name = "Paddle"
    webhook_events = webhooks.NEEDED_EVENTS

    def __init__(
        self, api_key: str, *, api_base: str = "", webhook_secrets: tuple[str, ...] = ()
    ) -> None:
        """Connect to nothing yet.

        Args:
            api_key: API key of the account.
            api_base: address of the API; empty for the one that the key is of.
            webhook_secrets: secrets of the notification destination, any of which may verify.
        """
        base = api_base or (SANDBOX_API if api_key.startswith(_SANDBOX_KEY) else LIVE_API)
        self.capabilities = Capabilities(
            flows=_FLOWS,
            checkout=True,
            event_list=True,
            returns=False,
            # The company's own page with Paddle.js says where to go afterwards.
            checkout_returns=False,
            # Its portal cancels and takes other cards; to another plan a company's own API call leads.
            plan_changes=False,
            lists_by_time=False,
            invoice_pdf_on_demand=True,
            snapshot_calls=SNAPSHOT_CALLS,
            # Paddle allows 240 a minute (https://developer.paddle.com/api-reference/about/rate-limiting).
            background_calls_per_second=background_rate(base, 3),
        )
        self._api_key = api_key
        self._paddle = Paddle(api_key, base)
        self._webhook_secrets = webhook_secrets

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Return the driver that `settings` describe; in sandbox mode that of the sandbox.

        Raises:
            ProviderRejected: no Paddle key is set, and the sandbox does not imitate Paddle.
        """
        key, base = access_to(cls.provider, cls.display_name, settings)
        return cls(key, api_base=base, webhook_secrets=settings.webhook_secrets(cls.provider))

    async def close(self) -> None:
        """Close the connections and end the threads."""
        await self._paddle.close()

    # ------------------------------------------------------------ customers

    async def ensure_customer(self, payer: Payer) -> str:
        """Return the customer id of `payer`, creating the customer when it has none.

        Paddle has no idempotency keys, but one customer for each e-mail address: of parallel and
        repeated attempts one creates, and the others are told whose the address is. That one is taken
        only when our own data stands on it; an address alone makes nobody ours.

        Raises:
            CustomerDeleted: what was created under this claim has been archived.
            ProviderRejected: the address is missing, or another customer's.
        """
        if payer.customer_id is not None:
            return payer.customer_id
        if payer.email is None:
            raise ProviderRejected(
                "Paddle makes no customer without an e-mail address. Sign in as a person who has one."
            )
        operation = CreateCustomer(
            email=payer.email,
            name=payer.name if payer.name is not None else Undefined(),
            custom_data=CustomData(metadata(payer)),
        )
        try:
            return await self._create_customer(operation)
        except Refused as refusal:
            named = _CUSTOMER_ID.search(refusal.detail)
            if refusal.code != "customer_already_exists" or named is None:
                raise
            other = named.group()
        holder = await self._paddle.call(lambda client: client.customers.get(other))
        return _if_ours(holder, payer)

    async def _create_customer(self, operation: CreateCustomer) -> str:
        customer: Customer = await self._paddle.call(
            lambda client: client.customers.create(operation)
        )
        return str(customer.id)

    # ------------------------------------------------------------ sessions

    async def ensure_portal_configuration(
        self, catalog: CatalogSnapshot, known: PortalConfigurationRef | None
    ) -> PortalConfigurationRef | None:
        """Return None: what Paddle's portal offers is set in Paddle's dashboard alone."""
        return None

    async def start_portal_session(self, request: StartPortalSessionInput) -> PortalSession:
        """Open a portal session: one call, and one more for a payment method of no named subscription.

        Paddle's portal links back to nowhere, so the return URL is not passed on.
        """
        if request.configuration is not None:
            raise InvalidRequest("configuration: Paddle's portal has none.")
        customer = await self.ensure_customer(request.payer)
        subscription = await self._flow_subscription(customer, request.flow)
        operation = CreateCustomerPortalSession(
            subscription_ids=[subscription] if subscription else Undefined()
        )
        try:
            session: CustomerPortalSession = await self._paddle.call(
                lambda client: client.customer_portal_sessions.create(customer, operation)
            )
        except Refused as refusal:
            if refusal.missing or refusal.code == "entity_archived":
                raise CustomerDeleted() from None
            if subscription is not None and refusal.status == 400:
                raise InvalidRequest(f"Paddle can't open this page: {refusal.detail}") from None
            raise
        return PortalSession(
            provider=self.provider,
            customer=customer,
            portal_url=_page_of(session, request.flow, subscription),
            session_id=session.id,
        )

    async def _flow_subscription(self, customer: str, flow: PortalFlow | None) -> str | None:
        """Return which subscription a flow is about; None when the portal opens at its first page.

        Raises:
            InvalidRequest: Paddle's portal cannot be opened there.
        """
        if flow is None:
            return None
        if flow.type not in _FLOWS:
            raise InvalidRequest(f"flow: Paddle's portal cannot be opened at {flow.type}.")
        if flow.subscription_id is not None:
            return flow.subscription_id
        if flow.type.about_subscription:
            raise InvalidRequest(f"flow: {flow.type} needs a subscription.")
        # A payment method is exchanged for one subscription; somebody without any sees the first page.
        page = await self._paddle.page(
            lambda client: client.subscriptions,
            lambda pager: ListSubscriptions(pager, customer_ids=[customer]),
        )
        live = (one.id for one in page.items if mapping.state_of(one).live)
        return next(live, None)

    async def start_checkout(self, request: StartCheckoutInput) -> CheckoutSession:
        """Open a checkout for one price, or take up the team's own one that is still open.

        Where the buyer goes afterwards is said on the company's own page that the checkout opens on, so
        success and cancel URL are not passed on.
        """
        customer = await self.ensure_customer(request.payer)
        opened = await open_checkout(self._paddle, customer, request)
        url = opened.checkout.url if opened.checkout else None
        if not url:
            raise ProviderRejected(NO_PAGE)
        return CheckoutSession(
            provider=self.provider, customer=customer, checkout_url=url, session_id=opened.id
        )

    # ------------------------------------------------------------ snapshots, catalogue and events

    async def fetch_snapshot(
        self,
        customer_id: str,
        *,
        invoices: Collection[str] = (),
        invoices_since: datetime | None = None,
    ) -> Snapshot:
        """Fetch one customer's whole billing state, mostly in the time of two round trips."""
        return await fetch_snapshot(self._paddle, customer_id, invoices, invoices_since)

    async def fetch_catalog(self) -> CatalogSnapshot:
        """Fetch every product with all its prices, archived ones included."""
        return await fetch_catalog(self._paddle)

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
        return await list_page(
            self._paddle, listing, created_from=created_from, created_to=created_to, cursor=cursor
        )

    async def invoice_pdf(self, invoice_id: str) -> str | None:
        """Return the address of an invoice's PDF, which Paddle makes for about an hour; None when it has none."""
        try:
            found = await self._paddle.call(
                lambda client: client.transactions.get_invoice_pdf(invoice_id)
            )
        except Refused as refusal:
            if refusal.missing or refusal.code.startswith("transaction_"):
                return None
            raise
        return str(found.url)

    def verify_webhook(self, headers: Mapping[str, str], body: bytes) -> ProviderEvent:
        """Check a webhook's signature over its raw body and return its event."""
        return webhooks.verify(self._webhook_secrets, headers, body)

    async def list_events(self, since: datetime) -> AsyncIterator[ProviderEvent]:
        """Walk the events created at or after `since` (UTC), newest first; Paddle keeps 90 days of them."""
        after: str | None = None
        while True:
            events, more = await self._paddle.call(_events_after(after))
            for event in events:
                if event.created_at < since:
                    return
                yield event
            if not more or not events:
                return
            after = events[-1].id

    async def inspect(self, expected: Expected) -> tuple[Finding, ...]:
        """Look whether everything at Paddle is as it must be, with calls that change nothing."""
        return await inspection.inspect(
            self._paddle, expected, api_key=self._api_key, webhook_secrets=self._webhook_secrets
        )


def _events_after(after: str | None) -> Any:
    """Return what fetches a page of events.

    They are read like webhooks: of the hundred kinds the SDK would make an object each, and refuse a
    whole page for a field that one of them lacks.
    """
    operation = ListEvents(Pager(after=after, order_by=OrderBy.id_descending(), per_page=PAGE))

    def fetch(client: Client) -> tuple[list[ProviderEvent], bool]:
        page = client.get_raw("/events", operation).json()
        return [webhooks.event_of(event) for event in page["data"]], page["meta"]["pagination"][
            "has_more"
        ]

    return fetch


def _if_ours(holder: Customer, payer: Payer) -> str:
    """Return the id of the customer who has the payer's e-mail address, if it is the payer's own.

    Raises:
        CustomerDeleted: it is, and was archived.
        ProviderRejected: it is another's, or the team's before the present one.
    """
    team_id = team_in(mapping.text_in(holder.custom_data, "team_id"))
    if team_id is None:
        raise ProviderRejected(
            f"Paddle has another customer ({holder.id}) with the e-mail address that this team's would "
            f"get. Whoever runs the site can link it, once sure that it is the team's: {_link(payer, holder.id)}"
        )
    if team_id != payer.team_id:
        raise ProviderRejected(
            f"Another team's customer ({holder.id}) has the e-mail address that this team's would get, and "
            "Paddle gives each to one customer only. Whoever runs the site can create a customer with "
            f"another one in Paddle's dashboard, and link it: {_link(payer, 'ctm_…')}"
        )
    generation = generation_in(mapping.text_in(holder.custom_data, "generation"))
    if generation == payer.generation:
        if mapping.is_archived(holder):
            raise CustomerDeleted()
        return str(holder.id)
    raise ProviderRejected(
        f"Paddle keeps this team's former customer ({holder.id}) and takes no second one with its e-mail "
        "address. Whoever runs the site must make it active in Paddle's dashboard, and link it again: "
        f"{_link(payer, holder.id)}"
    )


def _link(payer: Payer, customer_id: str) -> str:
    return f"billing-ui customers link --team {payer.team_id} --customer {customer_id}"


def _page_of(
    session: CustomerPortalSession, flow: PortalFlow | None, subscription: str | None
) -> str:
    """Return the address of the page that a portal session is to open at.

    Raises:
        InvalidRequest: Paddle has no such page of this subscription.
    """
    if flow is None or subscription is None:
        return str(session.urls.general.overview)
    for urls in session.urls.subscriptions:
        if urls.id == subscription:
            return str(
                urls.cancel_subscription
                if flow.type is FlowType.SUBSCRIPTION_CANCEL
                else urls.update_subscription_payment_method
            )
    raise InvalidRequest(f"flow: Paddle has no page for the subscription {subscription}.")
