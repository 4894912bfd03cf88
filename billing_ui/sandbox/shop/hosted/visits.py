"""Open a portal link, and know its visitor again by a cookie."""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from billing_ui.sandbox.core.cards import CardProblem
from billing_ui.sandbox.hosted.formats import Formats, choose_formats
from billing_ui.sandbox.hosted.forms import Form, FormRefused, form_token, read_form
from billing_ui.sandbox.hosted.pages import go, show
from billing_ui.sandbox.shop.errors import ShopError
from billing_ui.sandbox.shop.model import Customer, PortalVisit, Subscription
from billing_ui.sandbox.shop.shop import Shop


class NotOffered(Exception):
    """There is no such page, or it is about somebody else's."""


@dataclass(frozen=True)
class Visit:
    """One request of somebody who is inside a portal.

    Attributes:
        shop: Whose portal.
        request: The request.
        link: What the link said.
        customer: Who it is.
        formats: How they write amounts and dates.
        token: That of the link.
    """

    shop: Shop
    request: Request
    link: PortalVisit
    customer: Customer
    formats: Formats
    token: str

    def url(self, path: str = "", **query: str) -> str:
        """Return the URL of a page of this portal."""
        return f"/p/{_name(self.token)}{path}" + (f"?{urlencode(query)}" if query else "")

    @property
    def back(self) -> str:
        """Where "Go back" leads: out again for who came by a deep link, else to the start."""
        return (self.link.flow and self.link.return_url) or self.url()

    def subscriptions(self) -> list[Subscription]:
        """Return the customer's subscriptions that have not ended, newest first."""
        found = self.shop.find(Subscription, customer=self.customer.id)
        return [subscription for subscription in found if subscription.live]

    def subscription(self) -> Subscription:
        """Return the subscription of the URL.

        Raises:
            NotOffered: it is not theirs or has ended.
        """
        wanted = self.request.path_params["subscription"]
        for subscription in self.subscriptions():
            if subscription.id == wanted:
                return subscription
        raise NotOffered

    def show(self, template: str, *, status: int = 200, **context: Any) -> HTMLResponse:
        """Return a page of the portal."""
        form = context.get("form")
        return show(
            template,
            status=status,
            leads_to=[self.link.return_url],
            seller=self.shop.name,
            return_url=self.link.return_url,
            base=self.url(),
            form_token=form_token(self.token),
            **{"problems": bool(form is not None and form.problems), "back": self.back, **context},
        )

    def stopped(self, status: int, heading: str, text: str) -> HTMLResponse:
        """Return a page that says why it does not go on here, with the way back to the portal."""
        return self.show(
            "message.html",
            status=status,
            heading=heading,
            text=text,
            link=(self.url(), "Back to the portal"),
        )

    def completed(self, notice: str) -> Response:
        """Go to the start page, which then says what its table has under `notice`."""
        return go(self.url(notice=notice))


Handler = Callable[[Visit, Form], Response]


def opener(shop: Shop) -> Callable[[Request], Awaitable[Response]]:
    """Return the endpoint of a portal link; it can be opened as often as one likes until it expires."""

    async def open_link(request: Request) -> Response:
        token = request.path_params["token"]
        link = shop.portal_visit(token)
        if link is None:
            return _gone(shop)
        answer = go(f"/p/{_name(token)}/start")
        answer.set_cookie(
            _cookie(_name(token)),
            token,
            max_age=link.expires_at - shop.now,
            path="/p",
            httponly=True,
            samesite="lax",
            secure=request.url.scheme == "https",
        )
        return answer

    return open_link


def inside(shop: Shop, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """Return the endpoint of a portal page: only for the holder of the link's cookie."""

    async def endpoint(request: Request) -> Response:
        visit = _visit(shop, request)
        if visit is None:
            return _gone(shop)
        try:
            form = await read_form(request, visit.token) if request.method == "POST" else Form()
            return handler(visit, form)
        except FormRefused:
            return visit.stopped(
                403,
                "This form is out of date",
                "Nothing was changed. Go back to the portal and try again.",
            )
        except NotOffered:
            return visit.stopped(
                404,
                "This page isn’t available",
                "It doesn’t exist, or it isn’t part of this portal.",
            )
        except (ShopError, CardProblem) as error:
            return visit.stopped(409, "That didn’t work", str(error))

    return endpoint


def _visit(shop: Shop, request: Request) -> Visit | None:
    """Return the visit of who holds the link's cookie; None for everybody else."""
    token = request.cookies.get(_cookie(request.path_params["visit"]), "")
    link = shop.portal_visit(token)
    if link is None:
        return None
    customer = shop.peek(Customer, link.customer)
    if customer is None or customer.deleted_at is not None:
        return None
    formats = choose_formats(None, (), request.headers.get("accept-language", ""))
    return Visit(shop, request, link, customer, formats, token)


def _name(token: str) -> str:
    """Return what a link is called in the paths of its pages, which give nothing away."""
    return hashlib.sha256(token.encode()).hexdigest()[:20]


def _cookie(name: str) -> str:
    # One for each link: two tabs may be inside the portals of two customers.
    return f"portal_{name}"


def _gone(shop: Shop) -> Response:
    return show(
        "message.html",
        status=410,
        seller=shop.name,
        heading="This link has expired",
        text="Go back to where you came from and open the portal again.",
        link=None,
    )
