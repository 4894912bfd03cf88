"""The pages people see: the customer portal, the checkout and the invoices."""

from starlette.routing import BaseRoute, Route

from billing_ui.sandbox.hosted import pages
from billing_ui.sandbox.shop.hosted import portal
from billing_ui.sandbox.shop.hosted.checkout import CheckoutPages
from billing_ui.sandbox.shop.hosted.invoices import InvoicePages
from billing_ui.sandbox.shop.shop import Shop


def routes(shop: Shop) -> list[BaseRoute]:
    """Return the routes of all hosted pages of a shop."""
    return [
        Route("/hosted/style.css", pages.style),
        Route("/hosted/icon.svg", pages.icon),
        *portal.routes(shop),
        *CheckoutPages(shop).routes(),
        *InvoicePages(shop).routes(),
    ]
