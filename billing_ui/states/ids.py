"""Ids as the browser names them."""

from uuid import UUID


def as_id(wish: object) -> UUID | None:
    """Return the id that the browser names, or None when it is none."""
    try:
        return UUID(wish) if isinstance(wish, str) else None
    except ValueError:
        return None
