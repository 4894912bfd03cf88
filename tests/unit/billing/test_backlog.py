"""What waits is counted without looking at what does not."""

from typing import Any

from billing_ui.billing.backlog import Backlog, backlogs
from billing_ui.clock import utc_now
from billing_ui.database import Database
from billing_ui.models import Customer, Urgency
from tests.unit.statements import noted_statements, plan_of


async def test_customers_that_are_current_are_never_looked_at_and_none_are_sorted(
    database: Database,
) -> None:
    with noted_statements(database) as asked:
        assert await backlogs(database) == ()
    ((query, arguments),) = asked
    plan = await plan_of(database, query, arguments)
    looks = [step for step in plan if " customer" in step]
    assert looks
    for look in looks:
        assert "ix_customer_out_of_date" in look, plan
    assert not [step for step in plan if "Sort" in step or "TEMP B-TREE" in step], plan


async def test_each_provider_has_a_backlog_of_its_own(database: Database) -> None:
    earlier, later = utc_now(), utc_now()
    event, bulk = Urgency.EVENT.value, Urgency.BULK_UNCLAIMED.value
    rows: list[dict[str, Any]] = [
        {"provider": "stripe", "marked_at": later, "urgency": event},
        {"provider": "stripe", "marked_at": earlier, "urgency": bulk},
        {"provider": "stripe", "marked_at": earlier, "urgency": bulk, "attempts": 1},
        {"provider": "stripe", "marked_at": earlier, "urgency": event, "applied": 1},
        {"provider": "polar", "marked_at": earlier, "urgency": event, "parked_at": later},
    ]
    async with database.write() as session:
        for number, row in enumerate(rows):
            session.add(Customer(provider_customer_id=f"cus_{number}", **row))
    assert await backlogs(database) == (
        Backlog("stripe", waiting=3, in_bulk=2, failing=1, oldest_at=later),
        Backlog("polar", parked=1),
    )
