"""Who calls: a Bearer token or the session cookie, and the origin a cookie may be used from."""

from fastapi import Request

from billing_ui.accounts.errors import Unauthenticated
from billing_ui.accounts.sessions import Identity, identify, token_from_cookie_header
from billing_ui.api.errors import ForeignOrigin
from billing_ui.billing.services import Services

_SAFE_METHODS = frozenset({"GET", "HEAD"})


def services_of(request: Request) -> Services:
    """Return the services the API was created with."""
    services: Services = request.app.state.services()
    return services


async def by_bearer(request: Request) -> Identity:
    """Return who holds the Bearer token.

    Raises:
        Unauthenticated: there is none, or it is not valid.
    """
    return await _known(request, bearer_token(request))


async def by_cookie(request: Request) -> Identity:
    """Return who holds the session cookie.

    Raises:
        Unauthenticated: there is none, or it is not valid.
        ForeignOrigin: the request changes something and comes from another site's page.
    """
    identity = await _known(request, cookie_token(request))
    if request.method not in _SAFE_METHODS:
        require_own_origin(request)
    return identity


async def by_bearer_or_cookie(request: Request) -> Identity:
    """Return who holds the Bearer token or, when none is sent, the session cookie.

    A Bearer token that is not valid is refused even beside a good cookie: whoever sends one means it.
    An Authorization header of another scheme, such as a proxy's Basic, is not ours and is passed over.

    Raises:
        Unauthenticated, ForeignOrigin: as `by_bearer` and `by_cookie`.
    """
    if bearer_token(request) is not None:
        return await by_bearer(request)
    return await by_cookie(request)


def cookie_token(request: Request) -> str | None:
    """Return the session token in the cookie, or None."""
    header = "; ".join(request.headers.getlist("cookie"))
    return token_from_cookie_header(services_of(request).settings, header)


def require_own_origin(request: Request) -> None:
    """Let only pages under BASE_URL through; browsers state the origin of every POST.

    Raises:
        ForeignOrigin: the origin is another one, or is not said.
    """
    settings = services_of(request).settings
    if request.headers.getlist("origin") != [settings.base_origin]:
        raise ForeignOrigin(settings.base_url)


def bearer_token(request: Request) -> str | None:
    """Return the token in the Authorization header, None when it holds none of that kind."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


async def _known(request: Request, token: str | None) -> Identity:
    identity = await identify(services_of(request).database, token)
    if identity is None:
        raise Unauthenticated
    return identity
