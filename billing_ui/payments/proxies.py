"""Which proxy leads to a provider."""

from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from billing_ui.settings import is_loopback


def proxy_for(url: str) -> str | None:
    """Return the proxy that the environment names for `url`; never one for a loopback address."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if is_loopback(host) or proxy_bypass(host):
        return None
    return getproxies().get(parts.scheme)
