"""The pages of one-time links: what an invitation or a password link is for, and what to do about it."""

from typing import Final

import reflex as rx

from billing_ui.accounts.errors import LinkError
from billing_ui.accounts.invitations import look_at
from billing_ui.accounts.new_passwords import whose_reset
from billing_ui.billing.services import current_services
from billing_ui.states.failures import Problem, problem_of
from billing_ui.states.password_words import FormFailure, failure_in_words
from billing_ui.states.session import viewer_of
from billing_ui.states.team_view import ROLE_WORDS

_LONGEST_TOKEN: Final = 200


class InvitationState(rx.State):
    """One tab's invitation. The link's token stays with the browser: it is asked for, and not kept here.

    `asked` counts how often the page has asked for the token, which is how it comes to know that it should send it.
    """

    _owner: str = ""

    asked: int = 0
    looked: bool = False
    problem: Problem = Problem()
    failure: FormFailure = FormFailure()
    team_name: str = ""
    role: str = ""
    email: str = ""
    way: str = ""
    me: str = ""

    @rx.event
    async def load(self) -> None:
        """Ask the page for its link, and show what came of the form."""
        await viewer_of(self)
        query = self.router.url.query_parameters
        self.failure = failure_in_words(query.get("error", ""))
        self.asked += 1

    @rx.event
    async def look(self, token: str) -> None:
        """Show what the link is for, to whoever has it."""
        visitor = await viewer_of(self)
        self.me = visitor.email if visitor else ""
        self.team_name = self.role = self.email = self.way = ""
        self.problem = Problem()
        try:
            offer = await look_at(current_services().database, str(token)[:_LONGEST_TOKEN], visitor)
        except LinkError as error:
            self.problem = problem_of(str(error))
        else:
            self.team_name, self.email = offer.team_name, offer.email
            self.role, self.way = ROLE_WORDS[offer.role].lower(), offer.way.value
        self.looked = True


class ResetState(rx.State):
    """One tab's password link; see `InvitationState`."""

    _owner: str = ""

    asked: int = 0
    looked: bool = False
    problem: Problem = Problem()
    failure: FormFailure = FormFailure()
    email: str = ""

    @rx.event
    async def load(self) -> None:
        """Ask the page for its link, and show what came of the form."""
        await viewer_of(self)
        query = self.router.url.query_parameters
        self.failure = failure_in_words(query.get("error", ""))
        self.asked += 1

    @rx.event
    async def look(self, token: str) -> None:
        """Show whom the link is for."""
        await viewer_of(self)
        self.email, self.problem = "", Problem()
        try:
            self.email = await whose_reset(current_services().database, str(token)[:_LONGEST_TOKEN])
        except LinkError as error:
            self.problem = problem_of(str(error))
        self.looked = True
