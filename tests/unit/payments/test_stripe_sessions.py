"""Portal and checkout sessions: what is asked of Stripe, and how many calls it takes."""

import asyncio
from typing import Any

import pytest
import stripe
from pydantic import ValidationError

from billing_ui.payments import stripe as stripe_package
from billing_ui.payments.driver import start_portal_session
from billing_ui.payments.stripe import StripeDriver
from billing_ui.payments.types import (
    ConfigurationUnusable,
    CustomerDeleted,
    FlowType,
    InvalidRequest,
    PortalFlow,
    ProviderRejected,
    StartPortalSessionInput,
)
from billing_ui.settings import Settings
from tests.unit.payments.requests import (
    RETURN_URL,
    checkout_request,
    make_settings,
    payer,
    portal_request,
)
from tests.unit.payments.scripted import ScriptedServer, json_answer
from tests.unit.payments.shop import Shop

SESSION = {"id": "bps_1", "object": "billing_portal.session", "url": "https://portal.test/secret"}


@pytest.fixture
async def configuration(driver: StripeDriver, shop: Shop) -> str:
    """The portal configuration for what the shop sells."""
    await shop.price(await shop.product())
    ref = await driver.ensure_portal_configuration(await driver.fetch_catalog(), None)
    return ref.id


async def test_a_portal_takes_one_call_when_customer_and_configuration_are_known(
    scripted: ScriptedServer, scripted_driver: StripeDriver
) -> None:
    scripted.answers = [json_answer(SESSION)]
    session = await scripted_driver.start_portal_session(portal_request("cus_1"))
    (seen,) = scripted.seen
    assert (seen.method, seen.path) == ("POST", "/v1/billing_portal/sessions")
    assert seen.form == {"customer": "cus_1", "configuration": "bpc_1", "return_url": RETURN_URL}
    assert (session.provider, session.customer, session.session_id, session.configuration) == (
        *("stripe", "cus_1", "bps_1", "bpc_1"),
    )
    assert session.portal_url == SESSION["url"]


async def test_the_return_url_reaches_the_provider_untouched(
    driver: StripeDriver, shop: Shop, configuration: str
) -> None:
    customer = await shop.customer(driver)
    session = await driver.start_portal_session(
        portal_request(customer, configuration=configuration)
    )
    assert session.portal_url.startswith("http")
    assert session.customer == customer


async def test_asking_for_a_portal_creates_the_customer_and_finds_the_configuration(
    driver: StripeDriver, shop: Shop, configuration: str
) -> None:
    request = portal_request(None, configuration=None)
    first = await driver.start_portal_session(request)
    second = await driver.start_portal_session(request)
    assert first.customer == second.customer
    assert first.configuration == second.configuration == configuration
    assert first.session_id != second.session_id


async def test_the_configuration_of_the_settings_is_used_unless_another_is_named(
    scripted: ScriptedServer,
) -> None:
    scripted.answers = [json_answer(SESSION)]
    settings = make_settings(
        stripe_api_base=scripted.url, stripe_portal_configuration="bpc_of_the_operator"
    )
    driver = StripeDriver.from_settings(settings)
    for named in (None, "bpc_named"):
        await driver.start_portal_session(portal_request(configuration=named))
    used = [seen.form["configuration"] for seen in scripted.seen]
    assert used == ["bpc_of_the_operator", "bpc_named"]
    await driver.close()


@pytest.mark.parametrize("type_", FlowType)
async def test_every_flow_opens_and_returns_when_done(
    type_: FlowType, driver: StripeDriver, shop: Shop, configuration: str
) -> None:
    customer = await shop.customer(driver)
    bought = await shop.subscribe(customer, await shop.price(await shop.product()))
    flow = PortalFlow(type=type_, subscription_id=bought.id)
    if type_ is FlowType.SUBSCRIPTION_UPDATE_CONFIRM:
        (item,) = bought["items"].data
        made = await shop.sdk.v1.billing_portal.configurations.retrieve_async(
            configuration, {"expand": ["features.subscription_update.products"]}
        )
        offered, *_ = made.features.subscription_update.products or []
        change = {"item_id": item.id, "price_id": offered.prices[0]}
        flow = flow.model_copy(update=change)
    request = portal_request(customer, configuration=configuration, flow=flow, locale="de-CH")
    assert (await driver.start_portal_session(request)).portal_url


@pytest.mark.parametrize(
    ("flow", "about"),
    [
        (PortalFlow(type=FlowType.PAYMENT_METHOD_UPDATE), {}),
        (PortalFlow(type=FlowType.CUSTOMER_UPDATE, subscription_id="sub_ignored"), {}),
        (
            PortalFlow(type=FlowType.SUBSCRIPTION_CANCEL, subscription_id="sub_1"),
            {"flow_data[subscription_cancel][subscription]": "sub_1"},
        ),
        (
            PortalFlow(type=FlowType.SUBSCRIPTION_UPDATE, subscription_id="sub_1"),
            {"flow_data[subscription_update][subscription]": "sub_1"},
        ),
        (
            PortalFlow(
                type=FlowType.SUBSCRIPTION_UPDATE_CONFIRM,
                subscription_id="sub_1",
                item_id="si_1",
                price_id="price_1",
                quantity=7,
            ),
            {
                "flow_data[subscription_update_confirm][subscription]": "sub_1",
                "flow_data[subscription_update_confirm][items][0][id]": "si_1",
                "flow_data[subscription_update_confirm][items][0][price]": "price_1",
                "flow_data[subscription_update_confirm][items][0][quantity]": "7",
            },
        ),
    ],
)
async def test_a_flow_says_what_it_is_about_and_where_it_ends(
    flow: PortalFlow,
    about: dict[str, str],
    scripted: ScriptedServer,
    scripted_driver: StripeDriver,
) -> None:
    scripted.answers = [json_answer(SESSION)]
    await scripted_driver.start_portal_session(portal_request(flow=flow))
    sent = {name: value for name, value in scripted.seen[0].form.items() if "flow_data" in name}
    assert sent == {
        "flow_data[type]": flow.type.value,
        "flow_data[after_completion][type]": "redirect",
        "flow_data[after_completion][redirect][return_url]": RETURN_URL,
        **about,
    }


@pytest.mark.parametrize("type_", [FlowType.SUBSCRIPTION_CANCEL, FlowType.SUBSCRIPTION_UPDATE])
async def test_a_flow_about_no_subscription_is_refused_before_any_call(
    type_: FlowType, scripted: ScriptedServer, scripted_driver: StripeDriver
) -> None:
    with pytest.raises(InvalidRequest, match=r"flow: .* needs a subscription"):
        await scripted_driver.start_portal_session(portal_request(flow=PortalFlow(type=type_)))
    assert scripted.seen == []


@pytest.mark.parametrize(
    ("fields", "lacks"),
    [({"price_id": "price_1"}, "an item"), ({"item_id": "si_1"}, "a price or a quantity")],
)
async def test_a_change_that_is_not_said_whole_is_refused_before_any_call(
    fields: Any, lacks: str, scripted: ScriptedServer, scripted_driver: StripeDriver
) -> None:
    kind = FlowType.SUBSCRIPTION_UPDATE_CONFIRM
    flow = PortalFlow(type=kind, subscription_id="sub_1", **fields)
    with pytest.raises(InvalidRequest, match=f"needs {lacks}"):
        await scripted_driver.start_portal_session(portal_request(flow=flow))
    assert scripted.seen == []


async def test_canceling_what_is_already_canceling_is_refused_in_words(
    driver: StripeDriver, shop: Shop, configuration: str
) -> None:
    customer = await shop.customer(driver)
    bought = await shop.subscribe(customer, await shop.price(await shop.product()))
    await shop.sdk.v1.subscriptions.update_async(bought.id, {"cancel_at_period_end": True})
    flow = PortalFlow(type=FlowType.SUBSCRIPTION_CANCEL, subscription_id=bought.id)
    with pytest.raises(InvalidRequest, match="already set to be canceled"):
        await driver.start_portal_session(
            portal_request(customer, configuration=configuration, flow=flow)
        )


async def test_a_deleted_customer_gets_no_portal_and_no_successor(
    driver: StripeDriver, shop: Shop, configuration: str
) -> None:
    customer = await shop.customer(driver)
    await shop.sdk.v1.customers.delete_async(customer)
    with pytest.raises(CustomerDeleted):
        await driver.start_portal_session(portal_request(customer, configuration=configuration))


async def test_a_configuration_that_is_missing_or_inactive_is_named_as_such(
    driver: StripeDriver, shop: Shop, configuration: str
) -> None:
    customer = await shop.customer(driver)
    update = shop.sdk.v1.billing_portal.configurations.update_async
    await update(configuration, {"active": False})
    for unusable in ("bpc_elsewhere", configuration):
        with pytest.raises(ConfigurationUnusable):
            await driver.start_portal_session(portal_request(customer, configuration=unusable))
    await update(configuration, {"active": True})


async def test_a_checkout_sells_the_price_to_the_customer(
    driver: StripeDriver, sdk: stripe.StripeClient, shop: Shop
) -> None:
    product = await shop.product("Team", unit_label="seat")
    price = await shop.price(product, 2000, currency_options={"eur": {"unit_amount": 1900}})
    customer = await shop.customer(driver, card=None)
    request = checkout_request(
        *(customer, price), quantity=3, adjustable_quantity=True, currency="eur", locale="en-US"
    )
    checkout = await driver.start_checkout(request)
    assert (checkout.provider, checkout.customer) == ("stripe", customer)
    assert checkout.checkout_url not in repr(checkout)
    made = await sdk.v1.checkout.sessions.retrieve_async(checkout.session_id)
    assert checkout.expires_at is not None
    assert int(checkout.expires_at.timestamp()) == made.expires_at
    assert (made.mode, made.customer, made.currency) == ("subscription", customer, "eur")
    assert made.client_reference_id == str(request.payer.team_id)
    assert (made.success_url, made.cancel_url) == (request.success_url, request.cancel_url)
    assert made.amount_total == 5700


async def test_a_checkout_names_the_team_on_the_subscription(
    scripted: ScriptedServer, scripted_driver: StripeDriver
) -> None:
    answer = {"id": "cs_1", "object": "checkout.session", "url": "https://c.test", "expires_at": 1}
    none_open = {"object": "list", "data": [], "has_more": False, "url": "/v1/checkout/sessions"}
    scripted.answers = [json_answer(answer), json_answer(none_open)]
    request = checkout_request("cus_1", "price_1")
    await scripted_driver.start_checkout(request)
    form = scripted.seen[0].form
    assert form["subscription_data[metadata][team_id]"] == str(request.payer.team_id)
    assert not [name for name in form if "adjustable" in name or name in ("currency", "locale")]


@pytest.mark.parametrize("wrong", ["missing", "inactive", "once", "currency"])
async def test_a_price_that_cannot_be_bought_is_refused_in_words(
    wrong: str, driver: StripeDriver, shop: Shop
) -> None:
    price = await shop.price(await shop.product(), interval=None if wrong == "once" else "month")
    if wrong == "inactive":
        await shop.sdk.v1.prices.update_async(price, {"active": False})
    customer = await shop.customer(driver, card=None)
    request = checkout_request(
        customer,
        "price_elsewhere" if wrong == "missing" else price,
        currency="jpy" if wrong == "currency" else None,
    )
    with pytest.raises(InvalidRequest):
        await driver.start_checkout(request)


async def test_a_further_checkout_closes_the_one_before(
    driver: StripeDriver, sdk: stripe.StripeClient, shop: Shop
) -> None:
    price = await shop.price(await shop.product())
    customer = await shop.customer(driver, card=None)
    request = checkout_request(customer, price)
    # Several, because those of one second are told apart by nothing but their order.
    checkouts = [await driver.start_checkout(request) for _ in range(8)]
    left = await sdk.v1.checkout.sessions.list_async({"customer": customer, "status": "open"})
    assert [session.id for session in left.data] == [checkouts[-1].session_id]


async def test_of_checkouts_opened_at_once_one_stays_open(
    driver: StripeDriver, sdk: stripe.StripeClient, shop: Shop
) -> None:
    price = await shop.price(await shop.product())
    customer = await shop.customer(driver, card=None)
    request = checkout_request(customer, price)
    opened = await asyncio.gather(*(driver.start_checkout(request) for _ in range(8)))
    left = await sdk.v1.checkout.sessions.list_async({"customer": customer, "status": "open"})
    assert len(left.data) == 1
    assert left.data[0].id in {checkout.session_id for checkout in opened}


async def test_somebody_elses_checkout_for_the_customer_stays_open(
    driver: StripeDriver, sdk: stripe.StripeClient, shop: Shop
) -> None:
    price = await shop.price(await shop.product())
    customer = await shop.customer(driver, card=None)
    theirs = await sdk.v1.checkout.sessions.create_async(
        {
            "mode": "subscription",
            "customer": customer,
            "line_items": [{"price": price, "quantity": 1}],
            "success_url": "https://shop.example.com/",
        }
    )
    await driver.start_checkout(checkout_request(customer, price))
    assert (await sdk.v1.checkout.sessions.retrieve_async(theirs.id)).status == "open"


async def test_a_checkout_for_a_deleted_customer_says_so(driver: StripeDriver, shop: Shop) -> None:
    price = await shop.price(await shop.product())
    customer = await shop.customer(driver, card=None)
    await shop.sdk.v1.customers.delete_async(customer)
    with pytest.raises(CustomerDeleted):
        await driver.start_checkout(checkout_request(customer, price))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("return_url", "/settings/billing"),
        ("return_url", "javascript:alert(1)"),
        ("return_url", "https://"),
        ("return_url", "https://app.example.com/" + "x" * 2048),
        ("configuration", ""),
        ("flow", {"type": "delete_everything"}),
        ("locale", ""),
        ("surprise", "field"),
    ],
)
def test_a_bad_input_is_a_validation_error_naming_the_field(field: str, value: Any) -> None:
    good: dict[str, Any] = {"payer": payer(), "return_url": RETURN_URL}
    with pytest.raises(ValidationError) as caught:
        StartPortalSessionInput.model_validate(good | {field: value})
    assert caught.value.errors()[0]["loc"][0] == field


@pytest.mark.parametrize("start", [start_portal_session, stripe_package.start_portal_session])
async def test_a_portal_opens_from_the_settings_alone(
    start: Any, sandbox_url: str, configuration: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_settings(stripe_api_base=sandbox_url)
    for module in ("billing_ui.payments.driver", "billing_ui.payments.stripe"):
        monkeypatch.setattr(f"{module}.get_settings", lambda: settings)
    out = await start(StartPortalSessionInput(payer=payer(), return_url=RETURN_URL))
    assert out.provider == "stripe"
    assert out.customer.startswith("cus_")
    assert out.portal_url.startswith(sandbox_url)


def _address(settings: Settings) -> str:
    driver = StripeDriver.from_settings(settings)
    options = driver._client._requestor._options
    assert options.base_addresses is not None
    return f"{options.api_key} {options.base_addresses['api']}"


@pytest.mark.parametrize(
    ("settings", "address"),
    [
        ({}, "sk_test_sandbox http://127.0.0.1:8420"),
        ({"sandbox_port": 9000}, "sk_test_sandbox http://127.0.0.1:9000"),
        ({"stripe_api_base": "http://127.0.0.1:1"}, "sk_test_sandbox http://127.0.0.1:1"),
        ({"stripe_secret_key": "sk_test_1"}, "sk_test_1 https://api.stripe.com"),
        (
            {"stripe_secret_key": "sk_test_1", "stripe_api_base": "http://127.0.0.1:1/"},
            "sk_test_1 http://127.0.0.1:1",
        ),
    ],
)
def test_the_settings_say_where_stripe_is_and_with_which_key(
    settings: dict[str, Any], address: str
) -> None:
    assert _address(make_settings(**settings)) == address


def test_without_a_key_of_stripes_there_is_no_driver() -> None:
    with pytest.raises(ProviderRejected, match="Set STRIPE_SECRET_KEY"):
        StripeDriver.from_settings(make_settings(polar_access_token="polar_1"))
