"""Polar's portal and checkout: opened with what was asked for, and refused in words."""

from datetime import timedelta

import pytest

from billing_ui.clock import utc_now
from billing_ui.payments.polar import PolarDriver
from billing_ui.payments.types import (
    CustomerDeleted,
    FlowType,
    InvalidRequest,
    Payer,
    PortalFlow,
    ProviderRejected,
    StartCheckoutInput,
    StartPortalSessionInput,
)
from billing_ui.sandbox.polar import shapes
from billing_ui.sandbox.shop.model import Checkout
from billing_ui.settings import Provider
from tests.unit.payments.polar_shop import Polar, serving_polar
from tests.unit.payments.requests import RETURN_URL, make_settings, payer
from tests.unit.payments.scripted import ScriptedServer, json_answer

PRICING_URL = "https://app.example.com/pricing"


def portal(who: Payer, **fields: object) -> StartPortalSessionInput:
    """Return a request for a portal."""
    return StartPortalSessionInput(payer=who, return_url=RETURN_URL, **fields)


def checkout(who: Payer, price_id: str, **fields: object) -> StartCheckoutInput:
    """Return a request for a checkout."""
    return StartCheckoutInput(
        payer=who, price_id=price_id, success_url=RETURN_URL, cancel_url=PRICING_URL, **fields
    )


# ---------------------------------------------------------------- the portal


async def test_a_portal_of_a_known_customer_is_one_call(polar: Polar) -> None:
    driver, who = polar.driver(), payer()
    known = who.model_copy(update={"customer_id": await driver.ensure_customer(who)})
    polar.calls.clear()
    session = await driver.start_portal_session(portal(known))
    assert polar.calls == ["POST /v1/customer-sessions/"]
    assert (session.provider, session.customer) == ("polar", known.customer_id)
    assert session.configuration is None
    assert session.expires_at is not None
    assert abs(session.expires_at - utc_now() - timedelta(hours=1)) < timedelta(minutes=1)
    await driver.close()


async def test_a_portal_leads_back_where_it_was_told(polar: Polar) -> None:
    driver = polar.driver()
    session = await driver.start_portal_session(portal(payer()))
    visit = polar.shop.portal_visit(session.portal_url.rpartition("/")[2])
    assert visit is not None
    assert (visit.customer, visit.return_url) == (session.customer, RETURN_URL)
    await driver.close()


@pytest.mark.parametrize("kind", ["individual", "team"])
@pytest.mark.parametrize("external_id", ["user-7", "org-1", None])
async def test_a_customer_made_elsewhere_is_let_in_as_its_owner(
    external_id: str | None, kind: str, polar: Polar
) -> None:
    driver = polar.driver()
    owner = {"email": "owner@example.com", "external_id": "user-7"}
    linked = polar.shop.create_customer(
        "a@example.com", external_id=external_id, extra={"type": kind, "owner": owner}
    )
    session = await driver.start_portal_session(portal(payer(linked.id)))
    assert session.customer == linked.id
    await driver.close()


async def test_a_portal_without_anybody_to_come_in_is_refused_in_words(
    scripted: ScriptedServer,
) -> None:
    driver = PolarDriver("polar_oat_1", api_base=scripted.url)
    refused = {"type": "value_error", "loc": ["body", "member_id"], "msg": "Required."}
    whole = {"items": [], "pagination": {"total_count": 0, "max_page": 0}}
    async with serving_polar() as polar:
        team = polar.shop.create_customer("a@example.com", extra={"type": "team"})
        known = shapes.customer(polar.shop, team)
    scripted.answers = [
        json_answer({"detail": [refused]}, 422),
        *(json_answer(known), json_answer(whole)),
    ]
    with pytest.raises(ProviderRejected, match="an owner"):
        await driver.start_portal_session(portal(payer(team.id)))
    await driver.close()


@pytest.mark.parametrize("gone", ["deleted", "unknown"])
async def test_there_is_no_portal_for_whom_polar_does_not_know(gone: str, polar: Polar) -> None:
    driver, who = polar.driver(), payer()
    customer = await driver.ensure_customer(who)
    if gone == "deleted":
        polar.shop.delete_customer(customer)
    else:
        customer = "00000000-0000-4000-8000-000000000000"
    known = who.model_copy(update={"customer_id": customer})
    with pytest.raises(CustomerDeleted):
        await driver.start_portal_session(portal(known))
    await driver.close()


@pytest.mark.parametrize("type_", FlowType)
async def test_no_place_in_the_portal_can_be_asked_for(type_: FlowType, polar: Polar) -> None:
    driver = polar.driver()
    assert type_ not in driver.capabilities.flows
    flow = PortalFlow(type=type_, subscription_id="x")
    with pytest.raises(InvalidRequest, match="Polar"):
        await driver.start_portal_session(portal(payer(), flow=flow))
    assert polar.calls == []
    await driver.close()


async def test_there_are_no_portal_configurations(polar: Polar) -> None:
    driver = polar.driver()
    assert await driver.ensure_portal_configuration(await driver.fetch_catalog(), None) is None
    with pytest.raises(InvalidRequest, match="configuration"):
        await driver.start_portal_session(portal(payer(), configuration="bpc_1"))
    await driver.close()


# ---------------------------------------------------------------- checkouts


async def test_a_checkout_sells_one_product_to_the_customer(polar: Polar) -> None:
    driver, who, pro = polar.driver(), payer(), polar.plan()
    opened = await driver.start_checkout(
        checkout(who, pro.id, currency="usd", locale="de-AT", adjustable_quantity=True)
    )
    kept = polar.shop.get(Checkout, opened.session_id)
    assert (kept.price, kept.quantity, kept.customer) == (
        *(polar.price(pro).id, 1),
        opened.customer,
    )
    assert (kept.success_url, kept.return_url) == (RETURN_URL, PRICING_URL)
    assert kept.metadata == {"team_id": str(who.team_id)}
    assert kept.extra == {"locale": "de-AT"}
    assert opened.expires_at is not None
    assert opened.expires_at > utc_now()
    await driver.close()


@pytest.mark.parametrize(("label", "what"), [("seat", "seats"), ("gigabyte", "units")])
@pytest.mark.parametrize("adjustable", [True, False])
async def test_how_many_is_said_as_the_product_is_priced(
    adjustable: bool, label: str, what: str, polar: Polar
) -> None:
    driver, sold = polar.driver(), polar.plan(unit_label=label)
    opened = await driver.start_checkout(
        checkout(payer(), sold.id, quantity=7, adjustable_quantity=adjustable)
    )
    kept = polar.shop.get(Checkout, opened.session_id)
    assert kept.quantity == 7
    assert kept.extra == ({} if adjustable else {f"min_{what}": 7, f"max_{what}": 7})
    await driver.close()


async def test_what_is_sold_once_is_not_sold_twice(polar: Polar) -> None:
    driver, pro = polar.driver(), polar.plan()
    with pytest.raises(InvalidRequest, match="Pro is sold one at a time"):
        await driver.start_checkout(checkout(payer(), pro.id, quantity=2))
    await driver.close()


@pytest.mark.parametrize(
    "price_id", ["00000000-0000-4000-8000-000000000000", "../customers", "price_1"]
)
async def test_what_is_not_sold_cannot_be_bought(price_id: str, polar: Polar) -> None:
    driver = polar.driver()
    with pytest.raises(InvalidRequest, match="Choose one of the plans shown"):
        await driver.start_checkout(checkout(payer(), price_id))
    assert not [call for call in polar.calls if "customers" in call]
    await driver.close()


async def test_a_currency_that_is_not_asked_cannot_be_paid_in(polar: Polar) -> None:
    driver, pro = polar.driver(), polar.plan()
    with pytest.raises(InvalidRequest, match="currency"):
        await driver.start_checkout(checkout(payer(), pro.id, currency="eur"))
    await driver.close()


# ---------------------------------------------------------------- settings


def test_the_driver_is_made_of_the_settings() -> None:
    settings = make_settings(
        payment_provider="polar",
        polar_access_token="polar_oat_1",
        polar_webhook_secret="one, two,",
        polar_api_base="https://sandbox-api.polar.sh",
    )
    driver = PolarDriver.from_settings(settings)
    assert driver.provider is Provider.POLAR
    assert driver.capabilities.background_calls_per_second == pytest.approx(1.2)
    assert PolarDriver("polar_oat_1").capabilities.background_calls_per_second == 6


def test_in_sandbox_mode_it_is_the_sandbox_of_the_active_provider() -> None:
    driver = PolarDriver.from_settings(make_settings(payment_provider="polar", sandbox_port=8421))
    assert driver.capabilities.background_calls_per_second is None
    with pytest.raises(ProviderRejected, match="POLAR_ACCESS_TOKEN"):
        PolarDriver.from_settings(make_settings())


def test_without_a_token_there_is_no_driver() -> None:
    with pytest.raises(ProviderRejected, match="POLAR_ACCESS_TOKEN"):
        PolarDriver.from_settings(make_settings(stripe_secret_key="sk_test_1"))
