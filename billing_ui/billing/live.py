"""Telling every open page of a team that its billing changed; this floor knows no page."""

from collections.abc import Callable
from uuid import UUID

Subscriber = Callable[[UUID], None]


class Live:
    """The news of this process: who wants to hear of a team, and who says that something changed."""

    def __init__(self) -> None:
        """Begin with nobody listening."""
        self._subscribers: list[Subscriber] = []

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Call `subscriber` with the id of every team whose billing changed; returns how to stop that.

        It is called in the event loop and must return at once.
        """
        self._subscribers.append(subscriber)
        return lambda: self._subscribers.remove(subscriber)

    async def publish(self, team_id: UUID) -> None:
        """Say that a team's billing changed, after the commit that changed it."""
        for subscriber in tuple(self._subscribers):
            subscriber(team_id)
