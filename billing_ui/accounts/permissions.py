"""What each role may do: one table, asked by every handler and route."""

from enum import StrEnum
from typing import Final, Protocol
from uuid import UUID

from billing_ui.accounts.errors import NoTeam
from billing_ui.models.team import Role
from billing_ui.payments.types import NotAllowed


class Action(StrEnum):
    """Something that can be done in a team."""

    VIEW_PLAN = "view_plan"
    VIEW_INVOICES = "view_invoices"
    """Payment method, billing details, spend and invoices."""
    OPEN_PORTAL = "open_portal"
    CHECKOUT = "checkout"
    SYNC = "sync"


_BILLING = frozenset(Action)

PERMISSIONS: Final[dict[Role, frozenset[Action]]] = {
    Role.OWNER: _BILLING,
    Role.BILLING_MANAGER: _BILLING,
    Role.MEMBER: frozenset({Action.VIEW_PLAN}),
}


class HasRole(Protocol):
    """Somebody who asks: a team and a role in it, or neither."""

    @property
    def team_id(self) -> UUID | None:
        """The team the person looks at."""
        ...

    @property
    def role(self) -> Role | None:
        """The person's role in that team."""
        ...


def allows(role: Role | None, action: Action) -> bool:
    """Return whether `role` may do `action`; without a role nothing is allowed."""
    return role is not None and action in PERMISSIONS[role]


def require(asker: HasRole, action: Action) -> UUID:
    """Return the id of the asker's team when they may do `action` in it.

    Raises:
        NoTeam: the asker is in no team.
        NotAllowed: the asker's role does not allow it.
    """
    if asker.team_id is None:
        raise NoTeam
    if not allows(asker.role, action):
        raise NotAllowed
    return asker.team_id
