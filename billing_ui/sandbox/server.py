"""The sandbox as one ASGI application: a provider's API, its hosted pages and the control API."""

import asyncio
import html
import logging
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
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
from billing_ui.sandbox.core.imitation import Imitation
from billing_ui.sandbox.core.store import Store
from billing_ui.sandbox.shop.dialect import Dialect

PROVIDERS = ("stripe", "polar", "lemonsqueezy", "paddle")
TICK_SECONDS = 30
"""How often what has become due is looked for."""
HOLD_SECONDS = 300
"""How long time stands still after somebody advanced it by hand."""

log = logging.getLogger(__name__)

WELCOME = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Billing sandbox</title>
<body style="font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 4rem auto">
<h1>Billing sandbox</h1>
<p>This server imitates {title} for development: its API, the customer portal and the checkout.
All data is made up, and no real money moves.</p>
<p>Point a client here with any test key:</p>
<pre>{hint}</pre>
</html>
"""


def build_app(
    database: str | Path,
    origin: str,
    name: str = "Acme Cloud",
    provider: str | Dialect = "stripe",
) -> ASGIApp:
    """Return the sandbox.

    Args:
        database: The SQLite file; it is made when missing.
        origin: Its own address, such as `http://127.0.0.1:8420`.
        name: Whose account it is: the seller on hosted pages and invoices.
        provider: Which of `PROVIDERS` is imitated, or a dialect of a shop.
    """
    store, faults = Store(database), Faults()
    imitation = _imitate(provider, store, faults, origin, name)
    delivery_faults = DeliveryFaults()
    courier = Courier(imitation.outbox, imitation.pack, delivery_faults)
    clock = Clock(imitation)

    async def welcome(request: Request) -> Response:
        return HTMLResponse(
            WELCOME.format(title=imitation.title, hint=html.escape(imitation.hint, quote=False))
        )

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
            *control.routes(_holding(imitation.control, clock), faults),
            *delivery_control.routes(
                imitation.register, imitation.unregister, imitation.outbox, courier, delivery_faults
            ),
            *imitation.pages,
        ],
        # A page elsewhere whose name was pointed at this machine gets nothing.
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])],
        lifespan=lifespan,
    )

    async def sandbox(scope: Scope, receive: Receive, send: Send) -> None:
        under_api = scope["type"] == "http" and scope["path"].startswith(imitation.paths)
        await (imitation.api if under_api else pages)(scope, receive, send)

    return sandbox


def _imitate(
    provider: str | Dialect, store: Store, faults: Faults, origin: str, name: str
) -> Imitation:
    # Imported here: a provider's SDK is heavy, and only the one in use should be loaded.
    if provider == "stripe":
        from billing_ui.sandbox.stripe.imitation import imitate as imitate_stripe

        return imitate_stripe(store, faults, origin, name)
    from billing_ui.sandbox.shop.imitation import imitate

    dialect = _dialect(provider) if isinstance(provider, str) else provider
    return imitate(dialect, store, faults, origin, name)


def _dialect(provider: str) -> Dialect:
    match provider:
        case "polar":
            from billing_ui.sandbox.polar.dialect import PolarDialect

            return PolarDialect()
        case "lemonsqueezy":
            from billing_ui.sandbox.lemonsqueezy.dialect import LemonSqueezyDialect

            return LemonSqueezyDialect()
        case "paddle":
            from billing_ui.sandbox.paddle.dialect import PaddleDialect

            return PaddleDialect()
    raise ValueError(f"There is no sandbox of {provider}.")


class Clock:
    """Lets time pass by itself: what has become due happens, unless somebody turns the hands.

    Args:
        imitation: Whose time it is.
    """

    def __init__(self, imitation: Imitation) -> None:
        self._imitation = imitation
        self._held_until = 0.0

    def hold(self) -> None:
        """Stand still for a while: who back-dates and advances is not to be overtaken."""
        self._held_until = time.monotonic() + HOLD_SECONDS

    def _step(self) -> bool:
        return self._imitation.step(time.monotonic() < self._held_until)

    async def run(self) -> None:
        """Tick for ever."""
        bell = self._imitation.bell
        while True:
            try:
                bell.clear()
                while self._step():  # noqa: ASYNC110 - others are served in between
                    await asyncio.sleep(0)
                while self._imitation.prune():  # noqa: ASYNC110
                    await asyncio.sleep(0)
            except Exception:
                log.exception("what is due could not happen, or what is old not be forgotten")
            with suppress(TimeoutError):
                await asyncio.wait_for(bell.wait(), TICK_SECONDS)


def _holding(provider: control.Provider, clock: Clock) -> control.Provider:
    """Return a provider whose clock stands still for a while after somebody was at its past."""

    def call(
        method: str, path: str, params: control.Json, *, at: int | None, wanted_id: str | None
    ) -> control.Json:
        clock.hold()
        return provider.call(method, path, params, at=at, wanted_id=wanted_id)

    def advance(customer: str, to: int) -> int:
        clock.hold()
        return provider.advance(customer, to)

    def storm(wish: control.Storm) -> Iterator[int]:
        clock.hold()
        return provider.storm(wish)

    def operate(wish: bytes) -> control.Json:
        clock.hold()
        assert provider.operate is not None
        return provider.operate(wish)

    held = replace(provider, call=call, advance=advance, storm=storm)
    return held if provider.operate is None else replace(held, operate=operate)
