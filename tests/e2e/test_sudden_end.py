"""Killed without warning and started again: nothing is lost, and nothing is left behind."""

import asyncio
import time
from pathlib import Path

from playwright.async_api import expect

from tests.e2e.factories import World
from tests.e2e.sandbox import Sandbox
from tests.e2e.server import Server, is_free
from tests.e2e.visitors import (
    Visitors,
    billing_shown,
    button,
    choose_price,
    come_back,
    said,
    to_portal,
)


async def test_after_a_sudden_end_everything_comes_up_again_with_its_data(
    visitors: Visitors, world: World, sandbox: Sandbox, server: Server
) -> None:
    traveller = await visitors.arrive(person=await world.subscriber("team", seats=2))
    await to_portal(traveller)
    await button(traveller, "Update plan").click()
    await choose_price(traveller, "Pro – $149.00 per month")
    await expect(traveller.get_by_role("status")).to_contain_text("Your plan is updated.")
    reader = await visitors.arrive(person=await world.subscriber("starter"))
    await billing_shown(reader)

    server.kill()
    deadline = time.monotonic() + 10
    while leftovers(server) or not (is_free(server.port) and is_free(server.sandbox_port)):
        assert time.monotonic() < deadline, f"still there: {leftovers(server)}"
        await asyncio.sleep(0.05)
    server.start()

    # Who was in the portal all the while comes back as if nothing had happened.
    plan = await come_back(traveller)
    await expect(said(traveller, "Plan changed from Team to Pro.")).to_be_visible()
    await expect(plan).to_contain_text("$149.00 per month")
    # So does a page that was open: its button works without loading it anew.
    await to_portal(reader)


def leftovers(server: Server) -> list[str]:
    """Return the command lines of processes that still work on the installation's data."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if str(server.data) in command:
            found.append(command)
    return found
