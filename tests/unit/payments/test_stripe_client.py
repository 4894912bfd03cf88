"""The way to Stripe: timeouts, retries, and every failure as a sentence without secrets."""

import asyncio
import logging
import traceback

import pytest
from aiohttp import web

from billing_ui.payments.proxies import proxy_for
from billing_ui.payments.stripe import StripeDriver, client
from billing_ui.payments.stripe.client import open_client
from billing_ui.payments.types import (
    ConfigurationUnusable,
    CustomerDeleted,
    InvalidRequest,
    PaymentError,
    PermissionMissing,
    ProviderRejected,
    ProviderUnavailable,
)
from tests.conftest import free_port
from tests.unit.payments.conftest import KEY
from tests.unit.payments.requests import portal_request
from tests.unit.payments.scripted import (
    ScriptedServer,
    drop,
    drop_half_way,
    error_answer,
    json_answer,
)

SESSION = {"id": "bps_1", "object": "billing_portal.session", "url": "https://portal.test/secret"}


async def failure_of(driver: StripeDriver) -> PaymentError:
    """Return what opening a portal session fails with."""
    with pytest.raises(PaymentError) as caught:
        await driver.start_portal_session(portal_request())
    return caught.value


async def test_a_lost_connection_is_tried_again_under_the_same_key(
    scripted: ScriptedServer, scripted_driver: StripeDriver
) -> None:
    scripted.answers = [drop, drop_half_way, json_answer(SESSION)]
    session = await scripted_driver.start_portal_session(portal_request())
    assert session.session_id == "bps_1"
    assert len(scripted.seen) == 3
    assert len({seen.headers["Idempotency-Key"] for seen in scripted.seen}) == 1


@pytest.mark.parametrize("answer", [drop, drop_half_way])
async def test_a_connection_lost_three_times_is_unavailable(
    answer: object, scripted: ScriptedServer, scripted_driver: StripeDriver
) -> None:
    scripted.answers = [answer]  # type: ignore[list-item]
    failure = await failure_of(scripted_driver)
    assert isinstance(failure, ProviderUnavailable)
    assert str(failure).startswith("Stripe can't be reached right now. Nothing was changed.")
    assert len(scripted.seen) == 3


async def test_a_provider_that_is_not_there_is_unavailable() -> None:
    driver = StripeDriver(KEY, api_base=f"http://127.0.0.1:{free_port()}")
    failure = await failure_of(driver)
    assert isinstance(failure, ProviderUnavailable)
    assert "can't be reached" in str(failure)


async def test_a_provider_that_does_not_answer_in_time_is_unavailable(
    scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "ANSWER_SECONDS", 0.05)
    released = asyncio.Event()

    async def hang(request: object) -> None:
        await released.wait()

    scripted.answers = [hang]  # type: ignore[list-item]
    driver = StripeDriver(KEY, api_base=scripted.url)
    failure = await failure_of(driver)
    assert isinstance(failure, ProviderUnavailable)
    assert str(failure).startswith("Stripe didn't answer in time.")
    released.set()
    await driver.close()


async def test_connecting_and_answering_have_their_time_limits() -> None:
    _, transport = open_client(KEY, "https://api.stripe.com")
    session = await transport._session()
    assert (session.timeout.connect, session.timeout.total) == (3.0, 10.0)
    await transport.close_async()


async def test_too_many_requests_is_not_repeated_and_says_how_long_to_wait(
    scripted: ScriptedServer, scripted_driver: StripeDriver
) -> None:
    limited = {"type": "invalid_request_error", "code": "rate_limit", "message": "Too many."}
    scripted.answers = [error_answer(429, limited, Retry_After="20")]
    failure = await failure_of(scripted_driver)
    assert isinstance(failure, ProviderUnavailable)
    assert failure.retry_after == 20
    assert str(failure).endswith("Try again in 20 seconds.")
    assert len(scripted.seen) == 1


@pytest.mark.parametrize("asked", ["", "true"])
async def test_who_is_told_how_long_to_wait_does_not_try_again_before(
    asked: str, scripted: ScriptedServer, scripted_driver: StripeDriver
) -> None:
    scripted.answers = [error_answer(503, {}, Retry_After="40", Stripe_Should_Retry=asked)]
    failure = await failure_of(scripted_driver)
    assert isinstance(failure, ProviderUnavailable)
    assert (failure.retry_after, len(scripted.seen)) == (40, 1)


@pytest.mark.parametrize("value", ["", "soon", "-1", "1.5", "²", "Fri, 20 Nov 2026 06:29:00 GMT"])
async def test_a_retry_after_that_is_no_number_of_seconds_is_left_out(
    value: str, scripted: ScriptedServer, scripted_driver: StripeDriver
) -> None:
    scripted.answers = [error_answer(429, {"message": "Too many."}, Retry_After=value)]
    failure = await failure_of(scripted_driver)
    assert isinstance(failure, ProviderUnavailable)
    assert failure.retry_after is None


@pytest.mark.parametrize("status", [500, 502, 503, 409])
async def test_a_failing_provider_is_tried_three_times_and_then_unavailable(
    status: int, scripted: ScriptedServer, scripted_driver: StripeDriver
) -> None:
    scripted.answers = [error_answer(status, {"type": "api_error", "message": "Boom."})]
    failure = await failure_of(scripted_driver)
    assert isinstance(failure, ProviderUnavailable)
    assert "Boom" not in str(failure)
    assert len(scripted.seen) == 3


async def test_an_answer_that_is_not_json_is_unavailable(
    scripted: ScriptedServer, scripted_driver: StripeDriver
) -> None:
    async def page(request: web.Request) -> web.StreamResponse:
        return web.Response(text="<html>Sign in to the hotel's network</html>")

    scripted.answers = [page]
    assert isinstance(await failure_of(scripted_driver), ProviderUnavailable)


async def test_a_redirect_is_not_followed(
    scripted: ScriptedServer, scripted_driver: StripeDriver
) -> None:
    scripted.answers = [json_answer({}, 307, Location="/elsewhere")]
    assert isinstance(await failure_of(scripted_driver), PaymentError)
    assert {seen.path for seen in scripted.seen} == {"/v1/billing_portal/sessions"}


@pytest.mark.parametrize(
    ("status", "error", "expected", "said"),
    [
        (
            401,
            {"message": f"Invalid API Key provided: {KEY}"},
            ProviderRejected,
            "Stripe refused this site's API key. "
            "Whoever runs the site must set STRIPE_SECRET_KEY to a valid one.",
        ),
        (
            403,
            {"message": "The provided key 'rk_test_***abcd' may not write portal sessions."},
            PermissionMissing,
            "Stripe refused this site's API key: it lacks a permission. "
            "The provided key '…' may not write portal sessions. (Stripe request req_1)",
        ),
        (
            400,
            {"code": "resource_missing", "param": "customer", "message": "No such customer: 'c'"},
            CustomerDeleted,
            CustomerDeleted.default,
        ),
        (
            400,
            {
                "code": "resource_missing",
                "param": "customer",
                "message": "No such customer: 'c'; a similar object exists in test mode, "
                "but a live mode key was used to make this request.",
            },
            CustomerDeleted,
            "Your billing account belongs to Stripe's other mode (test or live) and can't be used "
            "with the present key. Choose a plan to start again, or contact support.",
        ),
        (
            400,
            {"code": "resource_missing", "param": "configuration", "message": "No such one."},
            ConfigurationUnusable,
            "Stripe can't use the portal configuration: No such one. (Stripe request req_1)",
        ),
        (
            400,
            {"param": "flow_data[subscription_cancel]", "message": "Already set to be canceled."},
            InvalidRequest,
            "Stripe can't open this page: Already set to be canceled. (Stripe request req_1)",
        ),
        (
            400,
            {"param": "return_url", "message": "Not a valid URL"},
            ProviderRejected,
            "Stripe refused the request: Not a valid URL (Stripe request req_1)",
        ),
        (
            400,
            {"type": "idempotency_error", "message": "Keys for idempotent requests …"},
            ProviderRejected,
            "Stripe refused the request: Keys for idempotent requests … (Stripe request req_1)",
        ),
        (
            402,
            {"type": "card_error", "code": "card_declined", "message": "Your card was declined."},
            ProviderRejected,
            "Stripe refused the request: Your card was declined. (Stripe request req_1)",
        ),
    ],
)
async def test_a_refusal_becomes_a_sentence_a_person_can_act_on(
    status: int,
    error: dict[str, str],
    expected: type[PaymentError],
    said: str,
    scripted: ScriptedServer,
    scripted_driver: StripeDriver,
) -> None:
    scripted.answers = [error_answer(status, {"type": "invalid_request_error", **error})]
    failure = await failure_of(scripted_driver)
    assert type(failure) is expected
    assert str(failure) == said
    assert len(scripted.seen) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 429, 500])
async def test_no_failure_shows_the_key(
    status: int,
    scripted: ScriptedServer,
    scripted_driver: StripeDriver,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    scripted.answers = [error_answer(status, {"message": f"Something about {KEY} and sk_live_x."})]
    failure = await failure_of(scripted_driver)
    shown = "".join(traceback.format_exception(failure)) + repr(failure) + str(failure)
    assert KEY not in shown
    assert "sk_live_x" not in shown
    assert KEY not in caplog.text
    assert KEY not in repr(scripted_driver)


async def test_the_portal_address_is_neither_logged_nor_shown(
    scripted: ScriptedServer, scripted_driver: StripeDriver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    scripted.answers = [json_answer(SESSION)]
    session = await scripted_driver.start_portal_session(portal_request())
    assert session.portal_url == SESSION["url"]
    assert SESSION["url"] not in caplog.text
    assert SESSION["url"] not in repr(session)


def test_one_driver_serves_one_event_loop_after_another(sandbox_url: str) -> None:
    driver = StripeDriver(KEY, api_base=sandbox_url)

    async def count() -> int:
        return len((await driver.fetch_catalog()).products)

    assert asyncio.run(count()) == asyncio.run(count())
    asyncio.run(driver.close())


@pytest.mark.parametrize("host", ["127.0.0.1:8420", "localhost:8420", "[::1]:8420", "x.localhost"])
def test_a_proxy_of_the_environment_never_gets_loopback_calls(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy.test:3128")
    monkeypatch.delenv("no_proxy", raising=False)
    assert proxy_for(f"http://{host}") is None


def test_a_proxy_of_the_environment_gets_calls_to_the_provider(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.test:3128")
    monkeypatch.delenv("no_proxy", raising=False)
    assert proxy_for("https://api.stripe.com") == "http://proxy.test:3128"
    monkeypatch.setenv("no_proxy", "api.stripe.com")
    assert proxy_for("https://api.stripe.com") is None
