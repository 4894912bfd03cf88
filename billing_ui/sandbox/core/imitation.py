"""What the server needs of one imitated provider."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from billing_ui.sandbox.core.control import Provider
from billing_ui.sandbox.core.courier import Parcel
from billing_ui.sandbox.core.delivery_control import Register
from billing_ui.sandbox.core.outbox import Delivery, Outbox


@dataclass(frozen=True)
class Imitation:
    """One provider, ready to be served.

    Attributes:
        title: Its name as people know it.
        hint: How to point a client here.
        paths: What the paths of its API begin with.
        api: What answers under them.
        pages: The hosted pages.
        control: What can be controlled.
        outbox: Where events wait for their delivery.
        pack: Returns the request of a delivery, or None when its endpoint wants no more.
        register: Tells an endpoint of events from now on.
        unregister: Tells an endpoint, by its id, of nothing more; an unknown one is fine.
        step: Lets the next due thing happen; returns whether there was one. Told True while
            somebody turns the hands of the clock: then time does not pass by itself.
        prune: Forgets some of what is too old; returns whether there may be more.
        bell: Rung when something may have become due.
    """

    title: str
    hint: str
    paths: tuple[str, ...]
    api: ASGIApp
    pages: Sequence[BaseRoute]
    control: Provider
    outbox: Outbox
    pack: Callable[[Delivery], Parcel | None]
    register: Register
    unregister: Callable[[str], None]
    step: Callable[[bool], bool]
    prune: Callable[[], bool]
    bell: asyncio.Event
