"""Keeping what one person saw in a tab from the next person who loads it."""

from collections.abc import Iterator
from typing import Any, Final

import reflex as rx
from reflex.constants import CompileVars
from reflex.event import Event
from reflex.middleware.middleware import Middleware

from billing_ui.states.session import hand_over, identity_of

FIRST_EVENTS: Final = frozenset(
    f"{rx.State.get_full_name()}.{name}"
    for name in (CompileVars.HYDRATE, CompileVars.HYDRATE_AND_LOAD)
)
"""What a document sends first, and is answered with the tab's states."""


class TabGuard(Middleware):
    """Blanks a tab's states before a newly loaded document is sent them.

    A tab keeps its states over signing out and in, and Reflex answers a document's first event with all
    of them, before any handler of ours runs. The same event is sent when a document's connection was lost
    and is back: a state with a `_resumed` learns which it is.
    """

    async def preprocess(self, app: object, state: Any, event: Event) -> None:
        """Hand every state over to whoever loads the document, or still looks at it."""
        if event.name not in FIRST_EVENTS:
            return
        identity = await identity_of(state)
        # Of a document that is new, the browser says what it was built with.
        resumed = CompileVars.PAYLOAD_HASHES not in event.payload
        for owned in _owned_states(state):
            hand_over(owned, identity)
            if "_resumed" in type(owned).__fields__:
                owned._resumed = resumed


def _owned_states(state: Any) -> Iterator[Any]:
    if "_owner" in type(state).__fields__:
        yield state
    for substate in state.substates.values():
        yield from _owned_states(substate)
