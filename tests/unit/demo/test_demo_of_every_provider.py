"""The demo: the same people with the same past, whichever provider the sandbox imitates."""

from pathlib import Path

import pytest
from sqlmodel import select

from billing_ui.accounts.demo import DEMO_ACCOUNTS
from billing_ui.billing.services import Services
from billing_ui.demo import preparation
from billing_ui.demo.preparation import prepare_demo
from billing_ui.models import Customer
from billing_ui.payments.types import SubscriptionState
from billing_ui.sandbox_process import at_sandbox
from billing_ui.settings import Provider, Settings
from tests.conftest import running_sandbox

STATES = {
    "active": SubscriptionState.ACTIVE,
    "trialing": SubscriptionState.TRIALING,
    "past due": SubscriptionState.PAST_DUE,
    "canceling": SubscriptionState.CANCELING,
    "ended": SubscriptionState.ENDED,
}


@pytest.mark.parametrize("provider", list(Provider))
async def test_each_account_stands_as_its_name_says(
    provider: Provider, sqlite_url: str, tmp_path: Path
) -> None:
    settings = Settings(_env_file=None, database_url=sqlite_url, payment_provider=provider)
    with running_sandbox(tmp_path / "sandbox.db", provider) as url:
        services = Services.open(at_sandbox(settings, url))
        try:
            await prepare_demo(services, url)
            async with services.database.read() as session:
                customers = (await session.exec(select(Customer))).all()
            by_team = {customer.team_id: customer.provider_customer_id for customer in customers}
            for key, state in STATES.items():
                account = DEMO_ACCOUNTS[key]
                driver = services.drivers.active
                snapshot = await driver.fetch_snapshot(by_team[account.team_id])
                assert snapshot.customer.name == account.team_name
                assert [one.state for one in snapshot.subscriptions] == [state], key
            assert DEMO_ACCOUNTS["no plan"].team_id not in by_team
            monthly = {
                product.name: price.amounts["usd"]
                for product in (await services.drivers.active.fetch_catalog()).products
                for price in product.prices
                if price.interval == "month"
            }
            assert monthly == {"Starter": 2900, "Pro": 14900, "Team": 2000}
        finally:
            await services.close()


@pytest.mark.parametrize("provider", [Provider.POLAR, Provider.LEMONSQUEEZY])
async def test_a_demo_that_was_cut_short_is_simply_made_again(
    provider: Provider, sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(_env_file=None, database_url=sqlite_url, payment_provider=provider)
    with running_sandbox(tmp_path / "sandbox.db", provider) as url:
        services = Services.open(at_sandbox(settings, url))
        try:
            with monkeypatch.context() as patch:
                # People are the last to come, and by them it is known that all is there.
                patch.setattr(preparation, "_create_people", _cut_short)
                with pytest.raises(CutShort):
                    await prepare_demo(services, url)
            for _ in range(2):
                await prepare_demo(services, url)
            async with services.database.read() as session:
                assert len((await session.exec(select(Customer))).all()) == len(STATES)
        finally:
            await services.close()


class CutShort(Exception):
    """The end, before the end."""


async def _cut_short(services: Services) -> None:
    raise CutShort
