"""What the doctor finds: each thing that can be wrong is made wrong, with a real provider and a real database."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
import pytest
import stripe
from sqlalchemy import text

from billing_ui.billing import doctor
from billing_ui.billing.catalog import portal_configuration_id
from billing_ui.billing.doctor import Finding, Level, examine
from billing_ui.billing.inbox import accept
from billing_ui.billing.recovery import Position, position_row
from billing_ui.billing.services import Services
from billing_ui.clock import utc_now
from billing_ui.database import Database
from billing_ui.models import Customer, Job, PortalConfiguration, Urgency
from billing_ui.payments.stripe.webhooks import NEEDED_EVENTS
from billing_ui.settings import Provider, Settings
from tests.conftest import free_port, running_sandbox

KEY = "sk_test_doctor"
CONFIGURATIONS = "/v1/billing_portal/configurations"
ENDPOINTS = "/v1/webhook_endpoints"


@dataclass
class House:
    """A sound installation; a test breaks one thing in it, or opens it with another setting."""

    database_url: str
    sandbox_url: str
    address: str = field(default_factory=lambda: f"http://localhost:{free_port()}")

    def settings(self, **changed: Any) -> Settings:
        """Return sound settings, some of them changed."""
        return Settings(
            _env_file=None,
            **{
                "base_url": self.address,
                "database_url": self.database_url,
                "secret_key": "a key of at least thirty-two characters",
                "stripe_secret_key": KEY,
                "stripe_api_base": self.sandbox_url,
                "stripe_webhook_secret": "whsec_of_the_tests",
                **changed,
            },
        )

    def call(self, method: str, path: str, **form: Any) -> Any:
        """Call the provider's API as its dashboard would."""
        response = httpx.request(
            method,
            self.sandbox_url + path,
            data=form,
            headers={"Authorization": f"Bearer {KEY}"},
            trust_env=False,
        )
        assert response.is_success, response.text
        return response.json()

    def control(self, method: str, path: str, /, **body: Any) -> None:
        """Do something at the provider that its customers cannot."""
        response = httpx.request(
            method, f"{self.sandbox_url}/_control/{path}", json=body, trust_env=False
        )
        assert response.is_success, response.text

    def forbid(self, path: str, method: str | None = None) -> None:
        """Let the key lack a permission."""
        self.control("POST", "faults", kind="error", status=403, path=path, method=method)

    @property
    def webhook_url(self) -> str:
        """Where the provider must send events to."""
        return f"{self.address}/api/webhooks/stripe"

    def endpoint(self, *events: str) -> str:
        """Register a webhook endpoint and return its id."""
        made = self.call(
            "POST", ENDPOINTS, **{"url": self.webhook_url, "enabled_events[]": list(events)}
        )
        identifier: str = made["id"]
        return identifier

    async def store(self, *rows: Any) -> None:
        """Write rows into the database."""
        database = Database(self.database_url)
        async with database.write() as session:
            session.add_all(rows)
        await database.close()

    async def examined(self, **changed: Any) -> dict[str, Finding]:
        """Return what is wrong, by check."""
        services = Services.open(self.settings(**changed))
        try:
            return wrong(await examine(services))
        finally:
            await services.close()


def wrong(findings: tuple[Finding, ...]) -> dict[str, Finding]:
    """Return what is not fine, each with how to mend it, by check."""
    found = {finding.check: finding for finding in findings if finding.level is not Level.OK}
    assert all(finding.mend for finding in found.values())
    assert not any("sk_test" in finding.model_dump_json() for finding in findings)
    return found


def only(found: dict[str, Finding], check: str, level: Level, *words: str) -> None:
    """Say that one thing and nothing else is wrong."""
    assert list(found) == [check], found
    assert found[check].level is level
    for word in words:
        assert word in found[check].what


@pytest.fixture(scope="module")
def own_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A sandbox with something to sell, whose endpoints and faults are of these tests alone."""
    with running_sandbox(tmp_path_factory.mktemp("doctor") / "sandbox.db") as url:
        house = House("", url)
        product = house.call("POST", "/v1/products", name="Pro")["id"]
        price = {"product": product, "currency": "usd", "unit_amount": 900}
        house.call("POST", "/v1/prices", **price, **{"recurring[interval]": "month"})
        yield url


@pytest.fixture
async def house(own_sandbox: str, sqlite_url: str) -> AsyncIterator[House]:
    """A sound installation, whose webhook endpoint is not registered yet."""
    built = House(sqlite_url, own_sandbox)
    position = Position(None, utc_now()).dumped()
    await built.store(Job(name=position_row(Provider.STRIPE), state=position))
    yield built
    built.control("DELETE", "faults")
    for endpoint in built.call("GET", ENDPOINTS)["data"]:
        built.call("DELETE", f"{ENDPOINTS}/{endpoint['id']}")


@pytest.fixture
def sound(house: House) -> House:
    """A sound installation."""
    house.endpoint("*")
    return house


async def test_nothing_is_wrong_with_a_sound_installation(sound: House) -> None:
    services = Services.open(sound.settings())
    findings = await examine(services)
    await services.close()
    assert wrong(findings) == {}
    assert {"mode", "clock", "permissions", "database", "webhook endpoint", "recovery"} <= {
        finding.check for finding in findings
    }


# ---------------------------------------------------------------- settings and surroundings


async def test_a_secret_key_that_is_short_or_not_set_is_found(sound: House) -> None:
    only(await sound.examined(secret_key="short"), "secret key", Level.WARNING, "5 characters")
    only(await sound.examined(secret_key=""), "secret key", Level.WARNING, "not set")


async def test_plain_http_on_a_public_address_is_found(sound: House) -> None:
    found = await sound.examined(base_url="http://billing.example.com", api_url=sound.address)
    only(found, "address", Level.WARNING, "plain http")


async def test_a_redis_that_does_not_answer_is_found(sound: House) -> None:
    found = await sound.examined(redis_url=f"redis://:s3cr3t@127.0.0.1:{free_port()}")
    only(found, "redis", Level.PROBLEM)
    assert "s3cr3t" not in str(found)


async def test_a_database_that_is_not_migrated_is_found(sound: House, tmp_path: Any) -> None:
    found = await sound.examined(database_url=f"sqlite:///{tmp_path / 'empty.db'}")
    only(found, "database", Level.PROBLEM, "not been migrated")


async def test_a_database_of_a_newer_version_is_found(sound: House) -> None:
    database = Database(sound.database_url)
    async with database.engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    await database.close()
    only(await sound.examined(), "database", Level.PROBLEM, "9999")


async def test_a_database_that_does_not_answer_is_found(sound: House) -> None:
    url = f"postgresql://user:s3cr3t@127.0.0.1:{free_port()}/billing"
    found = await sound.examined(database_url=url)
    only(found, "database", Level.PROBLEM)
    assert "s3cr3t" not in str(found)


# ---------------------------------------------------------------- key, mode and clock


async def test_a_refused_key_is_found_and_nothing_else_is_asked(sound: House) -> None:
    sound.control("POST", "faults", kind="error", status=401)
    only(await sound.examined(), "key", Level.PROBLEM, "STRIPE_SECRET_KEY")


async def test_a_provider_that_cannot_be_reached_is_found(sound: House) -> None:
    found = await sound.examined(stripe_api_base=f"http://127.0.0.1:{free_port()}")
    only(found, "provider", Level.PROBLEM, "can't be reached")


async def test_a_test_key_in_production_is_found(sound: House) -> None:
    found = await sound.examined(base_url="https://billing.example.com", api_url=sound.address)
    only(found, "mode", Level.WARNING, "no real money")


async def test_each_missing_permission_is_named(sound: House) -> None:
    sound.forbid("/v1/invoices", "GET")
    sound.forbid("/v1/checkout/sessions", "POST")
    found = await sound.examined()
    only(found, "permissions", Level.PROBLEM, "read Invoices", "write Checkout Sessions")
    assert "Customers" not in found["permissions"].what


async def test_a_key_of_another_account_is_found(sound: House) -> None:
    await sound.store(
        Customer(provider="stripe", provider_customer_id="cus_elsewhere", applied=1, wanted=1)
    )
    only(await sound.examined(), "account", Level.PROBLEM, "cus_elsewhere")


# ---------------------------------------------------------------- webhooks


async def test_a_webhook_endpoint_that_is_not_there_is_found(house: House) -> None:
    found = await house.examined()
    only(found, "webhook endpoint", Level.PROBLEM, house.webhook_url)
    assert all(name in found["webhook endpoint"].mend for name in NEEDED_EVENTS)


async def test_a_webhook_endpoint_that_is_disabled_is_found(house: House) -> None:
    house.call("POST", f"{ENDPOINTS}/{house.endpoint('*')}", disabled="true")
    only(await house.examined(), "webhook endpoint", Level.PROBLEM, "disabled")


async def test_a_webhook_endpoint_that_is_not_told_everything_is_found(house: House) -> None:
    house.endpoint(*(name for name in NEEDED_EVENTS if name != "invoice.paid"))
    found = await house.examined()
    only(found, "webhook events", Level.PROBLEM, "not told of invoice.paid.")


async def test_a_webhook_endpoint_with_just_the_needed_events_is_fine(house: House) -> None:
    house.endpoint(*NEEDED_EVENTS)
    assert await house.examined() == {}


async def test_two_webhook_endpoints_for_one_address_are_found(sound: House) -> None:
    sound.endpoint("*")
    only(await sound.examined(), "webhook endpoint", Level.WARNING, "2 webhook endpoints")


async def test_a_webhook_endpoint_that_speaks_a_newer_version_is_found(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.call(
        "POST",
        ENDPOINTS,
        **{
            "url": house.webhook_url,
            "enabled_events[]": "*",
            "api_version": stripe.api_version,
        },
    )
    monkeypatch.setattr(stripe, "api_version", "2025-01-27.acacia")
    only(await house.examined(), "webhook version", Level.WARNING, "newer")


async def test_endpoints_the_key_may_not_read_are_said_to_be_unknown(sound: House) -> None:
    sound.forbid(ENDPOINTS)
    only(await sound.examined(), "webhook endpoint", Level.WARNING, "may not read")


async def test_a_signing_secret_that_is_none_or_not_set_is_found(sound: House) -> None:
    unset = await sound.examined(stripe_webhook_secret="")
    only(unset, "webhook secret", Level.PROBLEM, "not set")
    mistaken = await sound.examined(stripe_webhook_secret="whsec_good,we_1234")
    only(mistaken, "webhook secret", Level.PROBLEM, "not the signing secret")


async def test_events_that_do_not_arrive_by_webhook_are_found(
    sound: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer = sound.call("POST", "/v1/customers", name="Ada")["id"]
    for number in range(7):
        sound.call("POST", f"/v1/customers/{customer}", description=str(number))
    # What happened just now may still be under way.
    assert await sound.examined() == {}
    later = utc_now() + timedelta(minutes=3)
    monkeypatch.setattr(doctor, "utc_now", lambda: later)
    only(await sound.examined(), "deliveries", Level.PROBLEM, "not one of the last 5")

    services = Services.open(sound.settings())
    events = [
        event async for event in services.drivers.active.list_events(utc_now() - timedelta(1))
    ]
    for event in events[:4]:
        await accept(services, Provider.STRIPE, event)
    await services.close()
    found = await sound.examined()
    only(found, "deliveries", Level.WARNING)


async def test_polling_needs_neither_endpoint_nor_secret(house: House) -> None:
    assert await house.examined(events_mode="poll", stripe_webhook_secret="") == {}


# ---------------------------------------------------------------- portal configuration


@pytest.fixture
async def configured(sound: House) -> tuple[House, str]:
    """A sound installation that has made its portal configuration, and the id of that."""
    services = Services.open(sound.settings())
    made = await portal_configuration_id(services)
    await services.close()
    assert made is not None
    sound.call("POST", f"{CONFIGURATIONS}/{made}", active="true")
    assert await sound.examined() == {}
    return sound, made


async def test_a_portal_configuration_changed_by_hand_is_found(
    configured: tuple[House, str],
) -> None:
    house, made = configured
    name = "features[invoice_history][enabled]"
    house.call("POST", f"{CONFIGURATIONS}/{made}", **{name: "false"})
    found = await house.examined()
    only(found, "portal configuration", Level.WARNING, "features.invoice_history.enabled")
    house.call("POST", f"{CONFIGURATIONS}/{made}", **{name: "true"})


async def test_a_portal_configuration_that_is_not_active_is_found(
    configured: tuple[House, str],
) -> None:
    house, made = configured
    house.call("POST", f"{CONFIGURATIONS}/{made}", active="false")
    only(await house.examined(), "portal configuration", Level.WARNING, "not active")


async def test_a_portal_configuration_that_another_installation_wrote_is_found(
    configured: tuple[House, str],
) -> None:
    house, made = configured
    before = house.call("GET", f"{CONFIGURATIONS}/{made}")["metadata"]["content_hash"]
    house.call("POST", f"{CONFIGURATIONS}/{made}", **{"metadata[content_hash]": "another"})
    only(await house.examined(), "portal configuration", Level.WARNING, "another installation")
    house.call("POST", f"{CONFIGURATIONS}/{made}", **{"metadata[content_hash]": before})


async def test_a_portal_configuration_that_does_not_exist_is_found(sound: House) -> None:
    await sound.store(
        PortalConfiguration(provider="stripe", id="bpc_gone", hash="x", updated_at=utc_now())
    )
    only(await sound.examined(), "portal configuration", Level.WARNING, "bpc_gone")
    named = await sound.examined(stripe_portal_configuration="bpc_named")
    only(named, "portal configuration", Level.PROBLEM, "bpc_named")


# ---------------------------------------------------------------- work


async def test_customers_that_fail_or_were_given_up_on_are_named_with_their_errors(
    sound: House,
) -> None:
    customer = sound.call("POST", "/v1/customers", name="Ada")["id"]
    await sound.store(
        Customer(
            provider="stripe", provider_customer_id=customer, attempts=3, sync_error="No way."
        ),
        Customer(
            provider="stripe",
            provider_customer_id="cus_parked",
            attempts=40,
            parked_at=utc_now(),
            sync_error="Never.",
        ),
    )
    found = await sound.examined()
    assert set(found) == {"failing", "parked"}
    assert found["failing"].level is Level.WARNING
    assert f"1 customer could not be synced the last time: {customer} (No way.)" in (
        found["failing"].what
    )
    assert found["parked"].level is Level.PROBLEM
    assert found["parked"].what == "1 customer was given up on: cus_parked (Never.)"


async def test_customers_that_nobody_syncs_are_found(sound: House) -> None:
    await sound.store(
        Customer(
            provider="stripe",
            provider_customer_id="cus_waiting",
            marked_at=utc_now() - timedelta(hours=3),
        )
    )
    only(await sound.examined(), "queue", Level.PROBLEM, "1 customer waits for a sync, for 3 hours")


async def test_what_waits_in_bulk_is_no_problem(sound: House) -> None:
    await sound.store(
        Customer(
            provider="stripe",
            provider_customer_id="cus_waiting",
            marked_at=utc_now() - timedelta(hours=3),
            urgency=Urgency.BULK,
        )
    )
    assert await sound.examined() == {}


async def test_a_recovery_that_never_or_long_ago_went_through_is_found(sound: House) -> None:
    database = Database(sound.database_url)
    async with database.engine.begin() as connection:
        await connection.execute(text("DELETE FROM job"))
    await database.close()
    only(await sound.examined(), "recovery", Level.WARNING, "never")
    position = Position(None, utc_now() - timedelta(hours=5)).dumped()
    await sound.store(Job(name=position_row(Provider.STRIPE), state=position))
    only(await sound.examined(), "recovery", Level.PROBLEM, "5 hours ago")


async def test_a_job_that_fails_is_found_with_its_error(sound: House) -> None:
    await sound.store(Job(name="reconcile:stripe", failures=2, error="Stripe refused."))
    only(await sound.examined(), "jobs", Level.WARNING, "reconcile:stripe", "Stripe refused.")


async def test_a_job_of_a_provider_that_is_served_no_more_is_not_told_of(sound: House) -> None:
    await sound.store(Job(name="reconcile:polar", failures=9, error="The key was revoked."))
    assert "jobs" not in await sound.examined()


async def test_an_active_provider_without_a_key_is_found(sound: House) -> None:
    found = await sound.examined(payment_provider="polar")
    assert found["key"].level is Level.PROBLEM
    assert "POLAR_ACCESS_TOKEN" in found["key"].mend
