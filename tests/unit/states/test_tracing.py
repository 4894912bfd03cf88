"""What somebody does on a page can be followed through the log, as a request can."""

import asyncio

import reflex as rx
import structlog
from reflex.app_mixins.middleware import MiddlewareMixin
from reflex.event import Event

from billing_ui.states.tracing import EventIds


async def handled(name: str) -> dict[str, object]:
    """Return what a handler's log lines carry, handled in a task of its own as Reflex does."""
    app = MiddlewareMixin()
    app.add_middleware(EventIds())

    async def handle() -> dict[str, object]:
        event = Event(name=name, payload={"password": "s3cr3t"})
        assert await app._preprocess(rx.State(), event) is None
        return structlog.contextvars.get_contextvars()

    return await asyncio.create_task(handle())


async def test_each_event_has_an_id_of_its_own_and_says_its_handler_and_nothing_it_was_sent() -> (
    None
):
    first, second = await handled("pricing.choose"), await handled("billing.refresh")
    assert first["handler"] == "pricing.choose"
    assert len(str(first["request_id"])) == 32
    assert first["request_id"] != second["request_id"]
    assert set(first) == {"request_id", "handler"}
    assert structlog.contextvars.get_contextvars() == {}
