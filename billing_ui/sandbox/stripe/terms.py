"""The terms of a subscription: its trial, its end, its currency."""

from typing import Any

from billing_ui.sandbox.core import periods
from billing_ui.sandbox.stripe import billing, subscription_items
from billing_ui.sandbox.stripe.account import Account
from billing_ui.sandbox.stripe.errors import StripeError
from billing_ui.sandbox.stripe.resources import prices
from billing_ui.sandbox.stripe.shapes import Json
from billing_ui.sandbox.stripe.validator import Params

LONGEST_AHEAD = 5 * 366 * periods.DAY
"""How far ahead, in seconds, a trial or a cancellation may be set."""


def with_cancellation(account: Account, subscription: Json, params: Params) -> Json:
    """Return a subscription with the end that `cancel_at` and `cancel_at_period_end` set."""
    if "cancel_at" in params and "cancel_at_period_end" in params:
        raise StripeError(
            "You may only specify one of these parameters: cancel_at, cancel_at_period_end."
        )
    _, period_end = billing.period_of(subscription)
    at_period_end = subscription["cancel_at_period_end"]
    if "cancel_at_period_end" in params:
        at_period_end = params["cancel_at_period_end"]
        moment = period_end if at_period_end else None
    elif "cancel_at" in params:
        at_period_end = False
        moment = _cancel_moment(account, subscription, params["cancel_at"])
    else:
        return subscription
    details = dict(subscription["cancellation_details"])
    details["reason"] = "cancellation_requested" if moment else None
    if moment is None and "cancellation_details" not in params:
        details |= {"comment": None, "feedback": None}
    return {
        **subscription,
        "cancel_at": moment,
        "cancel_at_period_end": at_period_end,
        "canceled_at": account.now if moment else None,
        "cancellation_details": details,
    }


def _cancel_moment(account: Account, subscription: Json, wish: Any) -> int | None:
    ends: list[int] = [item["current_period_end"] for item in subscription["items"]["data"]]
    if wish == "":
        return None
    if wish == "min_period_end":
        return min(ends)
    if wish in ("max_period_end", "max_billed_until"):
        return max(ends)
    return _in_future(account, wish, "cancel_at")


def with_trial(account: Account, subscription: Json, params: Params) -> Json:
    """Return a subscription with the trial end an update sets; a trial moves the whole period."""
    if "trial_end" not in params:
        return subscription
    now = account.now
    moment = now if params["trial_end"] == "now" else params["trial_end"]
    if moment != now:
        _in_future(account, moment, "trial_end")
    items = []
    for item in subscription["items"]["data"]:
        if moment > now:
            items.append({**item, "current_period_start": now, "current_period_end": moment})
        elif subscription["status"] == "trialing":
            items.append(subscription_items.restarted(account, item))
        else:
            items.append(item)
    trialing = moment > now
    ended = subscription["status"] == "trialing" and not trialing
    return {
        **subscription,
        "billing_cycle_anchor": moment
        if trialing or ended
        else subscription["billing_cycle_anchor"],
        "items": {**subscription["items"], "data": items},
        "status": "trialing" if trialing else "active" if ended else subscription["status"],
        "trial_end": moment if trialing or ended else subscription["trial_end"],
        "trial_start": subscription["trial_start"] or (now if trialing else None),
    }


def ends_trial(before: Json, after: Json) -> bool:
    """Whether a change ends a trial, so that the first paid period begins."""
    return bool(before["status"] == "trialing" and after["status"] == "active")


def trial_end(account: Account, params: Params) -> int | None:
    """Return when the trial of a new subscription ends, in Unix seconds; None without one."""
    if "trial_end" in params and "trial_period_days" in params:
        raise StripeError(
            "You may only specify one of these parameters: trial_end, trial_period_days."
        )
    moment = params.get("trial_end")
    if "trial_period_days" in params:
        days = params["trial_period_days"]
        if not 0 <= days <= 730:
            raise StripeError(
                "Invalid trial_period_days: must be between 0 and 730.", param="trial_period_days"
            )
        return account.now + days * periods.DAY if days else None
    if moment in (None, "now"):
        return None
    return _in_future(account, moment, "trial_end")


def _in_future(account: Account, moment: int, param: str) -> int:
    """Return a Unix time that must lie ahead, five years at most."""
    if moment <= account.now:
        raise StripeError(
            "Invalid timestamp: must be an integer Unix timestamp in the future.",
            code="parameter_invalid_integer",
            param=param,
        )
    if moment > account.now + LONGEST_AHEAD:
        raise StripeError(
            "Invalid timestamp: can be no more than five years in the future.",
            code="parameter_invalid_integer",
            param=param,
        )
    return moment


def currency(params: Params, customer: Json, chosen: list[Json]) -> str:
    """Return the currency to bill in: asked for, the customer's own, or the price's."""
    own = customer["currency"]
    wanted = params.get("currency", "").lower()
    if wanted and own and wanted != own:
        raise StripeError(
            "You cannot combine currencies on a single customer. This customer has had a "
            f"subscription, coupon, or invoice item with currency {own}.",
            param="currency",
        )
    if not wanted and own and prices.cost(chosen[0], own) is None:
        raise StripeError(
            "You cannot combine currencies on a single customer. This customer has had a "
            f"subscription, coupon, or invoice item with currency {own}.",
            param="items[0][price]",
        )
    return wanted or own or str(chosen[0]["currency"])


def billing_mode(params: Params) -> Json:
    """Return the billing mode of a new subscription: flexible, unless the old one is asked for."""
    mode = params.get("billing_mode", {"type": "flexible"})
    if mode["type"] == "classic":
        return {"flexible": None, "type": "classic"}
    discounts = mode.get("flexible", {}).get("proration_discounts", "included")
    return {"flexible": {"proration_discounts": discounts}, "type": "flexible"}
