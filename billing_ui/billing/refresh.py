"""Bringing a team's billing up to date because somebody looks at it."""

from uuid import UUID

from billing_ui.accounts.permissions import Action, require
from billing_ui.accounts.sessions import Identity
from billing_ui.billing.customers import current_customer, usable_customer
from billing_ui.billing.services import Services
from billing_ui.billing.sync import sync_customer
from billing_ui.models import Customer


async def refresh_billing(services: Services, identity: Identity) -> None:
    """Fetch the team's billing anew, because somebody asks for it.

    Raises:
        NoTeam, NotAllowed: who asks may not.
        NoCustomer, ProviderMismatch: there is nothing that a provider could be asked about.
        PaymentError: as `sync_customer`.
    """
    customer = await _customer(services, require(identity, Action.SYNC))
    await sync_customer(services, customer.id)


async def catch_up(services: Services, identity: Identity) -> None:
    """Fetch the team's billing if it is known to be out of date; whoever may see it may cause this.

    Raises:
        NoTeam, NotAllowed: who asks may not see the team's plan.
        NoCustomer, ProviderMismatch: there is nothing that a provider could be asked about.
        PaymentError: as `sync_customer`.
    """
    customer = await _customer(services, require(identity, Action.VIEW_PLAN))
    await sync_customer(services, customer.id, after=customer.wanted)


async def _customer(services: Services, team_id: UUID) -> Customer:
    providers = services.settings.served_providers
    async with services.database.read() as session:
        return usable_customer(await current_customer(session, team_id, providers), providers)
