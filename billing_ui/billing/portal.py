"""Opening the provider's hosted portal for the team of whoever asks."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid4

from sqlalchemy import bindparam
from sqlmodel import col, select

from billing_ui.accounts.permissions import Action, require
from billing_ui.accounts.sessions import Identity
from billing_ui.billing.catalog import portal_configuration_id
from billing_ui.billing.customers import (
    HAS_LIVE_PLAN,
    choose_customer,
    driver_of,
    live_subscriptions,
    payer_of,
    usable_customer,
)
from billing_ui.billing.fetches import mark_out_of_date
from billing_ui.billing.return_urls import allowed_return_url
from billing_ui.billing.services import Services
from billing_ui.billing.visits import (
    forget_visit,
    record_visit,
    tell_of_visit,
    visit_return_url,
)
from billing_ui.direct import Direct
from billing_ui.models import (
    Customer,
    PortalConfiguration,
    Price,
    Subscription,
    SubscriptionItem,
    VisitKind,
)
from billing_ui.payments.driver import Driver
from billing_ui.payments.types import (
    ConfigurationUnusable,
    CustomerDeleted,
    FlowType,
    InvalidRequest,
    PortalFlow,
    PortalSession,
    ProviderRejected,
    StartPortalSessionInput,
)
from billing_ui.settings import Provider, Settings


class _Found(NamedTuple):
    """One of a team's customers, whether it has a plan, and the id of our portal configuration at its provider."""

    id: UUID
    team_id: UUID | None
    provider: str
    provider_customer_id: str | None
    generation: int
    create_params: dict[str, Any] | None
    claimed_at: datetime
    deleted_at: datetime | None
    has_plan: bool
    configuration: str | None


_FIND: Final = Direct(
    select(  # type: ignore[call-overload]
        *(Customer.id, Customer.team_id),
        *(Customer.provider, Customer.provider_customer_id, Customer.generation),
        *(Customer.create_params, Customer.claimed_at, Customer.deleted_at),
        HAS_LIVE_PLAN,
        PortalConfiguration.id,
    )
    .select_from(Customer)
    .outerjoin(PortalConfiguration, col(PortalConfiguration.provider) == col(Customer.provider))
    .where(col(Customer.team_id) == bindparam("team_id")),
    _Found,
)


@dataclass(frozen=True)
class OpenedPortal:
    """A portal waiting for the person; `url` is a credential: never stored, never logged."""

    url: str = field(repr=False)
    visit_id: UUID
    provider: str


async def open_portal(
    services: Services,
    identity: Identity,
    return_url: str | None = None,
    *,
    flow: PortalFlow | None = None,
    configuration: str | None = None,
    locale: str | None = None,
) -> OpenedPortal:
    """Open a portal session for the team's customer, and record the visit.

    Whatever the caller names (return URL, subscription, configuration) is a wish and checked here.
    A customer is never created by asking for a portal.

    Args:
        return_url: where the person goes after the return page; None for the billing page.
        flow: where in the portal to begin. A flow about a subscription gets the team's live one when it
            names none; a change to be confirmed names the new price, the new quantity or both.
        configuration: a portal configuration of the provider; ours or one the operator has listed.
        locale: IETF language tag of the portal's pages.

    Raises:
        NoTeam, NotAllowed: who asks may not.
        NoCustomer: the team has no customer yet.
        NothingBought: its provider has a portal only for those who have bought something.
        ProviderMismatch: its customer belongs to a provider that is neither the active nor a legacy one.
        InvalidReturnUrl: the return URL is not on an allowed origin.
        InvalidRequest: the flow, subscription or configuration cannot be had here.
        TooManyTries: the person, or the token, has opened it too often.
        CustomerDeleted: the provider has deleted the customer.
        PaymentError: as `Driver.start_portal_session` and `portal_configuration_id`.
    """
    team_id = require(identity, Action.OPEN_PORTAL)
    settings, visit_id = services.settings, uuid4()
    found = await services.database.fetch(_FIND, team_id=team_id)
    providers, live = settings.served_providers, {one.id for one in found if one.has_plan}
    customer = usable_customer(choose_customer(found, providers, live), providers)
    driver = driver_of(services.drivers, customer)
    return_to = allowed_return_url(settings, return_url)
    if configuration is not None:
        _check_configuration(settings, driver, configuration, customer.configuration)
    if flow is not None:
        flow = await _resolve_flow(services, driver, customer.id, flow)
    await services.limits.count_portal(identity)
    request = StartPortalSessionInput(
        payer=payer_of(customer),
        return_url=visit_return_url(settings, visit_id),
        configuration=configuration
        or _named_configuration(settings, driver)
        or customer.configuration,
        flow=flow,
        locale=locale,
    )
    # Both at once, for a person is waiting. The address is handed out when both are done: whoever comes back
    # is known, whatever dies in between.
    recorded, portal = await asyncio.gather(
        record_visit(
            services.database,
            visit_id,
            identity,
            customer.id,
            VisitKind.PORTAL,
            return_url=return_to,
            flow=flow.type if flow else None,
        ),
        _start_session(services, driver, request, customer.configuration),
        return_exceptions=True,
    )
    if isinstance(recorded, BaseException):
        raise recorded
    if isinstance(portal, BaseException):
        async with services.database.write() as session:
            await forget_visit(session, customer.id, visit_id)
            if isinstance(portal, CustomerDeleted):
                # The page should say so as well, and does after its next sync.
                await mark_out_of_date(session, Customer, customer.id)
        services.work.ring()
        raise portal
    await tell_of_visit(
        services.database,
        visit_id,
        identity,
        VisitKind.PORTAL,
        flow=flow.type if flow else None,
    )
    return OpenedPortal(url=portal.portal_url, visit_id=visit_id, provider=portal.provider)


async def open_switch(
    services: Services,
    identity: Identity,
    price_id: str,
    quantity: int,
    *,
    locale: str | None = None,
) -> OpenedPortal:
    """Open the portal where a switch of plans is only left to be confirmed.

    Where that cannot be had (several items, a portal without this price), it opens where plans are chosen;
    and at its first page for a plan that is set to cancel, which has to be kept first.

    Args:
        price_id: the price to switch to.
        quantity: how many of it.
        locale: IETF language tag of the portal's pages.

    Raises:
        PaymentError: as `open_portal`.
    """
    change = PortalFlow(
        type=FlowType.SUBSCRIPTION_UPDATE_CONFIRM, price_id=price_id, quantity=quantity
    )
    for flow in (change, PortalFlow(type=FlowType.SUBSCRIPTION_UPDATE)):
        # Whatever else stands in the way is met once more, and said then.
        with suppress(InvalidRequest, ProviderRejected):
            return await open_portal(services, identity, flow=flow, locale=locale)
    return await open_portal(services, identity, locale=locale)


def _check_configuration(
    settings: Settings, driver: Driver, configuration: str, ours: str | None
) -> None:
    listed = settings.stripe_portal_configurations if driver.provider is Provider.STRIPE else ()
    if configuration not in (ours, _named_configuration(settings, driver), *listed):
        raise InvalidRequest("configuration: is not one of this site's portal configurations.")


def _named_configuration(settings: Settings, driver: Driver) -> str | None:
    """Return the portal configuration that the operator has named for a provider, if any."""
    named = settings.stripe_portal_configuration if driver.provider is Provider.STRIPE else ""
    return named or None


async def _resolve_flow(
    services: Services, driver: Driver, customer_id: UUID, flow: PortalFlow
) -> PortalFlow:
    """Return the flow with the subscription it is about, checked to be the customer's."""
    if flow.type not in driver.capabilities.flows:
        raise InvalidRequest(f"flow: {driver.display_name}'s portal cannot open at {flow.type}.")
    if not _is_change(flow) and (flow.item_id, flow.price_id, flow.quantity) != (None, None, None):
        raise InvalidRequest(f"flow: {flow.type} takes no price and no quantity.")
    if not flow.type.about_subscription:
        if flow.subscription_id is not None:
            raise InvalidRequest(f"flow: {flow.type} is not about a subscription.")
        return flow
    async with services.database.read() as session:
        live = await live_subscriptions(session, customer_id)
    if flow.subscription_id is not None:
        live = tuple(one for one in live if one.id == flow.subscription_id)
        if not live:
            raise InvalidRequest("flow: there is no such live subscription.")
    if not live:
        raise InvalidRequest("flow: there is no live subscription. Choose a plan first.")
    # What is set to cancel is neither canceled again nor changed before it is kept.
    chosen = next((one for one in live if one.cancel_at is None), None)
    if chosen is None:
        keep = (
            "" if flow.type is FlowType.SUBSCRIPTION_CANCEL else " Keep it first, then change it."
        )
        raise InvalidRequest(f"flow: your plan is already set to cancel.{keep}")
    item_id = await _changed_item(services, chosen, flow) if _is_change(flow) else None
    return flow.model_copy(update={"subscription_id": chosen.id, "item_id": item_id})


def _is_change(flow: PortalFlow) -> bool:
    return flow.type is FlowType.SUBSCRIPTION_UPDATE_CONFIRM


async def _changed_item(services: Services, subscription: Subscription, flow: PortalFlow) -> str:
    """Return the id of the item that a change to be confirmed is of."""
    if flow.price_id is None and flow.quantity is None:
        raise InvalidRequest(f"flow: {flow.type} needs a price or a quantity to change to.")
    of_subscription = select(SubscriptionItem).where(
        SubscriptionItem.provider == subscription.provider,
        SubscriptionItem.subscription_id == subscription.id,
    )
    async with services.database.read() as session:
        items = (await session.exec(of_subscription)).all()
        known = (subscription.provider, flow.price_id)
        price = await session.get(Price, known) if flow.price_id else None
    if len(items) != 1:
        raise InvalidRequest("flow: a plan of several items is changed in the portal itself.")
    (item,) = items
    if flow.item_id not in (None, item.id):
        raise InvalidRequest("flow: there is no such item.")
    if flow.price_id is not None and not (price and price.active and price.interval):
        raise InvalidRequest("flow: this price is not for sale.")
    if flow.price_id in (None, item.price_id) and flow.quantity in (None, item.quantity):
        raise InvalidRequest("flow: this is your plan already.")
    return item.id


async def _start_session(
    services: Services, driver: Driver, request: StartPortalSessionInput, ours: str | None
) -> PortalSession:
    if not driver.capabilities.portal_configurations:
        return await driver.start_portal_session(request)
    if request.configuration is None:
        request = await _with_our_configuration(services, driver, request)
        return await driver.start_portal_session(request)
    try:
        return await driver.start_portal_session(request)
    except ConfigurationUnusable:
        if request.configuration != ours:
            raise
        # Somebody has deactivated ours, or it belongs to another account: make it anew, once.
        return await driver.start_portal_session(
            await _with_our_configuration(services, driver, request, unusable=ours)
        )


async def _with_our_configuration(
    services: Services,
    driver: Driver,
    request: StartPortalSessionInput,
    *,
    unusable: str | None = None,
) -> StartPortalSessionInput:
    configuration = await portal_configuration_id(services, driver.provider, unusable=unusable)
    return request.model_copy(update={"configuration": configuration})
