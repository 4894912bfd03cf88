"""The API, its people and its provider, as the tests of the API have them."""

from tests.api.conftest import (
    api,
    cheap_passwords,
    client,
    provider,
    readiness,
    services,
    settings,
    shop,
    world,
)

__all__ = [
    "api",
    "cheap_passwords",
    "client",
    "provider",
    "readiness",
    "services",
    "settings",
    "shop",
    "world",
]
