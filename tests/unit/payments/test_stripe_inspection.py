"""What an inspection says of things a sandbox cannot show: real money, and a clock that is wrong."""

from datetime import timedelta
from email.utils import format_datetime

import pytest

from billing_ui.clock import utc_now
from billing_ui.payments.inspection import Expected, Finding, Level
from billing_ui.payments.stripe import StripeDriver
from tests.unit.payments.conftest import WEBHOOK_SECRETS
from tests.unit.payments.scripted import ScriptedServer, json_answer

NOTHING = {"object": "list", "data": [], "has_more": False, "url": "/v1/nothing"}


async def inspected(
    scripted: ScriptedServer, key: str, *, secure: bool = False
) -> dict[str, Finding]:
    driver = StripeDriver(key, api_base=scripted.url, webhook_secrets=WEBHOOK_SECRETS)
    findings = await driver.inspect(Expected(webhook_url=None, secure=secure))
    await driver.close()
    return {finding.check: finding for finding in findings}


@pytest.mark.parametrize(
    ("key", "secure", "level"),
    [
        ("sk_live_x", True, Level.OK),
        ("rk_live_x", False, Level.PROBLEM),
        ("sk_test_x", False, Level.OK),
        ("rk_test_x", True, Level.WARNING),
        ("whatever", False, Level.PROBLEM),
    ],
)
async def test_the_key_must_fit_the_address(
    scripted: ScriptedServer, key: str, secure: bool, level: Level
) -> None:
    scripted.answers = [json_answer(NOTHING)]
    assert (await inspected(scripted, key, secure=secure))["mode"].level is level


@pytest.mark.parametrize(
    ("minutes", "level"),
    [
        (0, Level.OK),
        (-2, Level.WARNING),
        (2, Level.WARNING),
        (-6, Level.PROBLEM),
        (6, Level.PROBLEM),
    ],
)
async def test_a_clock_that_differs_is_found_before_signatures_fail(
    scripted: ScriptedServer, minutes: int, level: Level
) -> None:
    date = format_datetime(utc_now() + timedelta(minutes=minutes), usegmt=True)
    scripted.answers = [json_answer(NOTHING, Date=date)]
    assert (await inspected(scripted, "sk_test_x"))["clock"].level is level


async def test_an_inspection_writes_nothing_that_could_come_to_be(scripted: ScriptedServer) -> None:
    scripted.answers = [json_answer(NOTHING)]
    await inspected(scripted, "sk_test_x")
    written = [seen for seen in scripted.seen if seen.method != "GET"]
    assert len(written) == 3
    for seen in written:
        assert "cus_billing_ui_doctor" in (seen.path.rpartition("/")[2], seen.form.get("customer"))
