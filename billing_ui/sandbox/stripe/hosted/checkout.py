"""The hosted checkout: a card, and what was chosen is bought."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from billing_ui.sandbox.hosted.formats import Formats, choose_formats, per_interval
from billing_ui.sandbox.hosted.forms import (
    Form,
    FormRefused,
    check_email,
    form_key,
    form_token,
    keep_form_key,
    page_secret,
    read_card,
    read_form,
    without_cvc,
)
from billing_ui.sandbox.hosted.pages import Endpoint, go, show
from billing_ui.sandbox.hosted.wording import quantity_words
from billing_ui.sandbox.stripe.account import Account
from billing_ui.sandbox.stripe.errors import StripeError
from billing_ui.sandbox.stripe.hosted.refusals import note_refusal
from billing_ui.sandbox.stripe.shapes import Json


def routes(account: Account) -> list[Route]:
    """Return the checkout's routes. A session's id is known to its buyer and the shop alone."""
    return [
        Route("/c/pay/{session}", _page(account), methods=["GET"]),
        Route("/c/pay/{session}", _buy(account), methods=["POST"]),
    ]


def _page(account: Account) -> Endpoint:
    async def page(request: Request) -> Response:
        session = _find(account, request)
        if session is None or session["status"] != "open":
            return _closed(account, session)
        return _show(account, request, session, Form())

    return page


def _buy(account: Account) -> Endpoint:
    async def buy(request: Request) -> Response:
        session = _find(account, request)
        if session is None or session["status"] == "expired":
            return _closed(account, session)
        try:
            form = await read_form(request, page_secret(request, form_key(request)))
        except FormRefused:
            problem = "This form is out of date. Nothing was paid."
            return _show(account, request, session, Form(), problem=problem, status=403)
        if session["status"] == "complete":
            # The second of two clicks: the first has bought it.
            return go(_success_url(session))
        problem, card = "", read_card(form)
        email = _known_email(account, session) or check_email(form)
        if not form.problems:
            try:
                _pay(account, session, card, email)
                return go(_success_url(session))
            except StripeError as error:
                problem = note_refusal(form, error)
        return _show(account, request, session, without_cvc(form), problem=problem, status=422)

    return buy


def _find(account: Account, request: Request) -> Json | None:
    """Return the session of a link with what it sells; one past its time counts as expired."""
    stored = account.store.get(request.path_params["session"])
    if stored is None or stored["object"] != "checkout.session":
        return None
    path = f"/v1/checkout/sessions/{stored['id']}"
    session = account.call("get", path, {"expand": ["line_items.data.price.product"]})
    if session["status"] == "open" and account.now >= session["expires_at"]:
        return {**session, "status": "expired"}
    # How the subscription will begin is not part of the answer, but of what a buyer must know.
    return {**session, "_data": stored["_data"]}


def _pay(account: Account, session: Json, card: Json, email: str) -> None:
    """Buy what the session sells with a card."""
    method = account.call(
        "post",
        "/v1/payment_methods",
        {"type": "card", "card": card, "billing_details": {"email": email}},
    )
    account.call(
        "post",
        f"/v1/payment_pages/{session['id']}/confirm",
        {"payment_method": method["id"], "expected_amount": session["amount_total"]},
    )


def _known_email(account: Account, session: Json) -> str:
    """Return the buyer's e-mail address; "" when it has to be asked for."""
    customer = account.store.get(session["customer"]) if session["customer"] else None
    return str((customer or {}).get("email") or session["customer_email"] or "")


def _success_url(session: Json) -> str:
    return str(session["success_url"]).replace("{CHECKOUT_SESSION_ID}", session["id"])


def _show(
    account: Account,
    request: Request,
    session: Json,
    form: Form,
    *,
    problem: str = "",
    status: int = 200,
) -> Response:
    formats, key = _formats(account, request, session), form_key(request)
    recurring = [one for one in session["line_items"]["data"] if one["price"]["recurring"]]
    buys = session["mode"] == "subscription"
    plan = " + ".join(one["description"] for one in recurring)
    page = show(
        "checkout.html",
        status=status,
        leads_to=[session["success_url"]],
        seller=account.name,
        return_url=session["cancel_url"],
        heading=f"Subscribe to {plan}" if buys else f"Pay {account.name}",
        amount=formats.money(session["amount_total"], session["currency"]),
        rhythm=_rhythm(session, recurring, formats),
        lines=_lines(session, formats),
        who=_known_email(account, session),
        verb="Subscribe" if buys else "Pay",
        action=request.url.path,
        problem=problem,
        problems=bool(problem or form.problems),
        form=form,
        form_token=form_token(page_secret(request, key)),
    )
    keep_form_key(request, page, key)
    return page


def _lines(session: Json, formats: Formats) -> list[Json]:
    items = session["line_items"]["data"]
    lines = [_line(one, formats) for one in items]
    free = sum(one["amount_total"] for one in items) - session["amount_total"]
    if free:
        amount = formats.money(-free, session["currency"])
        lines.append({"name": "Free trial", "detail": "", "amount": amount})
    return lines


def _line(item: Json, formats: Formats) -> Json:
    price, currency, quantity = item["price"], item["currency"], item["quantity"]
    each = formats.money(item["amount_total"] // quantity, currency) if quantity else ""
    return {
        "name": item["description"],
        "detail": quantity_words(price["product"].get("unit_label"), quantity, each)
        if quantity > 1
        else "",
        "amount": formats.money(item["amount_total"], currency),
    }


def _rhythm(session: Json, recurring: list[Json], formats: Formats) -> str:
    """Return what is paid later, and when."""
    if not recurring:
        return ""
    amount = formats.money(sum(one["amount_total"] for one in recurring), session["currency"])
    then = f"{amount} {per_interval(recurring[0]['price']['recurring'])}"
    days, until = (session["_data"].get(name) for name in ("trial_period_days", "trial_end"))
    if days:
        return f"{days} days free, then {then}."
    if until:
        return f"Free until {formats.date(until)}, then {then}."
    return f"Renews at {then} until you cancel."


def _formats(account: Account, request: Request, session: Json) -> Formats:
    customer = account.store.get(session["customer"]) if session["customer"] else None
    preferred = (customer or {}).get("preferred_locales") or []
    accepted = request.headers.get("accept-language", "")
    return choose_formats(session["locale"], preferred, accepted)


def _closed(account: Account, session: Json | None) -> Response:
    """Say that a checkout cannot be paid (any more)."""
    if session is None:
        status, heading, text = 404, "There is no such checkout", "Check that the link is complete."
        link = None
    elif session["status"] == "complete":
        status, heading, text = 410, "This checkout is complete", "You have paid already."
        link = (_success_url(session), "Continue")
    else:
        status, heading, text = 410, "This checkout has expired", "Nothing was paid."
        link = (session["cancel_url"], "Back") if session["cancel_url"] else None
    return show(
        "message.html", status=status, seller=account.name, heading=heading, text=text, link=link
    )
