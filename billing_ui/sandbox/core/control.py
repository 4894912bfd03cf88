"""The control API: what tests and the demo data need and no provider offers. Never under an API's paths.

All bodies are JSON.

    POST /_control/batch    {"calls": [{"method", "path", "params", "at", "as", "id"}]}
    POST /_control/advance  {"customer", "to"}
    POST /_control/dunning  {"then"}
    POST /_control/seed     {"customers", "subscriptions_per_customer", "invoices_per_customer", …}
    POST /_control/storm    {"customers", "events", "seed"}
    POST /_control/shop     {"do", …}, where the provider is one of those that share a shop
    GET, POST, DELETE /_control/faults   {"kind", "path", "method", "times", …}
    POST /_control/reset    {}
    GET  /_control/health
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from billing_ui.sandbox.core.faults import Fault, Faults, Kind

Json = dict[str, Any]
Outcome = Literal["cancel", "unpaid", "past_due"]
"""What becomes of a subscription once its invoice has been tried in vain for the last time."""
Body = TypeVar("Body", bound="Strict")
Moment = Annotated[int, Field(ge=0, le=253_402_300_799)]
"""Unix seconds until the end of the year 9999, the last one that Python knows."""


class Refusal(Exception):
    """A call that was refused; `body` is the provider's answer and `status` its HTTP status."""

    def __init__(self, status: int, body: Json) -> None:
        super().__init__(str(body))
        self.status = status
        self.body = body


class Call(Protocol):
    """Runs an API operation; raises Refusal."""

    def __call__(
        self, method: str, path: str, params: Json, *, at: int | None, wanted_id: str | None
    ) -> Json:
        """Return the answer."""


class Strict(BaseModel):
    """A body in which nothing unknown is allowed."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class BatchCall(Strict):
    """One call of a batch; `at` is Unix seconds."""

    method: str
    path: str
    params: Json = {}
    at: Moment | None = None
    name: str | None = Field(default=None, alias="as")
    wanted_id: str | None = Field(default=None, alias="id")


class Batch(Strict):
    """Calls to run in order; all of them happen, or none."""

    calls: list[BatchCall]


class Advance(Strict):
    """Let time pass for a customer until a Unix time."""

    customer: str
    to: Moment


class Dunning(Strict):
    """What an account's owner would choose on the provider's own pages."""

    then: Outcome


class Seed(Strict):
    """Many customers at once, created evenly between two Unix times.

    Without `payments` what their invoices were paid by cannot be looked up, which takes half the
    space.
    """

    customers: int = Field(ge=0)
    subscriptions_per_customer: int = Field(default=1, ge=0, le=10)
    invoices_per_customer: int = Field(default=1, ge=0, le=100)
    payments: bool = True
    price: str | None = None
    created_from: Moment | None = None
    created_to: Moment | None = None
    email_domain: str = "example.com"


class Storm(Strict):
    """Many real changes at once, over these customers or over all.

    `events` is how many of them are told of; the same `seed` makes the same choices again.
    """

    customers: list[str] | None = None
    events: int = Field(ge=0)
    seed: int | None = None


class NewFault(Strict):
    """A fault to put in force; see `Fault`."""

    kind: Kind
    path: str = "/"
    method: str | None = None
    times: int | None = Field(default=None, ge=1)
    seconds: float = Field(default=1.0, ge=0)
    status: int = Field(default=500, ge=400, le=599)
    retry_after: int | None = Field(default=None, ge=0)


@dataclass(frozen=True)
class Provider:
    """What a provider lets be controlled.

    Attributes:
        call: Runs an API operation.
        together: Makes everything inside happen, or nothing.
        advance: Lets time pass for a customer until a Unix time; returns how much happened.
        dun: Chooses what becomes of subscriptions whose invoices were tried in vain.
        seed: Inserts in bulk, a chunk for each step of the iterator, which yields counts.
        storm: Makes many changes, one for each step of the iterator, which yields how many events
            there were so far.
        wipe: Forgets everything.
        operate: Does what the body of a request says, an operation that no provider's API has;
            raises Refusal. None where there is no such thing.
    """

    call: Call
    together: Callable[[], AbstractContextManager[None]]
    advance: Callable[[str, int], int]
    dun: Callable[[Outcome], None]
    seed: Callable[[Seed], Iterator[Json]]
    storm: Callable[[Storm], Iterator[int]]
    wipe: Callable[[], None]
    operate: Callable[[bytes], Json] | None = None


def routes(provider: Provider, faults: Faults) -> list[BaseRoute]:
    """Return the routes under `/_control`."""

    async def batch(request: Request) -> Response:
        body = await parsed(request, Batch)
        results: list[Json] = []
        try:
            with provider.together():
                _run(provider.call, body.calls, results)
        except Refusal as refusal:
            refusal.body["failed_call"] = len(results)
            raise
        return JSONResponse({"results": results})

    async def advance(request: Request) -> Response:
        body = await parsed(request, Advance)
        return JSONResponse({"happened": provider.advance(body.customer, body.to)})

    async def dunning(request: Request) -> Response:
        body = await parsed(request, Dunning)
        provider.dun(body.then)
        return JSONResponse({"then": body.then})

    async def seed(request: Request) -> Response:
        wish, started = await parsed(request, Seed), time.perf_counter()
        counts: Json = {}
        for so_far in provider.seed(wish):
            counts = so_far
            await asyncio.sleep(0)  # others are served between two chunks
        return JSONResponse({**counts, "seconds": round(time.perf_counter() - started, 3)})

    async def storm(request: Request) -> Response:
        wish, started = await parsed(request, Storm), time.perf_counter()
        events = changes = 0
        for changes, events in enumerate(provider.storm(wish), start=1):  # noqa: B007 - the last
            await asyncio.sleep(0)  # deliveries and others go on meanwhile
        seconds = round(time.perf_counter() - started, 3)
        return JSONResponse({"events": events, "changes": changes, "seconds": seconds})

    async def operate(request: Request) -> Response:
        if provider.operate is None:
            raise Refusal(404, {"error": "This provider has no shop of that kind."})
        return JSONResponse(provider.operate(await request.body()))

    async def add_fault(request: Request) -> Response:
        body = await parsed(request, NewFault)
        try:
            re.compile(body.path)
        except re.error as error:
            return JSONResponse({"error": f"path: {error}"}, 400)
        faults.add(Fault(**body.model_dump()))
        return JSONResponse({"faults": faults.listed()})

    async def list_faults(request: Request) -> Response:
        return JSONResponse({"faults": faults.listed()})

    async def clear_faults(request: Request) -> Response:
        faults.clear()
        return JSONResponse({"faults": []})

    async def reset(request: Request) -> Response:
        provider.wipe()
        faults.clear()
        return JSONResponse({"reset": True})

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    def post(path: str, endpoint: Callable[[Request], Awaitable[Response]]) -> Route:
        return Route(f"/_control/{path}", guarded(endpoint), methods=["POST"])

    return [
        post("batch", batch),
        post("advance", advance),
        post("dunning", dunning),
        post("seed", seed),
        post("storm", storm),
        post("shop", operate),
        post("faults", add_fault),
        post("reset", reset),
        Route("/_control/faults", list_faults, methods=["GET"]),
        Route("/_control/faults", clear_faults, methods=["DELETE"]),
        Route("/_control/health", health, methods=["GET"]),
    ]


async def parsed(request: Request, model: type[Body]) -> Body:
    """Return the body of a request; raises Refusal when it is not what it should be."""
    return read(await request.body(), model)


def read(body: bytes, model: type[Body]) -> Body:
    """Return what JSON says; raises Refusal when it is not what it should be."""
    try:
        return model.model_validate_json(body)
    except ValidationError as problem:
        first = problem.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "body"
        raise Refusal(400, {"error": f"{where}: {first['msg']}"}) from None


def guarded(
    endpoint: Callable[[Request], Awaitable[Response]],
) -> Callable[[Request], Awaitable[Response]]:
    """Take JSON only: a foreign web page cannot send that without asking first."""

    async def guarded(request: Request) -> Response:
        kind = request.headers.get("content-type", "").partition(";")[0]
        if kind != "application/json":
            return JSONResponse({"error": "Send application/json."}, 415)
        try:
            return await endpoint(request)
        except Refusal as refusal:
            return JSONResponse(refusal.body, refusal.status)

    return guarded


REFERENCE = re.compile(r"\{([A-Za-z_]\w*)((?:\.\w+)*)\}")


def _run(call: Call, calls: list[BatchCall], results: list[Json]) -> None:
    named: dict[str, Json] = {}
    for entry in calls:
        path, params = _filled(entry.path, named), _filled(entry.params, named)
        answer = call(entry.method, path, params, at=entry.at, wanted_id=entry.wanted_id)
        results.append(answer)
        if entry.name:
            named[entry.name] = answer


def _filled(value: Any, named: dict[str, Json]) -> Any:
    """Return a value in which `{name.items.data.0.id}` is replaced by what an earlier call gave."""
    if isinstance(value, dict):
        return {key: _filled(item, named) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, named) for item in value]
    if isinstance(value, str):
        return REFERENCE.sub(lambda match: _looked_up(match, named), value)
    return value


def _looked_up(match: re.Match[str], named: dict[str, Json]) -> str:
    name, path = match.groups()
    if name not in named:
        return match.group()  # such as {CHECKOUT_SESSION_ID}, which is the provider's
    value: Any = named[name]
    for part in path.split(".")[1:]:
        try:
            value = value[int(part)] if isinstance(value, list) else value[part]
        except (KeyError, IndexError, ValueError, TypeError):
            raise Refusal(400, {"error": f"{match.group()}: there is no {part}"}) from None
    return str(value)
