"""Invoices as PDF: the address that a driver gives leads to the real file, and to nothing where there is none."""

import pytest

from billing_ui.payments.driver import Driver
from billing_ui.payments.types import ProviderUnavailable, SnapshotInvoice
from tests.drivers.world import World, payer, pdf_at, unknown_like


async def paid_invoice(driver: Driver, world: World) -> SnapshotInvoice:
    """Return the invoice of somebody who has just bought a plan."""
    customer = await driver.ensure_customer(payer())
    world.move_to(customer, "12 Harbour Street", "Dublin", "IE")
    world.add_card(customer)
    world.subscribe(customer, world.offer("Observatory"))
    [invoice] = (await driver.fetch_snapshot(customer)).invoices
    return invoice


async def test_the_address_of_a_pdf_leads_to_the_real_file(driver: Driver, world: World) -> None:
    invoice = await paid_invoice(driver, world)
    for _ in range(2):
        url = await driver.invoice_pdf(invoice.id)
        assert url is not None
        text = pdf_at(url)
        assert "Observatory" in text
        assert invoice.number is None or invoice.number in text


async def test_an_address_is_told_in_advance_only_where_it_lasts(
    driver: Driver, world: World
) -> None:
    invoice = await paid_invoice(driver, world)
    assert (invoice.pdf_url is None) is driver.capabilities.invoice_pdf_on_demand


async def test_there_is_no_pdf_of_what_the_provider_does_not_know(
    driver: Driver, world: World
) -> None:
    invoice = await paid_invoice(driver, world)
    assert await driver.invoice_pdf(unknown_like(invoice.id)) is None


async def test_a_provider_that_fails_is_not_one_without_a_pdf(driver: Driver, world: World) -> None:
    invoice = await paid_invoice(driver, world)
    with world.control.failing("error", status=500), pytest.raises(ProviderUnavailable):
        await driver.invoice_pdf(invoice.id)
