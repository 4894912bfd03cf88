"""The sandbox as one ASGI application: the API, the hosted pages and the control API."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from billing_ui.sandbox.core import control
from billing_ui.sandbox.core.faults import Faults
from billing_ui.sandbox.core.store import Store
from billing_ui.sandbox.stripe import hosted, lifecycle, resources, seeding
from billing_ui.sandbox.stripe.account import Account
from billing_ui.sandbox.stripe.errors import StripeError
from billing_ui.sandbox.stripe.http import StripeAPI
from billing_ui.sandbox.stripe.shapes import Json

assert resources.__all__, "importing the resources registers their operations"

TICK_SECONDS = 30
"""How often what has become due is looked for."""

WELCOME = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Billing sandbox</title>
<body style="font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 4rem auto">
<h1>Billing sandbox</h1>
<p>This server imitates Stripe for development: its API under <code>/v1</code>, the customer portal
and the checkout. All data is made up, and no real money moves.</p>
<p>Point an SDK here with any test key:</p>
<pre>StripeClient("sk_test_sandbox", base_addresses={{"api": "{origin}"}})</pre>
</html>
"""


def build_app(database: str | Path, origin: str, name: str = "Acme Cloud") -> ASGIApp:
    """Return the sandbox.

    Args:
        database: The SQLite file; it is made when missing.
        origin: Its own address, such as `http://127.0.0.1:8420`.
        name: Whose account it is: the seller on hosted pages and invoices.
    """
    store, faults = Store(database), Faults()
    account = Account(store, origin, name)
    api = StripeAPI(account, faults)

    async def welcome(request: Request) -> Response:
        return HTMLResponse(WELCOME.format(origin=origin))

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        passing = asyncio.create_task(_let_time_pass(account))
        try:
            yield
        finally:
            passing.cancel()
            store.close()

    pages = Starlette(
        routes=[
            Route("/", welcome),
            *control.routes(_controlled(account), faults),
            *hosted.routes(account),
        ],
        # A page elsewhere whose name was pointed at this machine gets nothing.
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])],
        lifespan=lifespan,
    )

    async def sandbox(scope: Scope, receive: Receive, send: Send) -> None:
        under_api = scope["type"] == "http" and scope["path"].startswith("/v1/")
        await (api if under_api else pages)(scope, receive, send)

    return sandbox


async def _let_time_pass(account: Account) -> None:
    while True:
        while lifecycle.step(account, int(time.time())):  # noqa: ASYNC110 - not an event
            await asyncio.sleep(0)
        await asyncio.sleep(TICK_SECONDS)


def _controlled(account: Account) -> control.Provider:
    def call(
        method: str, path: str, params: Json, *, at: int | None, wanted_id: str | None
    ) -> Json:
        try:
            return account.call(method, path, params, at=at, wanted_id=wanted_id)
        except StripeError as error:
            raise control.Refusal(error.status, error.body()) from None

    def advance(customer: str, to: int) -> int:
        return lifecycle.advance(account, to, customer)

    def seed(wish: control.Seed) -> Iterator[Json]:
        try:
            yield from seeding.seed(account, wish)
        except StripeError as error:
            raise control.Refusal(error.status, error.body()) from None

    return control.Provider(call, account.store.transaction, advance, seed, account.store.wipe)
