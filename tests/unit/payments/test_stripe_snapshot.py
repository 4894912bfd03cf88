"""One customer's whole billing state, as a really running provider tells it."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import stripe
from aiohttp import web

from billing_ui.clock import utc_now
from billing_ui.payments.stripe import StripeDriver
from billing_ui.payments.types import (
    NextInvoice,
    NoCustomer,
    ProviderRejected,
    Snapshot,
    SubscriptionState,
)
from tests.unit.payments.scripted import ScriptedServer, error_answer
from tests.unit.payments.shop import Shop

PREVIEW = "/v1/invoices/create_preview"
NOTHING_COMING = error_answer(
    400, {"type": "invalid_request_error", "code": "invoice_upcoming_none", "message": "None."}
)


async def test_a_customer_with_a_plan_is_fetched_whole(driver: StripeDriver, shop: Shop) -> None:
    product = await shop.product("Team", unit_label="seat")
    price = await shop.price(product, 2000)
    customer = await shop.customer(driver)
    bought = await shop.subscribe(customer, price)
    snapshot = await driver.fetch_snapshot(customer)

    assert snapshot.provider == "stripe"
    assert not snapshot.partial
    assert (snapshot.customer.id, snapshot.customer.deleted) == (customer, False)
    assert snapshot.customer.team_id is not None
    assert snapshot.customer.currency == "usd"

    (subscription,) = snapshot.subscriptions
    assert (subscription.id, subscription.state) == (bought.id, SubscriptionState.ACTIVE)
    (item,) = subscription.items
    assert (item.price_id, item.product_id) == (price, product)
    assert (item.plan_name, item.unit_label, item.quantity) == ("Team", "seat", 1)
    assert (item.unit_amount, item.currency) == (2000, "usd")
    assert (item.interval, item.interval_count) == ("month", 1)
    renewal = datetime.fromtimestamp(bought.items.data[0].current_period_end, UTC)
    assert subscription.current_period_end == item.current_period_end == renewal
    assert subscription.raw["id"] == bought.id

    (method,) = snapshot.payment_methods
    assert (method.type, method.brand, method.last4, method.is_default) == (
        *("card", "visa", "4242"),
        True,
    )
    (invoice,) = snapshot.invoices
    assert (invoice.total, invoice.status, invoice.subscription_id) == (2000, "paid", bought.id)
    assert invoice.number
    assert invoice.pdf_url
    assert invoice.raw["id"] == invoice.id


async def test_a_snapshot_survives_the_way_through_json(driver: StripeDriver, shop: Shop) -> None:
    customer = await shop.customer(driver)
    await shop.subscribe(customer, await shop.price(await shop.product()))
    snapshot = await driver.fetch_snapshot(customer)
    assert Snapshot.model_validate_json(snapshot.model_dump_json()) == snapshot


async def test_a_customer_without_anything_is_an_empty_snapshot(
    driver: StripeDriver, shop: Shop
) -> None:
    snapshot = await driver.fetch_snapshot(await shop.customer(driver, card=None))
    assert (snapshot.subscriptions, snapshot.payment_methods, snapshot.invoices) == ((), (), ())


async def test_several_subscriptions_with_several_items_are_all_there(
    driver: StripeDriver, shop: Shop
) -> None:
    pro, team = await shop.product("Pro"), await shop.product("Team")
    pro_price, team_price = await shop.price(pro), await shop.price(team, 2000)
    customer = await shop.customer(driver)
    first = await shop.subscribe(customer, pro_price, team_price)
    second = await shop.subscribe(customer, team_price)
    await shop.sdk.v1.subscriptions.cancel_async(second.id)
    found = {one.id: one for one in (await driver.fetch_snapshot(customer)).subscriptions}
    assert [item.plan_name for item in found[first.id].items] == ["Pro", "Team"]
    assert found[first.id].state is SubscriptionState.ACTIVE
    assert found[second.id].state is SubscriptionState.ENDED
    assert found[second.id].ended_at is not None


async def test_items_beyond_those_that_come_with_a_subscription_are_fetched(
    scripted: ScriptedServer, scripted_driver: StripeDriver
) -> None:
    items = [item(number) for number in range(12)]
    subscription = {
        **dict.fromkeys(("cancel_at", "canceled_at", "ended_at", "trial_end", "pause_collection")),
        **{"id": "sub_1", "object": "subscription", "status": "active", "currency": "usd"},
        **{"created": 1, "cancel_at_period_end": False, "default_payment_method": None},
        "items": listed(items[:10], has_more=True),
    }
    customer: dict[str, Any] = {
        **dict.fromkeys(("email", "name", "phone", "address", "currency", "default_source")),
        **{"id": "cus_1", "object": "customer", "metadata": {}, "invoice_settings": None},
    }
    answers = {
        "/v1/customers/cus_1": customer,
        "/v1/subscriptions": listed([subscription]),
        "/v1/subscription_items": listed(items),
        "/v1/prices": listed([item["price"] for item in items]),
    }

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == PREVIEW:
            return await NOTHING_COMING(request)
        return web.json_response(answers.get(request.path, listed([])))

    scripted.answers = [answer]
    (found,) = (await scripted_driver.fetch_snapshot("cus_1")).subscriptions
    assert [one.id for one in found.items] == [one["id"] for one in items]
    assert len(scripted.seen) == 7


def item(number: int) -> dict[str, Any]:
    """Return a subscription item as Stripe answers it."""
    price = {
        **{"id": f"price_{number}", "object": "price", "currency": "usd", "unit_amount": number},
        **{"product": "prod_1", "recurring": None, "nickname": "Part"},
    }
    periods = {"current_period_start": 1, "current_period_end": 2}
    return {"id": f"si_{number}", "object": "subscription_item", "price": price, **periods}


def listed(data: list[dict[str, Any]], *, has_more: bool = False) -> dict[str, Any]:
    """Return a list as Stripe answers it."""
    return {"object": "list", "data": data, "has_more": has_more, "url": "/v1/things"}


async def test_a_price_older_than_the_newest_hundred_still_has_its_name_and_amount(
    driver: StripeDriver, shop: Shop
) -> None:
    product = await shop.product("Legacy")
    price = await shop.price(product, 900)
    customer = await shop.customer(driver)
    await shop.subscribe(customer, price)
    for _ in range(100):
        await shop.price(product, 1000)
    ((item,),) = [one.items for one in (await driver.fetch_snapshot(customer)).subscriptions]
    assert (item.plan_name, item.unit_amount) == ("Legacy", 900)


async def test_an_amount_is_in_the_currency_of_the_subscription(
    driver: StripeDriver, shop: Shop
) -> None:
    product = await shop.product()
    price = await shop.price(product, currency_options={"eur": {"unit_amount": 13900}})
    customer = await shop.customer(driver)
    await shop.subscribe(customer, price, currency="eur")
    (subscription,) = (await driver.fetch_snapshot(customer)).subscriptions
    (item,) = subscription.items
    assert (subscription.currency, item.currency, item.unit_amount) == ("eur", "eur", 13900)
    assert item.plan_name == "Pro"


async def test_canceling_trialing_and_pausing_are_told_apart(
    driver: StripeDriver, shop: Shop
) -> None:
    price = await shop.price(await shop.product())
    resumes = int((utc_now() + timedelta(days=40)).timestamp())
    customer = await shop.customer(driver)
    canceling, trialing, paused = [
        await shop.subscribe(customer, price),
        await shop.subscribe(customer, price, trial_period_days=14),
        await shop.subscribe(customer, price),
    ]
    update = shop.sdk.v1.subscriptions.update_async
    await update(canceling.id, {"cancel_at": "min_period_end"})
    await update(paused.id, {"pause_collection": {"behavior": "void", "resumes_at": resumes}})
    found = {one.id: one for one in (await driver.fetch_snapshot(customer)).subscriptions}
    assert found[canceling.id].state is SubscriptionState.CANCELING
    assert found[canceling.id].cancel_at == found[canceling.id].current_period_end
    assert found[trialing.id].state is SubscriptionState.TRIALING
    assert found[trialing.id].trial_end == found[trialing.id].current_period_end
    assert found[paused.id].state is SubscriptionState.PAUSED
    assert found[paused.id].resumes_at == datetime.fromtimestamp(resumes, UTC)


async def bill(sdk: stripe.StripeClient, customer: str, amount: int) -> str:
    """Make a draft of an invoice and return its id."""
    await sdk.v1.invoice_items.create_async(
        {"customer": customer, "currency": "usd", "amount": amount}
    )
    made = await sdk.v1.invoices.create_async(
        {"customer": customer, "pending_invoice_items_behavior": "include"}
    )
    return made.id


async def test_an_invoice_that_is_asked_for_is_told_even_an_old_one(
    driver: StripeDriver, sdk: stripe.StripeClient, shop: Shop
) -> None:
    customer = await shop.customer(driver)
    old, deleted = await bill(sdk, customer, 100), await bill(sdk, customer, 200)
    for number in range(25):
        newest = await bill(sdk, customer, 300 + number)
    await sdk.v1.invoices.pay_async((await sdk.v1.invoices.finalize_invoice_async(old)).id)
    await sdk.v1.invoices.delete_async(deleted)

    unasked = await driver.fetch_snapshot(customer)
    assert len(unasked.invoices) == 24
    asked = await driver.fetch_snapshot(customer, invoices=(newest, old, deleted))
    assert asked.invoices[:-1] == unasked.invoices
    assert (asked.invoices[-1].id, asked.invoices[-1].status) == (old, "paid")
    assert asked.deleted_invoices == (deleted,)


async def test_everything_since_the_newest_invoice_we_have_is_told(
    driver: StripeDriver, sdk: stripe.StripeClient, shop: Shop
) -> None:
    customer = await shop.customer(driver)
    made = [await bill(sdk, customer, 100 + number) for number in range(50)]
    newest_first = made[::-1]
    since = (await driver.fetch_snapshot(customer)).invoices[-1].created_at - timedelta(hours=1)
    every = await driver.fetch_snapshot(customer, invoices_since=since)
    assert [invoice.id for invoice in every.invoices] == newest_first
    later = since + timedelta(days=1)
    few = await driver.fetch_snapshot(customer, invoices_since=later)
    assert [invoice.id for invoice in few.invoices] == newest_first[:24]


async def test_the_invoices_of_a_deleted_customer_are_still_told(
    driver: StripeDriver, sdk: stripe.StripeClient, shop: Shop
) -> None:
    customer = await shop.customer(driver)
    await shop.subscribe(customer, await shop.price(await shop.product()))
    [before] = (await driver.fetch_snapshot(customer)).invoices
    await sdk.v1.customers.delete_async(customer)
    deleted = await driver.fetch_snapshot(customer, invoices=(before.id,))
    assert deleted.customer.deleted
    assert [invoice.id for invoice in deleted.invoices] == [before.id]


async def test_only_the_newest_invoices_are_fetched_newest_first(
    driver: StripeDriver, sdk: stripe.StripeClient, shop: Shop
) -> None:
    customer = await shop.customer(driver)
    for number in range(26):
        await sdk.v1.invoice_items.create_async(
            {"customer": customer, "currency": "usd", "amount": 100 + number}
        )
        await sdk.v1.invoices.create_async(
            {"customer": customer, "pending_invoice_items_behavior": "include"}
        )
    invoices = (await driver.fetch_snapshot(customer)).invoices
    assert [invoice.total for invoice in invoices] == [125 - place for place in range(24)]
    assert {invoice.status for invoice in invoices} == {"draft"}


async def test_a_deleted_customer_is_a_snapshot_that_says_so(
    driver: StripeDriver, sdk: stripe.StripeClient, shop: Shop
) -> None:
    customer = await shop.customer(driver)
    await sdk.v1.customers.delete_async(customer)
    snapshot = await driver.fetch_snapshot(customer)
    assert (snapshot.customer.id, snapshot.customer.deleted) == (customer, True)
    assert snapshot.subscriptions == ()


async def test_an_unknown_customer_is_no_customer(driver: StripeDriver) -> None:
    with pytest.raises(NoCustomer, match="Stripe has no customer cus_elsewhere under"):
        await driver.fetch_snapshot("cus_elsewhere")


async def test_one_call_failing_fails_the_snapshot_with_its_own_reason(
    scripted: ScriptedServer, scripted_driver: StripeDriver
) -> None:
    scripted.answers = [error_answer(401, {"message": "Invalid API Key provided: sk_test_***x"})]
    with pytest.raises(Exception, match="must set STRIPE_SECRET_KEY") as caught:
        await scripted_driver.fetch_snapshot("cus_1")
    assert not isinstance(caught.value, ExceptionGroup)


async def test_everything_is_asked_for_at_once(
    scripted: ScriptedServer, scripted_driver: StripeDriver
) -> None:
    all_here = asyncio.Barrier(6)

    async def answer(request: web.Request) -> web.StreamResponse:
        async with asyncio.timeout(5):
            # Opens only when the customer, all four lists and the preview are waiting.
            await all_here.wait()
        if request.path.startswith("/v1/customers/"):
            return web.json_response({"id": "cus_1", "object": "customer", "deleted": True})
        if request.path == PREVIEW:
            return await NOTHING_COMING(request)
        return web.json_response(listed([]))

    scripted.answers = [answer]
    assert (await scripted_driver.fetch_snapshot("cus_1")).customer.deleted
    assert len(scripted.seen) == 6


async def test_the_next_invoice_is_foreseen_with_what_a_change_adds(
    driver: StripeDriver, shop: Shop
) -> None:
    price = await shop.price(await shop.product("Team", unit_label="seat"), 2000)
    customer = await shop.customer(driver)
    bought = await shop.subscribe(customer, price)
    (item,) = bought.items.data
    assert (await driver.fetch_snapshot(customer)).next_invoice == NextInvoice(
        subscription_id=bought.id,
        at=datetime.fromtimestamp(item.current_period_end, UTC),
        currency="usd",
        amount_due=2000,
        total=2000,
    )
    await shop.sdk.v1.subscriptions.update_async(
        bought.id, {"items": [{"id": item.id, "quantity": 5}]}
    )
    foreseen = (await driver.fetch_snapshot(customer)).next_invoice
    assert foreseen
    assert (foreseen.total, foreseen.proration) == (10000 + 8000, 8000)
    assert foreseen.prorated_at is not None
    assert abs(foreseen.prorated_at - utc_now()) < timedelta(minutes=5)


async def test_a_plan_that_ends_has_no_next_invoice(driver: StripeDriver, shop: Shop) -> None:
    price = await shop.price(await shop.product())
    customer = await shop.customer(driver)
    assert (await driver.fetch_snapshot(customer)).next_invoice is None
    bought = await shop.subscribe(customer, price)
    await shop.sdk.v1.subscriptions.update_async(bought.id, {"cancel_at_period_end": True})
    assert (await driver.fetch_snapshot(customer)).next_invoice is None


@pytest.mark.parametrize("end", ["cancel", "pause", "create_invoice"])
async def test_a_trial_tells_whether_it_ends_unpaid(
    driver: StripeDriver, shop: Shop, end: str
) -> None:
    price = await shop.price(await shop.product())
    customer = await shop.customer(driver, card=None)
    settings = {"end_behavior": {"missing_payment_method": end}}
    await shop.subscribe(customer, price, trial_period_days=14, trial_settings=settings)
    (trial,) = (await driver.fetch_snapshot(customer)).subscriptions
    assert trial.ends_unpaid is (end == "cancel")


async def test_what_cannot_be_foreseen_keeps_nothing_else_from_being_known(
    scripted: ScriptedServer, scripted_driver: StripeDriver
) -> None:
    no_address = {"type": "invalid_request_error", "code": "customer_tax_location_invalid"}

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == PREVIEW:
            return await error_answer(400, no_address)(request)
        if request.path.startswith("/v1/customers/"):
            return web.json_response(
                {
                    **dict.fromkeys(("email", "name", "phone", "address", "currency")),
                    **{"id": "cus_1", "object": "customer", "metadata": {}},
                    **{"default_source": None, "invoice_settings": None},
                }
            )
        return web.json_response(listed([]))

    scripted.answers = [answer]
    snapshot = await scripted_driver.fetch_snapshot("cus_1")
    assert (snapshot.customer.id, snapshot.next_invoice) == ("cus_1", None)


async def test_a_refused_key_is_not_taken_for_nothing_to_foresee(
    scripted: ScriptedServer, scripted_driver: StripeDriver
) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == PREVIEW:
            return await error_answer(403, {"message": "The key lacks a permission."})(request)
        if request.path.startswith("/v1/customers/"):
            return web.json_response({"id": "cus_1", "object": "customer", "deleted": True})
        return web.json_response(listed([]))

    scripted.answers = [answer]
    with pytest.raises(ProviderRejected, match="lacks a permission"):
        await scripted_driver.fetch_snapshot("cus_1")
