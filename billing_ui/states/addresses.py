"""The addresses of the pages, and of the few backend routes a page leads to."""

from typing import Final
from urllib.parse import quote

import reflex as rx
from reflex.event import EventSpec

from billing_ui.billing import return_urls
from billing_ui.settings import get_settings

HOME: Final = "/"
SIGN_IN: Final = return_urls.SIGN_IN_PAGE
PRICING: Final = return_urls.PRICING_PAGE
BILLING: Final = return_urls.BILLING_PAGE
RETURN: Final = return_urls.RETURN_PAGE
ACTIVITY: Final = "/settings/activity"
TOKENS: Final = "/settings/tokens"
TEAM: Final = "/settings/team"
ACCOUNT: Final = return_urls.ACCOUNT_PAGE
INVITATION: Final = return_urls.INVITATION_PAGE
RESET_PASSWORD: Final = return_urls.RESET_PAGE

FIRST_PLAN: Final = f"{PRICING}?why=nothing-bought"
"""The pricing page for somebody whom no portal is open to before they have bought something."""

_OWN_PAGES: Final = frozenset(
    {
        HOME,
        SIGN_IN,
        PRICING,
        BILLING,
        RETURN,
        ACTIVITY,
        TEAM,
        ACCOUNT,
        INVITATION,
        RESET_PASSWORD,
        TOKENS,
    }
)


def is_own_page(url: str) -> bool:
    """Return whether the app's own router knows `url`, a path with or without a query."""
    return url.partition("?")[0] in _OWN_PAGES


def backend_url(path: str) -> str:
    """Return the absolute address of a backend route: the pages' own origin except in development."""
    return get_settings().browser_api_url + path


def link_url(page: str, token: str) -> str:
    """Return the address of a one-time link; browsers send nobody what stands behind the `#`."""
    return f"{get_settings().base_url}{page}#{token}"


def departure_url(ticket: str) -> str:
    """Return the address that turns `ticket` into a redirect to the provider, for this session only."""
    return backend_url(f"/api/billing/departures/{quote(ticket, safe='')}")


def sign_in_url(back_to: str) -> str:
    """Return the path of sign-in that comes back to `back_to` (a path with its query) after it."""
    return f"{SIGN_IN}?next={quote(back_to, safe='')}"


def to_sign_in(back_to: str) -> EventSpec:
    """Return the event that shows sign-in and comes back to `back_to` (a path with its query) after it."""
    return rx.redirect(sign_in_url(back_to), replace=True)
