"""A PostgreSQL server that vanishes without a word keeps nobody waiting, and nothing is lost or stored twice."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from structlog.testing import capture_logs

from billing_ui import database, direct
from billing_ui.billing.services import Services
from billing_ui.settings import Settings
from tests.api.test_webhooks import SECRET, customer, event, failure, inbox, send
from tests.api.world import World
from tests.relay import Relay


@pytest.fixture
def database_url(relay: Relay) -> str:
    """The URL of a migrated database without rows, over the relay."""
    return relay.url


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """The usual settings, with the secret of a webhook endpoint."""
    return Settings(_env_file=None, **settings.model_dump() | {"stripe_webhook_secret": SECRET})


@contextmanager
def vanished(relay: Relay, *, requests: bool = True) -> Iterator[None]:
    """Let the database vanish meanwhile; patience is short then, so that the test is."""
    with (
        pytest.MonkeyPatch.context() as patch,
        relay.silent(requests=requests),
        capture_logs(),  # tracebacks, which take longer to write than everything else here
    ):
        patch.setattr(direct, "_LIMIT_SECONDS", 0.1)
        patch.setattr(database, "_TRANSACTION_SECONDS", 0.1)
        yield


@pytest.mark.parametrize("lost", ["requests", "answers"])
async def test_events_are_refused_meanwhile_and_stored_once_when_they_come_again(
    client: httpx.AsyncClient, services: Services, relay: Relay, lost: str
) -> None:
    assert (await send(client, event("evt_0"))).status_code == 200
    coming = [event(f"evt_{number}") for number in range(1, 6)]
    with vanished(relay, requests=lost == "requests"):
        for _ in range(2):
            refused = await asyncio.gather(*(send(client, document) for document in coming))
            assert {failure(response) for response in refused} == {(500, "INTERNAL_ERROR")}
    accepted = await asyncio.gather(*(send(client, document) for document in coming))
    assert {response.status_code for response in accepted} == {200}
    assert set(await inbox(services)) == {f"evt_{number}" for number in range(6)}
    marked = await customer(services)
    assert marked is not None
    assert marked.wanted == 6


async def test_who_asks_is_told_meanwhile_that_it_failed_and_is_known_afterwards(
    client: httpx.AsyncClient, world: World, relay: Relay
) -> None:
    person = await world.person()

    async def ask() -> httpx.Response:
        return await client.get("/api/billing/subscription", headers=person.bearer)

    answer = await ask()
    assert answer.is_success
    with vanished(relay):
        # More than there are connections.
        refused = await asyncio.gather(*(ask() for _ in range(9)))
        assert {failure(response) for response in refused} == {(500, "INTERNAL_ERROR")}
    assert (await ask()).content == answer.content
