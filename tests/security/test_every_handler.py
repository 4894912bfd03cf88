"""Every event handler of every state, found by looking, called by those who may not: nothing shown, nothing done.

A browser can call any handler with any argument, whatever page it is on. A new handler is in here by itself; one with
an argument of a new name asks for something to call it with.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import pytest
import reflex as rx
from reflex.event import EventHandler
from sqlalchemy import select as sql_select
from sqlmodel import select

from billing_ui.accounts.audit import OPERATOR
from billing_ui.accounts.links import make_link
from billing_ui.accounts.permissions import Scope
from billing_ui.accounts.provisioning import ToldMember, provision_team
from billing_ui.accounts.sessions import identify, sign_in_as, sign_out
from billing_ui.accounts.teams import add_member, create_team
from billing_ui.accounts.tokens import create_token
from billing_ui.accounts.users import create_user
from billing_ui.billing.catalog import refresh_catalog
from billing_ui.billing.portal import open_portal
from billing_ui.billing.services import Services, install_services
from billing_ui.billing.sync import sync_customer
from billing_ui.database import Database
from billing_ui.models import (
    AuthSession,
    Customer,
    LinkKind,
    OneTimeLink,
    PortalVisit,
    Role,
    SQLModel,
)
from billing_ui.payments.types import SnapshotCustomer
from tests.handlers import all_handlers, all_states, argument_names
from tests.unit.billing.conftest import make_settings
from tests.unit.billing.factories import TEAM, card, catalog, invoice, snapshot, subscription
from tests.unit.billing.fake_driver import FakeDriver, FakeDrivers
from tests.unit.states.tab import Tab

TEAM_NAME: Final = "Canary & Sons"
OWNER: Final = "canary-owner@acme.example"
TOKEN_NAME: Final = "canary token"
INVITED: Final = "canary-invited@acme.example"
BILLING: Final = (
    "CANARY-00",
    "4207",
    "files.canary.example",
    "canary-billing@acme.example",
    "480.0",
)
"""Of invoices, card, files, billing details, and the plan's amount with its seats."""
PRIVATE: Final = (TEAM_NAME, "canary-", "Canary", TOKEN_NAME, *BILLING)
"""What stands in the team's data and nowhere else; not even the beginning of it may be seen elsewhere."""
ONLY_WITH_RIGHTS: Final = (*BILLING[:-1], TOKEN_NAME, INVITED)
"""What a plain member of the team does not see either; the plan itself they do."""

THEIR_OWN_BUSINESS: Final = {
    "TeamState.leave": "anybody may leave a team",
    "AccountState.sign_out_everywhere": "it ends their own sessions",
    "ViewerState.switch_team": "which of their teams they look at",
}
"""What a plain member may change, and why."""

HANDLERS: Final = [
    pytest.param(handler, id=f"{state.__name__}.{name}") for state, name, handler in all_handlers()
]


@dataclass
class Installation:
    """One team with all there is to see, and what those who may not see it could name."""

    services: Services
    driver: FakeDriver
    team_id: UUID
    owner: str
    """The token of the owner's session."""
    ids: dict[str, str]
    """What arguments of handlers can name of the team's, by the argument's name."""

    async def member(self) -> str:
        """Return the session token of a plain member."""
        database = self.services.database
        user = await create_user(database, "plain@member.example", None)
        await add_member(database, self.team_id, user.id, Role.MEMBER)
        return await sign_in_as(database, user.id)

    async def stranger(self) -> str:
        """Return the session token of another team's owner."""
        database = self.services.database
        user = await create_user(database, "owner@elsewhere.example", None)
        team = await create_team(database, "Elsewhere")
        await add_member(database, team.id, user.id, Role.OWNER)
        return await sign_in_as(database, user.id)

    def arguments(self, handler: EventHandler) -> list[Any]:
        """Return the worst that can be sent to a handler: what is the team's own."""
        if handler.fn.__name__ == "setvar":
            return ["team_name", TEAM_NAME[::-1]]
        names = argument_names(handler)
        unknown = set(names) - set(self.ids) - {"form"}
        assert not unknown, f"say in `ids` what to call a handler with for {unknown}"
        form: dict[str, str] = {
            "email": "new@member.example",
            "role": "owner",
            "name": "stolen",
            "lifetime": "30",
            **{scope.value: "on" for scope in Scope},
        }
        return [form if name == "form" else self.ids[name] for name in names]

    async def rows(self) -> dict[str, set[str]]:
        """Return every row of every table, as text; only when somebody was last seen is left out."""
        found: dict[str, set[str]] = {}
        async with self.services.database.read() as session:
            for table in SQLModel.metadata.sorted_tables:
                columns = [column for column in table.columns if column.name != "last_seen_at"]
                rows = await session.exec(sql_select(*columns))  # type: ignore[call-overload]
                found[table.name] = {str(tuple(row)) for row in rows}
        return found


@dataclass(frozen=True)
class Prepared:
    """A database with the team in it, to be copied, and what there is to know of it."""

    file: Path
    team_id: UUID
    owner: str
    ids: dict[str, str]


@pytest.fixture(scope="module")
def prepared(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """The team, its account, a link, a token and a visit."""
    file = tmp_path_factory.mktemp("team") / "billing.db"
    shutil.copy(migrated_sqlite, file)
    # In a thread, where no loop runs yet.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, _prepare(file)).result()


async def _prepare(file: Path) -> Prepared:
    async with _opened(file) as (services, _):
        return await _filled(services, file)


@pytest.fixture
async def installation(prepared: Prepared, tmp_path: Path) -> AsyncIterator[Installation]:
    """A copy of all that, before a provider in memory."""
    file = tmp_path / "billing.db"
    shutil.copy(prepared.file, file)
    async with _opened(file) as (services, driver):
        install_services(services)
        yield Installation(services, driver, prepared.team_id, prepared.owner, prepared.ids)
        install_services(None)


@asynccontextmanager
async def _opened(file: Path) -> AsyncIterator[tuple[Services, FakeDriver]]:
    driver = FakeDriver()
    driver.catalog = catalog()
    driver.has(
        snapshot(
            subscription(TEAM, 24),
            customer=SnapshotCustomer(
                id="cus_1", name=TEAM_NAME, email="canary-billing@acme.example"
            ),
            payment_methods=(card("4207"),),
            invoices=tuple(
                invoice(
                    number,
                    number=f"CANARY-00{number:02}",
                    pdf_url=f"https://files.canary.example/{number}.pdf",
                )
                for number in range(1, 21)
            ),
        )
    )
    settings = make_settings()
    database = Database(f"sqlite+aiosqlite:///{file}")
    yield Services(settings, database, FakeDrivers(settings, driver)), driver
    await database.close()


async def _filled(services: Services, file: Path) -> Prepared:
    database = services.database
    await refresh_catalog(services)
    told = [ToldMember(Role.OWNER, "u-canary", OWNER, "Canary Owner")]
    provisioned = await provision_team(database, OPERATOR, "t-canary", TEAM_NAME, told)
    team_id, user_id = provisioned.team.id, provisioned.members[0].user.id
    async with database.write() as session:
        customer = Customer(team_id=team_id, provider="stripe", provider_customer_id="cus_1")
        session.add(customer)
        await make_link(
            session,
            LinkKind.INVITATION,
            team_id=team_id,
            email=INVITED,
            role=Role.OWNER,
            created_by=user_id,
        )
    await sync_customer(services, customer.id)
    made = await create_token(
        database,
        team_id=team_id,
        actor=OPERATOR,
        name=TOKEN_NAME,
        scopes=frozenset(Scope),
        lifetime=timedelta(days=30),
    )
    owner = await sign_in_as(database, user_id)
    identity = await identify(database, owner)
    assert identity is not None
    await open_portal(services, identity, "/settings/billing")
    async with database.read() as session:
        link = (await session.exec(select(OneTimeLink.id))).one()
        visit = (await session.exec(select(PortalVisit.id))).one()
        signed_in = (await session.exec(select(AuthSession.id))).one()
    ids = {
        "team_id": str(team_id),
        "user_id": str(user_id),
        "session_id": str(signed_in),
        "invitation_id": str(link),
        "visit": str(visit),
        "key": str(made.token.id),
        "token": "A" * 43,
        "role": "owner",
        "kind": "people",
        "period": "30",
        "person": "canary",
        "code": "eur",
        "text": "7",
        "product_id": "prod_pro",
    }
    return Prepared(file, team_id, owner, ids)


def _tab(installation: Installation, token: str | None, handler: EventHandler) -> Tab:
    """Return a tab on the page that leads a visitor to most: where one comes back from the team's portal visit."""
    return Tab(token, path=f"/settings/billing/return?visit={installation.ids['visit']}")


def _state_of(handler: EventHandler) -> type[rx.State]:
    state = handler.state
    assert state is not None
    assert issubclass(state, rx.State)
    return state


async def _call(tab: Tab, installation: Installation, handler: EventHandler) -> str:
    """Call a handler, and return all that the browser could be sent of it: state, and what it is to do next."""
    try:
        asked = await tab.send(handler, *installation.arguments(handler))
    except AttributeError:
        # There is nothing behind `setvar`: no var of ours has a setter.
        assert handler.fn.__name__ == "setvar"
        asked = None
    return tab.sent() + str(asked)


def _changed(before: dict[str, set[str]], after: dict[str, set[str]]) -> dict[str, set[str]]:
    return {table: after[table] ^ before[table] for table in after if after[table] != before[table]}


def _seen(shown: str, secrets: tuple[str, ...]) -> list[str]:
    return [secret for secret in secrets if secret in shown]


async def test_there_is_something_to_see_for_whoever_may(installation: Installation) -> None:
    shown = ""
    for state in all_states():
        load = state.event_handlers.get("load")
        if load is not None and state.__name__ not in ("ReturnState", "SignInState", "HomeState"):
            tab = Tab(installation.owner)
            await tab.send(load)
            shown += tab.sent()
    assert _seen(shown, (*ONLY_WITH_RIGHTS, TEAM_NAME, OWNER)) == [
        *ONLY_WITH_RIGHTS,
        TEAM_NAME,
        OWNER,
    ]


@pytest.mark.parametrize("handler", HANDLERS)
async def test_nobody_sees_or_changes_anything(
    handler: EventHandler, installation: Installation
) -> None:
    before = await installation.rows()
    tab = _tab(installation, None, handler)

    shown = await _call(tab, installation, handler)

    assert _seen(shown, PRIVATE) == []
    assert installation.driver.calls == []
    changed = _changed(before, await installation.rows())
    if _state_of(handler).__name__ == "ReturnState":
        # Whoever comes back without a session makes the customer be looked at again, and learns nothing of it.
        changed.pop("customer", None)
    assert changed == {}


@pytest.mark.parametrize("handler", HANDLERS)
async def test_a_session_that_was_revoked_loses_what_it_saw_and_does_nothing(
    handler: EventHandler, installation: Installation
) -> None:
    state = _state_of(handler)
    tab = _tab(installation, installation.owner, handler)
    if (load := state.event_handlers.get("load")) is not None:
        await tab.send(load)
    await sign_out(installation.services.database, installation.owner)
    installation.driver.calls.clear()
    before = await installation.rows()

    asked = await _call(tab, installation, handler)

    shown = str((await tab.state(state)).dict()) + asked.removeprefix(tab.sent())
    if handler.fn.__name__ != "setvar":
        assert _seen(shown, PRIVATE) == []
    assert installation.driver.calls == []
    changed = _changed(before, await installation.rows())
    if state.__name__ == "ReturnState":
        changed.pop("customer", None)
    assert changed == {}


@pytest.mark.parametrize("handler", HANDLERS)
async def test_another_teams_owner_sees_and_changes_nothing_of_this_one(
    handler: EventHandler, installation: Installation
) -> None:
    tab = _tab(installation, await installation.stranger(), handler)
    before = await installation.rows()

    shown = await _call(tab, installation, handler)

    assert _seen(shown, PRIVATE) == []
    assert "cus_1" not in str(installation.driver.calls)
    theirs = {str(installation.team_id), installation.team_id.hex, installation.ids["user_id"]}
    changed = _changed(before, await installation.rows())
    touched = [
        row for rows in changed.values() for row in rows if any(one in row for one in theirs)
    ]
    assert touched == []


@pytest.mark.parametrize("handler", HANDLERS)
async def test_a_plain_member_sees_no_billing_and_changes_nothing_but_their_own(
    handler: EventHandler, installation: Installation
) -> None:
    tab = _tab(installation, await installation.member(), handler)
    before = await installation.rows()

    shown = await _call(tab, installation, handler)

    assert _seen(shown, ONLY_WITH_RIGHTS) == []
    assert "/departures/" not in shown
    assert (installation.driver.portals, installation.driver.checkouts) == ([], [])
    name = f"{_state_of(handler).__name__}.{handler.fn.__name__}"
    if name not in THEIR_OWN_BUSINESS:
        changed = _changed(before, await installation.rows())
        if _state_of(handler).__name__ == "ReturnState":
            changed.pop("customer", None)
        assert changed == {}


@pytest.mark.parametrize("name", THEIR_OWN_BUSINESS)
def test_each_exception_is_still_one(name: str) -> None:
    assert name in [handler.id for handler in HANDLERS]
