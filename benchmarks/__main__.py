"""`python -m benchmarks [figure…]`: measure, print one table, and write JSON where asked to."""

import asyncio
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
        rows = asyncio.run(_measure(run, figures or list(FIGURES)))
    show(rows)
    if json is not None:
        write(rows, json)


async def _measure(run: Run, names: list[str]) -> list[Row]:
    rows = []
    for name in names:
        async for row in FIGURES[name](run):
            typer.echo(f"{row.figure} ({row.database or 'no database'}): {row.score:.3g}", err=True)
            rows.append(row)
    return rows


if __name__ == "__main__":
    app()
