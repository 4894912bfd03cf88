"""Gives everything that somebody does on a page an id and a client, as every HTTP request has them."""

import structlog
from reflex.app import App
from reflex.event import Event
from reflex.middleware.middleware import Middleware
from reflex.state import BaseState

from billing_ui.accounts.clients import bind_client
from billing_ui.telemetry import new_request_id


class EventIds(Middleware):
    """Binds a new id and the handler's name to the log lines of each event from the browser, and who sent it.

    Each event is handled in a task of its own, background handlers included, so what is bound ends with it.
    """

    async def preprocess(self, app: App, state: BaseState, event: Event) -> None:
        """Begin one event; what the browser sent with it is left out."""
        router = state.router
        bind_client(router.session.client_ip, router.headers.user_agent)
        structlog.contextvars.bind_contextvars(request_id=new_request_id(), handler=event.name)
