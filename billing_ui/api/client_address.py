"""The address a request really comes from, also behind proxies."""

from ipaddress import ip_address

from starlette.datastructures import Headers
from starlette.types import Scope


def client_address(scope: Scope, trusted_hops: int) -> str | None:
    """Return the IP address of whoever sent a request, None when it is not known.

    Each proxy appends to X-Forwarded-For whom it was asked by, so what our own proxies have written stands at its
    end; everything before is the client's own claim.

    Args:
        scope: of the request.
        trusted_hops: how many proxies of ours a request passes; 0 for the address of the connection itself.
    """
    connected: str | None = scope["client"][0] if scope.get("client") else None
    if trusted_hops == 0:
        return connected
    hops = ",".join(Headers(scope=scope).getlist("x-forwarded-for")).split(",")
    if len(hops) < trusted_hops:
        # It came past a proxy, which the operator should not allow: then at least nothing is believed.
        return connected
    return _address(hops[-trusted_hops].strip()) or connected


def _address(text: str) -> str | None:
    """Return the address in what a proxy wrote; some write the port as well."""
    host = text[1:].partition("]")[0] if text.startswith("[") else text
    if host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        return str(ip_address(host))
    except ValueError:
        return None
