"""From a click on Manage Billing to the provider being asked for its page, as a browser does it."""

import statistics
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any, Final

from benchmarks import servers
from benchmarks.browser import chromium, profile
from benchmarks.databases import Kind
from benchmarks.provider import HOSTED
from benchmarks.results import Row
from benchmarks.run import Run
from benchmarks.world import settle

NAME: Final = "click"

_PEER_MS: Final = 18.0
"""The best peer that was measured, a server action of Next.js; not part of this run."""

# The page keeps the moment to itself until later: telling it at once would take the page's own time.
_NOTE_CLICKS: Final = """
    addEventListener("click", () => {
        sessionStorage.clicked = performance.timeOrigin + performance.now();
    }, true);
"""
_BILLING: Final = "/settings/billing"
_REST_MS: Final = 150
"""So long the pointer rests on the button before it is pressed, as a person's does."""


async def measure(run: Run) -> AsyncIterator[Row]:
    """Measure with a provider that answers at once; its page tells when it was asked for."""
    async with chromium() as browser:
        for kind in run.databases:
            async with AsyncExitStack() as stack:
                yield await _on(run, kind, stack, browser)


async def _on(run: Run, kind: Kind, stack: AsyncExitStack, browser: Any) -> Row:
    clicks = run.few(40, 2)
    database = await stack.enter_async_context(run.database(kind))
    person = await settle(database)
    provider = await stack.enter_async_context(servers.provider())
    url = database.engine.url.render_as_string(hide_password=False)
    port = await stack.enter_async_context(servers.application(url, provider))
    context = await stack.enter_async_context(profile(browser, port, person.token))
    await context.add_init_script(_NOTE_CLICKS)
    page = await context.new_page()
    await page.goto(_BILLING)
    took = []
    # The first ones warm everything up.
    for _ in range(clicks + run.few(5, 1)):
        button = page.get_by_role("button", name="Manage Billing", exact=True)
        await button.wait_for()
        await page.wait_for_load_state("networkidle")
        await button.hover()
        await page.wait_for_timeout(_REST_MS)
        await page.mouse.down()
        await page.mouse.up()
        await page.wait_for_url(f"{provider}{HOSTED}")
        asked_at = float(await page.locator("p").inner_text())
        await page.goto(_BILLING)
        took.append(asked_at - float(await page.evaluate("sessionStorage.clicked")))
    return Row(
        figure="click on Manage Billing → provider's page is asked for, p50",
        database=kind,
        ours=statistics.median(took[-clicks:]),
        bare=_PEER_MS,
        unit="ms",
        bar=1.2,
        moonshot=0.8,
        lower_is_better=True,
        n=clicks,
    )
