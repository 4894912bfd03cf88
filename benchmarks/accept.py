"""Accepting webhooks, durable and each once, beside the least that may call itself so: verify, insert, commit."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from itertools import count, islice
from typing import Final

from benchmarks import servers
from benchmarks.bare import ACCEPT_PATH
from benchmarks.databases import Kind
from benchmarks.events import updates
from benchmarks.load import Answered, Load, load
from benchmarks.results import Row
from benchmarks.rounds import in_turn, rate
from benchmarks.run import Run
from billing_ui.clock import utc_now
from billing_ui.database import Database
from billing_ui.models import Customer

NAME: Final = "accept"

_CONNECTIONS: Final = 16
_CUSTOMERS: Final = 200


async def measure(run: Run) -> AsyncIterator[Row]:
    """Measure accepted events a second, with one server process.

    The worker is off: what is accepted is fetched by another process, as larger installations do it.
    """
    for kind in run.databases:
        yield await _on(run, kind)


async def _on(run: Run, kind: Kind) -> Row:
    calls, rounds = run.few(1500, 32), run.few(7, 1)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(run.database(kind))
        await _settle(database)
        provider = await stack.enter_async_context(servers.provider())
        url = database.engine.url.render_as_string(hide_password=False)
        app = await stack.enter_async_context(servers.application(url, provider, WORKER="off"))
        bare = await stack.enter_async_context(servers.bare("accept", DATABASE_URL=url))
        client = await stack.enter_async_context(load())
        numbers = count(1)

        async def ours() -> Answered:
            return await _burst(client, app, "/api/webhooks/stripe", numbers, calls)

        async def theirs() -> Answered:
            return await _burst(client, bare, ACCEPT_PATH, numbers, calls)

        # The first request opens the database; one alone, so that it is done once.
        await client.send(bare, updates(ACCEPT_PATH, islice(numbers, 1), _CUSTOMERS), calls=1)
        await in_turn(ours, theirs, 1)
        ours_took, bare_took = await in_turn(ours, theirs, rounds)
    return Row(
        figure=f"webhooks accepted/s at {_CONNECTIONS} connections",
        database=kind,
        ours=rate(ours_took),
        bare=rate(bare_took),
        unit="/s",
        bar=0.6,
        moonshot=1.0,
        lower_is_better=False,
        n=calls * rounds,
    )


async def _burst(
    client: Load, port: int, path: str, numbers: Iterator[int], calls: int
) -> Answered:
    # Signed anew: a signature is good for five minutes only, and each event comes once.
    requests = updates(path, islice(numbers, calls), _CUSTOMERS)
    return await client.send(port, requests, calls=calls, connections=_CONNECTIONS)


async def _settle(database: Database) -> None:
    async with database.write() as session:
        session.add_all(
            Customer(
                provider="stripe",
                provider_customer_id=f"cus_{number:06}",
                wanted=1,
                applied=1,
                synced_at=utc_now(),
                marked_at=None,
            )
            for number in range(_CUSTOMERS)
        )
