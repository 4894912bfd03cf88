"""The forms of one-time links and of passwords, posted natively because each may begin a session.

A link's token stands behind the `#` of its address, which browsers send to nobody: it is in no log of ours or of a
proxy, in no Referer, and nothing that follows links to look at them has it. The page's script takes it out of the
address and puts it into the form.
"""

from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse

from billing_ui.accounts.errors import (
    AccountError,
    EmailTaken,
    InvalidCredentials,
    InvalidEmail,
)
from billing_ui.accounts.invitations import accept, sign_up
from billing_ui.accounts.limits import TooManyTries
from billing_ui.accounts.new_passwords import change_password, reset_by_link
from billing_ui.accounts.password_strength import WeakPassword
from billing_ui.accounts.sessions import identify
from billing_ui.api.auth import signed_in
from billing_ui.api.bodies import read_form
from billing_ui.api.caller import by_cookie, cookie_token, require_own_origin, services_of
from billing_ui.api.errors import EnvelopeRoute
from billing_ui.billing.return_urls import (
    ACCOUNT_PAGE,
    BILLING_PAGE,
    INVITATION_PAGE,
    RESET_PAGE,
)

forms = APIRouter(route_class=EnvelopeRoute, include_in_schema=False)

_MAX_NAME = 200


@forms.post("/auth/invitation")
async def use_invitation(request: Request) -> RedirectResponse:
    """Let somebody into a team: whoever is signed in, or somebody new with a name and a password."""
    require_own_origin(request)
    services = services_of(request)
    form = await read_form(request)
    token, password = form.get("token", ""), form.get("password")
    visitor = await identify(services.database, cookie_token(request))
    if visitor is not None and visitor.entered:
        # Whom the product let in has an account of their own here, or makes one.
        visitor = None
    if visitor is not None and password is not None:
        # They have signed in elsewhere since the form was shown: the page asks whether they want to join as that.
        return _see(request, INVITATION_PAGE)
    try:
        if visitor is None:
            name = form.get("name", "").strip()[:_MAX_NAME]
            email = form.get("email", "")
            session_token = await sign_up(services.database, token, email, name, password or "")
            joined = await identify(services.database, session_token)
            if joined is not None and joined.team_id is not None:
                await services.live.publish(joined.team_id)
            return await signed_in(request, session_token, None)
        team_id = await accept(services.database, token, visitor)
    except AccountError as error:
        return _back(request, INVITATION_PAGE, error)
    await services.live.publish(team_id)
    if visitor.session_id is not None:
        await services.live.publish_session(visitor.session_id)
    return _see(request, BILLING_PAGE)


@forms.post("/auth/password")
async def use_password_link(request: Request) -> RedirectResponse:
    """Give whom a link is for the password they chose; they are signed in here, and nowhere else any more."""
    require_own_origin(request)
    services = services_of(request)
    form = await read_form(request)
    try:
        reset = await reset_by_link(
            services.database, form.get("token", ""), form.get("password", "")
        )
    except AccountError as error:
        return _back(request, RESET_PAGE, error)
    for session_id in reset.ended:
        await services.live.publish_session(session_id)
    return await signed_in(request, reset.token, None)


@forms.post("/auth/own-password")
async def change_own_password(request: Request) -> RedirectResponse:
    """Give whoever is signed in, and knows their present password, another one; all other sessions end."""
    require_own_origin(request)
    services = services_of(request)
    form = await read_form(request)
    try:
        asker = await by_cookie(request)
        async with services.limits.counting_failed_sign_in(asker.email):
            ended = await change_password(
                services.database, asker, form.get("current", ""), form.get("password", "")
            )
    except AccountError as error:
        return _back(request, ACCOUNT_PAGE, error)
    for session_id in ended:
        await services.live.publish_session(session_id)
    return _see(request, f"{ACCOUNT_PAGE}?said=password")


def _back(request: Request, page: str, error: AccountError) -> RedirectResponse:
    """Show a page again, which says what is wrong; about the link itself it finds out anew."""
    reason = _reason(error)
    return _see(request, f"{page}?error={quote(reason, safe='')}" if reason else page)


def _reason(error: AccountError) -> str:
    match error:
        case WeakPassword():
            return error.weakness.value
        case EmailTaken():
            return "taken"
        case InvalidEmail():
            return "email"
        case InvalidCredentials():
            return "current"
        case TooManyTries():
            return "limited"
        case _:
            return ""


def _see(request: Request, path: str) -> RedirectResponse:
    return RedirectResponse(services_of(request).settings.base_url + path, 303)
