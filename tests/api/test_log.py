"""The log of a whole journey: everything that happened can be followed in it, and no secret found."""

import json
import time
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import structlog
from stripe import WebhookSignature

from billing_ui.accounts.teams import enrol
from billing_ui.api.app import create_api
from billing_ui.api.health import Readiness
from billing_ui.billing.services import Services
from billing_ui.billing.worker import drain
from billing_ui.models import Role
from billing_ui.settings import Settings
from billing_ui.telemetry import configure_logging
from tests.api.world import BASE_URL, World, client_of
from tests.conftest import free_port

SECRETS = {
    "secret_key": "hunter2-secret-key-of-the-tests",
    "stripe_secret_key": "sk_test_hunter2ofthetests",
    "stripe_webhook_secret": "whsec_hunter2first,whsec_hunter2second",
    "metrics_token": "hunter2 metrics token",
}
PASSWORD = "hunter2 correct horse battery"


pytestmark = pytest.mark.usefixtures("log_restored")


def log_as_in_production() -> None:
    """Write JSON lines; but let no module keep its logger, which would write there in other tests too."""
    configure_logging(json=True)
    structlog.configure(cache_logger_on_first_use=False)


def signed(event: dict[str, Any], secret: str) -> tuple[bytes, dict[str, str]]:
    """Return the body and the headers of a webhook."""
    body = json.dumps(event)
    signature = WebhookSignature.generate_signature_header(body, secret, int(time.time()))
    return body.encode(), {"Stripe-Signature": signature}


async def test_no_secret_and_no_portal_address_of_a_whole_journey_is_in_the_log(
    settings: Settings, readiness: Readiness, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    log_as_in_production()
    changed = {name: type(getattr(settings, name))(value) for name, value in SECRETS.items()}
    services = Services.open(settings.model_copy(update=changed))
    enrolment = await enrol(
        services.database, "ada@example.com", PASSWORD, "Ada", "Analytical", Role.OWNER
    )
    customer = await world.customer(enrolment.team)
    secrets = [PASSWORD, "hunter2"]
    seen_ids = []

    async with client_of(create_api(lambda: services, readiness)) as client:
        # Signing in, well and badly.
        for password in (PASSWORD, f"{PASSWORD}?"):
            answer = await client.post(
                "/api/auth/sign-in", json={"email": "ada@example.com", "password": password}
            )
            seen_ids.append(answer.headers["x-request-id"])
            if answer.is_success:
                token = answer.json()["data"]["token"]
        secrets.append(token)
        bearer = {"Authorization": f"Bearer {token}"}
        cookie = {"Cookie": f"billing_session={token}", "Origin": BASE_URL}

        # To the portal, every way.
        urls = []
        for body in (
            {"returnUrl": "/settings/billing?token=hunter2-in-a-query"},
            {"returnUrl": "/", "flow": {"type": "payment_method_update"}},
        ):
            answer = await client.post("/api/billing/portal", headers=bearer, json=body)
            urls.append(answer.json()["data"]["url"])
        urls.append((await client.post("/api/payments/portal", headers=cookie)).json()["url"])
        answer = await client.post(
            "/api/billing/checkout", headers=bearer, json={"priceId": world.shop.price}
        )
        urls.append(answer.json()["data"]["url"])
        assert all(url.startswith(settings.stripe_api_base) for url in urls)
        secrets += [urlsplit(url).path.rpartition("/")[2] for url in urls]
        await client.get("/api/billing/departures/hunter2-ticket?token=hunter2", headers=cookie)
        for path in ("subscription", "invoices", "nothing-here?key=hunter2"):
            await client.get(f"/api/billing/{path}", headers=bearer)

        # Refused, and failing at the provider.
        foreign = {"returnUrl": "https://evil.example/?hunter2"}
        await client.post("/api/billing/portal", headers=bearer, json=foreign)
        for fault in (
            {"kind": "error", "status": 401},
            {"kind": "error", "status": 500},
            {"kind": "drop"},
        ):
            with world.provider.failing(**fault):
                await client.post("/api/billing/portal", headers=bearer, json={"returnUrl": "/"})

        # Webhooks: told, told twice, forged, mangled; the worker then fetches, and fails once.
        event = {
            "id": "evt_of_the_log",
            "object": "event",
            "type": "billing_portal.session.created",
            "created": int(time.time()),
            "livemode": False,
            "data": {
                "object": {"object": "billing_portal.session", "customer": customer, "url": urls[0]}
            },
        }
        body_, headers = signed(event, "whsec_hunter2second")
        secrets.append(headers["Stripe-Signature"].rpartition("=")[2])
        for content in (body_, body_, body_ + b" "):
            answer = await client.post("/api/webhooks/stripe", content=content, headers=headers)
            seen_ids.append(answer.headers["x-request-id"])
        assert answer.status_code == 401
        told_by = seen_ids[-3]
        with world.provider.failing("error", status=401):
            await drain(services)

        # Metrics, with the token, another, and none.
        for given in ("hunter2 metrics token", "hunter2 guess"):
            await client.get("/metrics", headers={"Authorization": f"Bearer {given}"})
    await services.close()

    # A database that is gone.
    gone = f"postgresql+asyncpg://ada:hunter2-in-the-address@127.0.0.1:{free_port()}/billing"
    lost = Services.open(settings.model_copy(update={**changed, "database_url": gone}))
    async with client_of(create_api(lambda: lost, readiness)) as client:
        for path in ("/readyz", "/metrics", "/api/billing/subscription"):
            await client.get(path, headers=bearer)
        assert (await client.post("/api/webhooks/stripe", content=body_, headers=headers)).is_error
    await lost.close()

    out = capsys.readouterr().err
    lines = [json.loads(line) for line in out.splitlines()]
    for secret in secrets:
        assert secret not in out
    # It is the log of all this, and not of nothing.
    told_of = {line.get("request_id") for line in lines}
    # Webhooks that are taken share a line.
    told_of.update(*(line.get("request_ids", ()) for line in lines))
    assert told_of >= set(seen_ids)
    answered = [line for line in lines if line["event"] == "request"]
    assert {line["route"] for line in answered} >= {
        "/api/auth/sign-in",
        "/api/billing/portal",
        "/api/billing/departures/{ticket}",
        "/api/webhooks/{provider}",
    }
    assert all({"method", "status", "ms", "request_id"} <= line.keys() for line in answered)
    refused = [line for line in lines if line["event"] == "provider_call_failed"]
    assert all(line["provider_request"].startswith("req_") for line in refused if line["status"])
    # What a webhook set off is found under the id of the request that brought it.
    (failed,) = [line for line in lines if line["event"] == "sync_failed"]
    assert failed["request_id"] == told_by


async def test_probes_are_not_written_down_while_they_go_well(
    client: httpx.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    log_as_in_production()
    for path in ("/healthz", "/readyz", "/metrics", "/settings/billing"):
        await client.get(path)
    assert capsys.readouterr().err == ""
