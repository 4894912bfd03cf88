"""One run: what every figure is given."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.databases import Kind, new_database
from billing_ui.database import Database
from billing_ui.migrations import upgrade


@dataclass(frozen=True)
class Run:
    """What was asked for on the command line, and a directory for files.

    Attributes:
        databases: those a figure with a database is measured on.
        quick: whether to measure just enough to see that it runs.
    """

    databases: tuple[Kind, ...]
    quick: bool
    directory: Path

    def few(self, usual: int, quick: int) -> int:
        """Return how often to do something: `usual`, or `quick` times in a quick run."""
        return quick if self.quick else usual

    @asynccontextmanager
    async def database(self, kind: Kind) -> AsyncIterator[Database]:
        """Open a new, migrated database."""
        with new_database(kind, self.directory) as url:
            await upgrade(url)
            database = Database(url)
            try:
                yield database
            finally:
                await database.close()
