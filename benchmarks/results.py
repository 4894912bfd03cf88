"""What was measured: one row a figure, as a table for people and as JSON for programs."""

import json
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from os import cpu_count
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Row:
    """One figure beside what it is compared with.

    Attributes:
        ours: what the application took or did, in `unit`.
        bare: the same of the bare loop; None where the bar is an absolute number.
        bar, moonshot: what `score` must reach: at most when `lower_is_better`, else at least.
        n: how many measurements `ours` is made of.
    """

    figure: str
    database: str | None
    ours: float
    bare: float | None
    unit: str
    bar: float
    moonshot: float
    lower_is_better: bool
    n: int

    @property
    def score(self) -> float:
        """What is held against the bar: the ratio to the bare loop, or our own figure where there is none."""
        return self.ours if self.bare is None else self.ours / self.bare

    @property
    def verdict(self) -> str:
        """Which mark it reaches."""
        if self._reaches(self.moonshot):
            return "moonshot"
        return "met" if self._reaches(self.bar) else "missed"

    def as_json(self) -> dict[str, Any]:
        """Return the row for a program."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {**fields, "score": self.score, "verdict": self.verdict}

    def _reaches(self, mark: float) -> bool:
        return self.score <= mark if self.lower_is_better else self.score >= mark


def show(rows: Sequence[Row]) -> None:
    """Print the rows as a table."""
    table = Table(title="Ratios to the bare loop of the same run")
    for name in ("figure", "database"):
        table.add_column(name)
    for name in ("ours", "bare", "ratio", "bar", "moonshot", "n"):
        table.add_column(name, justify="right")
    table.add_column("")
    for row in rows:
        sign = "≤" if row.lower_is_better else "≥"
        table.add_row(
            row.figure,
            row.database or "–",
            f"{row.ours:,.4g} {row.unit}",
            "–" if row.bare is None else f"{row.bare:,.4g} {row.unit}",
            "–" if row.bare is None else f"{row.score:.2f} ×",
            f"{sign} {row.bar:g}",
            f"{sign} {row.moonshot:g}",
            str(row.n),
            row.verdict,
        )
    Console(width=150).print(table)


def write(rows: Sequence[Row], file: Path) -> None:
    """Write the rows to `file`, with what they were measured on."""
    machine = {
        "machine": platform.machine(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "cores": cpu_count(),
    }
    document = {**machine, "rows": [row.as_json() for row in rows]}
    file.write_text(json.dumps(document, indent=2) + "\n")
