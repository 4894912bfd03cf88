"""Comparing our copy with the payment provider."""

import json
from dataclasses import asdict
from functools import partial
from typing import Annotated, Any

import typer

from billing_ui.billing.drift_report import LISTED_AT_MOST, DriftReport, Tally
from billing_ui.billing.reconcile import ReconcileProgress, begun_at, reconcile
from billing_ui.billing.services import Services
from billing_ui.commands.running import run
from billing_ui.terminal import progress, time_left


def compare(
    fix: Annotated[
        bool, typer.Option("--fix", help="Fetch anew what differs, and store unknown customers.")
    ] = False,
    anew: Annotated[
        bool, typer.Option("--anew", help="Begin again instead of going on where a run ended.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON object, for programs.")
    ] = False,
) -> None:
    """Compare every customer with the payment provider, and report what differs.

    Started again after any end, it goes on where it was, and reports what was found before as well. Everything is
    counted; of differences, unknown customers and failures the first 500 each are listed.

    The exit code is 1 when something differs and is not mended, or cannot be compared.
    """
    try:
        report = run(partial(_compare, fix=fix, anew=anew), provider=True, tells=fix)
    except KeyboardInterrupt:
        command = "billing-ui reconcile --fix" if fix else "billing-ui reconcile"
        typer.echo(f"Stopped. Go on with: {command}", err=True)
        raise typer.Exit(130) from None
    if as_json:
        typer.echo(json.dumps(_report_document(report), indent=2))
    else:
        _echo_report(report)
    if not report.clean:
        raise typer.Exit(1)


async def _compare(services: Services, *, fix: bool, anew: bool) -> DriftReport:
    began = None if anew else await begun_at(services, fix=fix)
    if began is not None:
        said = f"Going on with the run that began at {began:%Y-%m-%d %H:%M} UTC"
        typer.echo(f"{said}; --anew begins again.", err=True)
    with progress() as show:

        def report(step: ReconcileProgress) -> None:
            parts = [
                f"{step.compared:,} of {step.customers:,} customers",
                f"{step.listed:,} looked up in the provider's list" if step.listed else "",
                f"{step.drifted:,} differ",
                time_left(step.seconds_left),
            ]
            show(step.compared, step.customers, " · ".join(filter(None, parts)))

        return await reconcile(services, fix=fix, progress=report, anew=anew)


def _echo_report(report: DriftReport) -> None:
    for drift in report.drift.listed:
        typer.echo(str(drift))
    _echo_rest(report.drift, "differences")
    for name in report.unknown.listed:
        typer.echo(f"{name}: unknown here")
    _echo_rest(report.unknown, "unknown customers")
    for failure in report.failures.listed:
        typer.echo(f"{failure.customer}: {failure.reason}")
    _echo_rest(report.failures, "failures")
    typer.echo(
        f"Compared {report.compared:,}, {report.drifted:,} differ, {report.fixed.count:,} mended, "
        f"{report.behind:,} were changing or out of date, {report.failures.count:,} failed."
    )
    if report.resumed:
        typer.echo(f"This includes what was done since {report.began_at:%Y-%m-%d %H:%M} UTC.")


def _echo_rest(found: Tally[Any], what: str) -> None:
    if rest := found.count - len(found.listed):
        typer.echo(f"… and {rest:,} more {what}, which are counted only.")


def _report_document(report: DriftReport) -> dict[str, Any]:
    return {
        "began_at": report.began_at.isoformat(),
        "resumed": report.resumed,
        "compared": report.compared,
        "drift": [asdict(drift) for drift in report.drift.listed],
        "unknown": report.unknown.listed,
        "fixed": report.fixed.listed,
        "behind": report.behind,
        "failures": {one.customer: one.reason for one in report.failures.listed},
        "counts": {
            "drifted": report.drifted,
            "differences": report.drift.count,
            "unknown": report.unknown.count,
            "fixed": report.fixed.count,
            "failures": report.failures.count,
        },
        "listed_at_most": LISTED_AT_MOST,
        "clean": report.clean,
    }
