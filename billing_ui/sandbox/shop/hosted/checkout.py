"""The shop's checkout: its words, and how one is completed with a card."""

from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from billing_ui.sandbox.core.cards import CardProblem
from billing_ui.sandbox.hosted import checkout as hosted
from billing_ui.sandbox.hosted.formats import Formats, formats_for
from billing_ui.sandbox.hosted.forms import Form
from billing_ui.sandbox.hosted.pages import say
from billing_ui.sandbox.hosted.wording import quantity_words
from billing_ui.sandbox.shop.errors import ShopError
from billing_ui.sandbox.shop.hosted.refusals import note_refusal
from billing_ui.sandbox.shop.hosted.words import rhythm
from billing_ui.sandbox.shop.model import Checkout, CheckoutStatus, Price, Product
from billing_ui.sandbox.shop.shop import Shop


class CheckoutPages(hosted.CheckoutPages):
    """The pages of a shop's checkouts."""

    def __init__(self, shop: Shop) -> None:
        super().__init__(shop.name)
        self._shop = shop

    def routes(self) -> list[Route]:
        """Return the checkout's routes, and that of where one leads that nobody gave an address."""
        return [*super().routes(), Route("/c/done", self._done, methods=["GET"])]

    def find(self, request: Request) -> hosted.Checkout | None:
        """Return the checkout of an address, None when there is none; past its time it is expired."""
        checkout_id = self._shop.unsign("checkout", request.path_params["checkout"])
        checkout = self._shop.peek(Checkout, checkout_id) if checkout_id else None
        if checkout is None:
            return None
        if checkout.status is CheckoutStatus.OPEN and self._shop.now >= checkout.expires_at:
            checkout = replace(checkout, status=CheckoutStatus.EXPIRED)
        return _words(self._shop, checkout, formats_for(request))

    def buy(self, checkout: hosted.Checkout, card: dict[str, Any], email: str, form: Form) -> str:
        """Buy what a checkout sells; all of it happens, or nothing."""
        try:
            self._shop.complete_checkout(checkout.id, email=email, **card)
        except (CardProblem, ShopError) as error:
            return note_refusal(form, error)
        return ""

    def closed(self, checkout: hosted.Checkout | None) -> Response:
        """Say that nothing can be bought (any more)."""
        if checkout is None or checkout.status != "complete":
            text = "Go back to where you came from and try again."
            return say(self.seller, 404, "This checkout has expired", text)
        link = (checkout.success_url, "Continue")
        return say(self.seller, 410, "This is paid already", "Your subscription has begun.", link)

    async def _done(self, request: Request) -> Response:
        return say(self.seller, 200, "Thank you", "Your subscription has begun.")


def _words(shop: Shop, checkout: Checkout, formats: Formats) -> hosted.Checkout:
    price = shop.get(Price, checkout.price)
    product = shop.get(Product, price.product)
    trial = price.trial_days if checkout.trial_days is None else checkout.trial_days
    amount, each = price.amount * checkout.quantity, formats.money(price.amount, price.currency)
    shown = formats.money(amount, price.currency)
    detail = quantity_words(product.unit_label, checkout.quantity, each)
    lines = [hosted.Line(product.name, detail if checkout.quantity > 1 else "", shown)]
    if trial:
        lines.append(hosted.Line("Free trial", "", formats.money(-amount, price.currency)))
    then = f"{shown} {rhythm(price)}"
    return hosted.Checkout(
        id=checkout.id,
        status=checkout.status,
        heading=f"Subscribe to {product.name}",
        verb="Subscribe",
        amount=formats.money(0, price.currency) if trial else shown,
        rhythm=f"{trial} days free, then {then}."
        if trial
        else f"Renews at {then} until you cancel.",
        lines=lines,
        email=shop.buyer_email(checkout) or "",
        return_url=checkout.return_url,
        success_url=(checkout.success_url or "/c/done").replace("{CHECKOUT_ID}", checkout.id),
    )
