"""The embedded sandbox: started beside the app as a process of its own, once for all workers."""

import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import httpx
import structlog
from filelock import FileLock, Timeout

from billing_ui.billing.services import Services
from billing_ui.settings import (
    DEFAULT_SANDBOX_PORT,
    SANDBOX_HOST,
    EventsMode,
    Provider,
    Settings,
)

_PORTS_TRIED = 20
_START_SECONDS = 20.0
_HANDOVER_SECONDS = 3.0
_ENDPOINTS: Final = {
    Provider.STRIPE: "we_embedded",
    Provider.POLAR: "e0b0edde-d000-4000-8000-000000000001",
    Provider.LEMONSQUEEZY: "9000000",
    Provider.PADDLE: "ntfset_01embedded0000000000000000",
}
"""The app's own endpoint, by whose id the sandbox knows it again when its port has changed."""

log = structlog.get_logger(__name__)


class SandboxUnavailable(Exception):
    """The sandbox could not be started; the message says why and what to do."""


async def connect_webhooks(services: Services, sandbox_url: str) -> None:
    """Have the sandbox send its events to this app, or no longer once the app asks for them by itself.

    To connect again changes nothing but the address, which is another one when the app's port is.

    Raises:
        SandboxUnavailable: the sandbox refuses.
    """
    settings = services.settings
    provider = settings.payment_provider
    endpoint = _ENDPOINTS[provider]
    try:
        async with httpx.AsyncClient(base_url=sandbox_url, trust_env=False) as client:
            if settings.events_mode is EventsMode.POLL:
                # One that an earlier run in webhook mode has left; what waits for it is dropped.
                answer = await client.delete(f"/_control/webhooks/{endpoint}")
            else:
                wish = {
                    "id": endpoint,
                    "url": settings.webhook_url(provider),
                    "secret": settings.webhook_secrets(settings.payment_provider)[0],
                    "events": ["*"],
                }
                answer = await client.post("/_control/webhooks", json=wish)
            answer.raise_for_status()
    except httpx.HTTPError as error:
        raise SandboxUnavailable(
            f"The sandbox could not be told where to send its webhooks: {error}"
        ) from None


def wants_embedded_sandbox(settings: Settings) -> bool:
    """Return whether the active provider is the sandbox, and no address says where another one runs."""
    return settings.sandbox and not getattr(settings, _address_setting(settings))


def at_sandbox(settings: Settings, sandbox_url: str) -> Settings:
    """Return settings by which the active provider is asked at the sandbox, unless they name an address."""
    name = _address_setting(settings)
    return settings.model_copy(update={name: getattr(settings, name) or sandbox_url})


def _address_setting(settings: Settings) -> str:
    return f"{settings.payment_provider.value}_api_base"


@asynccontextmanager
async def embedded_sandbox(settings: Settings) -> AsyncIterator[str]:
    """Yield the sandbox's URL, starting it unless another process of this installation runs it.

    The child ends when its standard input closes, so it never outlives this process, however that ends.

    Raises:
        SandboxUnavailable: no port is free, SANDBOX_PORT is taken, or the sandbox does not answer.
    """
    directory = settings.data_directory
    directory.mkdir(parents=True, exist_ok=True)
    name = _name(settings.payment_provider)
    address = directory / f"{name}-url"
    lock = FileLock(directory / f"{name}.lock")
    try:
        # In this very thread: a lock taken by another one could not be given back here.
        lock.acquire(timeout=0)
    except Timeout:
        yield await _running_elsewhere(address)
        return
    try:
        port = await _free_port(settings.sandbox_port, _last_port(address))
        url = f"http://{SANDBOX_HOST}:{port}"
        keeper = asyncio.create_task(_keep_running(settings, port, directory / f"{name}.db"))
        try:
            await _wait_until_healthy(url, keeper)
            address.write_text(url)
            yield url
        finally:
            keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeper
    finally:
        lock.release()


def _name(provider: Provider) -> str:
    # Each provider's sandbox keeps its data: who tries another one finds this one again as it was.
    return "sandbox" if provider is Provider.STRIPE else f"sandbox-{provider.value}"


async def _keep_running(settings: Settings, port: int, database: Path) -> None:
    """Run the sandbox and start it again should it die; cancelling closes it."""
    while True:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "billing_ui.sandbox", "--exit-with-stdin"),
            *("--port", str(port), "--database", str(database), "--name", settings.app_name),
            *("--provider", settings.payment_provider.value),
            stdin=asyncio.subprocess.PIPE,
        )
        try:
            code = await process.wait()
        except asyncio.CancelledError:
            assert process.stdin is not None
            process.stdin.close()
            await process.wait()
            raise
        log.error("sandbox_ended", exit_code=code)
        await asyncio.sleep(1)


async def _running_elsewhere(address: Path) -> str:
    try:
        async with asyncio.timeout(_START_SECONDS), httpx.AsyncClient(trust_env=False) as client:
            while True:
                url = _last_url(address)
                if url and await _healthy(client, url):
                    return url
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise SandboxUnavailable(
            "Another process of this installation runs the sandbox, which did not answer within "
            f"{_START_SECONDS:.0f} seconds. End that process, and start again."
        ) from None


async def _wait_until_healthy(url: str, keeper: "asyncio.Task[None]") -> None:
    try:
        async with asyncio.timeout(_START_SECONDS), httpx.AsyncClient(trust_env=False) as client:
            while not await _healthy(client, url):
                if keeper.done():
                    keeper.result()
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise SandboxUnavailable(
            f"The sandbox did not answer at {url} within {_START_SECONDS:.0f} seconds. "
            "Its own messages above say why."
        ) from None


async def _healthy(client: httpx.AsyncClient, url: str) -> bool:
    try:
        response = await client.get(f"{url}/_control/health")
    except httpx.TransportError:
        return False
    return response.is_success


def _last_url(address: Path) -> str:
    try:
        return address.read_text().strip()
    except FileNotFoundError:
        return ""


def _last_port(address: Path) -> int:
    # Links to invoices carry the port, so the one used before is the best one to use again.
    port = _last_url(address).rpartition(":")[2]
    return int(port) if port.isdecimal() else DEFAULT_SANDBOX_PORT


async def _free_port(wanted: int | None, preferred: int) -> int:
    first = wanted or preferred
    # A sandbox whose app was just killed needs a moment to notice and let go of the port.
    for _ in range(int(_HANDOVER_SECONDS / 0.1)):
        if _is_free(first):
            return first
        await asyncio.sleep(0.1)
    if wanted:
        raise SandboxUnavailable(
            f"SANDBOX_PORT {wanted} is taken by another program. Choose another one, or unset it."
        )
    for port in range(DEFAULT_SANDBOX_PORT, DEFAULT_SANDBOX_PORT + _PORTS_TRIED):
        if _is_free(port):
            return port
    raise SandboxUnavailable(
        f"No port from {DEFAULT_SANDBOX_PORT} to {DEFAULT_SANDBOX_PORT + _PORTS_TRIED - 1} is free for the sandbox. "
        "Set SANDBOX_PORT to one that is."
    )


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((SANDBOX_HOST, port))
        except OSError:
            return False
        return True
