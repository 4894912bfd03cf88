"""The documentation: what it points to is there."""

import re
from pathlib import Path
from pkgutil import resolve_name

import pytest

from billing_ui.payments.driver import Driver

REPOSITORY = Path(__file__).parents[2]
DOCUMENTS = [
    *(REPOSITORY / name for name in ("README.md", "CHANGELOG.md", "benchmarks/README.md")),
    *sorted((REPOSITORY / "docs").glob("*.md")),
]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_links_and_images_lead_somewhere(document: Path) -> None:
    text = document.read_text()
    targets = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'src="([^"]+)"', text)
    for target in targets:
        if "://" in target:
            continue
        path, _, heading = target.partition("#")
        found = document.parent / path if path else document
        assert found.exists(), target
        headings = re.findall(r"^#+ (.+)$", found.read_text(), re.MULTILINE) if heading else []
        assert not heading or heading in [line.lower().replace(" ", "-") for line in headings]


def test_the_tests_that_show_a_protection_are_there() -> None:
    text = (REPOSITORY / "docs" / "security.md").read_text()
    rows = [line.split("|") for line in text.splitlines() if line.startswith("|")][2:]
    assert rows
    for _, threat, _, shown_by, _ in rows:
        named = re.findall(r"`([^`]+)`", shown_by)
        assert named, threat
        assert all((REPOSITORY / "tests" / file).is_file() for file in named), shown_by


@pytest.mark.parametrize("package", ["accounts", "billing"])
def test_every_use_case_is_in_the_table_of_where_to_look(package: str) -> None:
    text = (REPOSITORY / "docs" / "architecture.md").read_text()
    table = text.partition(f"## Where in `{package}/`")[2].partition("\n## ")[0]
    modules = {file.stem for file in (REPOSITORY / "billing_ui" / package).glob("*.py")}
    assert set(re.findall(r"`([a-z_]+)`", table)) == modules - {"__init__"}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_every_file_and_folder_that_is_named_is_there(document: Path) -> None:
    places = [REPOSITORY, REPOSITORY / "billing_ui", REPOSITORY / "tests"]
    for path in re.findall(r"`([a-z_]+/[a-z_/]*(?:\.py|\.md)?)`", document.read_text()):
        assert any((place / path).exists() for place in [*places, document.parent]), path


def test_every_function_on_the_journeys_is_there() -> None:
    text = (REPOSITORY / "docs" / "architecture.md").read_text()
    named = re.findall(r"`((?:accounts|api|billing|driver)(?:\.[a-z_]+)+)`", text)
    assert named
    for name in named:
        layer, _, rest = name.partition(".")
        # It raises unless there is such a module, function or class.
        found = getattr(Driver, rest) if layer == "driver" else resolve_name(f"billing_ui.{name}")
        assert found is not None
