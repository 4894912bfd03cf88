"""The way to an invoice's PDF at the provider, for programs and for a browser that follows a link."""

from functools import cache
from pathlib import Path
from typing import Final
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from billing_ui.api.caller import (
    acting_for,
    bearer_token,
    by_bearer_or_cookie,
    services_of,
    team_in_query,
)
from billing_ui.api.errors import (
    STATUS,
    Code,
    EnvelopeRoute,
    Problem,
    envelope,
    envelope_headers,
)
from billing_ui.api.openapi import BEARER, COOKIE, TEAM_IN_QUERY, leads_on, takes
from billing_ui.api.security_headers import document_policy
from billing_ui.billing.invoice_pdf import ROUTE, find_invoice_pdf, own_address
from billing_ui.billing.return_urls import BILLING_PAGE, SIGN_IN_PAGE

_PASSES: Final = frozenset({Code.RATE_LIMITED, Code.PROVIDER_UNAVAILABLE, Code.INTERNAL_ERROR})
"""What may be otherwise when somebody tries again."""


class _LinkRoute(EnvelopeRoute):
    """A route whose failures a browser shows to a person, and a program gets in the envelope."""

    def refuse(self, request: Request, problem: Problem) -> Response:
        """Return a page to a browser that came with its cookie, and the envelope to anybody else."""
        by_program = bearer_token(request) is not None
        if by_program or "text/html" not in request.headers.get("accept", ""):
            return envelope(problem)
        return _page(request, problem)


router = APIRouter(route_class=_LinkRoute, tags=["Billing"])


@router.get(
    ROUTE,
    status_code=303,
    response_class=RedirectResponse,
    responses=leads_on(
        "The PDF is at `Location`, for about an hour.",
        *(Code.INVALID_REQUEST, Code.UNAUTHORIZED, Code.FORBIDDEN, Code.NOT_FOUND),
        *(Code.PROVIDER_MISMATCH, Code.RATE_LIMITED),
        *(Code.PROVIDER_ERROR, Code.PROVIDER_UNAVAILABLE),
    ),
    # It is read by hand, to answer in our own shape whatever stands there.
    openapi_extra=takes(by=[BEARER, COOKIE])
    | {
        "parameters": [
            {
                "name": "invoice_id",
                "in": "path",
                "required": True,
                "description": "The `id` of an invoice.",
                "schema": {"type": "string", "minLength": 1},
            },
            TEAM_IN_QUERY,
        ]
    },
)
async def go_to_invoice_pdf(request: Request) -> RedirectResponse:
    """Lead to an invoice's PDF at the provider, which may have to make it first; needs billing rights.

    Whoever has the address it leads to may download the file: follow it at once, and keep the address nowhere.
    """
    services, caller = services_of(request), await by_bearer_or_cookie(request)
    identity = await acting_for(request, caller, team_in_query(request))
    url = await find_invoice_pdf(services, identity, request.path_params["invoice_id"])
    return RedirectResponse(url, 303, {"Referrer-Policy": "no-referrer"})


def _page(request: Request, problem: Problem) -> HTMLResponse:
    settings = services_of(request).settings
    template = _templates().get_template("invoice_pdf.html.jinja")
    page = template.render(
        app_name=settings.app_name,
        support_url=settings.support_url,
        # Whoever downloads something did not mean to change anything.
        reason=problem.message.replace(" Nothing was changed.", ""),
        signed_out=problem.code is Code.UNAUTHORIZED,
        may_pass=problem.code in _PASSES,
        sign_in=f"{settings.base_url}{SIGN_IN_PAGE}?next={quote(BILLING_PAGE, safe='')}",
        again=own_address(settings, request.path_params["invoice_id"]),
        billing=settings.base_url + BILLING_PAGE,
    )
    answer = HTMLResponse(page, STATUS[problem.code], envelope_headers(problem))
    answer.headers["Content-Security-Policy"] = document_policy(page)
    return answer


@cache
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
