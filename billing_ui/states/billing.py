"""The billing page: what it shows, as text ready to read, and what its buttons do."""

from collections.abc import Awaitable, Callable
from typing import Final

import reflex as rx
from reflex.event import EventSpec

from billing_ui.accounts.permissions import Action
from billing_ui.accounts.sessions import Identity
from billing_ui.billing.changes import VisitText, describe_visit
from billing_ui.billing.invoices import NO_INVOICES, InvoicePage, load_invoices
from billing_ui.billing.portal import open_portal
from billing_ui.billing.refresh import catch_up, refresh_billing
from billing_ui.billing.services import Services, current_services
from billing_ui.billing.summary import BillingSummary, load_billing
from billing_ui.billing.visits import dismiss_visit, latest_outcome
from billing_ui.clock import utc_now
from billing_ui.i18n import Reader
from billing_ui.payments.types import FlowType, PortalFlow, SubscriptionState
from billing_ui.states.account_view import (
    Detail,
    FreshnessView,
    InvoiceView,
    PaymentView,
    details_view,
    freshness_view,
    invoice_views,
    payment_view,
)
from billing_ui.states.addresses import BILLING, to_sign_in
from billing_ui.states.failures import (
    KNOWN_FAILURES,
    OUR_FAULT,
    Problem,
    in_words,
    problem_of,
)
from billing_ui.states.leaving import Departure, arrive, leave_for_provider
from billing_ui.states.plan_view import PlanView, plan_view
from billing_ui.states.result_view import ResultLine, result_line
from billing_ui.states.session import hand_over, identity_of, reader_of
from billing_ui.states.viewer import greet

HEADING: Final = "billing-heading"
"""The page's heading, which takes the focus of a banner that goes away."""

_FLOWS: Final[dict[str, FlowType | None]] = {
    "manage": None,
    "change": FlowType.SUBSCRIPTION_UPDATE,
    "payment": FlowType.PAYMENT_METHOD_UPDATE,
    "details": FlowType.CUSTOMER_UPDATE,
}
"""Each button that opens the portal, and where in it."""


class BillingState(rx.State):
    """One tab's billing page. Blank until `load`; rebuilt from the database every time it opens."""

    _owner: str = ""
    _visit_id: str = ""
    _older: str | None = None
    _newer: str | None = None

    loaded: bool = False
    broken: bool = False

    in_team: bool = True
    team_name: str = ""
    provider: str = ""
    contact: str = ""
    mismatch: Problem = Problem()
    may_manage: bool = False

    plans: list[PlanView] = []  # noqa: RUF012 - Reflex gives every tab its own
    payment: PaymentView = PaymentView()
    details: list[Detail] = []  # noqa: RUF012
    freshness: FreshnessView = FreshnessView()

    shows_account: bool = False
    offers_portal: bool = False
    offers_plans: bool = False
    offers_refresh: bool = False
    offers_change: bool = False
    offers_payment_update: bool = False
    offers_details_update: bool = False

    invoices: list[InvoiceView] = []  # noqa: RUF012
    invoice_range: str = ""

    result_title: str = ""
    result_detail: str = ""
    result: list[ResultLine] = []  # noqa: RUF012
    result_changed: bool = False

    refreshing: bool = False
    refresh_problem: Problem = Problem()

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
        identity = await greet(self)
        hand_over(self, identity)
        if identity is None:
            return to_sign_in(BILLING)
        arrive(self)
        self.refreshing = False
        try:
            out_of_date = await _show(self, identity)
        except Exception:
            # The page must not stay a skeleton for ever; the cause goes to the log.
            self.broken = not self.loaded
            raise
        return BillingState.catch_up if out_of_date else None

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
        identity = await identity_of(self)
        hand_over(self, identity)
        if identity is None:
            return to_sign_in(BILLING)
        if self._visit_id:
            await dismiss_visit(current_services(), identity, self._visit_id)
        self._visit_id = self.result_title = self.result_detail = ""
        self.result = []
        return rx.set_focus(HEADING)


async def _open(state: BillingState, button: str) -> EventSpec | None:
    flow = _FLOWS[button]
    language = reader_of(state).language_tag

    async def open_page(services: Services, identity: Identity) -> str:
        begin = PortalFlow(type=flow) if flow else None
        return (await open_portal(services, identity, flow=begin, locale=language)).url

    return await leave_for_provider(state, button, open_page, back_to=BILLING)


async def _fetch(
    state: BillingState, fetch: Callable[[Services, Identity], Awaitable[None]]
) -> EventSpec | None:
    """Run `fetch` without holding the tab's lock, then show what our tables hold now."""
    async with state:
        identity = await identity_of(state)
        hand_over(state, identity)
        if identity is None:
            return to_sign_in(BILLING)
        if state.refreshing:
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
        identity = await identity_of(state)
        hand_over(state, identity)
        if identity is None:
            return to_sign_in(BILLING)
        await _show(state, identity)
        if problem:
            state.refresh_problem = _not_fetched(problem)
    return None


def _not_fetched(problem: str) -> Problem:
    # Whoever only looks did not mean to change anything.
    return problem_of(problem.replace("Nothing was changed. ", ""))


async def _turn_to(state: BillingState, cursor: str | None) -> EventSpec | None:
    identity = await identity_of(state)
    handed_over = hand_over(state, identity)
    if identity is None:
        return to_sign_in(BILLING)
    if cursor is None or handed_over or not identity.may(Action.VIEW_INVOICES):
        return None
    _show_invoices(state, await load_invoices(current_services(), identity, cursor))
    return None


async def _show(state: BillingState, identity: Identity) -> bool:
    """Fill `state` from our tables; return whether the provider may know something newer."""
    services, reader = current_services(), reader_of(state)
    state.in_team = identity.team_id is not None
    if identity.team_id is None:
        state.loaded = True
        return False
    summary = await load_billing(services, identity)
    sees_account = identity.may(Action.VIEW_INVOICES) and summary.has_customer
    invoices = await load_invoices(services, identity) if sees_account else NO_INVOICES
    _show_summary(state, summary, reader)
    _show_offers(state, summary, may_refresh=identity.may(Action.SYNC))
    state.shows_account = sees_account
    _show_invoices(state, invoices)
    await _show_result(state, services, identity, reader)
    state.broken = False
    state.loaded = True
    return summary.out_of_date and not summary.mismatch


def _show_summary(state: BillingState, summary: BillingSummary, reader: Reader) -> None:
    now = utc_now()
    state.team_name = summary.team_name
    state.provider = summary.provider_name
    state.contact = summary.contact_email or ""
    state.mismatch = problem_of(summary.mismatch or "")
    state.refresh_problem = _not_fetched(summary.sync_error or "")
    state.may_manage = summary.can_manage
    state.plans = [plan_view(plan, summary.members, reader) for plan in summary.plans]
    state.payment = payment_view(summary.payment_method, now)
    state.details = details_view(summary.details, reader)
    stale = summary.sync_error is not None
    state.freshness = freshness_view(summary.synced_at, stale=stale, reader=reader, now=now)


def _show_offers(state: BillingState, summary: BillingSummary, *, may_refresh: bool) -> None:
    """Offer what can work, and nothing else."""
    usable = summary.has_customer and not summary.mismatch and not summary.customer_deleted
    live = [plan for plan in summary.plans if plan.state.live]
    flows = summary.capabilities.flows if usable and summary.can_manage else frozenset()
    state.offers_portal = usable and summary.can_manage
    state.offers_plans = (
        summary.can_manage and not live and not summary.mismatch and summary.capabilities.checkout
    )
    state.offers_refresh = usable and may_refresh
    # With several subscriptions the portal's first page is the place to choose between them.
    state.offers_change = (
        FlowType.SUBSCRIPTION_UPDATE in flows
        and len(live) == 1
        and live[0].state is SubscriptionState.ACTIVE
    )
    state.offers_payment_update = FlowType.PAYMENT_METHOD_UPDATE in flows
    state.offers_details_update = FlowType.CUSTOMER_UPDATE in flows


def _show_invoices(state: BillingState, page: InvoicePage) -> None:
    reader = reader_of(state)
    state.invoices = invoice_views(page, reader, utc_now())
    state.invoice_range = _invoice_range(page, reader)
    state._older, state._newer = page.next_cursor, page.previous_cursor


def _invoice_range(page: InvoicePage, reader: Reader) -> str:
    """Return which invoices are shown: "1–8 of 24", or "5 invoices" when that is all of them."""
    if page.first == 1 and page.last == page.total:
        return reader.plural(page.total, "invoice", "invoices")
    first, last, total = (reader.number(n) for n in (page.first, page.last, page.total))
    return f"{first}–{last} of {total}" if first != last else f"{last} of {total}"


async def _show_result(
    state: BillingState, services: Services, identity: Identity, reader: Reader
) -> None:
    """Show what came of the person's last trip to the provider, until they put it away."""
    visit = await latest_outcome(services, identity)
    state._visit_id = str(visit.visit_id) if visit else ""
    text = (
        describe_visit(
            visit.changes,
            reader,
            place=visit.kind.value,
            plan=visit.plan,
            upcoming=visit.upcoming,
        )
        if visit
        else VisitText("")
    )
    state.result_title = text.heading
    state.result_detail = text.detail
    state.result = [result_line(told) for told in text.changes]
    state.result_changed = visit is not None and bool(visit.changes)
