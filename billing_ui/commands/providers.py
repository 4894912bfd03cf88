"""The payment providers of this installation, and who is with which."""

import json
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from babel import Locale

from billing_ui.billing.provider_report import ProviderReport, report_providers
from billing_ui.billing.words import provider_name
from billing_ui.commands.running import run
from billing_ui.i18n import DEFAULT_LOCALE, Reader
from billing_ui.payments.types import SubscriptionState
from billing_ui.settings import load_settings

app = typer.Typer(help="The payment providers, and who is with which.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep the name of the only command."""


@app.command("report")
def report(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON object, for programs.")
    ] = False,
) -> None:
    """Count teams and subscriptions by provider and state, as our tables have them; nobody is asked."""
    found = run(report_providers)
    if as_json:
        typer.echo(json.dumps(_document(found), indent=2))
        return
    for line in _table(found):
        typer.echo(line)
    for sentence in _remarks(found):
        typer.echo(sentence)


def _table(found: ProviderReport) -> list[str]:
    """Return the lines of a table; of the states, only those that occur have a column."""
    states = [
        state for state in SubscriptionState if any(state in one.states for one in found.providers)
    ]
    words = [state.value.replace("_", " ") for state in states]
    rows: list[Sequence[str]] = [("provider", "role", "teams", "no team", *words)]
    rows += [
        (
            provider_name(one.provider),
            one.role.value,
            *(f"{count:,}" for count in (one.teams, one.unclaimed)),
            *(f"{one.states.get(state, 0):,}" for state in states),
        )
        for one in found.providers
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(_cells(row, widths)).rstrip() for row in rows]


def _cells(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    # Words begin where they begin, numbers end where they end.
    return [
        cell.ljust(width) if place < 2 else cell.rjust(width)
        for place, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]


def _remarks(found: ProviderReport) -> list[str]:
    reader = Reader(Locale.parse(DEFAULT_LOCALE), load_settings().zone)
    remarks = []
    if found.stranded:
        teams = reader.plural(found.stranded, "team is a customer", "teams are customers")
        remarks.append(
            f"{teams} of a provider that is not served, and can change nothing. Name it in LEGACY_PROVIDERS."
        )
    if found.paying_twice:
        teams = reader.plural(found.paying_twice, "team has", "teams have")
        more = ", …" if found.paying_twice > len(found.paying_twice_named) else ""
        named = ", ".join(found.paying_twice_named)
        remarks.append(f"{teams} a live plan at several providers: {named}{more}")
    return remarks


def _document(found: ProviderReport) -> dict[str, Any]:
    return {
        "providers": [
            {
                "provider": one.provider.value,
                "role": one.role.value,
                "teams": one.teams,
                "unclaimed": one.unclaimed,
                "subscriptions": {state.value: count for state, count in one.states.items()},
            }
            for one in found.providers
        ],
        "stranded_teams": found.stranded,
        "teams_paying_twice": found.paying_twice,
    }
