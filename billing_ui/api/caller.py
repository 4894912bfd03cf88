"""Who calls: a Bearer token or the session cookie, and the origin a cookie may be used from."""

from dataclasses import replace

from fastapi import Request

from billing_ui.accounts.errors import NoTeam, Unauthenticated
from billing_ui.accounts.sessions import Identity, identify, token_from_cookie_header
from billing_ui.accounts.signed_tokens import is_signed_token
from billing_ui.accounts.teams import find_named_team
from billing_ui.accounts.tokens import identify_token, is_api_token
from billing_ui.api.errors import BadRequest, ForeignOrigin
from billing_ui.billing.services import Services
from billing_ui.models import Role

_SAFE_METHODS = frozenset({"GET", "HEAD"})
_MAX_ID = 255


def services_of(request: Request) -> Services:
    """Return the services the API was created with."""
    services: Services = request.app.state.services()
    return services


async def by_bearer(request: Request) -> Identity:
    """Return who holds the Bearer token: that of a session, an API token, or one a trusted issuer has signed.

    Its shape says which, so each is looked up in one place only.

    Raises:
        Unauthenticated: there is none, or it is not valid.
        NoTeam: it names a team that its person is not in.
        IssuerUnavailable: its issuer's keys are needed, and it does not answer.
    """
    services, token = services_of(request), bearer_token(request)
    if token is not None and is_api_token(token):
        return _known(await identify_token(services.database, token))
    if token is not None and is_signed_token(token):
        return await services.jwt_bearers.identify(services.database, token)
    return _known(await identify(services.database, token))


async def by_cookie(request: Request) -> Identity:
    """Return who holds the session cookie.

    Raises:
        Unauthenticated: there is none, or it is not valid.
        ForeignOrigin: the request changes something and comes from another site's page.
    """
    identity = _known(await identify(services_of(request).database, cookie_token(request)))
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


def team_in_query(request: Request) -> str | None:
    """Return the team that a request names in its address, or None.

    Raises:
        BadRequest: it can be no team's id.
    """
    team = request.query_params.get("team")
    if team is not None and not (0 < len(team) <= _MAX_ID and team.isprintable()):
        raise BadRequest("team: must be an external id or id of a team")
    return team


async def acting_for(request: Request, identity: Identity, team: str | None) -> Identity:
    """Return `identity` in the team that a request names, in its body or its query.

    The operator's tokens have no team of their own and must name one. Everybody else is in one already, and may
    name it or leave it out.

    Args:
        team: the team's external id or id; None when the request names none.

    Raises:
        NoTeam: the operator names none, or one that there is not.
        BadRequest: somebody else names another team than their own.
    """
    database = services_of(request).database
    if identity.operator:
        found = await find_named_team(database, team) if team else None
        if found is None:
            raise NoTeam
        return replace(identity, team_id=found.id, team_name=found.name, role=Role.OWNER)
    if team is not None:
        found = await find_named_team(database, team)
        if found is None or found.id != identity.team_id:
            raise BadRequest("team: is not yours; leave it out")
    return identity


def _known(identity: Identity | None) -> Identity:
    if identity is None:
        raise Unauthenticated
    return identity
