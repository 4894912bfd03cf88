"""What runs beside the pages, or by itself: the worker, and the jobs that come round."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import structlog

from billing_ui.billing.jobs import run_jobs
from billing_ui.billing.services import Services
from billing_ui.billing.worker import run_worker

log = structlog.get_logger(__name__)

_PAUSE_SECONDS: Final = 5.0


async def run_background(services: Services) -> None:
    """Keep everything true until canceled."""
    async with asyncio.TaskGroup() as group:
        group.create_task(_keep_running("worker", run_worker, services))
        group.create_task(_keep_running("jobs", run_jobs, services))


@asynccontextmanager
async def background(services: Services) -> AsyncIterator[None]:
    """Keep everything true meanwhile; at the end what is running gives back what it held."""
    task = asyncio.create_task(run_background(services))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _keep_running(
    name: str, run: Callable[[Services], Awaitable[None]], services: Services
) -> None:
    # Both expect providers and databases to fail, and go on. Should one of them break all the same, the
    # pages must not go down with it.
    while True:
        try:
            await run(services)
        except Exception:
            log.exception("background_broke", what=name)
            await asyncio.sleep(_PAUSE_SECONDS)
