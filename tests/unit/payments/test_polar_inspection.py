"""What the doctor says of Polar: everything that is wrong, each with what to do, and nothing changed."""

from typing import Any

import pytest

from billing_ui.payments.inspection import Expected, Finding, Level
from billing_ui.payments.polar import PolarDriver
from billing_ui.payments.polar.webhooks import NEEDED_EVENTS
from billing_ui.sandbox.polar import lists
from billing_ui.sandbox.polar.organization import organization
from billing_ui.sandbox.shop.model import Checkout, Customer
from tests.conftest import free_port
from tests.unit.payments.polar_shop import POLAR_KEY, POLAR_SECRETS, Polar
from tests.unit.payments.scripted import ScriptedServer, json_answer

URL = "https://billing.example.com/api/webhooks/polar"


def expected(**fields: Any) -> Expected:
    """Return what an installation that is set up well expects."""
    return Expected(**({"webhook_url": URL, "secure": True} | fields))


async def inspected(polar: Polar, wanted: Expected | None = None, **fields: Any) -> list[Finding]:
    """Return what is found."""
    driver = polar.driver(**fields)
    found = await driver.inspect(wanted or expected())
    await driver.close()
    return list(found)


def told(found: list[Finding], check: str) -> list[tuple[Level, str]]:
    """Return what is said of one check."""
    return [(one.level, one.what) for one in found if one.check == check]


async def test_all_is_well_when_everything_is_set_up(polar: Polar) -> None:
    polar.shop.register_endpoint(URL, POLAR_SECRETS[1], NEEDED_EVENTS)
    found = await inspected(polar, expected(secure=False))
    assert {one.level for one in found} == {Level.OK}
    assert {one.check for one in found} >= {"mode", "permissions", "organization", "webhook"}


async def test_nothing_is_changed_by_looking(polar: Polar) -> None:
    await inspected(polar)
    assert polar.shop.count(Customer) == polar.shop.count(Checkout) == 0


async def test_an_endpoint_that_is_not_there_is_missed(polar: Polar) -> None:
    polar.shop.register_endpoint("https://elsewhere.example", POLAR_SECRETS[1])
    [(level, what)] = told(await inspected(polar), "webhook")
    assert (level, what) == (Level.PROBLEM, f"Polar sends no events to {URL}.")


async def test_an_endpoint_with_another_secret_or_too_few_events_is_told(polar: Polar) -> None:
    polar.shop.register_endpoint(URL, "polar_whs_other", ("order.paid",))
    found = told(await inspected(polar), "webhook")
    assert [level for level, _ in found] == [Level.WARNING, Level.PROBLEM]
    assert "subscription.updated" in found[0][1]
    assert "POLAR_WEBHOOK_SECRET is not the endpoint's secret" in found[1][1]
    assert "polar_whs" not in str(found)


async def test_an_endpoint_that_is_switched_off_is_told(polar: Polar) -> None:
    made = polar.shop.register_endpoint(URL, POLAR_SECRETS[1], NEEDED_EVENTS)
    polar.shop.disable_endpoint(made.id)
    [(level, what)] = told(await inspected(polar), "webhook")
    assert level is Level.PROBLEM
    assert "switched off" in what


async def test_deliveries_that_failed_are_told(polar: Polar) -> None:
    polar.shop.register_endpoint(URL, POLAR_SECRETS[1], NEEDED_EVENTS)
    polar.subscriber(polar.plan())
    for delivery in polar.shop.outbox.untouched():
        polar.shop.outbox.failed(delivery)
    [(level, what)] = told(await inspected(polar), "deliveries")
    assert level is Level.WARNING
    assert "deliveries failed; the last one was not answered" in what


async def test_without_a_secret_every_webhook_is_refused(polar: Polar) -> None:
    [(level, what)] = told(await inspected(polar, webhook_secrets=()), "webhook")
    assert (level, "POLAR_WEBHOOK_SECRET is not set" in what) == (Level.PROBLEM, True)


async def test_where_events_are_asked_for_no_endpoint_is_needed(polar: Polar) -> None:
    found = await inspected(polar, expected(webhook_url=None), webhook_secrets=())
    assert told(found, "webhook") == []


async def test_a_test_token_is_warned_of_where_people_come_over_https(polar: Polar) -> None:
    [(level, what)] = told(await inspected(polar), "mode")
    assert (level, "no real money moves" in what) == (Level.WARNING, True)


async def test_scopes_that_are_lacking_are_named(scripted: ScriptedServer) -> None:
    driver = PolarDriver(POLAR_KEY, api_base=scripted.url, webhook_secrets=POLAR_SECRETS)
    scripted.answers = [json_answer({"error": "insufficient_scope"}, 403)]
    found = list(await driver.inspect(expected()))
    await driver.close()
    [(level, what)] = told(found, "permissions")
    assert level is Level.PROBLEM
    assert "customer_sessions:write" in what
    assert "events:read" in what


@pytest.mark.parametrize(
    ("status", "check"), [(401, "key"), (429, "provider"), (500, "provider"), (None, "provider")]
)
async def test_a_provider_that_cannot_be_asked_is_a_finding(
    status: int | None, check: str, scripted: ScriptedServer
) -> None:
    base = scripted.url if status else f"http://127.0.0.1:{free_port()}"
    scripted.answers = [json_answer({}, status or 200)]
    driver = PolarDriver(POLAR_KEY, api_base=base)
    [found] = await driver.inspect(expected())
    await driver.close()
    assert (found.check, found.level) == (check, Level.PROBLEM)
    assert found.mend
    assert POLAR_KEY not in found.what + found.mend


async def test_a_clock_that_is_off_is_told(scripted: ScriptedServer) -> None:
    driver = PolarDriver(POLAR_KEY, api_base=scripted.url)
    nothing = {"items": [], "pagination": {"total_count": 0, "max_page": 0}}
    scripted.answers = [json_answer(nothing, Date="Thu, 01 Jan 2026 00:00:00 GMT")]
    found = list(await driver.inspect(expected(webhook_url=None)))
    await driver.close()
    assert told(found, "clock")[0][0] is Level.PROBLEM
    assert told(found, "organization")[0][0] is Level.PROBLEM


@pytest.mark.parametrize(
    ("group", "name", "value", "check"),
    [
        ("subscription_settings", "allow_multiple_subscriptions", True, "organization"),
        ("customer_portal_settings", "subscription", {"update_plan": False}, "portal"),
    ],
)
async def test_settings_that_would_surprise_people_are_told(
    group: str,
    name: str,
    value: Any,
    check: str,
    polar: Polar,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown = organization(polar.shop)
    known = shown[group][name]
    shown[group][name] = known | value if isinstance(value, dict) else value
    monkeypatch.setattr(lists, "organization", lambda shop: shown)
    [(level, _)] = told(await inspected(polar), check)
    assert level is Level.WARNING
