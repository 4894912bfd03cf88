"""Who is where: the teams and subscriptions of each provider, for a company that moves from one to another."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Select, func, select
from sqlmodel import col

from billing_ui.billing.customers import HAS_LIVE_PLAN
from billing_ui.billing.services import Services
from billing_ui.models import Customer, Subscription, Team
from billing_ui.payments.types import SubscriptionState
from billing_ui.settings import Provider

NAMED_AT_MOST: Final = 20

_KNOWN: Final = col(Customer.provider_customer_id).is_not(None)


class ProviderRole(StrEnum):
    """What a provider is to this installation."""

    ACTIVE = "active"
    LEGACY = "legacy"
    NOT_SERVED = "not served"


@dataclass(frozen=True)
class ProviderCount:
    """What there is of one provider.

    Attributes:
        teams: how many teams have a customer there that was not deleted.
        unclaimed: how many customers there belong to no team.
        states: how many subscriptions are in each state; one without any is left out.
    """

    provider: Provider
    role: ProviderRole
    teams: int
    unclaimed: int
    states: Mapping[SubscriptionState, int]


@dataclass(frozen=True)
class ProviderReport:
    """Who is where.

    Attributes:
        providers: the served ones first, then the others that anything is known of.
        stranded: how many teams are customers of providers alone that are not served.
        paying_twice: how many teams have live plans at several providers, and `paying_twice_named` the names of
            the first of them.
    """

    providers: tuple[ProviderCount, ...]
    stranded: int
    paying_twice: int
    paying_twice_named: Sequence[str]


async def report_providers(services: Services) -> ProviderReport:
    """Count who is where, in our tables alone; it reads all customers and subscriptions."""
    customers = (
        select(
            col(Customer.provider),
            func.count(col(Customer.team_id).distinct()),
            func.count().filter(col(Customer.team_id).is_(None)),
        )
        .where(_KNOWN, col(Customer.deleted_at).is_(None))
        .group_by(col(Customer.provider))
    )
    subscriptions = select(
        col(Subscription.provider), col(Subscription.state), func.count()
    ).group_by(col(Subscription.provider), col(Subscription.state))
    twice = (
        select(col(Customer.team_id))
        .where(HAS_LIVE_PLAN, col(Customer.team_id).is_not(None))
        .group_by(col(Customer.team_id))
        .having(func.count(col(Customer.provider).distinct()) > 1)
    )
    names = (
        select(col(Team.name))
        .where(col(Team.id).in_(twice))
        .order_by(col(Team.name))
        .limit(NAMED_AT_MOST)
    )
    async with services.database.read() as session:
        connection = await session.connection()
        teams = {row[0]: (row[1], row[2]) for row in await connection.execute(customers)}
        states: defaultdict[str, dict[SubscriptionState, int]] = defaultdict(dict)
        for provider, state, count in await connection.execute(subscriptions):
            states[provider][SubscriptionState(state)] = count
        paying_twice = (
            await connection.execute(select(func.count()).select_from(twice.subquery()))
        ).scalar_one()
        named = (await connection.execute(names)).scalars().all()
    served = services.settings.served_providers
    known = [each for each in Provider if each.value in teams or each.value in states]
    return ProviderReport(
        providers=tuple(
            ProviderCount(
                provider,
                _role(provider, served),
                *teams.get(provider.value, (0, 0)),
                states=states[provider.value],
            )
            for provider in dict.fromkeys((*served, *known))
        ),
        stranded=await count_stranded(services),
        paying_twice=paying_twice,
        paying_twice_named=named,
    )


async def count_stranded(services: Services) -> int:
    """Return how many teams are customers of providers alone that are not served: they see the mismatch."""
    is_served = col(Customer.provider).in_(services.settings.served_providers)
    served: Select[Any] = select(col(Customer.team_id)).where(
        _KNOWN, is_served, col(Customer.team_id).is_not(None)
    )
    query = select(func.count(col(Customer.team_id).distinct())).where(
        _KNOWN, ~is_served, col(Customer.team_id).not_in(served)
    )
    async with services.database.read() as session:
        connection = await session.connection()
        count: int = (await connection.execute(query)).scalar_one()
    return count


def _role(provider: Provider, served: Sequence[Provider]) -> ProviderRole:
    if provider not in served:
        return ProviderRole.NOT_SERVED
    return ProviderRole.ACTIVE if provider is served[0] else ProviderRole.LEGACY
