"""The way to Paddle: timeouts, retries, and every failure as a sentence without secrets."""

import asyncio
import logging
import traceback
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from billing_ui.payments import client as payments_client
from billing_ui.payments.paddle import PaddleDriver, client
from billing_ui.payments.proxies import proxy_for
from billing_ui.payments.types import (
    CustomerDeleted,
    PaymentError,
    ProviderRejected,
    ProviderUnavailable,
)
from billing_ui.settings import Provider
from tests.conftest import free_port
from tests.unit.payments.paddle import PADDLE_KEY, paddle_driver
from tests.unit.payments.requests import make_settings, payer, portal_request
from tests.unit.payments.scripted import (
    Answer,
    ScriptedServer,
    drop,
    drop_half_way,
    json_answer,
)

NOW = "2026-11-20T10:00:00.000000Z"
CUSTOMER = {
    "data": {
        "id": "ctm_1",
        "name": "Ada",
        "email": "ada@example.com",
        "marketing_consent": False,
        "status": "active",
        "custom_data": None,
        "locale": "en",
        "created_at": NOW,
        "updated_at": NOW,
        "import_meta": None,
    },
    "meta": {"request_id": "req_1"},
}


def refusal(status: int, code: str, detail: str = "No.", **headers: str) -> Answer:
    """Answer one of Paddle's errors."""
    error = {"type": "request_error", "code": code, "detail": detail, "documentation_url": "x"}
    return json_answer({"error": error, "meta": {"request_id": "req_1"}}, status, **headers)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a failed call be repeated at once."""
    monkeypatch.setattr(payments_client, "_FIRST_PAUSE_SECONDS", 0)


@pytest.fixture
async def driver(scripted: ScriptedServer) -> AsyncIterator[PaddleDriver]:
    """A driver whose provider is the scripted server."""
    opened = paddle_driver(scripted.url)
    yield opened
    await opened.close()


async def failure_of(driver: PaddleDriver) -> PaymentError:
    """Return what creating a customer fails with."""
    with pytest.raises(PaymentError) as caught:
        await driver.ensure_customer(payer())
    return caught.value


@pytest.mark.parametrize("lost", [drop, drop_half_way])
async def test_a_lost_connection_is_tried_again(
    lost: Answer, scripted: ScriptedServer, driver: PaddleDriver
) -> None:
    scripted.answers = [lost, json_answer(CUSTOMER)]
    assert await driver.ensure_customer(payer()) == "ctm_1"
    assert len(scripted.seen) == 2


async def test_a_connection_lost_three_times_is_unavailable(
    scripted: ScriptedServer, driver: PaddleDriver
) -> None:
    scripted.answers = [drop]
    failure = await failure_of(driver)
    assert isinstance(failure, ProviderUnavailable)
    assert "can't be reached" in str(failure)
    assert len(scripted.seen) == 3


async def test_a_provider_that_is_not_there_is_unavailable() -> None:
    driver = paddle_driver(f"http://127.0.0.1:{free_port()}")
    assert isinstance(await failure_of(driver), ProviderUnavailable)
    await driver.close()


async def test_a_provider_that_does_not_answer_in_time_is_unavailable_and_not_asked_again(
    scripted: ScriptedServer, driver: PaddleDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "ANSWER_SECONDS", 0.05)
    released = asyncio.Event()

    async def hang(request: web.Request) -> web.StreamResponse:
        await released.wait()
        return web.Response()

    scripted.answers = [hang]
    failure = await failure_of(driver)
    assert isinstance(failure, ProviderUnavailable)
    assert str(failure).startswith("Paddle didn't answer in time.")
    assert len(scripted.seen) == 1
    released.set()


async def test_an_answer_that_comes_drop_by_drop_is_given_up(
    scripted: ScriptedServer, driver: PaddleDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "ANSWER_SECONDS", 0.2)

    async def dribble(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(20):
            await response.write(b" ")
            await asyncio.sleep(0.02)
        return response

    scripted.answers = [dribble]
    assert str(await failure_of(driver)).startswith("Paddle didn't answer in time.")


async def test_too_many_requests_is_not_repeated_and_says_how_long_to_wait(
    scripted: ScriptedServer, driver: PaddleDriver
) -> None:
    scripted.answers = [refusal(429, "too_many_requests", Retry_After="20")]
    failure = await failure_of(driver)
    assert isinstance(failure, ProviderUnavailable)
    assert failure.retry_after == 20
    assert str(failure).endswith("Try again in 20 seconds.")
    assert len(scripted.seen) == 1


async def test_who_is_told_how_long_to_wait_does_not_try_again_before(
    scripted: ScriptedServer, driver: PaddleDriver
) -> None:
    scripted.answers = [refusal(503, "service_unavailable", Retry_After="40")]
    failure = await failure_of(driver)
    assert isinstance(failure, ProviderUnavailable)
    assert (failure.retry_after, len(scripted.seen)) == (40, 1)


@pytest.mark.parametrize("value", ["", "soon", "-1", "1.5", "Fri, 20 Nov 2026 06:29:00 GMT"])
async def test_a_retry_after_that_is_no_number_of_seconds_is_left_out(
    value: str, scripted: ScriptedServer, driver: PaddleDriver
) -> None:
    scripted.answers = [refusal(429, "too_many_requests", Retry_After=value)]
    failure = await failure_of(driver)
    assert isinstance(failure, ProviderUnavailable)
    assert failure.retry_after is None


@pytest.mark.parametrize(
    "answer",
    [
        *(refusal(status, "internal_error", "Boom.") for status in (500, 502, 503)),
        refusal(409, "concurrent_modification", "Boom."),
        json_answer("Boom.", 500),
        json_answer(["Boom."], 503),
        json_answer({"error": "Boom."}, 500),
    ],
)
async def test_a_failing_provider_is_tried_three_times(
    answer: Answer, scripted: ScriptedServer, driver: PaddleDriver
) -> None:
    scripted.answers = [answer]
    await failure_of(driver)
    assert len(scripted.seen) == 3
    scripted.answers = [answer, json_answer(CUSTOMER)]
    assert await driver.ensure_customer(payer()) == "ctm_1"


@pytest.mark.parametrize("listed", [True, False])
async def test_what_is_not_paddles_answer_is_never_taken_for_an_empty_list(
    listed: bool, scripted: ScriptedServer, driver: PaddleDriver
) -> None:
    async def page(request: web.Request) -> web.StreamResponse:
        return web.Response(text="<html>Sign in to the hotel's network</html>")

    without_more = json_answer({"data": [], "meta": {"pagination": {"per_page": 50}}})
    scripted.answers = [without_more if listed else page]
    with pytest.raises(ProviderUnavailable, match="not Paddle"):
        await driver.fetch_catalog()


async def test_an_entity_that_lacks_a_field_is_named_as_unreadable(
    scripted: ScriptedServer, driver: PaddleDriver
) -> None:
    scripted.answers = [json_answer({"data": {"id": "ctm_1"}, "meta": {}})]
    failure = await failure_of(driver)
    assert isinstance(failure, ProviderRejected)
    assert "can't read" in str(failure)


async def test_a_redirect_is_not_followed(scripted: ScriptedServer, driver: PaddleDriver) -> None:
    scripted.answers = [json_answer({"data": {}}, 307, Location="/elsewhere")]
    assert isinstance(await failure_of(driver), ProviderUnavailable)
    assert [seen.path for seen in scripted.seen] == ["/customers"]


async def test_the_key_is_sent_to_the_next_page_and_nowhere_else(
    scripted: ScriptedServer, driver: PaddleDriver
) -> None:
    def event(event_id: str) -> dict[str, Any]:
        return {
            "event_id": event_id,
            "event_type": "report.created",
            "occurred_at": NOW,
            "data": {"id": "rep_1"},
        }

    def page(event_id: str, more: bool) -> Answer:
        pagination = {"per_page": 1, "has_more": more, "next": "http://evil.example/events"}
        meta = {"pagination": {**pagination, "estimated_total": 2}}
        return json_answer({"data": [event(event_id)], "meta": meta})

    scripted.answers = [page("evt_2", True), page("evt_1", False)]
    since = datetime(2026, 1, 1, tzinfo=UTC)
    assert [one.id async for one in driver.list_events(since)] == ["evt_2", "evt_1"]
    assert [seen.path for seen in scripted.seen] == ["/events", "/events"]
    assert {seen.headers["Authorization"] for seen in scripted.seen} == {f"Bearer {PADDLE_KEY}"}


@pytest.mark.parametrize(
    ("status", "code", "kind", "says"),
    [
        (403, "invalid_token", ProviderRejected, "set PADDLE_API_KEY to a valid one"),
        (403, "authentication_malformed", ProviderRejected, "set PADDLE_API_KEY"),
        (401, "invalid_access_token", ProviderRejected, "set PADDLE_API_KEY"),
        (403, "forbidden", ProviderRejected, "lacks a permission. No. (Paddle request req_1)"),
        (404, "not_found", CustomerDeleted, "no longer exists"),
        (400, "entity_archived", CustomerDeleted, "no longer exists"),
        (400, "bad_request", ProviderRejected, "refused the request: No. (Paddle request req_1)"),
    ],
)
async def test_a_refusal_becomes_a_sentence_a_person_can_act_on(
    status: int,
    code: str,
    kind: type[PaymentError],
    says: str,
    scripted: ScriptedServer,
    driver: PaddleDriver,
) -> None:
    scripted.answers = [refusal(status, code)]
    with pytest.raises(kind) as caught:
        await driver.start_portal_session(portal_request("ctm_1", configuration=None))
    assert says in str(caught.value)
    assert len(scripted.seen) == 1


@pytest.mark.parametrize("answer", [drop, refusal(403, "forbidden", f"The key {PADDLE_KEY}.")])
async def test_no_failure_shows_the_key(
    answer: Answer,
    scripted: ScriptedServer,
    driver: PaddleDriver,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    scripted.answers = [answer]
    with capture_logs() as logs:
        failure = await failure_of(driver)
    shown = "".join(traceback.format_exception(failure)) + repr(driver) + caplog.text + str(logs)
    assert PADDLE_KEY not in shown


async def test_more_calls_than_threads_are_all_answered(
    scripted: ScriptedServer, driver: PaddleDriver
) -> None:
    scripted.answers = [json_answer(CUSTOMER)]
    calls = (driver.ensure_customer(payer()) for _ in range(3 * client.THREADS))
    assert set(await asyncio.gather(*calls)) == {"ctm_1"}


async def test_a_closed_driver_begins_anew(scripted: ScriptedServer, driver: PaddleDriver) -> None:
    scripted.answers = [json_answer(CUSTOMER)]
    for _ in range(2):
        assert await driver.ensure_customer(payer()) == "ctm_1"
        await driver.close()


def test_one_driver_serves_one_event_loop_after_another() -> None:
    driver = paddle_driver(f"http://127.0.0.1:{free_port()}")
    for _ in range(2):
        assert isinstance(asyncio.run(failure_of(driver)), ProviderUnavailable)
    asyncio.run(driver.close())


def test_a_proxy_of_the_environment_never_gets_loopback_calls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    assert proxy_for("https://api.paddle.com") == "http://proxy.example:3128"
    assert proxy_for("https://127.0.0.1:8420") is None
    assert proxy_for("https://localhost:8420") is None


def test_a_netrc_of_the_machine_does_not_replace_the_key() -> None:
    assert not client.Session(PADDLE_KEY, "https://api.paddle.com").trust_env


# ---------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("key", "base"),
    [
        ("pdl_live_apikey_x", "https://api.paddle.com"),
        ("pdl_sdbx_apikey_x", "https://sandbox-api.paddle.com"),
        ("0123456789abcdef", "https://api.paddle.com"),
    ],
)
def test_the_key_tells_which_api_it_is_of(key: str, base: str) -> None:
    driver = PaddleDriver.from_settings(make_settings(paddle_api_key=key, secret_key="s" * 32))
    assert driver._paddle._api_base == base
    assert driver.capabilities.background_calls_per_second == 3


def test_without_a_key_there_is_no_driver_unless_the_sandbox_is_paddle() -> None:
    with pytest.raises(ProviderRejected, match="PADDLE_API_KEY"):
        PaddleDriver.from_settings(make_settings())
    sandbox = make_settings(payment_provider=Provider.PADDLE, sandbox_port=8421)
    driver = PaddleDriver.from_settings(sandbox)
    assert driver._paddle._api_base == "http://127.0.0.1:8421"
    assert driver.capabilities.background_calls_per_second is None
