"""The invoice that comes next: of a subscription as it is, or as a change would make it."""

from collections.abc import Iterator
from contextlib import contextmanager

from billing_ui.sandbox.core import periods
from billing_ui.sandbox.core.ids import random_text
from billing_ui.sandbox.stripe import billing, invoicing, subscription_items
from billing_ui.sandbox.stripe.account import Account
from billing_ui.sandbox.stripe.errors import StripeError
from billing_ui.sandbox.stripe.fields import refuse
from billing_ui.sandbox.stripe.shapes import Json
from billing_ui.sandbox.stripe.validator import Params

UNSUPPORTED = (
    "customer_account",
    "customer_details",
    "discounts",
    "invoice_items",
    "issuer",
    "on_behalf_of",
    "schedule_details",
)
UNSUPPORTED_DETAILS = (
    "billing_schedules",
    "default_tax_rates",
    "pause",
    "start_date",
)
RENEWING = ("active", "past_due", "trialing", "unpaid")
"""Statuses of subscriptions that are billed again when their period ends."""


def preview(account: Account, params: Params) -> Json:
    """Return the upcoming invoice, storing nothing.

    Args:
        account: Where.
        params: Of `create_preview`: a `customer`, whose next invoice is meant, or a
            `subscription`; with `subscription_details`, what a change of it, or a new one, costs.

    Raises:
        StripeError: There will be none (`invoice_upcoming_none`), or the change cannot be made.
    """
    refuse(params, *UNSUPPORTED)
    if params.get("automatic_tax", {}).get("enabled"):
        raise StripeError.unsupported("automatic_tax[enabled]")
    if "schedule" in params:
        raise StripeError.no_such("subscription_schedule", params["schedule"], "schedule")
    customer, subscription = _whose(account, params)
    details = params.get("subscription_details", {})
    recurring = params.get("preview_mode") == "recurring"
    if details:
        with account.rehearsal(), _named_in_details():
            return _of_change(account, customer, subscription, params, recurring)
    subscription = subscription or _renewing_next(account, customer)
    return _of_renewal(account, customer, subscription, recurring)


def _whose(account: Account, params: Params) -> tuple[Json, Json | None]:
    """Return the customer, and the subscription where one is named."""
    if "subscription" not in params:
        if "customer" not in params:
            raise StripeError.missing("customer")
        return account.get("customer", params["customer"], "customer"), None
    subscription = account.get("subscription", params["subscription"], "subscription")
    if params.get("customer", subscription["customer"]) != subscription["customer"]:
        account.get("customer", params["customer"], "customer")
        raise StripeError(
            f"The subscription {subscription['id']} does not belong to the customer "
            f"{params['customer']}.",
            param="subscription",
        )
    return account.get("customer", subscription["customer"]), subscription


@contextmanager
def _named_in_details() -> Iterator[None]:
    """Let a complaint name the parameter where the caller has put it."""
    try:
        yield
    except StripeError as error:
        if error.param and error.param != "id":
            head, bracket, rest = error.param.partition("[")
            error.param = f"subscription_details[{head}]{bracket}{rest}"
        raise


def _none(customer: Json) -> StripeError:
    return StripeError(
        f"No upcoming invoices for customer: '{customer['id']}'",
        status=404,
        code="invoice_upcoming_none",
    )


def _renews(subscription: Json) -> bool:
    end = billing.period_of(subscription)[1]
    cancel_at = subscription["cancel_at"]
    return subscription["status"] in RENEWING and (cancel_at is None or cancel_at > end)


def _renewing_next(account: Account, customer: Json) -> Json | None:
    """Return the customer's subscription that is billed before their others, or None."""
    found = account.store.find("subscription", customer=customer["id"])
    renewing = [subscription for subscription in found if _renews(subscription)]
    return min(renewing, key=lambda one: billing.period_of(one)[1], default=None)


def _of_renewal(
    account: Account, customer: Json, subscription: Json | None, recurring: bool
) -> Json:
    """Return the invoice of the next period, with what waits for it unless only `recurring`."""
    if subscription is None or not _renews(subscription):
        raise _none(customer)
    start, end = billing.period_of(subscription)
    items = []
    for item in subscription["items"]["data"]:
        if item["current_period_end"] <= end:
            interval = account.get("price", item["price"])["recurring"]
            period = billing.period_around(subscription["billing_cycle_anchor"], end, interval)
            items.append(
                {**item, "current_period_start": period[0], "current_period_end": period[1]}
            )
    lines = subscription_items.lines(account, subscription, items, trial=False)
    if not recurring:
        waiting = invoicing.pending(account, customer["id"], subscription["currency"], subscription)
        lines = [*(invoicing.line_of(item) for item in waiting), *lines]
    with account.at(end):
        invoice = _upcoming(account, customer, subscription, lines, (start, end))
    finalizes = end + periods.HOUR
    charged = subscription["collection_method"] == "charge_automatically"
    return {
        **invoice,
        "automatically_finalizes_at": finalizes,
        "next_payment_attempt": finalizes if charged else None,
    }


def _of_change(
    account: Account, customer: Json, subscription: Json | None, params: Params, recurring: bool
) -> Json:
    """Make a change, to be undone by the caller; return the invoice it brings at once or later."""
    balance, before = customer["balance"], subscription and subscription["latest_invoice"]
    after = _change(account, customer, subscription, params)
    customer = {**account.get("customer", customer["id"]), "balance": balance}
    if after["latest_invoice"] == before:
        return _of_renewal(account, customer, after, recurring)
    invoice = account.get("invoice", after["latest_invoice"])
    if not invoice["lines"]["data"]:
        raise _none(customer)
    period = (invoice["period_start"], invoice["period_end"])
    return _upcoming(account, customer, after, invoice["lines"]["data"], period)


def _change(account: Account, customer: Json, subscription: Json | None, params: Params) -> Json:
    details = dict(params["subscription_details"])
    refuse(details, *UNSUPPORTED_DETAILS)
    anchor = details.get("billing_cycle_anchor", {}).get("type")
    if anchor == "timestamp":
        raise StripeError.unsupported("billing_cycle_anchor[type]")
    if anchor == "unchanged":
        del details["billing_cycle_anchor"]
    if subscription is None:
        if not details.get("items"):
            raise StripeError.missing("items")
        details = {name: value for name, value in details.items() if name != "cancel_now"}
        details |= {"customer": customer["id"], "payment_behavior": "default_incomplete"}
        if "currency" in params:
            details["currency"] = params["currency"]
        made = account.call("post", "/v1/subscriptions", details)
        return account.get("subscription", made["id"])
    path = f"/v1/subscriptions/{subscription['id']}"
    refuse(details, "billing_mode")
    prorates = details.get("proration_behavior") != "none"
    if details.pop("cancel_now", False):
        account.call("delete", path, {"prorate": prorates, "invoice_now": True})
    elif details.pop("resume_at", None):
        account.call("post", f"{path}/resume")
    else:
        account.call("post", path, details)
    return account.get("subscription", subscription["id"])


def _upcoming(
    account: Account,
    customer: Json,
    subscription: Json,
    lines: list[Json],
    period: tuple[int, int],
) -> Json:
    return invoicing.compose(
        account,
        customer,
        invoice_id=f"upcoming_in_{random_text(24)}",
        currency=subscription["currency"],
        reason="upcoming",
        subscription=subscription,
        lines=lines,
        period=period,
    )
