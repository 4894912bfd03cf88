"""An invoice's PDF: the provider's own address where it lasts, and one of ours that asks for it where it does not."""

import re
from collections.abc import Collection
from typing import Final
from urllib.parse import quote

from sqlmodel import col, select

from billing_ui.accounts.permissions import Action, require
from billing_ui.accounts.sessions import Identity
from billing_ui.billing.customers import usable_customer
from billing_ui.billing.return_urls import web_address
from billing_ui.billing.services import Services
from billing_ui.models import Customer, Invoice
from billing_ui.payments.driver import Drivers
from billing_ui.payments.types import NoInvoice
from billing_ui.settings import Provider, Settings

ROUTE: Final = "/api/billing/invoices/{invoice_id}/pdf"

_SETTLED: Final = frozenset({"paid", "refunded", "partially_refunded"})
_ID: Final = re.compile(r"[!-~]{1,255}")


def own_address(settings: Settings, invoice_id: str) -> str:
    """Return the address of ours that leads on to an invoice's PDF."""
    return settings.browser_api_url + ROUTE.format(invoice_id=quote(invoice_id, safe=""))


def providers_on_demand(drivers: Drivers) -> frozenset[str]:
    """Return the providers here whose PDFs have no lasting address."""
    usable = drivers.usable()
    return frozenset(one.provider.value for one in usable if one.capabilities.invoice_pdf_on_demand)


def pdf_address(settings: Settings, invoice: Invoice, on_demand: Collection[str]) -> str | None:
    """Return where the PDF of an invoice is had; None when there is none.

    Such providers make one of what was paid, and of nothing that came to nothing.

    Args:
        on_demand: the providers whose PDFs have no lasting address.
    """
    if invoice.provider not in on_demand:
        return web_address(invoice.pdf_url)
    has_one = invoice.status in _SETTLED and invoice.total > 0
    return own_address(settings, invoice.id) if has_one else None


async def find_invoice_pdf(services: Services, identity: Identity, invoice_id: str) -> str:
    """Return the address that an invoice's PDF has at the provider now: a credential, neither stored nor logged.

    Raises:
        NoTeam, NotAllowed: who asks may not see invoices.
        NoInvoice: it is none of the team's, or there is no PDF of it.
        ProviderMismatch: it is of a provider that is not served any more.
        TooManyTries: somebody asks too often.
        PaymentError: as `Driver.invoice_pdf`.
    """
    team_id = require(identity, Action.VIEW_INVOICES)
    if not _ID.fullmatch(invoice_id):
        raise NoInvoice
    query = (
        select(Customer)
        .join(
            Invoice,
            (col(Invoice.customer_id) == col(Customer.id))
            & (col(Invoice.provider) == col(Customer.provider)),
        )
        .where(Customer.team_id == team_id, Invoice.id == invoice_id)
    )
    async with services.database.read() as session:
        customer = (await session.exec(query)).first()
    if customer is None:
        raise NoInvoice
    usable_customer(customer, services.settings.served_providers)
    await services.limits.count_download(identity)
    driver = services.drivers.get(Provider(customer.provider))
    address = await driver.invoice_pdf(invoice_id)
    if address is None:
        raise NoInvoice(f"{driver.display_name} has no PDF of this invoice.")
    return address
