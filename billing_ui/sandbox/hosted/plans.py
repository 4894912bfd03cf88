"""The portal's steps that change a plan, as far as they are the same for all providers."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from starlette.responses import Response

from billing_ui.sandbox.hosted.forms import Form
from billing_ui.sandbox.hosted.visits import Visit
from billing_ui.sandbox.hosted.wording import CANCELLATION_REASONS, quantity_words


@dataclass(frozen=True)
class Option:
    """One price a plan can be changed to. Its amount is in words; a quantity has its bounds."""

    price: str
    name: str
    amount: str
    unit: str | None
    current: bool
    adjustable: bool
    minimum: int
    maximum: int

    @property
    def each(self) -> str:
        """What the amount is for, such as "for each seat"; "" when that has no name."""
        return f"for each {self.unit}" if self.unit else ""

    def words(self, quantity: int, each: str) -> str:
        """Return what is bought, such as "Team, 24 seats at $20.00"."""
        if quantity == 1:
            return self.name
        return f"{self.name}, {quantity_words(self.unit, quantity, each)}"


@dataclass(frozen=True)
class Plan:
    """A subscription to one price, and what it can be changed to.

    Attributes:
        subscription: The subscription's id.
        name: What is subscribed to.
        price: The price's id.
        quantity: How many units.
        options: The prices that can be had.
    """

    subscription: str
    name: str
    price: str
    quantity: int
    options: Sequence[Option]

    @property
    def changeable(self) -> bool:
        """Whether there is anything it could be updated to."""
        return any(not option.current or option.adjustable for option in self.options)

    def is_already(self, form: Form) -> bool:
        """Tell whether it is what a form asks for: the first of two clicks has done it."""
        return (form.get("price"), form.get("quantity")) == (self.price, str(self.quantity))


@dataclass(frozen=True)
class Line:
    """One line of the money that is shown before Confirm."""

    name: str
    amount: str
    plain: bool = False


class Cost(NamedTuple):
    """What a change costs: the lines, their total, and one more sentence about it."""

    lines: Sequence[Line]
    total: Line
    explanation: str


def choose(visit: Visit, plan: Plan) -> Response:
    """Ask for the price and the quantity; the URL may say what is chosen at first."""
    now = {"price": plan.price, "quantity": str(plan.quantity)}
    query = visit.request.query_params
    return choices(visit, plan, Form({name: query.get(name, now[name]) for name in now}))


def choices(
    visit: Visit, plan: Plan, form: Form, *, problem: str = "", status: int = 200
) -> Response:
    """Ask for the price and the quantity, with what was chosen before."""
    adjustable = sorted({option.name for option in plan.options if option.adjustable})
    # Without a script the field can't come and go with the choice, so it says what it is for.
    fixed = any(not option.adjustable for option in plan.options)
    return visit.show(
        "portal/update.html",
        status=status,
        heading="Update plan",
        problem=problem,
        subscription=plan.subscription,
        options=plan.options,
        form=form,
        adjustable=bool(adjustable),
        quantity_hint=f"Counts for {' and '.join(adjustable)}." if adjustable and fixed else "",
    )


def read_wish(plan: Plan, form: Form) -> tuple[Option | None, int]:
    """Return the option and quantity chosen; no option when something is wrong with them."""
    offered = {option.price: option for option in plan.options}
    option = offered.get(form.get("price", plan.price))
    if option is None:
        form.problems["price"] = "Choose a plan."
        return None, 0
    if not option.adjustable:
        # Seats of the old plan are not seats of one that has none.
        quantity = plan.quantity if option.current else 1
    else:
        typed = form.get("quantity", str(plan.quantity)).strip()
        quantity = int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 10 else 0
        if not option.minimum <= quantity <= option.maximum:
            form.problems["quantity"] = (
                f"Enter a whole number from {option.minimum} to {option.maximum}."
            )
            return None, 0
    if option.current and quantity == plan.quantity:
        form.problems["price"] = "This is your plan already."
        return None, 0
    return option, quantity


def ask_to_confirm(
    visit: Visit, plan: Plan, option: Option, quantity: int, cost: Cost, *, back: str = ""
) -> Response:
    """Show what a change costs, now and later; `back` leads to the choice when "" is given."""
    wish = {"price": option.price, "quantity": str(quantity)}
    return visit.show(
        "portal/confirm.html",
        heading="Confirm your plan",
        problem="",
        lead=_lead(plan, option),
        lines=cost.lines,
        total=cost.total,
        explanation=cost.explanation,
        subscription=plan.subscription,
        form=Form(wish),
        back=back or visit.url(f"/plans/{plan.subscription}/update", **wish),
    )


def _lead(plan: Plan, option: Option) -> str:
    if option.current:
        return f"A new quantity of {option.name}."
    if option.name == plan.name:
        return f"{plan.name}, from now on {option.amount}."
    return f"From {plan.name} to {option.name}."


def ask_to_cancel(
    visit: Visit, subscription: str, name: str, end: str, reasons: Iterable[str]
) -> Response:
    """Say until when the plan stays and ask why.

    Args:
        visit: Whose plan it is.
        subscription: The subscription's id.
        name: What is subscribed to.
        end: The date until which it stays; "" when it ends at once.
        reasons: Keys of `CANCELLATION_REASONS`; nobody is asked when there are none.
    """
    stays = f"{name} stays on until {end}. After that you will not be charged again."
    return visit.show(
        "portal/cancel.html",
        heading="Cancel plan",
        problem="",
        lead=stays if end else f"{name} ends at once.",
        subscription=subscription,
        reasons=[(reason, CANCELLATION_REASONS[reason]) for reason in reasons],
    )


def already_canceling(visit: Visit) -> Response:
    """Say that the plan is canceled already."""
    return visit.stopped(409, "Your plan is already set to cancel", "Nothing was changed.")


def read_reason(form: Form, reasons: Collection[str]) -> tuple[str | None, str | None]:
    """Return which of the reasons was chosen, and what was said about it; None for nothing.

    Nobody was asked when there are no reasons.
    """
    if not reasons:
        return None, None
    reason, comment = form.get("reason"), form.get("comment", "").strip()[:2000]
    return reason if reason in reasons else None, comment or None
