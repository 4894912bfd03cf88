"""People who can sign in."""

import sys
from typing import Annotated

import typer

from billing_ui.accounts import oidc, teams, users
from billing_ui.accounts.password_strength import require_strength
from billing_ui.billing.services import Services
from billing_ui.commands.running import run
from billing_ui.models import Role

app = typer.Typer(help="People who can sign in.", no_args_is_help=True)

Email = Annotated[str, typer.Option("--email", help="E-mail address the person signs in with.")]
PasswordStdin = Annotated[
    bool,
    typer.Option(
        "--password-stdin", help="Read the password from the first line of standard input."
    ),
]


@app.command("create")
def create_user(
    email: Email,
    team: Annotated[str, typer.Option("--team", help="The team's name or id.")],
    role: Annotated[Role, typer.Option(help="What the person is in the team.")],
    name: Annotated[str, typer.Option(help="The person's name.")] = "",
    password_stdin: PasswordStdin = False,
) -> None:
    """Create a person who can sign in, as a member of a team; a team not there yet is created."""
    password = _read_password(password_stdin)

    async def create(services: Services) -> None:
        await require_strength(password, (email, name, services.settings.app_name))
        enrolment = await teams.enrol(services.database, email, password, name, team, role)
        made = enrolment.team
        if enrolment.team_created:
            typer.echo(f"Created the team {made.name} ({made.id}).")
        typer.echo(f"Created {enrolment.user.email}, {role.replace('_', ' ')} of {made.name}.")

    run(create)


@app.command("reset-password")
def reset_password(email: Email, password_stdin: PasswordStdin = False) -> None:
    """Give a person a new password and sign them out everywhere."""
    password = _read_password(password_stdin)

    async def reset(services: Services) -> None:
        await require_strength(password, (email, services.settings.app_name))
        ended = await users.reset_password(services.database, email, password)
        for session_id in ended:
            await services.live.publish_session(session_id)
        typer.echo(f"Changed the password of {email} and ended every session.")

    run(reset, tells=True)


@app.command("link")
def link_identity(
    email: Email,
    issuer: Annotated[str, typer.Option("--issuer", help="The OpenID provider's issuer.")],
    subject: Annotated[
        str, typer.Option("--subject", help="Who the person is there: the claim `sub`.")
    ],
) -> None:
    """Let a person sign in at an OpenID provider as well; make sure first that they are the same."""

    async def link(services: Services) -> None:
        user = await oidc.link_identity(services.database, email, issuer, subject)
        typer.echo(f"{user.email} can sign in as {subject} at {issuer}.")

    run(link)


def _read_password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise typer.BadParameter("without a terminal, give the password with --password-stdin")
    password: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    return password
