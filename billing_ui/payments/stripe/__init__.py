"""Stripe, usable on its own: a portal session from the settings alone, without the dashboard's database."""

from billing_ui.payments.stripe.driver import StripeDriver
from billing_ui.payments.types import PortalSession, StartPortalSessionInput
from billing_ui.settings import get_settings

__all__ = ["StripeDriver", "start_portal_session"]


async def start_portal_session(request: StartPortalSessionInput) -> PortalSession:
    """Open a Stripe portal session, whichever provider PAYMENT_PROVIDER names.

    Naming `payer.customer_id` and `configuration` makes it one call to Stripe.

    Args:
        request: who, where to return, and optionally configuration, flow and locale.

    Raises:
        PaymentError: as `payments.driver.Driver.start_portal_session`.
    """
    driver = StripeDriver.from_settings(get_settings())
    try:
        return await driver.start_portal_session(request)
    finally:
        await driver.close()
