"""A real Chromium for the tests, wherever it was installed from."""

import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Browser, async_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@asynccontextmanager
async def open_chromium(*flags: str, keeps_pages: bool = False) -> AsyncIterator[Browser]:
    """Start the distribution's Chromium, or the one that Playwright has installed.

    Args:
        flags: command-line switches besides those every test needs.
        keeps_pages: whether it keeps the last pages for Back, as browsers do; Playwright lets it load them anew.
    """
    # The Node that Playwright brings needs a library that a bare Debian lacks; ours does not.
    os.environ.setdefault("PLAYWRIGHT_NODEJS_PATH", str(Path(sys.executable).with_name("node")))
    async with async_playwright() as playwright:
        executable = next(filter(None, map(shutil.which, _NAMES)), None)
        browser = await playwright.chromium.launch(
            executable_path=executable,
            args=[*_FLAGS, *flags],
            ignore_default_args=["--disable-back-forward-cache"] if keeps_pages else None,
        )
        yield browser
        await browser.close()
