"""Coming back from the provider: fetch what changed there, then move on."""

import reflex as rx
from reflex.event import EventSpec

from billing_ui.billing.services import current_services
from billing_ui.billing.visits import return_from_visit, visited_provider
from billing_ui.billing.words import provider_name
from billing_ui.states.addresses import BILLING, is_own_page
from billing_ui.states.leaving import Departure, depart_for
from billing_ui.states.session import viewer_of
from billing_ui.states.showing import greet_viewer


class ReturnState(rx.State):
    """One return. The visit's id stands in the address and grants nothing: anyone may open it."""

    _owner: str = ""

    provider: str = ""
    failed: bool = False
    working: bool = True
    departure: Departure = Departure()

    @rx.event
    async def load(self) -> EventSpec:
        """Show that we are working, and work in the background: no other tab waits for the provider."""
        identity = await greet_viewer(self)
        provider = await visited_provider(current_services(), self._visit_id(), identity)
        self.provider = provider_name(provider) if provider else ""
        self.departure = Departure()
        self.failed = False
        self.working = False
        return ReturnState.fetch

    @rx.event(background=True)
    async def fetch(self) -> EventSpec | None:
        """Bring the visit's billing up to date, then replace this page with where the visit leads."""
        services = current_services()
        async with self:
            identity = await viewer_of(self)
            if self.working:
                return None
            self.working = True
            visit_id = self._visit_id()
        try:
            outcome = await return_from_visit(services, visit_id, identity)
        except Exception:
            # Logged where all unexpected errors are; here only the page must not wait for ever.
            await self._stay()
            raise
        if outcome.kind == "failed":
            await self._stay()
            return None
        if is_own_page(outcome.next_url):
            return rx.redirect(outcome.next_url, replace=True)
        async with self:
            self.departure = depart_for(outcome.next_url)
        return None

    @rx.event
    def move_on(self) -> EventSpec:
        """Go to the billing page without waiting; it says how old its data is."""
        return rx.redirect(BILLING, replace=True)

    def _visit_id(self) -> str:
        return self.router.url.query_parameters.get("visit", "")

    async def _stay(self) -> None:
        async with self:
            self.failed = True
            self.working = False
