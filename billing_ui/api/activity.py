"""The team's audit log as a file."""

from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from billing_ui.accounts.audit import KEPT_FOR, AuditKind, Filter, export_csv
from billing_ui.accounts.permissions import Action, require
from billing_ui.api.caller import (
    acting_for,
    by_bearer_or_cookie,
    services_of,
    team_in_query,
)
from billing_ui.api.errors import BadRequest, Code, EnvelopeRoute
from billing_ui.api.openapi import BEARER, COOKIE, TEAM_IN_QUERY, answers, takes
from billing_ui.api.schemas import Failure
from billing_ui.clock import utc_now

router = APIRouter(route_class=EnvelopeRoute, tags=["Activity"])

_CSV: Final = {
    "description": "Done; newest first, with a header",
    "content": {"text/csv": {"schema": {"type": "string"}}},
}
_PARAMETERS: Final[list[dict[str, Any]]] = [
    {
        "name": "kind",
        "in": "query",
        "description": "Only entries about this; absent or empty for all.",
        "schema": {"type": "string", "enum": ["", *AuditKind]},
    },
    {
        "name": "person",
        "in": "query",
        "description": "Only what was done by, or to, somebody in whose e-mail or name this stands.",
        "schema": {"type": "string"},
    },
    {
        "name": "days",
        "in": "query",
        "description": "Only what was done within so many days; absent or empty for the whole year.",
        "schema": {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": KEPT_FOR.days},
                {"type": "string", "maxLength": 0},
            ]
        },
    },
]


@router.get(
    "/api/activity.csv",
    response_class=StreamingResponse,
    responses=answers(
        Failure,
        *(Code.INVALID_REQUEST, Code.UNAUTHORIZED, Code.FORBIDDEN, Code.NOT_FOUND),
        *(Code.RATE_LIMITED, Code.PROVIDER_UNAVAILABLE),
    )
    | {200: _CSV},
    openapi_extra=takes(by=[BEARER, COOKIE]) | {"parameters": [*_PARAMETERS, TEAM_IN_QUERY]},
)
async def activity_csv(request: Request) -> StreamingResponse:
    """Export who did what in the team during the past year; for its owners and billing managers.

    A text that a spreadsheet would take for a formula begins with an apostrophe.
    """
    caller = await by_bearer_or_cookie(request)
    which = Filter(_kind(request), request.query_params.get("person", ""), _days(request))
    identity = await acting_for(request, caller, team_in_query(request))
    team_id = require(identity, Action.VIEW_ACTIVITY)
    services = services_of(request)
    await services.limits.count_call(identity)
    return StreamingResponse(
        export_csv(services.database, team_id, which=which),
        media_type="text/csv; charset=utf-8; header=present",
        headers={
            "Content-Disposition": f'attachment; filename="activity-{utc_now():%Y-%m-%d}.csv"'
        },
    )


def _kind(request: Request) -> AuditKind | None:
    name = request.query_params.get("kind")
    if not name:
        return None
    if name not in set(AuditKind):
        raise BadRequest(f"kind: must be one of {', '.join(AuditKind)}")
    return AuditKind(name)


def _days(request: Request) -> int | None:
    text = request.query_params.get("days")
    if not text:
        return None
    # Longer ones are refused as well, and some that int() would take are no numbers on the wire.
    days = int(text) if text.isascii() and text.isdigit() and len(text) <= 3 else 0
    if not 1 <= days <= KEPT_FOR.days:
        raise BadRequest(f"days: must be a whole number from 1 to {KEPT_FOR.days}")
    return days
