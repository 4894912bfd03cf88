"""A running sandbox with something to sell."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import running_sandbox
from tests.sandbox.shop import Shop


@pytest.fixture(scope="session")
def hosting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The URL and the database file of a sandbox that the tests of the hosted pages share."""
    database = tmp_path_factory.mktemp("hosting") / "sandbox.db"
    with running_sandbox(database) as url:
        yield url, database


@pytest.fixture
def shop(hosting: tuple[str, Path]) -> Shop:
    """A shop with plans of its own, in the shared sandbox."""
    return Shop(*hosting)
