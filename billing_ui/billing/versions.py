"""Whether what a team's pages show can have changed, found out with one small query."""

from collections import defaultdict
from collections.abc import Collection
from typing import Final, TypeAlias
from uuid import UUID

from sqlalchemy import bindparam
from sqlmodel import col, select

from billing_ui.billing.services import Services
from billing_ui.direct import Direct
from billing_ui.models import Customer

_TEAMS_IN_A_QUERY: Final = 500

Version: TypeAlias = frozenset[tuple[UUID, int, bool]]
"""Of each customer of a team: which fetch was applied last, and whether the newest one failed."""

NO_VERSION: Final[Version] = frozenset()

_OF_ONE_TEAM: Final[Direct[tuple[UUID, int, bool]]] = Direct(
    select(  # type: ignore[arg-type]
        Customer.id, Customer.applied_fetch_no, col(Customer.sync_error).is_not(None)
    ).where(col(Customer.team_id) == bindparam("team_id")),
    lambda *columns: columns,
)


async def team_version(services: Services, team_id: UUID) -> Version:
    """Return the version of what our tables hold of one team, as `team_versions` does of many."""
    return frozenset(await services.database.fetch(_OF_ONE_TEAM, team_id=team_id))


async def team_versions(services: Services, team_ids: Collection[UUID]) -> dict[UUID, Version]:
    """Return the version of what our tables hold of each team; a team without a customer is left out.

    While a version stays the same, no sync has come to anything.
    """
    found: defaultdict[UUID, set[tuple[UUID, int, bool]]] = defaultdict(set)
    wanted = list(team_ids)
    for start in range(0, len(wanted), _TEAMS_IN_A_QUERY):
        some = wanted[start : start + _TEAMS_IN_A_QUERY]
        query = select(
            Customer.team_id,
            Customer.id,
            Customer.applied_fetch_no,
            col(Customer.sync_error).is_not(None),
        ).where(col(Customer.team_id).in_(some))
        async with services.database.read() as session:
            rows = (await session.exec(query)).all()
        for team_id, customer_id, applied, failed in rows:
            if team_id is not None:
                found[team_id].add((customer_id, applied, failed))
    return {team_id: frozenset(customers) for team_id, customers in found.items()}
