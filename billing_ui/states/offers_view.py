"""What there is to press on the billing page: what can work, and nothing else."""

from dataclasses import dataclass

from billing_ui.accounts.permissions import Action
from billing_ui.accounts.sessions import Identity
from billing_ui.billing.summary import BillingSummary
from billing_ui.payments.types import FlowType, SubscriptionState


@dataclass(frozen=True)
class Offers:
    """Which buttons the page has.

    Attributes:
        portal: Manage Billing.
        plans: Choose a plan, which leads to the pricing page.
        refresh: Refresh.
        change: Change plan.
        payment: Update payment method.
        details: Update billing details.
    """

    portal: bool = False
    plans: bool = False
    refresh: bool = False
    change: bool = False
    payment: bool = False
    details: bool = False


def offers_of(summary: BillingSummary, identity: Identity) -> Offers:
    """Return what `identity` can press."""
    usable = summary.has_customer and not summary.mismatch and not summary.customer_deleted
    live = [plan for plan in summary.plans if plan.state.live]
    flows = summary.capabilities.flows if usable and summary.can_manage else frozenset()
    return Offers(
        portal=usable and summary.can_manage,
        plans=(summary.can_manage and not live and not summary.mismatch and summary.can_buy),
        refresh=usable and identity.may(Action.SYNC),
        # With several subscriptions the portal's first page is the place to choose between them.
        change=(
            FlowType.SUBSCRIPTION_UPDATE in flows
            and len(live) == 1
            and live[0].state is SubscriptionState.ACTIVE
        ),
        payment=FlowType.PAYMENT_METHOD_UPDATE in flows,
        details=FlowType.CUSTOMER_UPDATE in flows,
    )
