"""Time passing: renewals, trials that end, cancellations, payments tried again."""

import logging
from collections.abc import Callable

from billing_ui.sandbox.core.store import Condition
from billing_ui.sandbox.stripe import billing, invoicing, subscribing, subscription_items
from billing_ui.sandbox.stripe.account import Account
from billing_ui.sandbox.stripe.resources import checkout_sessions, payment_methods, test_clocks
from billing_ui.sandbox.stripe.shapes import Json

CLOCK = "json_extract(body, '$.test_clock')"

log = logging.getLogger(__name__)


def advance(account: Account, to: int, customer: str | None = None) -> int:
    """Let everything happen that is due, each at its own time.

    Args:
        to: Until when, in Unix seconds.
        customer: Whose time passes; everybody's when None.

    Returns:
        How many things happened.
    """
    happened = 0
    while step(account, to, customer):
        happened += 1
    return happened


def step(account: Account, to: int, customer: str | None = None) -> bool:
    """Let the next due thing happen; return whether there was one.

    Where a test clock is, no other time passes.
    """
    mine = [] if customer is None else [Condition("customer = ?", (customer,))]
    with account.store.transaction():
        due = account.store.next_due(to, Condition(f"{CLOCK} IS NULL"), *mine)
        if due is None:
            return False
        with account.at(due["_due"]):
            HANDLERS[due["object"]](account, due)
    return True


def step_test_clocks(account: Account) -> bool:
    """Let the next thing happen to a test clock that is advancing; return whether there was one."""
    clock = test_clocks.advancing(account)
    if clock is None:
        return False
    try:
        with account.store.transaction():
            due = _due_by(account, clock)
            if due is None:
                test_clocks.arrive(account, clock)
                return True
            with account.at(due["_due"], simulated=True):
                HANDLERS[due["object"]](account, due)
    except Exception:
        log.exception("the test clock %s could not be advanced", clock["id"])
        with account.store.transaction():
            test_clocks.fail(account, clock)
    return True


def _due_by(account: Account, clock: Json) -> Json | None:
    """Return what comes next until the time a test clock is advancing to."""
    until = clock["status_details"]["advancing"]["target_frozen_time"]
    on_clock = Condition(f"{CLOCK} = ?", (clock["id"],))
    found = [
        account.store.next_due(until, on_clock, Condition("customer = ?", (customer,)))
        for customer in clock["_customers"]
    ]
    return min(filter(None, found), key=lambda document: document["_due"], default=None)


def _subscription(account: Account, subscription: Json) -> None:
    now = account.now
    status = subscription["status"]
    if status == "incomplete":
        subscribing.end(account, subscription, reason="payment_failed")
    elif subscription["cancel_at"] and subscription["cancel_at"] <= now:
        subscribing.end(account, subscription, reason="cancellation_requested")
    elif _resumes(subscription, now):
        resumed = billing.with_due({**subscription, "pause_collection": None})
        account.save(subscription, resumed, "customer.subscription.updated")
    elif status == "trialing" and now < subscription["trial_end"]:
        announced = billing.with_due({**subscription, "_trial_announced": True})
        account.store.put(announced)
        account.tell("customer.subscription.trial_will_end", announced)
    elif status == "trialing":
        _end_trial(account, subscription)
    else:
        _renew(account, subscription, status)


def _resumes(subscription: Json, now: int) -> bool:
    pause = subscription["pause_collection"]
    return bool(pause and pause["resumes_at"] and pause["resumes_at"] <= now)


def _end_trial(account: Account, subscription: Json) -> None:
    """Begin the paid time, unless nothing can be charged and that was to end or pause it."""
    customer = account.get("customer", subscription["customer"])
    if payment_methods.default_of(account, subscription, customer) is None:
        wish = subscription["trial_settings"]["end_behavior"]["missing_payment_method"]
        if wish == "cancel":
            subscribing.end(account, subscription, reason="cancellation_requested")
            return
        if wish == "pause":
            details = {
                "subscription": {"type": "trial_end_without_payment_method"},
                "transitioned_at": account.now,
                "type": "subscription",
            }
            paused = {**subscription, "_due": None, "status": "paused"}
            paused["status_details"] = {"paused": details}
            account.save(subscription, paused, "customer.subscription.updated")
            account.tell("customer.subscription.paused", paused)
            return
    _renew(account, subscription, "active")


def _renew(account: Account, before: Json, status: str) -> None:
    """Begin the next period of the items whose period is over, and bill it."""
    now = account.now
    items, renewed = [], []
    for item in before["items"]["data"]:
        if item["current_period_end"] <= now:
            recurring = account.get("price", item["price"])["recurring"]
            start, end = billing.period_around(before["billing_cycle_anchor"], now, recurring)
            item = {**item, "current_period_start": start, "current_period_end": end}
            renewed.append(item)
        items.append(item)
    after = {**before, "items": {**before["items"], "data": items}, "status": status}
    lines = subscription_items.lines(account, after, renewed, trial=False)
    invoice = subscribing.bill(account, after, "subscription_cycle", lines)
    after = billing.with_due({**after, "latest_invoice": invoice["id"]})
    account.save(before, after, "customer.subscription.updated")


def _invoice(account: Account, invoice: Json) -> None:
    """Finalize and charge a draft; charge an open invoice again, or give its subscription up."""
    if invoice["status"] == "draft":
        _finalize(account, invoice)
        return
    if invoice["next_payment_attempt"] is not None:
        invoicing.collect(account, invoice)
        return
    account.store.put({**invoice, "_due": None, "auto_advance": False})
    subscription = invoicing.subscription_of(account, invoice)
    if subscription is None or subscription["status"] not in subscribing.LIVE:
        return
    if account.after_dunning == "cancel":
        subscribing.end(account, subscription, reason="payment_failed")
    elif account.after_dunning == "unpaid":
        unpaid = billing.with_due({**subscription, "status": "unpaid"})
        account.save(subscription, unpaid, "customer.subscription.updated")


def _finalize(account: Account, invoice: Json) -> None:
    """Finalize and charge a draft, unless its subscription is unpaid or its collection paused."""
    subscription = invoicing.subscription_of(account, invoice)
    pause = subscription and subscription["pause_collection"]
    unpaid = subscription and subscription["status"] == "unpaid"
    if unpaid or (pause and pause["behavior"] == "keep_as_draft"):
        account.store.put({**invoice, "_due": None, "auto_advance": False})
        return
    invoice = invoicing.finalize(account, invoice)
    if invoice["status"] != "open":
        return
    if pause and pause["behavior"] == "void":
        invoicing.void(account, invoice)
    elif pause:
        invoicing.write_off(account, invoice)
    elif invoice["collection_method"] != "send_invoice":
        invoicing.collect(account, invoice)


HANDLERS: dict[str, Callable[[Account, Json], object]] = {
    "checkout.session": checkout_sessions.expire,
    "invoice": _invoice,
    "subscription": _subscription,
    "test_helpers.test_clock": test_clocks.remove,
}
"""Object name -> what happens when it is due."""
