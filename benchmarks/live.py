"""From a webhook being sent to the change being visible in an open browser."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from itertools import count
from typing import Any, Final

import stripe
from playwright.async_api import Browser, Page

from benchmarks import servers
from benchmarks.browser import chromium, profile
from benchmarks.databases import Kind
from benchmarks.events import signed
from benchmarks.load import Load, load
from benchmarks.results import Row
from benchmarks.rounds import percentile
from benchmarks.run import Run
from benchmarks.shop import Shop, Subscriber, opened_shop, subscriber

NAME: Final = "live"

_PATIENCE_SECONDS: Final = 30.0

_SEEN: Final = """
    (text) => new Promise((resolve) => {
        const look = () => {
            if (document.querySelector("#main").textContent.includes(text)) {
                observer.disconnect();
                resolve(performance.timeOrigin + performance.now());
            }
        };
        const observer = new MutationObserver(look);
        observer.observe(document, {childList: true, subtree: true, characterData: true});
        look();
    })
"""


async def measure(run: Run) -> AsyncIterator[Row]:
    """Measure changes one after the other; the provider is the sandbox, which takes its time for each answer."""
    async with chromium() as browser:
        for kind in run.databases:
            async with AsyncExitStack() as stack:
                yield await _on(run, kind, stack, browser)


async def _on(run: Run, kind: Kind, stack: AsyncExitStack, browser: Browser) -> Row:
    changes = run.few(200, 3)
    database = await stack.enter_async_context(run.database(kind))
    sandbox = await stack.enter_async_context(servers.sandbox(run.directory))
    shop = await stack.enter_async_context(opened_shop(sandbox))
    owner = await subscriber(database, sandbox, shop)
    url = database.engine.url.render_as_string(hide_password=False)
    port = await stack.enter_async_context(servers.application(url, sandbox))
    client = await stack.enter_async_context(load())
    context = await stack.enter_async_context(profile(browser, port, owner.token))
    page = await context.new_page()
    await page.goto("/settings/billing")
    await page.get_by_text("$49.00").first.wait_for()
    await page.wait_for_load_state("networkidle")
    numbers = count(1)
    took = [
        await _change(next(numbers), page, shop, owner, client, port)
        for _ in range(changes + run.few(5, 1))
    ]
    return Row(
        figure="webhook → change visible in an open browser, p99",
        database=kind,
        ours=percentile(took[-changes:], 99),
        bare=None,
        unit="ms",
        bar=250,
        moonshot=100,
        lower_is_better=True,
        n=changes,
    )


async def _change(
    number: int, page: Page, shop: Shop, owner: Subscriber, client: Load, port: int
) -> float:
    """Change the customer's name at the provider, tell the application, and return how long it took to show."""
    name = f"Acme number {number:04}"
    await shop.post(f"/v1/customers/{owner.customer}", name=name)
    # Kept in the window: the watch begins before the change is sent, and is asked for afterwards.
    await page.evaluate(f"window.seen = ({_SEEN})({name!r}); null")
    request = signed("/api/webhooks/stripe", _customer_updated(number, owner.customer, name))
    sent_at = time.time() * 1000
    await client.send(port, [request], calls=1)
    async with asyncio.timeout(_PATIENCE_SECONDS):
        seen_at: float = await page.evaluate("window.seen")
    return seen_at - sent_at


def _customer_updated(number: int, customer: str, name: str) -> dict[str, Any]:
    return {
        "id": f"evt_{number:012}",
        "object": "event",
        "api_version": stripe.api_version,
        "created": int(time.time()),
        "data": {
            "object": {"id": customer, "object": "customer", "name": name},
            "previous_attributes": {"name": "Acme"},
        },
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": "customer.updated",
    }
