"""The benchmarks run and print ratios; what the ratios are is no test's business."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import FIGURES
from benchmarks.results import Row

REPOSITORY = Path(__file__).parents[2]


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m benchmarks`."""
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )


def row(ours: float, bare: float | None, *, lower_is_better: bool = True) -> Row:
    """Return a figure whose bar is 3 and whose moonshot is 2, or 0.3 and 0.5 when more is better."""
    bar, moonshot = (3.0, 2.0) if lower_is_better else (0.3, 0.5)
    return Row("a figure", "sqlite", ours, bare, "ms", bar, moonshot, lower_is_better, 1)


def test_a_quick_run_prints_a_table_and_writes_the_same_as_json(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    done = bench("million", "--database", "sqlite", "--quick", "--json", str(file))
    assert done.returncode == 0, done.stderr
    assert "page load" in done.stdout
    figures = json.loads(file.read_text())["rows"]
    assert [figure["database"] for figure in figures] == ["sqlite", "sqlite"]
    assert all(figure["score"] == figure["ours"] / figure["bare"] > 0 for figure in figures)


@pytest.mark.soak
def test_every_figure_can_be_measured(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    done = bench("--quick", "--json", str(file))
    assert done.returncode == 0, done.stderr
    measured = {figure["figure"] for figure in json.loads(file.read_text())["rows"]}
    assert len(measured) >= len(FIGURES)


def test_a_figure_that_does_not_exist_is_named() -> None:
    done = bench("portle")
    assert done.returncode != 0
    assert "portle" in done.stderr


def test_a_figure_is_held_against_its_marks() -> None:
    assert row(2.0, 1.0).verdict == "moonshot"
    assert row(2.5, 1.0).verdict == "met"
    assert row(3.1, 1.0).verdict == "missed"
    assert row(0.4, 1.0, lower_is_better=False).verdict == "met"
    assert row(0.2, 1.0, lower_is_better=False).verdict == "missed"


def test_without_a_bare_loop_the_figure_itself_is_held_against_the_bar() -> None:
    assert row(2.5, None).score == 2.5
