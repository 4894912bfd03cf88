"""With which key a provider is asked, where, and how often."""

from typing import NamedTuple
from urllib.parse import urlsplit

from billing_ui.payments.types import ProviderRejected
from billing_ui.settings import (
    DEFAULT_SANDBOX_PORT,
    KEY_SETTINGS,
    SANDBOX_HOST,
    SANDBOX_KEYS,
    Provider,
    Settings,
    is_loopback,
)


class Access(NamedTuple):
    """The key of a provider's API, and the API's address, empty for the provider's own."""

    key: str
    base: str


def access_to(provider: Provider, name: str, settings: Settings) -> Access:
    """Return how `provider`, which people know as `name`, is asked; in sandbox mode how the sandbox is.

    Raises:
        ProviderRejected: it has no key, and the sandbox does not imitate it.
    """
    key, base = settings.key_of(provider), getattr(settings, f"{provider}_api_base")
    if settings.sandbox and provider is settings.payment_provider:
        port = settings.sandbox_port or DEFAULT_SANDBOX_PORT
        return Access(SANDBOX_KEYS[provider], base or f"http://{SANDBOX_HOST}:{port}")
    if not key:
        raise ProviderRejected(f"{name} has no API key. Set {KEY_SETTINGS[provider]}.")
    return Access(key, base)


def background_rate(api_base: str, calls: float) -> float | None:
    """Return how many calls a second work in the background may make; None when the API stands on this machine.

    Args:
        calls: what it may make of the provider's own limit, so that people's clicks have some as well.
    """
    return None if is_loopback(urlsplit(api_base).hostname or "") else calls
