"""Where providers send their events: who is believed, what is taken, and what a good answer promises."""

import asyncio
import json
import time
import zlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import stripe
from sqlalchemy import text
from sqlmodel import select
from structlog.testing import capture_logs

from billing_ui.api.app import create_api
from billing_ui.api.health import Readiness
from billing_ui.api.webhooks import MAX_EVENT_BYTES
from billing_ui.billing.services import Services
from billing_ui.models import Catalog, Customer, InboxEvent
from billing_ui.settings import Settings
from tests.api.world import World, client_of

SECRET, OLD_SECRET = "whsec_new_one", "whsec_old_one"
ADDRESS = "/api/webhooks/stripe"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """The usual settings, with the secret of a webhook endpoint that is being replaced."""
    return Settings(
        _env_file=None,
        **settings.model_dump() | {"stripe_webhook_secret": f"{OLD_SECRET}, {SECRET}"},
    )


def event(id_: Any = "evt_1", **fields: Any) -> dict[str, Any]:
    """Return an event about a customer's subscription, as Stripe sends it."""
    subject = {"id": "sub_1", "object": "subscription", "customer": "cus_1"}
    return {
        "id": id_,
        "object": "event",
        "api_version": "2020-08-27",
        "type": "customer.subscription.updated",
        "created": int(time.time()),
        "livemode": False,
        "data": {"object": subject},
        **fields,
    }


def body_of(document: Any) -> bytes:
    """Return a document as it is sent."""
    return json.dumps(document).encode()


def signed(body: bytes, secret: str = SECRET, *, age: int = 0) -> dict[str, str]:
    """Return the headers of a body that was signed `age` seconds ago."""
    text_ = body.decode("utf-8", "replace")
    header = stripe.WebhookSignature.generate_signature_header(
        text_, secret, int(time.time()) - age
    )
    return {"Stripe-Signature": header, "Content-Type": "application/json"}


async def send(client: httpx.AsyncClient, document: Any, **headers: str) -> httpx.Response:
    """Send an event, signed well."""
    body = body_of(document)
    return await client.post(ADDRESS, content=body, headers=signed(body) | headers)


async def inbox(services: Services) -> dict[str, InboxEvent]:
    """Return what is in the inbox, by id."""
    async with services.database.read() as session:
        return {row.id: row for row in (await session.exec(select(InboxEvent))).all()}


async def customer(services: Services, id_: str = "cus_1") -> Customer | None:
    """Return a customer by the provider's id."""
    query = select(Customer).where(Customer.provider_customer_id == id_)
    async with services.database.read() as session:
        return (await session.exec(query)).one_or_none()


def failure(response: httpx.Response) -> tuple[int, str]:
    """Return the status and the code of a failure."""
    answer = response.json()
    assert answer["success"] is False
    return response.status_code, answer["error"]["code"]


# ---------------------------------------------------------------- taken


async def test_a_signed_event_is_in_the_inbox_before_the_answer(
    client: httpx.AsyncClient, services: Services
) -> None:
    response = await send(client, event(), **{"X-Request-Id": "req-1"})
    assert (response.status_code, response.json()) == (200, {"received": True})
    row = (await inbox(services))["evt_1"]
    assert (row.type, row.request_id) == ("customer.subscription.updated", "req-1")
    assert row.payload["data"]["object"]["id"] == "sub_1"
    marked = await customer(services)
    assert marked is not None
    assert (marked.wanted, marked.marked_by, marked.team_id) == (1, "req-1", None)


async def test_eight_parallel_copies_are_all_received_and_stored_once(
    client: httpx.AsyncClient, services: Services
) -> None:
    document = event()
    responses = await asyncio.gather(*(send(client, document) for _ in range(8)))
    assert [response.status_code for response in responses] == [200] * 8
    assert list(await inbox(services)) == ["evt_1"]
    marked = await customer(services)
    assert marked is not None
    assert marked.wanted == 1


async def test_events_of_the_same_second_in_any_order_all_count(
    client: httpx.AsyncClient, services: Services
) -> None:
    documents = [event(f"evt_{number}", created=1_800_000_000) for number in (3, 1, 2)]
    await asyncio.gather(*(send(client, document) for document in documents))
    marked = await customer(services)
    assert marked is not None
    assert marked.wanted == 3


@pytest.mark.parametrize("secret", [SECRET, OLD_SECRET])
async def test_both_secrets_count_while_one_is_being_replaced(
    client: httpx.AsyncClient, secret: str
) -> None:
    body = body_of(event())
    response = await client.post(ADDRESS, content=body, headers=signed(body, secret))
    assert response.status_code == 200


@pytest.mark.parametrize("type_", ["account.updated", "made.up.type", "terminal.reader.updated"])
async def test_an_event_nobody_cares_for_is_received_and_kept(
    client: httpx.AsyncClient, services: Services, type_: str
) -> None:
    response = await send(client, event(type=type_, data={"object": {"object": "account"}}))
    assert response.status_code == 200
    assert (await inbox(services))["evt_1"].type == type_
    assert await customer(services) is None


async def test_an_event_of_the_catalogue_marks_the_catalogue(
    client: httpx.AsyncClient, services: Services
) -> None:
    subject = {"id": "price_1", "object": "price"}
    assert (
        await send(client, event(type="price.updated", data={"object": subject}))
    ).status_code == 200
    async with services.database.read() as session:
        row = await session.get(Catalog, "stripe")
    assert row is not None
    assert row.wanted == 1


async def test_a_thin_event_is_received(client: httpx.AsyncClient, services: Services) -> None:
    thin = {
        "id": "evt_thin",
        "object": "v2.core.event",
        "type": "v1.customer.updated",
        "created": "2026-12-03T12:00:00.000Z",
        "livemode": False,
        "related_object": {"id": "cus_1", "type": "customer", "url": "/v1/customers/cus_1"},
    }
    assert (await send(client, thin)).status_code == 200
    assert (await inbox(services))["evt_thin"].provider_customer_id == "cus_1"


async def test_an_event_of_the_other_mode_is_kept_and_marks_nothing(
    client: httpx.AsyncClient, services: Services
) -> None:
    with capture_logs() as logs:
        response = await send(client, event(livemode=True))
    assert response.status_code == 200
    assert (await inbox(services))["evt_1"].provider_customer_id is None
    assert await customer(services) is None
    (entry,) = [entry for entry in logs if entry["event"] == "event_of_the_other_mode"]
    assert (entry["log_level"], entry["id"]) == ("warning", "evt_1")


async def test_neither_cookie_nor_origin_is_asked_for(client: httpx.AsyncClient) -> None:
    response = await send(client, event(), Origin="https://elsewhere.example", Cookie="x=y")
    assert response.status_code == 200
    assert "access-control-allow-origin" not in response.headers
    assert "set-cookie" not in response.headers


async def test_the_address_of_a_session_is_not_kept(
    client: httpx.AsyncClient, services: Services
) -> None:
    subject = {
        "object": "checkout.session",
        "customer": "cus_1",
        "url": "https://checkout.stripe.com/c/pay/cs_secret",
        "client_secret": "cs_client_secret",
    }
    await send(client, event(type="checkout.session.completed", data={"object": subject}))
    kept = json.dumps((await inbox(services))["evt_1"].payload)
    assert "cus_1" in kept
    assert "cs_secret" not in kept
    assert "cs_client_secret" not in kept


# ---------------------------------------------------------------- not believed


async def test_a_body_changed_on_the_way_is_refused(
    client: httpx.AsyncClient, services: Services
) -> None:
    body = body_of(event())
    changed = body.replace(b"cus_1", b"cus_2")
    response = await client.post(ADDRESS, content=changed, headers=signed(body))
    assert failure(response) == (401, "UNAUTHORIZED")
    assert response.json()["error"]["message"] == "The signature does not verify."
    assert await inbox(services) == {}


async def test_a_recording_is_refused(client: httpx.AsyncClient) -> None:
    body = body_of(event())
    response = await client.post(ADDRESS, content=body, headers=signed(body, age=301))
    assert failure(response) == (401, "UNAUTHORIZED")


@pytest.mark.parametrize("secret", ["whsec_wrong", ""])
async def test_what_another_secret_signed_is_refused(
    client: httpx.AsyncClient, secret: str
) -> None:
    body = body_of(event())
    response = await client.post(ADDRESS, content=body, headers=signed(body, secret))
    assert failure(response) == (401, "UNAUTHORIZED")


async def test_an_unsigned_event_is_refused(client: httpx.AsyncClient) -> None:
    assert failure(await client.post(ADDRESS, json=event())) == (401, "UNAUTHORIZED")


async def test_somebody_signed_in_is_not_believed_for_that(
    client: httpx.AsyncClient, world: World
) -> None:
    person = await world.person()
    response = await client.post(ADDRESS, json=event(), headers=person.bearer | person.cookie)
    assert failure(response) == (401, "UNAUTHORIZED")


@pytest.mark.parametrize("configured", ["", " ", ",", " , "])
async def test_without_a_secret_there_is_no_such_address_even_for_what_is_signed_with_none(
    settings: Settings, configured: str
) -> None:
    open_to_all = settings.model_dump() | {"stripe_webhook_secret": configured}
    services = Services.open(Settings(_env_file=None, **open_to_all))
    async with client_of(create_api(lambda: services, Readiness())) as client:
        body = body_of(event())
        for secret in ("", " ", ","):
            response = await client.post(ADDRESS, content=body, headers=signed(body, secret))
            assert failure(response) == (404, "NOT_FOUND")
    assert await inbox(services) == {}
    await services.close()


@pytest.mark.parametrize("provider", ["polar", "paddle", "nobody", "Stripe", "stripe%20"])
async def test_another_provider_has_no_address(client: httpx.AsyncClient, provider: str) -> None:
    body = body_of(event())
    response = await client.post(f"/api/webhooks/{provider}", content=body, headers=signed(body))
    assert failure(response) == (404, "NOT_FOUND")


async def test_another_method_is_refused(client: httpx.AsyncClient) -> None:
    response = await client.get(ADDRESS)
    assert failure(response) == (405, "METHOD_NOT_ALLOWED")
    assert response.headers["allow"] == "POST"


# ---------------------------------------------------------------- not readable


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"null",
        b"[]",
        b'"evt_1"',
        b"{",
        b"{}",
        b'{"id": NaN}',
        b"[" * 100_000,
        b'{"id": ' + b"9" * 10_000 + b"}",
        b'{"id": "\\ud800"}',
        body_of(event(id_=["evt_1"])),
        body_of(event(created="yesterday")),
        body_of(event(data={"object": ["list"]})),
    ],
    ids=lambda body: body[:16].decode(),
)
async def test_a_signed_body_that_is_no_event_is_a_bad_request(
    client: httpx.AsyncClient, services: Services, body: bytes
) -> None:
    response = await client.post(ADDRESS, content=body, headers=signed(body))
    assert failure(response) == (400, "INVALID_REQUEST")
    assert await inbox(services) == {}


async def test_a_compressed_body_is_never_unpacked(client: httpx.AsyncClient) -> None:
    body = body_of(event())
    headers = signed(body) | {"Content-Encoding": "deflate"}
    response = await client.post(ADDRESS, content=zlib.compress(body), headers=headers)
    assert failure(response) == (401, "UNAUTHORIZED")


async def test_a_body_of_exactly_the_limit_is_taken(client: httpx.AsyncClient) -> None:
    document = event(padding="")
    document["padding"] = "x" * (MAX_EVENT_BYTES - len(body_of(document)))
    assert len(body_of(document)) == MAX_EVENT_BYTES
    assert (await send(client, document)).status_code == 200


async def _chunks(total: int, read: list[int]) -> AsyncIterator[bytes]:
    for _ in range(total // 65_536):
        read.append(65_536)
        yield b"x" * 65_536


async def test_a_body_that_does_not_say_how_long_it_is_is_read_up_to_the_limit(
    client: httpx.AsyncClient,
) -> None:
    read: list[int] = []
    chunks = _chunks(8 * MAX_EVENT_BYTES, read)
    response = await client.post(ADDRESS, content=chunks, headers=signed(b""))
    assert failure(response) == (413, "TOO_LARGE")
    assert response.json()["error"]["message"] == "body: larger than 1024 KiB"


@pytest.mark.parametrize("said", ["5", "99999999999999999999", "-1", "many"])
async def test_a_body_that_lies_about_its_length_is_refused_all_the_same(
    client: httpx.AsyncClient, said: str
) -> None:
    body = b"x" * (MAX_EVENT_BYTES + 1)
    response = await client.post(
        ADDRESS, content=body, headers=signed(b"") | {"Content-Length": said}
    )
    assert failure(response) == (413, "TOO_LARGE")


async def test_no_more_of_a_body_is_read_than_the_limit(services: Services) -> None:
    sent = 0

    async def receive() -> dict[str, Any]:
        nonlocal sent
        sent += 65_536
        return {"type": "http.request", "body": b"x" * 65_536, "more_body": True}

    answer: list[Any] = []

    async def remember(message: Any) -> None:
        answer.append(message)

    api = create_api(lambda: services, Readiness())
    scope = {
        "type": "http",
        "method": "POST",
        "path": ADDRESS,
        "raw_path": ADDRESS.encode(),
        "query_string": b"",
        "headers": [],
        "http_version": "1.1",
        "scheme": "http",
        "server": ("localhost", 3000),
        "root_path": "",
    }
    await api(scope, receive, remember)
    assert answer[0]["status"] == 413
    assert sent <= MAX_EVENT_BYTES + 65_536


# ---------------------------------------------------------------- failing


async def test_while_the_database_fails_the_answer_is_500_and_the_retry_is_accepted(
    client: httpx.AsyncClient, services: Services
) -> None:
    document = event()

    async def rename(table: str, name: str) -> None:
        async with services.database.write() as session:
            await session.exec(text(f"ALTER TABLE {table} RENAME TO {name}"))  # type: ignore[call-overload]

    await rename("inbox_event", "away")
    try:
        with capture_logs() as logs:
            response = await send(client, document)
    finally:
        await rename("away", "inbox_event")
    assert failure(response) == (500, "INTERNAL_ERROR")
    assert "request_failed" in [entry["event"] for entry in logs]
    assert await customer(services) is None
    assert (await send(client, document)).status_code == 200
    assert list(await inbox(services)) == ["evt_1"]
    marked = await customer(services)
    assert marked is not None
    assert marked.wanted == 1


async def test_what_is_refused_is_counted_by_its_reason(client: httpx.AsyncClient) -> None:
    from billing_ui import metrics

    body = body_of(event())
    await client.post(ADDRESS, content=body)
    await client.post(ADDRESS, content=b"{}", headers=signed(b"{}"))
    await client.post(ADDRESS, content=b"x" * (MAX_EVENT_BYTES + 1))
    counted = metrics.exposition().decode()
    for reason in ("signature", "body", "size"):
        assert f'webhooks_refused_total{{provider="stripe",reason="{reason}"}}' in counted
