"""An endpoint that takes webhooks over real HTTP and keeps what came."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import stripe

SECRET = "whsec_receiver"


@dataclass
class Receiver:
    """What came to an endpoint, in order.

    Attributes:
        url: Where it listens.
        secret: What deliveries must be signed with.
        answer: Returns the status of the answer to one more delivery.
        events: What came, verified.
    """

    url: str
    secret: str = SECRET
    answer: Callable[[], int] = lambda: 200
    events: list[stripe.Event] = field(default_factory=list)
    came: threading.Condition = field(default_factory=threading.Condition)

    def ids(self) -> list[str]:
        """Return the ids of what came."""
        return [event.id for event in self.events]

    def types(self) -> list[str]:
        """Return the types of what came."""
        return [event.type for event in self.events]

    def wait_for(self, number: int) -> list[stripe.Event]:
        """Return everything that came, as soon as there are so many."""
        with self.came:
            assert self.came.wait_for(lambda: len(self.events) >= number, timeout=30)
            return list(self.events)

    def take(self, body: bytes, signature: str) -> int:
        """Verify and keep a delivery; return the status to answer with."""
        event = stripe.Webhook.construct_event(body, signature, self.secret)
        with self.came:
            self.events.append(event)
            self.came.notify_all()
        return self.answer()


@contextmanager
def receiving(port: int = 0) -> Iterator[Receiver]:
    """Listen on a port, a free one when 0."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(receiver.take(body, self.headers["Stripe-Signature"]))
            self.send_header("Location", receiver.url)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            """Welcome whoever follows a redirect, which is no delivery."""
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    receiver = Receiver(f"http://127.0.0.1:{server.server_port}/hook")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
