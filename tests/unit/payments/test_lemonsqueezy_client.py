"""The way to Lemon Squeezy: timeouts, retries, and every failure as a sentence without secrets."""

import asyncio
import traceback
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from billing_ui.payments import client as payments_client
from billing_ui.payments.lemonsqueezy import LemonSqueezyDriver, client
from billing_ui.payments.types import (
    CustomerDeleted,
    FlowType,
    PaymentError,
    PortalFlow,
    ProviderRejected,
    ProviderUnavailable,
)
from billing_ui.settings import Provider
from tests.conftest import free_port
from tests.unit.payments.lemon import LEMON_KEY, document, lemon_driver, one
from tests.unit.payments.requests import make_settings, portal_request
from tests.unit.payments.scripted import (
    Answer,
    ScriptedServer,
    drop,
    drop_half_way,
    json_answer,
)

URL = "https://store.test/billing?expires=1900000000&signature=secret"
CUSTOMER = one(
    document(
        "customers",
        "3",
        store_id=1,
        name="Ada",
        email="ada@example.com",
        urls={"customer_portal": URL},
        created_at="2026-01-03T10:00:00.000000Z",
    )
)


def refusal(status: int, detail: str = "No.", pointer: str = "", **headers: str) -> Answer:
    """Answer one of Lemon Squeezy's errors."""
    error = {"status": str(status), "title": "Refused", "detail": detail}
    return json_answer({"errors": [error | {"source": {"pointer": pointer}}]}, status, **headers)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a failed call be repeated at once."""
    monkeypatch.setattr(payments_client, "_FIRST_PAUSE_SECONDS", 0)


@pytest.fixture
async def driver(scripted: ScriptedServer) -> AsyncIterator[LemonSqueezyDriver]:
    """A driver whose provider is the scripted server."""
    opened = lemon_driver(scripted.url)
    yield opened
    await opened.close()


async def failure_of(driver: LemonSqueezyDriver) -> PaymentError:
    """Return what opening the portal fails with."""
    with pytest.raises(PaymentError) as caught:
        await driver.start_portal_session(portal_request("3"))
    return caught.value


async def test_a_call_is_made_as_the_api_wants_it(
    scripted: ScriptedServer, driver: LemonSqueezyDriver
) -> None:
    scripted.answers = [json_answer(CUSTOMER)]
    await driver.start_portal_session(portal_request("3"))
    [seen] = scripted.seen
    assert (seen.method, seen.path) == ("GET", "/v1/customers/3")
    assert seen.headers["Accept"] == seen.headers["Content-Type"] == "application/vnd.api+json"
    assert seen.headers["Authorization"] == f"Bearer {LEMON_KEY}"


@pytest.mark.parametrize("failure", [drop, drop_half_way, refusal(500), refusal(503)])
async def test_what_may_help_is_tried_again(
    failure: Answer, scripted: ScriptedServer, driver: LemonSqueezyDriver
) -> None:
    scripted.answers = [failure, failure, json_answer(CUSTOMER)]
    session = await driver.start_portal_session(portal_request("3"))
    assert session.portal_url == URL
    assert len(scripted.seen) == 3


@pytest.mark.parametrize(
    ("failure", "sentence"),
    [
        (drop, "Lemon Squeezy can't be reached right now. Nothing was changed."),
        (refusal(500), "Lemon Squeezy has a problem right now. Nothing was changed."),
        (json_answer("<html>", 502), "Lemon Squeezy has a problem right now. Nothing was changed."),
    ],
)
async def test_after_three_attempts_it_is_unavailable(
    failure: Answer, sentence: str, scripted: ScriptedServer, driver: LemonSqueezyDriver
) -> None:
    scripted.answers = [failure]
    error = await failure_of(driver)
    assert isinstance(error, ProviderUnavailable)
    assert str(error).startswith(sentence)
    assert len(scripted.seen) == 3


async def test_nobody_listening_is_unavailable() -> None:
    driver = lemon_driver(f"http://127.0.0.1:{free_port()}")
    assert isinstance(await failure_of(driver), ProviderUnavailable)
    await driver.close()


async def test_too_many_requests_are_not_repeated_and_say_how_long_to_wait(
    scripted: ScriptedServer, driver: LemonSqueezyDriver
) -> None:
    scripted.answers = [refusal(429, Retry_After="17")]
    error = await failure_of(driver)
    assert isinstance(error, ProviderUnavailable)
    assert error.retry_after == 17
    assert "Try again in 17 seconds." in str(error)
    assert len(scripted.seen) == 1


async def test_who_is_told_how_long_to_wait_does_not_try_again_before(
    scripted: ScriptedServer, driver: LemonSqueezyDriver
) -> None:
    scripted.answers = [refusal(503, Retry_After="40")]
    error = await failure_of(driver)
    assert isinstance(error, ProviderUnavailable)
    assert error.retry_after == 40
    assert len(scripted.seen) == 1


@pytest.mark.parametrize("wait", ["", "soon", "-1", "Wed, 21 Oct 2026 07:28:00 GMT", "²"])
async def test_a_wait_that_is_no_number_of_seconds_is_none(
    wait: str, scripted: ScriptedServer, driver: LemonSqueezyDriver
) -> None:
    scripted.answers = [refusal(429, Retry_After=wait.encode().decode("latin-1"))]
    error = await failure_of(driver)
    assert isinstance(error, ProviderUnavailable)
    assert error.retry_after is None


async def test_an_answer_that_does_not_come_is_given_up(
    scripted: ScriptedServer, driver: LemonSqueezyDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "ANSWER_SECONDS", 0.05)
    over = asyncio.Event()

    async def never(request: web.Request) -> web.StreamResponse:
        await over.wait()
        return web.Response()

    scripted.answers = [never]
    error = await failure_of(driver)
    over.set()
    assert isinstance(error, ProviderUnavailable)
    assert str(error).startswith("Lemon Squeezy didn't answer in time.")


async def test_a_refused_key_says_what_to_do(
    scripted: ScriptedServer, driver: LemonSqueezyDriver
) -> None:
    scripted.answers = [refusal(401, "Unauthenticated.")]
    error = await failure_of(driver)
    assert isinstance(error, ProviderRejected)
    assert "LEMONSQUEEZY_API_KEY" in str(error)
    assert len(scripted.seen) == 1


async def test_a_refusal_says_what_lemon_squeezy_says_without_the_key(
    scripted: ScriptedServer, driver: LemonSqueezyDriver
) -> None:
    scripted.answers = [refusal(400, f"The key {LEMON_KEY} may not do this.")]
    error = await failure_of(driver)
    assert isinstance(error, ProviderRejected)
    assert "may not do this." in str(error)
    assert "SecretOfTheTests" not in str(error)


@pytest.mark.parametrize(
    "answer",
    [
        *(json_answer([]), json_answer({}), json_answer({"data": []}), json_answer({"data": {}})),
        json_answer(one(document("customers", "3", name="Ada"))),
        json_answer(CUSTOMER, 302, Location="http://127.0.0.1:1/"),
    ],
)
async def test_an_answer_that_is_none_of_the_apis_is_refused(
    answer: Answer, scripted: ScriptedServer, driver: LemonSqueezyDriver
) -> None:
    scripted.answers = [answer]
    error = await failure_of(driver)
    assert isinstance(error, ProviderRejected)
    assert "LEMONSQUEEZY_API_BASE" in str(error)


@pytest.mark.parametrize("evil", ["../stores/1", "3?include=orders", "3/orders", "", "é", "3\n"])
async def test_what_is_no_id_leads_nowhere(
    evil: str, scripted: ScriptedServer, driver: LemonSqueezyDriver
) -> None:
    scripted.answers = [json_answer(CUSTOMER)]
    with pytest.raises(CustomerDeleted):
        await driver._portal_url(evil)
    assert scripted.seen == []


def failing(how: str) -> Answer:
    """Return an answer of each kind of failure."""
    kinds: dict[str, Callable[[], Answer]] = {
        "refused": lambda: refusal(400, f"Bearer {LEMON_KEY}"),
        "dropped": lambda: drop,
        "unreadable": lambda: json_answer(one(document("customers", "3", name=URL))),
    }
    return kinds[how]()


@pytest.mark.parametrize("how", ["refused", "dropped", "unreadable"])
async def test_neither_key_nor_portal_is_in_a_traceback_or_a_log(
    how: str, scripted: ScriptedServer, driver: LemonSqueezyDriver
) -> None:
    scripted.answers = [failing(how)]
    with capture_logs() as logged:
        error = await failure_of(driver)
    shown = "".join(traceback.format_exception(error)) + str(logged) + repr(driver)
    assert "SecretOfTheTests" not in shown
    assert "signature=secret" not in shown
    assert logged


def test_a_session_shows_no_portal() -> None:
    assert LEMON_KEY not in repr(lemon_driver("http://127.0.0.1:1"))


async def test_what_came_along_and_cannot_be_read_shows_no_address(
    scripted: ScriptedServer, driver: LemonSqueezyDriver
) -> None:
    unreadable = document("subscriptions", "7", urls={"update_payment_method": URL})
    scripted.answers = [json_answer(one(CUSTOMER["data"], unreadable))]
    flow = PortalFlow(type=FlowType.PAYMENT_METHOD_UPDATE)
    with pytest.raises(ProviderRejected) as caught:
        await driver.start_portal_session(portal_request("3", flow=flow))
    assert "signature=secret" not in "".join(traceback.format_exception(caught.value))


async def test_a_driver_serves_the_event_loops_that_come_and_go(scripted: ScriptedServer) -> None:
    scripted.answers = [json_answer(CUSTOMER)]
    driver = lemon_driver(scripted.url)

    async def opened() -> str:
        session = await driver.start_portal_session(portal_request("3"))
        await driver.close()
        return session.portal_url

    assert await opened() == URL
    assert await asyncio.to_thread(asyncio.run, opened()) == URL


@pytest.mark.parametrize(
    ("base", "trusts"),
    [("http://127.0.0.1:9", False), ("http://localhost:9", False), ("https://api.test", True)],
)
async def test_a_proxy_is_never_asked_for_this_machine(base: str, trusts: bool) -> None:
    connections = payments_client.Connections(Provider.LEMONSQUEEZY, "Lemon Squeezy", base)
    assert connections._here()._trust_env is trusts
    await connections.close()


# ---------------------------------------------------------------- made from settings


def made(**values: Any) -> LemonSqueezyDriver:
    """Return the driver that settings of exactly `values` describe."""
    settings = {"payment_provider": "lemonsqueezy", "secret_key": "x"} | values
    return LemonSqueezyDriver.from_settings(make_settings(**settings))


def test_settings_need_a_key_and_a_store() -> None:
    with pytest.raises(ProviderRejected, match="LEMONSQUEEZY_API_KEY"):
        made(stripe_secret_key="sk_test_1")
    with pytest.raises(ProviderRejected, match="LEMONSQUEEZY_STORE_ID"):
        made(lemonsqueezy_api_key="key")
    assert made(lemonsqueezy_api_key="key", lemonsqueezy_store_id="1").display_name == (
        "Lemon Squeezy"
    )


def test_work_in_the_background_leaves_calls_for_people() -> None:
    real = made(lemonsqueezy_api_key="key", lemonsqueezy_store_id="1").capabilities
    assert real.background_calls_per_second is not None
    assert real.background_calls_per_second * 60 < 300
    assert made().capabilities.background_calls_per_second is None


def test_what_cannot_be_done_is_said() -> None:
    said = made().capabilities
    cannot = (said.returns, said.event_list, said.lists_by_time, said.payment_method_list)
    assert not any(cannot)
    assert said.checkout
    assert {flow.value for flow in said.flows} == {"payment_method_update", "subscription_update"}
