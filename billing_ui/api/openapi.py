"""The API's own description: every answer and error of a route, as they really leave."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from billing_ui.api.errors import STATUS, Code
from billing_ui.api.schemas import Failure

_REF: Final = "#/components/schemas/{model}"
_DESCRIPTION: Final = """
Amounts are integers in minor units, times are ISO 8601 in UTC.

Every failure is `{"success": false, "error": {"code", "message"}}`, except on `/api/payments/portal`.

When a request breaks several rules, the first of these is answered: who you are (401), where you come from (403), \
the body (400), team (404), role (403), customer (404), provider (409), return URL (400), limits (429).

A token may make 120 calls a minute, and a person open the portal 30 times and download 30 PDFs; only calls that \
break no other rule are counted. `Retry-After` says in how many seconds to try again.

A Bearer token goes before a cookie. A POST with the cookie needs this site's `Origin`.
"""

_BEARER_DESCRIPTION: Final = """
One of three, told apart by their shape:

- an **API token** (`bui_…`), which acts for its team within its scopes `portal`, `read` and `checkout`; an operator's \
token acts for the `team` that the call names;
- an access token (JWT) of the **OpenID provider** this site trusts, for its audience: acts for its person, in the \
team of its claim `team` or else their first one;
- the token of a **session**, as `/api/auth/sign-in` answers it.

`WWW-Authenticate` says why a JWT was refused.
"""

BEARER: Final = "bearer"
COOKIE: Final = "cookie"

TEAM_IN_QUERY: Final[Mapping[str, Any]] = {
    "name": "team",
    "in": "query",
    "description": "External id or id of the team; an operator's token must name one, others may omit it.",
    "schema": {"type": "string"},
}
"""How a call without a body names the team it is about."""


def answers(
    good: type[BaseModel], *codes: Code, failure: type[BaseModel] = Failure
) -> dict[int | str, dict[str, Any]]:
    """Return what a route answers: `good` with 200, and `failure` with the status of each code."""
    return {200: {"model": good, "description": "Done"}} | _refusals(codes, failure)


def leads_on(where: str, *codes: Code) -> dict[int | str, dict[str, Any]]:
    """Return what a route answers that redirects with 303; `where` says whereto."""
    location = {"Location": {"schema": {"type": "string", "format": "uri"}}}
    return {303: {"description": where, "headers": location}} | _refusals(codes, Failure)


def _refusals(codes: Sequence[Code], failure: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    described: dict[int | str, dict[str, Any]] = {}
    by_status: dict[int, list[str]] = {}
    for code in (*codes, Code.INTERNAL_ERROR):
        by_status.setdefault(STATUS[code].value, []).append(f"`{code}`")
    for status, names in by_status.items():
        described[status] = {"model": failure, "description": " or ".join(names)}
    return described


def takes(
    body: type[BaseModel] | None = None, *, by: Sequence[str] = (), required: bool = True
) -> dict[str, Any]:
    """Return a route's extra description: the JSON body it reads by itself, and how callers say who they are."""
    extra: dict[str, Any] = {"security": [{scheme: []} for scheme in by]}
    if body is not None:
        schema = {"$ref": _REF.format(model=body.__name__)}
        extra["requestBody"] = {
            "required": required,
            "content": {"application/json": {"schema": schema}},
        }
    return extra


def describe(app: FastAPI, bodies: Sequence[type[BaseModel]], cookie_name: str) -> dict[str, Any]:
    """Return the OpenAPI document of `app`, with the schemas of `bodies`, which routes read by themselves."""
    document = get_openapi(
        title=app.title, version=app.version, description=_DESCRIPTION, routes=app.routes
    )
    _, definitions = models_json_schema(
        [(body, "validation") for body in bodies], ref_template=_REF
    )
    components = document.setdefault("components", {})
    components.setdefault("schemas", {}).update(definitions.get("$defs", {}))
    components["securitySchemes"] = {
        BEARER: {"type": "http", "scheme": "bearer", "description": _BEARER_DESCRIPTION},
        COOKIE: {
            "type": "apiKey",
            "in": "cookie",
            "name": cookie_name,
            "description": "The session of somebody who signed in with this browser.",
        },
    }
    return document
