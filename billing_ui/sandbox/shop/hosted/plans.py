"""The portal's steps that change a plan: update with the money first, cancel, and not cancel."""

from starlette.responses import Response

from billing_ui.sandbox.hosted import plans
from billing_ui.sandbox.hosted.forms import Form
from billing_ui.sandbox.hosted.plans import Cost, Line, Option, Plan
from billing_ui.sandbox.hosted.visits import NotOffered
from billing_ui.sandbox.hosted.wording import CANCELLATION_REASONS
from billing_ui.sandbox.shop.errors import PaymentFailed
from billing_ui.sandbox.shop.hosted.visits import Visit
from billing_ui.sandbox.shop.hosted.words import rhythm
from billing_ui.sandbox.shop.model import Price, Product, Status, Subscription

MOST = 999_999
"""The highest quantity that can be typed."""


# ----------------------------------------------------------------------------------------- update


def can_update(visit: Visit, subscription: Subscription) -> bool:
    """Tell whether there is anything this subscription could be updated to."""
    changeable = subscription.status in (Status.ACTIVE, Status.TRIALING, Status.PAST_DUE)
    offered = visit.shop.dialect.portal_changes_plans
    if subscription.cancel_at_period_end or not changeable or not offered:
        return False
    return _plan(visit, subscription).changeable


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
    except PaymentFailed as error:
        return plans.choices(visit, plan, wish, problem=str(error), status=402)
    return plans.ask_to_confirm(visit, plan, option, quantity, cost)


def update(visit: Visit, form: Form) -> Response:
    """Change the plan as confirmed."""
    plan = _plan(visit, _updatable(visit))
    if plan.is_already(form):
        return visit.completed("plan-updated")
    option, quantity = plans.read_wish(plan, form)
    if option is None:
        return plans.choices(visit, plan, form, status=422)
    try:
        visit.shop.change_plan(plan.subscription, option.price, quantity)
    except PaymentFailed as error:
        return plans.choices(visit, plan, form, problem=str(error), status=402)
    return visit.completed("plan-updated")


def _updatable(visit: Visit) -> Subscription:
    """Return the subscription of the URL, which must be one that can be updated."""
    subscription = visit.subscription()
    if not can_update(visit, subscription):
        raise NotOffered
    return subscription


def _plan(visit: Visit, subscription: Subscription) -> Plan:
    """Return a subscription with the prices that can be had in its currency."""
    options = []
    for product, price in visit.shop.on_sale(subscription.currency):
        money = visit.formats.money(price.amount, price.currency)
        options.append(
            Option(
                price=price.id,
                name=product.name,
                amount=f"{money} {rhythm(price)}",
                unit=product.unit_label,
                current=price.id == subscription.price,
                adjustable=price.per_unit,
                minimum=1,
                maximum=MOST,
            )
        )
    name = visit.shop.get(Product, subscription.product).name
    return Plan(subscription.id, name, subscription.price, subscription.quantity, options)


def _cost(visit: Visit, before: Subscription, option: Option, quantity: int) -> Cost:
    """Return what a change costs.

    The change is really made and then taken back, so what is shown is what Confirm will do.
    """
    shop, formats = visit.shop, visit.formats
    known = shop.latest_invoice(before.id)
    with shop.rehearsal():
        after = shop.change_plan(before.id, option.price, quantity)
        latest = shop.latest_invoice(before.id)
    invoice = latest if latest != known else None
    price = shop.get(Price, option.price)
    each = formats.money(price.amount, price.currency)
    later = formats.money(price.amount * quantity, price.currency)
    plan = Line(option.words(quantity, each), f"{later} {rhythm(price)}", plain=True)
    ends = formats.date(after.period_end)
    if invoice is None:
        total = Line(f"First invoice, {ends}", later)
        return Cost([plan], total, "Nothing is due now. Your trial goes on.")
    lines = [
        Line(line.description, formats.money(line.amount, invoice.currency))
        for line in invoice.lines
    ]
    total = Line("Due now", formats.money(invoice.total, invoice.currency))
    return Cost([plan, *lines], total, f"Then {later} {rhythm(price)} from {ends} on.")


# ----------------------------------------------------------------------------- cancel, don't cancel


def ask_to_cancel(visit: Visit, form: Form) -> Response:
    """Say until when the plan stays and ask why."""
    subscription = visit.subscription()
    if subscription.cancel_at_period_end:
        return plans.already_canceling(visit)
    name = visit.shop.get(Product, subscription.product).name
    end = visit.formats.date(subscription.period_end)
    return plans.ask_to_cancel(visit, subscription.id, name, end, CANCELLATION_REASONS)


def cancel(visit: Visit, form: Form) -> Response:
    """Cancel the plan at the end of what is paid."""
    subscription = visit.subscription()
    # The second of two clicks finds it done.
    if not subscription.cancel_at_period_end:
        reason, comment = plans.read_reason(form, CANCELLATION_REASONS)
        visit.shop.cancel(subscription.id, reason=reason, comment=comment)
    return visit.completed("plan-canceled")


def keep(visit: Visit, form: Form) -> Response:
    """Take a cancellation back that has not happened yet."""
    subscription = visit.subscription()
    if subscription.cancel_at_period_end:
        visit.shop.keep(subscription.id)
    return visit.completed("plan-kept")
