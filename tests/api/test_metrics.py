"""What Prometheus is told, and who may ask."""

from datetime import timedelta
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlmodel import col, update

from billing_ui import metrics
from billing_ui.api.app import create_api
from billing_ui.api.health import Readiness
from billing_ui.billing.services import Services
from billing_ui.clock import utc_now
from billing_ui.models import Customer, Job, Urgency
from billing_ui.settings import Settings
from tests.api.world import World, client_of

TOKEN = "a token that only Prometheus knows"


async def scrape(client: httpx.AsyncClient, **headers: str) -> dict[tuple[str, str], float]:
    """Return every sample by its name and its labels, such as ("up", "provider=stripe")."""
    response = await client.get("/metrics", headers=headers)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return {
        (
            sample.name,
            ",".join(f"{name}={sample.labels[name]}" for name in sorted(sample.labels)),
        ): (sample.value)
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


# ---------------------------------------------------------------- who may ask


async def test_somebody_on_this_machine_may_ask_while_there_is_no_token(
    client: httpx.AsyncClient,
) -> None:
    assert ("billing_ui_database_up", "") in await scrape(client)


@pytest.mark.parametrize(
    "name", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "X-Forwarded-Host", "Via"]
)
async def test_a_proxy_on_this_machine_does_not_speak_for_it(
    client: httpx.AsyncClient, name: str
) -> None:
    response = await client.get("/metrics", headers={name: "127.0.0.1"})
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "NOT_FOUND"


@pytest.mark.parametrize(
    ("address", "status"),
    [
        (("127.0.0.2", 1), 200),
        (("::1", 1), 200),
        (("::ffff:127.0.0.1", 1), 200),
        (("10.0.0.1", 1), 404),
        (("::ffff:10.0.0.1", 1), 404),
        (("testclient", 1), 404),
    ],
)
async def test_only_a_loopback_address_is_this_machine(
    services: Services, readiness: Readiness, address: tuple[str, int], status: int
) -> None:
    transport = httpx.ASGITransport(create_api(lambda: services, readiness), client=address)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:3000") as client:
        assert (await client.get("/metrics")).status_code == status


async def test_with_a_token_everybody_must_show_it(
    settings: Settings, readiness: Readiness
) -> None:
    protected = Services.open(Settings(**{**settings.model_dump(), "metrics_token": TOKEN}))
    async with client_of(create_api(lambda: protected, readiness)) as client:
        for wrong in ("", "Bearer", "Bearer a token", f"Basic {TOKEN}", "Bearer tökén"):
            refused = await client.get("/metrics", headers={b"Authorization": wrong.encode()})
            assert refused.status_code == 401
        assert await scrape(client, Authorization=f"Bearer {TOKEN}")
    await protected.close()


# ---------------------------------------------------------------- what is told


async def test_requests_are_told_by_template_and_never_by_path(client: httpx.AsyncClient) -> None:
    name = "billing_ui_http_request_seconds_count"
    departure = "method=GET,route=/api/billing/departures/{ticket},status=3xx"
    made_up = "method=OTHER,route=/api/{path},status=4xx"
    before = await scrape(client)
    await client.get("/api/billing/departures/s3cr3t-ticket?token=s3cr3t")
    await client.request("S3CR3T", "/api/s3cr3t")
    after = await scrape(client)
    assert after[name, departure] == before.get((name, departure), 0) + 1
    assert after[name, made_up] == before.get((name, made_up), 0) + 1
    assert not any("s3cr3t" in f"{key}".lower() for key in after)


async def test_customers_that_wait_fail_or_are_parked_are_told_apart(
    client: httpx.AsyncClient, world: World
) -> None:
    nothing = {"out_of_date": 0, "in_bulk": 0, "failing": 0, "parked": 0, "age": 0}
    assert await told(client) == nothing
    hour_ago = utc_now() - timedelta(hours=1)
    waiting: dict[str, Any] = {"wanted": 9, "marked_at": hour_ago}
    for values in (
        waiting,
        {**waiting, "attempts": 2, "marked_at": utc_now()},
        {**waiting, "attempts": 9, "parked_at": utc_now()},
        {**waiting, "partial": True},
        {**waiting, "urgency": Urgency.BULK, "marked_at": hour_ago - timedelta(days=1)},
        {"wanted": 1, "applied": 1},
    ):
        customer = await world.customer((await world.person()).team)
        async with world.services.database.write() as session:
            await session.exec(
                update(Customer)
                .where(col(Customer.provider_customer_id) == customer)
                .values(**values)
            )
    found = await told(client)
    # However long the bulk waits, nothing is late for it.
    assert 3600 <= found.pop("age") < 86_400
    assert found == {"out_of_date": 3, "in_bulk": 1, "failing": 1, "parked": 1}


async def told(client: httpx.AsyncClient) -> dict[str, float]:
    samples = await scrape(client)
    return {
        "age": samples["billing_ui_queue_age_seconds", "provider=stripe"],
        **{
            kind: samples[f"billing_ui_customers_{kind}", "provider=stripe"]
            for kind in ("out_of_date", "in_bulk", "failing", "parked")
        },
    }


async def test_a_job_says_when_it_last_ended_and_how_often_it_failed(
    client: httpx.AsyncClient, services: Services
) -> None:
    ended = utc_now()
    async with services.database.write() as session:
        session.add(Job(name="recovery:stripe", finished_at=ended, failures=3))
        session.add(Job(name="reconcile:stripe"))
    samples = await scrape(client)
    assert samples[
        "billing_ui_job_finished_timestamp_seconds", "job=recovery:stripe"
    ] == pytest.approx(ended.timestamp())
    assert samples["billing_ui_job_failures", "job=recovery:stripe"] == 3
    assert ("billing_ui_job_finished_timestamp_seconds", "job=reconcile:stripe") not in samples


async def test_what_was_counted_is_told_when_the_database_is_gone(
    settings: Settings, readiness: Readiness
) -> None:
    gone = settings.model_copy(
        update={"database_url": "postgresql+asyncpg://nobody@127.0.0.1:1/nothing"}
    )
    services = Services.open(gone)
    metrics.webhook_refused("stripe", "signature")
    async with client_of(create_api(lambda: services, readiness)) as client:
        samples = await scrape(client)
    await services.close()
    assert samples["billing_ui_database_up", ""] == 0
    assert samples["billing_ui_webhooks_refused_total", "provider=stripe,reason=signature"] >= 1
