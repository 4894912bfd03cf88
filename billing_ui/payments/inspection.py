"""What a driver looks at when it is asked whether everything at the provider is as it must be, and what it says."""

from enum import StrEnum

from billing_ui.payments.types import Frozen, PortalConfigurationRef


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
