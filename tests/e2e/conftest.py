"""One running installation and one browser for all end-to-end tests; a fresh profile for each of them."""

from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from filelock import FileLock
from playwright.async_api import Browser

from billing_ui.billing.services import Services
from tests.chromium import open_chromium
from tests.conftest import free_port
from tests.e2e.factories import World
from tests.e2e.sandbox import Sandbox
from tests.e2e.server import LOCK, Server
from tests.e2e.visitors import Visitors

_HERE = Path(__file__).parent
_outcome = pytest.StashKey[bool]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run these tests in one event loop, which the browser belongs to."""
    for item in items:
        if item.path.is_relative_to(_HERE):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let fixtures know whether their test failed."""
    report = yield
    if report.when == "call":
        item.stash[_outcome] = report.failed
    return report


@pytest.fixture(scope="session")
def product_port() -> int:
    """Where the product stands that people may be sent back to."""
    return free_port()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, product_port: int) -> Iterator[Server]:
    """The running application."""
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    allowed = {"ALLOWED_RETURN_ORIGINS": f"http://127.0.0.1:{product_port}"}
    running = Server(tmp_path_factory.mktemp("e2e"), allowed)
    with FileLock(LOCK):
        running.start()
        yield running
        running.stop()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def sandbox(server: Server) -> AsyncIterator[Sandbox]:
    """The payment provider."""
    provider = Sandbox(server.sandbox_url)
    yield provider
    await provider.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def services(server: Server) -> AsyncIterator[Services]:
    """The application's database and provider, for this process."""
    opened = server.open_services()
    yield opened
    await opened.close()


@pytest.fixture(scope="session")
def world(services: Services, sandbox: Sandbox) -> World:
    """Makes teams, people and what they pay for."""
    return World(services, sandbox)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """The browser."""
    async with open_chromium() as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="session")
async def visitors(
    request: pytest.FixtureRequest, browser: Browser, server: Server, tmp_path: Path
) -> AsyncIterator[Visitors]:
    """The people of one test. Their browsers must have nothing to complain about."""
    people = Visitors(browser, server.base_url)
    yield people
    failed = request.node.stash.get(_outcome, False)
    if failed or people.complaints:
        await people.photograph(tmp_path)
        print(f"Screenshots: {tmp_path}\n{server.tail(40)}")
    await people.leave()
    assert failed or people.complaints == []
