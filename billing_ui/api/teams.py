"""Teams as the company's own product tells of them."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from billing_ui.accounts.provisioning import (
    ProvisionedTeam,
    ToldMember,
    provision_team,
    require_whole_token,
)
from billing_ui.api.bodies import read_json
from billing_ui.api.caller import by_bearer, services_of
from billing_ui.api.errors import BadRequest, Code, EnvelopeRoute
from billing_ui.api.openapi import BEARER, answers, takes
from billing_ui.api.schemas import ListedMember, ListedTeam, ProvisionTeam, Success, success

_MAX_ID = 255

router = APIRouter(route_class=EnvelopeRoute, tags=["Embedding"])


@router.put(
    "/api/teams/{external_id}",
    responses=answers(
        Success[ListedTeam],
        *(Code.INVALID_REQUEST, Code.UNAUTHORIZED, Code.FORBIDDEN, Code.NOT_FOUND),
        *(Code.RATE_LIMITED, Code.PROVIDER_UNAVAILABLE),
    ),
    # It is read by hand, to answer in our own shape whatever stands there.
    openapi_extra={
        "parameters": [
            {
                "name": "external_id",
                "in": "path",
                "required": True,
                "description": "What the product calls the team.",
                "schema": {"type": "string", "minLength": 1, "maxLength": _MAX_ID},
            }
        ]
    }
    | takes(ProvisionTeam, by=[BEARER]),
)
async def put_team(request: Request) -> JSONResponse:
    """Let a team be as the product says, making it and its people when they are new; needs an operator's token.

    `members` is the whole list of the product's people in the team: one of them who is missing in it leaves.
    Whoever has joined here and has no external id stays. People are matched by `externalId`, never by an e-mail
    alone. A team that has an owner keeps one. Saying the same again changes nothing.
    """
    services, identity = services_of(request), await by_bearer(request)
    body = await read_json(request, ProvisionTeam)
    external_id = _external_id(request)
    require_whole_token(identity, operator=True)
    await services.limits.count_call(identity)
    members = body.members
    provisioned = await provision_team(
        services.database,
        identity.actor,
        external_id,
        body.name,
        None
        if members is None
        else [ToldMember(one.role, one.external_id, one.email, one.name) for one in members],
    )
    if provisioned.changed:
        # Whoever is in it no longer, or in another role, sees so at once.
        await services.live.publish(provisioned.team.id)
    return success(_listed(external_id, provisioned))


def _external_id(request: Request) -> str:
    external_id: str = request.path_params["external_id"]
    if not (len(external_id) <= _MAX_ID and external_id.isprintable()):
        raise BadRequest(f"external_id: must be at most {_MAX_ID} printable characters")
    return external_id


def _listed(external_id: str, provisioned: ProvisionedTeam) -> ListedTeam:
    team = provisioned.team
    return ListedTeam(
        id=team.id,
        external_id=external_id,
        name=team.name,
        members=tuple(
            ListedMember(
                id=member.user.id,
                external_id=member.user.external_id,
                email=member.user.email,
                name=member.user.name,
                role=member.role,
            )
            for member in provisioned.members
        ),
    )
