"""`python -m billing_ui.sandbox`: run the sandbox on this machine's loopback address."""

import argparse
import asyncio
import os
import socket
import sys
import threading
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from billing_ui.sandbox.core.dropping import ABORT
from billing_ui.sandbox.server import PROVIDERS, build_app

HOST = "127.0.0.1"
GRACE_SECONDS = 3
"""How long a slow answer may hold up the end."""


class DroppableProtocol(H11Protocol):
    """HTTP whose application may drop the connection instead of answering."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Offer each request the means to drop this connection."""
        super().connection_made(transport)
        app: ASGIApp = self.app

        async def droppable(scope: Scope, receive: Receive, send: Send) -> None:
            scope.setdefault("extensions", {})[ABORT] = {"connection": transport.abort}
            await app(scope, receive, send)

        self.app = droppable


def main() -> int:
    """Serve until told to stop; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m billing_ui.sandbox", description=__doc__)
    parser.add_argument("--port", type=int, default=8420)
    parser.add_argument(
        "--database",
        type=Path,
        help="the SQLite file; sandbox.db by default, sandbox-polar.db for Polar and so on",
    )
    parser.add_argument("--provider", choices=PROVIDERS, default="stripe", help="who is imitated")
    parser.add_argument("--name", default="Acme Cloud", help="the seller on hosted pages")
    parser.add_argument(
        "--exit-with-stdin",
        action="store_true",
        help="end when the standard input closes, so as not to outlive the parent",
    )
    options = parser.parse_args()
    # The protocol is named because asyncio switches off the delay of small packets only then.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, options.port))
    except OSError as error:
        sys.stderr.write(f"The sandbox cannot listen on {HOST}:{options.port}: {error.strerror}.\n")
        return 1
    origin = f"http://{HOST}:{listener.getsockname()[1]}"
    stripe = options.provider == "stripe"
    database = options.database or Path(f"sandbox{'' if stripe else f'-{options.provider}'}.db")
    app = build_app(database, origin, options.name, options.provider)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            http=DroppableProtocol,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
    )
    if options.exit_with_stdin:
        threading.Thread(target=_end_with_stdin, args=(server,), daemon=True).start()
    listener.listen(2048)
    sys.stdout.write(f"Sandbox listening on {origin}\n")
    sys.stdout.flush()
    server.run(sockets=[listener])
    return 0


def _end_with_stdin(server: uvicorn.Server) -> None:
    # Not sys.stdin: its lock would keep the interpreter from ending while this thread reads.
    while os.read(0, 4096):
        pass
    server.should_exit = True


if __name__ == "__main__":
    sys.exit(main())
