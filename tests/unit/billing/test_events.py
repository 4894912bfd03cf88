"""Looking at the inbox: lists, single events, and letting one count once more."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from billing_ui.billing.events import list_events, payload_text, replay_event, show_event
from billing_ui.billing.services import Services
from billing_ui.models import Catalog, Customer, InboxEvent
from billing_ui.payments.types import InvalidRequest
from tests.unit.billing.factories import new_account

NOW = datetime(2026, 12, 3, 12, tzinfo=UTC)


async def received(services: Services, *rows: dict[str, Any]) -> None:
    """Put events into the inbox, a minute apart."""
    async with services.database.write() as session:
        for number, fields in enumerate(rows):
            defaults: dict[str, Any] = {
                "provider": "stripe",
                "id": f"evt_{number}",
                "type": "invoice.paid",
                "created_at": NOW,
                "received_at": NOW + timedelta(minutes=number),
                "payload": {"number": number},
            }
            session.add(InboxEvent(**defaults | fields))


async def listed(services: Services, **filters: Any) -> list[str]:
    """Return the ids of the listed events."""
    return [event.id for event in (await list_events(services, **filters)).events]


async def test_events_are_listed_newest_first(services: Services) -> None:
    assert await listed(services) == []
    await received(services, {}, {}, {})
    assert await listed(services) == ["evt_2", "evt_1", "evt_0"]


async def test_pages_follow_each_other_without_gap_also_within_one_moment(
    services: Services,
) -> None:
    await received(services, *[{"received_at": NOW}] * 5, {}, {})
    found: list[str] = []
    after: str | None = ""
    while after is not None:
        page = await list_events(services, limit=2, after=after)
        assert len(page.events) <= 2
        found += [event.id for event in page.events]
        after = page.next_after
    assert found == [f"evt_{number}" for number in (6, 5, 4, 3, 2, 1, 0)]


async def test_the_last_page_says_so(services: Services) -> None:
    await received(services, {}, {})
    assert (await list_events(services, limit=2)).next_after is None
    assert (await list_events(services, limit=1)).next_after == "evt_1"
    assert (await list_events(services, limit=0)).next_after == "evt_1"


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"type_": "invoice.paid"}, ["evt_0"]),
        ({"type_": "customer.*"}, ["evt_2", "evt_1"]),
        ({"type_": "customer"}, []),
        ({"type_": "cust%*"}, []),
        ({"type_": "*"}, ["evt_3", "evt_2", "evt_1", "evt_0"]),
        ({"customer": "cus_1"}, ["evt_2", "evt_0"]),
        ({"provider": "polar"}, ["evt_3"]),
        ({"since": NOW + timedelta(minutes=2)}, ["evt_3", "evt_2"]),
        ({"customer": "cus_1", "since": NOW + timedelta(minutes=1)}, ["evt_2"]),
    ],
)
async def test_lists_can_be_narrowed(
    services: Services, filters: dict[str, Any], expected: list[str]
) -> None:
    await received(
        services,
        {"provider_customer_id": "cus_1"},
        {"type": "customer.updated"},
        {"type": "customer.deleted", "provider_customer_id": "cus_1"},
        {"provider": "polar", "type": "order.paid"},
    )
    assert await listed(services, **filters) == expected


async def test_an_event_is_shown_without_secrets(services: Services) -> None:
    payload = {
        "text": "Zürich",
        "portal": "https://billing.stripe.com/p/session/live_abc",
        "key": "sk_live_abc",
    }
    await received(services, {"payload": payload})
    event = await show_event(services, "evt_0")
    assert event.payload == payload
    shown = payload_text(event)
    assert '"text": "Zürich"' in shown
    assert "live_abc" not in shown


async def test_to_replay_an_event_marks_its_customer_again_and_wakes_the_worker(
    services: Services,
) -> None:
    account = await new_account(services, customer="cus_1")
    await received(services, {"provider_customer_id": "cus_1", "request_id": "req-1"})
    async with services.database.read() as session:
        before = await session.get(Customer, account.customer)
    waiting = asyncio.create_task(services.work.wait(30))
    await asyncio.sleep(0)
    assert (await replay_event(services, "evt_0")).id == "evt_0"
    await asyncio.wait_for(waiting, 5)
    async with services.database.read() as session:
        after = await session.get(Customer, account.customer)
    assert before is not None
    assert after is not None
    assert after.wanted == before.wanted + 1
    assert after.marked_by == "req-1"


async def test_to_replay_an_event_of_the_catalogue_marks_the_catalogue(
    services: Services,
) -> None:
    await received(services, {"type": "price.updated", "catalog": True})
    for _ in range(2):
        await replay_event(services, "evt_0")
    async with services.database.read() as session:
        row = await session.get(Catalog, "stripe")
    assert row is not None
    assert row.wanted == 2


async def test_to_replay_an_event_of_no_interest_marks_nothing(services: Services) -> None:
    await received(services, {"type": "account.updated"})
    event = await replay_event(services, "evt_0")
    assert (event.provider_customer_id, event.catalog) == (None, False)


async def test_an_unknown_event_is_said_in_a_sentence(services: Services) -> None:
    for unknown in (
        show_event(services, "evt_9"),
        replay_event(services, "evt_9"),
        list_events(services, after="evt_9"),
    ):
        with pytest.raises(InvalidRequest, match="No event evt_9 in the inbox"):
            await unknown
