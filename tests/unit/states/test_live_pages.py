"""Which open pages are shown anew, and when; on a Reflex app reduced to its tabs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast
from uuid import uuid4

import pytest
import reflex as rx
import structlog
from reflex.istate.data import RouterData
from sqlalchemy import update
from sqlmodel import col

from billing_ui import metrics
from billing_ui.accounts.sessions import Identity, sign_out
from billing_ui.accounts.teams import add_member, create_team
from billing_ui.billing.live import NewsMissed
from billing_ui.billing.services import Services
from billing_ui.billing.sync import sync_customer
from billing_ui.clock import utc_now
from billing_ui.models import Customer, Membership, Role
from billing_ui.states import live_pages
from billing_ui.states.billing import BillingState
from billing_ui.states.live_pages import OpenPages
from billing_ui.states.pricing import PricingState
from tests.unit.billing.factories import PRO, TEAM, Account, snapshot, subscription
from tests.unit.billing.fake_driver import FakeDriver
from tests.unit.states.tab import Tab

PATIENCE_SECONDS = 20


@dataclass
class FakeApp:
    """What of a Reflex app the pages are kept current with: its tabs, their locks and their connections."""

    tabs: dict[str, "LiveTab"] = field(default_factory=dict)
    sid_to_token: dict[str, str] = field(default_factory=dict)
    failing: set[str] = field(default_factory=set)

    @property
    def event_namespace(self) -> "FakeApp":
        """The connections."""
        return self

    @asynccontextmanager
    async def modify_state(self, token: Any) -> AsyncIterator[rx.State]:
        """Lock a tab's state, and note what it shows afterwards."""
        tab = self.tabs[token.ident]
        async with tab.lock:
            if token.ident in self.failing:
                raise OSError("the store is away")
            yield tab.root
            tab.shown_anew()


class LiveTab(Tab):
    """A tab with a connection."""

    def __init__(self, app: FakeApp, session: str | None, **options: Any) -> None:
        super().__init__(session, **options)
        self.app = app
        self.token = uuid4().hex
        self.lock = asyncio.Lock()
        self.times = 0
        self._again = asyncio.Event()
        self.app.tabs[self.token] = self
        self.connect()

    def connect(self) -> None:
        """Connect, or connect anew."""
        self.sid = uuid4().hex
        self.app.sid_to_token[self.sid] = self.token
        data = self.root.router_data = {"token": self.token, "sid": self.sid}
        old = self.root.router
        self.root.router = RouterData.from_router_data(
            data | {"headers": {"cookie": old.headers.cookie, "accept-language": "en-US"}}
        )

    def disconnect(self) -> None:
        """Lose the connection."""
        del self.app.sid_to_token[self.sid]

    def shown_anew(self) -> None:
        """Count that it was shown something without having asked."""
        self.times += 1
        self._again.set()

    async def shows_anew(self, times: int = 1) -> None:
        """Wait until it was shown something `times` times without having asked."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self.times < times:
                self._again.clear()
                await self._again.wait()


@pytest.fixture
def app() -> FakeApp:
    """An app without tabs."""
    return FakeApp()


@pytest.fixture
async def pages(
    app: FakeApp, services: Services, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[OpenPages]:
    """The open pages of this process; they look for others' changes only when told to."""
    monkeypatch.setattr(live_pages, "_LOOK_SECONDS", 3600.0)
    async with live_pages.open_pages.kept_current(cast(rx.App, app), services):
        yield live_pages.open_pages


async def billing_of(tab: LiveTab) -> BillingState:
    """Open the billing page in a tab."""
    async with tab.lock:
        await tab.send(BillingState.load)
    return await tab.state(BillingState)


async def sell(driver: FakeDriver, services: Services, account: Account, price: str) -> None:
    """Change what the team has, and find out about it."""
    driver.has(snapshot(subscription(price)))
    await sync_customer(services, account.customer)


async def test_a_change_is_shown_to_every_tab_of_the_team_and_to_no_other(
    app: FakeApp,
    pages: OpenPages,
    services: Services,
    driver: FakeDriver,
    account: Account,
    owner: str,
    member: str,
    stranger: str,
) -> None:
    tabs = [LiveTab(app, session) for session in (owner, owner, member)]
    other = LiveTab(app, stranger)
    for tab in (*tabs, other):
        await billing_of(tab)

    await sell(driver, services, account, PRO)

    for tab in tabs:
        await tab.shows_anew()
        assert (await tab.state(BillingState)).plans[0].name == "Pro"
    assert other.times == 0
    assert "4242" not in tabs[2].sent()


async def test_the_plans_are_kept_current_as_well(
    app: FakeApp,
    pages: OpenPages,
    services: Services,
    driver: FakeDriver,
    account: Account,
    owner: str,
) -> None:
    tab = LiveTab(app, owner)
    await billing_of(tab)
    await tab.send(PricingState.load)
    state = await tab.state(PricingState)
    await tab.send(PricingState.type_seats, "12")
    shown = state.seats_shown

    await sell(driver, services, account, PRO)

    await tab.shows_anew()
    assert state.introduction.startswith("Northwind Labs is on Pro.")
    assert (state.seats, state.seats_shown) == ("12", shown), "somebody may be typing there"
    assert (await tab.state(BillingState)).plans[0].name == "Team", "another page is open now"


async def test_a_hundred_changes_at_once_are_shown_a_few_times_and_the_last_one_surely(
    app: FakeApp,
    pages: OpenPages,
    services: Services,
    driver: FakeDriver,
    account: Account,
    owner: str,
) -> None:
    tab = LiveTab(app, owner)
    await billing_of(tab)
    for _ in range(100):
        await services.live.publish(account.team_id)
    await tab.shows_anew()
    driver.has(snapshot(subscription(PRO)))
    await sync_customer(services, account.customer)
    for _ in range(100):
        await services.live.publish(account.team_id)

    async with asyncio.timeout(PATIENCE_SECONDS):
        while (await tab.state(BillingState)).plans[0].name != "Pro":
            await tab.shows_anew(tab.times + 1)

    assert tab.times <= 3


async def test_between_two_readings_for_a_page_there_is_a_pause(
    app: FakeApp,
    pages: OpenPages,
    services: Services,
    account: Account,
    owner: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live_pages, "_SHORTEST_GAP_SECONDS", 3600)
    tab, later = LiveTab(app, owner), LiveTab(app, owner)
    await billing_of(tab)
    await services.live.publish(account.team_id)
    await tab.shows_anew()
    await billing_of(later)

    await services.live.publish(account.team_id)

    await later.shows_anew()
    assert tab.times == 1


async def test_how_long_a_page_was_out_of_date_is_measured(
    app: FakeApp, pages: OpenPages, services: Services, account: Account, owner: str
) -> None:
    tab = LiveTab(app, owner)
    await billing_of(tab)
    before = lags()

    await services.live.publish(account.team_id, since=utc_now())

    await tab.shows_anew()
    await tab.lock.acquire()
    assert lags() == before + 1


def lags() -> float:
    """Return how many lags were measured."""
    name = "billing_ui_page_lag_seconds_count"
    lines = metrics.exposition().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(name))


async def test_a_tab_that_is_busy_keeps_no_other_one_waiting(
    app: FakeApp, pages: OpenPages, services: Services, account: Account, owner: str
) -> None:
    busy = [LiveTab(app, owner) for _ in range(live_pages._READING_AT_ONCE + 1)]
    free = LiveTab(app, owner)
    for tab in (*busy, free):
        await billing_of(tab)
    for tab in busy:
        await tab.lock.acquire()

    await services.live.publish(account.team_id)

    await free.shows_anew()
    assert [tab.times for tab in busy] == [0] * len(busy)
    for tab in busy:
        tab.lock.release()
        await tab.shows_anew()


async def test_a_tab_that_cannot_be_shown_anything_stops_no_other(
    app: FakeApp, pages: OpenPages, services: Services, account: Account, owner: str
) -> None:
    broken, whole = LiveTab(app, owner), LiveTab(app, owner)
    for tab in (broken, whole):
        await billing_of(tab)
    app.failing.add(broken.token)

    with structlog.testing.capture_logs() as logs:
        await services.live.publish(account.team_id)
        await whole.shows_anew()
    assert [entry["event"] for entry in logs] == ["live_page_failed"]

    app.failing.clear()
    await services.live.publish(account.team_id)
    await broken.shows_anew()


async def test_a_session_that_ends_leaves_its_tabs_blank_and_on_the_way_to_sign_in(
    app: FakeApp,
    pages: OpenPages,
    services: Services,
    account: Account,
    owner: str,
    member: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live_pages, "_SHORTEST_GAP_SECONDS", 0)
    tab, other = LiveTab(app, owner), LiveTab(app, member)
    for each in (tab, other):
        await billing_of(each)

    ended = await sign_out(services.database, owner)
    assert ended is not None
    await services.live.publish_session(ended)

    await tab.shows_anew()
    assert not any(secret in tab.sent() for secret in ("Northwind", "4242", "@example.com"))
    state = await tab.state(BillingState)
    assert state.departure.address == "/sign-in?next=%2Fsettings%2Fbilling"
    assert other.times == 0
    await services.live.publish(account.team_id)
    await other.shows_anew()
    assert tab.times == 1, "nothing is shown to it any more"


async def test_a_change_finds_out_that_a_session_has_ended(
    app: FakeApp, pages: OpenPages, services: Services, account: Account, owner: str
) -> None:
    tab = LiveTab(app, owner)
    await billing_of(tab)
    await sign_out(services.database, owner)

    await services.live.publish(account.team_id)

    await tab.shows_anew()
    assert "Northwind" not in tab.sent()


async def test_a_session_that_another_process_ended_in_silence_is_found_by_looking(
    app: FakeApp, pages: OpenPages, services: Services, owner: str
) -> None:
    tab = LiveTab(app, owner)
    await billing_of(tab)
    await sign_out(services.database, owner)

    await pages._look(services)

    await tab.shows_anew()
    assert "Northwind" not in tab.sent()


async def test_a_tab_that_is_gone_is_shown_nothing_until_it_is_back(
    app: FakeApp,
    pages: OpenPages,
    services: Services,
    driver: FakeDriver,
    account: Account,
    owner: str,
) -> None:
    tab, witness = LiveTab(app, owner), LiveTab(app, owner)
    for each in (tab, witness):
        await billing_of(each)
    tab.disconnect()

    await sell(driver, services, account, PRO)
    await witness.shows_anew()
    assert tab.times == 0

    tab.connect()
    assert (await billing_of(tab)).plans[0].name == "Pro"
    await sell(driver, services, account, TEAM)
    await tab.shows_anew()
    assert (await tab.state(BillingState)).plans[0].name == "Team"


async def test_news_that_were_missed_are_looked_up_for_every_tab(
    app: FakeApp, pages: OpenPages, services: Services, account: Account, owner: str, stranger: str
) -> None:
    tabs = [LiveTab(app, owner), LiveTab(app, stranger)]
    for tab in tabs:
        await billing_of(tab)

    services.live.tell_here(NewsMissed())

    for tab in tabs:
        await tab.shows_anew()


async def test_what_another_process_did_and_never_told_is_found_by_looking(
    app: FakeApp,
    pages: OpenPages,
    services: Services,
    driver: FakeDriver,
    account: Account,
    owner: str,
    stranger: str,
) -> None:
    tab, other = LiveTab(app, owner), LiveTab(app, stranger)
    for each in (tab, other):
        await billing_of(each)
    elsewhere = Services(services.settings, services.database, services.drivers)
    await sell(driver, elsewhere, account, PRO)
    assert tab.times == 0

    await pages._look(services)
    await tab.shows_anew()
    assert (await tab.state(BillingState)).plans[0].name == "Pro"

    async with services.database.write() as session:
        await session.exec(
            update(Customer)
            .where(col(Customer.id) == account.customer)
            .values(sync_error="Stripe didn't answer in time.")
        )
    await pages._look(services)
    await tab.shows_anew(2)
    assert (await tab.state(BillingState)).refresh_problem.title
    assert other.times == 0


async def test_what_a_tab_has_been_shown_already_is_not_shown_again(
    app: FakeApp,
    pages: OpenPages,
    services: Services,
    driver: FakeDriver,
    account: Account,
    owner: str,
) -> None:
    tab = LiveTab(app, owner)
    await billing_of(tab)
    await sell(driver, services, account, PRO)
    await tab.shows_anew()

    await pages._look(services)
    await services.live.publish(uuid4())

    assert not any(page.due for page in pages._pages.values())
    assert tab.times == 1


async def test_a_tab_whose_state_the_store_has_forgotten_still_knows_who_looks(
    app: FakeApp,
    pages: OpenPages,
    services: Services,
    driver: FakeDriver,
    account: Account,
    owner: str,
) -> None:
    tab = LiveTab(app, owner)
    await billing_of(tab)
    tab.root = rx.State()

    await sell(driver, services, account, PRO)

    await tab.shows_anew()
    state = await tab.state(BillingState)
    assert (state.plans[0].name, state.departure.address) == ("Pro", "")


async def test_whoever_changes_teams_is_shown_the_other_one(
    app: FakeApp, pages: OpenPages, services: Services, account: Account, owner: str
) -> None:
    tab = LiveTab(app, owner)
    await billing_of(tab)
    person: Identity = account.identity
    other = await create_team(services.database, "Bluefin Studio")
    await add_member(services.database, other.id, person.user_id, Role.OWNER)
    async with services.database.write() as session:
        membership = await session.get(Membership, (account.team_id, person.user_id))
        assert membership is not None
        await session.delete(membership)

    await services.live.publish(account.team_id)
    await tab.shows_anew()
    assert "Northwind" not in tab.sent()

    await services.live.publish(other.id)
    await tab.shows_anew(2)
