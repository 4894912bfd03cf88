"""The embedded sandbox: one for all processes of an installation, and handed on when its keeper ends."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from filelock import FileLock

from billing_ui import sandbox_process
from billing_ui.billing.services import Services
from billing_ui.sandbox_process import (
    SandboxUnavailable,
    at_sandbox,
    connect_webhooks,
    embedded_sandbox,
    wants_embedded_sandbox,
)
from billing_ui.settings import EventsMode, Provider, Settings
from tests.conftest import free_port


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of an installation of its own, without a provider's key."""
    url = f"sqlite:///{tmp_path / 'billing.db'}"
    return Settings(_env_file=None, database_url=url, sandbox_port=free_port())


async def healthy(url: str) -> bool:
    """Return whether a sandbox answers at `url`."""
    async with httpx.AsyncClient(trust_env=False) as client:
        try:
            return (await client.get(f"{url}/_control/health")).is_success
        except httpx.TransportError:
            return False


async def test_whoever_comes_later_uses_the_sandbox_that_runs(settings: Settings) -> None:
    async with embedded_sandbox(settings) as ours:
        async with embedded_sandbox(settings) as theirs:
            assert theirs == ours
        assert await healthy(ours)
    assert not await healthy(ours)


async def test_the_next_one_is_started_when_the_first_has_ended(settings: Settings) -> None:
    for _ in range(2):
        async with embedded_sandbox(settings) as url:
            assert await healthy(url)
        with FileLock(settings.data_directory / "sandbox.lock").acquire(timeout=0):
            pass


async def test_a_keeper_whose_sandbox_never_answers_is_said_in_a_sentence(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox_process, "_START_SECONDS", 0.3)
    with (
        FileLock(settings.data_directory / "sandbox.lock"),
        pytest.raises(SandboxUnavailable, match="sandbox"),
    ):
        async with embedded_sandbox(settings):
            pass


async def _endpoints(url: str) -> list[str]:
    """Return where the sandbox sends events to."""
    async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
        headers = {"Authorization": "Bearer sk_test_tests"}
        listed = (await client.get("/v1/webhook_endpoints", headers=headers)).json()
    return [one["url"] for one in listed["data"] if one["status"] == "enabled"]


async def test_its_events_are_sent_to_the_app_once_however_often_it_is_told(
    settings: Settings,
) -> None:
    services = Services.open(settings)
    async with embedded_sandbox(settings) as url:
        for _ in range(2):
            await connect_webhooks(services, url)
        assert await _endpoints(url) == [f"{settings.provider_api_url}/api/webhooks/stripe"]
    await services.close()


async def test_its_events_are_sent_to_nowhere_else_once_the_app_has_moved(
    settings: Settings,
) -> None:
    async with embedded_sandbox(settings) as url:
        for address in ("http://localhost:3000", "http://localhost:3001"):
            services = Services.open(settings.model_copy(update={"api_url": address}))
            await connect_webhooks(services, url)
            await services.close()
        assert await _endpoints(url) == ["http://localhost:3001/api/webhooks/stripe"]


async def test_an_app_that_asks_for_events_by_itself_is_sent_none(settings: Settings) -> None:
    services = Services.open(settings.model_copy(update={"events_mode": EventsMode.POLL}))
    async with embedded_sandbox(settings) as url:
        await connect_webhooks(services, url)
        assert await _endpoints(url) == []
    await services.close()


async def test_an_app_that_begins_to_ask_by_itself_is_sent_no_more_and_begins_again_when_told(
    settings: Settings,
) -> None:
    async with embedded_sandbox(settings) as url:
        for mode, sent in ((EventsMode.WEBHOOK, 1), (EventsMode.POLL, 0), (EventsMode.WEBHOOK, 1)):
            services = Services.open(settings.model_copy(update={"events_mode": mode}))
            await connect_webhooks(services, url)
            await services.close()
            assert len(await _endpoints(url)) == sent


async def test_a_sandbox_that_cannot_be_told_is_said_in_a_sentence(settings: Settings) -> None:
    services = Services.open(settings)
    with pytest.raises(SandboxUnavailable, match="webhooks"):
        await connect_webhooks(services, f"http://127.0.0.1:{free_port()}")
    await services.close()


@pytest.mark.parametrize("provider", [one for one in Provider if one is not Provider.STRIPE])
async def test_it_imitates_the_active_provider_and_tells_the_app_of_what_happens(
    settings: Settings, provider: Provider
) -> None:
    settings = settings.model_copy(update={"payment_provider": provider})
    came: list[tuple[str, bytes, dict[str, str]]] = []
    with listening(came) as address:
        settings = settings.model_copy(update={"api_url": address})
        services = Services.open(settings)
        async with embedded_sandbox(settings) as url:
            for _ in range(2):
                await connect_webhooks(services, url)
            async with httpx.AsyncClient(base_url=f"{url}/_control", trust_env=False) as control:
                for what in (
                    {"do": "create_customer", "email": "a@example.com", "id": "7"},
                    {"do": "add_card", "customer_id": "7"},
                    {"do": "create_plan", "name": "Pro", "prices": [{"amount": 900, "id": "8"}]},
                    {"do": "subscribe", "customer_id": "7", "price_id": "8"},
                ):
                    (await control.post("/shop", json=what)).raise_for_status()
                delivered = (await control.post("/webhooks/flush", json={})).json()["delivered"]
        assert delivered == len(came) > 0
        for path, body, headers in came:
            assert path == f"/api/webhooks/{provider}"
            assert services.drivers.active.verify_webhook(headers, body).type
        await services.close()
    assert (settings.data_directory / f"sandbox-{provider}.db").exists()


def test_an_address_says_that_another_sandbox_runs(settings: Settings) -> None:
    settings = settings.model_copy(update={"payment_provider": Provider.POLAR})
    assert wants_embedded_sandbox(settings)
    there = at_sandbox(settings, "http://127.0.0.1:1")
    assert there.polar_api_base == "http://127.0.0.1:1"
    assert not wants_embedded_sandbox(there)
    assert at_sandbox(there, "http://127.0.0.1:2").polar_api_base == "http://127.0.0.1:1"


@contextmanager
def listening(came: list[tuple[str, bytes, dict[str, str]]]) -> Iterator[str]:
    """Take every POST into `came`: path, body and headers; yields the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            came.append((self.path, body, headers))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
