"""A shop in memory, and one that is served."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from billing_ui.sandbox.__main__ import DroppableProtocol
from billing_ui.sandbox.core.outbox import Outbox
from billing_ui.sandbox.core.store import Store
from billing_ui.sandbox.server import build_app
from billing_ui.sandbox.shop.shop import Shop
from tests.conftest import free_port
from tests.sandbox.shop_engine.plain import PlainDialect

Do = Callable[..., dict[str, Any]]


@pytest.fixture
def shop() -> Iterator[Shop]:
    """An empty shop of the plain provider."""
    store = Store(":memory:")
    yield Shop(store, Outbox(store), PlainDialect(), "http://127.0.0.1:1", "Acme Cloud")
    store.close()


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a served shop, which the tests share."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    database = tmp_path_factory.mktemp("shop") / "sandbox.db"
    yield from _serving(database, url, port)


def _serving(database: Path, url: str, port: int) -> Iterator[str]:
    app = build_app(database, url, provider=PlainDialect())
    config = uvicorn.Config(
        app, port=port, http=DroppableProtocol, log_config=None, access_log=False
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the sandbox ended"
        time.sleep(0.01)
    try:
        yield url
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def control(served: str) -> Iterator[httpx.Client]:
    """A client of the control API, over an empty shop."""
    with httpx.Client(base_url=f"{served}/_control", timeout=30, trust_env=False) as http:
        http.post("/reset", json={}).raise_for_status()
        http.delete("/webhook_faults").raise_for_status()
        yield http


@pytest.fixture
def do(control: httpx.Client) -> Do:
    """Does an operation of the shop, and returns what came of it."""

    def do(what: str, **arguments: Any) -> dict[str, Any]:
        answer = control.post("/shop", json={"do": what, **arguments})
        assert answer.status_code == 200, answer.text
        result: dict[str, Any] = answer.json()
        return result

    return do
