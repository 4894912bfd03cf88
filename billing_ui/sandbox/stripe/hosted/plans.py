"""The portal's steps that change a plan: update with the money first, cancel, and not cancel."""

from starlette.responses import Response

from billing_ui.sandbox.core.store import equals
from billing_ui.sandbox.hosted import plans
from billing_ui.sandbox.hosted.formats import per_interval
from billing_ui.sandbox.hosted.forms import Form
from billing_ui.sandbox.hosted.plans import Cost, Line, Option, Plan
from billing_ui.sandbox.hosted.visits import NotOffered
from billing_ui.sandbox.stripe.errors import StripeError
from billing_ui.sandbox.stripe.hosted.sessions import Visit
from billing_ui.sandbox.stripe.hosted.words import is_canceling, period_end, plan_name, price_amount
from billing_ui.sandbox.stripe.shapes import Json
from billing_ui.sandbox.stripe.subscription_items import MOST

# ----------------------------------------------------------------------------------------- update


def can_update(visit: Visit, subscription: Json) -> bool:
    """Tell whether there is anything this subscription could be updated to."""
    if not visit.enabled("subscription_update") or is_canceling(subscription):
        return False
    return len(subscription["items"]["data"]) == 1 and _plan(visit, subscription).changeable


def choose(visit: Visit, form: Form) -> Response:
    """Ask for the price and the quantity."""
    return plans.choose(visit, _plan(visit, _updatable(visit)))


def confirm(visit: Visit, form: Form) -> Response:
    """Show what the wished change costs, now and later."""
    subscription = _updatable(visit)
    plan, wish = _plan(visit, subscription), Form(dict(visit.request.query_params))
    option, quantity = plans.read_wish(plan, wish)
    if option is None:
        return plans.choices(visit, plan, wish, status=422)
    try:
        cost = _cost(visit, subscription, option, quantity)
    except StripeError as error:
        return plans.choices(visit, plan, wish, problem=_not_paid(visit, error), status=402)
    back = visit.back if _only_confirms(visit) else ""
    return plans.ask_to_confirm(visit, plan, option, quantity, cost, back=back)


def _only_confirms(visit: Visit) -> bool:
    """Whether somebody came to confirm a change that was chosen elsewhere."""
    return bool(visit.flow and visit.flow["type"] == "subscription_update_confirm")


def update(visit: Visit, form: Form) -> Response:
    """Change the plan as confirmed."""
    subscription = _updatable(visit)
    plan = _plan(visit, subscription)
    done = "subscription_update_confirm" if _only_confirms(visit) else "subscription_update"
    if plan.is_already(form):
        return visit.completed(done, "plan-updated")
    option, quantity = plans.read_wish(plan, form)
    if option is None:
        return plans.choices(visit, plan, form, status=422)
    try:
        _change(visit, subscription, option, quantity)
    except StripeError as error:
        return plans.choices(visit, plan, form, problem=_not_paid(visit, error), status=402)
    return visit.completed(done, "plan-updated")


def _not_paid(visit: Visit, error: StripeError) -> str:
    """Return why a change that must be paid at once was not; everything else is raised again."""
    if error.type == "card_error":
        return error.message
    if not visit.reader.payment_methods():
        return "This change is paid at once. Add a payment method first."
    raise error


def _updatable(visit: Visit) -> Json:
    """Return the subscription of the URL, which must be one that can be updated."""
    subscription = visit.subscription()
    if not can_update(visit, subscription):
        raise NotOffered
    return subscription


def _plan(visit: Visit, subscription: Json) -> Plan:
    """Return a subscription to one price with those that the configuration lets it have."""
    feature = visit.feature("subscription_update")
    allowed, currency = feature["default_allowed_updates"], subscription["currency"]
    item = subscription["items"]["data"][0]
    current = item["price"]["id"]
    options = []
    for offered in feature["products"] or []:
        product = visit.reader.product(offered["product"])
        bounds = offered.get("adjustable_quantity") or {}
        for price_id in offered["prices"]:
            price = visit.reader.price(price_id)
            amount = price_amount(price, currency)
            if amount is None or not (price["active"] and product["active"]):
                continue
            if price_id != current and "price" not in allowed:
                continue
            money = visit.formats.money(amount, currency)
            options.append(
                Option(
                    price=price_id,
                    name=product["name"],
                    amount=f"{money} {per_interval(price['recurring'])}",
                    unit=product.get("unit_label"),
                    current=price_id == current,
                    adjustable=bool(bounds.get("enabled")) and "quantity" in allowed,
                    minimum=bounds.get("minimum") or 1,
                    maximum=bounds.get("maximum") or MOST,
                )
            )
    quantity = int(item.get("quantity", 1))
    return Plan(subscription["id"], _name(visit, subscription), current, quantity, options)


def _change(visit: Visit, subscription: Json, option: Option, quantity: int) -> Json:
    """Change the subscription's only item."""
    feature = visit.feature("subscription_update")
    item = subscription["items"]["data"][0]
    params: Json = {
        "items": [{"id": item["id"], "price": option.price, "quantity": quantity}],
        "proration_behavior": feature["proration_behavior"],
        # A change that has to be paid at once and is not, is not made.
        "payment_behavior": "error_if_incomplete",
    }
    trial = subscription["status"] == "trialing"
    if trial and feature["trial_update_behavior"] == "end_trial":
        params["trial_end"] = "now"
    if feature["billing_cycle_anchor"] == "now" and not trial:
        params["billing_cycle_anchor"] = {"type": "now"}
    return visit.call("post", f"/v1/subscriptions/{subscription['id']}", params)


def _cost(visit: Visit, before: Json, option: Option, quantity: int) -> Cost:
    """Return what a change costs.

    The change is really made and then taken back, so what is shown is what Confirm will do.
    """
    formats, currency = visit.formats, before["currency"]
    with visit.account.rehearsal():
        known = {one["id"] for one in _pending(visit, before)}
        after = _change(visit, before, option, quantity)
        pending = _pending(visit, after)
        invoice = None
        if after["latest_invoice"] != before["latest_invoice"]:
            invoice = visit.account.store.get(after["latest_invoice"])
    price = visit.reader.price(option.price)
    each = price_amount(price, currency) or 0
    rhythm, recurring = per_interval(price["recurring"]), each * quantity
    ends = period_end(after)
    plan = Line(
        option.words(quantity, formats.money(each, currency)),
        f"{formats.money(recurring, currency)} {rhythm}",
        plain=True,
    )
    later = f"{formats.money(recurring, currency)} {rhythm} from {formats.date(ends)} on."
    if invoice:
        lines = [
            Line(one["description"], formats.money(one["amount"], currency))
            for one in invoice["lines"]["data"]
        ]
        total = Line("Due now", formats.money(invoice["amount_due"], currency))
        return Cost([plan, *lines], total, f"Then {later}")
    if after["status"] == "trialing":
        total = Line(f"First invoice, {formats.date(ends)}", formats.money(recurring, currency))
        return Cost([plan], total, "Nothing is due now. Your trial goes on.")
    new = sum(one["amount"] for one in pending if one["id"] not in known)
    old = sum(one["amount"] for one in pending if one["id"] in known)
    lines = [plan]
    if new:
        period = f"{formats.date(visit.account.now)} to {formats.date(ends)}"
        lines.append(Line(f"Difference for {period}", formats.money(new, currency)))
    if old:
        lines.append(Line("Earlier changes, not yet invoiced", formats.money(old, currency)))
    # A negative balance is a credit, https://docs.stripe.com/billing/customer/balance.
    balance = int(visit.reader.customer()["balance"])
    if balance:
        name = "Credit from earlier" if balance < 0 else "Balance from earlier"
        lines.append(Line(name, formats.money(balance, currency)))
    due = recurring + new + old + balance
    total = Line(f"Next invoice, {formats.date(ends)}", formats.money(max(due, 0), currency))
    explanation = "Nothing is due now."
    if due < 0:
        explanation += f" {formats.money(-due, currency)} stays as credit for later invoices."
    return Cost(lines, total, explanation)


def _pending(visit: Visit, subscription: Json) -> list[Json]:
    """Return the invoice items that wait for the subscription's next invoice."""
    found = visit.account.store.find(
        "invoiceitem",
        [equals("currency", subscription["currency"])],
        customer=subscription["customer"],
    )
    return [
        item
        for item in found
        if item["invoice"] is None
        and (
            item["parent"] is None
            or item["parent"]["subscription_details"]["subscription"] == subscription["id"]
        )
    ]


# ----------------------------------------------------------------------------- cancel, don't cancel


def ask_to_cancel(visit: Visit, form: Form) -> Response:
    """Say until when the plan stays and ask why."""
    feature = visit.feature("subscription_cancel")
    subscription = visit.subscription()
    if is_canceling(subscription):
        return plans.already_canceling(visit)
    at_once = feature["mode"] == "immediately"
    end = "" if at_once else visit.formats.date(period_end(subscription))
    name, reasons = _name(visit, subscription), _reasons(feature)
    return plans.ask_to_cancel(visit, subscription["id"], name, end, reasons)


def cancel(visit: Visit, form: Form) -> Response:
    """Cancel the plan, at the end of what is paid or at once, as the configuration says."""
    feature = visit.feature("subscription_cancel")
    subscription = visit.subscription()
    if is_canceling(subscription):
        # The second of two clicks: the first has done it.
        return visit.completed("subscription_cancel", "plan-canceled")
    path = f"/v1/subscriptions/{subscription['id']}"
    reason, comment = plans.read_reason(form, _reasons(feature))
    details = {name: said for name, said in (("feedback", reason), ("comment", comment)) if said}
    params: Json = {"cancellation_details": details} if details else {}
    if feature["mode"] == "immediately":
        prorate = feature["proration_behavior"] == "create_prorations"
        visit.call("delete", path, {**params, "prorate": prorate})
    elif subscription["billing_mode"]["type"] == "flexible":
        visit.call("post", path, {**params, "cancel_at": period_end(subscription)})
    else:
        visit.call("post", path, {**params, "cancel_at_period_end": True})
    return visit.completed("subscription_cancel", "plan-canceled")


def keep(visit: Visit, form: Form) -> Response:
    """Take a cancellation back that has not happened yet."""
    visit.feature("subscription_cancel")
    subscription = visit.subscription()
    if not is_canceling(subscription):
        return visit.completed("", "plan-kept")
    if subscription["cancel_at_period_end"]:
        change: Json = {"cancel_at_period_end": False}
    else:
        change = {"cancel_at": ""}
    forget = {"cancellation_details": {"comment": "", "feedback": ""}}
    visit.call("post", f"/v1/subscriptions/{subscription['id']}", {**change, **forget})
    return visit.completed("", "plan-kept")


def _reasons(feature: Json) -> list[str]:
    reason = feature["cancellation_reason"]
    return list(reason["options"]) if reason["enabled"] else []


def _name(visit: Visit, subscription: Json) -> str:
    return plan_name(subscription, visit.reader.products_of(subscription))
