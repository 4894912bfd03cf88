"""What the billing page shows of a team, read from our tables alone: it never waits for the provider."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar
from uuid import UUID

from sqlalchemy import case
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from billing_ui.accounts.permissions import Action, require
from billing_ui.accounts.sessions import Identity
from billing_ui.accounts.teams import count_members, read_owner_contact
from billing_ui.billing.customers import NEWEST_FIRST, current_customer, driver_of
from billing_ui.billing.return_urls import web_address
from billing_ui.billing.services import Services
from billing_ui.billing.words import provider_mismatch, provider_name
from billing_ui.models import (
    Customer,
    Invoice,
    PaymentMethod,
    Product,
    Role,
    Subscription,
    SubscriptionItem,
)
from billing_ui.models.columns import left_out
from billing_ui.payments.driver import Drivers
from billing_ui.payments.types import (
    Address,
    Capabilities,
    NextInvoice,
    SubscriptionState,
    TaxId,
)
from billing_ui.settings import Provider

_OWING: Final = frozenset(
    {SubscriptionState.PAST_DUE, SubscriptionState.UNPAID, SubscriptionState.INCOMPLETE}
)
"""The states in which an open invoice keeps a subscription from going on."""

_GOING_ON: Final = frozenset(
    {
        SubscriptionState.ACTIVE,
        SubscriptionState.TRIALING,
        SubscriptionState.PAST_DUE,
        SubscriptionState.UNPAID,
    }
)
"""The states of a subscription that goes on for all we know; one of them is what somebody calls their plan."""

T = TypeVar("T")


@dataclass(frozen=True)
class PlanItem:
    """One item of a subscription; `unit_amount` in minor units of `currency`, None when tiered or metered."""

    name: str
    price_id: str
    product_id: str
    quantity: int | None
    unit_amount: int | None
    currency: str
    interval: str | None
    interval_count: int
    unit_label: str | None


@dataclass(frozen=True)
class Overdue:
    """What has not been paid: the oldest open invoice of a subscription that waits for its payment.

    Attributes:
        since: when it was due (UTC).
        amount: what remains of it, in minor units of `currency`.
        next_attempt_at: when the provider tries again (UTC), None when it does not.
        hosted_url: the provider's page where it can be paid; None for who may not see invoices.
    """

    since: datetime
    amount: int
    currency: str
    next_attempt_at: datetime | None
    hosted_url: str | None


@dataclass(frozen=True)
class PlanSummary:
    """One subscription; times are UTC, amounts minor units of `currency`.

    Attributes:
        name: of its first item's product.
        status: the provider's word; `state` is ours.
        amount: sum of its items per interval; None when one of them has no fixed amount or another interval.
        ends_unpaid: whether it ends with its trial when there is no payment method by then.
        pauses_at: when it is going to be paused instead of renewed, while it goes on.
    """

    subscription_id: str
    name: str
    state: SubscriptionState
    status: str
    items: tuple[PlanItem, ...]
    amount: int | None
    currency: str
    interval: str | None
    interval_count: int
    current_period_end: datetime | None
    cancel_at: datetime | None
    trial_end: datetime | None
    ends_unpaid: bool
    ended_at: datetime | None
    pauses_at: datetime | None
    resumes_at: datetime | None
    overdue: Overdue | None
    unit_label: str | None
    features: tuple[str, ...]

    @property
    def overdue_since(self) -> datetime | None:
        """Since when a payment is overdue (UTC)."""
        return self.overdue.since if self.overdue else None


@dataclass(frozen=True)
class PaymentMethodSummary:
    """What the next invoice is paid with."""

    type: str
    brand: str | None
    last4: str | None
    exp_month: int | None
    exp_year: int | None


@dataclass(frozen=True)
class BillingDetails:
    """What stands on the invoices."""

    name: str | None
    email: str | None
    phone: str | None
    address: Address | None
    tax_ids: tuple[TaxId, ...]


@dataclass(frozen=True)
class BillingSummary:
    """Everything the billing page shows but the invoices.

    Attributes:
        can_manage: whether the person's role allows to change billing; the buttons need a usable customer
            besides (`has_customer`, no `mismatch`, not `customer_deleted`).
        members: how many people are in the team.
        provider: the customer's, the active one without a customer.
        capabilities: what that provider can do.
        can_buy: whether the active provider, where new plans are bought, has a checkout.
        has_customer: whether the provider knows the team.
        mismatch: why nothing can be changed here, when the customer belongs to a provider that is not served.
        plans: live subscriptions, newest first; without any, the one that ended last.
        next_invoice: as the provider foresees it, None when none is coming.
        payment_method, details, next_invoice: None as well for someone who may not see them.
        synced_at: when the provider last told us all this (UTC), None before the first time.
        out_of_date: whether the provider may know something newer; a sync in the background is due.
        sync_error: why the last sync failed, until one succeeds; `parked` says that no more are tried.
        contact_email: whom someone without billing rights asks.
    """

    team_name: str
    role: Role
    can_manage: bool
    members: int
    provider: Provider
    capabilities: Capabilities
    can_buy: bool
    has_customer: bool
    customer_deleted: bool
    mismatch: str | None
    plans: tuple[PlanSummary, ...]
    next_invoice: NextInvoice | None
    payment_method: PaymentMethodSummary | None
    details: BillingDetails | None
    synced_at: datetime | None
    out_of_date: bool
    sync_error: str | None
    parked: bool
    contact_email: str | None

    @property
    def provider_name(self) -> str:
        """The provider's name as people know it."""
        return provider_name(self.provider)

    @property
    def lacks_payment_method(self) -> bool:
        """Whether there is none, for all that the provider tells."""
        return self.payment_method is None and self.capabilities.payment_method_list


async def load_billing(services: Services, identity: Identity) -> BillingSummary:
    """Return what the billing page shows to `identity`.

    Raises:
        NoTeam, NotAllowed: who asks may not see the team's plan.
    """
    team_id = require(identity, Action.VIEW_PLAN)
    async with services.database.read() as session:
        customer = await current_customer(session, team_id, services.settings.served_providers)
        return await read_billing(session, services.drivers, identity, customer)


async def read_billing(
    session: AsyncSession, drivers: Drivers, identity: Identity, customer: Customer | None
) -> BillingSummary:
    """Return what `load_billing` does.

    Args:
        drivers: of the providers that are served.
        customer: of `identity`'s team.

    Raises:
        NoTeam, NotAllowed: who asks may not see the team's plan.
    """
    team_id = require(identity, Action.VIEW_PLAN)
    if identity.role is None:
        raise AssertionError("unreachable: nobody may see a plan without a role")
    active, driver = drivers.active, driver_of(drivers, customer)
    sees_account = identity.may(Action.VIEW_INVOICES)
    members = await count_members(session, team_id)
    plans: tuple[PlanSummary, ...] = ()
    method: PaymentMethodSummary | None = None
    if customer is not None:
        plans = await _load_plans(session, customer, with_links=sees_account)
        method = await _load_payment_method(session, customer.id) if sees_account else None
    return BillingSummary(
        team_name=identity.team_name,
        role=identity.role,
        can_manage=identity.may(Action.OPEN_PORTAL),
        members=members,
        provider=Provider(customer.provider) if customer else active.provider,
        capabilities=driver.capabilities,
        can_buy=active.capabilities.checkout,
        has_customer=customer is not None,
        customer_deleted=customer is not None and customer.deleted_at is not None,
        mismatch=(
            provider_mismatch(customer.provider, active.provider)
            if customer and not drivers.serves(customer.provider)
            else None
        ),
        plans=plans,
        next_invoice=_next_invoice(customer) if customer and sees_account else None,
        payment_method=method,
        details=_details(customer) if customer and sees_account else None,
        synced_at=customer.synced_at if customer else None,
        out_of_date=customer is not None and customer.wanted > customer.applied,
        sync_error=customer.sync_error if customer else None,
        parked=customer is not None and customer.parked_at is not None,
        contact_email=None if sees_account else await read_owner_contact(session, team_id),
    )


async def _load_plans(
    session: AsyncSession, customer: Customer, *, with_links: bool
) -> tuple[PlanSummary, ...]:
    subscriptions = await _shown_subscriptions(session, customer.id)
    if not subscriptions:
        return ()
    ids = [subscription.id for subscription in subscriptions]
    query = (
        select(SubscriptionItem, Product)
        .outerjoin(
            Product,
            (col(Product.provider) == col(SubscriptionItem.provider))
            & (col(Product.id) == col(SubscriptionItem.product_id)),
        )
        .where(
            SubscriptionItem.provider == customer.provider,
            col(SubscriptionItem.subscription_id).in_(ids),
        )
        .order_by(col(SubscriptionItem.position))
    )
    items: dict[str, list[tuple[SubscriptionItem, Product | None]]] = defaultdict(list)
    for item, product in (await session.exec(query)).all():
        items[item.subscription_id].append((item, product))
    overdue: Mapping[str | None, Overdue] = {}
    if any(subscription.state in _OWING for subscription in subscriptions):
        overdue = await _load_overdue(session, customer.id, with_links=with_links)
    return tuple(
        _plan(subscription, items[subscription.id], overdue.get(subscription.id))
        for subscription in subscriptions
    )


async def _shown_subscriptions(session: AsyncSession, customer_id: UUID) -> Sequence[Subscription]:
    ended = col(Subscription.state) == SubscriptionState.ENDED.value
    # Ended ones gather over the years: one of them is enough to know that nothing is live.
    query = (
        select(Subscription)
        .options(left_out(Subscription.raw))
        .where(Subscription.customer_id == customer_id)
        .order_by(
            case((ended, 1), else_=0), col(Subscription.ended_at).desc().nulls_last(), *NEWEST_FIRST
        )
    )
    found = (await session.exec(query)).all()
    live = [s for s in found if s.state != SubscriptionState.ENDED]
    # First what goes on, then what stops or has not begun.
    return sorted(live, key=lambda s: s.state not in _GOING_ON) or found[:1]


async def _load_overdue(
    session: AsyncSession, customer_id: UUID, *, with_links: bool
) -> dict[str | None, Overdue]:
    """Return the oldest unpaid invoice of each subscription, by the subscription's id."""
    query = (
        select(Invoice)
        .options(left_out(Invoice.raw))
        .where(
            Invoice.customer_id == customer_id,
            col(Invoice.status).in_(["open", "uncollectible"]),
            Invoice.amount_remaining > 0,
        )
        .order_by(col(Invoice.created_at).desc())
    )
    return {
        invoice.subscription_id: Overdue(
            since=invoice.due_at or invoice.created_at,
            amount=invoice.amount_remaining,
            currency=invoice.currency,
            next_attempt_at=invoice.next_attempt_at,
            hosted_url=web_address(invoice.hosted_url) if with_links else None,
        )
        for invoice in (await session.exec(query)).all()
    }


async def _load_payment_method(
    session: AsyncSession, customer_id: UUID
) -> PaymentMethodSummary | None:
    query = (
        select(PaymentMethod)
        .where(PaymentMethod.customer_id == customer_id)
        .order_by(col(PaymentMethod.is_default).desc())
        .limit(2)
    )
    found = (await session.exec(query)).all()
    # Without a default one, only a single one is sure to be what pays.
    if not found or (not found[0].is_default and len(found) > 1):
        return None
    method = found[0]
    return PaymentMethodSummary(
        type=method.type,
        brand=method.brand,
        last4=method.last4,
        exp_month=method.exp_month,
        exp_year=method.exp_year,
    )


def _plan(
    subscription: Subscription,
    rows: Sequence[tuple[SubscriptionItem, Product | None]],
    overdue: Overdue | None,
) -> PlanSummary:
    items = tuple(_item(item, product) for item, product in rows)
    amounts = [
        None if item.unit_amount is None else item.unit_amount * (item.quantity or 1)
        for item in items
    ]
    known = [amount for amount in amounts if amount is not None]
    cadence = _only({(item.interval, item.interval_count) for item in items})
    state = SubscriptionState(subscription.state)
    first = rows[0][1] if rows else None
    return PlanSummary(
        subscription_id=subscription.id,
        name=items[0].name if items else "Your plan",
        state=state,
        status=subscription.status,
        items=items,
        amount=sum(known) if items and cadence and len(known) == len(items) else None,
        currency=subscription.currency,
        interval=cadence[0] if cadence else None,
        interval_count=cadence[1] if cadence else 1,
        current_period_end=subscription.current_period_end,
        cancel_at=subscription.cancel_at,
        trial_end=subscription.trial_end,
        ends_unpaid=subscription.ends_unpaid,
        ended_at=subscription.ended_at,
        pauses_at=subscription.pauses_at,
        resumes_at=subscription.resumes_at,
        overdue=overdue if state in _OWING else None,
        unit_label=items[0].unit_label if items else None,
        features=tuple(first.features) if first else (),
    )


def _item(item: SubscriptionItem, product: Product | None) -> PlanItem:
    return PlanItem(
        name=item.plan_name,
        price_id=item.price_id,
        product_id=item.product_id,
        quantity=item.quantity,
        unit_amount=item.unit_amount,
        currency=item.currency,
        interval=item.interval,
        interval_count=item.interval_count,
        unit_label=item.unit_label or (product.unit_label if product else None),
    )


def _next_invoice(customer: Customer) -> NextInvoice | None:
    if customer.next_invoice is None:
        return None
    return NextInvoice.model_validate(customer.next_invoice)


def _details(customer: Customer) -> BillingDetails:
    return BillingDetails(
        name=customer.name,
        email=customer.email,
        phone=customer.phone,
        address=Address.model_validate(customer.address) if customer.address else None,
        tax_ids=tuple(TaxId.model_validate(tax_id) for tax_id in customer.tax_ids),
    )


def _only(values: set[T]) -> T | None:
    return next(iter(values)) if len(values) == 1 else None
