"""Paddle, usable on its own: a portal session from the settings alone, without the dashboard's database."""

from billing_ui.payments.paddle.driver import PaddleDriver
from billing_ui.payments.types import PortalSession, StartPortalSessionInput
from billing_ui.settings import get_settings

__all__ = ["PaddleDriver", "start_portal_session"]


async def start_portal_session(request: StartPortalSessionInput) -> PortalSession:
    """Open a Paddle portal session, whichever provider PAYMENT_PROVIDER names.

    Naming `payer.customer_id` makes it one call to Paddle.

    Args:
        request: who, and optionally where in the portal to begin. Paddle's portal links back to no
            address of ours, has no configuration and chooses the language itself.

    Raises:
        PaymentError: as `payments.driver.Driver.start_portal_session`.
    """
    driver = PaddleDriver.from_settings(get_settings())
    try:
        return await driver.start_portal_session(request)
    finally:
        await driver.close()
