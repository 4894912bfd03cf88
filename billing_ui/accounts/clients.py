"""From where the running task was asked: kept with sessions and in the audit log."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

_MAX_ADDRESS: Final = 64
_MAX_USER_AGENT: Final = 400


@dataclass(frozen=True)
class Client:
    """A browser or program that asks.

    Attributes:
        address: its IP address as far as we can tell, None when not known.
        user_agent: what it says it is, None when it says nothing.
    """

    address: str | None = None
    user_agent: str | None = None


_NOBODY: Final = Client()
_current: ContextVar[Client] = ContextVar("client", default=_NOBODY)


def current_client() -> Client:
    """Return who asked for what the running task does; without address and name outside of a request."""
    return _current.get()


def bind_client(address: str | None, user_agent: str | None) -> None:
    """Say who asked for what the running task does from now on; what is too long is cut."""
    _current.set(_client(address, user_agent))


@contextmanager
def client_bound(address: str | None, user_agent: str | None) -> Iterator[None]:
    """Say who asked for what is done within; what is too long is cut."""
    before = _current.set(_client(address, user_agent))
    try:
        yield
    finally:
        _current.reset(before)


def _client(address: str | None, user_agent: str | None) -> Client:
    return Client(
        (address or "")[:_MAX_ADDRESS] or None, (user_agent or "")[:_MAX_USER_AGENT] or None
    )
