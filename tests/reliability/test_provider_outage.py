"""The provider fails or hangs in a storm of events: accepting goes on, pages work, and all is caught up."""

import asyncio
import re
from pathlib import Path

import pytest
from playwright.async_api import expect

from billing_ui.billing.customers import link_customer
from billing_ui.billing.sync import sync_customer
from tests.chromium import open_chromium
from tests.conftest import PostgresServer
from tests.e2e.factories import World
from tests.e2e.visitors import Visitors, billing_shown, button
from tests.reliability.installation import SECRET, installed
from tests.reliability.sender import Sender
from tests.reliability.truth import differences, stored_events, wait_until_current

_KEEPS_TRYING = re.compile("You see the data from .*We keep trying; nothing is lost.")
# The provider's list of events stays readable: it is where the test takes them from.
_ALL_BUT_EVENTS = "/v1/(?!events).*"


@pytest.mark.parametrize(
    ("events", "customers", "outage_seconds"),
    [(200, 10, 3), pytest.param(2000, 100, 120, marks=pytest.mark.soak)],
)
@pytest.mark.parametrize(
    "fault",
    [{"kind": "error", "status": 500}, {"kind": "latency", "seconds": 60.0}],
    ids=["failing", "hanging"],
)
async def test_an_outage_of_the_provider_costs_nothing_but_time(
    fault: dict[str, object],
    events: int,
    customers: int,
    outage_seconds: int,
    postgres: PostgresServer,
    tmp_path: Path,
) -> None:
    url = postgres.url(postgres.new_database())
    async with (
        installed(tmp_path, url, customers=customers) as installation,
        open_chromium() as browser,
    ):
        services, shop = installation.services, installation.shop
        sender = Sender(installation.webhook_url, SECRET, seed=11)
        sender.add(await shop.new_events())
        world = World(services, shop.sandbox)
        owner = await world.newcomer("Northwind Labs")
        await sync_customer(
            services, await link_customer(services, owner.team_id, shop.customers[0])
        )
        visitors = Visitors(browser, installation.server.base_url)
        page = await visitors.arrive(person=owner)
        await billing_shown(page)

        async with asyncio.TaskGroup() as group:
            sending = group.create_task(sender.run())
            async with shop.sandbox.failing(str(fault["kind"]), _ALL_BUT_EVENTS, **_details(fault)):
                outage = group.create_task(asyncio.sleep(outage_seconds))
                sender.add(await shop.storm(events, seed=11))
                # Accepting goes on.
                await sender.finished()
                # Pages keep working, and say how old their data is.
                await page.reload()
                await billing_shown(page)
                # A page that is out of date asks by itself when it opens, and is busy with it until it knows.
                await button(page, "Refresh").click(timeout=60_000)
                # Two tries and a hang take their time before it is known that nobody answers.
                await expect(page.get_by_text(_KEEPS_TRYING)).to_be_visible(timeout=60_000)
                await billing_shown(page)
                await outage
            sending.cancel()

        await wait_until_current(services, seconds=300)
        assert sender.accepted <= set(await stored_events(services))
        assert await differences(services, shop.sandbox, shop.customers) == []
        await expect(page.get_by_text(_KEEPS_TRYING)).to_be_hidden()
        await visitors.leave()


def _details(fault: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in fault.items() if name != "kind"}
