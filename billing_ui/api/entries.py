"""The product's "Billing" link: a link made for one of its people, and the page that lets them in by it."""

from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from billing_ui.accounts.entries import (
    Entry,
    check_entrant,
    enter,
    look_at_entry,
    make_entry_link,
)
from billing_ui.accounts.errors import LinkError, LinkUnknown
from billing_ui.accounts.permissions import Action
from billing_ui.accounts.provisioning import require_whole_token
from billing_ui.accounts.sessions import Identity, identify
from billing_ui.api.auth import signed_in
from billing_ui.api.bodies import read_form, read_json
from billing_ui.api.caller import (
    acting_for,
    by_bearer,
    cookie_token,
    services_of,
)
from billing_ui.api.errors import Code, EnvelopeRoute, ForeignOrigin
from billing_ui.api.openapi import BEARER, answers, takes
from billing_ui.api.schemas import EntryLink, MakeEntryLink, Success, success
from billing_ui.api.security_headers import form_policy
from billing_ui.billing.return_urls import BILLING_PAGE, SIGN_IN_PAGE, allowed_return_url
from billing_ui.payments.types import InvalidReturnUrl
from billing_ui.settings import Settings, origin_of

ENTRY: Final = "/auth/entry"

router = APIRouter(route_class=EnvelopeRoute, tags=["Embedding"])
pages = APIRouter(route_class=EnvelopeRoute, include_in_schema=False)


@router.post(
    "/api/sessions",
    responses=answers(
        Success[EntryLink],
        *(Code.INVALID_REQUEST, Code.INVALID_RETURN_URL, Code.UNAUTHORIZED),
        *(Code.FORBIDDEN, Code.NOT_FOUND, Code.RATE_LIMITED, Code.PROVIDER_UNAVAILABLE),
    ),
    openapi_extra=takes(MakeEntryLink, by=[BEARER]),
)
async def open_session(request: Request) -> JSONResponse:
    """Make a link that lets one of the product's people in to their team's billing page, once, within 5 minutes.

    Needs an API token with every scope: a team's, for its own members, or an operator's, which names the team.
    Whoever is let in sees that team only, and with the role they have in it.
    """
    services, caller = services_of(request), await by_bearer(request)
    body = await read_json(request, MakeEntryLink)
    identity = await acting_for(request, caller, body.team)
    require_whole_token(identity)
    team_id = identity.team_id
    assert team_id is not None  # every API token has one by now
    await check_entrant(services.database, identity, team_id, body.user, body.email)
    destination = allowed_return_url(services.settings, body.return_url)
    await services.limits.count_call(identity)
    link = await make_entry_link(
        services.database,
        identity,
        team_id,
        body.user,
        email=body.email,
        destination=destination,
    )
    url = f"{services.settings.browser_api_url}{ENTRY}?token={quote(link.token, safe='')}"
    return success(EntryLink(url=url, expires_at=link.expires_at))


@pages.get(ENTRY)
async def show_entry(request: Request) -> Response:
    """Show whom a link lets in, with the form that does; asking for this page uses nothing up.

    Programs that follow links to look at them, and browsers that fetch ahead, send no form. The page sends it by
    itself only for a browser that comes from a page of the product, where nobody else is signed in: a link of
    somebody's that was slipped to another person must not sign them in unnoticed.
    """
    services = services_of(request)
    try:
        entry = await look_at_entry(services.database, request.query_params.get("token", ""))
    except LinkError as error:
        return await _useless(request, error)
    signed_in_as = await _who_is_here(request)
    other = signed_in_as is not None and signed_in_as.user_id != entry.user.id
    return _page(
        services.settings,
        "entry.html.jinja",
        token=request.query_params["token"],
        entry=entry,
        other=signed_in_as.email if signed_in_as is not None and other else None,
        at_once=not other and _comes_from_product(request),
    )


@pages.post(ENTRY)
async def use_entry(request: Request) -> Response:
    """Use a link up: sign its person in and send them on, to an address without the link's token."""
    services = services_of(request)
    _require_own_form(request, services.settings)
    form = await read_form(request)
    token = form.get("token", "")
    try:
        entry = await look_at_entry(services.database, token)
        onward, came_from = _ways(services.settings, entry)
        entered = await enter(services.database, token, came_from=came_from)
    except LinkError as error:
        return await _useless(request, error)
    return await signed_in(request, entered.session_token, onward)


def _require_own_form(request: Request, settings: Settings) -> None:
    """Let only the form above through; in development its page has the backend's own origin.

    Raises:
        ForeignOrigin: another page sends this.
    """
    if request.headers.getlist("origin") != [origin_of(settings.browser_api_url)]:
        raise ForeignOrigin(settings.base_url)


def _ways(settings: Settings, entry: Entry) -> tuple[str, str | None]:
    """Return the path somebody goes on to, and the product's page they may go back to."""
    try:
        # What was allowed when the link was made may no longer be.
        url = allowed_return_url(settings, entry.destination)
    except InvalidReturnUrl:
        url = None
    if url is None:
        return BILLING_PAGE, None
    if url.startswith("/"):
        return url, None
    if origin_of(url) == settings.base_origin:
        parts = urlsplit(url)
        return (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), None
    return BILLING_PAGE, url


async def _useless(request: Request, error: LinkError) -> HTMLResponse:
    """Say why a link lets nobody in, and what to do."""
    services = services_of(request)
    here = await _who_is_here(request)
    unknown = isinstance(error, LinkUnknown)
    return _page(
        services.settings,
        "entry_useless.html.jinja",
        status=HTTPStatus.NOT_FOUND if unknown else HTTPStatus.GONE,
        reason=str(error).partition(". ")[0].rstrip(".") + ".",
        here=here.email if here is not None and here.may(Action.VIEW_PLAN) else None,
        billing=services.settings.base_url + BILLING_PAGE,
        sign_in=services.settings.base_url + SIGN_IN_PAGE,
    )


async def _who_is_here(request: Request) -> Identity | None:
    return await identify(services_of(request).database, cookie_token(request))


def _comes_from_product(request: Request) -> bool:
    """Return whether the browser says that a page of an allowed origin has led it here."""
    settings = services_of(request).settings
    try:
        return origin_of(request.headers.get("referer", "")) in settings.allowed_return_origins
    except ValueError:
        return False


def _page(
    settings: Settings, name: str, *, status: HTTPStatus = HTTPStatus.OK, **values: object
) -> HTMLResponse:
    template = _templates().get_template(name)
    page = template.render(
        app_name=settings.app_name, support_url=settings.support_url, action=ENTRY, **values
    )
    return HTMLResponse(
        page,
        status,
        {
            "Content-Security-Policy": form_policy(page),
            # Where somebody comes from is asked at the form; its address, with the token in it, stays here.
            "Referrer-Policy": "strict-origin",
        },
    )


@cache
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
