"""What Polar answers that neither its SDK nor we expect: refusals with a name, never a wrong result."""

from datetime import UTC, datetime

import pytest

from billing_ui.payments.polar import PolarDriver
from billing_ui.payments.types import ProviderRejected
from tests.unit.payments.polar_shop import POLAR_KEY
from tests.unit.payments.scripted import ScriptedServer, json_answer

ORDER = "00000000-0000-4000-8000-000000000000"
NOT_MADE = json_answer({"error": "InvoiceDoesNotExist", "detail": "No invoice exists."}, 404)


@pytest.mark.parametrize("entry", [{}, {"id": "", "name": "order.paid"}, {"id": "1", "name": None}])
async def test_an_entry_of_the_log_that_says_too_little_is_named(
    entry: dict[str, object], scripted: ScriptedServer
) -> None:
    scripted.answers = [json_answer({"items": [entry], "pagination": {"max_page": 1}})]
    driver = PolarDriver(POLAR_KEY, api_base=scripted.url)
    with pytest.raises(ProviderRejected, match="can't be understood"):
        _ = [event async for event in driver.list_events(datetime(2026, 1, 1, tzinfo=UTC))]
    await driver.close()


async def test_a_pdf_that_is_refused_is_not_waited_for(scripted: ScriptedServer) -> None:
    scripted.answers = [NOT_MADE, json_answer({"error": "Gone", "detail": "No."}, 410), NOT_MADE]
    driver = PolarDriver(POLAR_KEY, api_base=scripted.url)
    with pytest.raises(ProviderRejected, match="refused the request"):
        await driver.invoice_pdf(ORDER)
    await driver.close()
    assert [one.method for one in scripted.seen] == ["GET", "POST"]
