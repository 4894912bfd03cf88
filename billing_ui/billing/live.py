"""Telling every open page of a team that its billing changed; this floor knows no page.

What is told here reaches this process at once. `live_bus` carries it to the other processes.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Annotated, Literal, Protocol, TypeAlias
from uuid import UUID

from pydantic import Field

from billing_ui.payments.types import Frozen


class TeamChanged(Frozen):
    """Something that a team's pages show is another now; `since` is when it became so at the provider, if known."""

    kind: Literal["team_changed"] = "team_changed"
    team_id: UUID
    since: datetime | None = None


class SessionChanged(Frozen):
    """A session holds no longer, so that its pages must show nothing any more, or it looks at another team."""

    kind: Literal["session_changed"] = "session_changed"
    session_id: UUID


class WorkWaits(Frozen):
    """Something was marked out of date in a process where nobody works."""

    kind: Literal["work_waits"] = "work_waits"


class NewsMissed(Frozen):
    """What other processes told may have been lost for a while: anything may have happened."""

    kind: Literal["news_missed"] = "news_missed"


Notice: TypeAlias = Annotated[
    TeamChanged | SessionChanged | WorkWaits | NewsMissed, Field(discriminator="kind")
]
Subscriber: TypeAlias = Callable[[Notice], None]


class Live:
    """The news of this process: who wants to hear them, and who says that something happened."""

    def __init__(self) -> None:
        """Begin with nobody listening, and no way to other processes."""
        self._subscribers: list[Subscriber] = []
        self.relay: Subscriber | None = None
        """Passes on to other processes what was told in this one; must return at once."""

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Call `subscriber` with every notice, also those of other processes; returns how to stop that.

        It is called in the event loop and must return at once.
        """
        self._subscribers.append(subscriber)
        return lambda: self._subscribers.remove(subscriber)

    async def publish(self, team_id: UUID, *, since: datetime | None = None) -> None:
        """Say that what a team's pages show is another now, after the commit that made it so.

        Args:
            since: when it became so at the provider, as far as we know (UTC); only the metrics ask.
        """
        self._tell_all(TeamChanged(team_id=team_id, since=since))

    async def publish_session(self, session_id: UUID) -> None:
        """Say that a session has ended or looks at another team, after the commit that made it so."""
        self._tell_all(SessionChanged(session_id=session_id))

    def tell_here(self, notice: Notice) -> None:
        """Tell this process alone, of something that another one said."""
        for subscriber in tuple(self._subscribers):
            subscriber(notice)

    def _tell_all(self, notice: Notice) -> None:
        self.tell_here(notice)
        if self.relay is not None:
            self.relay(notice)


class LineBroken(Exception):
    """The connection to the other processes cannot be made, or is lost; says why."""


class Line(Protocol):
    """A connection to the other processes of this installation. Messages sent by itself may come back to it."""

    async def send(self, message: str) -> None:
        """Send a message of at most 7,500 bytes to every process that listens.

        Raises:
            LineBroken: it may not have been sent.
        """
        ...

    async def listen(self, hear: Callable[[str], None]) -> None:
        """Call `hear` with every message since the connection was made, until cancelled.

        Raises:
            LineBroken: the connection is lost. A connection that died silently is noticed within half a minute.
        """
        ...


Connect: TypeAlias = Callable[[], AbstractAsyncContextManager[Line]]
"""Makes a new connection; entering it raises `LineBroken`."""
