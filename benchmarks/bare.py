"""The bare loops over HTTP: the least that does the same work, on the same server as the application.

Each is an ASGI application made from environment variables: `python -m benchmarks.bare portal PORT`.
"""

import os
import sys
from typing import Final

import stripe
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from benchmarks.provider import CONFIGURATION, CUSTOMER

PORTAL_PATH: Final = "/portal"


def portal() -> Starlette:
    """Return a route that asks the SDK, with its fastest client, for a portal session."""
    client: stripe.StripeClient | None = None

    async def open_portal(request: Request) -> JSONResponse:
        nonlocal client
        # Its connections belong to the event loop of the first request.
        client = client or stripe.StripeClient(
            "sk_test_benchmark",
            base_addresses={"api": os.environ["STRIPE_API_BASE"]},
            http_client=stripe.AIOHTTPClient(),
            max_network_retries=2,
        )
        body = await request.json()
        session = await client.v1.billing_portal.sessions.create_async(
            {
                "customer": CUSTOMER,
                "configuration": CONFIGURATION,
                "return_url": f"http://localhost{body['returnUrl']}",
            }
        )
        return JSONResponse({"url": session.url})

    return Starlette(routes=[Route(PORTAL_PATH, open_portal, methods=["POST"])])


def _serve(name: str, port: int) -> None:
    # The server and its settings are those of `reflex run --env prod`.
    from granian.constants import Interfaces
    from granian.log import LogLevels
    from granian.server import Server

    Server(
        target=f"benchmarks.bare:{name}",
        factory=True,
        address="127.0.0.1",
        port=port,
        interface=Interfaces.ASGI,
        log_level=LogLevels.warning,
        workers=1,
    ).serve()


if __name__ == "__main__":
    _serve(sys.argv[1], int(sys.argv[2]))
