"""Where the app may send people: back to its own paths and origins the operator has named, on to web addresses."""

import unicodedata
from typing import Final
from urllib.parse import unquote, urlsplit

from billing_ui.payments.types import InvalidReturnUrl
from billing_ui.settings import Settings, origin_of

SIGN_IN_PAGE: Final = "/sign-in"
PRICING_PAGE: Final = "/pricing"
BILLING_PAGE: Final = "/settings/billing"
RETURN_PAGE: Final = "/settings/billing/return"
ACCOUNT_PAGE: Final = "/settings/account"
INVITATION_PAGE: Final = "/invitation"
RESET_PAGE: Final = "/reset-password"

MAX_LENGTH: Final = 2048
_MAX_DECODINGS: Final = 5
# Control and format characters, line and paragraph separators, unassigned and private ones.
_UNPRINTABLE: Final = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})


def allowed_return_url(settings: Settings, value: str | None) -> str | None:
    """Return `value` unchanged if people may be sent to it, and None for None.

    Allowed is a path of this app, or an absolute http(s) URL without credentials on the origin of
    BASE_URL or one of ALLOWED_RETURN_ORIGINS. A path holds no control character, backslash or `//`,
    raw or percent-encoded, however often.

    Raises:
        InvalidReturnUrl: it is anything else.
    """
    if value is None:
        return None
    # A URL is printable ASCII. Browsers drop tabs and newlines and trim spaces before they look at the
    # rest, so a check of anything else would not be a check of what they see.
    if not 0 < len(value) <= MAX_LENGTH or not all("!" <= letter <= "~" for letter in value):
        raise InvalidReturnUrl
    if value.startswith("/"):
        _check(value, forbidden=("\\", "//"))
        return value
    try:
        origin = origin_of(value)
        path = urlsplit(value).path
    except ValueError:
        raise InvalidReturnUrl from None
    if origin not in (settings.base_origin, *settings.allowed_return_origins):
        raise InvalidReturnUrl
    _check(path, forbidden=("\\", "//"))
    _check(value, forbidden=("\\",))
    return value


def absolute_url(settings: Settings, url: str) -> str:
    """Return an allowed URL with the app's address in front when it is a path."""
    return f"{settings.base_url}{url}" if url.startswith("/") else url


def web_address(url: str | None) -> str | None:
    """Return an address that the provider gave, when it is one a browser may be sent to."""
    return url if url and url.lower().startswith(("https://", "http://")) else None


def _check(text: str, forbidden: tuple[str, ...]) -> None:
    """Refuse what is forbidden in `text` and in all that percent-decoding makes of it."""
    for _ in range(_MAX_DECODINGS):
        plain = unicodedata.normalize("NFKC", text)
        if any(part in plain for part in forbidden) or any(
            unicodedata.category(letter) in _UNPRINTABLE for letter in text
        ):
            raise InvalidReturnUrl
        try:
            decoded = unquote(text, errors="strict")
        except UnicodeDecodeError:
            # Overlong forms are a way to hide a slash.
            raise InvalidReturnUrl from None
        if decoded == text:
            return
        text = decoded
    raise InvalidReturnUrl
