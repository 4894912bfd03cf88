"""Tokens that nobody can guess, and the hashes that are kept of them."""

import hashlib
import secrets


def new_token(prefix: str = "") -> str:
    """Return a new token of 256 random bits, in characters that can stand in a URL and in a cookie."""
    return prefix + secrets.token_urlsafe(32)


def token_hash(token: str) -> str:
    """Return what is stored of `token`, and looked for; never fails, whatever somebody sends as a token."""
    # With so many random bits one plain SHA-256 cannot be reversed, and look-ups stay fast.
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
