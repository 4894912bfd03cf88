"""What is remembered of a sync that failed: why, when it is tried again, and since when nobody tries any more."""

import random
import traceback
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlmodel import select

from billing_ui.billing.backoff import retry_delay
from billing_ui.billing.fetches import Fetch, give_back
from billing_ui.clock import utc_now
from billing_ui.database import Database
from billing_ui.metrics import sync_parked
from billing_ui.models import Customer
from billing_ui.payments.types import NoCustomer, PaymentError, ProviderUnavailable
from billing_ui.telemetry import redact

PARKED_AFTER: Final = timedelta(days=1)
UNKNOWN_PARKED_AFTER: Final = timedelta(minutes=10)
"""A customer that the provider does not know will hardly become known: its key or its mode is another."""

_UNEXPECTED: Final = (
    "The billing data couldn't be brought up to date. Whoever runs the site can look up why."
)
_MAX_SENTENCE: Final = 500
_MAX_TRACEBACK: Final = 20_000


SUCCESS: Final[Mapping[str, Any]] = {
    "attempts": 0,
    "failing_since": None,
    "next_attempt_at": None,
    "parked_at": None,
    "sync_error": None,
    "sync_traceback": None,
}
"""What stands in the row of a customer whose sync has just succeeded."""


async def remember_failure(
    database: Database, customer_id: UUID, fetch: Fetch, error: Exception
) -> None:
    """Keep why a customer's sync failed and give its lease back, unless another holds it by now."""
    query = select(Customer.provider, Customer.attempts, Customer.failing_since).where(
        Customer.id == customer_id
    )
    async with database.write() as session:
        row = (await session.exec(query)).one_or_none()
        if row is None:
            return
        provider, attempts, failing_since = row
        values = failure_values(error, attempts + 1, failing_since)
        await give_back(session, Customer, customer_id, fetch, values)
    if values["parked_at"] is not None:
        sync_parked(provider)


def failure_values(
    error: Exception, failures: int, failing_since: datetime | None
) -> dict[str, Any]:
    """Return what stands in the row of a customer whose sync has just failed.

    Args:
        failures: how many syncs in a row have failed, this one included.
        failing_since: when the first of them failed (UTC); None when that was this one.
    """
    now = utc_now()
    since = failing_since or now
    retry_after = error.retry_after if isinstance(error, ProviderUnavailable) else None
    chance = random.random()  # noqa: S311 - it spreads retries and guards nothing
    sentence = str(error) if isinstance(error, PaymentError) else _UNEXPECTED
    return {
        "attempts": failures,
        "failing_since": since,
        "next_attempt_at": now + retry_delay(failures, chance, retry_after=retry_after),
        "parked_at": now if now - since >= _patience(error) else None,
        "sync_error": redact(sentence)[:_MAX_SENTENCE],
        "sync_traceback": redact("".join(traceback.format_exception(error)))[-_MAX_TRACEBACK:],
    }


def _patience(error: Exception) -> timedelta:
    return UNKNOWN_PARKED_AFTER if isinstance(error, NoCustomer) else PARKED_AFTER
