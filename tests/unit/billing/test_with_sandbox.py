"""The use cases over the real Stripe driver, the real SDK and a really running sandbox, its pages included."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
import stripe
from pydantic import SecretStr
from sqlmodel import select

from billing_ui.accounts.sessions import Identity
from billing_ui.billing.catalog import refresh_catalog
from billing_ui.billing.changes import describe_visit
from billing_ui.billing.checkout import open_checkout
from billing_ui.billing.customers import current_customer, ensure_customer, link_customer
from billing_ui.billing.invoices import load_invoices
from billing_ui.billing.portal import open_portal, open_switch
from billing_ui.billing.pricing import load_pricing
from billing_ui.billing.refresh import refresh_billing
from billing_ui.billing.services import Services
from billing_ui.billing.summary import load_billing
from billing_ui.billing.visits import return_from_visit
from billing_ui.database import Database
from billing_ui.models import Product
from billing_ui.payments.driver import Drivers
from billing_ui.payments.stripe.client import open_client
from billing_ui.payments.types import (
    CustomerDeleted,
    FlowType,
    InvalidRequest,
    NoCustomer,
    PortalFlow,
    ProviderRejected,
    ProviderUnavailable,
)
from tests.conftest import running_sandbox
from tests.sandbox.browser import Browser, Page
from tests.unit.billing.conftest import make_settings
from tests.unit.billing.factories import AMERICAN, Account, latest_outcome, new_account

KEY = "sk_test_51UseCases"
CARD = {"Card number": "4242 4242 4242 4242", "Expiry": "04 / 39", "CVC": "123"}


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a sandbox with three plans."""
    with running_sandbox(tmp_path_factory.mktemp("use-cases") / "sandbox.db") as url:
        client = stripe.StripeClient(KEY, base_addresses={"api": url})
        for name, amount, unit in (
            ("Starter", 2900, None),
            ("Pro", 14900, None),
            ("Team", 2000, "seat"),
        ):
            params: Any = {"name": name} | ({"unit_label": unit} if unit else {})
            product = client.v1.products.create(params)
            client.v1.prices.create(
                {
                    "product": product.id,
                    "currency": "usd",
                    "unit_amount": amount,
                    "recurring": {"interval": "month"},
                }
            )
        yield url


@pytest.fixture
async def real(database: Database, provider: str) -> AsyncIterator[Services]:
    """Services whose provider is that sandbox, with the catalogue fetched."""
    settings = make_settings(stripe_secret_key=SecretStr(KEY), stripe_api_base=provider)
    services = Services(settings, database, Drivers(settings))
    await refresh_catalog(services)
    yield services
    await services.drivers.close()


@pytest.fixture
async def sdk(provider: str) -> AsyncIterator[stripe.StripeClient]:
    """The SDK itself: how a test changes things behind our back."""
    client, transport = open_client(KEY, provider)
    yield client
    await transport.close_async()


async def price_of(services: Services, plan: str) -> str:
    """Return the id of a plan's price."""
    pricing = await load_pricing(services, None)
    return next(p.prices[0].id for p in pricing.products if p.name == plan)


async def subscribed(services: Services, sdk: stripe.StripeClient, plan: str = "Pro") -> Account:
    """Return an account whose customer pays for a plan with a Visa card, synced."""
    account = await new_account(services)
    customer = await ensure_customer(services, account.identity, account.team_id)
    assert customer.provider_customer_id
    name = customer.provider_customer_id
    method = await sdk.v1.payment_methods.attach_async("pm_card_visa", {"customer": name})
    await sdk.v1.customers.update_async(
        name, {"invoice_settings": {"default_payment_method": method.id}}
    )
    await sdk.v1.subscriptions.create_async(
        {"customer": name, "items": [{"price": await price_of(services, plan)}]}
    )
    await refresh_billing(services, account.identity)
    return Account(account.identity, account.team_id, customer.id)


async def customer_name(services: Services, identity: Identity) -> str:
    """Return the provider's id of the team's customer."""
    assert identity.team_id
    async with services.database.read() as session:
        customer = await current_customer(session, identity.team_id, ("stripe",))
    assert customer
    assert customer.provider_customer_id
    return customer.provider_customer_id


def visit_in(url: str) -> str:
    """Return the visit's id in the address the provider sends people back to."""
    return httpx.URL(url).params["visit"]


async def banner(services: Services, identity: Identity) -> tuple[str, ...]:
    """Return what the banner on somebody's billing page says, part by part."""
    outcome = await latest_outcome(services, identity)
    assert outcome
    text = describe_visit(
        outcome.changes, AMERICAN, place=outcome.kind, plan=outcome.plan, upcoming=outcome.upcoming
    )
    parts = (text.heading, text.detail, *map(str, text.changes))
    return tuple(part for part in parts if part)


def enter(url: str) -> Page:
    """Open a hosted page in a fresh browser."""
    return Browser().open(url)


async def test_the_whole_way_from_plan_to_portal_and_back(
    real: Services, sdk: stripe.StripeClient
) -> None:
    account = await subscribed(real, sdk)
    summary = await load_billing(real, account.identity)
    assert [(plan.name, plan.amount, plan.state) for plan in summary.plans] == [
        ("Pro", 14900, "active")
    ]
    opened = await open_portal(real, account.identity)
    portal = enter(opened.url)
    assert portal.heading == "Manage your subscription"
    changed = (
        portal.press("Update plan")
        .press("Continue", {"Team – $20.00 per month": "on", "Quantity": "24"})
        .press("Confirm")
    )
    link = next(a.attributes["href"] for a in changed.all("a") if a.text.startswith("Return to"))
    outcome = await return_from_visit(real, visit_in(link), account.identity)
    assert outcome.kind == "synced"
    heading, plan, seats, *_ = await banner(real, account.identity)
    assert re.fullmatch(r"Your billing is up to date: \d changes from your portal visit", heading)
    assert re.fullmatch(r"Plan changed from Pro to Team\. Renews on \w+ \d+, \d{4}\.", plan)
    assert seats == "Seats set to 24."
    [now] = (await load_billing(real, account.identity)).plans
    assert (now.name, now.amount, now.unit_label) == ("Team", 48000, "seat")


async def test_a_switch_is_confirmed_with_one_press_and_told(
    real: Services, sdk: stripe.StripeClient
) -> None:
    account = await subscribed(real, sdk)
    opened = await open_switch(real, account.identity, await price_of(real, "Team"), 24)
    browser = Browser()
    confirm = browser.open(opened.url)
    assert confirm.heading == "Confirm your plan"
    assert "From Pro to Team." in confirm.text
    confirm.press("Confirm")
    assert browser.left_for
    assert visit_in(browser.left_for) == str(opened.visit_id)
    await return_from_visit(real, str(opened.visit_id), account.identity)
    told = await banner(real, account.identity)
    assert any(sentence.startswith("Plan changed from Pro to Team.") for sentence in told)
    assert "Seats set to 24." in told


async def test_a_switch_to_what_the_portal_does_not_offer_is_chosen_there(
    real: Services, sdk: stripe.StripeClient
) -> None:
    account = await subscribed(real, sdk)
    pro = next(p for p in (await load_pricing(real, None)).products if p.name == "Pro")
    without_team = await sdk.v1.billing_portal.configurations.create_async(
        {
            "features": {
                "subscription_update": {
                    "enabled": True,
                    "default_allowed_updates": ["price", "quantity"],
                    "products": [
                        {
                            "product": pro.id,
                            "prices": [pro.prices[0].id],
                            "adjustable_quantity": {"enabled": True},
                        }
                    ],
                }
            }
        }
    )
    listed = {"stripe_portal_configuration": without_team.id}
    named = replace(real, settings=real.settings.model_copy(update=listed))
    opened = await open_switch(named, account.identity, await price_of(real, "Team"), 24)
    assert enter(opened.url).heading == "Update plan"
    await sdk.v1.billing_portal.configurations.update_async(without_team.id, {"active": False})


async def test_a_cancellation_in_the_portal_shows_although_only_its_date_is_set(
    real: Services, sdk: stripe.StripeClient
) -> None:
    account = await subscribed(real, sdk)
    opened = await open_portal(
        real, account.identity, flow=PortalFlow(type=FlowType.SUBSCRIPTION_CANCEL)
    )
    browser = Browser()
    browser.open(opened.url).press("Cancel plan", {"It’s too expensive": "on"})
    assert browser.left_for
    assert visit_in(browser.left_for) == str(opened.visit_id)
    await return_from_visit(real, str(opened.visit_id), account.identity)
    [sentence] = await banner(real, account.identity)
    assert re.fullmatch(r"Your plan is set to cancel on \w+ \d+, \d{4}\.", sentence)
    [plan] = (await load_billing(real, account.identity)).plans
    assert plan.state == "canceling"
    assert plan.cancel_at == plan.current_period_end

    again = await open_portal(real, account.identity)
    enter(again.url).press("Don't cancel plan")
    await return_from_visit(real, str(again.visit_id), account.identity)
    heading, upcoming = await banner(real, account.identity)
    assert heading == "Cancellation withdrawn."
    assert upcoming.startswith("Renews on ")


async def test_a_new_card_and_new_details_are_told(
    real: Services, sdk: stripe.StripeClient
) -> None:
    account = await subscribed(real, sdk)
    opened = await open_portal(real, account.identity)
    name = await customer_name(real, account.identity)
    method = await sdk.v1.payment_methods.attach_async("pm_card_mastercard", {"customer": name})
    await sdk.v1.customers.update_async(
        name,
        {"name": "Southwind", "invoice_settings": {"default_payment_method": method.id}},
    )
    await return_from_visit(real, str(opened.visit_id), account.identity)
    assert await banner(real, account.identity) == (
        "Your billing is up to date: 2 changes from your portal visit",
        "Payment method changed to Mastercard ending in 4444.",
        "Billing details updated: name.",
    )


async def test_buying_the_first_plan_creates_one_customer_and_shows_it(
    real: Services, sdk: stripe.StripeClient
) -> None:
    account = await new_account(real)
    price = await price_of(real, "Pro")
    await asyncio.gather(
        open_checkout(real, account.identity, price), open_checkout(real, account.identity, price)
    )
    [customer] = (await sdk.v1.customers.list_async({"email": account.identity.email})).data
    # Of two checkouts one stays open: nobody buys the same plan twice.
    [session] = (
        await sdk.v1.checkout.sessions.list_async({"customer": customer.id, "status": "open"})
    ).data
    assert session.url is not None
    browser = Browser()
    browser.open(session.url).press("Subscribe", CARD)
    assert browser.left_for
    await return_from_visit(real, visit_in(browser.left_for), account.identity)
    told = await banner(real, account.identity)
    assert any(sentence.startswith("Pro started. Renews on ") for sentence in told)
    [plan] = (await load_billing(real, account.identity)).plans
    assert (plan.name, plan.state) == ("Pro", "active")
    with pytest.raises(InvalidRequest, match="already has a plan"):
        await open_checkout(real, account.identity, price)
    page = await load_invoices(real, account.identity)
    assert [row.status for row in page.rows] == ["paid"]
    assert page.rows[0].pdf_url


async def test_a_customer_deleted_there_stops_the_portal_and_checkout_makes_another(
    real: Services, sdk: stripe.StripeClient
) -> None:
    account = await subscribed(real, sdk)
    deleted = await customer_name(real, account.identity)
    await sdk.v1.customers.delete_async(deleted)
    with pytest.raises(CustomerDeleted):
        await open_portal(real, account.identity)
    await refresh_billing(real, account.identity)
    assert (await load_billing(real, account.identity)).customer_deleted
    await open_checkout(real, account.identity, await price_of(real, "Pro"))
    assert await customer_name(real, account.identity) != deleted


async def test_an_existing_customer_is_linked_and_an_invented_one_is_not(
    real: Services, sdk: stripe.StripeClient
) -> None:
    account = await new_account(real)
    customer = await sdk.v1.customers.create_async({"email": "old@example.com"})
    with pytest.raises(NoCustomer):
        await link_customer(real, account.team_id, "cus_invented")
    await link_customer(real, account.team_id, customer.id)
    await refresh_billing(real, account.identity)
    summary = await load_billing(real, account.identity)
    assert summary.details
    assert summary.details.email == "old@example.com"


async def test_one_portal_configuration_serves_everybody_and_follows_the_catalogue(
    real: Services, sdk: stripe.StripeClient
) -> None:
    accounts = [await subscribed(real, sdk) for _ in range(2)]
    await asyncio.gather(*(open_portal(real, account.identity) for account in accounts * 2))
    before = await sdk.v1.billing_portal.configurations.list_async({"active": True})
    assert len(before.data) == 1
    product = await sdk.v1.products.create_async({"name": "Extra"})
    price = await sdk.v1.prices.create_async(
        {
            "product": product.id,
            "currency": "usd",
            "unit_amount": 500,
            "recurring": {"interval": "month"},
        }
    )
    await refresh_catalog(real)
    after = await sdk.v1.billing_portal.configurations.list_async(
        {"active": True, "expand": ["data.features.subscription_update.products"]}
    )
    assert [one.id for one in after.data] == [before.data[0].id]
    offered = after.data[0].features.subscription_update.products or []
    assert price.id in [name for one in offered for name in one.prices]
    await sdk.v1.products.update_async(product.id, {"active": False})
    await refresh_catalog(real)
    async with real.database.read() as session:
        ours = (await session.exec(select(Product).where(Product.id == product.id))).one()
    assert not ours.active


# ---------------------------------------------------------------- a provider in trouble


@pytest.fixture
def trouble(provider: str) -> Iterator[Any]:
    """Put the sandbox in trouble, for the length of the test."""
    with httpx.Client(base_url=provider, trust_env=False) as control:

        def cause(**fault: Any) -> None:
            control.post("/_control/faults", json=fault).raise_for_status()

        yield cause
        control.delete("/_control/faults").raise_for_status()


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"kind": "error", "status": 500}, ProviderUnavailable),
        ({"kind": "drop"}, ProviderUnavailable),
        ({"kind": "rate_limit", "retry_after": 7}, ProviderUnavailable),
        ({"kind": "error", "status": 403}, ProviderRejected),
    ],
)
async def test_the_page_keeps_what_it_has_and_says_what_is_wrong(
    real: Services,
    sdk: stripe.StripeClient,
    trouble: Any,
    fault: dict[str, Any],
    error: type[Exception],
) -> None:
    account = await subscribed(real, sdk)
    opened = await open_portal(real, account.identity)
    before = await load_billing(real, account.identity)
    trouble(**fault)
    with pytest.raises(error) as caught:
        await open_portal(real, account.identity)
    assert KEY not in str(caught.value)
    outcome = await return_from_visit(real, str(opened.visit_id), account.identity)
    assert outcome.kind == "failed"
    assert outcome.error
    after = await load_billing(real, account.identity)
    assert after.plans == before.plans
    assert after.synced_at == before.synced_at
    assert after.out_of_date
    assert after.sync_error == outcome.error
    if fault["kind"] == "rate_limit":
        assert isinstance(caught.value, ProviderUnavailable)
        assert caught.value.retry_after == 7
