"""The pages people see: the customer portal, the checkout and the invoices."""

from starlette.routing import BaseRoute, Route

from billing_ui.sandbox.hosted import pages
from billing_ui.sandbox.stripe.account import Account
from billing_ui.sandbox.stripe.hosted import portal
from billing_ui.sandbox.stripe.hosted.checkout import CheckoutPages
from billing_ui.sandbox.stripe.hosted.invoices import InvoicePages


def routes(account: Account) -> list[BaseRoute]:
    """Return the routes of all hosted pages of an account."""
    return [
        Route("/hosted/style.css", pages.style),
        Route("/hosted/icon.svg", pages.icon),
        *portal.routes(account),
        *CheckoutPages(account).routes(),
        *InvoicePages(account).routes(),
    ]
