"""Which of several webhook endpoints at Polar an inspection speaks of."""

from dataclasses import replace

import pytest

from billing_ui.payments.inspection import Expected, Level
from billing_ui.payments.polar.webhooks import NEEDED_EVENTS
from tests.unit.payments.polar_shop import POLAR_SECRETS, Polar

URL = "https://billing.example.com/api/webhooks/polar"


@pytest.mark.parametrize("switched_off", [0, 1])
async def test_one_that_was_replaced_is_not_complained_of(switched_off: int, polar: Polar) -> None:
    # The sandbox takes one endpoint at each address only.
    made = [
        polar.shop.register_endpoint(url, POLAR_SECRETS[1], NEEDED_EVENTS)
        for url in (URL, f"{URL}/next")
    ]
    for number, endpoint in enumerate(made):
        polar.shop.save(replace(endpoint, url=URL, enabled=number != switched_off))
    driver = polar.driver()
    found = await driver.inspect(Expected(webhook_url=URL, secure=False))
    await driver.close()
    assert [one.level for one in found if one.check == "webhook"] == [Level.OK]
