"""Sign-ins under way at a provider: what the browser that began one keeps of it, sealed, until it comes back."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import astuple, dataclass, field
from typing import Final

from cryptography.fernet import InvalidToken

from billing_ui.accounts.oidc_errors import NotBegunHere, TookTooLong
from billing_ui.accounts.random_tokens import new_token
from billing_ui.accounts.sealing import box_for
from billing_ui.clock import utc_now
from billing_ui.settings import Settings

LIFETIME_SECONDS: Final = 15 * 60
"""So long somebody may take at the provider: a password is reset there, a second factor looked for."""
# The cookie outlives what is in it, so that too late can be told from never begun.
_COOKIE_SECONDS: Final = 60 * 60
_MOST_AT_ONCE: Final = 5
_LONGEST_DESTINATION: Final = 1024
_PURPOSE: Final = "oidc-attempt"


@dataclass(frozen=True)
class Attempt:
    """One sign-in that was begun.

    Attributes:
        provider: the provider's number.
        destination: the path to go to afterwards, None for the usual one.
        state: ties the answer to the browser, `nonce` the ID token, and `verifier` the code (PKCE, RFC 7636).
    """

    provider: int
    destination: str | None
    state: str = field(default_factory=new_token, repr=False)
    nonce: str = field(default_factory=new_token, repr=False)
    verifier: str = field(default_factory=new_token, repr=False)


def begin_attempt(provider: int, destination: str | None) -> Attempt:
    """Return a new attempt; a destination too long for a cookie is forgotten."""
    fits = destination is not None and len(destination) <= _LONGEST_DESTINATION
    return Attempt(provider, destination if fits else None)


def attempt_cookie(settings: Settings, attempt: Attempt) -> str:
    """Return the Set-Cookie header value that keeps `attempt` in the browser.

    Each has a name of its own, so that two tabs can sign in at the same time.
    """
    sealed = box_for(settings, _PURPOSE).encrypt_at_time(
        json.dumps(astuple(attempt)).encode(), _seconds()
    )
    return _set_cookie(
        settings, _cookie_name(settings, attempt.state), sealed.decode(), _COOKIE_SECONDS
    )


def find_attempt(
    settings: Settings, cookies: Mapping[str, str], provider: int, state: str
) -> Attempt:
    """Return the attempt that `state` belongs to, when this browser has begun it with this provider.

    Raises:
        NotBegunHere: it has not, or has forgotten it since: an answer is taken once.
        TookTooLong: it was begun more than 15 minutes ago.
    """
    sealed = cookies.get(_cookie_name(settings, state), "")
    try:
        attempt = Attempt(*json.loads(box_for(settings, _PURPOSE).decrypt(sealed)))
        begun_at = box_for(settings, _PURPOSE).extract_timestamp(sealed)
    except (InvalidToken, ValueError, TypeError):
        raise NotBegunHere from None
    # The cookie's name is a hash of the state and could be given another's content.
    if attempt.provider != provider or not hmac.compare_digest(
        attempt.state.encode(), state.encode()
    ):
        raise NotBegunHere
    if _seconds() - begun_at > LIFETIME_SECONDS:
        raise TookTooLong
    return attempt


def forget_attempt(settings: Settings, state: str) -> str:
    """Return the Set-Cookie header value that removes the attempt of `state` from the browser."""
    return _set_cookie(settings, _cookie_name(settings, state), "", 0)


def forget_abandoned(settings: Settings, cookies: Mapping[str, str]) -> list[str]:
    """Return Set-Cookie header values that remove attempts when there are so many that most must be abandoned."""
    kept = [name for name in cookies if name.startswith(_prefix(settings))]
    return [_set_cookie(settings, name, "", 0) for name in kept if len(kept) >= _MOST_AT_ONCE]


def _set_cookie(settings: Settings, name: str, value: str, seconds: int) -> str:
    secure = "; Secure" if settings.secure else ""
    return f"{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"


def _cookie_name(settings: Settings, state: str) -> str:
    digest = hashlib.sha256(state.encode("utf-8", "surrogateescape")).hexdigest()
    return f"{_prefix(settings)}{digest[:16]}"


def _prefix(settings: Settings) -> str:
    # Under https the prefix keeps a neighbouring site from setting it: it would sign people in as somebody else.
    return "__Host-billing_sso_" if settings.secure else "billing_sso_"


def _seconds() -> int:
    return int(utc_now().timestamp())
