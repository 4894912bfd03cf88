"""The API over real databases and a real provider."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from fastapi import FastAPI
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from billing_ui.accounts import passwords
from billing_ui.api.app import create_api
from billing_ui.api.health import Readiness
from billing_ui.billing.services import Services
from billing_ui.settings import Settings
from tests.api.world import BASE_URL, Provider, Shop, World, client_of


@pytest.fixture(scope="package", autouse=True)
def cheap_passwords() -> Iterator[None]:
    """Passwords hashed at argon2's least cost: what hashing costs is tested with the accounts."""
    cheap = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1),))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_HASHER", cheap)
        passwords._nobodys_hash.cache_clear()
        yield
    passwords._nobodys_hash.cache_clear()


@pytest.fixture(scope="session")
def provider(sandbox_url: str) -> Provider:
    """The provider."""
    return Provider(sandbox_url)


@pytest.fixture(scope="session")
def shop(provider: Provider) -> Shop:
    """Something to buy."""
    product = provider.call("POST", "/v1/products", name="Pro")["id"]
    price = provider.call(
        "POST",
        "/v1/prices",
        **{
            "product": product,
            "currency": "usd",
            "unit_amount": "14900",
            "recurring[interval]": "month",
        },
    )["id"]
    return Shop(product, price)


@pytest.fixture
def settings(database_url: str, sandbox_url: str) -> Settings:
    """Settings with the sandbox as a stand-alone provider, so that any database will do."""
    return Settings(
        _env_file=None,
        base_url=BASE_URL,
        database_url=database_url,
        secret_key="for tests only",
        stripe_secret_key="sk_test_tests",
        stripe_api_base=sandbox_url,
    )


@pytest.fixture
async def services(settings: Settings) -> AsyncIterator[Services]:
    """What the API works with."""
    opened = Services.open(settings)
    yield opened
    await opened.close()


@pytest.fixture
def world(services: Services, provider: Provider, shop: Shop) -> World:
    """Makes teams, people and customers."""
    return World(services, provider, shop)


@pytest.fixture
def readiness() -> Readiness:
    """An app that has finished its start."""
    return Readiness(migrations=True, demo_data=True, sandbox=True)


@pytest.fixture
def api(services: Services, readiness: Readiness) -> FastAPI:
    """The API."""
    return create_api(lambda: services, readiness)


@pytest.fixture
async def client(api: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client that keeps no cookies and follows no redirects."""
    async with client_of(api) as opened:
        yield opened
