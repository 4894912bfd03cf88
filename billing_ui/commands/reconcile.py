"""Comparing our copy with the payment provider."""

import json
from dataclasses import asdict
from functools import partial
from typing import Annotated, Any

import typer

from billing_ui.billing.reconcile import DriftReport, ReconcileProgress, reconcile
from billing_ui.billing.services import Services
from billing_ui.commands.running import run
from billing_ui.terminal import progress, time_left


def compare(
    fix: Annotated[
        bool, typer.Option("--fix", help="Fetch anew what differs, and store unknown customers.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON object, for programs.")
    ] = False,
) -> None:
    """Compare every customer with the payment provider, and report what differs.

    The exit code is 1 when something differs and is not mended, or cannot be compared.
    """
    report = run(partial(_compare, fix=fix), provider=True, tells=fix)
    if as_json:
        typer.echo(json.dumps(_report_document(report), indent=2))
    else:
        _echo_report(report)
    if not report.clean:
        raise typer.Exit(1)


async def _compare(services: Services, *, fix: bool) -> DriftReport:
    with progress() as show:

        def report(step: ReconcileProgress) -> None:
            parts = [
                f"{step.compared:,} of {step.customers:,} customers",
                f"{step.drifted:,} differ",
                time_left(step.seconds_left),
            ]
            show(step.compared, step.customers, " · ".join(filter(None, parts)))

        return await reconcile(services, fix=fix, progress=report)


def _echo_report(report: DriftReport) -> None:
    for drift in report.drift:
        typer.echo(str(drift))
    for name in report.unknown:
        typer.echo(f"{name}: unknown here")
    for name, reason in report.failures.items():
        typer.echo(f"{name}: {reason}")
    typer.echo(
        f"Compared {report.compared}, {report.drifted} differ, {len(report.fixed)} mended, "
        f"{report.behind} were changing or out of date, {len(report.failures)} failed."
    )


def _report_document(report: DriftReport) -> dict[str, Any]:
    return {
        "compared": report.compared,
        "drift": [asdict(drift) for drift in report.drift],
        "unknown": report.unknown,
        "fixed": sorted(report.fixed),
        "behind": report.behind,
        "failures": report.failures,
        "clean": report.clean,
    }
