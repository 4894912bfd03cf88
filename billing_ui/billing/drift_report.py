"""What a reconciliation found: all of it in numbers, and the first few hundred by name, however many there are."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Generic, TypeVar

from billing_ui.billing.drift import Drift

LISTED_AT_MOST: Final = 500
"""So many of a kind are listed: a report is kept in one row, and in memory, until its run ends."""

T = TypeVar("T")


@dataclass
class Tally(Generic[T]):
    """Findings of a kind, all of which are counted and the first `LISTED_AT_MOST` of which are listed."""

    count: int = 0
    listed: list[T] = field(default_factory=list)

    def add(self, *found: T) -> None:
        """Count findings, and list them while there is room."""
        self.count += len(found)
        self.listed += found[: LISTED_AT_MOST - len(self.listed)]

    @property
    def full(self) -> bool:
        """Whether more would only be counted."""
        return len(self.listed) >= LISTED_AT_MOST


@dataclass(frozen=True)
class Failure:
    """Why a customer could not be compared or mended, by the provider's id of it."""

    customer: str
    reason: str


@dataclass
class DriftReport:
    """What a reconciliation found, its earlier parts included when it was interrupted and gone on with.

    Attributes:
        began_at: when it began (UTC).
        resumed: whether an earlier run had begun it.
        compared: how many customers were compared.
        differing: how many of them differ.
        drift: every difference, customer by customer.
        unknown: customers of the provider that we did not have.
        fixed: the customers whose differences were mended, and those that were unknown and are not any more.
        behind: how many were not compared: they were changing, or known to be out of date. Where drift is
            mended, these are fetched as well.
        failures: what could not be compared or mended, and why.
    """

    began_at: datetime
    resumed: bool = False
    compared: int = 0
    differing: int = 0
    drift: Tally[Drift] = field(default_factory=Tally)
    unknown: Tally[str] = field(default_factory=Tally)
    fixed: Tally[str] = field(default_factory=Tally)
    behind: int = 0
    failures: Tally[Failure] = field(default_factory=Tally)

    @property
    def drifted(self) -> int:
        """How many customers differ or were unknown."""
        return self.differing + self.unknown.count

    @property
    def clean(self) -> bool:
        """Whether our copy now says what the provider says, as far as could be found out."""
        return not self.failures.count and self.fixed.count == self.drifted
