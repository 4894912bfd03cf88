"""A real Chromium, wherever it was installed from, and somebody signed in to it."""

import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from playwright.async_api import Browser, BrowserContext, async_playwright

PATIENCE_MS: Final = 30_000

_NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
_FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Start the browser; it ends with the block."""
    # The Node that Playwright brings needs a library that a bare Debian lacks; ours does not.
    os.environ.setdefault("PLAYWRIGHT_NODEJS_PATH", str(Path(sys.executable).with_name("node")))
    async with async_playwright() as playwright:
        executable = next(filter(None, map(shutil.which, _NAMES)), None)
        browser = await playwright.chromium.launch(executable_path=executable, args=[*_FLAGS])
        yield browser
        await browser.close()


@asynccontextmanager
async def profile(
    browser: Browser, port: int, token: str | None = None
) -> AsyncIterator[BrowserContext]:
    """Open a fresh profile for the site on `port`, signed in with a session's token."""
    url = f"http://localhost:{port}"
    context = await browser.new_context(base_url=url, viewport={"width": 1440, "height": 900})
    context.set_default_timeout(PATIENCE_MS)
    if token is not None:
        await context.add_cookies(
            [
                {
                    "name": "billing_session",
                    "value": token,
                    "url": url,
                    "httpOnly": True,
                    "sameSite": "Lax",
                }
            ]
        )
    yield context
    await context.close()
