"""Load: a process of its own that sends prepared requests over raw connections, so that asking costs the server little.

`python -m benchmarks.load` reads one JSON command a line from standard input and answers each with one line.
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

_LINE_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True)
class Answered:
    """What a burst of calls took: each call in milliseconds, and all together in seconds."""

    milliseconds: tuple[float, ...]
    seconds: float


def request(method: str, path: str, body: bytes = b"", **headers: str) -> str:
    """Return an HTTP/1.1 request as text; in a header's name an underscore stands for a hyphen."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", body.decode()])


class Load:
    """The process, seen from the one that measures."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        """Talk to a process that `load` started."""
        self._process = process

    async def send(
        self, port: int, requests: Sequence[str], *, calls: int, connections: int = 1
    ) -> Answered:
        """Send `calls` requests, taken from `requests` in turn, each connection one after the other.

        Raises:
            RuntimeError: an answer was not a 2xx; the message holds it.
        """
        command = {
            "port": port,
            "requests": list(requests),
            "calls": calls,
            "connections": connections,
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        await self._process.stdin.drain()
        answer = json.loads(await self._process.stdout.readline())
        if "refused" in answer:
            raise RuntimeError(answer["refused"])
        return Answered(tuple(answer["milliseconds"]), answer["seconds"])


@asynccontextmanager
async def load() -> AsyncIterator[Load]:
    """Start the process; it ends with the block."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.load"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=_LINE_BYTES,
    )
    try:
        yield Load(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


class _Connection(asyncio.Protocol):
    """Sends the next request as soon as the answer to the one before is whole."""

    def __init__(
        self, requests: Iterator[bytes], milliseconds: list[float], done: asyncio.Future[None]
    ) -> None:
        self.requests = requests
        self.milliseconds = milliseconds
        self.done = done
        self.received = b""
        self.sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self.transport = transport

    def send_next(self) -> None:
        request = next(self.requests, None)
        if request is None:
            self.transport.close()
            self.done.set_result(None)
            return
        self.sent_at = time.perf_counter()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, separator, body = self.received.partition(b"\r\n\r\n")
        if not separator or len(body) < _content_length(head):
            return
        self.milliseconds.append((time.perf_counter() - self.sent_at) * 1000)
        if not head.startswith(b"HTTP/1.1 2"):
            self.done.set_exception(RuntimeError(self.received.decode(errors="replace")))
            return
        self.received = b""
        self.send_next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(RuntimeError(f"connection lost: {exc}"))


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise RuntimeError(f"an answer without a length: {head.decode(errors='replace')}")


async def _burst(port: int, requests: list[bytes], calls: int, connections: int) -> Answered:
    loop = asyncio.get_running_loop()
    milliseconds: list[float] = []
    source = (requests[number % len(requests)] for number in range(calls))
    opened = []
    for _ in range(connections):
        done = loop.create_future()
        protocol = _Connection(source, milliseconds, done)
        await loop.create_connection(lambda made=protocol: made, "127.0.0.1", port)  # type: ignore[misc]
        opened.append(protocol)
    began = time.perf_counter()
    for connection in opened:
        connection.send_next()
    await asyncio.gather(*(connection.done for connection in opened))
    return Answered(tuple(milliseconds), time.perf_counter() - began)


def _main() -> None:
    for line in sys.stdin:
        command = json.loads(line)
        requests = [text.encode() for text in command["requests"]]
        try:
            answered = asyncio.run(
                _burst(command["port"], requests, command["calls"], command["connections"])
            )
        except (OSError, RuntimeError) as error:
            answer: dict[str, Any] = {"refused": str(error)}
        else:
            answer = {"milliseconds": answered.milliseconds, "seconds": answered.seconds}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _main()
