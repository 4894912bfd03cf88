"""The HTTP API as one FastAPI app; the roof serves it in front of the pages."""

from collections.abc import Callable, Sequence
from importlib.metadata import version

from fastapi import FastAPI
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Receive, Scope, Send

from billing_ui.api import (
    activity,
    auth,
    billing,
    docs,
    entries,
    health,
    invoice_pdf,
    links,
    metrics,
    oidc,
    payments,
    teams,
    webhooks,
)
from billing_ui.api.errors import Code, NoSuchPath, Problem, envelope, problem_of
from billing_ui.api.health import Readiness
from billing_ui.api.middleware import Observed, OneHost, OwnWebsockets, QuietAnswers
from billing_ui.api.security_headers import SecurityHeaders
from billing_ui.billing.services import Services


def create_api(services: Callable[[], Services], readiness: Readiness) -> FastAPI:
    """Return the API.

    Args:
        services: called when a request needs them, so that the app's start may open them later.
        readiness: what `/readyz` tells; the app's start keeps it up to date.
    """
    app = FastAPI(
        title="Billing API",
        version=version("billing-ui"),
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        # It would lead to the host the request names, in plain http even behind TLS.
        redirect_slashes=False,
    )
    app.state.services = services
    app.state.readiness = readiness
    # They are looked through in this order: what is asked for most often stands first.
    parts = (
        *(webhooks.router, billing.router, payments.router, auth.router, auth.forms, oidc.router),
        *(teams.router, entries.router, entries.pages, links.forms),
        *(activity.router, invoice_pdf.router, health.router, metrics.router, docs.router),
    )
    routes = [route for part in parts for route in part.routes]
    # Flat and not by include_router, which would add a step to each request and change nothing here.
    app.router.routes.extend(routes)
    # Behind these routes stand the pages: without this one, a mistyped API address would answer with HTML.
    app.router.routes.append(Route("/api/{path:path}", _Unknown(routes), include_in_schema=False))
    app.add_middleware(QuietAnswers)
    app.add_middleware(OneHost, settings=lambda: services().settings)
    app.add_middleware(OwnWebsockets, settings=lambda: services().settings)
    app.add_middleware(SecurityHeaders, settings=lambda: services().settings)
    app.add_middleware(Observed, settings=lambda: services().settings)
    return app


class _Unknown:
    """Answers for API addresses that do not exist, or not with that method."""

    def __init__(self, known: Sequence[BaseRoute]) -> None:
        self.known = known

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        allowed: set[str] = set()
        for route in self.known:
            if isinstance(route, Route) and route.matches(scope)[0] is Match.PARTIAL:
                allowed |= route.methods or set()
        if allowed:
            response = envelope(
                Problem(Code.METHOD_NOT_ALLOWED, f"Use {' or '.join(sorted(allowed))} here")
            )
            response.headers["Allow"] = ", ".join(sorted(allowed))
        else:
            response = envelope(problem_of(NoSuchPath()))
        await response(scope, receive, send)
