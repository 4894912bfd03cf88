"""The same tests over every provider: a sandbox of each, a driver on it, and where it sends its events."""

from collections.abc import AsyncIterator, Iterator

import pytest

from billing_ui.payments.driver import Driver
from tests.conftest import running_sandbox
from tests.drivers.receiver import Receiver, receiving
from tests.drivers.shop_world import LemonSqueezyWorld, PaddleWorld, PolarWorld
from tests.drivers.stripe_world import StripeWorld
from tests.drivers.world import World, open_driver

WORLDS = (StripeWorld, PolarWorld, LemonSqueezyWorld, PaddleWorld)


@pytest.fixture(scope="session", params=WORLDS, ids=lambda world: world.provider.value)
def running_world(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """A provider and its sandbox, one after the other."""
    kind = request.param
    database = tmp_path_factory.mktemp(kind.provider.value) / "sandbox.db"
    with running_sandbox(database, kind.provider) as url:
        yield kind(url, database)


@pytest.fixture
def world(running_world: World) -> World:
    """A provider that has neither customers nor anything to sell."""
    running_world.control.do("reset", {})
    return running_world


@pytest.fixture
async def driver(world: World) -> AsyncIterator[Driver]:
    """A driver of that provider."""
    opened = open_driver(world)
    yield opened
    await opened.close()


@pytest.fixture
async def other_driver(world: World) -> AsyncIterator[Driver]:
    """A driver of the same provider in another process, as it were."""
    opened = open_driver(world)
    yield opened
    await opened.close()


@pytest.fixture
def receiver(world: World) -> Iterator[Receiver]:
    """Where the provider sends its events meanwhile."""
    with receiving() as opened:
        endpoint = {"url": opened.url, "secret": world.secret, "id": "we_conformance"}
        world.control.do("webhooks", endpoint)
        yield opened
