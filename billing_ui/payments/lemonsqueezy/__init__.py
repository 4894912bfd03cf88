"""Lemon Squeezy, usable on its own: a portal session from the settings alone, without the dashboard's database."""

from billing_ui.payments.lemonsqueezy.driver import LemonSqueezyDriver
from billing_ui.payments.types import PortalSession, StartPortalSessionInput
from billing_ui.settings import get_settings

__all__ = ["LemonSqueezyDriver", "start_portal_session"]


async def start_portal_session(request: StartPortalSessionInput) -> PortalSession:
    """Open a Lemon Squeezy portal, whichever provider PAYMENT_PROVIDER names.

    Args:
        request: who; the return URL, a configuration and a locale are nothing that Lemon Squeezy takes.

    Raises:
        PaymentError: as `payments.driver.Driver.start_portal_session`.
    """
    driver = LemonSqueezyDriver.from_settings(get_settings())
    try:
        return await driver.start_portal_session(request)
    finally:
        await driver.close()
