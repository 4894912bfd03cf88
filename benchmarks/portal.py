"""`POST /api/billing/portal` beside the bare SDK call behind a bare route, on the same provider and the same server."""

import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, Final

from benchmarks import servers
from benchmarks.bare import PORTAL_PATH
from benchmarks.databases import Kind
from benchmarks.load import Answered, load, request
from benchmarks.results import Row
from benchmarks.rounds import in_turn, p50, rate
from benchmarks.run import Run
from benchmarks.world import settle

NAME: Final = "portal"

_SLOW_MS: Final = 50
_CONNECTIONS: Final = 16
_BODY: Final = json.dumps({"returnUrl": "/settings/billing"}).encode()

Burst = Callable[..., Coroutine[Any, Any, Answered]]


async def measure(run: Run) -> AsyncIterator[Row]:
    """Measure one call at a time with a provider at 0 and at 50 ms, and many at once."""
    for kind in run.databases:
        for latency in (0, _SLOW_MS):
            async for row in _with_latency(run, kind, latency):
                yield row


async def _with_latency(run: Run, kind: Kind, latency: int) -> AsyncIterator[Row]:
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(run.database(kind))
        person = await settle(database)
        provider = await stack.enter_async_context(servers.provider(latency))
        url = database.engine.url.render_as_string(hide_password=False)
        app = await stack.enter_async_context(servers.application(url, provider))
        bare = await stack.enter_async_context(servers.bare("portal", STRIPE_API_BASE=provider))
        client = await stack.enter_async_context(load())
        headers = {
            "Content-Type": "application/json",
            "Authorization": f"Bearer {person.token}",
        }
        ours = request("POST", "/api/billing/portal", _BODY, **headers)
        theirs = request("POST", PORTAL_PATH, _BODY, **headers)
        ask_ours = partial(client.send, app, [ours])
        ask_bare = partial(client.send, bare, [theirs])
        await ask_ours(calls=run.few(300, 5))
        await ask_bare(calls=run.few(300, 5))
        yield await _one_at_a_time(run, kind, latency, ask_ours, ask_bare)
        if not latency:
            yield await _many_at_once(run, kind, ask_ours, ask_bare)


async def _one_at_a_time(run: Run, kind: Kind, latency: int, ours: Burst, bare: Burst) -> Row:
    calls, rounds = run.few(20 if latency else 100, 3), run.few(12, 1)
    one = {"calls": calls}
    ours_took, bare_took = await in_turn(partial(ours, **one), partial(bare, **one), rounds)
    bar, moonshot = (1.08, 1.03) if latency else (3.0, 2.0)
    return Row(
        figure=f"portal p50, provider at {latency} ms",
        database=kind,
        ours=p50(ours_took),
        bare=p50(bare_took),
        unit="ms",
        bar=bar,
        moonshot=moonshot,
        lower_is_better=True,
        n=calls * rounds,
    )


async def _many_at_once(run: Run, kind: Kind, ours: Burst, bare: Burst) -> Row:
    calls, rounds = run.few(1000, 32), run.few(7, 1)
    many = {"calls": calls, "connections": _CONNECTIONS}
    ours_took, bare_took = await in_turn(partial(ours, **many), partial(bare, **many), rounds)
    return Row(
        figure=f"portal calls/s at {_CONNECTIONS} connections",
        database=kind,
        ours=rate(ours_took),
        bare=rate(bare_took),
        unit="/s",
        bar=0.35,
        moonshot=0.5,
        lower_is_better=False,
        n=calls * rounds,
    )
