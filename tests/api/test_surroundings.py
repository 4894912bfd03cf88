"""What surrounds every request: ids, host names, headers, health and the log."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from pydantic import SecretStr
from starlette.responses import PlainTextResponse
from structlog.testing import capture_logs

from billing_ui.api.app import create_api
from billing_ui.api.health import Readiness
from billing_ui.billing.services import Services
from billing_ui.settings import Settings
from tests.api.world import BASE_URL, World, client_of
from tests.redis_server import RedisServer


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """SQLite alone: nothing here depends on the database."""
    return sqlite_url


# ---------------------------------------------------------------- request ids


async def test_every_answer_carries_an_id_of_its_own(client: httpx.AsyncClient) -> None:
    first, second = [
        (await client.get(path)).headers["x-request-id"] for path in ("/healthz", "/api/nothing")
    ]
    assert len(first) == 32
    assert first != second


async def test_an_id_given_by_a_proxy_is_kept(client: httpx.AsyncClient) -> None:
    response = await client.get("/healthz", headers={"X-Request-Id": "edge-1.2_3"})
    assert response.headers["x-request-id"] == "edge-1.2_3"


@pytest.mark.parametrize("given", ["", "a b", "a" * 65, 'x"', "é"])
async def test_an_id_that_does_not_fit_a_log_is_replaced(
    client: httpx.AsyncClient, given: str
) -> None:
    response = await client.get("/healthz", headers={b"X-Request-Id": given.encode()})
    assert len(response.headers["x-request-id"]) == 32


async def test_an_unexpected_failure_is_logged_under_the_requests_id_without_its_path(
    client: httpx.AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr("billing_ui.api.billing.by_cookie", broken)
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logs:
        response = await client.get(
            "/api/billing/departures/secret-ticket", headers={"X-Request-Id": "this-one"}
        )
    assert response.status_code == 500
    entry, answered = logs
    assert answered["event"] == "request"
    assert entry["event"] == "request_failed"
    assert entry["log_level"] == "error"
    assert entry["request_id"] == "this-one"
    assert isinstance(entry["exc_info"], RuntimeError)
    assert "secret-ticket" not in str(logs)


async def test_a_failure_of_the_provider_is_logged_with_its_reason(
    client: httpx.AsyncClient, world: World
) -> None:
    person = await world.person()
    await world.customer(person.team)
    with (
        capture_logs() as logs,
        world.provider.failing("error", status=401),
    ):
        await client.post("/api/payments/portal", headers=person.cookie)
    (entry,) = [entry for entry in logs if entry["event"] == "provider_failed"]
    assert entry["route"] == "/api/payments/portal"
    assert entry["code"] == "PROVIDER_ERROR"
    assert person.token not in str(logs)


# ---------------------------------------------------------------- host names


@pytest.fixture
async def sandboxed(sqlite_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the API in sandbox mode, with pages behind it."""
    settings = Settings(_env_file=None, base_url=BASE_URL, database_url=sqlite_url)
    services = Services.open(settings)
    api = create_api(lambda: services, Readiness())
    api.mount("", PlainTextResponse("a page"))
    async with client_of(api) as opened:
        yield opened
    await services.close()


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:3000", "[::1]:3000", "0.0.0.0", "evil.example", "x.localhost", "", "[", "a@b"],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_in_the_sandbox_another_host_name_leads_to_the_right_one(
    sandboxed: httpx.AsyncClient, host: str, method: str
) -> None:
    response = await sandboxed.request(
        method, "/settings/billing?visit=a%20b&x=%2F", headers={"Host": host}
    )
    assert response.status_code == 307
    assert response.headers["location"] == f"{BASE_URL}/settings/billing?visit=a%20b&x=%2F"


@pytest.mark.parametrize(
    "path", ["//evil.example/x", "/%2F%2Fevil.example", "/\\evil.example", "/@evil"]
)
async def test_leading_to_the_right_host_never_leaves_it(
    sandboxed: httpx.AsyncClient, path: str
) -> None:
    request = sandboxed.build_request("GET", BASE_URL, headers={"Host": "127.0.0.1"})
    request.url = request.url.copy_with(raw_path=path.encode())
    response = await sandboxed.send(request)
    assert response.headers["location"].startswith(f"{BASE_URL}/")


@pytest.mark.parametrize("host", ["localhost:3000", "localhost", "LOCALHOST:8000"])
async def test_the_right_host_name_is_served_on_any_port(
    sandboxed: httpx.AsyncClient, host: str
) -> None:
    assert (await sandboxed.get("/", headers={"Host": host})).text == "a page"


async def test_what_changes_something_is_not_redirected(sandboxed: httpx.AsyncClient) -> None:
    response = await sandboxed.post("/auth/sign-out", headers={"Host": "127.0.0.1:3000"})
    assert response.status_code == 403


async def test_health_is_told_under_any_host_name(sandboxed: httpx.AsyncClient) -> None:
    assert (await sandboxed.get("/healthz", headers={"Host": "10.0.0.7"})).status_code == 200


async def test_outside_the_sandbox_every_host_name_is_served(client: httpx.AsyncClient) -> None:
    response = await client.get("/api/docs", headers={"Host": "billing.example"})
    assert response.status_code == 200


# ---------------------------------------------------------------- headers


@pytest.mark.parametrize("path", ["/api/nothing", "/api/openapi.json", "/api/billing/invoices"])
async def test_answers_of_the_api_are_not_cached_and_not_guessed(
    client: httpx.AsyncClient, path: str
) -> None:
    response = await client.get(path)
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"


async def test_pages_keep_their_own_caching(sandboxed: httpx.AsyncClient) -> None:
    assert "cache-control" not in (await sandboxed.get("/")).headers


# ---------------------------------------------------------------- health


async def test_the_process_is_alive_before_it_is_ready(
    client: httpx.AsyncClient, readiness: Readiness
) -> None:
    readiness.migrations = readiness.sandbox = False
    assert (await client.get("/healthz")).json() == {"success": True, "data": {"status": "ok"}}
    response = await client.get("/readyz")
    assert response.status_code == 503
    assert response.headers["retry-after"] == "1"
    assert response.json() == {
        "success": False,
        "error": {"code": "NOT_READY", "message": "Not ready yet: migrations, sandbox"},
    }


async def test_it_is_ready_when_all_is_done_and_the_database_answers(
    client: httpx.AsyncClient,
) -> None:
    response = await client.get("/readyz")
    assert response.status_code == 200
    assert response.json() == {"success": True, "data": {"status": "ok"}}


async def test_it_is_not_ready_while_the_database_does_not_answer(
    readiness: Readiness, settings: Settings
) -> None:
    nowhere = "postgresql+asyncpg://nobody:hunter2@127.0.0.1:1/none"
    services = Services.open(settings.model_copy(update={"database_url": nowhere}))
    async with client_of(create_api(lambda: services, readiness)) as client:
        response = await client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["error"]["message"] == "Not ready yet: database"
    await services.close()


async def test_it_is_ready_with_redis_only_while_that_answers(
    readiness: Readiness, settings: Settings, tmp_path: Path
) -> None:
    redis = RedisServer(tmp_path)
    redis.start()
    services = Services.open(settings.model_copy(update={"redis_url": SecretStr(redis.url)}))
    async with client_of(create_api(lambda: services, readiness)) as client:
        assert (await client.get("/readyz")).status_code == 200
        redis.stop()
        response = await client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["error"]["message"] == "Not ready yet: Redis"
    await services.close()
