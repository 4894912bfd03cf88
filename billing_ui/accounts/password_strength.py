"""How hard a password is to guess, by zxcvbn, and what to tell somebody whose password is too easy."""

import asyncio
from collections.abc import Collection
from enum import StrEnum
from typing import Any, Final

from zxcvbn import zxcvbn  # type: ignore[import-untyped]

from billing_ui.accounts.errors import UnusablePassword
from billing_ui.accounts.passwords import MAX_PASSWORD_LENGTH, MIN_PASSWORD_LENGTH

# What is looked at of a password: the time it takes grows with the square of the length, and somebody who
# knows the first 72 characters of one and nothing more has not guessed it.
_LOOKED_AT: Final = 72
_ENOUGH: Final = 3
"""Of zxcvbn's scores, 0 to 4, the first that withstands somebody who has stolen slow hashes for a while."""


class Weakness(StrEnum):
    """Why a password is not accepted."""

    SHORT = "short"
    LONG = "long"
    COMMON = "common"
    PERSONAL = "personal"
    KEYBOARD = "keyboard"
    REPEATED = "repeated"
    SEQUENCE = "sequence"
    DATE = "date"
    GUESSABLE = "guessable"


_ADVICE: Final = "Use a few words that have nothing to do with each other."

SENTENCES: Final[dict[Weakness, str]] = {
    Weakness.SHORT: f"This password is too short. Use {MIN_PASSWORD_LENGTH} characters or more.",
    Weakness.LONG: f"This password is too long. Use at most {MAX_PASSWORD_LENGTH} characters.",
    Weakness.COMMON: f"Many people use this password, so it is guessed first. {_ADVICE}",
    Weakness.PERSONAL: f"This password is your own name or address, or this site's. {_ADVICE}",
    Weakness.KEYBOARD: f"Keys that lie beside each other are easy to guess. {_ADVICE}",
    Weakness.REPEATED: f"Repeated characters are easy to guess. {_ADVICE}",
    Weakness.SEQUENCE: f"Sequences such as abc or 6543 are easy to guess. {_ADVICE}",
    Weakness.DATE: f"Dates are easy to guess. {_ADVICE}",
    Weakness.GUESSABLE: f"This password is easy to guess. {_ADVICE}",
}

_BY_PATTERN: Final = {
    "spatial": Weakness.KEYBOARD,
    "repeat": Weakness.REPEATED,
    "sequence": Weakness.SEQUENCE,
    "date": Weakness.DATE,
    "regex": Weakness.DATE,
}


class WeakPassword(UnusablePassword):
    """The password is too easy to guess, or has the wrong length; `weakness` says which."""

    def __init__(self, weakness: Weakness) -> None:
        """Take the sentence of the weakness."""
        self.weakness = weakness
        super().__init__(SENTENCES[weakness])


async def require_strength(password: str, known: Collection[str]) -> None:
    """Refuse a password that is easy to guess.

    Args:
        known: what somebody who attacks this person knows of them, such as their e-mail and name.

    Raises:
        WeakPassword: it is too short, too long or too easy to guess.
    """
    if len(password) < MIN_PASSWORD_LENGTH:
        raise WeakPassword(Weakness.SHORT)
    if len(password) > MAX_PASSWORD_LENGTH:
        raise WeakPassword(Weakness.LONG)
    weakness = await asyncio.to_thread(_weakness, password[:_LOOKED_AT], _words_of(known))
    if weakness is not None:
        raise WeakPassword(weakness)


def _words_of(known: Collection[str]) -> list[str]:
    """Return what is known, and the parts of it that somebody might begin a password with."""
    words = {text[:_LOOKED_AT].strip().lower() for text in known}
    words |= {part for word in tuple(words) for part in word.replace("@", " ").split()}
    words |= {word.replace(" ", "") for word in tuple(words)}
    return sorted(words - {""})


def _weakness(password: str, known: list[str]) -> Weakness | None:
    found: dict[str, Any] = zxcvbn(password, user_inputs=known)
    if found["score"] >= _ENOUGH:
        return None
    longest = max(found["sequence"], key=lambda match: len(match["token"]))
    if longest["pattern"] == "dictionary":
        own = longest["dictionary_name"] == "user_inputs"
        return Weakness.PERSONAL if own else Weakness.COMMON
    return _BY_PATTERN.get(longest["pattern"], Weakness.GUESSABLE)
