"""A provider that answers at once: fixed JSON in Stripe's shape, after a given latency.

The sandbox checks and remembers everything, and would be what is measured. `python -m benchmarks.provider PORT MS`.
"""

import asyncio
import json
import sys
import time
from typing import Final

CUSTOMER: Final = "cus_benchmark"
CONFIGURATION: Final = "bpc_benchmark"

HOSTED: Final = "/p/session/test_benchmark"
"""The path of its portal, whose page tells when it was asked for, in milliseconds since 1970."""

_SESSION: Final = {
    "id": "bps_benchmark",
    "object": "billing_portal.session",
    "configuration": CONFIGURATION,
    "created": 1_767_225_600,
    "customer": CUSTOMER,
    "customer_account": None,
    "flow": None,
    "livemode": False,
    "locale": None,
    "on_behalf_of": None,
    "return_url": "http://localhost/settings/billing",
}
_NOTHING: Final = {"object": "list", "data": [], "has_more": False, "url": "/v1/nothing"}


def _answer(document: object) -> bytes:
    return _response("application/json", json.dumps(document))


def _response(kind: str, text: str) -> bytes:
    body = text.encode()
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nRequest-Id: req_benchmark\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


_START_SESSION: Final = b"POST /v1/billing_portal/sessions"
_EMPTY_LIST: Final = _answer(_NOTHING)


class _Provider(asyncio.Protocol):
    """One connection; requests on it come one after the other."""

    def __init__(self, latency: float, session: bytes) -> None:
        self.latency = latency
        self.session = session
        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, separator, body = self.received.partition(b"\r\n\r\n")
        if not separator or len(body) < _body_length(head):
            return
        self.received = b""
        target = head.partition(b" HTTP/1.1")[0].partition(b"?")[0]
        if target == b"GET " + HOSTED.encode():
            self.transport.write(_response("text/html", f"<p>{time.time() * 1000}</p>"))
            return
        answer = self.session if target == _START_SESSION else _EMPTY_LIST
        if self.latency:
            asyncio.get_running_loop().call_later(self.latency, self.transport.write, answer)
        else:
            self.transport.write(answer)


def _body_length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


async def _serve(port: int, latency: float) -> None:
    loop = asyncio.get_running_loop()
    session = _answer({**_SESSION, "url": f"http://127.0.0.1:{port}{HOSTED}"})
    server = await loop.create_server(lambda: _Provider(latency, session), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), float(sys.argv[2]) / 1000))
