"""Polar, usable on its own: a portal session from the settings alone, without the dashboard's database."""

from billing_ui.payments.polar.driver import PolarDriver
from billing_ui.payments.types import PortalSession, StartPortalSessionInput
from billing_ui.settings import get_settings

__all__ = ["PolarDriver", "start_portal_session"]


async def start_portal_session(request: StartPortalSessionInput) -> PortalSession:
    """Open a Polar portal session, whichever provider PAYMENT_PROVIDER names.

    Naming `payer.customer_id` makes it one call to Polar.

    Args:
        request: who, and where to return.

    Raises:
        PaymentError: as `payments.driver.Driver.start_portal_session`.
    """
    driver = PolarDriver.from_settings(get_settings())
    try:
        return await driver.start_portal_session(request)
    finally:
        await driver.close()
