"""The sign-in page: where to go afterwards, and what went wrong the last time."""

from typing import Final
from urllib.parse import quote, urlsplit

import reflex as rx
from reflex.event import EventSpec

from billing_ui.accounts.oidc_errors import sentence_for
from billing_ui.billing.return_urls import allowed_return_url
from billing_ui.billing.services import current_services
from billing_ui.payments.types import InvalidReturnUrl
from billing_ui.states.addresses import BILLING, SIGN_IN
from billing_ui.states.viewer import greet

_FAILURES: Final = {
    "credentials": "E-mail or password is wrong.",
    "account": "There is no such demo account.",
    "limited": "Too many tries. Try again in 15 minutes.",
}


class SignInState(rx.State):
    """What the forms of the sign-in page carry and say."""

    # Empty until the page is alive, which tells the backend that the form does not know yet.
    destination: str = ""
    # The same as the query of a link.
    onward: str = ""
    failure: str = ""
    provider_failure: str = ""
    password_shown: bool = False

    @rx.event
    async def load(self) -> EventSpec | None:
        """Show the forms, or move on when somebody is signed in already."""
        query = self.router.url.query_parameters
        self.destination = destination_after(query.get("next"))
        self.onward = f"?next={quote(self.destination, safe='')}"
        reason = query.get("error", "")
        self.failure = _FAILURES.get(reason, "")
        self.provider_failure = sentence_for(reason, _label(query.get("provider", "")))
        self.password_shown = False
        if await greet(self) is not None:
            return rx.redirect(self.destination, replace=True)
        return None

    @rx.event
    def toggle_password(self) -> None:
        """Show what is typed into the password field, or hide it again."""
        self.password_shown = not self.password_shown


def _label(number: str) -> str:
    """Return what people know the OpenID provider of this number as."""
    providers = current_services().settings.oidc_providers
    labels = {str(one): provider.label for one, provider in providers.items()}
    return labels.get(number, "the sign-in provider")


class HomeState(rx.State):
    """The first address, which only points on."""

    @rx.event
    async def load(self) -> EventSpec:
        """Go to billing, or to sign-in when nobody is signed in."""
        signed_in = await greet(self) is not None
        return rx.redirect(BILLING if signed_in else SIGN_IN, replace=True)


def destination_after(wish: str | None) -> str:
    """Return the path to show after signing in: `wish` when it is a path of ours, else the billing page."""
    if not wish or not wish.startswith("/"):
        return BILLING
    try:
        allowed_return_url(current_services().settings, wish)
    except InvalidReturnUrl:
        return BILLING
    # Signing in and coming Back must not lead to the form again.
    return BILLING if urlsplit(wish).path == SIGN_IN else wish
