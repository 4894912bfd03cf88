"""The hosted checkout: a card, and what was chosen is bought."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from billing_ui.sandbox.hosted.forms import (
    Form,
    FormRefused,
    check_email,
    read_card,
    read_page_form,
    show_form,
    without_cvc,
)
from billing_ui.sandbox.hosted.pages import go


@dataclass(frozen=True)
class Line:
    """One line of what is bought, in words; `detail` may be ""."""

    name: str
    detail: str
    amount: str


@dataclass(frozen=True, kw_only=True)
class Checkout:
    """What is bought, in words.

    Attributes:
        id: Its id at the provider.
        status: "open", "complete" or "expired".
        heading: What it is about.
        verb: What its button says.
        amount: What is due today.
        rhythm: What is paid later, and when; "" when nothing is.
        lines: What is bought.
        email: The buyer's e-mail address; "" when it has to be asked for.
        return_url: Where "Back" leads; there is no such link when None.
        success_url: Where it leads when something was bought.
    """

    id: str
    status: str
    heading: str
    verb: str
    amount: str
    rhythm: str
    lines: Sequence[Line]
    email: str
    return_url: str | None
    success_url: str


class CheckoutPages(ABC):
    """One provider's checkout. A checkout's address is known to its buyer and the seller alone."""

    def __init__(self, seller: str) -> None:
        self.seller = seller

    @abstractmethod
    def find(self, request: Request) -> Checkout | None:
        """Return the checkout of an address, None when there is none; past its time it is expired."""

    @abstractmethod
    def buy(self, checkout: Checkout, card: dict[str, Any], email: str, form: Form) -> str:
        """Buy what an open checkout sells.

        Returns:
            Why it was not bought, if `form.problems` does not say so now; else "".
        """

    @abstractmethod
    def closed(self, checkout: Checkout | None) -> Response:
        """Return the page of a checkout where nothing can be bought (any more)."""

    def routes(self) -> list[Route]:
        """Return the checkout's routes."""
        return [
            Route("/c/pay/{checkout}", self._page, methods=["GET"]),
            Route("/c/pay/{checkout}", self._buy, methods=["POST"]),
        ]

    async def _page(self, request: Request) -> Response:
        checkout = self.find(request)
        if checkout is None or checkout.status != "open":
            return self.closed(checkout)
        return self._show(request, checkout, Form())

    async def _buy(self, request: Request) -> Response:
        checkout = self.find(request)
        if checkout is None or checkout.status == "expired":
            return self.closed(checkout)
        try:
            form = await read_page_form(request)
        except FormRefused:
            problem = "This form is out of date. Nothing was paid."
            return self._show(request, checkout, Form(), problem=problem, status=403)
        if checkout.status == "complete":
            # The second of two clicks: the first has bought it.
            return go(checkout.success_url)
        problem, card = "", read_card(form)
        email = checkout.email or check_email(form)
        if not form.problems:
            problem = self.buy(checkout, card, email, form)
            if not (problem or form.problems):
                return go(checkout.success_url)
        return self._show(request, checkout, without_cvc(form), problem=problem, status=422)

    def _show(
        self,
        request: Request,
        checkout: Checkout,
        form: Form,
        *,
        problem: str = "",
        status: int = 200,
    ) -> Response:
        return show_form(
            "checkout.html",
            request,
            form,
            problem=problem,
            status=status,
            leads_to=[checkout.success_url],
            seller=self.seller,
            return_url=checkout.return_url,
            heading=checkout.heading,
            amount=checkout.amount,
            rhythm=checkout.rhythm,
            lines=checkout.lines,
            who=checkout.email,
            verb=checkout.verb,
        )
