"""The hosted customer portal: what a customer may see and do by themselves."""

from starlette.responses import Response
from starlette.routing import Route

from billing_ui.sandbox.hosted.forms import Form, read_card
from billing_ui.sandbox.hosted.pages import go
from billing_ui.sandbox.hosted.portal import NOTICES, card_form
from billing_ui.sandbox.hosted.visits import NotOffered
from billing_ui.sandbox.hosted.wording import INVOICE_STATUS
from billing_ui.sandbox.stripe.account import Account
from billing_ui.sandbox.stripe.errors import StripeError
from billing_ui.sandbox.stripe.hosted import information, plans
from billing_ui.sandbox.stripe.hosted.refusals import note_refusal
from billing_ui.sandbox.stripe.hosted.sessions import Handler, Visit, inside, opener
from billing_ui.sandbox.stripe.hosted.words import (
    card_expiry,
    card_words,
    invoice_name,
    is_canceling,
    plan_words,
)
from billing_ui.sandbox.stripe.shapes import Json


def routes(account: Account) -> list[Route]:
    """Return the portal's routes."""

    def page(path: str, handler: Handler, *methods: str) -> Route:
        return Route(f"/p/{{session}}{path}", inside(account, handler), methods=methods or ["GET"])

    return [
        Route("/p/session/{secret}", opener(account), methods=["GET"]),
        page("", home),
        page("/start", start),
        page("/done", done),
        page("/plans/{subscription}/update", plans.choose),
        page("/plans/{subscription}/confirm", plans.confirm),
        page("/plans/{subscription}/confirm", plans.update, "POST"),
        page("/plans/{subscription}/cancel", plans.ask_to_cancel),
        page("/plans/{subscription}/cancel", plans.cancel, "POST"),
        page("/plans/{subscription}/keep", plans.keep, "POST"),
        page("/payment-methods/new", type_card),
        page("/payment-methods/new", add_card, "POST"),
        page("/payment-methods/{payment_method}/default", make_default, "POST"),
        page("/payment-methods/{payment_method}/remove", remove_card, "POST"),
        page("/billing-information", information.edit),
        page("/billing-information", information.save, "POST"),
        page("/invoices/{invoice}/pay", pay_invoice, "POST"),
    ]


def start(visit: Visit, form: Form) -> Response:
    """Go to the page the session was made for: the start page, or its flow's."""
    flow = visit.flow
    if flow is None:
        return go(visit.url())
    match flow["type"]:
        case "payment_method_update":
            return go(visit.url("/payment-methods/new"))
        case "customer_update":
            return go(visit.url("/billing-information"))
        case "subscription_cancel":
            wanted = flow["subscription_cancel"]["subscription"]
            return go(visit.url(f"/plans/{wanted}/cancel"))
        case "subscription_update":
            wanted = flow["subscription_update"]["subscription"]
            return go(visit.url(f"/plans/{wanted}/update"))
        case "subscription_update_confirm":
            change = flow["subscription_update_confirm"]
            item = change["items"][0]
            wish = {name: str(item[name]) for name in ("price", "quantity") if item[name]}
            return go(visit.url(f"/plans/{change['subscription']}/confirm", **wish))
    raise NotOffered


def done(visit: Visit, form: Form) -> Response:
    """Say that the flow is done, in the words of who made the session."""
    after = (visit.flow or {}).get("after_completion") or {}
    if after.get("type") != "hosted_confirmation":
        raise NotOffered
    message = (after["hosted_confirmation"] or {}).get("custom_message")
    return visit.show(
        "message.html",
        heading="All done",
        text=message or "Your changes are saved.",
        link=(visit.return_url, "Continue") if visit.return_url else None,
    )


def home(visit: Visit, form: Form) -> Response:
    """Show everything the configuration enables."""
    return _home(visit)


def _home(visit: Visit, problem: str = "", status: int = 200) -> Response:
    customer, formats = visit.reader.customer(), visit.formats
    profile = visit.configuration["business_profile"]
    legal = [
        ("Terms of service", profile["terms_of_service_url"]),
        ("Privacy policy", profile["privacy_policy_url"]),
    ]
    cards = visit.reader.payment_methods()
    history = visit.reader.invoices() if visit.enabled("invoice_history") else None
    subscriptions = visit.reader.subscriptions()
    overdue = _overdue(visit, subscriptions)
    return visit.show(
        "portal/home.html",
        status=status,
        headline=profile["headline"] or "Manage your subscription",
        said=NOTICES.get(visit.request.query_params.get("notice", "")),
        problem=problem,
        who=" · ".join(filter(None, (customer["name"], customer["email"]))),
        overdue=[
            {"id": one["id"], "due": formats.money(one["amount_remaining"], one["currency"])}
            for one in overdue
        ],
        plans=[_plan(visit, subscription, cards) for subscription in subscriptions],
        cards=_cards(visit, cards, subscriptions),
        information=information.lines(visit),
        invoices=None if history is None else [_invoice(visit, one) for one in history],
        legal=[(name, url) for name, url in legal if url],
    )


def _plan(visit: Visit, subscription: Json, cards: list[Json]) -> Json:
    default = _default_card(visit, subscription)
    charged = next((card_words(card) for card in cards if card["id"] == default), "")
    words = plan_words(subscription, visit.reader.products_of(subscription), charged, visit.formats)
    canceling, cancelable = is_canceling(subscription), visit.enabled("subscription_cancel")
    return {
        "words": words,
        "can_update": plans.can_update(visit, subscription),
        "can_cancel": cancelable and not canceling,
        "can_keep": cancelable and canceling,
    }


def _invoice(visit: Visit, invoice: Json) -> Json:
    return {
        "id": invoice["id"],
        "name": invoice_name(invoice),
        "date": visit.formats.date(invoice["created"]),
        "amount": visit.formats.money(invoice["total"], invoice["currency"]),
        "status": INVOICE_STATUS[invoice["status"]],
        "payable": invoice["status"] == "open",
        "page": invoice["hosted_invoice_url"],
        "pdf": invoice["invoice_pdf"],
    }


def _overdue(visit: Visit, subscriptions: list[Json]) -> list[Json]:
    """Return the open invoices of subscriptions whose payment failed."""
    latest = [
        subscription["latest_invoice"]
        for subscription in subscriptions
        if subscription["status"] in {"past_due", "unpaid"}
    ]
    found = [visit.call("get", f"/v1/invoices/{invoice_id}") for invoice_id in latest if invoice_id]
    return [invoice for invoice in found if invoice["status"] == "open"]


# ------------------------------------------------------------------------------ payment methods


def _cards(visit: Visit, cards: list[Json], subscriptions: list[Json]) -> list[Json] | None:
    if not visit.enabled("payment_method_update"):
        return None
    default = _default_card(visit)
    used = {default, *(one["default_payment_method"] for one in subscriptions)}
    shown = sorted(cards, key=lambda card: card["id"] != default)
    return [
        {
            "id": card["id"],
            "words": card_words(card),
            "expiry": card_expiry(card),
            "default": card["id"] == default,
            # What a running plan is charged to can be replaced, not just taken away.
            "removable": not subscriptions or card["id"] not in used,
        }
        for card in shown
    ]


def _default_card(visit: Visit, subscription: Json | None = None) -> str | None:
    """Return the id of the card that the customer, or this plan of theirs, is charged to."""
    own: str | None = subscription["default_payment_method"] if subscription else None
    usual: str | None = visit.reader.customer()["invoice_settings"]["default_payment_method"]
    return own or usual


def type_card(visit: Visit, form: Form) -> Response:
    """Ask for a card."""
    visit.feature("payment_method_update")
    return card_form(visit, form)


def add_card(visit: Visit, form: Form) -> Response:
    """Add a card and make it the default."""
    visit.feature("payment_method_update")
    problem, card = "", read_card(form)
    if not form.problems:
        try:
            _add_card(visit, card)
            return visit.completed("payment_method_update", "card-added")
        except StripeError as error:
            problem = note_refusal(form, error)
    return card_form(visit, form, problem, status=422)


def _add_card(visit: Visit, card: Json) -> None:
    """Store a card of the customer and charge it from now on; all of it or nothing."""
    with visit.account.store.transaction():
        added = visit.call("post", "/v1/payment_methods", {"type": "card", "card": card})
        path = f"/v1/payment_methods/{added['id']}/attach"
        visit.call("post", path, {"customer": visit.reader.customer_id})
        _charge_from_now_on(visit, added["id"])


def make_default(visit: Visit, form: Form) -> Response:
    """Make one of the customer's cards the default."""
    visit.feature("payment_method_update")
    _charge_from_now_on(visit, _own_card(visit)["id"])
    return visit.completed("payment_method_update", "card-default")


def remove_card(visit: Visit, form: Form) -> Response:
    """Remove one of the customer's cards that no running plan is charged to."""
    visit.feature("payment_method_update")
    wanted = _own_card(visit)["id"]
    shown = _cards(visit, visit.reader.payment_methods(), visit.reader.subscriptions()) or []
    if not any(card["id"] == wanted and card["removable"] for card in shown):
        return _home(visit, "A plan is paid with this card. Add another one first.", 409)
    visit.call("post", f"/v1/payment_methods/{wanted}/detach")
    return go(visit.url(notice="card-removed"))


def _own_card(visit: Visit) -> Json:
    wanted = visit.request.path_params["payment_method"]
    for card in visit.reader.payment_methods():
        if card["id"] == wanted:
            return card
    raise NotOffered


def _charge_from_now_on(visit: Visit, payment_method: str) -> None:
    """Charge the customer's plans to this card, those too that had a card of their own."""
    visit.call(
        "post",
        f"/v1/customers/{visit.reader.customer_id}",
        {"invoice_settings": {"default_payment_method": payment_method}},
    )
    for subscription in visit.reader.subscriptions():
        if subscription["default_payment_method"] not in {None, payment_method}:
            visit.call(
                "post",
                f"/v1/subscriptions/{subscription['id']}",
                {"default_payment_method": payment_method},
            )


def pay_invoice(visit: Visit, form: Form) -> Response:
    """Try the payment of an overdue invoice again, with the default card."""
    wanted = visit.request.path_params["invoice"]
    if wanted not in {one["id"] for one in _overdue(visit, visit.reader.subscriptions())}:
        raise NotOffered
    if not visit.reader.payment_methods():
        return go(visit.url("/payment-methods/new"))
    try:
        visit.call("post", f"/v1/invoices/{wanted}/pay")
    except StripeError as error:
        return _home(visit, error.message, 402)
    return go(visit.url(notice="invoice-paid"))
