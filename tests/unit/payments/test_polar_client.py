"""The way to Polar: timeouts, retries, and every failure as a sentence without secrets."""

import asyncio
import logging
import traceback
from typing import Any

import httpx
import pytest
from aiohttp import web

from billing_ui.payments.polar import PolarDriver, client
from billing_ui.payments.polar.client import PolarClient, is_id
from billing_ui.payments.types import (
    CustomerDeleted,
    InvalidRequest,
    PaymentError,
    ProviderRejected,
    ProviderUnavailable,
)
from tests.conftest import free_port
from tests.unit.payments.polar_shop import POLAR_KEY, Polar
from tests.unit.payments.scripted import ScriptedServer, drop, drop_half_way, json_answer

NOTHING = {"items": [], "pagination": {"total_count": 0, "max_page": 0}}


def refusal(*loc: str, msg: str = "No.", status: int = 422) -> Any:
    """Answer what Polar answers when a parameter is wrong."""
    detail = {"type": "value_error", "loc": list(loc), "msg": msg}
    return json_answer({"error": "RequestValidationError", "detail": [detail]}, status)


async def failure_at(url: str) -> PaymentError:
    """Return what reading the catalogue fails with."""
    driver = PolarDriver(POLAR_KEY, api_base=url)
    with pytest.raises(PaymentError) as caught:
        await driver.fetch_catalog()
    await driver.close()
    return caught.value


async def test_a_lost_connection_is_tried_again(scripted: ScriptedServer) -> None:
    scripted.answers = [drop, drop_half_way, json_answer(NOTHING)]
    driver = PolarDriver(POLAR_KEY, api_base=scripted.url)
    assert (await driver.fetch_catalog()).products == ()
    assert len(scripted.seen) == 3
    await driver.close()


@pytest.mark.parametrize("answer", [drop, drop_half_way])
async def test_a_connection_lost_three_times_is_unavailable(
    answer: Any, scripted: ScriptedServer
) -> None:
    scripted.answers = [answer]
    failure = await failure_at(scripted.url)
    assert isinstance(failure, ProviderUnavailable)
    assert str(failure).startswith("Polar can't be reached right now. Nothing was changed.")
    assert len(scripted.seen) == 3


async def test_a_provider_that_is_not_there_is_unavailable() -> None:
    failure = await failure_at(f"http://127.0.0.1:{free_port()}")
    assert isinstance(failure, ProviderUnavailable)


async def test_a_provider_that_does_not_answer_in_time_is_unavailable(
    scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "ANSWER_SECONDS", 0.05)
    released = asyncio.Event()

    async def hang(request: web.Request) -> web.StreamResponse:
        await released.wait()
        return web.Response()

    scripted.answers = [hang]
    failure = await failure_at(scripted.url)
    released.set()
    assert isinstance(failure, ProviderUnavailable)
    assert "didn't answer in time" in str(failure)


async def test_a_busy_provider_is_not_asked_again_and_says_when_to(
    scripted: ScriptedServer,
) -> None:
    scripted.answers = [json_answer({}, 429, Retry_After="1")]
    failure = await failure_at(scripted.url)
    assert isinstance(failure, ProviderUnavailable)
    assert (failure.retry_after, len(scripted.seen)) == (1, 1)
    assert "Try again in 1 second." in str(failure)


@pytest.mark.parametrize("header", ["", "soon", "-1", "٣"])
async def test_a_time_to_wait_that_is_none_is_left_out(
    header: str, scripted: ScriptedServer
) -> None:
    async def busy(request: web.Request) -> web.StreamResponse:
        return web.json_response({}, status=429, headers={"Retry-After": header})

    scripted.answers = [busy]
    failure = await failure_at(scripted.url)
    assert isinstance(failure, ProviderUnavailable)
    assert failure.retry_after is None
    assert "Try again in a moment." in str(failure)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_a_failing_provider_is_asked_three_times(
    status: int, scripted: ScriptedServer
) -> None:
    scripted.answers = [json_answer({"error": "x"}, status)]
    failure = await failure_at(scripted.url)
    assert isinstance(failure, ProviderUnavailable)
    assert str(failure).startswith("Polar has a problem right now.")
    assert len(scripted.seen) == 3


async def test_a_provider_that_is_down_for_long_is_not_waited_for(
    scripted: ScriptedServer,
) -> None:
    scripted.answers = [json_answer({}, 503, Retry_After="120")]
    failure = await failure_at(scripted.url)
    assert isinstance(failure, ProviderUnavailable)
    assert (failure.retry_after, len(scripted.seen)) == (120, 1)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (json_answer({"error": "invalid_token"}, 401), "POLAR_ACCESS_TOKEN to a valid one"),
        (json_answer({"error": "insufficient_scope"}, 403), "lacks a permission"),
        (json_answer({}, 302, Location="https://elsewhere.example"), "POLAR_API_BASE"),
        (json_answer({"detail": 7}, 404), "refused the request"),
        (json_answer({"error": "Gone", "detail": "Gone."}, 410), "refused the request"),
        (refusal("query", "limit", msg="Too large."), "limit: Too large."),
        (refusal(), "No."),
        (json_answer({"detail": "text"}, 422), "can't be understood"),
        (json_answer([1, 2]), "can't be understood"),
        (json_answer({"items": [{"id": 7}], "pagination": {}}), "can't be understood"),
    ],
)
async def test_a_refusal_is_said_in_a_sentence(
    answer: Any, says: str, scripted: ScriptedServer
) -> None:
    scripted.answers = [answer]
    failure = await failure_at(scripted.url)
    assert isinstance(failure, ProviderRejected)
    assert says in str(failure)
    assert len(scripted.seen) == 1


async def test_an_answer_that_is_no_json_is_said_to_be_none(scripted: ScriptedServer) -> None:
    async def page(request: web.Request) -> web.StreamResponse:
        return web.Response(text="<html>Welcome to the airport</html>", content_type="text/html")

    scripted.answers = [page]
    assert "can't be understood" in str(await failure_at(scripted.url))


@pytest.mark.parametrize(
    ("field", "kind"),
    [("customer_id", CustomerDeleted), ("seats", InvalidRequest), ("name", ProviderRejected)],
)
async def test_what_is_refused_decides_what_it_is_called(
    field: str, kind: type[PaymentError], scripted: ScriptedServer
) -> None:
    scripted.answers = [refusal("body", field)]
    assert type(await failure_at(scripted.url)) is kind


async def test_no_key_is_repeated(
    scripted: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    scripted.answers = [refusal("body", "x", msg=f"{POLAR_KEY} is not welcome.")]
    failure = await failure_at(scripted.url)
    shown = "".join(traceback.format_exception(failure)) + caplog.text
    assert POLAR_KEY not in shown
    assert "… is not welcome." in shown
    assert POLAR_KEY not in repr(PolarDriver(POLAR_KEY)) + repr(PolarClient(POLAR_KEY, "http://x"))


async def test_a_redirect_is_not_followed_with_the_key(scripted: ScriptedServer) -> None:
    scripted.answers = [json_answer({}, 307, Location=f"{scripted.url}/elsewhere")]
    await failure_at(scripted.url)
    assert [seen.path for seen in scripted.seen] == ["/v1/products/"]


async def test_every_call_says_who_asks_and_in_which_version(scripted: ScriptedServer) -> None:
    scripted.answers = [json_answer(NOTHING)]
    driver = PolarDriver(POLAR_KEY, api_base=scripted.url)
    await driver.fetch_catalog()
    await driver.close()
    headers = scripted.seen[0].headers
    assert headers["Authorization"] == f"Bearer {POLAR_KEY}"
    assert headers["Polar-Version"] == "2026-10"


def test_one_driver_serves_several_event_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    make = httpx.AsyncClient

    def noted(**fields: Any) -> httpx.AsyncClient:
        opened.append(fields)
        return make(**fields)

    driver = PolarDriver(POLAR_KEY, api_base=f"http://127.0.0.1:{free_port()}")
    monkeypatch.setattr(httpx, "AsyncClient", noted)
    monkeypatch.setattr(client, "RETRIES", 0)
    for _ in range(2):
        with pytest.raises(ProviderUnavailable):
            asyncio.run(driver.fetch_catalog())
    assert len(opened) == 2


async def test_no_proxy_is_asked_for_this_very_machine(
    polar: Polar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    driver = polar.driver()
    assert (await driver.fetch_catalog()).products == ()
    await driver.close()


@pytest.mark.parametrize(
    ("value", "good"),
    [
        ("d8dd2de1-21b7-4a41-8bc3-ce909c0cfe23", True),
        ("D8DD2DE1-21B7-4A41-8BC3-CE909C0CFE23", True),
        ("d8dd2de121b74a418bc3ce909c0cfe23", False),
        ("{d8dd2de1-21b7-4a41-8bc3-ce909c0cfe23}", False),
        ("../organizations", False),
        ("", False),
    ],
)
def test_only_a_uuid_is_an_id(value: str, good: bool) -> None:
    assert is_id(value) is good
