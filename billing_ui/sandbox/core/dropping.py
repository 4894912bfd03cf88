"""Dropping a connection instead of answering, which only the server itself can do."""

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

ABORT = "billing_ui.sandbox.abort"
"""The ASGI extension by which the server offers to drop a connection."""


class DroppedConnection(Response):
    """No answer: the connection is closed under the caller's feet."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Close the connection."""
        scope["extensions"][ABORT]["connection"]()
        # The server takes the request for unanswered until it has noticed.
        while (await receive())["type"] != "http.disconnect":
            pass
