"""Every event handler called over a real websocket by those who may not: no frame holds what is a team's own.

A client of somebody's own making speaks to the running application as the browser's script does, with a cookie or
without one, and calls what no page of theirs would. Which handlers there are is found by looking.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Final
from uuid import uuid4

import pytest_asyncio
import socketio  # type: ignore[import-untyped]
from reflex.event import EventHandler
from sqlmodel import select

from billing_ui.accounts.audit import OPERATOR
from billing_ui.accounts.permissions import Scope
from billing_ui.accounts.sessions import sign_in_as, sign_out
from billing_ui.accounts.tokens import create_token
from billing_ui.models import Invoice, PaymentMethod, Role
from billing_ui.states.sign_in import SignInState
from tests.e2e.factories import Person, World
from tests.e2e.server import Server
from tests.e2e.visitors import BILLING
from tests.handlers import all_handlers, argument_names

_NAMESPACE: Final = "/_event"
_PATIENCE_SECONDS: Final = 30.0

_ENDS_IT: Final = ("leave", "sign_out_everywhere")
"""After these whoever calls is in no team or has no session, and hears nothing more of anything."""


def _turn(handler: EventHandler) -> int:
    """Return when to call a handler: first what goes on in the background, and last what ends everything."""
    return 0 if handler.is_background else 2 if handler.fn.__name__ in _ENDS_IT else 1


HANDLERS: Final = sorted(
    (handler for _, name, handler in all_handlers() if name != "setvar"),
    key=_turn,
)


def _name(handler: EventHandler) -> str:
    state = handler.state
    assert state is not None
    return f"{state.get_full_name()}.{handler.fn.__name__}"


class Intruder:
    """A websocket of one tab, and everything that came over it."""

    def __init__(self, client: socketio.AsyncClient) -> None:
        """Hear what `client` is sent."""
        self.heard: list[str] = []
        self._client = client
        self._answered = asyncio.Event()
        client.on("event", self._hear, namespace=_NAMESPACE)

    def _hear(self, update: dict[str, Any] | str) -> None:
        frame = update if isinstance(update, str) else json.dumps(update)
        self.heard.append(frame)
        if SignInState.get_full_name() in frame:
            self._answered.set()

    async def call(self, handler: EventHandler, payload: dict[str, Any]) -> None:
        """Send one event, and hear all that its handler has to say.

        A tab's events are handled in turn: the answer to another one, which anybody may send, comes after it.
        """
        self._answered.clear()
        await self._send(handler, payload)
        await self._send(SignInState.toggle_password, {})
        await asyncio.wait_for(self._answered.wait(), _PATIENCE_SECONDS)

    async def _send(self, handler: Any, payload: dict[str, Any]) -> None:
        router = {"pathname": BILLING, "asPath": BILLING, "query": {}}
        event = {"name": _name(handler), "payload": payload, "router_data": router}
        await self._client.emit("event", event, namespace=_NAMESPACE)


@asynccontextmanager
async def intruder(server: Server, token: str | None) -> AsyncIterator[Intruder]:
    """Connect as the browser of whoever has this session, or of nobody."""
    client = socketio.AsyncClient(reconnection=False)
    arrived = Intruder(client)
    headers = {"Origin": server.base_url}
    if token is not None:
        headers["Cookie"] = f"billing_session={token}"
    await client.connect(
        f"{server.base_url}?token={uuid4()}",
        headers=headers,
        transports=["websocket"],
        namespaces=[_NAMESPACE],
        socketio_path="_event",
    )
    try:
        yield arrived
    finally:
        await client.disconnect()


@pytest_asyncio.fixture(loop_scope="session")
async def canary(world: World) -> tuple[Person, dict[str, str], dict[str, str]]:
    """A paying team's owner, what of theirs can be named, and what of theirs can be told."""
    owner = await world.subscriber("team", seats=7)
    made = await create_token(
        world.services.database,
        team_id=owner.team_id,
        actor=OPERATOR,
        name=f"canary {uuid4().hex}",
        scopes=frozenset(Scope),
        lifetime=timedelta(days=1),
    )
    row = await world.row(owner)
    async with world.services.database.read() as session:
        bill = (await session.exec(select(Invoice).where(Invoice.customer_id == row.id))).first()
        card = await session.exec(select(PaymentMethod).where(PaymentMethod.customer_id == row.id))
    assert bill is not None
    assert card.first() is not None
    names = {
        "team_id": str(owner.team_id),
        "user_id": str(owner.user_id),
        "session_id": str(uuid4()),
        "invitation_id": str(uuid4()),
        "key": str(made.token.id),
        "token": "A" * 43,
        "role": "owner",
        "kind": "people",
        "period": "30",
        "person": owner.email,
        "code": "eur",
        "text": "7",
        "product_id": "prod_demo_pro",
    }
    private = {
        "customer": owner.customer,
        "invoice": str(bill.number),
        "token's name": made.token.name,
        "pdf": str(bill.pdf_url),
    }
    return owner, names, private


def _payload(handler: EventHandler, names: dict[str, str]) -> dict[str, Any]:
    arguments = argument_names(handler)
    unknown = set(arguments) - set(names) - {"form"}
    assert not unknown, f"say in `names` what to call a handler with for {unknown}"
    form = {"email": "new@example.com", "role": "owner", "name": "stolen", "lifetime": "30"}
    scopes = {scope.value: "on" for scope in Scope}
    return {name: form | scopes if name == "form" else names[name] for name in arguments}


async def _all_that_is_heard(server: Server, token: str | None, names: dict[str, str]) -> str:
    """Call every handler over one websocket; return every frame that came."""
    async with intruder(server, token) as caller:
        for handler in HANDLERS:
            await caller.call(handler, _payload(handler, names))
        return "\n".join(caller.heard)


def _told(heard: str, private: dict[str, str]) -> list[str]:
    return [what for what, text in private.items() if text in heard]


async def test_the_owner_hears_it_so_there_is_something_to_hear(
    server: Server, canary: tuple[Person, dict[str, str], dict[str, str]]
) -> None:
    owner, _, private = canary
    async with intruder(server, owner.token) as caller:
        for handler in HANDLERS:
            if handler.fn.__name__ == "load":
                await caller.call(handler, {})
        heard = "\n".join(caller.heard)
    assert {"invoice", "token's name", "pdf"} <= set(_told(heard, private))
    assert owner.email in heard


async def test_nobody_hears_anything(
    server: Server, canary: tuple[Person, dict[str, str], dict[str, str]]
) -> None:
    owner, names, private = canary
    heard = await _all_that_is_heard(server, None, names)
    assert "/sign-in" in heard
    assert _told(heard, private | {"e-mail": owner.email}) == []


async def test_another_teams_owner_hears_nothing(
    server: Server, world: World, canary: tuple[Person, dict[str, str], dict[str, str]]
) -> None:
    owner, names, private = canary
    stranger = await world.newcomer("Elsewhere")
    # What they search for themselves comes back to them: it is their own word.
    names |= {"person": "somebody"}
    heard = await _all_that_is_heard(server, stranger.token, names)
    assert stranger.email in heard
    assert _told(heard, private | {"e-mail": owner.email}) == []


async def test_a_plain_member_hears_nothing_of_money(
    server: Server, world: World, canary: tuple[Person, dict[str, str], dict[str, str]]
) -> None:
    owner, names, private = canary
    member = await world.colleague(owner.team_id, Role.MEMBER)
    heard = await _all_that_is_heard(server, member.token, names)
    assert member.email in heard
    assert _told(heard, private) == []


async def test_whose_session_was_ended_hears_nothing(
    server: Server, world: World, canary: tuple[Person, dict[str, str], dict[str, str]]
) -> None:
    owner, names, private = canary
    token = await sign_in_as(world.services.database, owner.user_id)
    await sign_out(world.services.database, token)
    heard = await _all_that_is_heard(server, token, names | {"person": ""})
    assert "/sign-in" in heard
    assert _told(heard, private | {"e-mail": owner.email}) == []
