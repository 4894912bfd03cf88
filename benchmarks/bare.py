"""The bare loops over HTTP: the least that does the same work, on the same server as the application.

Each is an ASGI application made from environment variables: `python -m benchmarks.bare portal PORT`.
"""

import json
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Final

import aiosqlite
import asyncpg  # type: ignore[import-untyped]
import stripe
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from benchmarks.provider import CONFIGURATION, CUSTOMER
from benchmarks.servers import KEY, WEBHOOK_SECRET

PORTAL_PATH: Final = "/portal"
ACCEPT_PATH: Final = "/accept"

Insert = Callable[[str, str], Awaitable[object]]


def portal() -> Starlette:
    """Return a route that asks the SDK, with its fastest client, for a portal session."""
    client: stripe.StripeClient | None = None

    async def open_portal(request: Request) -> JSONResponse:
        nonlocal client
        # Its connections belong to the event loop of the first request.
        client = client or stripe.StripeClient(
            KEY,
            base_addresses={"api": os.environ["STRIPE_API_BASE"]},
            http_client=stripe.AIOHTTPClient(),
            max_network_retries=2,
        )
        body = await request.json()
        session = await client.v1.billing_portal.sessions.create_async(
            {
                "customer": CUSTOMER,
                "configuration": CONFIGURATION,
                "return_url": f"http://localhost{body['returnUrl']}",
            }
        )
        return JSONResponse({"url": session.url})

    return Starlette(routes=[Route(PORTAL_PATH, open_portal, methods=["POST"])])


def accept() -> Starlette:
    """Return a route that verifies a webhook's signature and inserts one row, committed before it answers."""
    insert: Insert | None = None

    async def receive(request: Request) -> Response:
        nonlocal insert
        if insert is None:
            insert = await _open_inserting(os.environ["DATABASE_URL"])
        body = (await request.body()).decode()
        try:
            stripe.WebhookSignature.verify_header(
                body, request.headers["stripe-signature"], WEBHOOK_SECRET, 300
            )
        except stripe.SignatureVerificationError:
            return Response(status_code=401)
        await insert(json.loads(body)["id"], body)
        return JSONResponse({"received": True})

    return Starlette(routes=[Route(ACCEPT_PATH, receive, methods=["POST"])])


async def _open_inserting(url: str) -> Insert:
    """Return what inserts an event by its id and its text in a transaction of its own, durably."""
    table = "CREATE TABLE IF NOT EXISTS bare_event (id TEXT PRIMARY KEY, payload {} NOT NULL)"
    if url.startswith("sqlite"):
        sqlite = await aiosqlite.connect(url.partition(":///")[2], isolation_level=None)
        for statement in (
            *("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL"),
            table.format("TEXT"),
        ):
            await sqlite.execute(statement)
        store = "INSERT INTO bare_event VALUES (?, ?) ON CONFLICT DO NOTHING"
        return lambda *event: sqlite.execute_fetchall(store, event)
    pool = await asyncpg.create_pool(url.replace("+asyncpg", ""), min_size=1, max_size=16)
    await pool.execute(table.format("JSONB"))
    store = "INSERT INTO bare_event VALUES ($1, $2) ON CONFLICT DO NOTHING"

    async def insert(*event: str) -> object:
        return await pool.execute(store, *event)

    return insert


def _serve(name: str, port: int) -> None:
    # The server and its settings are those of `reflex run --env prod`.
    from granian.constants import Interfaces
    from granian.log import LogLevels
    from granian.server import Server

    Server(
        target=f"benchmarks.bare:{name}",
        factory=True,
        address="127.0.0.1",
        port=port,
        interface=Interfaces.ASGI,
        log_level=LogLevels.warning,
        workers=1,
    ).serve()


if __name__ == "__main__":
    _serve(sys.argv[1], int(sys.argv[2]))
