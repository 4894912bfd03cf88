"""The pages: layout only, one file each, and the table of their addresses."""

from typing import Final

import reflex as rx
from reflex.constants import Page404

from billing_ui.components.site import page_title
from billing_ui.pages.account import account
from billing_ui.pages.activity import activity
from billing_ui.pages.billing import billing
from billing_ui.pages.home import home
from billing_ui.pages.invitation import invitation
from billing_ui.pages.not_found import not_found
from billing_ui.pages.pricing import pricing
from billing_ui.pages.reset_password import reset_password
from billing_ui.pages.returning import returning
from billing_ui.pages.sign_in import sign_in
from billing_ui.pages.team import team
from billing_ui.pages.tokens import tokens
from billing_ui.states.activity import ActivityState
from billing_ui.states.addresses import (
    ACCOUNT,
    ACTIVITY,
    BILLING,
    HOME,
    INVITATION,
    PRICING,
    RESET_PASSWORD,
    RETURN,
    SIGN_IN,
    TEAM,
    TOKENS,
)
from billing_ui.states.billing import BillingState
from billing_ui.states.links import InvitationState, ResetState
from billing_ui.states.my_sessions import AccountState
from billing_ui.states.pricing import PricingState
from billing_ui.states.returning import ReturnState
from billing_ui.states.sign_in import HomeState, SignInState
from billing_ui.states.tab_guard import TabGuard
from billing_ui.states.team import TeamState
from billing_ui.states.tokens import TokensState
from billing_ui.states.tracing import EventIds

# Nothing here is of use to anyone but the people signed in.
_META: Final = ({"name": "robots", "content": "noindex"},)


def add_pages(app: rx.App) -> None:
    """Give `app` every page, with its title and what it does when it opens, and the guard of its tabs."""
    app.add_middleware(TabGuard(), index=0)
    app.add_middleware(EventIds())
    for component, route, name, on_load in (
        (home, HOME, "Billing", HomeState.load),
        (sign_in, SIGN_IN, "Sign in", SignInState.load),
        (pricing, PRICING, "Plans", PricingState.load),
        (billing, BILLING, "Billing", BillingState.load),
        (team, TEAM, "Team", TeamState.load),
        (tokens, TOKENS, "API tokens", TokensState.load),
        (activity, ACTIVITY, "Activity", ActivityState.load),
        (account, ACCOUNT, "Your account", AccountState.load),
        (invitation, INVITATION, "Invitation", InvitationState.load),
        (reset_password, RESET_PASSWORD, "New password", ResetState.load),
        (returning, RETURN, "Updating billing", ReturnState.load),
    ):
        app.add_page(component, route=route, title=page_title(name), on_load=on_load, meta=_META)
    app.add_page(not_found, route=Page404.SLUG, title=page_title("Page not found"), meta=_META)
