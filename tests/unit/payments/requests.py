"""What tests ask a driver for, and the settings it is made of."""

from typing import Any
from uuid import UUID, uuid4

from billing_ui.payments.types import Payer, StartCheckoutInput, StartPortalSessionInput
from billing_ui.settings import Settings

RETURN_URL = "https://app.example.com/settings/billing/return?visit=1&x=%2F#top"


def payer(customer_id: str | None = None, *, team_id: UUID | None = None, **fields: Any) -> Payer:
    """Return someone who pays, of a new team if none is named."""
    return Payer(
        team_id=team_id or uuid4(),
        customer_id=customer_id,
        email="billing@northwind.example",
        name="Northwind Labs",
        **fields,
    )


def portal_request(
    customer_id: str | None = "cus_1", *, configuration: str | None = "bpc_1", **fields: Any
) -> StartPortalSessionInput:
    """Return a request that needs one call."""
    return StartPortalSessionInput(
        payer=payer(customer_id), return_url=RETURN_URL, configuration=configuration, **fields
    )


def checkout_request(customer_id: str, price_id: str, **fields: Any) -> StartCheckoutInput:
    """Return a request for one new subscription."""
    return StartCheckoutInput(
        payer=payer(customer_id),
        price_id=price_id,
        success_url=RETURN_URL,
        cancel_url="https://app.example.com/pricing",
        **fields,
    )


def make_settings(**values: Any) -> Settings:
    """Return settings of exactly `values`, whatever `.env` says."""
    return Settings(_env_file=None, **values)
