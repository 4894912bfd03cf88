"""The documentation: what it points to is there."""

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
DOCUMENTS = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]


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
