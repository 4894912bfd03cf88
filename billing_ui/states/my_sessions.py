"""The account page: where somebody is signed in, ending that, and their password."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import reflex as rx
from reflex.event import EventSpec

from billing_ui.accounts.new_passwords import has_password
from billing_ui.accounts.own_sessions import (
    OwnSession,
    end_all_sessions,
    end_session,
    own_sessions,
)
from billing_ui.accounts.sessions import Identity
from billing_ui.billing.services import current_services
from billing_ui.clock import utc_now
from billing_ui.i18n import Reader
from billing_ui.models import SignInMethod
from billing_ui.states.addresses import ACCOUNT, to_sign_in
from billing_ui.states.devices import device_of
from billing_ui.states.failures import KNOWN_FAILURES, in_words
from billing_ui.states.ids import as_id
from billing_ui.states.leaving import Departure
from billing_ui.states.live_pages import open_pages
from billing_ui.states.password_words import FormFailure, failure_in_words
from billing_ui.states.session import reader_of, viewer_of
from billing_ui.states.showing import greet_viewer, no_skeleton_for_ever, show_or_leave

HEADING: Final = "account-heading"
"""The page's heading, which takes the focus of what goes away."""

_METHODS: Final = {
    SignInMethod.PASSWORD: "with a password",
    SignInMethod.OIDC: "with single sign-on",
    SignInMethod.ENTRY: "from the product",
    SignInMethod.DEMO: "as a demo account",
}
_SAID: Final = {"password": "Your password is changed. All your other sessions have ended."}


@dataclass(frozen=True)
class SessionView:
    """One session: the browser, and what else there is to say of it; `name` tells it from the others."""

    id: str = ""
    device: str = ""
    about: str = ""
    name: str = ""
    this: bool = False


class AccountState(rx.State):
    """One tab's account page. Blank until `load`; rebuilt from the database every time it opens."""

    _owner: str = ""

    loaded: bool = False
    broken: bool = False
    email: str = ""
    entered: bool = False
    sessions: list[SessionView] = []  # noqa: RUF012 - Reflex gives every tab its own
    has_password: bool = False
    failure: FormFailure = FormFailure()
    said: str = ""
    problem: str = ""
    departure: Departure = Departure()

    @rx.event
    async def load(self) -> EventSpec | None:
        """Show the person's sessions, and what came of the password form."""
        identity = await greet_viewer(self)
        if identity is None:
            return to_sign_in(ACCOUNT)
        query = self.router.url.query_parameters
        self.failure = failure_in_words(query.get("error", ""))
        self.said = _SAID.get(query.get("said", ""), "")
        self.problem = ""
        await open_pages.register(self, identity, show_again)
        with no_skeleton_for_ever(self):
            await _show(self, identity)
        return None

    @rx.event
    async def sign_out(self, session_id: str) -> EventSpec | None:
        """End one session, and let its pages show nothing more; its row goes, and the heading takes its focus."""
        identity = await viewer_of(self)
        if identity is None:
            return to_sign_in(ACCOUNT)
        chosen, services = as_id(session_id), current_services()
        self.problem = ""
        try:
            if chosen and await end_session(services.database, identity, chosen):
                await services.live.publish_session(chosen)
        except KNOWN_FAILURES as error:
            self.problem = in_words(error)
        await show_again(self)
        return rx.set_focus(HEADING)

    @rx.event
    async def sign_out_everywhere(self) -> EventSpec | None:
        """End every session, this one too."""
        identity = await viewer_of(self)
        if identity is None:
            return to_sign_in(ACCOUNT)
        services = current_services()
        self.problem = ""
        try:
            for ended in await end_all_sessions(services.database, identity):
                await services.live.publish_session(ended)
        except KNOWN_FAILURES as error:
            self.problem = in_words(error)
        await show_again(self)
        return None


async def show_again(state: AccountState) -> Identity | None:
    """Show what is theirs to whoever looks at the page, and nothing to nobody."""
    return await show_or_leave(state, _show, ACCOUNT)


async def _show(state: AccountState, identity: Identity) -> None:
    database, reader = current_services().database, reader_of(state)
    state.email = identity.email
    state.entered = identity.entered
    state.sessions = []
    if not identity.entered:
        state.sessions = [
            _session_view(each, reader) for each in await own_sessions(database, identity)
        ]
    state.has_password = await has_password(database, identity)
    state.broken = False
    state.loaded = True


def _session_view(session: OwnSession, reader: Reader) -> SessionView:
    ago = reader.ago(max(utc_now() - session.last_seen_at, timedelta()))
    how = _METHODS.get(SignInMethod(session.method), "")
    device = device_of(session.user_agent)
    signed_in = f"signed in {how} on {reader.date(session.signed_in_at)}"
    return SessionView(
        id=str(session.id),
        device=device,
        about=" · ".join(
            part
            for part in (
                session.address,
                "" if session.this else f"last seen {ago}",
                signed_in,
            )
            if part
        ),
        name=f"{device}, last seen {ago}",
        this=session.this,
    )
