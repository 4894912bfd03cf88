"""What all providers' webhooks have in common: nothing is read of one that no secret verifies."""

from collections.abc import Callable, Collection
from typing import Annotated, Any, Final

from pydantic import Field
from pydantic_core import from_json

from billing_ui.payments.types import (
    InvalidRequest,
    InvalidSignature,
    NoWebhookSecret,
    ProviderEvent,
)

_MAX_NAME: Final = 255
Name = Annotated[str, Field(min_length=1, max_length=_MAX_NAME)]
"""An id or a type: no provider has longer ones, and no longer one fits into the inbox."""


def name_in(value: object) -> str | None:
    """Return an id that stands in an event, None when what stands there is none."""
    return value if isinstance(value, str) and 0 < len(value) <= _MAX_NAME else None


def verified(
    name: str,
    secrets: Collection[str],
    body: bytes,
    signed_with: Callable[[str], bool],
    read: Callable[[Any], ProviderEvent],
) -> ProviderEvent:
    """Return the event of a webhook that one of `secrets` signed.

    Args:
        name: what people know the provider as.
        secrets: several while one is being replaced.
        body: the request's body as it came.
        signed_with: whether a secret verifies the webhook.
        read: makes an event of the body's JSON; a ValueError says that it is none.

    Raises:
        NoWebhookSecret: `secrets` holds none.
        InvalidSignature: none of `secrets` verifies it.
        InvalidRequest: it is signed, but not an event.
    """
    # With an empty secret anyone can sign.
    real = [secret for secret in secrets if secret]
    if not real:
        raise NoWebhookSecret()
    if not any(map(signed_with, real)):
        raise InvalidSignature()
    try:
        return read(from_json(body, allow_inf_nan=False))
    except ValueError:
        raise InvalidRequest(f"The body is not an event of {name}'s.") from None
