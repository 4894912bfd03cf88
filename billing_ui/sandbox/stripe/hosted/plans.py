"""The portal's steps that change a plan: update with the money first, cancel, and not cancel."""

from dataclasses import dataclass

from starlette.responses import Response

from billing_ui.sandbox.core.store import equals
from billing_ui.sandbox.hosted.formats import per_interval
from billing_ui.sandbox.hosted.forms import Form
from billing_ui.sandbox.hosted.wording import CANCELLATION_REASONS, quantity_words
from billing_ui.sandbox.stripe.errors import StripeError
from billing_ui.sandbox.stripe.hosted.sessions import NotOffered, Visit
from billing_ui.sandbox.stripe.hosted.words import is_canceling, period_end, plan_name, price_amount
from billing_ui.sandbox.stripe.shapes import Json
from billing_ui.sandbox.stripe.subscription_items import MOST


@dataclass(frozen=True)
class Option:
    """One price a plan can be changed to. Amounts are in words; a quantity has its bounds."""

    price: str
    name: str
    amount: str
    each: str
    current: bool
    adjustable: bool
    minimum: int
    maximum: int


@dataclass(frozen=True)
class Line:
    """One line of the money that is shown before Confirm."""

    name: str
    amount: str
    plain: bool = False


# ----------------------------------------------------------------------------------------- update


def can_update(visit: Visit, subscription: Json) -> bool:
    """Tell whether there is anything this subscription could be updated to."""
    if not visit.enabled("subscription_update") or len(subscription["items"]["data"]) != 1:
        return False
    return any(not option.current or option.adjustable for option in _options(visit, subscription))


def choose(visit: Visit, form: Form) -> Response:
    """Ask for the price and the quantity."""
    subscription = _updatable(visit)
    item = subscription["items"]["data"][0]
    query = visit.request.query_params
    chosen = Form(
        {
            "price": query.get("price", item["price"]["id"]),
            "quantity": query.get("quantity", str(item.get("quantity", 1))),
        }
    )
    return _choices(visit, subscription, chosen)


def confirm(visit: Visit, form: Form) -> Response:
    """Show what the wished change costs, now and later."""
    subscription = _updatable(visit)
    wish = Form(dict(visit.request.query_params))
    option, quantity = _read_wish(visit, subscription, wish)
    if option is None:
        return _choices(visit, subscription, wish, status=422)
    try:
        lines, total, explanation = _money(visit, subscription, option, quantity)
    except StripeError as error:
        return _choices(visit, subscription, wish, problem=_not_paid(visit, error), status=402)
    return visit.show(
        "portal/confirm.html",
        heading="Confirm your plan",
        problem="",
        lead=f"From {_name(visit, subscription)} to {option.name}."
        if not option.current
        else f"A new quantity of {option.name}.",
        lines=lines,
        total=total,
        explanation=explanation,
        subscription=subscription["id"],
        form=Form({"price": option.price, "quantity": str(quantity)}),
        back=visit.back
        if _only_confirms(visit)
        else visit.url(
            f"/plans/{subscription['id']}/update", price=option.price, quantity=str(quantity)
        ),
    )


def _only_confirms(visit: Visit) -> bool:
    """Whether somebody came to confirm a change that was chosen elsewhere."""
    return bool(visit.flow and visit.flow["type"] == "subscription_update_confirm")


def update(visit: Visit, form: Form) -> Response:
    """Change the plan as confirmed."""
    subscription = _updatable(visit)
    done = "subscription_update_confirm" if _only_confirms(visit) else "subscription_update"
    item = subscription["items"]["data"][0]
    if (form.get("price"), form.get("quantity")) == (item["price"]["id"], str(item["quantity"])):
        # The second of two clicks: the first has done it.
        return visit.completed(done, "plan-updated")
    option, quantity = _read_wish(visit, subscription, form)
    if option is None:
        return _choices(visit, subscription, form, status=422)
    try:
        _change(visit, subscription, option, quantity)
    except StripeError as error:
        return _choices(visit, subscription, form, problem=_not_paid(visit, error), status=402)
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
    visit.feature("subscription_update")
    subscription = visit.subscription(visit.request.path_params["subscription"])
    if is_canceling(subscription) or not can_update(visit, subscription):
        raise NotOffered
    return subscription


def _options(visit: Visit, subscription: Json) -> list[Option]:
    """Return the prices of the configuration that can be had in the subscription's currency."""
    feature = visit.feature("subscription_update")
    allowed = feature["default_allowed_updates"]
    current = subscription["items"]["data"][0]["price"]["id"]
    options = []
    for offered in feature["products"] or []:
        product = visit.reader.product(offered["product"])
        bounds = offered.get("adjustable_quantity") or {}
        for price_id in offered["prices"]:
            price = visit.reader.price(price_id)
            amount = price_amount(price, subscription["currency"])
            if amount is None or not (price["active"] and product["active"]):
                continue
            if price_id != current and "price" not in allowed:
                continue
            money = visit.formats.money(amount, subscription["currency"])
            unit = product.get("unit_label")
            options.append(
                Option(
                    price=price_id,
                    name=product["name"],
                    amount=f"{money} {per_interval(price['recurring'])}",
                    each=f"for each {unit}" if unit else "",
                    current=price_id == current,
                    adjustable=bool(bounds.get("enabled")) and "quantity" in allowed,
                    minimum=bounds.get("minimum") or 1,
                    maximum=bounds.get("maximum") or MOST,
                )
            )
    return options


def _choices(
    visit: Visit, subscription: Json, form: Form, *, problem: str = "", status: int = 200
) -> Response:
    options = _options(visit, subscription)
    adjustable = sorted({option.name for option in options if option.adjustable})
    # Without a script the field can't come and go with the choice, so it says what it is for.
    fixed = any(not option.adjustable for option in options)
    return visit.show(
        "portal/update.html",
        status=status,
        heading="Update plan",
        problem=problem,
        subscription=subscription["id"],
        options=options,
        form=form,
        adjustable=bool(adjustable),
        quantity_hint=f"Counts for {' and '.join(adjustable)}." if adjustable and fixed else "",
    )


def _read_wish(visit: Visit, subscription: Json, form: Form) -> tuple[Option | None, int]:
    """Return the option and quantity chosen; no option when something is wrong with them."""
    item = subscription["items"]["data"][0]
    offered = {option.price: option for option in _options(visit, subscription)}
    option = offered.get(form.get("price", item["price"]["id"]))
    if option is None:
        form.problems["price"] = "Choose a plan."
        return None, 0
    now = int(item.get("quantity", 1))
    if not option.adjustable:
        # Seats of the old plan are not seats of one that has none.
        quantity = now if option.current else 1
    else:
        typed = form.get("quantity", str(now)).strip()
        quantity = int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 10 else 0
        if not option.minimum <= quantity <= option.maximum:
            form.problems["quantity"] = (
                f"Enter a whole number from {option.minimum} to {option.maximum}."
            )
            return None, 0
    if option.current and quantity == now:
        form.problems["price"] = "This is your plan already."
        return None, 0
    return option, quantity


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


def _money(
    visit: Visit, before: Json, option: Option, quantity: int
) -> tuple[list[Line], Line, str]:
    """Return the lines, the total and one more sentence about what a change costs.

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
        _plan_line(visit, option, quantity, formats.money(each, currency)),
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
        return [plan, *lines], total, f"Then {later}"
    if after["status"] == "trialing":
        total = Line(f"First invoice, {formats.date(ends)}", formats.money(recurring, currency))
        return [plan], total, "Nothing is due now. Your trial goes on."
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
    return lines, total, explanation


def _plan_line(visit: Visit, option: Option, quantity: int, each: str) -> str:
    if quantity == 1:
        return option.name
    product = visit.reader.product(visit.reader.price(option.price)["product"])
    return f"{option.name}, {quantity_words(product.get('unit_label'), quantity, each)}"


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
    subscription = visit.subscription(visit.request.path_params["subscription"])
    if is_canceling(subscription):
        return visit.stopped(409, "Your plan is already set to cancel", "Nothing was changed.")
    name = _name(visit, subscription)
    if feature["mode"] == "immediately":
        lead = f"{name} ends at once."
    else:
        ends = visit.formats.date(period_end(subscription))
        lead = f"{name} stays on until {ends}. After that you will not be charged again."
    return visit.show(
        "portal/cancel.html",
        heading="Cancel plan",
        problem="",
        lead=lead,
        subscription=subscription["id"],
        reasons=[(reason, CANCELLATION_REASONS[reason]) for reason in _reasons(feature)],
    )


def cancel(visit: Visit, form: Form) -> Response:
    """Cancel the plan, at the end of what is paid or at once, as the configuration says."""
    feature = visit.feature("subscription_cancel")
    subscription = visit.subscription(visit.request.path_params["subscription"])
    if is_canceling(subscription):
        # The second of two clicks: the first has done it.
        return visit.completed("subscription_cancel", "plan-canceled")
    path = f"/v1/subscriptions/{subscription['id']}"
    details: Json = {}
    if _reasons(feature):
        if form.get("reason") in _reasons(feature):
            details["feedback"] = form["reason"]
        if form.get("comment", "").strip():
            details["comment"] = form["comment"].strip()[:2000]
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
    subscription = visit.subscription(visit.request.path_params["subscription"])
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
