"""What each role and each scope may do: two tables, asked by every handler and route."""

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
    VIEW_MEMBERS = "view_members"
    MANAGE_MEMBERS = "manage_members"
    """Invitations, roles, removing members, and links to a new password."""
    MANAGE_TOKENS = "manage_tokens"
    VIEW_ACTIVITY = "view_activity"
    LEAVE_TEAM = "leave_team"


_MEMBER: Final = frozenset({Action.VIEW_PLAN, Action.VIEW_MEMBERS, Action.LEAVE_TEAM})
_BILLING_MANAGER: Final = _MEMBER | {
    Action.VIEW_INVOICES,
    Action.OPEN_PORTAL,
    Action.CHECKOUT,
    Action.SYNC,
    Action.VIEW_ACTIVITY,
}

PERMISSIONS: Final[dict[Role, frozenset[Action]]] = {
    Role.OWNER: _BILLING_MANAGER | {Action.MANAGE_MEMBERS, Action.MANAGE_TOKENS},
    Role.BILLING_MANAGER: _BILLING_MANAGER,
    Role.MEMBER: _MEMBER,
}


class Scope(StrEnum):
    """What an API token was made for."""

    PORTAL = "portal"
    READ = "read"
    CHECKOUT = "checkout"


SCOPE_ACTIONS: Final[dict[Scope, frozenset[Action]]] = {
    Scope.PORTAL: frozenset({Action.OPEN_PORTAL}),
    Scope.READ: frozenset(
        {Action.VIEW_PLAN, Action.VIEW_INVOICES, Action.VIEW_MEMBERS, Action.VIEW_ACTIVITY}
    ),
    Scope.CHECKOUT: frozenset({Action.CHECKOUT}),
}


class Asker(Protocol):
    """Somebody who asks: a team, and what they may do in it."""

    @property
    def team_id(self) -> UUID | None:
        """The team the asker looks at."""
        ...

    @property
    def scopes(self) -> frozenset[Scope] | None:
        """What the asker's token was made for; None for a person."""
        ...

    def may(self, action: Action) -> bool:
        """Return whether the asker may do `action` in that team."""
        ...


def allows(role: Role | None, action: Action, scopes: frozenset[Scope] | None = None) -> bool:
    """Return whether `role` may do `action`; without a role nothing is allowed.

    Args:
        scopes: what the asker's token was made for, one of which must allow it too; None for a person, who
            has all of them.
    """
    if role is None or action not in PERMISSIONS[role]:
        return False
    return scopes is None or any(action in SCOPE_ACTIONS[scope] for scope in scopes)


def require(asker: Asker, action: Action) -> UUID:
    """Return the id of the asker's team when they may do `action` in it.

    Raises:
        NoTeam: the asker is in no team.
        NotAllowed: the asker's role, or the scopes of their token, do not allow it.
    """
    if asker.team_id is None:
        raise NoTeam
    if not asker.may(action):
        raise NotAllowed if asker.scopes is None else NotAllowed(_lacking(action))
    return asker.team_id


def _lacking(action: Action) -> str:
    """Return what a token is told that may not do `action`."""
    scope = next((scope for scope, actions in SCOPE_ACTIONS.items() if action in actions), None)
    if scope is None:
        return "No API token may do this."
    return f"This token was not made for this: it needs the scope {scope}."
