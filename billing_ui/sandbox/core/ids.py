"""Object ids and the secrets that stand in URLs."""

import secrets

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


_LETTER_OF_BYTE = bytes(ord(ALPHABET[byte % 62]) for byte in range(256))


def random_text(length: int) -> str:
    """Return `length` random letters and digits."""
    # One call for all the bytes: 62 of 256 leaves a slight bias, which an id can bear.
    return secrets.token_bytes(length).translate(_LETTER_OF_BYTE).decode()


def growing_text(number: int, length: int = 8) -> str:
    """Return a number as `length` letters and digits, in the order of the numbers."""
    letters = []
    for _ in range(length):
        number, rest = divmod(number, 62)
        letters.append(ALPHABET[rest])
    return "".join(reversed(letters))


def new_id(prefix: str, length: int = 24) -> str:
    """Return a new object id such as `sub_1Qx…`."""
    return f"{prefix}_{random_text(length)}"


def secret_for(object_id: str) -> str:
    """Return an unguessable text for a URL which also says whose secret it is.

    The object is then found by its primary key, and the whole text compared afterwards, so that
    no secret needs an index of its own.
    """
    return f"{object_id}.{secrets.token_urlsafe(24)}"


def owner_of(secret: str) -> str:
    """Return the id of the object a secret made by `secret_for` belongs to."""
    return secret.partition(".")[0]
