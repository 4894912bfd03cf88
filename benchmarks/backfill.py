"""Copying a whole account into an empty database, beside a plain loop of one page after another."""

import json
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

import aiohttp
import aiosqlite
import asyncpg  # type: ignore[import-untyped]
import stripe

from benchmarks import servers
from benchmarks.databases import Kind
from benchmarks.load import Answered
from benchmarks.results import Row
from benchmarks.rounds import in_turn
from benchmarks.run import Run
from benchmarks.shop import services_on
from billing_ui.billing.backfill import backfill
from billing_ui.database import Database

NAME: Final = "backfill"

_SLOW_MS: Final = 100
_PAGE: Final = 100

InsertPage = Callable[[list[tuple[str, str]]], Awaitable[object]]


async def measure(run: Run) -> AsyncIterator[Row]:
    """Measure objects copied a second, of a sandbox that answers at once or takes 100 ms longer for a page."""
    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(servers.sandbox(run.directory))
        control = await stack.enter_async_context(aiohttp.ClientSession())
        customers = run.few(2000, 50)
        seed = {"customers": customers}
        await _control(control, "POST", f"{sandbox}/_control/seed", seed)
        # Each has a subscription and an invoice.
        objects = 3 * customers
        for latency in (0, _SLOW_MS):
            if latency:
                slow = {"kind": "latency", "seconds": latency / 1000}
                await _control(control, "POST", f"{sandbox}/_control/faults", slow)
            for kind in run.databases:
                yield await _on(run, kind, sandbox, latency, objects)


async def _on(run: Run, kind: Kind, sandbox: str, latency: int, objects: int) -> Row:
    rounds = run.few(3, 1)

    async def ours() -> Answered:
        async with run.database(kind) as database, services_on(database, sandbox) as services:
            began = time.perf_counter()
            result = await backfill(services)
            seconds = time.perf_counter() - began
        _require_all(sum(result.objects.values()), objects)
        return Answered((), seconds)

    async def bare() -> Answered:
        async with run.database(kind) as database, _inserting(database) as insert_page:
            began = time.perf_counter()
            copied = await _one_page_after_another(sandbox, insert_page)
            seconds = time.perf_counter() - began
        _require_all(copied, objects)
        return Answered((), seconds)

    ours_took, bare_took = await in_turn(ours, bare, rounds)
    bar, moonshot = (4.0, 8.0) if latency else (1.0, 1.0)
    return Row(
        figure=f"backfill, objects/s at {latency} ms a page",
        database=kind,
        ours=objects / statistics.median(one.seconds for one in ours_took),
        bare=objects / statistics.median(one.seconds for one in bare_took),
        unit="/s",
        bar=bar,
        moonshot=moonshot,
        lower_is_better=False,
        n=rounds,
    )


async def _one_page_after_another(sandbox: str, insert_page: InsertPage) -> int:
    """List everything as a first script would: three lists, page after page, each page inserted at once."""
    http = stripe.AIOHTTPClient()
    client = stripe.StripeClient(
        servers.KEY, base_addresses={"api": sandbox}, http_client=http, max_network_retries=2
    )
    lists: tuple[tuple[Callable[..., Awaitable[Any]], dict[str, str]], ...] = (
        (client.v1.customers.list_async, {}),
        (client.v1.subscriptions.list_async, {"status": "all"}),
        (client.v1.invoices.list_async, {}),
    )
    copied = 0
    for list_async, filters in lists:
        after: dict[str, str] = {}
        while True:
            page = await list_async({"limit": _PAGE, **filters, **after})
            rows = [(one.id, json.dumps(one.to_dict(), default=str)) for one in page.data]
            if rows:
                await insert_page(rows)
            copied += len(rows)
            if not page.has_more:
                break
            after = {"starting_after": rows[-1][0]}
    await http.close_async()  # type: ignore[no-untyped-call]
    return copied


@asynccontextmanager
async def _inserting(database: Database) -> AsyncIterator[InsertPage]:
    """Yield what inserts a page in a transaction, by the driver itself."""
    create = "CREATE TABLE bare_object (id TEXT PRIMARY KEY, document {} NOT NULL)"
    if database.is_sqlite:
        async with aiosqlite.connect(str(database.engine.url.database)) as sqlite:
            await sqlite.execute(create.format("TEXT"))

            async def insert_page(rows: list[tuple[str, str]]) -> None:
                await sqlite.executemany("INSERT INTO bare_object VALUES (?, ?)", rows)
                await sqlite.commit()

            yield insert_page
        return
    url = database.engine.url.set(drivername="postgresql")
    postgresql = await asyncpg.connect(url.render_as_string(hide_password=False))
    await postgresql.execute(create.format("JSONB"))
    yield lambda rows: postgresql.executemany("INSERT INTO bare_object VALUES ($1, $2)", rows)
    await postgresql.close()


def _require_all(copied: int, objects: int) -> None:
    # There may be a few more: while the benchmark runs, subscriptions renew.
    if copied < objects:
        raise RuntimeError(f"{copied} of {objects} objects were copied")


async def _control(
    session: aiohttp.ClientSession, method: str, url: str, body: dict[str, Any]
) -> None:
    async with session.request(method, url, json=body) as answer:
        if not answer.ok:
            raise RuntimeError(await answer.text())
