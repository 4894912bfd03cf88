"""Webhook faults on demand: deliveries that are lost, doubled, late or out of order."""

import itertools
import random
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

DeliveryFaultKind = Literal["lost", "duplicated", "delayed", "reordered"]


@dataclass
class DeliveryFault:
    """Something that goes wrong with deliveries on their first way out.

    Attributes:
        kind: `lost` is never sent, `duplicated` is sent twice, `delayed` is sent `seconds` later,
            `reordered` is sent after the next one of its endpoint, or after `seconds` at most.
        times: How many deliveries more it strikes; without end when None.
        probability: What share of the deliveries it strikes.
        seconds: See `kind`.
        types: The types of the events it strikes; every one when None.
        id: Its number.
    """

    kind: DeliveryFaultKind
    times: int | None = None
    probability: float = 1.0
    seconds: float = 1.0
    types: list[str] | None = None
    id: int = field(default=0)


class DeliveryFaults:
    """The webhook faults in force."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._faults: list[DeliveryFault] = []

    def add(self, fault: DeliveryFault) -> None:
        """Put a fault in force."""
        fault.id = next(self._numbers)
        self._faults.append(fault)

    def clear(self) -> None:
        """Let nothing go wrong any more."""
        self._faults.clear()

    def listed(self) -> list[dict[str, Any]]:
        """Return the faults in force, as JSON."""
        return [asdict(fault) for fault in self._faults]

    def take(self, type_: str) -> DeliveryFault | None:
        """Return the first fault that strikes an event of this type, and count it off."""
        for fault in self._faults:
            if fault.types is not None and type_ not in fault.types:
                continue
            if random.random() >= fault.probability:  # noqa: S311 - chance, not a secret
                continue
            if fault.times is not None:
                fault.times -= 1
                if fault.times == 0:
                    self._faults.remove(fault)
            return fault
        return None
