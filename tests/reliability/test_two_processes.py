"""Two processes of the application on one PostgreSQL and one Redis: whatever one learns, both show."""

import asyncio
from pathlib import Path

import pytest
from playwright.async_api import expect

from billing_ui.billing.customers import link_customer
from billing_ui.billing.sync import sync_customer
from tests.chromium import open_chromium
from tests.conftest import PostgresServer
from tests.e2e.factories import World
from tests.e2e.visitors import Visitors, billing_shown
from tests.reliability.installation import SECRET, installed, running
from tests.reliability.sender import Sender
from tests.reliability.truth import (
    differences,
    stored_customers,
    stored_events,
    wait_until_current,
)


@pytest.mark.parametrize(
    ("events", "customers"),
    [(200, 20), pytest.param(5000, 200, marks=pytest.mark.soak)],
)
async def test_a_change_appears_in_a_browser_on_either_process(
    events: int, customers: int, postgres: PostgresServer, redis_url: str, tmp_path: Path
) -> None:
    url = postgres.url(postgres.new_database())
    settings = {"REDIS_URL": redis_url, "GRANIAN_WORKERS": "1"}
    async with (
        installed(tmp_path, url, customers=customers, settings=settings) as installation,
        open_chromium() as browser,
    ):
        services, shop = installation.services, installation.shop
        with running(tmp_path, "second", shop.sandbox.url, url, settings) as second:
            senders = [
                Sender(installation.webhook_url, SECRET, seed=3),
                Sender(f"http://127.0.0.1:{second.port}/api/webhooks/stripe", SECRET, seed=4),
            ]
            # Both are told everything: each event is taken in by whichever is first.
            for sender in senders:
                sender.add(await shop.new_events())
            happened = await shop.storm(events, seed=3)
            for sender in senders:
                sender.add(happened)
            async with asyncio.TaskGroup() as group:
                sending = [group.create_task(sender.run()) for sender in senders]
                await asyncio.gather(*(sender.finished() for sender in senders))
                for task in sending:
                    task.cancel()
            await wait_until_current(services, seconds=180)
            assert senders[0].accepted | senders[1].accepted == set(await stored_events(services))
            assert sorted(await stored_customers(services)) == sorted(shop.customers)
            assert await differences(services, shop.sandbox, shop.customers) == []

            customer = shop.customers[0]
            owner = await World(services, shop.sandbox).newcomer("Northwind Labs")
            await sync_customer(services, await link_customer(services, owner.team_id, customer))
            people = [
                Visitors(browser, address)
                for address in (installation.server.base_url, second.base_url)
            ]
            pages = [await visitors.arrive(person=owner) for visitors in people]
            for page in pages:
                await billing_shown(page)
            # One of the two is told; the sandbox sends it by itself.
            await shop.sandbox.control(
                "webhooks", {"url": installation.webhook_url, "secret": SECRET, "events": ["*"]}
            )
            await shop.sandbox.post(f"/v1/customers/{customer}", name="Northwind Worldwide")
            for page in pages:
                await expect(page.get_by_text("Northwind Worldwide")).to_be_visible()
            for visitors in people:
                await visitors.leave()
                assert visitors.complaints == []
