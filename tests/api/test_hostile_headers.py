"""Headers that nobody's browser sends: refused or ignored, and nothing breaks of them."""

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import Message

from tests.api.world import BASE_URL, World
from tests.hostile_headers import MALFORMED_HEADERS

ROUTES = (
    ("GET", "/api/billing/subscription", {401}),
    ("GET", "/api/billing/invoices", {401}),
    ("GET", "/api/billing/departures/x", {303}),
    ("POST", "/api/billing/portal", {401}),
    ("POST", "/api/payments/portal", {401}),
    ("POST", "/api/billing/checkout", {401}),
    ("POST", "/api/auth/sign-in", {400, 401}),
    ("POST", "/auth/sign-in", {303, 400, 403}),
    ("POST", "/auth/sign-out", {303, 403}),
    ("POST", "/api/webhooks/stripe", {400, 401, 404}),
    ("GET", "/healthz", {200}),
)


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """SQLite alone: nothing here depends on the database."""
    return sqlite_url


async def ask(
    api: FastAPI, method: str, path: str, header: tuple[bytes, bytes], body: bytes = b"{}"
) -> tuple[int, dict[bytes, bytes]]:
    """Send a request with a raw header of its own; return status and headers of the answer."""
    name, value = header[0].lower(), header[1]
    usual = {
        b"host": b"localhost:3000",
        b"origin": BASE_URL.encode(),
        b"content-type": b"application/json" if path.startswith("/api") else b"text/html",
    }
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [*(usual | {name: value}).items()],
        "client": ("127.0.0.1", 1),
        "server": ("localhost", 3000),
    }
    answers: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        answers.append(message)

    await api(scope, receive, send)
    return answers[0]["status"], dict(answers[0]["headers"])


def test_the_table_is_long_and_repeats_nothing() -> None:
    assert len(MALFORMED_HEADERS) >= 70
    assert len(set(MALFORMED_HEADERS)) == len(MALFORMED_HEADERS)


@pytest.mark.parametrize(("method", "path", "expected"), ROUTES, ids=lambda value: str(value))
async def test_no_header_breaks_a_route_or_lets_somebody_in(
    api: FastAPI, method: str, path: str, expected: set[int]
) -> None:
    for header in MALFORMED_HEADERS:
        status, answered = await ask(api, method, path, header)
        assert status in expected, header
        assert b"evil" not in answered.get(b"location", b""), header
        assert b"set-cookie" not in answered or path == "/auth/sign-out", header


async def test_a_good_session_holds_beside_every_header_that_says_nothing_of_who_asks(
    client: httpx.AsyncClient, world: World
) -> None:
    person = await world.person()
    for name, value in MALFORMED_HEADERS:
        if name in (b"Cookie", b"Authorization"):
            continue
        response = await client.get(
            "/api/billing/subscription",
            headers=[(b"Cookie", person.cookie["Cookie"].encode()), (name, value)],
        )
        assert response.status_code == 200, (name, value)
