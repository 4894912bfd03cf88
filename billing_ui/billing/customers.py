"""Which customer a team has at a provider, and making sure that it never has two."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, func, literal_column, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from billing_ui.accounts.sessions import Identity
from billing_ui.billing import fetches
from billing_ui.billing.services import Services
from billing_ui.billing.upsert import insert_if_absent
from billing_ui.clock import utc_now
from billing_ui.models import Customer, Invoice, PaymentMethod, Subscription, Team
from billing_ui.models.columns import left_out, table_of
from billing_ui.payments.driver import Driver, Drivers
from billing_ui.payments.types import (
    CustomerDeleted,
    InvalidRequest,
    NoCustomer,
    Payer,
    ProviderMismatch,
    SubscriptionState,
)
from billing_ui.settings import Provider

NEWEST_FIRST: Final = (col(Subscription.created_at).desc(), col(Subscription.id))
HAS_LIVE_PLAN: Final[ColumnElement[bool]] = (
    select(literal_column("1"))
    .where(
        col(Subscription.customer_id) == col(Customer.id),
        # All states but one are live, for all we know.
        col(Subscription.state) != literal_column(f"'{SubscriptionState.ENDED.value}'"),
    )
    .correlate(Customer)
    .exists()
)
"""Whether a customer has a live subscription, beside the customers of a query."""
HAS_NOTHING: Final[ColumnElement[bool]] = and_(
    *(
        ~select(literal_column("1"))
        .where(table_of(held).c.customer_id == col(Customer.id))
        .correlate(Customer)
        .exists()
        for held in (Subscription, Invoice, PaymentMethod)
    )
)
"""Whether nothing was ever bought by a customer, nor begun to be, for all we know; beside those of a query."""
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


@dataclass(frozen=True)
class TeamCustomers:
    """A team's customers.

    Attributes:
        current: the one that counts, as `choose_customer` says; None without any.
        ids: our ids of all it has or had, at whichever provider: its invoices are of all of them.
    """

    current: Customer | None
    ids: tuple[UUID, ...]


def choose_customer(
    rows: Sequence[AnyCustomer], providers: Sequence[str], live: Collection[UUID] = ()
) -> AnyCustomer | None:
    """Return the one of a team's customers that counts, or None if no provider knows any of them.

    A team moves from a legacy provider to the active one when its plan there has ended and it chooses a new
    one. Until then it has customers of both, and the one with the plan counts: a checkout that was begun and
    left must hide no plan that is being paid for. A claim that was never carried out is not a customer.

    Args:
        providers: the served ones, the active one first. Any other's customer counts only where there is none of
            theirs: then somebody must be told.
        live: our ids of those that have a live subscription.
    """
    known = [row for row in rows if row.provider_customer_id is not None]
    return max(
        known,
        key=lambda row: (
            row.provider in providers,
            row.id in live,
            row.deleted_at is None,
            row.provider == providers[0],
            row.generation,
        ),
        default=None,
    )


async def customers_of(
    session: AsyncSession, team_id: UUID, providers: Sequence[str]
) -> TeamCustomers:
    """Return a team's customers, in one query; arguments as for `choose_customer`."""
    query = select(Customer, HAS_LIVE_PLAN).where(
        Customer.team_id == team_id, col(Customer.provider_customer_id).is_not(None)
    )
    found = (await session.exec(query)).all()
    live = {customer.id for customer, has_plan in found if has_plan}
    current = choose_customer([customer for customer, _ in found], providers, live)
    return TeamCustomers(current, tuple(customer.id for customer, _ in found))


async def current_customer(
    session: AsyncSession, team_id: UUID, providers: Sequence[str]
) -> Customer | None:
    """Return the team's customer that counts; arguments as for `choose_customer`."""
    return (await customers_of(session, team_id, providers)).current


def driver_of(drivers: Drivers, customer: KnownCustomer | None) -> Driver:
    """Return the driver that knows a customer; the active one for nobody, and where no driver does."""
    if customer is None or not drivers.serves(customer.provider):
        return drivers.active
    return drivers.get(Provider(customer.provider))


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


def usable_customer(customer: AnyCustomer | None, providers: Sequence[str]) -> AnyCustomer:
    """Return `customer` if its provider can be asked about it.

    Args:
        providers: the served ones, the active one first.

    Raises:
        NoCustomer: there is none.
        ProviderMismatch: it belongs to another provider than these.
    """
    if customer is None:
        raise NoCustomer
    if customer.provider not in providers:
        raise ProviderMismatch(customer.provider, providers[0])
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
            if customer := choose_customer(living, (provider,)):
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


async def link_customer(
    services: Services,
    team_id: UUID,
    provider_customer_id: str,
    provider: Provider | None = None,
) -> UUID:
    """Make an existing customer of a provider the team's, and return our id of it.

    Only an operator does this, knowing whose it is; the app itself never adopts a customer by its e-mail.
    It takes the place of one that the team has and that nothing was bought with, here and at the provider.
    The customer is out of date afterwards.

    Args:
        provider: whose customer it is; None for the active one.

    Raises:
        ProviderRejected: the provider is neither the active nor a legacy one.
        NoCustomer: the provider knows no such customer.
        CustomerDeleted: it was deleted there.
        InvalidRequest: there is no such team, it has another customer with which something was bought, or another
            team has this one.
    """
    driver = services.drivers.get(provider) if provider else services.drivers.active
    snapshot = await driver.fetch_snapshot(provider_customer_id)
    if snapshot.customer.deleted:
        raise CustomerDeleted(f"{driver.display_name} has deleted {provider_customer_id}.")
    of_provider = driver.provider.value
    async with services.database.read() as session:
        rivals = await rivals_of(session, team_id, of_provider, provider_customer_id)
    replaceable = {rival.id for rival, _ in rivals if await _has_nothing_there(driver, rival)}
    async with services.database.write() as session:
        if await session.get(Team, team_id) is None:
            raise InvalidRequest("There is no such team.")
        rivals = await rivals_of(session, team_id, of_provider, provider_customer_id)
        for rival, has_nothing in rivals:
            if not has_nothing or rival.id not in replaceable:
                raise InvalidRequest(
                    f"The team already has the customer {rival.provider_customer_id}. Another one can take its "
                    "place only if it is known to have no subscription, invoice or payment method."
                )
        query = (
            select(Customer)
            .where(
                Customer.provider == of_provider,
                Customer.provider_customer_id == provider_customer_id,
            )
            .with_for_update()
        )
        customer = (await session.exec(query)).first() or Customer(
            provider=of_provider, provider_customer_id=provider_customer_id
        )
        if customer.team_id not in (None, team_id):
            raise InvalidRequest(f"Another team has the customer {provider_customer_id}.")
        await give_to_team(session, customer, team_id, (rival for rival, _ in rivals))
        # Counted by the database: a number read here may be another process's past.
        await fetches.mark_out_of_date(session, Customer, customer.id)
        return customer.id


async def rivals_of(
    session: AsyncSession, team_id: UUID, provider: str, provider_customer_id: str
) -> Sequence[tuple[Customer, bool]]:
    """Return the customers that a team has at a provider besides one, and of each whether it has nothing."""
    query = select(Customer, HAS_NOTHING).where(
        Customer.team_id == team_id,
        Customer.provider == provider,
        Customer.provider_customer_id != provider_customer_id,
        col(Customer.deleted_at).is_(None),
    )
    return (await session.exec(query)).all()


async def give_to_team(
    session: AsyncSession, customer: Customer, team_id: UUID, rivals: Iterable[Customer]
) -> None:
    """Make a customer the team's newest one.

    Args:
        customer: nobody's, or the team's already.
        rivals: the team's others at the same provider, which stay as what it once had.
    """
    newer = any(rival.generation > customer.generation for rival in rivals)
    if customer.team_id is None or newer:
        customer.generation = await _next_generation(session, team_id, customer.provider)
        customer.team_id = team_id
    session.add(customer)
    await session.flush()


async def _has_nothing_there(driver: Driver, customer: Customer) -> bool:
    try:
        found = await driver.fetch_snapshot(customer.provider_customer_id or "")
    except NoCustomer:
        # Of another account, perhaps: what it has there, nobody can tell.
        return False
    return not (found.subscriptions or found.payment_methods or found.invoices)


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
