"""The billing page: what it shows, as text ready to read, and what its buttons do."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import reflex as rx
from reflex.event import EventSpec

from billing_ui.accounts.permissions import Action
from billing_ui.accounts.sessions import Identity
from billing_ui.billing.banners import banners_of
from billing_ui.billing.feed import FeedEntry
from billing_ui.billing.invoices import InvoicePage
from billing_ui.billing.page import load_page
from billing_ui.billing.portal import open_portal
from billing_ui.billing.refresh import catch_up, refresh_billing
from billing_ui.billing.services import Services, current_services
from billing_ui.billing.summary import BillingSummary
from billing_ui.billing.visits import VisitBanner, come_back, dismiss_visit
from billing_ui.clock import utc_now
from billing_ui.i18n import Reader
from billing_ui.payments.types import FlowType, PortalFlow
from billing_ui.states.account_view import (
    Detail,
    FreshnessView,
    InvoiceView,
    PaymentView,
    details_view,
    freshness_view,
    invoice_range,
    invoice_views,
    payment_view,
)
from billing_ui.states.addresses import BILLING, to_sign_in
from billing_ui.states.banner_view import BannerView, banner_views
from billing_ui.states.failures import (
    KNOWN_FAILURES,
    OUR_FAULT,
    Problem,
    beside_try_again,
    in_words,
    problem_of,
)
from billing_ui.states.feed_view import FeedLine, arrived_view, feed_lines, is_fresh
from billing_ui.states.leaving import Departure, arrive, leave_for_provider
from billing_ui.states.live_pages import open_pages
from billing_ui.states.offers_view import Offers, offers_of
from billing_ui.states.plan_view import (
    NextInvoiceView,
    PlanView,
    next_invoice_view,
    plan_view,
)
from billing_ui.states.result_view import ResultView, visit_view
from billing_ui.states.session import hand_over, identity_of, reader_of, viewer_of
from billing_ui.states.showing import greet_viewer, no_skeleton_for_ever, show_or_leave
from billing_ui.states.spend_view import SpendView, spend_view

HEADING: Final = "billing-heading"
"""The page's heading, which takes the focus of a banner that goes away."""

_FLOWS: Final[dict[str, FlowType | None]] = {
    "manage": None,
    "change": FlowType.SUBSCRIPTION_UPDATE,
    "payment": FlowType.PAYMENT_METHOD_UPDATE,
    "details": FlowType.CUSTOMER_UPDATE,
    "mend": FlowType.PAYMENT_METHOD_UPDATE,
    "keep": None,
}
"""Each button that opens the portal, and where in it."""


class BillingState(rx.State):
    """One tab's billing page. Blank until `load`; rebuilt from the database every time it opens."""

    _owner: str = ""
    _resumed: bool = False
    _visit_id: str = ""
    _told_visit: str = ""
    _older: str | None = None
    _newer: str | None = None
    _page: str | None = None
    _newest_change: int | None = None
    _seen_change: int | None = None

    loaded: bool = False
    broken: bool = False

    in_team: bool = True
    team_name: str = ""
    provider: str = ""
    returns: bool = True
    away: str = ""
    """Where they went that no link leads back from: "portal" or "checkout"."""
    contact: str = ""
    mismatch: Problem = Problem()
    may_manage: bool = False

    banners: list[BannerView] = []  # noqa: RUF012 - Reflex gives every tab its own
    urgent: bool = False
    payment_asked_for: bool = False

    plans: list[PlanView] = []  # noqa: RUF012
    next_invoice: NextInvoiceView = NextInvoiceView()
    payment: PaymentView = PaymentView()
    lacks_payment: bool = True
    details: list[Detail] = []  # noqa: RUF012
    freshness: FreshnessView = FreshnessView()

    spend: SpendView = SpendView()
    feed: list[FeedLine] = []  # noqa: RUF012

    shows_account: bool = False
    offers: Offers = Offers()

    invoices: list[InvoiceView] = []  # noqa: RUF012
    numbered: bool = False
    """Whether any of the invoices shown has a number."""
    invoice_range: str = ""

    result: ResultView = ResultView()
    arrived: ResultView = ResultView()

    refreshing: bool = False
    coming_back: bool = False
    refresh_problem: Problem = Problem()
    gave_up: bool = False
    tells_time: bool = False

    opening: str = ""
    departure: Departure = Departure()
    problem: str = ""
    problem_button: str = ""

    @rx.var
    def has_older(self) -> bool:
        """Whether there are invoices before the ones shown."""
        return self._older is not None

    @rx.var
    def has_newer(self) -> bool:
        """Whether there are invoices after the ones shown."""
        return self._newer is not None

    @rx.event
    async def load(self) -> EventSpec | None:
        """Show what our tables hold, at once; what is out of date is fetched in the background."""
        identity = await greet_viewer(self)
        if identity is None:
            return to_sign_in(BILLING)
        arrive(self)
        self.refreshing = self.coming_back = False
        if not self._resumed:
            self._page = self._seen_change = None
        self._resumed = False
        await open_pages.register(self, identity, show_again)
        with no_skeleton_for_ever(self):
            out_of_date = await _show(self, identity)
        return BillingState.catch_up if out_of_date else None

    @rx.event
    async def tell_time(self) -> EventSpec | None:
        """Show again what our tables hold, so that what says how long ago something was stays true."""
        identity = await viewer_of(self)
        if identity is None:
            return to_sign_in(BILLING)
        await _show(self, identity)
        return None

    @rx.event(background=True)
    async def catch_up(self) -> EventSpec | None:
        """Fetch what is known to be out of date, while the page keeps showing what it has."""
        return await _fetch(self, catch_up)

    @rx.event(background=True)
    async def refresh(self) -> EventSpec | None:
        """Fetch the newest from the provider, while the page keeps showing what it has."""
        return await _fetch(self, refresh_billing)

    @rx.event(background=True)
    async def refresh_again(self) -> EventSpec | None:
        """Fetch again after a failure; the banner that offered it goes, and the heading takes its focus."""
        elsewhere = await _fetch(self, refresh_billing)
        return elsewhere or (None if self.refresh_problem.title else rx.set_focus(HEADING))

    @rx.event(background=True)
    async def back_again(self) -> EventSpec | None:
        """Fetch the newest for somebody who is back from a portal that has no way back.

        The banner that offered it goes, and the heading takes its focus. That the page is fetching by itself
        already is no reason to do nothing: only this tells that they are back.
        """
        async with self:
            if self.coming_back:
                return None
            self.coming_back = True
        try:
            return await _fetch(self, come_back, beside_another=True) or rx.set_focus(HEADING)
        finally:
            async with self:
                self.coming_back = False

    @rx.event(background=True)
    async def manage_billing(self) -> EventSpec | None:
        """Open the provider's portal at its first page."""
        return await _open(self, "manage")

    @rx.event(background=True)
    async def change_plan(self) -> EventSpec | None:
        """Open the portal where plans are changed."""
        return await _open(self, "change")

    @rx.event(background=True)
    async def update_payment_method(self) -> EventSpec | None:
        """Open the portal where the payment method is changed."""
        return await _open(self, "payment")

    @rx.event(background=True)
    async def update_details(self) -> EventSpec | None:
        """Open the portal where name, address and tax number are changed."""
        return await _open(self, "details")

    @rx.event(background=True)
    async def mend_payment(self) -> EventSpec | None:
        """Open the portal where the payment method is changed, from the banner that asks for it."""
        return await _open(self, "mend")

    @rx.event(background=True)
    async def keep_plan(self) -> EventSpec | None:
        """Open the portal, where a cancellation is withdrawn on its first page."""
        return await _open(self, "keep")

    @rx.event(background=True)
    async def try_again(self) -> EventSpec | None:
        """Press the button again whose page did not open."""
        async with self:
            button = self.problem_button
        return await _open(self, button if button in _FLOWS else "manage")

    @rx.event
    async def show_older_invoices(self) -> EventSpec | None:
        """Turn to the invoices before the ones shown."""
        return await _turn_to(self, self._older)

    @rx.event
    async def show_newer_invoices(self) -> EventSpec | None:
        """Turn back to the invoices after the ones shown."""
        return await _turn_to(self, self._newer)

    @rx.event
    async def dismiss_result(self) -> EventSpec | None:
        """Put away what came of the last visit, for good."""
        identity = await viewer_of(self)
        if identity is None:
            return to_sign_in(BILLING)
        if self._visit_id:
            await dismiss_visit(current_services(), identity, self._visit_id)
        self._visit_id = ""
        self.result = ResultView()
        return rx.set_focus(HEADING)

    @rx.event
    async def dismiss_arrivals(self) -> EventSpec | None:
        """Put away what changed while the page was open."""
        identity = await viewer_of(self)
        if identity is None:
            return to_sign_in(BILLING)
        self._seen_change = self._newest_change
        self.arrived = ResultView()
        return rx.set_focus(HEADING)


async def show_again(state: BillingState) -> Identity | None:
    """Show what our tables hold now to whoever looks at the page, and nothing to nobody."""
    return await show_or_leave(state, _show, BILLING)


async def _open(state: BillingState, button: str) -> EventSpec | None:
    flow = _FLOWS[button]
    language = reader_of(state).language_tag

    async def open_page(services: Services, identity: Identity) -> str:
        begin = PortalFlow(type=flow) if flow else None
        return (await open_portal(services, identity, flow=begin, locale=language)).url

    return await leave_for_provider(state, button, open_page, back_to=BILLING)


async def _fetch(
    state: BillingState,
    fetch: Callable[[Services, Identity], Awaitable[None]],
    *,
    beside_another: bool = False,
) -> EventSpec | None:
    """Run `fetch` without holding the tab's lock, then show what our tables hold now.

    Args:
        beside_another: whether to run it while the page is fetching already; else that one will do.
    """
    async with state:
        identity = await viewer_of(state)
        if identity is None:
            return to_sign_in(BILLING)
        if state.refreshing and not beside_another:
            return None
        state.refreshing = True
    problem = OUR_FAULT
    try:
        await fetch(current_services(), identity)
        problem = ""
    except KNOWN_FAILURES as error:
        problem = in_words(error)
    finally:
        async with state:
            state.refreshing = False
            state.refresh_problem = _not_fetched(problem)
    async with state:
        # Whoever asked may have been signed out while the provider answered.
        identity = await viewer_of(state)
        if identity is None:
            return to_sign_in(BILLING)
        await _show(state, identity)
        if problem:
            state.refresh_problem = _not_fetched(problem)
    return None


def _not_fetched(problem: str) -> Problem:
    # Whoever only looks did not mean to change anything.
    return problem_of(beside_try_again(problem.replace("Nothing was changed.", "")))


async def _turn_to(state: BillingState, cursor: str | None) -> EventSpec | None:
    identity = await identity_of(state)
    handed_over = hand_over(state, identity)
    if identity is None:
        return to_sign_in(BILLING)
    if cursor is None or handed_over or not identity.may(Action.VIEW_INVOICES):
        return None
    state._page = cursor
    await _show(state, identity)
    return None


async def _show(state: BillingState, identity: Identity) -> bool:
    """Fill `state` from our tables; return whether the provider may know something newer."""
    services, reader = current_services(), reader_of(state)
    state.in_team = identity.team_id is not None
    if identity.team_id is None:
        state.loaded = True
        return False
    page = await load_page(services, identity, state._page, utc_now())
    summary = page.summary
    _show_summary(state, summary, reader)
    state.offers = offers_of(summary, identity)
    _show_banners(state, summary, reader)
    state.shows_account = page.shows_account
    state.spend = spend_view(page.spend, reader)
    _show_invoices(state, page.invoices, reader)
    _show_result(state, page.visit, reader)
    _show_news(state, page.entries, reader)
    state.away = page.away.value if page.away else ""
    state.broken = False
    state.loaded = True
    return summary.out_of_date and not summary.mismatch


def _show_summary(state: BillingState, summary: BillingSummary, reader: Reader) -> None:
    now = utc_now()
    state.team_name = summary.team_name
    state.provider = summary.provider_name
    state.returns = summary.capabilities.returns
    state.contact = summary.contact_email or ""
    state.mismatch = problem_of(summary.mismatch or "")
    state.refresh_problem = _not_fetched(summary.sync_error or "")
    state.gave_up = summary.parked
    state.may_manage = summary.can_manage
    state.plans = [plan_view(plan, summary.members, reader) for plan in summary.plans]
    state.next_invoice = next_invoice_view(summary, reader)
    state.payment = payment_view(summary.payment_method, summary.plans, reader, now)
    state.lacks_payment = summary.lacks_payment_method
    state.details = details_view(summary.details, reader)
    stale = summary.sync_error is not None
    state.freshness = freshness_view(summary.synced_at, stale=stale, reader=reader, now=now)


def _show_banners(state: BillingState, summary: BillingSummary, reader: Reader) -> None:
    state.banners = banner_views(
        banners_of(summary, utc_now(), reader.zone),
        summary.provider,
        reader,
        portal=state.offers.portal,
        payment=state.offers.payment,
    )
    state.urgent = any(banner.solid for banner in state.banners)
    state.payment_asked_for = any(banner.action == "payment" for banner in state.banners)


def _show_invoices(state: BillingState, page: InvoicePage, reader: Reader) -> None:
    # On the first page new invoices come in at the top; any other stays where its reader is.
    if page.first <= 1:
        state._page = None
    state.invoices = invoice_views(page, reader, utc_now())
    state.numbered = any(row.number for row in page.rows)
    state.invoice_range = invoice_range(page, reader)
    state._older, state._newer = page.next_cursor, page.previous_cursor


def _show_news(state: BillingState, entries: Sequence[FeedEntry], reader: Reader) -> None:
    """Show recent changes, and say above the plan which of them came while the page was open."""
    now = utc_now()
    # A member sees no list of changes, but is told of those that come.
    state.feed = feed_lines(entries, reader, now) if state.shows_account else []
    state._newest_change = newest = max((entry.id for entry in entries), default=0)
    seen = newest if state._seen_change is None else state._seen_change
    state._seen_change = seen
    # What came of the person's own visit has a banner already.
    new = [e for e in entries if e.id > seen and str(e.visit_id) != state._told_visit]
    state.arrived = arrived_view(new, reader, now)
    shown = entries if state.shows_account else new
    state.tells_time = bool(state.freshness.age) or any(is_fresh(e.found_at, now) for e in shown)


def _show_result(state: BillingState, visit: VisitBanner | None, reader: Reader) -> None:
    """Show what came of the person's last trip to the provider, until they put it away."""
    state._visit_id = str(visit.visit_id) if visit else ""
    # Told it stays, also once its banner was put away.
    state._told_visit = state._visit_id or state._told_visit
    state.result = visit_view(visit, reader)
