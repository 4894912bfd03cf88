"""What a driver looks at when it is asked whether everything at the provider is as it must be, and what it says."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from email.utils import parsedate_to_datetime
from enum import StrEnum

from billing_ui.clock import utc_now
from billing_ui.payments.types import (
    Frozen,
    PaymentError,
    PermissionMissing,
    PortalConfigurationRef,
)


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    """It works, but not as well as it could, or not for long."""
    PROBLEM = "problem"
    """Something does not work."""


class Finding(Frozen):
    """One thing that was looked at.

    Attributes:
        check: what was looked at, in a word or two, for programs.
        what: what was found, in a sentence.
        mend: how to mend it, in a sentence; empty when nothing is wrong.
    """

    check: str
    level: Level
    what: str
    mend: str = ""


class Expected(Frozen):
    """What an installation expects of its provider.

    Attributes:
        webhook_url: the address the provider must send events to, None when events are asked for instead.
        secure: whether people reach the dashboard over https.
        portal_configuration: the portal configuration we made and what we made of it, None before that.
    """

    webhook_url: str | None
    secure: bool
    portal_configuration: PortalConfigurationRef | None = None


def fine(check: str, what: str) -> Finding:
    """Return that something is as it must be."""
    return Finding(check=check, level=Level.OK, what=what)


def warning(check: str, what: str, mend: str) -> Finding:
    """Return that something works, but not as well as it could, or not for long."""
    return Finding(check=check, level=Level.WARNING, what=what, mend=mend)


def problem(check: str, what: str, mend: str) -> Finding:
    """Return that something does not work."""
    return Finding(check=check, level=Level.PROBLEM, what=what, mend=mend)


def mode(*, live: bool, secure: bool, to_go_live: str) -> Finding:
    """Return whether a key is of the mode that the address people come to is for.

    Args:
        secure: whether that is https.
        to_go_live: how a test key is exchanged for a live one, in a sentence.
    """
    if live and not secure:
        return problem(
            "mode",
            "The key is a live one, but BASE_URL is plain http: sessions travel unprotected.",
            "Serve the dashboard over https and set BASE_URL to that address.",
        )
    if secure and not live:
        return warning(
            "mode",
            "The key is a test one, but BASE_URL is a public https address: no real money moves.",
            to_go_live,
        )
    return fine("mode", f"The key is a {'live' if live else 'test'} one, which fits BASE_URL.")


def clock(name: str, date: str, *, tolerance: int, warn_after: int) -> Iterator[Finding]:
    """Yield whether this machine's clock agrees with that of the provider people know as `name`.

    Args:
        date: what an answer says in its header `Date`; nothing is found when that is no date.
        tolerance: from how many seconds on webhooks look too old.
        warn_after: beyond how many seconds they are about to.
    """
    try:
        theirs = parsedate_to_datetime(date)
    except ValueError:
        return
    seconds = round(abs((utc_now() - theirs).total_seconds()))
    off = f"This machine's clock is {seconds} s off {name}'s"
    mend = "Let this machine keep its clock by NTP."
    if seconds >= tolerance:
        yield problem("clock", f"{off}: signatures of webhooks look too old.", mend)
    elif seconds > warn_after:
        yield warning("clock", f"{off}; from {tolerance} s on webhooks fail.", mend)
    else:
        yield fine("clock", f"This machine's clock agrees with {name}'s.")


async def gathered(
    parts: Iterable[Awaitable[list[Finding]]],
    translated: Callable[[], AbstractContextManager[None]],
) -> list[Finding]:
    """Return what all parts of an inspection find: one that can't finish does not keep the others from being made.

    Args:
        translated: raises what the parts raise as our named errors.
    """

    async def guarded(part: Awaitable[list[Finding]]) -> list[Finding]:
        try:
            with translated():
                return await part
        except PermissionMissing:
            # Told by the check of the key's permissions.
            return []
        except PaymentError as error:
            return [problem("provider", str(error), "Run this again in a moment.")]

    found = await asyncio.gather(*(guarded(part) for part in parts))
    return [finding for part in found for finding in part]
