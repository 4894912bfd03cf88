"""The part of the control API that is about webhooks: endpoints, their queue, and faults on the way.

GET, POST  /_control/webhooks         {"url", "secret", "events", "id"}
DELETE     /_control/webhooks/{id}
POST       /_control/webhooks/flush   {}
GET, POST, DELETE /_control/webhook_faults   {"kind", "times", "probability", "seconds", "types"}
"""

from collections.abc import Callable

from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from billing_ui.sandbox.core.control import Json, Strict, guarded, parsed
from billing_ui.sandbox.core.courier import Courier
from billing_ui.sandbox.core.delivery_faults import (
    DeliveryFault,
    DeliveryFaultKind,
    DeliveryFaults,
)
from billing_ui.sandbox.core.outbox import Outbox

Register = Callable[[str, str, list[str], str | None], Json]
"""Takes URL, secret, event types and id; returns the endpoint. The same id or URL stays one endpoint."""


class NewEndpoint(Strict):
    """An endpoint whose secret is known beforehand; one with an `id` can move to another URL."""

    url: str
    secret: str = Field(min_length=1)
    events: list[str] = Field(default=["*"])
    id: str | None = None


class NewDeliveryFault(Strict):
    """A webhook fault to put in force; see `DeliveryFault`."""

    kind: DeliveryFaultKind
    times: int | None = Field(default=None, ge=1)
    probability: float = Field(default=1.0, ge=0, le=1)
    seconds: float = Field(default=1.0, ge=0)
    types: list[str] | None = None


def routes(
    register: Register,
    unregister: Callable[[str], None],
    outbox: Outbox,
    courier: Courier,
    faults: DeliveryFaults,
) -> list[BaseRoute]:
    """Return the routes under `/_control` that are about webhooks."""

    async def add_endpoint(request: Request) -> Response:
        wish = await parsed(request, NewEndpoint)
        return JSONResponse(register(wish.url, wish.secret, wish.events, wish.id))

    async def remove_endpoint(request: Request) -> Response:
        unregister(request.path_params["id"])
        return JSONResponse({"told": False})

    async def show_queue(request: Request) -> Response:
        return JSONResponse(outbox.counts())

    async def flush(request: Request) -> Response:
        await courier.flush()
        return JSONResponse(outbox.counts())

    async def add_fault(request: Request) -> Response:
        wish = await parsed(request, NewDeliveryFault)
        faults.add(DeliveryFault(**wish.model_dump()))
        return JSONResponse({"faults": faults.listed()})

    async def list_faults(request: Request) -> Response:
        return JSONResponse({"faults": faults.listed()})

    async def clear_faults(request: Request) -> Response:
        faults.clear()
        return JSONResponse({"faults": []})

    return [
        Route("/_control/webhooks", show_queue, methods=["GET"]),
        Route("/_control/webhooks", guarded(add_endpoint), methods=["POST"]),
        Route("/_control/webhooks/flush", guarded(flush), methods=["POST"]),
        Route("/_control/webhooks/{id}", remove_endpoint, methods=["DELETE"]),
        Route("/_control/webhook_faults", list_faults, methods=["GET"]),
        Route("/_control/webhook_faults", guarded(add_fault), methods=["POST"]),
        Route("/_control/webhook_faults", clear_faults, methods=["DELETE"]),
    ]
