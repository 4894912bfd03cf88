"""The PDF of an order at Polar: made when it is first asked for, waited for, and refused in words."""

from typing import Any

import pytest

from billing_ui.payments.polar import PolarDriver, invoice_pdf
from billing_ui.payments.types import InvalidRequest, ProviderUnavailable
from billing_ui.sandbox.shop.model import Address, Invoice
from tests.unit.payments.polar_shop import POLAR_KEY, Polar
from tests.unit.payments.scripted import ScriptedServer, json_answer

ORDER = "00000000-0000-4000-8000-000000000000"
NOT_MADE = json_answer({"error": "InvoiceDoesNotExist", "detail": "No invoice exists."}, 404)
UNKNOWN = json_answer({"error": "ResourceNotFound", "detail": "Not found"}, 404)
ASKED = json_answer(None, 202)
NOT_PAID = json_answer({"error": "OrderNotEligibleForInvoice", "detail": "No."}, 409)
EXISTS = json_answer({"error": "InvoiceAlreadyExists", "detail": "It does."}, 409)
MADE = json_answer({"url": "https://files.example.com/1.pdf"})


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look again at once, as often as in earnest."""
    monkeypatch.setattr(invoice_pdf, "PAUSES", tuple(0.0 for _ in invoice_pdf.PAUSES))


async def pdf_at(scripted: ScriptedServer, *answers: Any, order: str = ORDER) -> str | None:
    """Return what the driver says when Polar answers so."""
    scripted.answers = list(answers)
    driver = PolarDriver(POLAR_KEY, api_base=scripted.url)
    try:
        return await driver.invoice_pdf(order)
    finally:
        await driver.close()


async def test_what_has_been_made_takes_one_call(scripted: ScriptedServer) -> None:
    assert await pdf_at(scripted, MADE) == "https://files.example.com/1.pdf"
    assert [one.method for one in scripted.seen] == ["GET"]


async def test_what_has_not_is_asked_for_once_and_waited_for(scripted: ScriptedServer) -> None:
    url = await pdf_at(scripted, NOT_MADE, ASKED, NOT_MADE, NOT_MADE, MADE)
    assert url == "https://files.example.com/1.pdf"
    assert [one.method for one in scripted.seen] == ["GET", "POST", "GET", "GET", "GET"]


async def test_what_takes_long_is_to_be_asked_for_again(scripted: ScriptedServer) -> None:
    with pytest.raises(ProviderUnavailable, match="still making") as caught:
        await pdf_at(scripted, NOT_MADE, ASKED, NOT_MADE)
    assert caught.value.retry_after
    assert len(scripted.seen) == 2 + len(invoice_pdf.PAUSES)


async def test_of_an_order_that_is_unknown_or_not_paid_there_is_none(
    scripted: ScriptedServer,
) -> None:
    assert await pdf_at(scripted, UNKNOWN) is None
    assert await pdf_at(scripted, NOT_MADE, NOT_PAID, NOT_MADE) is None
    assert await pdf_at(scripted, NOT_MADE, EXISTS, MADE) == "https://files.example.com/1.pdf"


@pytest.mark.parametrize("order", ["", "in_1", f"{ORDER}/../x", "../customers"])
async def test_what_is_no_id_is_not_asked_for(order: str, scripted: ScriptedServer) -> None:
    assert await pdf_at(scripted, MADE, order=order) is None
    assert scripted.seen == []


async def test_somebody_without_an_address_is_told_to_add_one(polar: Polar) -> None:
    customer = polar.subscriber(polar.plan())
    [order] = polar.shop.find(Invoice, customer=customer.id)
    driver = polar.driver()
    with pytest.raises(InvalidRequest, match="billing name and address"):
        await driver.invoice_pdf(order.id)
    polar.shop.update_customer(customer.id, address=Address(line1="Main St 1", country="DE"))
    assert await driver.invoice_pdf(order.id) == polar.shop.pdf_url(order)
    await driver.close()
