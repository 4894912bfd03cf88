"""Signing in and out: native forms, because a websocket cannot set an HttpOnly cookie, and the API's own way."""

from urllib.parse import parse_qs, quote
from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from starlette.background import BackgroundTask

from billing_ui.accounts.demo import DEMO_ACCOUNTS
from billing_ui.accounts.errors import InvalidCredentials
from billing_ui.accounts.limits import TooManyTries
from billing_ui.accounts.sessions import session_cookie, sign_in, sign_in_as, sign_out
from billing_ui.api.bodies import read_form, read_json
from billing_ui.api.caller import cookie_token, require_own_origin, services_of
from billing_ui.api.errors import BadRequest, Code, EnvelopeRoute, NoSuchPath
from billing_ui.api.leaving import leaving_page
from billing_ui.api.openapi import answers, takes
from billing_ui.api.schemas import SignIn, Success, Token, success
from billing_ui.billing.return_urls import BILLING_PAGE, SIGN_IN_PAGE, allowed_return_url
from billing_ui.billing.services import Services
from billing_ui.payments.types import InvalidReturnUrl
from billing_ui.settings import Settings

router = APIRouter(route_class=EnvelopeRoute, tags=["Signing in"])
forms = APIRouter(route_class=EnvelopeRoute, include_in_schema=False)


@router.post(
    "/api/auth/sign-in",
    responses=answers(Success[Token], Code.INVALID_REQUEST, Code.UNAUTHORIZED, Code.RATE_LIMITED),
    openapi_extra=takes(SignIn),
)
async def sign_in_for_token(request: Request) -> JSONResponse:
    """Check e-mail and password; answer a token and set the session cookie to it."""
    # No origin is asked for: another site's page cannot send application/json here without leave.
    services = services_of(request)
    body = await read_json(request, SignIn)
    async with services.limits.counting_failed_sign_in(body.email):
        token = await sign_in(services.database, body.email, body.password.get_secret_value())
    await _end_session(request)
    cookie = session_cookie(services.settings, token)
    return success(Token(token=token), headers={"Set-Cookie": cookie})


@forms.post("/auth/sign-in")
async def sign_in_by_form(request: Request) -> RedirectResponse:
    """Check the sign-in form; go on to `next`, or back to the form."""
    require_own_origin(request)
    services = services_of(request)
    form = await read_form(request)
    destination = destination_of(request, form)
    email, password = form.get("email", ""), form.get("password", "")
    try:
        async with services.limits.counting_failed_sign_in(email):
            token = await sign_in(services.database, email, password)
    except (InvalidCredentials, TooManyTries) as error:
        reason = "limited" if isinstance(error, TooManyTries) else "credentials"
        onward = f"&next={quote(destination, safe='')}" if destination else ""
        return see(services.settings, f"{SIGN_IN_PAGE}?error={reason}{onward}")
    return await signed_in(request, token, destination)


@forms.post("/auth/demo")
async def sign_in_to_demo(request: Request) -> RedirectResponse:
    """Sign in as a demo account, without a password; only the sandbox has them."""
    services = services_of(request)
    if not services.settings.sandbox:
        raise NoSuchPath
    require_own_origin(request)
    form = await read_form(request)
    account = DEMO_ACCOUNTS.get(form.get("account", ""))
    if account is None:
        raise BadRequest(f"account: must be one of {', '.join(DEMO_ACCOUNTS)}")
    token = await sign_in_as(services.database, account.user_id)
    return await signed_in(request, token, destination_of(request, form))


@forms.post("/auth/sign-out")
async def sign_out_by_form(request: Request) -> Response:
    """End the session and forget its cookie; go on to sign out at the OpenID provider it came from."""
    require_own_origin(request)
    services = services_of(request)
    settings, single_sign_on = services.settings, services.single_sign_on
    elsewhere = await single_sign_on.elsewhere(cookie_token(request))
    await _end_session(request)
    url = await single_sign_on.sign_out_url(elsewhere) if elsewhere else None
    response: Response = see(settings, SIGN_IN_PAGE)
    if url is not None:
        response = leaving_page(settings, url, "You are signed out here", "Sign out there too")
    response.headers["Set-Cookie"] = session_cookie(settings, None)
    return response


async def signed_in(request: Request, token: str, destination: str | None) -> RedirectResponse:
    """Give the browser a fresh token, which replaces the one it had, and send it on; to the billing page for None."""
    services = services_of(request)
    ended = await sign_out(services.database, cookie_token(request), replaced=True)
    response = see(services.settings, destination or BILLING_PAGE)
    response.headers["Set-Cookie"] = session_cookie(services.settings, token)
    # Once the browser has the new cookie: its other tabs then find themselves signed in again.
    response.background = BackgroundTask(_empty_pages, services, ended)
    return response


async def _end_session(request: Request) -> None:
    """End the session in the cookie, if there is one."""
    services = services_of(request)
    await _empty_pages(services, await sign_out(services.database, cookie_token(request)))


async def _empty_pages(services: Services, session_id: UUID | None) -> None:
    """Let every page that an ended session has open show nothing more."""
    if session_id is not None:
        await services.live.publish_session(session_id)


def see(settings: Settings, path: str) -> RedirectResponse:
    """Send the browser on to a page of ours."""
    return RedirectResponse(settings.base_url + path, 303)


def destination_of(request: Request, form: dict[str, str]) -> str | None:
    """Return where the person wanted to go before they had to sign in, if `form` or the page says so and it is safe."""
    wish = form.get("next")
    if not wish:
        # The form was sent before its page had come alive: what it would have said is in its address.
        query = request.headers.get("referer", "").partition("?")[2]
        wish = parse_qs(query).get("next", [""])[0]
    return _local_path(services_of(request).settings, wish)


def _local_path(settings: Settings, value: str | None) -> str | None:
    """Return `value` when it is a path of this site that is safe to go to; a wrong one is forgotten."""
    if not value or not value.startswith("/"):
        return None
    try:
        allowed_return_url(settings, value)
    except InvalidReturnUrl:
        return None
    return value
