"""Where payment providers send their events; a good answer means that the event is safely stored."""

from typing import Final

import structlog
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from billing_ui import metrics
from billing_ui.api.bodies import read_bytes
from billing_ui.api.caller import services_of
from billing_ui.api.errors import BadRequest, BodyTooLarge, Code, EnvelopeRoute, NoSuchPath
from billing_ui.api.openapi import answers, takes
from billing_ui.api.schemas import Received, SignedEvent
from billing_ui.billing.inbox import accept
from billing_ui.billing.services import Services
from billing_ui.payments.driver import Driver
from billing_ui.payments.types import (
    InvalidRequest,
    InvalidSignature,
    NoWebhookSecret,
    ProviderRejected,
)
from billing_ui.settings import Provider
from billing_ui.telemetry import current_request_id

log = structlog.get_logger(__name__)

MAX_EVENT_BYTES: Final = 1024 * 1024
_RECEIVED: Final = JSONResponse(Received().model_dump()).body

router = APIRouter(route_class=EnvelopeRoute, tags=["Webhooks"])


@router.post(
    "/api/webhooks/{provider}",
    responses=answers(
        Received, Code.INVALID_REQUEST, Code.UNAUTHORIZED, Code.NOT_FOUND, Code.TOO_LARGE
    ),
    # Both are read by hand: a signature is over the body as it came, and whoever is unknown finds nothing here.
    openapi_extra={
        "parameters": [
            {
                "name": "provider",
                "in": "path",
                "required": True,
                "description": "Whose event it is.",
                "schema": {"type": "string", "enum": [provider.value for provider in Provider]},
            }
        ],
    }
    | takes(SignedEvent),
)
async def receive_event(request: Request) -> Response:
    """Take in an event of a payment provider, signed with the secret of its webhook endpoint.

    An event that was received before, or that concerns nothing here, is received as well. After any
    failure the provider sends it again.
    """
    services = services_of(request)
    driver = _driver(services, request.path_params["provider"])
    try:
        body = await read_bytes(request, MAX_EVENT_BYTES)
        event = driver.verify_webhook(request.headers, body)
        await accept(services, driver.provider, event, request_id=current_request_id())
    except NoWebhookSecret:
        raise NoSuchPath from None
    except Exception as error:
        reason = _reason(error)
        metrics.webhook_refused(driver.provider, reason)
        log.warning("webhook_refused", provider=driver.provider, reason=reason)
        raise
    return Response(_RECEIVED, media_type="application/json")


def _driver(services: Services, name: str) -> Driver:
    try:
        return services.drivers.get(Provider(name))
    except (ValueError, ProviderRejected):
        raise NoSuchPath from None


def _reason(error: Exception) -> str:
    match error:
        case InvalidSignature():
            return "signature"
        case BodyTooLarge():
            return "size"
        case BadRequest() | InvalidRequest():
            return "body"
        case _:
            return "database"
