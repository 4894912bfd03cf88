"""What a person reads when a provider cannot be asked, in the same words whichever it is."""

from collections.abc import Mapping
from typing import Final

from billing_ui.payments.mapping import header, whole_number
from billing_ui.payments.types import ProviderUnavailable

UNCHANGED: Final = " Nothing was changed. Try again in a moment."


class Fleeting(ProviderUnavailable):
    """What went wrong may be over already: asking again at once may help, and harms nobody."""


def late(name: str) -> ProviderUnavailable:
    """Return that the provider people know as `name` took too long to answer; nobody waits for that twice."""
    return ProviderUnavailable(f"{name} didn't answer in time.{UNCHANGED}")


def unreachable(name: str) -> Fleeting:
    """Return that nothing answers where the provider should."""
    return Fleeting(f"{name} can't be reached right now.{UNCHANGED}")


def in_trouble(name: str, headers: Mapping[str, str] | None) -> ProviderUnavailable:
    """Return that the provider has failed, as its answer's `headers` say for how long, or for a moment only."""
    sentence, seconds = f"{name} has a problem right now.{UNCHANGED}", retry_after(headers)
    if seconds is None:
        return Fleeting(sentence)
    return ProviderUnavailable(sentence, retry_after=seconds)


def too_busy(name: str, headers: Mapping[str, str] | None) -> ProviderUnavailable:
    """Return that the provider asks us to wait, for as long as its answer's `headers` say, if they do."""
    seconds = retry_after(headers)
    when = "in a moment" if seconds is None else f"in {seconds} second{'s' * (seconds != 1)}"
    return ProviderUnavailable(
        f"{name} is getting too many requests. Nothing was changed. Try again {when}.",
        retry_after=seconds,
    )


def retry_after(headers: Mapping[str, str] | None) -> int | None:
    """Return how many seconds an answer asks to wait, None when it names no number of them."""
    return whole_number(header(headers, "retry-after"))
