"""Everything the billing page shows, read in one session."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from billing_ui.accounts.permissions import Action, require
from billing_ui.accounts.sessions import Identity
from billing_ui.billing.customers import customers_of
from billing_ui.billing.feed import FeedEntry, read_feed
from billing_ui.billing.invoices import NO_INVOICES, InvoicePage, read_invoices
from billing_ui.billing.services import Services
from billing_ui.billing.spend import Spend, read_spend
from billing_ui.billing.summary import BillingSummary, read_billing
from billing_ui.billing.visits import VisitBanner, read_away, read_outcome
from billing_ui.models import VisitKind


@dataclass(frozen=True)
class BillingPage:
    """Everything on the page that whoever asks may see.

    Attributes:
        entries: recent changes; for who may not see invoices, those of the plan.
        visit: what came of their last trip to the provider, until they dismiss it.
        away: where they went to that has no way back, until they say that they are back; None when nowhere.
        shows_account: whether there is more to show than the plan, and whoever asks may see it; without
            it there is no spend and no invoice.
    """

    summary: BillingSummary
    shows_account: bool
    spend: Spend | None
    entries: Sequence[FeedEntry]
    invoices: InvoicePage
    visit: VisitBanner | None
    away: VisitKind | None


async def load_page(
    services: Services, identity: Identity, cursor: str | None, now: datetime
) -> BillingPage:
    """Return what the billing page shows to `identity`.

    Args:
        cursor: of the page of invoices; None for the newest, which are also shown when that page is empty now.

    Raises:
        NoTeam, NotAllowed: who asks may not see the team's plan.
        InvalidRequest: the cursor is none of ours.
    """
    team_id = require(identity, Action.VIEW_PLAN)
    may_see_invoices = identity.may(Action.VIEW_INVOICES)
    async with services.database.read() as session:
        customers = await customers_of(session, team_id, services.settings.served_providers)
        customer = customers.current
        summary = await read_billing(session, services.drivers, identity, customer)
        visit = await read_outcome(session, identity)
        spend: Spend | None = None
        entries: Sequence[FeedEntry] = ()
        invoices = NO_INVOICES
        away: VisitKind | None = None
        if customer is not None:
            if not summary.mismatch:
                trips = await read_away(session, identity, customer, summary.capabilities)
                away = VisitKind(trips[0].kind) if trips else None
            entries = await read_feed(session, customer, plan_alone=not may_see_invoices)
            if may_see_invoices:
                spend = await read_spend(session, customers, now, services.settings.zone)
                invoices = await read_invoices(services, session, customers, cursor)
                if cursor is not None and not invoices.rows:
                    invoices = await read_invoices(services, session, customers)
    return BillingPage(
        summary=summary,
        shows_account=customer is not None and may_see_invoices,
        spend=spend,
        entries=entries,
        invoices=invoices,
        visit=visit,
        away=away,
    )
