"""From which address a request comes: what a client claims of itself is never believed."""

import pytest

from billing_ui.api.client_address import client_address

SOCKET = "10.0.0.1"


def seen(hops: int, *forwarded: str, client: tuple[str, int] | None = (SOCKET, 1)) -> str | None:
    """Return the address of a request with these X-Forwarded-For headers."""
    headers = [(b"x-forwarded-for", value.encode("latin-1")) for value in forwarded]
    return client_address({"type": "http", "client": client, "headers": headers}, hops)


def test_without_proxies_it_is_the_connections_whatever_is_claimed() -> None:
    assert seen(0) == SOCKET
    assert seen(0, "192.0.2.9") == SOCKET
    assert seen(0, client=None) is None


@pytest.mark.parametrize(
    ("hops", "forwarded"),
    [
        (1, ["192.0.2.9"]),
        (1, ["203.0.113.1, 192.0.2.9"]),
        (1, ["203.0.113.1", "192.0.2.9"]),
        (1, ["192.0.2.9:4711"]),
        (1, ["', \"><script>, 192.0.2.9"]),
        (2, ["192.0.2.9, 10.1.1.1"]),
        (2, ["203.0.113.1, 192.0.2.9 , 10.1.1.1"]),
    ],
)
def test_behind_proxies_it_is_what_the_first_of_ours_was_asked_by(
    hops: int, forwarded: list[str]
) -> None:
    assert seen(hops, *forwarded) == "192.0.2.9"


@pytest.mark.parametrize("written", ["2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:443"])
def test_an_ipv6_address_is_read_as_proxies_write_it(written: str) -> None:
    assert seen(1, written) == "2001:db8::1"


@pytest.mark.parametrize(
    ("hops", "forwarded"),
    [
        (1, []),
        (2, ["192.0.2.9"]),
        (1, [""]),
        (1, ["unknown"]),
        (1, ["192.0.2.9, "]),
        (1, ["192.0.2.9\x00"]),
        (1, ["é"]),
    ],
)
def test_where_nothing_usable_was_written_it_is_the_connections(
    hops: int, forwarded: list[str]
) -> None:
    assert seen(hops, *forwarded) == SOCKET
