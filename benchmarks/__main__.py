"""`python -m benchmarks [figure…]`: measure, print one table, and write JSON where asked to."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Final

import typer

from benchmarks import accept, backfill, click, live, million, page, portal
from benchmarks.databases import Kind
from benchmarks.results import Row, show, write
from benchmarks.run import Run

FIGURES: Final[dict[str, Callable[[Run], AsyncIterator[Row]]]] = {
    figure.NAME: figure.measure for figure in (portal, click, accept, backfill, live, page, million)
}


log = logging.getLogger(__name__)

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    figures: Annotated[
        list[str] | None,
        typer.Argument(help=f"Which: {', '.join(FIGURES)}; all when none is named."),
    ] = None,
    database: Annotated[
        Kind | None, typer.Option(help="Measure on this one only, where a database takes part.")
    ] = None,
    json: Annotated[
        Path | None, typer.Option(help="Write the figures to this file as well.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Only see that it runs; the figures say little.")
    ] = False,
) -> None:
    """Measure how fast it is beside bare loops that do the same work."""
    unknown = set(figures or ()) - set(FIGURES)
    if unknown:
        raise typer.BadParameter(f"no such figure: {', '.join(sorted(unknown))}")
    # Ended from outside, it ends what it has started, as after Ctrl+C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with TemporaryDirectory(prefix="bench-") as directory:
        run = Run((database,) if database else tuple(Kind), quick, Path(directory))
        rows, failed = asyncio.run(_measure(run, figures or list(FIGURES)))
    show(rows)
    if json is not None:
        write(rows, json)
    if failed:
        typer.echo(f"Not measured: {', '.join(failed)}. What happened stands above.", err=True)
        raise typer.Exit(1)


async def _measure(run: Run, names: list[str]) -> tuple[list[Row], list[str]]:
    """Return the rows, and the names of the figures that could not be measured, or not to their end."""
    rows: list[Row] = []
    failed: list[str] = []
    for name in names:
        try:
            async for row in FIGURES[name](run):
                where = row.database or "no database"
                typer.echo(f"{row.figure} ({where}): {row.score:.3g}", err=True)
                rows.append(row)
        except Exception:
            # The minutes that the other figures take must not be lost with it.
            log.exception("%s could not be measured", name)
            failed.append(name)
    return rows, failed


if __name__ == "__main__":
    app()
