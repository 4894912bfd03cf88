"""Passwords: what is accepted, and argon2 hashing that neither blocks the event loop nor eats the memory."""

import asyncio
import secrets
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Final

from pwdlib import PasswordHash

from billing_ui.accounts.errors import UnusablePassword

MIN_PASSWORD_LENGTH: Final = 8
MAX_PASSWORD_LENGTH: Final = 256

_HASHER = PasswordHash.recommended()
# One argon2 hash takes 64 MiB and a core for a while: two at a time bound what a burst of sign-ins costs.
_THREADS = ThreadPoolExecutor(max_workers=2, thread_name_prefix="argon2")


@cache
def _nobodys_hash() -> str:
    # Compared with when there is no user, so that an unknown e-mail takes as long as a known one. Made with
    # the hasher's present parameters, else the times would differ.
    return _HASHER.hash(secrets.token_urlsafe(32))


async def hash_password(password: str) -> str:
    """Return the argon2 hash of `password`.

    Raises:
        UnusablePassword: it is shorter than 8 or longer than 256 characters.
    """
    if not MIN_PASSWORD_LENGTH <= len(password) <= MAX_PASSWORD_LENGTH:
        raise UnusablePassword(
            f"A password has {MIN_PASSWORD_LENGTH} to {MAX_PASSWORD_LENGTH} characters."
        )
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_THREADS, _HASHER.hash, _normalised(password))


async def verify_password(password: str, stored: str | None) -> tuple[bool, str | None]:
    """Compare `password` with a stored hash; as slow for None (no such user, or no password) as for any hash.

    Returns:
        Whether it matches, and a new hash to store when `stored` was made with outdated parameters.
    """
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_THREADS, _verify, _normalised(password), stored)


def _verify(password: str, stored: str | None) -> tuple[bool, str | None]:
    stand_in = _nobodys_hash()
    matches, renewed = _HASHER.verify_and_update(password, stored or stand_in)
    return (True, renewed) if matches and stored else (False, None)


def _normalised(password: str) -> str:
    # The same password typed on two systems may arrive composed or decomposed (NIST SP 800-63B, 3.1.1.2).
    return unicodedata.normalize("NFKC", password[: MAX_PASSWORD_LENGTH + 1])
