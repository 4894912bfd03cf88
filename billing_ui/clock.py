"""The one place that tells the time; always aware UTC."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return the present moment as an aware UTC datetime."""
    return datetime.now(UTC)


def from_unix(seconds: int) -> datetime:
    """Return the moment `seconds` (Unix time, as providers send it) as an aware UTC datetime."""
    return datetime.fromtimestamp(seconds, UTC)
