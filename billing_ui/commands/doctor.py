"""Finding out what is wrong with an installation."""

import json
from typing import Annotated

import typer

from billing_ui.billing.doctor import Level, examine
from billing_ui.commands.running import run


def doctor(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON list, for programs.")
    ] = False,
) -> None:
    """Look for everything that is wrong here or at the provider, and say how to mend it; changes nothing.

    The exit code is 1 when there is a problem, and 0 otherwise, warnings or not.
    """
    findings = run(examine, provider=True, migrate=False)
    if as_json:
        document = [finding.model_dump(mode="json") for finding in findings]
        typer.echo(json.dumps(document, indent=2))
    else:
        for finding in findings:
            typer.echo(f"{finding.level:<8} {finding.what}")
            if finding.mend:
                typer.echo(f"{'':<8} {finding.mend}")
    if any(finding.level is Level.PROBLEM for finding in findings):
        raise typer.Exit(1)
