"""Killed again and again in a storm of events: nothing accepted is lost, and everything ends true."""

import asyncio
import random
from pathlib import Path

import pytest

from tests.conftest import PostgresServer
from tests.reliability.installation import SECRET, Installation, installed
from tests.reliability.sender import Sender
from tests.reliability.truth import (
    differences,
    stored_customers,
    stored_events,
    wait_until_current,
)

_CHUNK = 250
_CATCH_UP_SECONDS = 180


@pytest.mark.parametrize(
    ("database", "events", "customers", "kills"),
    [
        ("postgresql", 300, 20, 2),
        ("sqlite", 200, 20, 1),
        pytest.param("postgresql", 5000, 200, 10, marks=pytest.mark.soak),
        pytest.param("sqlite", 1000, 200, 10, marks=pytest.mark.soak),
    ],
)
async def test_what_was_accepted_survives_sudden_ends_and_everything_ends_as_the_provider_says(
    database: str,
    events: int,
    customers: int,
    kills: int,
    postgres: PostgresServer,
    tmp_path: Path,
) -> None:
    url = (
        postgres.url(postgres.new_database())
        if database == "postgresql"
        else f"sqlite:///{tmp_path / 'billing.db'}"
    )
    async with installed(tmp_path, url, customers=customers) as installation:
        sender = await storm(installation, events=events, kills=kills, seed=7)
        services, shop = installation.services, installation.shop
        await wait_until_current(services, seconds=_CATCH_UP_SECONDS)

        stored = await stored_events(services)
        assert len(stored) == len(set(stored))
        assert sender.accepted - set(stored) == set()
        assert sorted(await stored_customers(services)) == sorted(shop.customers)
        assert await differences(services, shop.sandbox, shop.customers) == []
        print(f"{len(sender.accepted)} events accepted, {kills} kills, answers {sender.answers}")


async def storm(installation: Installation, *, events: int, kills: int, seed: int) -> Sender:
    """Let `events` happen and be sent at full rate, and kill the application `kills` times meanwhile."""
    sender = Sender(installation.webhook_url, SECRET, seed=seed)
    sender.add(await installation.shop.new_events())
    async with asyncio.TaskGroup() as group:
        sending = group.create_task(sender.run())
        killing = group.create_task(kill_at_random(installation, sender, events, kills, seed))
        happened = 0
        while happened < events:
            chunk = await installation.shop.storm(
                min(_CHUNK, events - happened), seed=seed + happened
            )
            happened += len(chunk)
            sender.add(chunk)
        await killing
        await sender.finished()
        sending.cancel()
    return sender


async def kill_at_random(
    installation: Installation, sender: Sender, events: int, kills: int, seed: int
) -> None:
    """Kill and restart the application at `kills` random points of the storm, the last one in its second half."""
    points = sorted(random.Random(seed).sample(range(1, events), kills))
    for point in points:
        reached = asyncio.Event()

        def look(count: int, point: int = point, reached: asyncio.Event = reached) -> None:
            if count >= point:
                reached.set()

        sender.on_accepted = look
        await reached.wait()
        await installation.restart()
