"""What the reliability tests run beside the application."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.redis_server import RedisServer


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    """The URL of a Redis of the test's own."""
    server = RedisServer(tmp_path)
    server.start()
    yield server.url
    server.stop()
