"""The sandbox as one ASGI application: the API, the hosted pages and the control API."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from billing_ui.sandbox.core import control, delivery_control
from billing_ui.sandbox.core.courier import Courier
from billing_ui.sandbox.core.delivery_faults import DeliveryFaults
from billing_ui.sandbox.core.faults import Faults
from billing_ui.sandbox.core.store import Store
from billing_ui.sandbox.stripe import hosted, lifecycle, seeding, storms
from billing_ui.sandbox.stripe.account import Account
from billing_ui.sandbox.stripe.errors import StripeError
from billing_ui.sandbox.stripe.http import StripeAPI
from billing_ui.sandbox.stripe.pruning import prune
from billing_ui.sandbox.stripe.resources import webhook_endpoints
from billing_ui.sandbox.stripe.shapes import Json

TICK_SECONDS = 30
"""How often what has become due is looked for."""
HOLD_SECONDS = 300
"""How long time stands still after somebody advanced it by hand."""

log = logging.getLogger(__name__)

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
    delivery_faults = DeliveryFaults()
    courier = Courier(account.outbox, partial(webhook_endpoints.pack, account), delivery_faults)
    clock = Clock(account)

    def register(url: str, secret: str, events: list[str], wanted_id: str | None) -> Json:
        with _refusing():
            return webhook_endpoints.register_known(account, url, secret, events, wanted_id)

    async def welcome(request: Request) -> Response:
        return HTMLResponse(WELCOME.format(origin=origin))

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(clock.run()), asyncio.create_task(courier.run())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            store.close()

    pages = Starlette(
        routes=[
            Route("/", welcome),
            *control.routes(_controlled(account, clock), faults),
            *delivery_control.routes(register, account.outbox, courier, delivery_faults),
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


class Clock:
    """Lets time pass by itself: what has become due happens, unless somebody turns the hands.

    Args:
        account: Whose time it is.
    """

    def __init__(self, account: Account) -> None:
        self._account = account
        self._held_until = 0.0

    def hold(self) -> None:
        """Stand still for a while: who back-dates and advances is not to be overtaken."""
        self._held_until = time.monotonic() + HOLD_SECONDS

    def _step(self) -> bool:
        if lifecycle.step_test_clocks(self._account):
            return True
        held = time.monotonic() < self._held_until
        return not held and lifecycle.step(self._account, int(time.time()))

    async def run(self) -> None:
        """Tick for ever."""
        while True:
            try:
                self._account.clock_bell.clear()
                while self._step():  # noqa: ASYNC110 - others are served in between
                    await asyncio.sleep(0)
                while prune(self._account):  # noqa: ASYNC110
                    await asyncio.sleep(0)
            except Exception:
                log.exception("what is due could not happen, or what is old not be forgotten")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._account.clock_bell.wait(), TICK_SECONDS)


def _controlled(account: Account, clock: Clock) -> control.Provider:
    def call(
        method: str, path: str, params: Json, *, at: int | None, wanted_id: str | None
    ) -> Json:
        clock.hold()
        with _refusing():
            return account.call(method, path, params, at=at, wanted_id=wanted_id)

    def advance(customer: str, to: int) -> int:
        clock.hold()
        with _refusing():
            if account.get("customer", customer)["test_clock"]:
                raise StripeError(f"The time of {customer} is that of its test clock.")
        return lifecycle.advance(account, to, customer)

    def seed(wish: control.Seed) -> Iterator[Json]:
        with _refusing():
            yield from seeding.seed(account, wish)

    def storm(wish: control.Storm) -> Iterator[int]:
        clock.hold()
        with _refusing():
            yield from storms.storm(account, wish)

    def dun(then: control.Outcome) -> None:
        account.after_dunning = then

    def wipe() -> None:
        account.store.wipe()
        account.outbox.clear()
        dun("cancel")

    return control.Provider(call, account.store.transaction, advance, dun, seed, storm, wipe)


@contextmanager
def _refusing() -> Iterator[None]:
    """Turn Stripe's errors into those the control API answers with."""
    try:
        yield
    except StripeError as error:
        raise control.Refusal(error.status, error.body()) from None
