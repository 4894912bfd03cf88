"""What becomes of a subscription: billed, and ended."""

from billing_ui.sandbox.core import periods
from billing_ui.sandbox.stripe import billing, invoicing
from billing_ui.sandbox.stripe.account import Account
from billing_ui.sandbox.stripe.shapes import Json

LIVE = frozenset({"active", "incomplete", "past_due", "paused", "trialing", "unpaid"})
"""Statuses of subscriptions that have not ended."""


def bill(account: Account, subscription: Json, reason: str, lines: list[Json]) -> Json:
    """Draft an invoice of a subscription with whatever is pending, and make it the latest."""
    customer = account.get("customer", subscription["customer"])
    invoice = invoicing.draft(
        account,
        customer,
        currency=subscription["currency"],
        reason=reason,
        subscription=subscription,
        lines=lines,
        take_pending=True,
        period=billing.period_of(subscription),
    )
    if subscription["collection_method"] == "send_invoice" or reason == "subscription_cycle":
        moment = account.now + periods.HOUR
        invoice = {**invoice, "_due": moment, "automatically_finalizes_at": moment}
        account.store.put(invoice)
    account.tell("invoice.created", invoice)
    # Part of whatever change made the invoice, hence no event of its own.
    current = account.get("subscription", subscription["id"])
    account.store.put({**current, "latest_invoice": invoice["id"]})
    return invoice


def end(account: Account, before: Json, *, reason: str) -> Json:
    """End a subscription now and stop collecting what it still owes.

    Args:
        before: As stored, still live.
        reason: `cancellation_requested` or `payment_failed`.
    """
    details = {**before["cancellation_details"], "reason": reason}
    expired = before["status"] == "incomplete"
    after = {
        **before,
        "_due": None,
        "cancel_at_period_end": False,
        "canceled_at": before["canceled_at"] or account.now,
        "cancellation_details": details,
        "ended_at": account.now,
        "status": "incomplete_expired" if expired else "canceled",
    }
    account.store.put(after)
    for invoice in invoicing.unpaid_of(account, after):
        quiet = {**invoice, "_due": None, "auto_advance": False, "next_payment_attempt": None}
        if expired and invoice["status"] == "open":
            invoicing.void(account, quiet)
        else:
            account.save(invoice, quiet, "invoice.updated")
    account.tell("customer.subscription.deleted", after)
    return after
