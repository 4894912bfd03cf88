"""Open a portal link, and know its visitor again by a cookie."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from billing_ui.sandbox.core.cards import CardProblem
from billing_ui.sandbox.hosted import visits
from billing_ui.sandbox.hosted.formats import formats_for
from billing_ui.sandbox.hosted.forms import Form
from billing_ui.sandbox.hosted.pages import Endpoint, go, say
from billing_ui.sandbox.hosted.visits import NotOffered
from billing_ui.sandbox.shop.errors import ShopError
from billing_ui.sandbox.shop.model import Customer, PortalVisit, Subscription
from billing_ui.sandbox.shop.shop import Shop


@dataclass(frozen=True, kw_only=True)
class Visit(visits.Visit):
    """One request of somebody who is inside a shop's portal.

    Attributes:
        shop: Whose portal.
        link: What the link said.
        customer: Who it is.
    """

    shop: Shop
    link: PortalVisit
    customer: Customer

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

    def completed(self, notice: str) -> Response:
        """Go to the start page, which then says what its table has under `notice`."""
        return go(self.url(notice=notice))


Handler = Callable[[Visit, Form], Response]


def opener(shop: Shop) -> Endpoint:
    """Return the endpoint of a portal link; it can be opened as often as one likes until it expires."""

    async def open_link(request: Request) -> Response:
        token = request.path_params["token"]
        link = shop.portal_visit(token)
        if link is None:
            return _gone(shop)
        return visits.enter(request, _name(token), token, link.expires_at - shop.now)

    return open_link


def inside(shop: Shop, handler: Handler) -> Endpoint:
    """Return the endpoint of a portal page: only for the holder of the link's cookie."""

    def handle(visit: Visit, form: Form) -> Response:
        try:
            return handler(visit, form)
        except (ShopError, CardProblem) as error:
            return visit.stopped(409, "That didn’t work", str(error))

    return visits.inside(partial(_visit, shop), handle, partial(_gone, shop))


def _visit(shop: Shop, request: Request) -> Visit | None:
    """Return the visit of who holds the link's cookie; None for everybody else."""
    token = visits.secret_of(request, request.path_params["visit"])
    link = shop.portal_visit(token)
    if link is None:
        return None
    customer = shop.peek(Customer, link.customer)
    if customer is None or customer.deleted_at is not None:
        return None
    return Visit(
        request=request,
        name=_name(token),
        secret=token,
        seller=shop.name,
        formats=formats_for(request),
        return_url=link.return_url,
        leads_to=link.return_url,
        one_page=link.flow is not None,
        shop=shop,
        link=link,
        customer=customer,
    )


def _name(token: str) -> str:
    """Return what a link is called in the paths of its pages, which give nothing away."""
    return hashlib.sha256(token.encode()).hexdigest()[:20]


def _gone(shop: Shop) -> Response:
    text = "Go back to where you came from and open the portal again."
    return say(shop.name, 410, "This link has expired", text)
