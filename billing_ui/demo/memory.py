"""What our own tables remember of the demo: which changes there were, and when we heard of them."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import update
from sqlmodel import col

from billing_ui.accounts.demo import DemoAccount
from billing_ui.billing.customers import link_customer
from billing_ui.billing.services import Services
from billing_ui.billing.sync import sync_customer
from billing_ui.clock import utc_now
from billing_ui.models import ChangeSource, RecordedChange


class Memory:
    """What our tables remember of an account: they are brought up to date as its history goes on."""

    def __init__(self, services: Services, account: DemoAccount, customer_id: str) -> None:
        """Remember what `account` lives through, whose customer at the provider is `customer_id`."""
        self._services = services
        self._account = account
        self._customer_id = customer_id

    async def begin(self) -> None:
        """Copy what the sandbox holds; what happens after this is a change."""
        await sync_customer(self._services, await self._customer())

    async def note(self, source: ChangeSource, at: datetime) -> None:
        """Note what changed since the last time, as if we had heard of it by `source` at that moment."""
        customer_id, began = await self._customer(), utc_now()
        await sync_customer(self._services, customer_id, source=source)
        async with self._services.database.write() as session:
            await session.exec(
                update(RecordedChange)
                .where(
                    col(RecordedChange.customer_id) == customer_id,
                    col(RecordedChange.found_at) >= began,
                )
                .values(found_at=at)
            )

    async def _customer(self) -> UUID:
        return await link_customer(self._services, self._account.team_id, self._customer_id)
