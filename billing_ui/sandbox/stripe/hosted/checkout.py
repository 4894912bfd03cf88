"""Stripe's checkout: its words, and how a session is confirmed with a card."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from billing_ui.sandbox.hosted import checkout as hosted
from billing_ui.sandbox.hosted.checkout import Checkout, Line
from billing_ui.sandbox.hosted.formats import Formats, formats_for, per_interval
from billing_ui.sandbox.hosted.forms import Form
from billing_ui.sandbox.hosted.pages import say
from billing_ui.sandbox.hosted.wording import quantity_words
from billing_ui.sandbox.stripe.account import Account
from billing_ui.sandbox.stripe.errors import StripeError
from billing_ui.sandbox.stripe.hosted.refusals import note_refusal
from billing_ui.sandbox.stripe.shapes import Json


class CheckoutPages(hosted.CheckoutPages):
    """The pages of an account's checkout sessions."""

    def __init__(self, account: Account) -> None:
        super().__init__(account.name)
        self._account = account

    def find(self, request: Request) -> Checkout | None:
        """Return the session of a link, None when there is none; past its time it is expired."""
        account = self._account
        stored = account.store.get(request.path_params["checkout"])
        if stored is None or stored["object"] != "checkout.session":
            return None
        path = f"/v1/checkout/sessions/{stored['id']}"
        session = account.call("get", path, {"expand": ["line_items.data.price.product"]})
        if session["status"] == "open" and account.now >= session["expires_at"]:
            session = {**session, "status": "expired"}
        customer = (account.store.get(session["customer"]) if session["customer"] else None) or {}
        preferred = customer.get("preferred_locales") or []
        formats = formats_for(request, session["locale"], preferred)
        email = customer.get("email") or session["customer_email"] or ""
        # How the subscription will begin is not part of the answer, but of what a buyer must know.
        return _words(session, stored["_data"], email, self.seller, formats)

    def buy(self, checkout: Checkout, card: dict[str, Any], email: str, form: Form) -> str:
        """Buy what a session sells."""
        method = {"type": "card", "card": card, "billing_details": {"email": email}}
        path = f"/v1/payment_pages/{checkout.id}/confirm"
        try:
            added = self._account.call("post", "/v1/payment_methods", method)
            self._account.call("post", path, {"payment_method": added["id"]})
        except StripeError as error:
            return note_refusal(form, error)
        return ""

    def closed(self, checkout: Checkout | None) -> Response:
        """Say that a session cannot be paid (any more)."""
        if checkout is None:
            text = "Check that the link is complete."
            return say(self.seller, 404, "There is no such checkout", text)
        if checkout.status == "complete":
            link = (checkout.success_url, "Continue")
            text = "You have paid already."
            return say(self.seller, 410, "This checkout is complete", text, link)
        back = (checkout.return_url, "Back") if checkout.return_url else None
        return say(self.seller, 410, "This checkout has expired", "Nothing was paid.", back)


def _words(session: Json, start: Json, email: str, seller: str, formats: Formats) -> Checkout:
    """Return a session in words; `start` is how its subscription will begin."""
    items, currency = session["line_items"]["data"], session["currency"]
    recurring = [one for one in items if one["price"]["recurring"]]
    buys = session["mode"] == "subscription"
    plan = " + ".join(one["description"] for one in recurring)
    lines = [_line(one, formats) for one in items]
    free = sum(one["amount_total"] for one in items) - session["amount_total"]
    if free:
        lines.append(Line("Free trial", "", formats.money(-free, currency)))
    return Checkout(
        id=session["id"],
        status=session["status"],
        heading=f"Subscribe to {plan}" if buys else f"Pay {seller}",
        verb="Subscribe" if buys else "Pay",
        amount=formats.money(session["amount_total"], currency),
        rhythm=_rhythm(recurring, currency, start, formats),
        lines=lines,
        email=email,
        return_url=session["cancel_url"],
        success_url=session["success_url"].replace("{CHECKOUT_SESSION_ID}", session["id"]),
    )


def _line(item: Json, formats: Formats) -> Line:
    price, currency, quantity = item["price"], item["currency"], item["quantity"]
    detail = ""
    if quantity > 1:
        each = formats.money(item["amount_total"] // quantity, currency)
        detail = quantity_words(price["product"].get("unit_label"), quantity, each)
    return Line(item["description"], detail, formats.money(item["amount_total"], currency))


def _rhythm(recurring: list[Json], currency: str, start: Json, formats: Formats) -> str:
    """Return what is paid later, and when."""
    if not recurring:
        return ""
    amount = formats.money(sum(one["amount_total"] for one in recurring), currency)
    then = f"{amount} {per_interval(recurring[0]['price']['recurring'])}"
    days, until = (start.get(name) for name in ("trial_period_days", "trial_end"))
    if days:
        return f"{days} days free, then {then}."
    if until:
        return f"Free until {formats.date(until)}, then {then}."
    return f"Renews at {then} until you cancel."
