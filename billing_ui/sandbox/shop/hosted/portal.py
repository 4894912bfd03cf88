"""The hosted customer portal: what a customer may see and do by themselves."""

from dataclasses import asdict
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from billing_ui.sandbox.core.cards import CardProblem
from billing_ui.sandbox.hosted.forms import Form, note_card_problem, read_card
from billing_ui.sandbox.hosted.pages import go
from billing_ui.sandbox.hosted.portal import (
    NOTICES,
    card_form,
    information_form,
    information_lines,
    known_information,
    read_information,
)
from billing_ui.sandbox.hosted.visits import NotOffered
from billing_ui.sandbox.hosted.wording import INVOICE_STATUS, expiry_words
from billing_ui.sandbox.shop.errors import PaymentFailed, Taken
from billing_ui.sandbox.shop.hosted import plans
from billing_ui.sandbox.shop.hosted.visits import Handler, Visit, inside, opener
from billing_ui.sandbox.shop.hosted.words import card_words, plan_words
from billing_ui.sandbox.shop.model import (
    Address,
    Card,
    Flow,
    Invoice,
    InvoiceStatus,
    Price,
    Product,
    Status,
    Subscription,
)
from billing_ui.sandbox.shop.shop import Shop

_INVOICES = 24
"""How many invoices are listed; a hosted page is for people, not for export."""

_INFORMATION = ("name", "email", "phone", "address")


def routes(shop: Shop) -> list[Route]:
    """Return the portal's routes."""

    def page(path: str, handler: Handler, *methods: str) -> Route:
        return Route(f"/p/{{visit}}{path}", inside(shop, handler), methods=methods or ["GET"])

    return [
        Route("/p/session/{token}", opener(shop), methods=["GET"]),
        page("", home),
        page("/start", start),
        page("/plans/{subscription}/update", plans.choose),
        page("/plans/{subscription}/confirm", plans.confirm),
        page("/plans/{subscription}/confirm", plans.update, "POST"),
        page("/plans/{subscription}/cancel", plans.ask_to_cancel),
        page("/plans/{subscription}/cancel", plans.cancel, "POST"),
        page("/plans/{subscription}/keep", plans.keep, "POST"),
        page("/payment-methods/new", type_card),
        page("/payment-methods/new", add_card, "POST"),
        page("/payment-methods/{card}/default", make_default, "POST"),
        page("/payment-methods/{card}/remove", remove_card, "POST"),
        page("/billing-information", edit_information),
        page("/billing-information", save_information, "POST"),
        page("/invoices/{invoice}/pay", pay_invoice, "POST"),
    ]


def start(visit: Visit, form: Form) -> Response:
    """Go to the page the link was made for: the start page, or its flow's."""
    flow = visit.link.flow
    if flow is Flow.PAYMENT_METHOD:
        return go(visit.url("/payment-methods/new"))
    if flow is Flow.INFORMATION:
        return go(visit.url("/billing-information"))
    if flow is None:
        return go(visit.url())
    wanted = visit.link.subscription
    if wanted is None:
        running = visit.subscriptions()
        if not running:
            return go(visit.url())
        wanted = running[0].id
    return go(visit.url(f"/plans/{wanted}/{flow}"))


def home(visit: Visit, form: Form) -> Response:
    """Show everything."""
    return _home(visit)


def _home(visit: Visit, problem: str = "", status: int = 200) -> Response:
    customer, formats = visit.customer, visit.formats
    subscriptions = visit.subscriptions()
    return visit.show(
        "portal/home.html",
        status=status,
        headline="Manage your subscription",
        said=NOTICES.get(visit.request.query_params.get("notice", "")),
        problem=problem,
        who=" · ".join(filter(None, (customer.name, customer.email))),
        overdue=[
            {"id": invoice.id, "due": formats.money(invoice.total, invoice.currency)}
            for invoice in _overdue(visit, subscriptions)
        ],
        plans=[_plan(visit, subscription) for subscription in subscriptions],
        cards=_cards(visit, subscriptions),
        information=information_lines(asdict(customer), _INFORMATION, formats),
        invoices=[
            _invoice(visit, invoice)
            for invoice in visit.shop.find(Invoice, customer=customer.id, limit=_INVOICES)
        ],
        legal=[],
    )


def _plan(visit: Visit, subscription: Subscription) -> dict[str, Any]:
    shop = visit.shop
    price, product = shop.get(Price, subscription.price), shop.get(Product, subscription.product)
    card = shop.card_charged(visit.customer.id, subscription)
    canceling = subscription.cancel_at_period_end
    return {
        "words": plan_words(subscription, product, price, card, visit.formats),
        "can_update": plans.can_update(visit, subscription),
        "can_cancel": not canceling,
        "can_keep": canceling,
    }


def _invoice(visit: Visit, invoice: Invoice) -> dict[str, Any]:
    return {
        "id": invoice.id,
        "name": invoice.number,
        "date": visit.formats.date(invoice.created),
        "amount": visit.formats.money(invoice.total, invoice.currency),
        "status": INVOICE_STATUS[invoice.status],
        "payable": invoice.status is InvoiceStatus.OPEN,
        "page": visit.shop.invoice_url(invoice),
        "pdf": visit.shop.pdf_url(invoice),
    }


def _overdue(visit: Visit, subscriptions: list[Subscription]) -> list[Invoice]:
    """Return the open invoices of subscriptions whose payment failed."""
    return [
        invoice
        for subscription in subscriptions
        if subscription.status in (Status.PAST_DUE, Status.UNPAID)
        for invoice in visit.shop.open_invoices(subscription.id)
    ]


# ------------------------------------------------------------------------------ payment methods


def _cards(visit: Visit, subscriptions: list[Subscription]) -> list[dict[str, Any]]:
    used = {subscription.card for subscription in subscriptions}
    return [
        {
            "id": card.id,
            "words": card_words(card),
            "expiry": expiry_words(card.exp_month, card.exp_year),
            "default": card.default,
            # What a running plan is charged to can be replaced, not just taken away.
            "removable": not subscriptions or not (card.default or card.id in used),
        }
        for card in visit.shop.cards(visit.customer.id)
    ]


def type_card(visit: Visit, form: Form) -> Response:
    """Ask for a card."""
    return card_form(visit, form)


def add_card(visit: Visit, form: Form) -> Response:
    """Add a card and make it the default."""
    card = read_card(form)
    if not form.problems:
        try:
            visit.shop.add_card(visit.customer.id, **card)
        except CardProblem as problem:
            note_card_problem(form, problem.code, str(problem))
        else:
            return visit.completed("card-added")
    return card_form(visit, form, status=422)


def make_default(visit: Visit, form: Form) -> Response:
    """Make one of the customer's cards the default."""
    visit.shop.make_default(_own_card(visit).id)
    return visit.completed("card-default")


def remove_card(visit: Visit, form: Form) -> Response:
    """Remove one of the customer's cards that no running plan is charged to."""
    wanted = _own_card(visit).id
    shown = _cards(visit, visit.subscriptions())
    if not any(card["id"] == wanted and card["removable"] for card in shown):
        return _home(visit, "A plan is paid with this card. Add another one first.", 409)
    visit.shop.remove_card(wanted)
    return visit.completed("card-removed")


def _own_card(visit: Visit) -> Card:
    wanted = visit.request.path_params["card"]
    for card in visit.shop.cards(visit.customer.id):
        if card.id == wanted:
            return card
    raise NotOffered


def pay_invoice(visit: Visit, form: Form) -> Response:
    """Try the payment of an overdue invoice again, with the default card."""
    wanted = visit.request.path_params["invoice"]
    if wanted not in {invoice.id for invoice in _overdue(visit, visit.subscriptions())}:
        raise NotOffered
    if not visit.shop.cards(visit.customer.id):
        return go(visit.url("/payment-methods/new"))
    try:
        visit.shop.pay(wanted)
    except PaymentFailed as error:
        return _home(visit, str(error), 402)
    return visit.completed("invoice-paid")


# -------------------------------------------------------------------------- billing information


def edit_information(visit: Visit, form: Form) -> Response:
    """Show the form with what is known."""
    return information_form(visit, known_information(asdict(visit.customer)), _INFORMATION)


def save_information(visit: Visit, form: Form) -> Response:
    """Save what was typed; everything else that was sent is ignored."""
    typed = read_information(form, _INFORMATION, visit.formats)
    if not form.problems:
        address = Address(**typed["address"]) if typed["address"] else None
        try:
            visit.shop.update_customer(visit.customer.id, **{**typed, "address": address})
        except Taken:
            form.problems["email"] = "Another customer has this e-mail address."
        else:
            return visit.completed("information-saved")
    return information_form(visit, form, _INFORMATION, status=422)
