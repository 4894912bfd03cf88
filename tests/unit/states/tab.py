"""A browser tab without a browser: the state tree, the cookie of its handshake, and its events."""

import inspect
import json
from http.cookies import SimpleCookie
from typing import Any, TypeVar

import reflex as rx
import wrapt
from reflex.event import EventHandler, EventSpec
from reflex.istate.data import RouterData
from reflex.utils.format import json_dumps

S = TypeVar("S", bound=rx.State)


class _InBackground(wrapt.ObjectProxy):  # type: ignore[type-arg]
    """What a background handler is given: a state that can be locked."""

    async def __aenter__(self) -> "_InBackground":
        return self

    async def __aexit__(self, *_: object) -> None:
        return None


class Tab:
    """One tab, opened with a session's token, or with None by somebody who is not signed in."""

    def __init__(
        self, token: str | None, *, path: str = "/settings/billing", language: str = "en-US"
    ) -> None:
        self.root = rx.State()
        self.sign_in(token, path=path, language=language)

    def sign_in(
        self, token: str | None, *, path: str = "/settings/billing", language: str = "en-US"
    ) -> None:
        """Load the document anew: the state stays, the cookie is another one."""
        cookie: SimpleCookie = SimpleCookie()
        if token is not None:
            cookie["billing_session"] = token
        headers = {
            "cookie": cookie.output(header="", sep=";").strip(),
            "accept-language": language,
            "origin": "http://localhost:3000",
        }
        pathname, _, query = path.partition("?")
        self.root.router = RouterData.from_router_data(
            {
                "headers": headers,
                "pathname": pathname,
                "asPath": path,
                "query": dict(pair.split("=", 1) for pair in query.split("&") if pair),
            }
        )

    async def state(self, of: type[S]) -> S:
        """Return the tab's state of a class."""
        return await self.root.get_state(of)

    async def send(self, handler: Any, *arguments: Any) -> EventSpec | EventHandler | None:
        """Let the browser send an event; returns what its handler asks for next.

        Args:
            handler: such as `BillingState.load`, of which types tell other than the handler it is.
            arguments: what the browser sends with it.
        """
        assert isinstance(handler, EventHandler)
        cls = handler.state
        assert cls is not None
        state: Any = await self.root.get_state(cls)
        if handler.is_background:
            state = _InBackground(state)
        answer = handler.fn(state, *arguments)
        asked: EventSpec | EventHandler | None = (
            await answer if inspect.isawaitable(answer) else answer
        )
        return asked

    def sent(self) -> str:
        """Return everything the server would send to this browser, as the text it is on the wire."""
        return json_dumps(self.root.dict())

    def shown(self) -> Any:
        """Return the same, parsed."""
        return json.loads(self.sent())


def redirect_of(event: EventSpec | EventHandler | None) -> str | None:
    """Return where an event redirects to, or None when it is no redirect."""
    if not isinstance(event, EventSpec) or event.handler.fn.__qualname__ != "_redirect":
        return None
    arguments = {str(name): json.loads(str(value)) for name, value in event.args}
    path: str = arguments["path"]
    return path
