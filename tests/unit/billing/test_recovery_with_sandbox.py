"""Downtime, and life without webhooks, before a really running provider: its event list is all there is."""

from collections.abc import AsyncIterator

import pytest
import stripe
from pydantic import SecretStr
from sqlmodel import select

from billing_ui.billing.jobs import jobs_of, run_job
from billing_ui.billing.reconcile import reconcile
from billing_ui.billing.services import Services
from billing_ui.billing.worker import drain
from billing_ui.database import Database
from billing_ui.models import Customer, EventSource, InboxEvent, Subscription
from billing_ui.payments.driver import Drivers
from billing_ui.payments.stripe.client import open_client
from billing_ui.settings import EventsMode
from tests.unit.billing.conftest import make_settings
from tests.unit.billing.factories import recover_all

KEY = "sk_test_51Recovery"


@pytest.fixture
async def real(database: Database, sandbox_url: str) -> AsyncIterator[Services]:
    """Services without a public address: they poll."""
    settings = make_settings(
        stripe_secret_key=SecretStr(KEY),
        stripe_api_base=sandbox_url,
        events_mode=EventsMode.POLL,
    )
    services = Services(settings, database, Drivers(settings))
    yield services
    await services.drivers.close()


@pytest.fixture
async def sdk(sandbox_url: str) -> AsyncIterator[stripe.StripeClient]:
    """The SDK itself: how things change while nobody listens."""
    client, transport = open_client(KEY, sandbox_url)
    yield client
    await transport.close_async()


async def subscribe(sdk: stripe.StripeClient) -> stripe.Subscription:
    """Let a new customer buy a plan."""
    product = await sdk.v1.products.create_async({"name": "Pro"})
    price = await sdk.v1.prices.create_async(
        {
            "product": product.id,
            "currency": "usd",
            "unit_amount": 14900,
            "recurring": {"interval": "month"},
        }
    )
    customer = await sdk.v1.customers.create_async({"name": "Northwind"})
    method = await sdk.v1.payment_methods.attach_async("pm_card_visa", {"customer": customer.id})
    return await sdk.v1.subscriptions.create_async(
        {
            "customer": customer.id,
            "items": [{"price": price.id}],
            "default_payment_method": method.id,
        }
    )


async def state(services: Services, subscription: stripe.Subscription) -> str:
    """Return what we say of a subscription."""
    async with services.database.read() as session:
        query = select(Subscription.state).where(Subscription.id == subscription.id)
        return (await session.exec(query)).one()


async def test_what_happened_during_downtime_is_here_after_it(
    real: Services, sdk: stripe.StripeClient
) -> None:
    await recover_all(real)
    bought = await subscribe(sdk)
    assert await recover_all(real) > 0
    await drain(real)
    assert await state(real, bought) == "active"
    await sdk.v1.subscriptions.cancel_async(bought.id)
    assert await recover_all(real) > 0
    await drain(real)
    assert await state(real, bought) == "ended"
    assert await recover_all(real) == 0
    async with real.database.read() as session:
        sources = set((await session.exec(select(InboxEvent.source))).all())
    assert sources == {EventSource.RECOVERY}


async def test_polling_alone_leaves_no_drift(real: Services, sdk: stripe.StripeClient) -> None:
    [polling] = [job for job in jobs_of(real) if job.name == "recovery:stripe"]
    await run_job(real, polling, at_once=True)
    bought = await subscribe(sdk)
    await sdk.v1.subscriptions.update_async(bought.id, {"cancel_at_period_end": True})
    await run_job(real, polling, at_once=True)
    await drain(real)
    assert await state(real, bought) == "canceling"
    report = await reconcile(real, fix=False, patience=0.0)
    assert (report.drift.listed, report.failures.listed) == ([], [])
    async with real.database.read() as session:
        names = (await session.exec(select(Customer.name))).all()
    assert "Northwind" in names
