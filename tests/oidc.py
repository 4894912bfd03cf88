"""A real OpenID provider for the tests: npm's certified `oidc-provider`, as a process of its own."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx
from filelock import FileLock

from tests.conftest import free_port

_SOURCE: Final = Path(__file__).parent / "oidc_provider"
_INSTALLED: Final = Path(__file__).resolve().parents[1] / ".build" / "oidc-provider"
_START_SECONDS: Final = 60.0
_DISCOVERY: Final = "/.well-known/openid-configuration"

CLIENT_SECRET: Final = "a secret: of 100% & more"  # Nothing of it may get lost in a header.


@dataclass
class OpenIdProvider:
    """One provider and the one site that is registered there."""

    number: int
    site: str
    port: int = field(default_factory=free_port)
    client_id: str = "billing+ui"
    _process: subprocess.Popen[bytes] | None = None

    @property
    def issuer(self) -> str:
        """What it is called, and where it is."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def settings(self) -> dict[str, str]:
        """What the application has to be told."""
        prefix = "OIDC_" if self.number == 1 else f"OIDC_{self.number}_"
        return {
            f"{prefix}ISSUER": self.issuer,
            f"{prefix}CLIENT_ID": self.client_id,
            f"{prefix}CLIENT_SECRET": CLIENT_SECRET,
            f"{prefix}LABEL": f"Acme ID {self.number}",
        }

    def start(self) -> None:
        """Start it if need be; returns when it answers. What it knew before is forgotten, its keys included."""
        if self._process is not None:
            return
        registered = {
            "port": self.port,
            "clientId": self.client_id,
            "clientSecret": CLIENT_SECRET,
            "redirectUri": f"{self.site}/auth/oidc/{self.number}/callback",
            "postLogoutRedirectUri": f"{self.site}/sign-in",
        }
        self._process = subprocess.Popen(
            [_beside_python("node"), "provider.mjs", json.dumps(registered)],
            cwd=_install(),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            assert self._process.poll() is None, "the provider ended"
            with suppress(httpx.TransportError):
                if httpx.get(f"{self.issuer}{_DISCOVERY}", trust_env=False).is_success:
                    return
            time.sleep(0.05)
        raise AssertionError("the provider does not answer")

    def stop(self) -> None:
        """End it: nobody answers at its address any more."""
        if self._process is not None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process.wait()
            self._process = None

    def rotate_keys(self) -> None:
        """Let it sign with a new key from now on, and publish no other."""
        self._control({"rotate": True})

    @contextmanager
    def tampering(self, kind: str) -> Iterator[None]:
        """Let its ID tokens be wrong meanwhile; `provider.mjs` lists the kinds."""
        self._control({"tamper": kind})
        try:
            yield
        finally:
            self._control({"tamper": None})

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Let it show the way back to the site as the link "Go back" meanwhile, and lead nobody there by itself."""
        self._control({"hold": True})
        try:
            yield
        finally:
            self._control({"hold": False})

    def _control(self, wish: dict[str, object]) -> None:
        answer = httpx.post(f"{self.issuer}/_control", json=wish, trust_env=False)
        assert answer.is_success, answer.text


def _install() -> Path:
    """Return a directory with the provider and what it needs, installed once for each set of versions."""
    lock_file = (_SOURCE / "package-lock.json").read_bytes()
    done = _INSTALLED / f".installed-{hashlib.sha256(lock_file).hexdigest()[:16]}"
    _INSTALLED.mkdir(parents=True, exist_ok=True)
    with FileLock(_INSTALLED.with_suffix(".lock")):
        for name in ("package.json", "package-lock.json", "provider.mjs"):
            shutil.copy(_SOURCE / name, _INSTALLED / name)
        if not done.exists():
            subprocess.run(
                [_beside_python("npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
                cwd=_INSTALLED,
                check=True,
                # npm itself looks for node on the way.
                env={
                    **os.environ,
                    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
                },
            )
            done.touch()
    return _INSTALLED


def _beside_python(program: str) -> str:
    return str(Path(sys.executable).with_name(program))
