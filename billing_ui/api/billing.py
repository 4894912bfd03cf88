"""What a company's own product asks: a portal or checkout link, and what a team has."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, RedirectResponse

from billing_ui.accounts.errors import Unauthenticated
from billing_ui.api.bodies import read_json
from billing_ui.api.caller import by_bearer, by_cookie, services_of
from billing_ui.api.errors import Code, EnvelopeRoute
from billing_ui.api.openapi import BEARER, answers, takes
from billing_ui.api.schemas import (
    Link,
    OpenPortal,
    Success,
    success,
)
from billing_ui.billing.handoff import open_departure
from billing_ui.billing.portal import open_portal
from billing_ui.payments.types import InvalidRequest, PortalFlow

INVOICES_A_PAGE = 20

_REFUSED = (Code.UNAUTHORIZED, Code.FORBIDDEN, Code.NOT_FOUND)
_PROVIDER_FAILED = (Code.PROVIDER_MISMATCH, Code.PROVIDER_ERROR, Code.PROVIDER_UNAVAILABLE)
_BAD_LINK = (Code.INVALID_REQUEST, Code.INVALID_RETURN_URL)

router = APIRouter(route_class=EnvelopeRoute, tags=["Billing"])


@router.post(
    "/api/billing/portal",
    responses=answers(Success[Link], *_BAD_LINK, *_REFUSED, *_PROVIDER_FAILED),
    openapi_extra=takes(OpenPortal, by=[BEARER]),
)
async def open_team_portal(request: Request) -> JSONResponse:
    """Open the provider's portal for the caller's team. The link is short-lived: make one per visit."""
    identity = await by_bearer(request)
    body = await read_json(request, OpenPortal)
    opened = await open_portal(
        services_of(request),
        identity,
        body.return_url,
        flow=body.flow
        and PortalFlow(type=body.flow.type, subscription_id=body.flow.subscription_id),
        configuration=body.configuration,
    )
    return success(Link(url=opened.url))


@router.get("/api/billing/departures/{ticket}", include_in_schema=False)
async def depart(request: Request, ticket: str) -> RedirectResponse:
    """Take the browser that a ticket was sealed for to the provider; any other one to the billing page."""
    services = services_of(request)
    try:
        url = open_departure(services, await by_cookie(request), ticket)
    except (Unauthenticated, InvalidRequest):
        url = f"{services.settings.base_url}/settings/billing"
    return RedirectResponse(url, 303, {"Referrer-Policy": "no-referrer"})
