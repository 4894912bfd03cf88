"""Whatever happens at the provider, on the way and to us: after one recovery our tables say what the provider says."""

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import pairwise
from queue import SimpleQueue
from typing import Any, ClassVar, TypeAlias, TypeVar
from uuid import UUID, uuid4

import aiosqlite.core
import pytest
import structlog
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from pydantic import SecretStr
from sqlalchemy import delete
from sqlmodel import col, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from billing_ui.billing import fetches, sync, sync_failures
from billing_ui.billing.changes import Change, dump_changes
from billing_ui.billing.comparison import compare
from billing_ui.billing.fetches import begin_due_fetches
from billing_ui.billing.inbox import accept
from billing_ui.billing.reconcile import reconcile
from billing_ui.billing.services import Services
from billing_ui.billing.sync import carry_out, sync_customer
from billing_ui.billing.visits import record_visit, return_from_visit
from billing_ui.billing.wake import Wake
from billing_ui.billing.worker import drain
from billing_ui.clock import utc_now
from billing_ui.database import Database
from billing_ui.models import (
    ChangeSource,
    Customer,
    InboxEvent,
    Invoice,
    PaymentMethod,
    RecordedChange,
    Subscription,
    SubscriptionItem,
    VisitKind,
)
from billing_ui.payments.driver import Drivers
from billing_ui.payments.types import PaymentError, ProviderUnavailable, Snapshot
from billing_ui.settings import KEY_SETTINGS, SANDBOX_KEYS, Provider, Settings
from tests.unit.billing.conftest import make_settings
from tests.unit.billing.factories import new_account, recover_all
from tests.unit.billing.fake_driver import FakeDrivers
from tests.unit.billing.provider_model import (
    NEWEST_INVOICES,
    Call,
    Look,
    ProviderModel,
    present_call,
)

EXAMPLES, STEPS = 200, 30
PROVIDERS = {
    Provider.STRIPE: 1,
    Provider.POLAR: 10,
    Provider.LEMONSQUEEZY: 10,
    Provider.PADDLE: 10,
}
"""Every provider, and what part of the examples it gets: they differ in little of what matters here."""
OURS = ("cus_a", "cus_b")
"""The customers of our two teams; others appear at the provider."""
WHO = st.sampled_from(("cus_a", "cus_a", "cus_a", "cus_b"))
"""One of ours, mostly the same one: what happens to different customers hardly meets."""
STRANGER = "somebody new"
PROCESS = st.integers(0, 1)
APPLIED = "applied"
Applied: TypeAlias = tuple[UUID, Look]

T = TypeVar("T")


def settings_of(provider: Provider) -> Settings:
    """Return the settings of an installation of which `provider` is the only one."""
    keys = {KEY_SETTINGS[one].lower(): SecretStr("") for one in Provider}
    keys[KEY_SETTINGS[provider].lower()] = SecretStr(SANDBOX_KEYS[provider])
    # A provider on this machine is asked as often as one likes.
    bases = {f"{one}_api_base": "http://127.0.0.1:1" for one in Provider}
    return make_settings(payment_provider=provider, lemonsqueezy_store_id="1", **keys, **bases)


class Killed(BaseException):
    """The process is dead: from here on it does nothing, not even tidy up."""


class MortalDatabase(Database):
    """The database as one process reaches it, until that process is killed."""

    def __init__(self, url: str, applied: list[Applied]) -> None:
        super().__init__(url)
        self._applied = applied
        self.dead = False
        self.dies_before_commit = False
        self.dies_after_commit = False

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """Open a session for reading, in a living process."""
        self._live()
        async with super().read() as session:
            yield session

    @asynccontextmanager
    async def write(self, *, durable: bool = False) -> AsyncIterator[AsyncSession]:
        """Open a session for writing, in a process that may die on either side of the commit."""
        self._live()
        async with super().write(durable=durable) as session:
            yield session
            if self.dies_before_commit:
                self.dead = True
                self._live()
        if APPLIED in session.info:
            self._applied.append(session.info[APPLIED])
        if self.dies_after_commit:
            self.dead = True
            self._live()

    def revive(self) -> None:
        """Let a new process have the database."""
        self.dead = self.dies_before_commit = self.dies_after_commit = False

    def _live(self) -> None:
        if self.dead:
            raise Killed


class AtOnce(SimpleQueue[Any]):
    """What a connection to SQLite does, done in the thread that asks for it.

    The way to the connection's own thread and back takes ten times as long as what is done there.
    """

    def put_nowait(self, item: tuple[asyncio.Future[Any] | None, Callable[[], Any]]) -> None:
        """Do it now."""
        future, function = item
        try:
            result = function()
        except Exception as error:
            if future is None:
                raise
            future.set_exception(error)
            return
        if future is not None:
            future.set_result(result)
        if result is aiosqlite.core._STOP_RUNNING_SENTINEL:
            super().put_nowait((None, lambda: result))


class NotedWake(Wake):
    """A bell that knows how many wait for it, and notes when somebody begins to."""

    def __init__(self, changed: asyncio.Event) -> None:
        super().__init__()
        self._changed = changed
        self._patient: set[object] = set()

    @property
    def waiting(self) -> int:
        """How many wait and were not woken yet."""
        return len(self._patient)

    async def wait(self, seconds: float, *, since: int | None = None) -> None:
        """Wait, and let the test know."""
        mark = object()
        if since is None or since == self.rings:
            self._patient.add(mark)
            self._changed.set()
        try:
            await super().wait(seconds, since=since)
        finally:
            self._patient.discard(mark)

    def ring_here(self) -> None:
        """Wake everybody, who is busy from now on."""
        self._patient.clear()
        super().ring_here()


@dataclass
class Actor:
    """Something under way in a process: a sync of the worker, a refresh, somebody's return."""

    process: int
    call: Call
    task: asyncio.Task[None]


class World:
    """Two processes on one database before one provider, and two teams; they stay from example to example."""

    def __init__(self, url: str, runner: asyncio.Runner, provider: Provider) -> None:
        self._runner = runner
        self._changed = asyncio.Event()
        configured = settings_of(provider)
        # Such a provider as its driver says it is.
        able = Drivers(configured).active.capabilities
        self.provider = ProviderModel(provider, able)
        self.bells = [NotedWake(self._changed) for _ in range(2)]
        self.applied: list[Applied] = []
        """Which looks at the provider were committed for which customers, in that order."""
        self.databases = [MortalDatabase(url, self.applied) for _ in self.bells]
        self.processes = [
            Services(configured, database, FakeDrivers(configured, self.provider), fetched=bell)
            for database, bell in zip(self.databases, self.bells, strict=True)
        ]
        self.actors: list[Actor] = []
        self.teams = {name: self.run(new_account(self.processes[0])) for name in OURS}

    async def recover(self) -> None:
        """Learn what no event told, in the way that the provider offers."""
        if self.provider.capabilities.event_list:
            await recover_all(self.processes[0])
        else:
            # The first time finds those whom no event ever named, the second time what they have.
            for _ in range(2):
                await reconcile(self.processes[0], fix=True, patience=0)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run something to its end, and what is under way until it stands still."""

        async def work_and_settle() -> T:
            result = await work
            await self._settle()
            return result

        return self._runner.run(work_and_settle())

    def begin(self, process: int, work: Coroutine[Any, Any, object]) -> None:
        """Let something begin in a process."""

        async def begin() -> None:
            call = Call(self._changed)
            task = asyncio.create_task(_as_call(call, work))
            task.add_done_callback(lambda _: self._changed.set())
            self.actors.append(Actor(process, call, task))

        self.run(begin())

    def held(self) -> list[Actor]:
        """Return what stands still before the provider."""
        return [actor for actor in self.actors if actor.call.held]

    def go_on(self, actor: Actor, error: BaseException | None = None) -> None:
        """Let the provider answer, or fail."""

        async def answer() -> None:
            actor.call.go_on() if error is None else actor.call.fail(error)

        self.run(answer())

    def kill(self, process: int) -> None:
        """Let a process end at once, with all that is under way in it; another takes its place."""

        async def kill() -> None:
            await self._bury(process)

        self.run(kill())

    def look_again(self) -> None:
        """Let whoever waits for somebody else's fetch look whether it has ended."""

        async def ring() -> None:
            for bell in self.bells:
                bell.ring_here()

        self.run(ring())

    async def _settle(self) -> None:
        while True:
            self._changed.clear()
            waiting = sum(bell.waiting for bell in self.bells)
            busy = [one for one in self.actors if not one.call.held and not one.task.done()]
            if len(busy) <= waiting:
                break
            await self._changed.wait()
        for actor in [actor for actor in self.actors if actor.task.done()]:
            self.actors.remove(actor)
            await actor.task
        for process, database in enumerate(self.databases):
            if database.dead:
                await self._bury(process)

    async def _bury(self, process: int) -> None:
        database = self.databases[process]
        database.dead = True
        gone = [actor for actor in self.actors if actor.process == process]
        for actor in gone:
            if actor.call.held:
                actor.call.fail(Killed())
        self.bells[process].ring_here()
        for actor in gone:
            self.actors.remove(actor)
            await actor.task
        database.revive()


async def _as_call(call: Call, work: Coroutine[Any, Any, object]) -> None:
    present_call.set(call)
    # A failure is told to whoever waits for it, who is not played here; what is kept is what matters.
    with suppress(PaymentError, Killed):
        await work


async def work_once(services: Services) -> None:
    """Do what the worker does with one place free."""
    provider = services.settings.payment_provider
    for customer_id, fetch in (await begin_due_fetches(services.database, provider, 1)).items():
        await carry_out(services, customer_id, fetch, ChangeSource.WEBHOOK)


def possible_changes(provider: ProviderModel, name: str) -> list[dict[str, Callable[[], None]]]:
    """Return what can change of a customer at the provider, in groups, each with what does it."""
    account = provider.accounts[name]
    customer: dict[str, Callable[[], None]] = {}
    subscriptions: dict[str, Callable[[], None]] = {}
    cards: dict[str, Callable[[], None]] = {}
    invoices: dict[str, Callable[[], None]] = {}
    if not account.customer.deleted:
        customer["rename"] = partial(provider.rename, name)
        customer["delete"] = partial(provider.delete_account, name)
        subscriptions["subscribe"] = partial(provider.subscribe, name)
        cards["add a card"] = partial(provider.add_card, name)
        invoices["bill for a season"] = partial(provider.bill_for_a_season, name)
        invoices["bill"] = partial(provider.bill, name, "draft")
    for key in account.subscriptions:
        subscriptions[f"quantity of {key}"] = partial(provider.change_quantity, name, key)
        subscriptions[f"item of {key}"] = partial(provider.replace_item, name, key)
        subscriptions[f"cancellation of {key}"] = partial(provider.toggle_cancellation, name, key)
        subscriptions[f"end {key}"] = partial(provider.end, name, key)
    for key in account.payment_methods:
        cards[f"remove {key}"] = partial(provider.remove_card, name, key)
    drafts = [one.id for one in account.invoices.values() if one.status == "draft"]
    unpaid = [one.id for one in account.invoices.values() if one.status == "open"]
    if drafts:
        invoices["delete the newest draft"] = partial(provider.delete_draft, name, drafts[-1])
        invoices["delete the oldest draft"] = partial(provider.delete_draft, name, drafts[0])
        invoices["finalize a draft"] = partial(provider.settle, name, drafts[0], "open")
    if unpaid:
        invoices["pay the oldest"] = partial(provider.settle, name, unpaid[0], "paid")
        invoices["void the newest"] = partial(provider.settle, name, unpaid[-1], "void")
    return [group for group in (invoices, subscriptions, cards, customer) if group]


class AlwaysTrue(RuleBasedStateMachine):
    """Changes at the provider, deliveries, syncs and crashes, in any order."""

    world: ClassVar[World]

    def __init__(self) -> None:
        super().__init__()
        self.provider = self.world.provider
        self.late_ones_first = False
        self.visits: list[tuple[str, UUID]] = []
        self.customers: dict[str, UUID] = {}

    @initialize(late_ones_first=st.booleans())
    def begin(self, late_ones_first: bool) -> None:
        """Two teams with a customer each, fetched once."""
        self.late_ones_first = late_ones_first
        self.provider.forget()
        for customer_id in OURS:
            self.provider.open_account(customer_id)
            self.provider.subscribe(customer_id)
            self.provider.bill(customer_id, "open")
        self.world.run(self._begin())
        self.world.run(drain(self.world.processes[0]))
        # All of it was told long ago. An event that is yet to come would mend what is wrong by then.
        self.provider.events.clear()

    # Few rules with many ways each: one after the other they meet more often than many rules would.

    @rule(data=st.data(), times=st.integers(1, 4))
    def something_changes(self, data: st.DataObject, times: int) -> None:
        """Whatever can change at the provider changes; mostly one of the processes is told at once."""
        for _ in range(times):
            events = len(self.provider.events)
            if data.draw(st.booleans(), "later"):
                self.provider.time_passes()
            names = sorted(self.provider.accounts)
            name = data.draw(WHO | st.sampled_from([*names, STRANGER]), "customer")
            if name == STRANGER:
                self.provider.open_account(f"cus_{self.provider.number()}")
            elif groups := possible_changes(self.provider, name):
                group = data.draw(st.sampled_from(groups), "kind")
                group[data.draw(st.sampled_from(list(group)), "change")]()
            told = data.draw(st.sampled_from((0, 0, 1, None)), "told")
            if told is not None and len(self.provider.events) > events:
                self._deliver(0, told)

    @rule(age=st.integers(0, 6), process=PROCESS)
    def an_event_is_delivered(self, age: int, process: int) -> None:
        """Late or at once, for the first time or again, in any order; some never are."""
        if age < len(self.provider.events):
            self._deliver(age, process)

    @rule(
        process=PROCESS,
        by_worker=st.booleans(),
        name=WHO,
        leases_end=st.booleans(),
        answers=st.integers(0, 3),
    )
    def a_sync_begins(
        self, process: int, by_worker: bool, name: str, leases_end: bool, answers: int
    ) -> None:
        """The worker's, or that of a person who asks for the newest; perhaps after a long time."""
        if leases_end:
            self.time_passes()
        services = self.world.processes[process]
        self.world.begin(
            process,
            work_once(services) if by_worker else sync_customer(services, self.customers[name]),
        )

    @precondition(lambda self: self.world.held())
    @rule(answers=st.integers(0, 3), name=WHO)
    def a_sync_is_overtaken(self, answers: int, name: str) -> None:
        """It hangs for so long that its lease ends, and another process begins the same."""
        self.time_passes()
        process = 1 - self.world.held()[0].process
        self.world.begin(
            process, sync_customer(self.world.processes[process], self.customers[name])
        )
        self._answer(self.world.actors[-1:], answers)

    @rule(process=PROCESS, name=WHO)
    def somebody_goes_to_the_portal(self, process: int, name: str) -> None:
        """What they do there are changes like any other."""
        visit_id = uuid4()
        self.world.run(self._leave(self.world.processes[process], name, visit_id))
        self.visits.append((name, visit_id))

    @precondition(lambda self: self.visits)
    @rule(process=PROCESS, index=st.integers(0, 3))
    def somebody_comes_back(self, process: int, index: int) -> None:
        """For the first time, or again."""
        name, visit_id = self.visits[-1 - index % len(self.visits)]
        identity = self.world.teams[name].identity
        services = self.world.processes[process]
        self.world.begin(process, return_from_visit(services, str(visit_id), identity))

    @precondition(lambda self: self.world.held())
    @rule(turn=st.integers(0, 7), answers=st.integers(0, 3))
    def the_provider_answers(self, turn: int, answers: int) -> None:
        """Whoever's turn it is, once or several times; or it fails this once."""
        actor = self._one_held(turn)
        if not answers:
            self.world.go_on(actor, ProviderUnavailable())
        self._answer([actor], answers)

    @rule()
    def time_passes(self) -> None:
        """Leases run out, of the dead and of the living, and who failed may be tried again."""
        self.world.run(self._expire())
        self.world.look_again()

    @precondition(lambda self: self.world.held())
    @rule(turn=st.integers(0, 7), when=st.sampled_from(("now", "before commit", "after commit")))
    def a_process_is_killed(self, turn: int, when: str) -> None:
        """Wherever it is; or just before what it has fetched counts, or just after."""
        actor = self._one_held(turn)
        if when != "now":
            database = self.world.databases[actor.process]
            database.dies_before_commit = when == "before commit"
            database.dies_after_commit = when == "after commit"
            while actor.call.held:
                self.world.go_on(actor)
        self.world.kill(actor.process)

    # ------------------------------------------------------------ at the end

    def teardown(self) -> None:
        """Let what is under way end, recover once, and compare."""
        if not self.customers:
            return
        while self.world.actors:
            if held := self.world.held():
                self.world.go_on(held[-1 if self.late_ones_first else 0])
            else:
                # Whoever still waits does so for somebody dead, whose lease runs out.
                self.world.run(self._expire())
                self.world.look_again()
        self.world.run(self._expire())
        self.world.run(self.world.recover())
        self.world.run(drain(self.world.processes[0]))
        self.world.run(self._compare())

    async def _begin(self) -> None:
        async with self.world.databases[0].write() as session:
            await session.exec(delete(Customer))
            await session.exec(delete(InboxEvent))
            for name in OURS:
                row = Customer(
                    team_id=self.world.teams[name].team_id,
                    provider=self.provider.provider.value,
                    provider_customer_id=name,
                )
                session.add(row)
                self.customers[name] = row.id
        self.world.applied.clear()

    def _answer(self, actors: list[Actor], answers: int) -> None:
        for _ in range(answers):
            for actor in actors:
                if actor.call.held:
                    self.world.go_on(actor)

    def _one_held(self, turn: int) -> Actor:
        held = self.world.held()
        return held[turn % len(held)]

    def _deliver(self, age: int, process: int) -> None:
        event = self.provider.events[-1 - age]
        self.world.run(accept(self.world.processes[process], self.provider.provider, event))

    async def _leave(self, services: Services, name: str, visit_id: UUID) -> None:
        identity, customer_id = self.world.teams[name].identity, self.customers[name]
        await record_visit(
            services.database, visit_id, identity, customer_id, VisitKind.PORTAL, return_url=None
        )

    async def _expire(self) -> None:
        past = utc_now() - timedelta(minutes=1)
        async with self.world.databases[0].write() as session:
            await session.exec(
                update(Customer)
                .where(col(Customer.lease_until).is_not(None))
                .values(lease_until=past)
            )
            await session.exec(
                update(Customer)
                .where(col(Customer.next_attempt_at).is_not(None))
                .values(next_attempt_at=past)
            )

    async def _compare(self) -> None:
        async with self.world.databases[0].read() as session:
            await self._compare_customers(session)
            await self._compare_rows(session)
            await self._compare_inbox(session)
            await self._compare_changes(session)

    async def _compare_customers(self, session: AsyncSession) -> None:
        rows = (await session.exec(select(Customer))).all()
        told = self.provider.capabilities.event_list
        known = sorted(row.provider_customer_id or "" for row in rows)
        # Whom only an event would have told of, and who was deleted before, nobody can know.
        assert known == sorted(
            name
            for name, account in self.provider.accounts.items()
            if told or name in known or not account.customer.deleted
        )
        for row in rows:
            customer = self.provider.accounts[row.provider_customer_id or ""].customer
            assert (row.parked_at, row.lease_owner, row.attempts, row.marked_at) == (
                *(None, None, 0, None),
            )
            # Who has nothing but a name is listed with all there is, and not fetched before somebody looks.
            assert row.wanted == row.applied or row.partial
            assert not row.partial or not (told or row.team_id)
            assert (row.deleted_at is not None) == customer.deleted
            assert customer.deleted or row.name == customer.name

    async def _compare_rows(self, session: AsyncSession) -> None:
        accounts = self.provider.accounts.values()
        subscriptions = {s.id: s for account in accounts for s in account.subscriptions.values()}
        assert {
            row.id: (row.state, row.cancel_at)
            for row in (await session.exec(select(Subscription))).all()
        } == {one.id: (one.state, one.cancel_at) for one in subscriptions.values()}
        assert sorted(
            (row.subscription_id, row.id, row.quantity)
            for row in (await session.exec(select(SubscriptionItem))).all()
        ) == sorted(
            (one.id, item.id, item.quantity) for one in subscriptions.values() for item in one.items
        )
        # No list tells of cards: of a customer that was only listed they are fetched when somebody looks.
        whole = select(Customer.provider_customer_id).where(~col(Customer.partial))
        assert sorted(
            (row.id, row.last4, row.is_default)
            for row in (await session.exec(select(PaymentMethod))).all()
        ) == sorted(
            (one.id, one.last4, one.is_default)
            for name in (await session.exec(whole)).all()
            for one in self.provider.accounts[name or ""].payment_methods.values()
        )
        query = select(Invoice, Customer.provider_customer_id).join(Customer)
        found: dict[str | None, dict[str, str]] = defaultdict(dict)
        for invoice, name in (await session.exec(query)).all():
            found[name][invoice.id] = invoice.status
        for name, account in self.provider.accounts.items():
            # The newest when we first looked, and every one since then: those we have leave no gap.
            newest_first = [(one.id, one.status) for one in account.newest_invoices()]
            ours = len(found[name])
            assert ours >= min(NEWEST_INVOICES, len(newest_first))
            assert found[name] == dict(newest_first[:ours])

    async def _compare_inbox(self, session: AsyncSession) -> None:
        stored = (await session.exec(select(InboxEvent.id))).all()
        happened = sorted(event.id for event in self.provider.events)
        if self.provider.capabilities.event_list:
            assert sorted(stored) == happened
        else:
            assert set(stored) <= set(happened)

    async def _compare_changes(self, session: AsyncSession) -> None:
        query = select(RecordedChange).order_by(col(RecordedChange.id))
        recorded: dict[UUID, list[dict[str, Any]]] = defaultdict(list)
        for row in (await session.exec(query)).all():
            recorded[row.customer_id].append(row.document)
        applied: dict[UUID, list[Look]] = defaultdict(list)
        for customer_id, look in self.world.applied:
            applied[customer_id].append(look)
        for customer_id, looks in applied.items():
            self._check_story(recorded[customer_id])
            told: list[Change] = []
            for before, after in pairwise(looks):
                # What a page shows never goes back to what was before.
                assert before.versions[0] <= after.versions[0]
                assert before.versions[1] <= after.versions[1]
                told += compare(before.snapshot, after.snapshot)
            # Each difference was written down, once.
            assert recorded[customer_id] == dump_changes(told)

    @staticmethod
    def _check_story(documents: list[dict[str, Any]]) -> None:
        """What was told of a customer never goes back, and never tells twice what happens once."""
        once = Counter(
            (change["kind"], change.get("subscription_id") or change.get("invoice_id"))
            for change in documents
            if change["kind"]
            in ("subscription_started", "subscription_ended", "invoice_paid", "customer_removed")
        )
        assert set(once.values()) <= {1}
        quantities: dict[str, int] = {}
        cancelling: dict[str, bool] = {}
        for change in documents:
            key = str(change.get("subscription_id"))
            if change["kind"] == "quantity_changed":
                assert quantities.setdefault(key, change["before"]) == change["before"]
                assert change["after"] > change["before"]
                quantities[key] = change["after"]
            if change["kind"].startswith("cancellation_"):
                scheduled = change["kind"] == "cancellation_scheduled"
                assert cancelling.get(key, not scheduled) != scheduled
                cancelling[key] = scheduled


@contextmanager
def quiet() -> Iterator[None]:
    """Let only errors be logged: ten thousand examples log a lot."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    try:
        yield
    finally:
        structlog.configure(**before)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_our_tables_end_equal_to_the_provider_whatever_happens_in_between(
    provider: Provider, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def noted(
        session: AsyncSession, customer_id: UUID, snapshot: Snapshot, *rest: Any
    ) -> tuple[Change, ...]:
        changes = await apply_snapshot(session, customer_id, snapshot, *rest)
        session.info[APPLIED] = (customer_id, world.provider.looks[id(snapshot)])
        return changes

    apply_snapshot = sync.apply_snapshot
    monkeypatch.setattr(sync, "apply_snapshot", noted)
    monkeypatch.setattr(aiosqlite.core, "SimpleQueue", AtOnce)
    # Nobody looks again by the clock, and nothing runs out by it: the test says when. What a slow machine
    # let happen by itself would not happen again when the example is repeated.
    monkeypatch.setattr(fetches, "_POLL_SECONDS", 3600)
    monkeypatch.setattr(fetches, "_WAIT_SECONDS", 3600)
    monkeypatch.setattr(fetches, "LEASE", timedelta(hours=1))
    monkeypatch.setattr(sync, "FETCH_TIMEOUT_SECONDS", 3600)
    monkeypatch.setattr(sync_failures, "retry_delay", lambda *_, **__: timedelta(hours=1))
    with quiet(), asyncio.Runner() as runner:
        world = World(sqlite_url, runner, provider)
        world.run(recover_all(world.processes[0]))
        monkeypatch.setattr(AlwaysTrue, "world", world, raising=False)
        run_state_machine_as_test(
            AlwaysTrue,
            settings=settings(
                max_examples=max(EXAMPLES, settings().max_examples) // PROVIDERS[provider],
                stateful_step_count=STEPS,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
        for database in world.databases:
            world.run(database.close())
