"""Which customer a team has at a provider, and making sure that it never has two."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Protocol, TypeVar
from uuid import UUID

from sqlalchemy import delete, func, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from billing_ui.accounts.sessions import Identity
from billing_ui.billing import fetches
from billing_ui.billing.services import Services
from billing_ui.billing.upsert import insert_if_absent
from billing_ui.clock import utc_now
from billing_ui.models import Customer, Subscription, Team
from billing_ui.models.columns import left_out
from billing_ui.payments.types import (
    CustomerDeleted,
    InvalidRequest,
    NoCustomer,
    Payer,
    ProviderMismatch,
    SubscriptionState,
)

NEWEST_FIRST: Final = (col(Subscription.created_at).desc(), col(Subscription.id))
_MAX_GENERATIONS: Final = 5


class KnownCustomer(Protocol):
    """What must be known of a customer to ask the provider about it: a `models.Customer`, or a part of one."""

    @property
    def id(self) -> UUID: ...

    @property
    def team_id(self) -> UUID | None: ...

    @property
    def provider(self) -> str: ...

    @property
    def provider_customer_id(self) -> str | None: ...

    @property
    def generation(self) -> int: ...

    @property
    def create_params(self) -> dict[str, Any] | None: ...

    @property
    def claimed_at(self) -> datetime: ...

    @property
    def deleted_at(self) -> datetime | None: ...


AnyCustomer = TypeVar("AnyCustomer", bound=KnownCustomer)


def choose_customer(rows: Sequence[AnyCustomer], active_provider: str) -> AnyCustomer | None:
    """Return the one of a team's customers that counts, or None if no provider knows any of them.

    The active provider's comes before another's, one that exists before a deleted one, a later
    generation before an earlier one. A claim that was never carried out is not a customer.
    """
    known = [row for row in rows if row.provider_customer_id is not None]
    return max(
        known,
        key=lambda row: (row.provider == active_provider, row.deleted_at is None, row.generation),
        default=None,
    )


async def current_customer(
    session: AsyncSession, team_id: UUID, active_provider: str
) -> Customer | None:
    """Return the team's customer as `choose_customer` does, in one query."""
    rows = (await session.exec(select(Customer).where(Customer.team_id == team_id))).all()
    return choose_customer(rows, active_provider)


async def live_subscriptions(session: AsyncSession, customer_id: UUID) -> tuple[Subscription, ...]:
    """Return a customer's live subscriptions, newest first."""
    query = (
        select(Subscription)
        .options(left_out(Subscription.raw))
        .where(
            Subscription.customer_id == customer_id,
            col(Subscription.state).in_([state.value for state in SubscriptionState if state.live]),
        )
        .order_by(*NEWEST_FIRST)
    )
    return tuple((await session.exec(query)).all())


def usable_customer(customer: AnyCustomer | None, active_provider: str) -> AnyCustomer:
    """Return `customer` if the active provider can be asked about it.

    Raises:
        NoCustomer: there is none.
        ProviderMismatch: it belongs to another provider.
    """
    if customer is None:
        raise NoCustomer
    if customer.provider != active_provider:
        raise ProviderMismatch(customer.provider, active_provider)
    return customer


def payer_of(customer: KnownCustomer) -> Payer:
    """Return for whom the provider is asked.

    Raises:
        ValueError: the customer belongs to no team.
    """
    if customer.team_id is None:
        raise ValueError("an unclaimed customer pays for no team")
    params = customer.create_params or {}
    return Payer(
        team_id=customer.team_id,
        generation=customer.generation,
        customer_id=customer.provider_customer_id,
        email=params.get("email"),
        name=params.get("name"),
        claimed_at=customer.claimed_at,
    )


async def mark_customer_out_of_date(services: Services, customer_id: UUID) -> int:
    """Say that a customer may have changed at the provider; returns the count its next sync must reach."""
    async with services.database.write() as session:
        return await fetches.mark_out_of_date(session, Customer, customer_id)


async def ensure_customer(services: Services, identity: Identity, team_id: UUID) -> Customer:
    """Return the team's customer at the active provider, creating it there when it has none.

    However many calls run at once and wherever one of them dies, one customer comes of it: what it is
    created with is committed first, under a key that only one call can take, and the provider makes one
    customer of equal requests.

    Args:
        identity: whose e-mail, if they have one, and team name a new customer gets.

    Raises:
        PaymentError: as `Driver.ensure_customer`.
    """
    driver = services.drivers.active
    for _ in range(_MAX_GENERATIONS):
        claim = await claim_customer(services, identity, team_id)
        if claim.provider_customer_id is not None:
            return claim
        try:
            provider_customer_id = await driver.ensure_customer(payer_of(claim))
        except CustomerDeleted:
            # Created, never saved, and deleted there since: the claim is used up.
            await mark_deleted(services, claim.id)
            continue
        return await _save_created(services, claim, provider_customer_id)
    raise CustomerDeleted


async def claim_customer(services: Services, identity: Identity, team_id: UUID) -> Customer:
    """Return the team's customer at the active provider, or commit the claim to create one.

    A claim that is already there is returned as it was made, so that a retry repeats the same request.
    """
    provider = services.settings.payment_provider.value
    async with services.database.write() as session:
        for _ in range(2):
            rows = (
                await session.exec(
                    select(Customer).where(
                        Customer.team_id == team_id, Customer.provider == provider
                    )
                )
            ).all()
            living = [row for row in rows if row.deleted_at is None]
            if customer := choose_customer(living, provider):
                return customer
            if living:
                return max(living, key=lambda row: row.generation)
            claim = Customer(
                team_id=team_id,
                provider=provider,
                generation=max((row.generation for row in rows), default=0) + 1,
                # A program has no e-mail; the checkout asks whoever buys for theirs.
                create_params={"email": identity.email or None, "name": identity.team_name},
            )
            await insert_if_absent(session, claim)
            # Read it back: another process may have taken this generation in the same moment.
    raise AssertionError("unreachable: the claim was inserted, or another one was found")


async def mark_deleted(services: Services, customer_id: UUID) -> None:
    """Note that a customer no longer exists at the provider, so that the next one can be made."""
    async with services.database.write() as session:
        await session.exec(
            update(Customer)
            .where(col(Customer.id) == customer_id, col(Customer.deleted_at).is_(None))
            .values(deleted_at=utc_now())
        )


async def link_customer(services: Services, team_id: UUID, provider_customer_id: str) -> UUID:
    """Make an existing customer of the active provider the team's, and return our id of it.

    Only an operator does this, knowing whose it is; the app itself never adopts a customer by its e-mail.
    The customer is out of date afterwards.

    Raises:
        NoCustomer: the provider knows no such customer.
        CustomerDeleted: it was deleted there.
        InvalidRequest: there is no such team, it has another customer, or another team has this one.
    """
    driver = services.drivers.active
    snapshot = await driver.fetch_snapshot(provider_customer_id)
    if snapshot.customer.deleted:
        raise CustomerDeleted(f"{driver.display_name} has deleted {provider_customer_id}.")
    provider = driver.provider.value
    async with services.database.write() as session:
        if await session.get(Team, team_id) is None:
            raise InvalidRequest("There is no such team.")
        theirs = await current_customer(session, team_id, provider)
        if (
            theirs
            and theirs.provider == provider
            and theirs.deleted_at is None
            and theirs.provider_customer_id != provider_customer_id
        ):
            raise InvalidRequest(
                f"The team already has the customer {theirs.provider_customer_id}."
            )
        query = (
            select(Customer)
            .where(
                Customer.provider == provider,
                Customer.provider_customer_id == provider_customer_id,
            )
            .with_for_update()
        )
        customer = (await session.exec(query)).first() or Customer(
            provider=provider, provider_customer_id=provider_customer_id
        )
        if customer.team_id not in (None, team_id):
            raise InvalidRequest(f"Another team has the customer {provider_customer_id}.")
        if customer.team_id is None:
            customer.generation = await _next_generation(session, team_id, provider)
            customer.team_id = team_id
        session.add(customer)
        await session.flush()
        # Counted by the database: a number read here may be another process's past.
        await fetches.mark_out_of_date(session, Customer, customer.id)
        return customer.id


async def _next_generation(session: AsyncSession, team_id: UUID, provider: str) -> int:
    query = select(func.max(Customer.generation)).where(
        Customer.team_id == team_id, Customer.provider == provider
    )
    return ((await session.exec(query)).one() or 0) + 1


async def _save_created(services: Services, claim: Customer, provider_customer_id: str) -> Customer:
    for last_try in (False, True):
        try:
            async with services.database.write() as session:
                return await _save(session, claim, provider_customer_id)
        except IntegrityError:
            # The provider's event stored the customer as nobody's, in this very moment.
            if last_try:
                raise
    raise AssertionError("unreachable")


async def _save(session: AsyncSession, claim: Customer, provider_customer_id: str) -> Customer:
    # The provider's event may have come before the answer and stored the customer as nobody's.
    await session.exec(
        delete(Customer).where(
            col(Customer.provider) == claim.provider,
            col(Customer.provider_customer_id) == provider_customer_id,
            col(Customer.team_id).is_(None),
        )
    )
    await session.exec(
        update(Customer)
        .where(col(Customer.id) == claim.id, col(Customer.provider_customer_id).is_(None))
        .values(provider_customer_id=provider_customer_id, wanted=col(Customer.wanted) + 1)
    )
    return (await session.exec(select(Customer).where(Customer.id == claim.id))).one()
