"""Killed without warning and started again: nothing is lost, and nothing is left behind."""

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
    person = await world.subscriber("team", seats=2)
    page = await visitors.arrive(person=person)
    await to_portal(page)
    await button(page, "Update plan").click()
    await choose_price(page, "Pro – $149.00 per month")
    await expect(page.get_by_role("status")).to_contain_text("Your plan is updated.")

    server.kill()
    deadline = time.monotonic() + 10
    while not (is_free(server.port) and is_free(server.sandbox_port)):
        assert time.monotonic() < deadline, "a port is still held"
    assert leftovers(server) == []
    server.start()

    # Who was in the portal all the while comes back as if nothing had happened.
    await page.reload()
    plan = await come_back(page)
    await expect(said(page, "Plan changed from Team to Pro.")).to_be_visible()
    await expect(plan).to_contain_text("$149.00 per month")
    assert (await sandbox.subscription(person.customer))["status"] == "active"


async def test_a_page_left_open_over_a_restart_works_on(
    visitors: Visitors, world: World, server: Server
) -> None:
    page = await visitors.arrive(person=await world.subscriber("pro"))
    await billing_shown(page)
    server.kill()
    server.start()
    await to_portal(page)


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
