"""The portal for the person signed in at a browser, in the shape its callers have always had."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from billing_ui.api.bodies import read_json
from billing_ui.api.caller import by_cookie, services_of
from billing_ui.api.errors import Code, PlainRoute
from billing_ui.api.openapi import COOKIE, answers, takes
from billing_ui.api.schemas import Link, OpenOwnPortal, PlainFailure
from billing_ui.billing.portal import open_portal

router = APIRouter(route_class=PlainRoute, tags=["Billing"])


@router.post(
    "/api/payments/portal",
    responses=answers(
        Link,
        Code.INVALID_REQUEST,
        Code.INVALID_RETURN_URL,
        Code.UNAUTHORIZED,
        Code.FORBIDDEN,
        Code.NOT_FOUND,
        Code.RATE_LIMITED,
        failure=PlainFailure,
    ),
    openapi_extra=takes(OpenOwnPortal, by=[COOKIE], required=False),
)
async def open_own_portal(request: Request) -> JSONResponse:
    """Open the provider's portal for the person signed in.

    An empty body counts as `{}`; without `returnUrl` the portal leads back to the billing page.
    A customer of a provider that is neither the active nor a legacy one is a 400; every failure of the
    provider is a 500.
    """
    identity = await by_cookie(request)
    body = await read_json(request, OpenOwnPortal, empty=True)
    opened = await open_portal(services_of(request), identity, body.return_url)
    return JSONResponse({"url": opened.url})
