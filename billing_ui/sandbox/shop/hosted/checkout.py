"""The hosted checkout: a card, and what was chosen is bought."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from billing_ui.sandbox.core.cards import CardProblem
from billing_ui.sandbox.hosted.formats import Formats, choose_formats
from billing_ui.sandbox.hosted.forms import (
    Form,
    FormRefused,
    check_email,
    form_key,
    form_token,
    keep_form_key,
    note_card_problem,
    page_secret,
    read_card,
    read_form,
    without_cvc,
)
from billing_ui.sandbox.hosted.pages import Endpoint, go, show
from billing_ui.sandbox.hosted.wording import quantity_words
from billing_ui.sandbox.shop.errors import ShopError
from billing_ui.sandbox.shop.hosted.words import rhythm
from billing_ui.sandbox.shop.model import Checkout, CheckoutStatus, Price, Product
from billing_ui.sandbox.shop.shop import Shop


def routes(shop: Shop) -> list[Route]:
    """Return the checkout's routes. A checkout's address is known to its buyer and the seller alone."""
    return [
        Route("/c/pay/{token}", _page(shop), methods=["GET"]),
        Route("/c/pay/{token}", _buy(shop), methods=["POST"]),
        Route("/c/done", _done(shop), methods=["GET"]),
    ]


def _page(shop: Shop) -> Endpoint:
    async def page(request: Request) -> Response:
        checkout = _find(shop, request)
        if checkout is None or checkout.status is not CheckoutStatus.OPEN:
            return _closed(shop, checkout)
        return _show(shop, request, checkout, Form())

    return page


def _buy(shop: Shop) -> Endpoint:
    async def buy(request: Request) -> Response:
        checkout = _find(shop, request)
        if checkout is None or checkout.status is CheckoutStatus.EXPIRED:
            return _closed(shop, checkout)
        try:
            form = await read_form(request, page_secret(request, form_key(request)))
        except FormRefused:
            problem = "This form is out of date. Nothing was paid."
            return _show(shop, request, checkout, Form(), problem=problem, status=403)
        if checkout.status is CheckoutStatus.COMPLETE:
            # The second of two clicks: the first has bought it.
            return go(_success_url(checkout))
        problem, card = "", read_card(form)
        email = shop.buyer_email(checkout) or check_email(form)
        if not form.problems:
            try:
                shop.complete_checkout(checkout.id, email=email, **card)
                return go(_success_url(checkout))
            except CardProblem as refusal:
                note_card_problem(form, refusal.code, str(refusal))
            except ShopError as error:
                problem = str(error)
        shown = without_cvc(form)
        return _show(shop, request, checkout, shown, problem=problem, status=422)

    return buy


def _done(shop: Shop) -> Endpoint:
    async def done(request: Request) -> Response:
        return show(
            "message.html",
            seller=shop.name,
            heading="Thank you",
            text="Your subscription has begun.",
            link=None,
        )

    return done


def _find(shop: Shop, request: Request) -> Checkout | None:
    """Return the checkout of an address; one past its time counts as expired."""
    checkout_id = shop.unsign("checkout", request.path_params["token"])
    checkout = shop.peek(Checkout, checkout_id) if checkout_id else None
    if checkout is None or checkout.status is not CheckoutStatus.OPEN:
        return checkout
    return checkout if shop.now < checkout.expires_at else None


def _success_url(checkout: Checkout) -> str:
    return (checkout.success_url or "/c/done").replace("{CHECKOUT_ID}", checkout.id)


def _show(
    shop: Shop,
    request: Request,
    checkout: Checkout,
    form: Form,
    *,
    problem: str = "",
    status: int = 200,
) -> Response:
    formats = choose_formats(None, (), request.headers.get("accept-language", ""))
    key, price = form_key(request), shop.get(Price, checkout.price)
    product, trial = shop.get(Product, price.product), _trial_days(checkout, price)
    due = 0 if trial else price.amount * checkout.quantity
    page = show(
        "checkout.html",
        status=status,
        leads_to=[checkout.success_url],
        seller=shop.name,
        return_url=checkout.return_url,
        heading=f"Subscribe to {product.name}",
        amount=formats.money(due, price.currency),
        rhythm=_rhythm(checkout, price, formats),
        lines=_lines(checkout, product, price, formats),
        who=shop.buyer_email(checkout) or "",
        verb="Subscribe",
        action=request.url.path,
        problem=problem,
        problems=bool(problem or form.problems),
        form=form,
        form_token=form_token(page_secret(request, key)),
    )
    keep_form_key(request, page, key)
    return page


def _trial_days(checkout: Checkout, price: Price) -> int:
    return price.trial_days if checkout.trial_days is None else checkout.trial_days


def _rhythm(checkout: Checkout, price: Price, formats: Formats) -> str:
    trial = _trial_days(checkout, price)
    amount = formats.money(price.amount * checkout.quantity, price.currency)
    then = f"{amount} {rhythm(price)}"
    return f"{trial} days free, then {then}." if trial else f"Renews at {then} until you cancel."


def _lines(
    checkout: Checkout, product: Product, price: Price, formats: Formats
) -> list[dict[str, str]]:
    each, amount = price.amount, price.amount * checkout.quantity
    detail = ""
    if checkout.quantity > 1:
        money = formats.money(each, price.currency)
        detail = quantity_words(product.unit_label, checkout.quantity, money)
    shown = formats.money(amount, price.currency)
    lines = [{"name": product.name, "detail": detail, "amount": shown}]
    if _trial_days(checkout, price):
        free = formats.money(-amount, price.currency)
        lines.append({"name": "Free trial", "detail": "", "amount": free})
    return lines


def _closed(shop: Shop, checkout: Checkout | None) -> Response:
    if checkout is None or checkout.status is not CheckoutStatus.COMPLETE:
        heading, text = "This checkout has expired", "Go back to where you came from and try again."
        return show(
            "message.html", status=404, seller=shop.name, heading=heading, text=text, link=None
        )
    return show(
        "message.html",
        status=410,
        seller=shop.name,
        leads_to=[checkout.success_url],
        heading="This is paid already",
        text="Your subscription has begun.",
        link=(_success_url(checkout), "Continue"),
    )
