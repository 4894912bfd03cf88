"""What a company's own product asks: a portal or checkout link, and what a team has."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, RedirectResponse

from billing_ui.accounts.errors import Unauthenticated
from billing_ui.api.bodies import read_json
from billing_ui.api.caller import (
    acting_for,
    by_bearer,
    by_bearer_or_cookie,
    by_cookie,
    services_of,
    team_in_query,
)
from billing_ui.api.errors import Code, EnvelopeRoute
from billing_ui.api.openapi import BEARER, COOKIE, TEAM_IN_QUERY, answers, takes
from billing_ui.api.schemas import (
    BillingState,
    Flow,
    Invoice,
    Invoices,
    Link,
    OpenCheckout,
    OpenPortal,
    Subscription,
    SubscriptionItem,
    Success,
    success,
)
from billing_ui.billing.checkout import open_checkout
from billing_ui.billing.handoff import open_departure
from billing_ui.billing.invoices import load_invoices
from billing_ui.billing.portal import open_portal
from billing_ui.billing.return_urls import BILLING_PAGE
from billing_ui.billing.summary import PlanSummary, load_billing
from billing_ui.payments.types import InvalidRequest, PortalFlow

INVOICES_A_PAGE = 20

_REFUSED = (Code.UNAUTHORIZED, Code.FORBIDDEN, Code.NOT_FOUND, Code.RATE_LIMITED)
_PROVIDER_FAILED = (Code.PROVIDER_MISMATCH, Code.PROVIDER_ERROR, Code.PROVIDER_UNAVAILABLE)
_BAD_LINK = (Code.INVALID_REQUEST, Code.INVALID_RETURN_URL)

router = APIRouter(route_class=EnvelopeRoute, tags=["Billing"])


@router.post(
    "/api/billing/portal",
    responses=answers(Success[Link], *_BAD_LINK, *_REFUSED, *_PROVIDER_FAILED),
    openapi_extra=takes(OpenPortal, by=[BEARER]),
)
async def open_team_portal(request: Request) -> JSONResponse:
    """Open the provider's portal for the caller's team. The link is short-lived: make one per visit.

    Not every provider's portal has every flow, and that of some leads back nowhere: `returnUrl` is checked then,
    and has no effect.
    """
    caller = await by_bearer(request)
    body = await read_json(request, OpenPortal)
    identity = await acting_for(request, caller, body.team)
    opened = await open_portal(
        services_of(request),
        identity,
        body.return_url,
        flow=_flow(body.flow),
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
        url = f"{services.settings.base_url}{BILLING_PAGE}"
    return RedirectResponse(url, 303, {"Referrer-Policy": "no-referrer"})


@router.post(
    "/api/billing/checkout",
    responses=answers(Success[Link], *_BAD_LINK, *_REFUSED, *_PROVIDER_FAILED),
    openapi_extra=takes(OpenCheckout, by=[BEARER, COOKIE]),
)
async def open_team_checkout(request: Request) -> JSONResponse:
    """Open the provider's checkout for a price; a team without a customer gets one.

    A team with a live subscription changes it in the portal instead, and is refused here.
    """
    caller = await by_bearer_or_cookie(request)
    body = await read_json(request, OpenCheckout)
    identity = await acting_for(request, caller, body.team)
    opened = await open_checkout(
        services_of(request), identity, body.price_id, body.quantity, body.return_url
    )
    return success(Link(url=opened.url))


@router.get(
    "/api/billing/subscription",
    responses=answers(
        Success[BillingState], Code.INVALID_REQUEST, *_REFUSED, Code.PROVIDER_UNAVAILABLE
    ),
    openapi_extra=takes(by=[BEARER, COOKIE]) | {"parameters": [TEAM_IN_QUERY]},
)
async def subscription(request: Request) -> JSONResponse:
    """Tell what the team has: its live subscriptions or, when it has none, the one that ended last."""
    services, caller = services_of(request), await by_bearer_or_cookie(request)
    identity = await acting_for(request, caller, team_in_query(request))
    summary = await load_billing(services, identity)
    await services.limits.count_call(identity)
    plans = summary.plans
    return success(
        BillingState(
            plan=plans[0].name if plans else None,
            status=plans[0].state if plans else None,
            current_period_end=plans[0].current_period_end if plans else None,
            subscriptions=tuple(_subscription(plan) for plan in plans),
            synced_at=summary.synced_at,
        )
    )


@router.get(
    "/api/billing/invoices",
    responses=answers(
        Success[Invoices], Code.INVALID_REQUEST, *_REFUSED, Code.PROVIDER_UNAVAILABLE
    ),
    openapi_extra=takes(by=[BEARER, COOKIE])
    | {
        "parameters": [
            {
                "name": "cursor",
                "in": "query",
                "description": "The `nextCursor` of the page before; absent for the newest invoices.",
                "schema": {"type": "string"},
            },
            TEAM_IN_QUERY,
        ]
    },
)
async def invoices(request: Request) -> JSONResponse:
    """List the team's invoices, newest first, 20 a page; needs billing rights."""
    services, caller = services_of(request), await by_bearer_or_cookie(request)
    identity = await acting_for(request, caller, team_in_query(request))
    page = await load_invoices(
        services, identity, request.query_params.get("cursor"), INVOICES_A_PAGE
    )
    await services.limits.count_call(identity)
    rows = tuple(
        Invoice(
            id=row.id,
            number=row.number,
            created_at=row.created_at,
            status=row.status,
            total=row.total,
            currency=row.currency,
            pdf_url=row.pdf_url,
            hosted_url=row.hosted_url,
        )
        for row in page.rows
    )
    return success(Invoices(invoices=rows, total=page.total, next_cursor=page.next_cursor))


def _flow(flow: Flow | None) -> PortalFlow | None:
    if flow is None:
        return None
    return PortalFlow(
        type=flow.type,
        subscription_id=flow.subscription_id,
        price_id=flow.price_id,
        quantity=flow.quantity,
    )


def _subscription(plan: PlanSummary) -> Subscription:
    return Subscription(
        id=plan.subscription_id,
        status=plan.state,
        current_period_end=plan.current_period_end,
        cancel_at=plan.cancel_at,
        trial_end=plan.trial_end,
        ended_at=plan.ended_at,
        items=tuple(
            SubscriptionItem(
                price_id=item.price_id,
                product_id=item.product_id,
                plan_name=item.name,
                quantity=item.quantity,
                unit_amount=item.unit_amount,
                currency=item.currency,
                interval=item.interval,
            )
            for item in plan.items
        ),
    )
