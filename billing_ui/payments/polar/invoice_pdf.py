"""The PDF of an order's invoice, which Polar makes when somebody first asks for it."""

import asyncio
from http import HTTPStatus
from typing import Final

import httpx
from polar.base import parse_response_json, parse_response_none
from polar.v2026_10.outputs import OrderInvoice

from billing_ui.payments.polar.client import PolarClient, is_id
from billing_ui.payments.types import InvalidRequest, ProviderUnavailable

PAUSES: Final = (0.3, 0.7, 1.0, 2.0, 2.0)
"""How many seconds to wait before each look whether it has been made; usually that takes a few."""

_ADDRESS: Final = "/v1/orders/{id}/invoice"
_AGAIN_IN_SECONDS: Final = 5


async def invoice_pdf(client: PolarClient, order_id: str) -> str | None:
    """Return the address of an order's PDF, which soon expires; None when the order is unknown or has none.

    Polar makes it once, with the name and address that the order has by then, and keeps it so for good.

    Raises:
        InvalidRequest: Polar lacks the name or address that an invoice must have.
        ProviderUnavailable: it is still being made.
    """
    if not is_id(order_id):
        return None
    if url := await _made(client, order_id):
        return url
    asked = await _ask(client, "POST", order_id)
    match asked.status_code:
        case HTTPStatus.NOT_FOUND:
            return None
        case HTTPStatus.CONFLICT:
            # The order is not paid; or it was made just now, when somebody else asked.
            return await _made(client, order_id)
        case HTTPStatus.UNPROCESSABLE_ENTITY:
            raise InvalidRequest(
                "Polar makes an invoice only with a billing name and address. "
                "Add both in the billing portal, then download it again."
            )
    parse_response_none(asked)
    for pause in PAUSES:
        await asyncio.sleep(pause)
        if url := await _made(client, order_id):
            return url
    raise ProviderUnavailable(
        "Polar is still making this invoice's PDF. Try again in a few seconds.",
        retry_after=_AGAIN_IN_SECONDS,
    )


async def _made(client: PolarClient, order_id: str) -> str | None:
    """Return the address of a PDF that has been made; None while it has not, or when there is no such order."""
    answer = await _ask(client, "GET", order_id)
    if answer.status_code == HTTPStatus.NOT_FOUND:
        return None
    invoice: OrderInvoice = parse_response_json(answer, OrderInvoice)
    return invoice.url


async def _ask(client: PolarClient, method: str, order_id: str) -> httpx.Response:
    # Not by the SDK's own methods: of a PDF that is not made yet Polar says `InvoiceDoesNotExist`, which the
    # SDK, expecting `ResourceNotFound`, cannot read.
    return await client.send_request(
        client.build_request(method, _ADDRESS, path_params={"id": order_id})
    )
