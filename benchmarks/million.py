"""One customer or a million: loading the page and opening the portal, beside the same on a database with one."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from benchmarks import servers
from benchmarks.databases import Kind
from benchmarks.load import Answered
from benchmarks.results import Row
from benchmarks.rounds import in_turn, p50
from benchmarks.run import Run
from benchmarks.shop import opened_shop, services_on, subscriber
from billing_ui.accounts.sessions import identify
from billing_ui.billing.page import load_page
from billing_ui.billing.portal import open_portal
from billing_ui.billing.services import Services
from billing_ui.clock import utc_now
from billing_ui.database import Database
from billing_ui.models import SQLModel

NAME: Final = "million"

_MANY: Final = 1_000_000

# Everything of the customer that is there already, once for each number; documents of the provider are left empty,
# which would only fill the disk.
_IDS: Final = {
    "team": {"id": "{uuid}"},
    "customer": {
        "id": "{uuid}",
        "team_id": "{uuid}",
        "provider_customer_id": "'cus_' || n",
    },
    "customer_snapshot": {"customer_id": "{uuid}", "data": "'{{}}'"},
    "subscription": {"id": "'sub_' || n", "customer_id": "{uuid}", "raw": "'{{}}'"},
    "subscription_item": {"id": "'si_' || n", "subscription_id": "'sub_' || n"},
    "invoice": {"id": "'in_' || n", "customer_id": "{uuid}", "raw": "'{{}}'"},
    "payment_method": {"id": "'pm_' || n", "customer_id": "{uuid}"},
}
_UUID: Final = {
    Kind.SQLITE: "printf('%032x', n)",
    Kind.POSTGRESQL: "CAST(lpad(to_hex(n), 32, '0') AS uuid)",
}
# Rows that are made of rows which are right need not be checked one by one.
_UNCHECKED: Final = {
    Kind.SQLITE: "PRAGMA foreign_keys=OFF",
    Kind.POSTGRESQL: "SET session_replication_role = replica",
}

Ask = Callable[[], Awaitable[object]]


async def measure(run: Run) -> AsyncIterator[Row]:
    """Measure the use cases behind the page and the API; what they ask of the network is the same for both."""
    for kind in run.databases:
        async with AsyncExitStack() as stack:
            async for row in _on(run, kind, stack):
                yield row


async def _on(run: Run, kind: Kind, stack: AsyncExitStack) -> AsyncIterator[Row]:
    provider = await stack.enter_async_context(servers.provider())
    few, few_token = await _account(run, kind, stack, provider)
    many, many_token = await _account(run, kind, stack, provider)
    await _multiply(many.database, kind, run.few(_MANY, 1000))
    for figure, ask in (("page load", _load_page), ("portal call", _call_portal)):
        yield await _compare(run, kind, figure, ask(many, many_token), ask(few, few_token))


async def _account(
    run: Run, kind: Kind, stack: AsyncExitStack, provider: str
) -> tuple[Services, str]:
    """Return an installation with one customer, and its owner's token."""
    database = await stack.enter_async_context(run.database(kind))
    sandbox = await stack.enter_async_context(servers.sandbox(run.directory))
    shop = await stack.enter_async_context(opened_shop(sandbox))
    owner = await subscriber(database, sandbox, shop)
    return await stack.enter_async_context(services_on(database, provider)), owner.token


async def _compare(run: Run, kind: Kind, figure: str, many: Ask, few: Ask) -> Row:
    calls, rounds = run.few(100, 2), run.few(10, 1)

    async def timed(ask: Ask) -> Answered:
        milliseconds = []
        began = time.perf_counter()
        for _ in range(calls):
            asked = time.perf_counter()
            await ask()
            milliseconds.append((time.perf_counter() - asked) * 1000)
        return Answered(tuple(milliseconds), time.perf_counter() - began)

    async def ours() -> Answered:
        return await timed(many)

    async def bare() -> Answered:
        return await timed(few)

    await in_turn(ours, bare, 1)
    ours_took, bare_took = await in_turn(ours, bare, rounds)
    return Row(
        figure=f"1 → 1,000,000 customers: {figure}, p50",
        database=kind,
        ours=p50(ours_took),
        bare=p50(bare_took),
        unit="ms",
        bar=1.2,
        moonshot=1.05,
        lower_is_better=True,
        n=calls * rounds,
    )


def _load_page(services: Services, token: str) -> Ask:
    async def load() -> None:
        identity = await identify(services.database, token)
        if identity is None:
            raise RuntimeError("nobody is signed in")
        await load_page(services, identity, None, utc_now())

    return load


def _call_portal(services: Services, token: str) -> Ask:
    async def call() -> None:
        identity = await identify(services.database, token)
        if identity is None:
            raise RuntimeError("nobody is signed in")
        await open_portal(services, identity, "/settings/billing")

    return call


async def _multiply(database: Database, kind: Kind, count: int) -> None:
    async with database.engine.connect() as connection:
        await connection.exec_driver_sql(_UNCHECKED[kind])
        await connection.commit()
        for name, replaced in _IDS.items():
            await _multiply_table(connection, kind, name, replaced, count)
        await connection.commit()
        # As the database's own upkeep would have done by then.
        await connection.exec_driver_sql("ANALYZE")
        await connection.commit()
        # It was told not to check; nobody else is to get it.
        await connection.invalidate()


async def _multiply_table(
    connection: AsyncConnection, kind: Kind, name: str, replaced: dict[str, str], count: int
) -> None:
    table = SQLModel.metadata.tables[name]
    quote = connection.dialect.identifier_preparer.quote
    values = [
        replaced[column.name].format(uuid=_UUID[kind])
        if column.name in replaced
        else f"pattern.{quote(column.name)}"
        for column in table.columns
    ]
    columns = ", ".join(quote(column.name) for column in table.columns)
    await connection.execute(
        text(
            "WITH RECURSIVE numbers(n) AS "  # noqa: S608 - of our own models only
            "(SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :count), "
            f"pattern AS (SELECT * FROM {quote(name)} LIMIT 1) "
            f"INSERT INTO {quote(name)} ({columns}) "
            f"SELECT {', '.join(values)} FROM numbers, pattern"
        ),
        {"count": count},
    )
