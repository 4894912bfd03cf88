"""Signing in at an OpenID provider: the way there, and the way back."""

from urllib.parse import quote

import structlog
from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse

from billing_ui.accounts.oidc_attempts import (
    attempt_cookie,
    find_attempt,
    forget_abandoned,
    forget_attempt,
)
from billing_ui.accounts.oidc_client import Provider
from billing_ui.accounts.oidc_errors import ProviderSignInFailed, UnknownProvider
from billing_ui.api.auth import destination_of, see, signed_in
from billing_ui.api.caller import services_of
from billing_ui.api.errors import EnvelopeRoute, NoSuchPath
from billing_ui.billing.return_urls import SIGN_IN_PAGE
from billing_ui.settings import Settings, origin_of

log = structlog.get_logger(__name__)

router = APIRouter(route_class=EnvelopeRoute, include_in_schema=False)

_OWN_SITES = frozenset({"same-origin", "none"})


@router.get("/auth/oidc/{number}")
async def begin(request: Request, number: str) -> RedirectResponse:
    """Send the browser to the provider, to come back to `callback`.

    A link and no form: a page's `form-action` holds for all redirects that follow, through hosts of the provider's
    that nobody can list. A link of another site's page would sign somebody in unasked, so whoever comes from one
    is shown the sign-in page first, where the button is.
    """
    provider = _provider(request, number)
    services = services_of(request)
    destination = destination_of(request, dict(request.query_params))
    if not _comes_from_here(request):
        return see(services.settings, SIGN_IN_PAGE + _query(next=destination))
    try:
        attempt, url = await services.single_sign_on.begin(provider, destination)
    except ProviderSignInFailed as failure:
        return _failed(services.settings, provider, failure, destination)
    response = RedirectResponse(url, 303)
    for cookie in forget_abandoned(services.settings, request.cookies):
        response.headers.append("Set-Cookie", cookie)
    response.headers.append("Set-Cookie", attempt_cookie(services.settings, attempt))
    return response


@router.get("/auth/oidc/{number}/callback")
async def callback(request: Request, number: str) -> RedirectResponse:
    """Take what the provider sends the browser back with, and begin a session or say why there is none."""
    provider = _provider(request, number)
    services = services_of(request)
    answer, destination = request.query_params, None
    state = answer.get("state", "")
    try:
        attempt = find_attempt(services.settings, request.cookies, provider.number, state)
        destination = attempt.destination
        person = await services.single_sign_on.finish(provider, attempt, answer)
    except ProviderSignInFailed as failure:
        response = _failed(services.settings, provider, failure, destination)
    else:
        response = await signed_in(request, person.token, destination)
    # Whatever came of it: an answer is taken once.
    if state:
        response.headers.append("Set-Cookie", forget_attempt(services.settings, state))
    return response


def _provider(request: Request, number: str) -> Provider:
    try:
        return services_of(request).single_sign_on.provider(number)
    except UnknownProvider:
        raise NoSuchPath from None


def _failed(
    settings: Settings, provider: Provider, failure: ProviderSignInFailed, destination: str | None
) -> RedirectResponse:
    query = _query(error=failure.key, provider=str(provider.number), next=destination)
    return see(settings, SIGN_IN_PAGE + query)


def _query(**fields: str | None) -> str:
    given = [f"{name}={quote(value, safe='')}" for name, value in fields.items() if value]
    return f"?{'&'.join(given)}" if given else ""


def _comes_from_here(request: Request) -> bool:
    """Return whether one of our pages led here, or nobody's page did, as when the address was typed.

    Browsers say so where nobody can listen on the way. Elsewhere they tell our own pages' address, and a browser
    that tells nothing was not led here by a page of ours.
    """
    settings = services_of(request).settings
    if site := request.headers.get("sec-fetch-site"):
        # In development the pages are on another port, which is the same site.
        return site in _OWN_SITES or (settings.development and site == "same-site")
    try:
        return origin_of(request.headers.get("referer", "")) in settings.page_origins
    except ValueError:
        return False
