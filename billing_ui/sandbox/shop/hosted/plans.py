"""The portal's steps that change a plan: update with the money first, cancel, and not cancel."""

from dataclasses import dataclass

from starlette.responses import Response

from billing_ui.sandbox.hosted.forms import Form
from billing_ui.sandbox.hosted.wording import CANCELLATION_REASONS, quantity_words
from billing_ui.sandbox.shop.errors import PaymentFailed
from billing_ui.sandbox.shop.hosted.visits import NotOffered, Visit
from billing_ui.sandbox.shop.hosted.words import rhythm
from billing_ui.sandbox.shop.model import Invoice, Price, Product, Status, Subscription

MOST = 999_999
"""The highest quantity that can be typed."""


@dataclass(frozen=True)
class Option:
    """One price a plan can be changed to; its amounts are in words."""

    price: str
    name: str
    amount: str
    each: str
    current: bool
    adjustable: bool


@dataclass(frozen=True)
class Line:
    """One line of the money that is shown before Confirm."""

    name: str
    amount: str
    plain: bool = False


# ----------------------------------------------------------------------------------------- update


def can_update(visit: Visit, subscription: Subscription) -> bool:
    """Tell whether there is anything this subscription could be updated to."""
    changeable = subscription.status in (Status.ACTIVE, Status.TRIALING, Status.PAST_DUE)
    offered = visit.shop.dialect.portal_changes_plans
    if subscription.cancel_at_period_end or not changeable or not offered:
        return False
    return any(not option.current or option.adjustable for option in _options(visit, subscription))


def choose(visit: Visit, form: Form) -> Response:
    """Ask for the price and the quantity."""
    subscription = _updatable(visit)
    query = visit.request.query_params
    chosen = Form(
        {
            "price": query.get("price", subscription.price),
            "quantity": query.get("quantity", str(subscription.quantity)),
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
    except PaymentFailed as error:
        return _choices(visit, subscription, wish, problem=str(error), status=402)
    now = visit.shop.get(Product, subscription.product).name
    return visit.show(
        "portal/confirm.html",
        heading="Confirm your plan",
        problem="",
        lead=_lead(now, option),
        lines=lines,
        total=total,
        explanation=explanation,
        subscription=subscription.id,
        form=Form({"price": option.price, "quantity": str(quantity)}),
        back=visit.url(
            f"/plans/{subscription.id}/update", price=option.price, quantity=str(quantity)
        ),
    )


def _lead(now: str, option: Option) -> str:
    if option.current:
        return f"A new quantity of {option.name}."
    if option.name == now:
        return f"{now}, from now on {option.amount}."
    return f"From {now} to {option.name}."


def update(visit: Visit, form: Form) -> Response:
    """Change the plan as confirmed."""
    subscription = _updatable(visit)
    now = subscription.price, str(subscription.quantity)
    if (form.get("price"), form.get("quantity")) == now:
        # The second of two clicks: the first has done it.
        return visit.completed("plan-updated")
    option, quantity = _read_wish(visit, subscription, form)
    if option is None:
        return _choices(visit, subscription, form, status=422)
    try:
        visit.shop.change_plan(subscription.id, option.price, quantity)
    except PaymentFailed as error:
        return _choices(visit, subscription, form, problem=str(error), status=402)
    return visit.completed("plan-updated")


def _updatable(visit: Visit) -> Subscription:
    """Return the subscription of the URL, which must be one that can be updated."""
    subscription = visit.subscription()
    if not can_update(visit, subscription):
        raise NotOffered
    return subscription


def _options(visit: Visit, subscription: Subscription) -> list[Option]:
    """Return the prices that can be had in the subscription's currency."""
    options = []
    for product, price in visit.shop.on_sale(subscription.currency):
        money = visit.formats.money(price.amount, price.currency)
        options.append(
            Option(
                price=price.id,
                name=product.name,
                amount=f"{money} {rhythm(price)}",
                each=f"for each {product.unit_label}" if product.unit_label else "",
                current=price.id == subscription.price,
                adjustable=price.per_unit,
            )
        )
    return options


def _choices(
    visit: Visit, subscription: Subscription, form: Form, *, problem: str = "", status: int = 200
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
        subscription=subscription.id,
        options=options,
        form=form,
        adjustable=bool(adjustable),
        quantity_hint=f"Counts for {' and '.join(adjustable)}." if adjustable and fixed else "",
    )


def _read_wish(visit: Visit, subscription: Subscription, form: Form) -> tuple[Option | None, int]:
    """Return the option and quantity chosen; no option when something is wrong with them."""
    offered = {option.price: option for option in _options(visit, subscription)}
    option = offered.get(form.get("price", subscription.price))
    if option is None:
        form.problems["price"] = "Choose a plan."
        return None, 0
    quantity = 1
    if option.adjustable:
        typed = form.get("quantity", str(subscription.quantity)).strip()
        quantity = int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 10 else 0
        if not 1 <= quantity <= MOST:
            form.problems["quantity"] = f"Enter a whole number from 1 to {MOST}."
            return None, 0
    if option.current and quantity == subscription.quantity:
        form.problems["price"] = "This is your plan already."
        return None, 0
    return option, quantity


def _money(
    visit: Visit, before: Subscription, option: Option, quantity: int
) -> tuple[list[Line], Line, str]:
    """Return the lines, the total and one more sentence about what a change costs.

    The change is really made and then taken back, so what is shown is what Confirm will do.
    """
    shop, formats = visit.shop, visit.formats
    known = shop.latest_invoice(before.id)
    with shop.rehearsal():
        after = shop.change_plan(before.id, option.price, quantity)
        latest = shop.latest_invoice(before.id)
    invoice = latest if latest != known else None
    price = shop.get(Price, option.price)
    later = formats.money(price.amount * quantity, price.currency)
    plan = Line(_plan_line(visit, option, price, quantity), f"{later} {rhythm(price)}", plain=True)
    ends = formats.date(after.period_end)
    if invoice is None:
        return (
            [plan],
            Line(f"First invoice, {ends}", later),
            ("Nothing is due now. Your trial goes on."),
        )
    lines = [_invoice_line(visit, invoice, number) for number in range(len(invoice.lines))]
    total = Line("Due now", formats.money(invoice.total, invoice.currency))
    return [plan, *lines], total, f"Then {later} {rhythm(price)} from {ends} on."


def _invoice_line(visit: Visit, invoice: Invoice, number: int) -> Line:
    line = invoice.lines[number]
    return Line(line.description, visit.formats.money(line.amount, invoice.currency))


def _plan_line(visit: Visit, option: Option, price: Price, quantity: int) -> str:
    if quantity == 1:
        return option.name
    each = visit.formats.money(price.amount, price.currency)
    unit = visit.shop.get(Product, price.product).unit_label
    return f"{option.name}, {quantity_words(unit, quantity, each)}"


# ----------------------------------------------------------------------------- cancel, don't cancel


def ask_to_cancel(visit: Visit, form: Form) -> Response:
    """Say until when the plan stays and ask why."""
    subscription = visit.subscription()
    if subscription.cancel_at_period_end:
        return visit.stopped(409, "Your plan is already set to cancel", "Nothing was changed.")
    name = visit.shop.get(Product, subscription.product).name
    ends = visit.formats.date(subscription.period_end)
    return visit.show(
        "portal/cancel.html",
        heading="Cancel plan",
        problem="",
        lead=f"{name} stays on until {ends}. After that you will not be charged again.",
        subscription=subscription.id,
        reasons=list(CANCELLATION_REASONS.items()),
    )


def cancel(visit: Visit, form: Form) -> Response:
    """Cancel the plan at the end of what is paid."""
    subscription = visit.subscription()
    # The second of two clicks finds it done.
    if not subscription.cancel_at_period_end:
        reason = form.get("reason")
        visit.shop.cancel(
            subscription.id,
            reason=reason if reason in CANCELLATION_REASONS else None,
            comment=form.get("comment", "").strip()[:2000] or None,
        )
    return visit.completed("plan-canceled")


def keep(visit: Visit, form: Form) -> Response:
    """Take a cancellation back that has not happened yet."""
    subscription = visit.subscription()
    if subscription.cancel_at_period_end:
        visit.shop.keep(subscription.id)
    return visit.completed("plan-kept")
