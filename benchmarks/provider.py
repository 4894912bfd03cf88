"""A provider that answers at once: fixed JSON in Stripe's shape, after a given latency.

The sandbox checks and remembers everything, and would be what is measured. `python -m benchmarks.provider PORT MS`.
"""

import asyncio
import json
import sys
from typing import Final

CUSTOMER: Final = "cus_benchmark"
CONFIGURATION: Final = "bpc_benchmark"

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
    "url": "https://billing.example.com/p/session/test_benchmark",
}
_NOTHING: Final = {"object": "list", "data": [], "has_more": False, "url": "/v1/nothing"}


def _answer(document: object) -> bytes:
    body = json.dumps(document).encode()
    head = (
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nRequest-Id: req_benchmark\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


_ANSWERS: Final = {b"POST /v1/billing_portal/sessions": _answer(_SESSION)}
_EMPTY_LIST: Final = _answer(_NOTHING)


class _Provider(asyncio.Protocol):
    """One connection; requests on it come one after the other."""

    def __init__(self, latency: float) -> None:
        self.latency = latency
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
        answer = _ANSWERS.get(target, _EMPTY_LIST)
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
    server = await loop.create_server(lambda: _Provider(latency), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), float(sys.argv[2]) / 1000))
