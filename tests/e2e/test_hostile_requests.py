"""Bytes that no browser sends, at the running server: whatever it answers, it is no failure of its own."""

import asyncio

import pytest

from tests.e2e.server import Server
from tests.hostile_headers import MALFORMED_HEADERS, NO_HEADERS

_TARGETS = (b"GET /settings/billing", b"GET /api/billing/subscription", b"POST /auth/sign-in")
_SECONDS = 10.0


async def statuses(server: Server, requests: list[bytes]) -> list[tuple[bytes, int | None]]:
    """Send each request over a connection of its own; return what was answered, None for nothing at all."""
    # Few at a time: it is about what is sent, not about how much.
    gate = asyncio.Semaphore(8)

    async def one(request: bytes) -> tuple[bytes, int | None]:
        async with gate:
            return request, await status_of(server, request)

    return await asyncio.gather(*map(one, requests))


async def status_of(server: Server, request: bytes) -> int | None:
    """Send one request as it is; return the status of the answer, None when the connection was closed on it."""
    reader, writer = await asyncio.open_connection("localhost", server.port)
    try:
        writer.write(request)
        line = await asyncio.wait_for(reader.readline(), _SECONDS)
    except (ConnectionError, TimeoutError):
        return None
    finally:
        writer.transport.abort()
    return int(line.split()[1]) if line else None


def request_with(target: bytes, *lines: bytes) -> bytes:
    """Return a request with these header lines beside the usual ones."""
    named = {line.partition(b":")[0].strip().lower() for line in lines}
    usual = (b"Host: localhost", b"Content-Length: 2", b"Connection: close")
    kept = (line for line in usual if line.partition(b":")[0].lower() not in named)
    return b"\r\n".join((target + b" HTTP/1.1", *kept, *lines, b"", b"{}"))


@pytest.mark.parametrize("target", _TARGETS, ids=bytes.decode)
async def test_malformed_headers_break_nothing(server: Server, target: bytes) -> None:
    requests = [request_with(target, name + b": " + value) for name, value in MALFORMED_HEADERS]
    answers = await statuses(server, requests)
    assert [pair for pair in answers if pair[1] is not None and pair[1] >= 500] == []
    assert sum(status is not None for _, status in answers) > len(requests) / 2


@pytest.mark.parametrize("target", _TARGETS, ids=bytes.decode)
async def test_what_is_no_header_breaks_nothing(server: Server, target: bytes) -> None:
    answers = await statuses(server, [request_with(target, line) for line in NO_HEADERS])
    assert [pair for pair in answers if pair[1] is not None and pair[1] >= 500] == []


@pytest.mark.parametrize(
    "target",
    [
        b"GET //evil.example/settings/billing/",
        b"GET /settings/billing/%2f%2fevil.example/",
        b"GET /\\evil.example/",
        b"GET /sign-in%00",
        b"GET /sign-in/%0d%0aLocation:%20https://evil.example",
        b"GET /../../../../etc/passwd",
        b"GET /%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        b"GET /assets/..%2f..%2f..%2frxconfig.py",
        b"GET /\xff\xfe",
        b"GET http://evil.example/sign-in/",
        b"GET " + b"/a" * 8000,
        b"GET /sign-in?" + b"next=%ff&" * 500,
        b"OPTIONS *",
        b"TRACE /sign-in",
        b"CONNECT evil.example:443",
        b"BREW /sign-in",
        b"GET /_event/?EIO=4&transport=polling",
        b"GET /_event/?EIO=99&transport=carrier-pigeon",
        b"POST /_upload",
        b"GET /_upload/../../secret-key",
    ],
    ids=lambda value: value[:40].decode("latin-1"),
)
async def test_a_strange_target_leads_nowhere_and_breaks_nothing(
    server: Server, target: bytes
) -> None:
    reader, writer = await asyncio.open_connection("localhost", server.port)
    writer.write(request_with(target))
    answer = await asyncio.wait_for(reader.read(65536), _SECONDS)
    writer.transport.abort()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert not head or int(head.split()[1]) < 500, head
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"location:"):
            where = line.partition(b":")[2].strip()
            # Or to the very host that the request has named.
            assert where.startswith((b"/", server.base_url.encode(), b"http://localhost/")), line
            assert not where.startswith((b"//", b"/\\")), line
    assert b"root:" not in body
    assert b"import reflex" not in body


async def test_it_serves_people_as_before(server: Server) -> None:
    assert await status_of(server, request_with(b"GET /sign-in")) == 200
    assert await status_of(server, request_with(b"GET /readyz")) == 200
