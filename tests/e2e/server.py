"""The whole application as an operator runs it: the production build, in a process group of its own."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx

from billing_ui.billing.services import Services
from billing_ui.settings import Settings
from tests.conftest import free_port
from tests.e2e.sandbox import KEY
from tests.polar_requests import AT_START

_REPOSITORY: Final = Path(__file__).resolve().parents[2]
BUILD: Final = _REPOSITORY / ".build" / "e2e"
LOCK: Final = BUILD.with_suffix(".lock")
"""Two test runs must not build in the same place."""

_START_SECONDS: Final = 240.0
"""The first start installs the pages' own dependencies and builds everything."""
_STOP_SECONDS: Final = 20.0
_INHERITED: Final = ("SANDBOX_PORT", "STRIPE_API_BASE")
"""What a test run may be given: a recorder can then stand between the application and the sandbox."""


def is_free(port: int) -> bool:
    """Return whether nothing listens on `port`."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@dataclass
class Server:
    """One installation; `data` holds its database, the sandbox's and the log.

    `settings` are set beside what is needed anyway, and `build` is where its pages are built.
    """

    data: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    build: Path = BUILD
    port: int = field(default_factory=free_port)
    sandbox_port: int = field(
        default_factory=lambda: int(os.environ.get("SANDBOX_PORT") or free_port())
    )
    _process: subprocess.Popen[bytes] | None = None

    @property
    def base_url(self) -> str:
        """Where people reach it."""
        return f"http://localhost:{self.port}"

    @property
    def sandbox_url(self) -> str:
        """Where its payment provider is."""
        return f"http://127.0.0.1:{self.sandbox_port}"

    @property
    def api_base(self) -> str:
        """Where its calls to the provider go: to a recorder in between, if there is one."""
        given = self.settings.get("STRIPE_API_BASE") or os.environ.get("STRIPE_API_BASE")
        return given or self.sandbox_url

    @property
    def database_url(self) -> str:
        """Its database."""
        return self.settings.get("DATABASE_URL") or f"sqlite:///{self.data / 'billing.db'}"

    def open_services(self) -> Services:
        """Open its database and its provider in this process, for a test's own use."""
        return Services.open(
            Settings(
                _env_file=None,
                port=self.port,
                base_url=self.base_url,
                database_url=self.database_url,
                secret_key="for tests only",
                stripe_secret_key=KEY,
                stripe_api_base=self.api_base,
            )
        )

    @property
    def log(self) -> Path:
        """What it prints."""
        return self.data / "server.log"

    def start(self) -> None:
        """Build and start; returns when it is ready to be sent people."""
        place = _prepare_place(self.build)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [str(Path(sys.executable).with_name("reflex")), "run", "--env", "prod"],
                cwd=place,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """End it as an operator would; what does not go is killed."""
        if self._process is None:
            return
        self._signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_STOP_SECONDS)
        self.kill()

    def kill(self) -> None:
        """End the whole process group at once, without a chance to clean up."""
        if self._process is None:
            return
        self._signal(signal.SIGKILL)
        self._process.wait()
        self._process = None

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    @property
    def environment(self) -> dict[str, str]:
        """Its environment, without what a developer has set for an installation of their own."""
        theirs = {name.upper() for name in Settings.model_fields}
        kept = {
            name: value
            for name, value in os.environ.items()
            if name not in theirs and not name.startswith(("REFLEX_", "OIDC_"))
        }
        inherited = {name: os.environ[name] for name in _INHERITED if os.environ.get(name)}
        return {
            **kept,
            **inherited,
            "PYTHONPATH": f"{AT_START}{os.pathsep}{_REPOSITORY}",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PORT": str(self.port),
            "SANDBOX_PORT": str(self.sandbox_port),
            "DATABASE_URL": self.database_url,
            "RATE_LIMITS": "off",
            **self.settings,
        }

    def _wait_until_ready(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise AssertionError(f"the server ended:\n{self.tail()}")
            with suppress(httpx.TransportError):
                if httpx.get(f"{self.base_url}/readyz", trust_env=False).is_success:
                    return
            time.sleep(0.1)
        raise AssertionError(f"the server is not ready:\n{self.tail()}")

    def tail(self, lines: int = 60) -> str:
        """Return the end of the log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def _prepare_place(build: Path) -> Path:
    """Return a directory to build in: a developer's own build and `.env` are left alone."""
    build.mkdir(parents=True, exist_ok=True)
    for name in ("rxconfig.py", "assets"):
        link = build / name
        if not link.exists():
            link.symlink_to(_REPOSITORY / name)
    return build
