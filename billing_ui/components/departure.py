"""Leaving the app: to the provider's pages, or back to the product that sent somebody here."""

from typing import Any

import reflex as rx
from reflex.vars import VarData

from billing_ui.states.leaving import Departure

# The state still holds the departure when somebody comes Back to this page, and without a note of the
# ones already made the page would send them away again at once.
_CODE = """
function leaveFor(departure, replaces) {
  const made = `departed ${departure.number}`;
  if (!departure.address || sessionStorage.getItem(made)) return;
  sessionStorage.setItem(made, "yes");
  if (replaces) window.location.replace(departure.address);
  else window.location.assign(departure.address);
}
"""


class _Leave(rx.Fragment):
    """Shows nothing; loads `to.address` as a whole document as soon as there is one.

    The router cannot do this: it keeps every address of this host to itself, those of the backend
    included.
    """

    to: rx.Var[Departure]
    replaces: rx.Var[bool]

    def add_imports(self) -> dict[str, str]:
        """The hook comes from React."""
        return {"react": "useEffect"}

    def add_custom_code(self) -> list[str]:
        """The functions stand beside the page's own, so that nothing has to be evaluated."""
        return [_CODE]

    def add_hooks(self) -> list[str | rx.Var[Any]]:
        """Leave when there is an address."""
        return [
            rx.Var(
                f"useEffect(() => leaveFor({self.to!s}, {self.replaces!s}), [{self.to!s}])",
                _var_data=VarData.merge(self.to._get_all_var_data()),
            )
        ]

    def _exclude_props(self) -> list[str]:
        return [*super()._exclude_props(), "to", "replaces"]


def leave(to: rx.Var[Departure], *, replaces: bool = False) -> rx.Component:
    """Return what sends the browser away once `to` has an address.

    Args:
        replaces: whether there is no way back to this page.
    """
    return _Leave.create(to=to, replaces=replaces)
