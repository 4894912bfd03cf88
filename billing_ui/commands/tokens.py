"""API tokens: of a team, or of the operator, who names a team in each call."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

import typer

from billing_ui.accounts import teams
from billing_ui.accounts.audit import OPERATOR
from billing_ui.accounts.permissions import Scope
from billing_ui.accounts.tokens import PREFIX, active_tokens, create_token, revoke_token
from billing_ui.billing.services import Services
from billing_ui.commands.running import fail, run
from billing_ui.models import ApiToken

app = typer.Typer(help="API tokens, by which programs call the API.", no_args_is_help=True)

TeamOption = Annotated[
    str, typer.Option("--team", help="The team it acts for, by its name or id.", show_default=False)
]
OperatorOption = Annotated[
    bool, typer.Option("--operator", help="One that acts for any team: each call names it.")
]


@app.command("create")
def create(
    name: Annotated[str, typer.Option(help="What it is known by, such as where it is used.")],
    team: TeamOption = "",
    operator: OperatorOption = False,
    scope: Annotated[
        list[Scope] | None, typer.Option(help="What it may do; once for each. All when not given.")
    ] = None,
    days: Annotated[
        int | None, typer.Option(help="How many days it is valid. For ever when not given.")
    ] = None,
) -> None:
    """Make an API token and print it, which happens this once."""
    _check_owner(team, operator)

    async def make(services: Services) -> None:
        made = await create_token(
            services.database,
            team_id=await _owner(services, team),
            actor=OPERATOR,
            name=name,
            scopes=scope or tuple(Scope),
            lifetime=None if days is None else timedelta(days=days),
        )
        typer.echo(_line(made.token), err=True)
        typer.echo("Keep it now. It is not shown again.", err=True)
        # Alone on standard output, so that it can go straight to where it is kept.
        typer.echo(made.secret)

    run(make)


@app.command("list")
def list_tokens(team: TeamOption = "", operator: OperatorOption = False) -> None:
    """List the tokens that work: id, name, its end, scopes, when it was used last, until when it is valid."""
    _check_owner(team, operator)

    async def show(services: Services) -> None:
        tokens = await active_tokens(services.database, await _owner(services, team))
        for token in tokens:
            typer.echo(f"{token.id}  {_line(token)}")
        if not tokens:
            typer.echo("No tokens.", err=True)

    run(show)


@app.command("revoke")
def revoke(
    token: Annotated[str, typer.Argument(help="Its id, its name, or its last four characters.")],
    team: TeamOption = "",
    operator: OperatorOption = False,
) -> None:
    """Let a token work no more, from the next call on."""
    _check_owner(team, operator)

    async def end(services: Services) -> None:
        owner = await _owner(services, team)
        chosen = _find(await active_tokens(services.database, owner), token)
        await revoke_token(services.database, chosen.id, team_id=owner, actor=OPERATOR)
        typer.echo(f"Revoked {chosen.name} ({PREFIX}…{chosen.hint}).")

    run(end)


def _check_owner(team: str, operator: bool) -> None:
    if bool(team) == operator:
        raise typer.BadParameter("give either --team or --operator")


async def _owner(services: Services, team: str) -> UUID | None:
    return (await teams.find_team(services.database, team)).id if team else None


def _find(tokens: Sequence[ApiToken], wanted: str) -> ApiToken:
    found = [
        token
        for token in tokens
        if wanted in (str(token.id), token.name) or wanted.removeprefix(f"{PREFIX}…") == token.hint
    ]
    if not found:
        fail("No such token works. `billing-ui tokens list` shows those that do.")
    if len(found) > 1:
        fail("Several tokens are called so. Give the token's id instead.")
    return found[0]


def _line(token: ApiToken) -> str:
    expires = f"expires {_moment(token.expires_at)}" if token.expires_at else "never expires"
    used = f"used {_moment(token.last_used_at)}" if token.last_used_at else "never used"
    return "  ".join((token.name, f"{PREFIX}…{token.hint}", ",".join(token.scopes), used, expires))


def _moment(moment: datetime) -> str:
    return moment.isoformat(timespec="minutes").replace("+00:00", "Z")
