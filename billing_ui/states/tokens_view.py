"""API tokens as the page shows them: what each is for, when it was used last, and until when it works."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from billing_ui.accounts.permissions import Scope
from billing_ui.accounts.tokens import PREFIX
from billing_ui.i18n import Reader
from billing_ui.models import ApiToken
from billing_ui.states.feed_view import when

LIFETIMES: Final = {"30": "30 days", "90": "90 days", "365": "1 year", "": "Never"}
"""How long a new token can be valid: days, and what they are called."""
SCOPES: Final = {
    Scope.PORTAL: "Open the billing portal",
    Scope.READ: "Read plan, invoices and activity",
    Scope.CHECKOUT: "Open a checkout for a plan",
}
"""What each scope allows, in words."""


@dataclass(frozen=True)
class TokenLine:
    """One token in the table; the titles say exactly when, and are empty where that says nothing more."""

    key: str = ""
    name: str = ""
    hint: str = ""
    scopes: list[str] = field(default_factory=list)
    used: str = ""
    used_title: str = ""
    expires: str = ""
    expires_title: str = ""


def token_lines(tokens: Sequence[ApiToken], reader: Reader, now: datetime) -> list[TokenLine]:
    """Return the lines of the table, in the order of `tokens`."""
    return [_line(token, reader, now) for token in tokens]


def lifetime_of(key: str) -> timedelta | None:
    """Return how long a token is to be valid, None for ever.

    Raises:
        KeyError: `key` is none of `LIFETIMES`.
    """
    LIFETIMES[key]
    return timedelta(days=int(key)) if key else None


def _line(token: ApiToken, reader: Reader, now: datetime) -> TokenLine:
    used, expires = token.last_used_at, token.expires_at
    return TokenLine(
        key=str(token.id),
        name=token.name,
        hint=f"{PREFIX}…{token.hint}",
        # Always in the same order, whatever they were stored in.
        scopes=[scope.value for scope in SCOPES if scope in token.scopes],
        used=_capital(when(used, reader, now)) if used else "Never used",
        used_title=reader.date_and_time(used) if used else "",
        expires=reader.date(expires) if expires else "Never expires",
        expires_title=reader.date_and_time(expires) if expires else "",
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
