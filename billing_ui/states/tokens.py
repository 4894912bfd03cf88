"""The page of API tokens: making one, which is shown once, and revoking one."""

from typing import Any, Final
from uuid import UUID

import reflex as rx
from reflex.event import EventSpec

from billing_ui.accounts.errors import AccountError
from billing_ui.accounts.permissions import Action, Scope, require
from billing_ui.accounts.sessions import Identity
from billing_ui.accounts.teams import owner_contact
from billing_ui.accounts.tokens import active_tokens, create_token, revoke_token
from billing_ui.billing.services import current_services
from billing_ui.clock import utc_now
from billing_ui.payments.types import NotAllowed
from billing_ui.states.addresses import TOKENS, to_sign_in
from billing_ui.states.failures import in_words
from billing_ui.states.leaving import Departure
from billing_ui.states.live_pages import open_pages
from billing_ui.states.session import hand_over, identity_of, reader_of
from billing_ui.states.showing import greet_viewer, no_skeleton_for_ever, show_or_leave
from billing_ui.states.tokens_view import TokenLine, lifetime_of, token_lines

HEADING: Final = "tokens-heading"
"""The page's heading, which takes the focus of what goes away."""
LIST_HEADING: Final = "token-list-heading"
NAME_FIELD: Final = "token-name"
NEW_TOKEN: Final = "new-token"  # noqa: S105 - the id of a field
"""The field that a new token is written into."""


class TokensState(rx.State):
    """One tab's page of API tokens.

    A new token is never in here: it is sent to the browser once, into a field of the page, and is gone with it.
    """

    _owner: str = ""
    _resumed: bool = False

    loaded: bool = False
    broken: bool = False
    in_team: bool = True
    allowed: bool = True
    team_name: str = ""
    contact: str = ""

    lines: list[TokenLine] = []  # noqa: RUF012 - Reflex gives every tab its own
    count: str = ""
    count_word: str = ""

    creating: bool = False
    problem: str = ""
    made: str = ""

    revoked: str = ""
    departure: Departure = Departure()

    @rx.event
    async def load(self) -> EventSpec | None:
        """Show the team's tokens; what was begun is forgotten, except when only a connection was lost."""
        identity = await greet_viewer(self)
        if identity is None:
            return to_sign_in(TOKENS)
        if not self._resumed:
            self.creating = False
            self.problem = self.made = self.revoked = ""
        self._resumed = False
        await open_pages.register(self, identity, show_again)
        with no_skeleton_for_ever(self):
            await _show(self, identity)
        return None

    @rx.event
    async def look_again(self) -> EventSpec | None:
        """Show what was used meanwhile."""
        identity = await _look(self)
        if identity is None:
            return to_sign_in(TOKENS)
        await _show(self, identity)
        return None

    @rx.event
    async def begin(self) -> EventSpec | None:
        """Open the form for a new token."""
        identity = await _look(self)
        if identity is None:
            return to_sign_in(TOKENS)
        self.creating = identity.may(Action.MANAGE_TOKENS)
        self.problem = self.made = self.revoked = ""
        return rx.set_focus(NAME_FIELD) if self.creating else None

    @rx.event
    async def give_up(self) -> EventSpec | None:
        """Close the form; what its button was is gone, and the heading takes its focus."""
        if await _look(self) is None:
            return to_sign_in(TOKENS)
        self.creating, self.problem = False, ""
        return rx.set_focus(HEADING)

    @rx.event
    async def create(self, form: dict[str, Any]) -> list[EventSpec] | EventSpec | None:
        """Make a token and write it into the page, where it stands once."""
        identity = await _look(self)
        if identity is None:
            return to_sign_in(TOKENS)
        self.problem = ""
        try:
            made = await create_token(
                current_services().database,
                team_id=require(identity, Action.MANAGE_TOKENS),
                actor=identity.actor,
                name=str(form.get("name", "")),
                scopes=[scope for scope in Scope if form.get(scope.value)],
                lifetime=lifetime_of(str(form.get("lifetime", ""))),
                created_by=identity.user_id,
            )
        except NotAllowed:
            await _show(self, identity)
            return None
        except KeyError:
            self.problem = "Choose when the token expires."
            return None
        except AccountError as error:
            self.problem = in_words(error)
            return None
        self.creating, self.made = False, made.token.name
        await _show(self, identity)
        return [rx.set_value(NEW_TOKEN, made.secret), rx.set_focus(NEW_TOKEN)]

    @rx.event
    async def done(self) -> list[EventSpec] | EventSpec:
        """Take a new token off the page, once it is copied."""
        if await _look(self) is None:
            return to_sign_in(TOKENS)
        self.made = ""
        return [rx.set_value(NEW_TOKEN, ""), rx.set_focus(HEADING)]

    @rx.event
    async def revoke(self, key: str) -> EventSpec | None:
        """Let a token work no more; its row goes, and the heading of the list takes the focus."""
        identity = await _look(self)
        if identity is None:
            return to_sign_in(TOKENS)
        if identity.may(Action.MANAGE_TOKENS) and any(line.key == key for line in self.lines):
            token = await revoke_token(
                current_services().database,
                UUID(key),
                team_id=require(identity, Action.MANAGE_TOKENS),
                actor=identity.actor,
            )
            self.revoked = token.name if token else ""
            if self.made == self.revoked:
                self.made = ""
        await _show(self, identity)
        return rx.set_focus(LIST_HEADING)


async def show_again(state: TokensState) -> Identity | None:
    """Show the tokens there are now to whoever looks at the page, and nothing to nobody."""
    return await show_or_leave(state, _show, TOKENS)


async def _look(state: TokensState) -> Identity | None:
    """Return who is looking, found out anew; what was filled for somebody else is blank then."""
    identity = await identity_of(state)
    if hand_over(state, identity) and identity is not None:
        await _show(state, identity)
    return identity


async def _show(state: TokensState, identity: Identity) -> None:
    """Fill `state` with the team's tokens, for those who may see them."""
    database, reader = current_services().database, reader_of(state)
    state.in_team, state.team_name = identity.team_id is not None, identity.team_name
    state.allowed = identity.may(Action.MANAGE_TOKENS)
    state.lines, state.contact = [], ""
    if identity.team_id is not None and state.allowed:
        tokens = await active_tokens(database, identity.team_id)
        state.lines = token_lines(tokens, reader, utc_now())
        state.count, _, state.count_word = reader.plural(len(tokens), "token", "tokens").partition(
            " "
        )
    else:
        state.creating, state.made = False, ""
        if identity.team_id is not None:
            state.contact = await owner_contact(database, identity.team_id) or ""
    state.loaded, state.broken = True, False
