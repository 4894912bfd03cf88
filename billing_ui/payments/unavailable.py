"""What a person reads when a provider cannot be asked, in the same words whichever it is."""

from typing import Final

from billing_ui.payments.types import ProviderUnavailable

UNCHANGED: Final = " Nothing was changed. Try again in a moment."


def late(name: str) -> ProviderUnavailable:
    """Return that the provider people know as `name` took too long to answer."""
    return ProviderUnavailable(f"{name} didn't answer in time.{UNCHANGED}")


def unreachable(name: str) -> ProviderUnavailable:
    """Return that nothing answers where the provider should."""
    return ProviderUnavailable(f"{name} can't be reached right now.{UNCHANGED}")


def in_trouble(name: str, *, retry_after: int | None) -> ProviderUnavailable:
    """Return that the provider has failed; `retry_after` is in seconds, None when it named no time."""
    return ProviderUnavailable(
        f"{name} has a problem right now.{UNCHANGED}", retry_after=retry_after
    )


def too_busy(name: str, seconds: int | None) -> ProviderUnavailable:
    """Return that the provider asks us to wait, for so many seconds if it says how long."""
    when = "in a moment" if seconds is None else f"in {seconds} second{'s' * (seconds != 1)}"
    return ProviderUnavailable(
        f"{name} is getting too many requests. Nothing was changed. Try again {when}.",
        retry_after=seconds,
    )


def whole_seconds(header: str) -> int | None:
    """Return what a Retry-After header asks for, None when it holds no number of seconds."""
    return int(header) if header.isascii() and header.isdigit() else None
