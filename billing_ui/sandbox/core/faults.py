"""Faults on demand: a slow, refusing, failing or vanishing provider."""

import itertools
import re
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Kind = Literal["latency", "rate_limit", "error", "drop"]


@dataclass
class Fault:
    """Something that goes wrong with requests.

    Attributes:
        kind: `latency` waits, `rate_limit` answers 429, `error` answers `status`, `drop` closes
            the connection without an answer.
        path: The beginning of the paths it strikes, or a regular expression for the whole path.
        method: The method it strikes; every one when None.
        times: How many requests more it strikes; without end when None.
        seconds: How long a `latency` waits.
        status: What an `error` answers.
        retry_after: Seconds named in the Retry-After header of a `rate_limit`.
        id: Its number.
    """

    kind: Kind
    path: str = "/"
    method: str | None = None
    times: int | None = None
    seconds: float = 1.0
    status: int = 500
    retry_after: int | None = None
    id: int = field(default=0)

    def strikes(self, method: str, path: str) -> bool:
        """Whether a request is hit."""
        if self.method is not None and self.method.upper() != method.upper():
            return False
        return path.startswith(self.path) or re.fullmatch(self.path, path) is not None


class Faults:
    """The faults in force."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> Fault:
        """Put a fault in force."""
        fault.id = next(self._numbers)
        self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """Let nothing go wrong any more."""
        self._faults.clear()

    def listed(self) -> list[dict[str, Any]]:
        """Return the faults in force, as JSON."""
        return [asdict(fault) for fault in self._faults]

    def take(self, method: str, path: str) -> list[Fault]:
        """Return what strikes this request, and count it off."""
        if not self._faults:
            return []
        struck = [fault for fault in self._faults if fault.strikes(method, path)]
        for fault in struck:
            if fault.times is not None:
                fault.times -= 1
        self._faults = [fault for fault in self._faults if fault.times != 0]
        return struck
