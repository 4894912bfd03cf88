"""Opening the billing page: when data can be seen, and what is sent for it, beside a blank Reflex application."""

import statistics
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Final

from playwright.async_api import Browser

from benchmarks import servers
from benchmarks.browser import chromium, profile
from benchmarks.databases import Kind
from benchmarks.results import Row
from benchmarks.run import Run
from benchmarks.shop import opened_shop, subscriber

NAME: Final = "page"

# Runs before the page's own scripts, and looks after each change of the document.
_WATCH: Final = """
    const look = () => {
        if (document.querySelector("%s")?.textContent?.includes("%s")) {
            window.seenAfter ??= performance.now();
        }
    };
    new MutationObserver(look).observe(document, {
        childList: true, subtree: true, characterData: true,
    });
"""


@dataclass(frozen=True)
class Site:
    """A page to open.

    Attributes:
        selector, text: what shows that its data is there.
        token: the session of whoever opens it.
    """

    port: int
    path: str
    selector: str
    text: str
    token: str | None = None


@dataclass(frozen=True)
class Opened:
    """What opening a page took, in milliseconds since the navigation began, and bytes on the wire."""

    milliseconds: float
    bytes: int


async def measure(run: Run) -> AsyncIterator[Row]:
    """Measure both pages with an empty cache, in turn."""
    async with AsyncExitStack() as stack:
        blank = Site(
            await stack.enter_async_context(servers.blank_application()), "/", "#data", "Here"
        )
        browser = await stack.enter_async_context(chromium())
        for kind in run.databases:
            async with AsyncExitStack() as inner:
                ours = await _billing_page(run, kind, inner)
                for row in await _compare(run, kind, browser, ours, blank):
                    yield row


async def _billing_page(run: Run, kind: Kind, stack: AsyncExitStack) -> Site:
    database = await stack.enter_async_context(run.database(kind))
    sandbox = await stack.enter_async_context(servers.sandbox(run.directory))
    shop = await stack.enter_async_context(opened_shop(sandbox))
    owner = await subscriber(database, sandbox, shop)
    url = database.engine.url.render_as_string(hide_password=False)
    port = await stack.enter_async_context(servers.application(url, sandbox))
    return Site(port, "/settings/billing", "#main", "$49.00", owner.token)


async def _compare(
    run: Run, kind: Kind, browser: Browser, ours: Site, blank: Site
) -> tuple[Row, ...]:
    rounds = run.few(15, 1)
    ours_opened, blank_opened = [], []
    # The first one warms the servers up.
    for _ in range(rounds + 1):
        ours_opened.append(await _open(browser, ours))
        blank_opened.append(await _open(browser, blank))
    return tuple(
        Row(
            figure=figure,
            database=kind,
            ours=statistics.median(getattr(one, name) * scale for one in ours_opened[1:]),
            bare=statistics.median(getattr(one, name) * scale for one in blank_opened[1:]),
            unit=unit,
            bar=bar,
            moonshot=moonshot,
            lower_is_better=True,
            n=rounds,
        )
        for figure, name, scale, unit, bar, moonshot in (
            ("billing page, first data visible", "milliseconds", 1, "ms", 1.5, 1.2),
            ("billing page, bytes transferred", "bytes", 0.001, "kB", 1.4, 1.1),
        )
    )


async def _open(browser: Browser, site: Site) -> Opened:
    async with profile(browser, site.port, site.token) as context:
        page = await context.new_page()
        network = await context.new_cdp_session(page)
        received = 0

        def count(event: dict[str, Any]) -> None:
            nonlocal received
            received += event["encodedDataLength"]

        network.on("Network.loadingFinished", count)
        await network.send("Network.enable")
        await page.add_init_script(_WATCH % (site.selector, site.text))
        await page.goto(site.path, wait_until="load")
        await page.wait_for_function("() => window.seenAfter !== undefined")
        milliseconds = await page.evaluate("window.seenAfter")
        await page.wait_for_load_state("networkidle")
    return Opened(milliseconds, received)
