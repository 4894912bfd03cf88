"""The Polar driver: customers, portal and checkout sessions, snapshots, catalogue and events."""

from collections.abc import AsyncIterator, Collection, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Self, TypedDict, cast

from polar.v2026_10.errors import HTTPValidationError, ResourceNotFound
from polar.v2026_10.outputs import Product

from billing_ui.payments.access import access_to, background_rate
from billing_ui.payments.inspection import Expected, Finding
from billing_ui.payments.polar import inspection, mapping, webhooks
from billing_ui.payments.polar.catalog import fetch_catalog
from billing_ui.payments.polar.client import PolarClient, complaint_about, is_id, translated
from billing_ui.payments.polar.invoice_pdf import invoice_pdf
from billing_ui.payments.polar.listing import list_page
from billing_ui.payments.polar.snapshot import SNAPSHOT_CALLS, fetch_snapshot
from billing_ui.payments.types import (
    Capabilities,
    CatalogSnapshot,
    CheckoutSession,
    CustomerDeleted,
    InvalidRequest,
    ListedPage,
    Listing,
    Payer,
    PortalConfigurationRef,
    PortalSession,
    ProviderEvent,
    ProviderRejected,
    Snapshot,
    StartCheckoutInput,
    StartPortalSessionInput,
)
from billing_ui.settings import Provider, Settings

if TYPE_CHECKING:
    from polar.v2026_10.inputs import CheckoutCreate, CustomerTeamCreate
    from polar.v2026_10.literals import PresentmentCurrency
    from polar.v2026_10.outputs import CustomerSession


class _Member(TypedDict, total=False):
    """Who comes into a portal."""

    member_id: str
    external_member_id: str


API_BASE = "https://api.polar.sh"
TEST_API_BASE = "https://sandbox-api.polar.sh"

LIVE_CALLS, TEST_CALLS = 6, 1.2
"""How many calls a second work in the background makes of the 500 a minute, and 100 in the sandbox, that Polar allows.

See https://polar.sh/docs/api-reference/introduction.
"""


class PolarDriver:
    """One organization at Polar, reached with one access token; see `payments.driver.Driver` for every method."""

    provider = Provider.POLAR
    display_name = "Polar"
    webhook_events = webhooks.NEEDED_EVENTS

    def __init__(
        self,
        access_token: str,
        *,
        api_base: str = API_BASE,
        webhook_secrets: tuple[str, ...] = (),
    ) -> None:
        """Connect to nothing yet.

        Args:
            access_token: of the organization.
            api_base: address of the API, without `/v1`.
            webhook_secrets: signing secrets of the webhook endpoint, any of which may verify.
        """
        self.capabilities = Capabilities(
            # The portal has its places, but a session always opens at the first page.
            flows=frozenset(),
            checkout=True,
            event_list=True,
            events_as_delivered=False,
            # Only the list of orders can be narrowed down.
            lists_by_time=False,
            invoice_pdf_on_demand=True,
            snapshot_calls=SNAPSHOT_CALLS,
            background_calls_per_second=background_rate(
                api_base, TEST_CALLS if api_base == TEST_API_BASE else LIVE_CALLS
            ),
        )
        self._client = PolarClient(access_token, api_base)
        self._api_base = api_base
        self._webhook_secrets = webhook_secrets

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Return the driver that `settings` describe; in sandbox mode that of the sandbox.

        Raises:
            ProviderRejected: no Polar token is set, but another provider's key is.
        """
        token, base = access_to(cls.provider, cls.display_name, settings)
        return cls(
            token, api_base=base or API_BASE, webhook_secrets=settings.webhook_secrets(cls.provider)
        )

    async def close(self) -> None:
        """Close the connections made in the running event loop."""
        await self._client.close()

    # ------------------------------------------------------------ customers

    async def ensure_customer(self, payer: Payer) -> str:
        """Return the customer id of `payer`, creating the customer when it has none.

        The external id is unique among an organization's customers, so of any number of attempts one makes the
        customer, and the others are refused and find it. Polar frees that id when it deletes a customer, so its
        log is asked first whether that has happened.
        """
        if payer.customer_id is not None:
            return payer.customer_id
        external_id = mapping.external_id(payer)
        with translated():
            if await webhooks.was_deleted(
                self._client, metadata={"customer_external_id": external_id}
            ):
                raise CustomerDeleted()
            try:
                return await self._create_customer(payer)
            except HTTPValidationError as refusal:
                if complaint_about(refusal, "external_id") is None:
                    raise
            try:
                return (await self._client.customers.get_external(external_id)).id
            except ResourceNotFound:
                # Deleted since it was in the way.
                raise CustomerDeleted() from None

    async def _create_customer(self, payer: Payer) -> str:
        """Create a customer of Polar's type `team`.

        An e-mail is unique among customers too, which those who look after several teams are not. A team may
        have none of its own, only its owner has: so somebody else's customer with that e-mail does no harm.
        """
        if payer.email is None:
            raise InvalidRequest(
                "Polar needs an e-mail address to make a customer. Add one to the team's billing details."
            )
        external_id = mapping.external_id(payer)
        wish: CustomerTeamCreate = {
            "type": "team",
            "external_id": external_id,
            "email": payer.email,
            "owner": {"email": payer.email, "external_id": external_id},
            "metadata": mapping.metadata(payer),
        }
        if payer.name is not None:
            wish["name"] = payer.name
        try:
            return (await self._client.customers.create(**wish)).id
        except HTTPValidationError as refusal:
            if complaint_about(refusal, "external_id") or not complaint_about(refusal, "email"):
                raise
        wish.pop("email")
        return (await self._client.customers.create(**wish)).id

    # ------------------------------------------------------------ sessions

    async def ensure_portal_configuration(
        self, catalog: CatalogSnapshot, known: PortalConfigurationRef | None
    ) -> PortalConfigurationRef | None:
        """Return None: Polar's portal is set up once, in the organization's settings."""
        return None

    async def start_portal_session(self, request: StartPortalSessionInput) -> PortalSession:
        """Open a portal session: one call when the request names the customer."""
        if request.flow is not None:
            raise InvalidRequest(
                f"flow: Polar's portal can't be opened at {request.flow.type}; it opens at its first page."
            )
        if request.configuration is not None:
            raise InvalidRequest("configuration: Polar has no portal configurations.")
        customer = await self.ensure_customer(request.payer)
        with translated():
            session = await self._open_portal(customer, request)
        return PortalSession(
            provider=self.provider,
            customer=customer,
            portal_url=session.customer_portal_url,
            session_id=session.id,
            expires_at=mapping.instant(session.expires_at),
        )

    async def _open_portal(
        self, customer: str, request: StartPortalSessionInput
    ) -> "CustomerSession":
        """Open the portal as the customer's owner, who may do everything there."""
        async for owner in self._owner(customer, request.payer):
            try:
                return await self._client.customer_sessions.create(
                    customer_id=customer, return_url=request.return_url, **owner
                )
            except HTTPValidationError as refusal:
                if complaint_about(refusal, "external_member_id", "member_id") is None:
                    raise
        raise ProviderRejected("Polar opens its portal only for a customer that has an owner.")

    async def _owner(self, customer: str, payer: Payer) -> AsyncIterator["_Member"]:
        """Yield how the owner of a customer may be named, the likeliest first.

        The owners of those we made have an external id of ours. A customer made elsewhere, and linked to a team,
        has another owner, and may be no team, of which alone Polar knows by itself who comes.
        """
        yield {"external_member_id": mapping.external_id(payer)}
        found = await self._client.customers.get(customer)
        if found.type == "individual":
            yield {}
        if found.external_id is not None:
            yield {"external_member_id": found.external_id}
        for owner in (await self._client.customers.members.list(customer, role="owner")).items:
            yield {"member_id": owner.id}

    async def start_checkout(self, request: StartCheckoutInput) -> CheckoutSession:
        """Open a checkout session for one product.

        Polar has no call that closes one. That two tabs can't buy two subscriptions is a setting of the
        organization there, which is off unless somebody changed it.
        """
        product = await self._product(request.price_id)
        customer = await self.ensure_customer(request.payer)
        wish: CheckoutCreate = {
            "products": [product.id],
            "customer_id": customer,
            "success_url": request.success_url,
            "return_url": request.cancel_url,
            "metadata": {"team_id": str(request.payer.team_id)},
        }
        _choose_quantity(wish, product, request)
        if request.currency is not None:
            wish["currency"] = cast("PresentmentCurrency", request.currency)
        if request.locale is not None:
            wish["locale"] = request.locale
        with translated():
            checkout = await self._client.checkouts.create(**wish)
        return CheckoutSession(
            provider=self.provider,
            customer=customer,
            checkout_url=checkout.url,
            session_id=checkout.id,
            expires_at=mapping.instant(checkout.expires_at),
        )

    async def _product(self, price_id: str) -> Product:
        """Return the product that a price of ours stands for; how its quantity is told depends on it."""
        unknown = InvalidRequest("Polar sells nothing by that name. Choose one of the plans shown.")
        if not is_id(price_id):
            raise unknown
        with translated():
            try:
                product = await self._client.products.get(price_id)
            except ResourceNotFound:
                raise unknown from None
        if product.is_archived or product.visibility == "draft":
            raise InvalidRequest(
                f"{product.name} is no longer sold. Choose one of the plans shown."
            )
        return product

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
        """Return where an order's PDF is now, letting Polar make it if it never did; None when it has none."""
        with translated():
            return await invoice_pdf(self._client, invoice_id)

    async def fetch_catalog(self) -> CatalogSnapshot:
        """Fetch every product with its price, archived ones included."""
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
        """Fetch one page of all customers, subscriptions or orders, newest first."""
        with translated():
            return await list_page(
                self._client,
                listing,
                created_from=created_from,
                created_to=created_to,
                cursor=cursor,
            )

    def verify_webhook(self, headers: Mapping[str, str], body: bytes) -> ProviderEvent:
        """Check a webhook's signature over its raw body and return its event."""
        return webhooks.verify(self._webhook_secrets, headers, body)

    async def inspect(self, expected: Expected) -> tuple[Finding, ...]:
        """Look whether everything at Polar is as it must be, with calls that change nothing."""
        return await inspection.inspect(
            self._client,
            expected,
            testing=self._api_base != API_BASE,
            webhook_secrets=self._webhook_secrets,
        )

    async def list_events(self, since: datetime) -> AsyncIterator[ProviderEvent]:
        """Walk the events created at or after `since` (UTC), newest first."""
        with translated():
            async for event in webhooks.list_events(self._client, since):
                yield event


def _choose_quantity(wish: "CheckoutCreate", product: Product, request: StartCheckoutInput) -> None:
    """Say in a checkout how many are bought: in seats or in units, by how the product is priced."""
    priced = next((price for price in product.prices if mapping.is_per_unit(price)), None)
    if priced is None:
        if request.quantity > 1:
            raise InvalidRequest(f"{product.name} is sold one at a time.")
    elif priced.amount_type == "seat_based":
        wish["seats"] = request.quantity
        if not request.adjustable_quantity:
            wish["min_seats"] = wish["max_seats"] = request.quantity
    else:
        wish["units"] = request.quantity
        if not request.adjustable_quantity:
            wish["min_units"] = wish["max_units"] = request.quantity
