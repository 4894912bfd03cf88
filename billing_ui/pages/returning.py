"""`/settings/billing/return`: the way back from the provider, replaced as soon as the latest is here."""

import reflex as rx

from billing_ui.components.departure import leave
from billing_ui.components.frame import page
from billing_ui.components.return_panel import return_panel
from billing_ui.states.addresses import RETURN
from billing_ui.states.returning import ReturnState


def returning() -> rx.Component:
    """Return the page."""
    return page(
        rx.el.main(
            rx.el.div(return_panel(), class_name="panel"),
            id="main",
            tab_index=-1,
            class_name="middle",
        ),
        leave(ReturnState.departure, replaces=True),
        here=RETURN,
    )
