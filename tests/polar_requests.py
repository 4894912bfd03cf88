"""Every request to Polar's API that a test run makes, whichever of its processes sends it: noted in one file."""

import os
from ast import literal_eval
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Final, Self

import httpx

_BESIDE: Final = Path(__file__).resolve().parents[2] / "shared/data/polar-2026-10.openapi.json"
DESCRIPTION: Final = Path(os.environ.get("POLAR_OPENAPI") or _BESIDE)
"""Where Polar's own description of its API is, if it is; it is too large to be kept beside the tests."""

FILE: Final = "POLAR_REQUESTS_NOTED_IN"
"""The environment variable that says to a process where to note its requests."""
AT_START: Final = Path(__file__).with_name("at_start")
"""The directory by which a process of Python's does so; for its PYTHONPATH, before that of the repository."""


@dataclass(frozen=True)
class Asked:
    """One request as it went out, and the status it was answered with; None when no answer came."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: dict[str, str]
    body: bytes
    status: int | None = None

    @classmethod
    def by(cls, request: httpx.Request, status: int | None) -> Self:
        """Return what `request`, whose body has been read, asked."""
        url = request.url
        query = tuple(url.params.multi_items())
        headers = dict(request.headers)
        return cls(request.method, url.path, query, headers, request.content, status)

    @property
    def refused(self) -> bool:
        """Whether it was asked wrongly, as far as who answered is concerned."""
        return self.status is not None and 400 <= self.status < 500

    @property
    def by_the_sdk(self) -> bool:
        """Whether it was made by Polar's SDK, as all that our driver asks is."""
        return "polar-version" in self.headers


@dataclass
class Notes:
    """What has been noted in a file, each request once."""

    file: Path
    _read: int = 0

    def new(self) -> list[Asked]:
        """Return the requests that were answered since the last call."""
        if not self.file.exists():
            return []
        with self.file.open("rb") as noted:
            noted.seek(self._read)
            # Another process may be writing the last line right now.
            whole = noted.read().rpartition(b"\n")
        self._read += len(whole[0] + whole[1])
        return [Asked(*literal_eval(line)) for line in whole[0].decode().splitlines()]


def note_requests() -> None:
    """Note whatever this process asks of Polar from now on, if its environment says where.

    Polar's SDK and the tests alike ask by httpx's asynchronous clients.
    """
    if file := os.environ.get(FILE):
        _note_in(Path(file))


def _note_in(file: Path) -> None:
    send = httpx.AsyncHTTPTransport.handle_async_request

    async def noted(self: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
        if not _is_to_polar(request):
            return await send(self, request)
        await request.aread()
        status = None
        try:
            answer = await send(self, request)
            status = answer.status_code
        finally:
            line = f"{astuple(Asked.by(request, status))}\n"
            # In one piece, so that the lines of several processes do not mix.
            with file.open("ab", buffering=0) as out:
                out.write(line.encode())
        return answer

    httpx.AsyncHTTPTransport.handle_async_request = noted  # type: ignore[method-assign]


def _is_to_polar(request: httpx.Request) -> bool:
    """Return whether a request is one to Polar: nobody else is shown a key of Polar's, or asked in its version."""
    key = request.headers.get("authorization", "")
    return "polar-version" in request.headers or key.startswith("Bearer polar_")
