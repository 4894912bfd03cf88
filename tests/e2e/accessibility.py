"""What axe says of a page, once nothing on it moves any more."""

from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]
from playwright.async_api import Page

_SETTLED = """Promise.allSettled(
    document.getAnimations()
        .filter((one) => one.effect?.getComputedTiming().endTime !== Infinity)
        .map((one) => one.finished)
)"""


async def complaints(page: Page) -> str:
    """Return what axe finds on a page, in words; nothing when it finds nothing.

    A dialog that is fading in has too little contrast still.
    """
    await page.evaluate(f"async () => {{ await {_SETTLED} }}")
    results = await Axe().run(page)
    return str(results.generate_report()) if results.violations_count else ""
