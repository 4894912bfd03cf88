"""Encryption of what browsers and the database keep for us, with one key for each purpose."""

import base64
import hashlib

from cryptography.fernet import Fernet

from billing_ui.settings import Settings


def box_for(settings: Settings, purpose: str) -> Fernet:
    """Return what seals and opens things for `purpose`, at most 16 characters of ASCII.

    Nothing that was sealed or signed for another purpose with SECRET_KEY passes in it.
    """
    key = hashlib.blake2b(settings.signing_key, digest_size=32, person=purpose.encode()).digest()
    return Fernet(base64.urlsafe_b64encode(key))
