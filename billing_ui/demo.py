"""The demo: teams and people of the sandbox, and two years of billing behind them."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import httpx
import structlog
from sqlalchemy import update
from sqlmodel import col, select

from billing_ui.accounts.demo import DEMO_ACCOUNTS, DemoAccount
from billing_ui.accounts.teams import create_team
from billing_ui.accounts.users import add_user, new_user
from billing_ui.billing.catalog import refresh_catalog
from billing_ui.billing.customers import link_customer
from billing_ui.billing.services import Services
from billing_ui.billing.sync import sync_customer
from billing_ui.clock import utc_now
from billing_ui.models import ChangeSource, Membership, RecordedChange, Role, Team, User

_KEY: Final = "sk_test_demo"
_TIMEOUT_SECONDS: Final = 60.0

log = structlog.get_logger(__name__)


class SandboxRefused(Exception):
    """The sandbox refused a call of the demo; the message is its answer."""


@dataclass(frozen=True)
class Plan:
    """A product of the demo shop; amounts are minor units a month, a year costs ten months."""

    key: str
    description: str
    usd: int
    eur: int
    features: tuple[str, ...]
    unit_label: str | None = None

    @property
    def name(self) -> str:
        """What people see."""
        return self.key.capitalize()

    def price_id(self, interval: str) -> str:
        """Return the id of the monthly ("month") or yearly ("year") price."""
        return f"price_demo_{self.key}_{interval}"


PLANS: Final = (
    Plan(
        "starter",
        "For trying it out with a few people.",
        2900,
        2700,
        ("5 projects", "1 GB storage", "Community support", "Activity log, 7 days"),
    ),
    Plan(
        "pro",
        "For one team that ships every week.",
        14900,
        13900,
        ("50 projects", "50 GB storage", "E-mail support", "Activity log, 90 days"),
    ),
    Plan(
        "team",
        "For companies that grow seat by seat.",
        2000,
        1900,
        (
            "Unlimited projects",
            "1 TB storage",
            "Single sign-on",
            "Priority support",
            "Activity log, 1 year",
        ),
        unit_label="seat",
    ),
)
_STARTER, _PRO, _TEAM = PLANS

_COLLEAGUES: Final = (
    "Alex Brandt",
    "Bo Lindgren",
    "Charlie Okafor",
    "Dana Whitlock",
    "Eden Salas",
    "Frankie Duarte",
    "Gray Novak",
    "Harper Quill",
)
"""Members of the team of "active" who never sign in; with the two who do, ten of its seats are taken."""


async def prepare_demo(services: Services, sandbox_url: str) -> None:
    """Fill an empty database with the demo; does nothing once there are users.

    People come last, all at once, and ids are fixed: a run that was cut short is simply done again.

    Raises:
        SandboxRefused: the sandbox did not accept the data.
        payments.types.PaymentError: the data could not be copied from the sandbox.
    """
    async with services.database.read() as session:
        if (await session.exec(select(User.id).limit(1))).first() is not None:
            return
    log.info("demo_begins")
    await _create_teams(services)
    now = utc_now()
    async with httpx.AsyncClient(
        base_url=sandbox_url, timeout=_TIMEOUT_SECONDS, trust_env=False
    ) as client:
        sandbox = _Sandbox(client)
        await sandbox.reset()
        await _create_catalog(sandbox, _months_before(now, 30))
        await refresh_catalog(services)
        for key, history in _HISTORIES.items():
            account = DEMO_ACCOUNTS[key]
            await history(sandbox, _Memory(services, account), account, now)
    await _create_people(services)
    log.info("demo_ready")


async def _create_teams(services: Services) -> None:
    for account in DEMO_ACCOUNTS.values():
        async with services.database.read() as session:
            known = await session.get(Team, account.team_id)
        if known is None:
            await create_team(services.database, account.team_name, team_id=account.team_id)


class _Memory:
    """What our tables remember of an account: they are brought up to date as its history goes on."""

    def __init__(self, services: Services, account: DemoAccount) -> None:
        self._services = services
        self._account = account

    async def begin(self) -> None:
        """Copy what the sandbox holds; what happens after this is a change."""
        await sync_customer(self._services, await self._customer())

    async def note(self, source: ChangeSource, at: datetime) -> None:
        """Note what changed since the last time, as if we had heard of it by `source` at that moment."""
        customer_id, began = await self._customer(), utc_now()
        await sync_customer(self._services, customer_id, source=source)
        async with self._services.database.write() as session:
            await session.exec(
                update(RecordedChange)
                .where(
                    col(RecordedChange.customer_id) == customer_id,
                    col(RecordedChange.found_at) >= began,
                )
                .values(found_at=at)
            )

    async def _customer(self) -> UUID:
        team_id = self._account.team_id
        return await link_customer(self._services, team_id, _customer_id(self._account))


async def _create_people(services: Services) -> None:
    """Create who signs in by a button, and the colleagues who take up seats beside them."""
    active = DEMO_ACCOUNTS["active"]
    domain = active.email.partition("@")[2]
    people = [
        (await new_user(account.email, None, account.name, user_id=account.user_id), account)
        for account in DEMO_ACCOUNTS.values()
    ]
    colleagues = [
        await new_user(f"{name.partition(' ')[0].lower()}@{domain}", None, name)
        for name in _COLLEAGUES
    ]
    async with services.database.write() as session:
        for user, account in people:
            await add_user(session, user)
            session.add(Membership(team_id=account.team_id, user_id=user.id, role=account.role))
        for user in colleagues:
            await add_user(session, user)
            session.add(Membership(team_id=active.team_id, user_id=user.id, role=Role.MEMBER))


class _Sandbox:
    """The sandbox's own API, called in the past: every call says when it happened."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def reset(self) -> None:
        await self._control("reset", {})

    async def call(
        self,
        path: str,
        params: dict[str, Any],
        *,
        at: datetime,
        object_id: str | None = None,
        method: str = "post",
    ) -> dict[str, Any]:
        call = {"method": method, "path": path, "params": params, "at": int(at.timestamp())}
        if object_id is not None:
            call["id"] = object_id
        answer = await self._control("batch", {"calls": [call]})
        result: dict[str, Any] = answer["results"][0]
        return result

    async def advance(self, customer: str, to: datetime) -> None:
        await self._control("advance", {"customer": customer, "to": int(to.timestamp())})

    async def _control(self, action: str, body: dict[str, Any]) -> dict[str, Any]:
        response = await self._client.post(f"/_control/{action}", json=body)
        if not response.is_success:
            raise SandboxRefused(f"{action}: {response.status_code} {response.text}")
        answer: dict[str, Any] = response.json()
        return answer


async def _create_catalog(sandbox: _Sandbox, at: datetime) -> None:
    for position, plan in enumerate(PLANS, start=1):
        product: dict[str, Any] = {
            "name": plan.name,
            "description": plan.description,
            "marketing_features": [{"name": feature} for feature in plan.features],
            "metadata": {"position": str(position)},
        }
        if plan.unit_label:
            product["unit_label"] = plan.unit_label
        product_id = f"prod_demo_{plan.key}"
        await sandbox.call("/v1/products", product | {"id": product_id}, at=at)
        for interval, months in (("month", 1), ("year", 10)):
            price = {
                "product": product_id,
                "currency": "usd",
                "unit_amount": plan.usd * months,
                "currency_options": {"eur": {"unit_amount": plan.eur * months}},
                "recurring": {"interval": interval},
                "lookup_key": f"{plan.key}_{interval}",
            }
            await sandbox.call("/v1/prices", price, at=at, object_id=plan.price_id(interval))
        default = {"default_price": plan.price_id("month")}
        await sandbox.call(f"/v1/products/{product_id}", default, at=at)


async def _create_customer(
    sandbox: _Sandbox,
    account: DemoAccount,
    at: datetime,
    *,
    card: str | None = "pm_card_visa",
    details: dict[str, Any] | None = None,
) -> str:
    customer = _customer_id(account)
    params = {
        "name": account.team_name,
        "email": f"billing@{account.email.partition('@')[2]}",
        "metadata": {"team_id": str(account.team_id), "generation": "1"},
    }
    await sandbox.call("/v1/customers", params | (details or {}), at=at, object_id=customer)
    if card is not None:
        await _pay_with(sandbox, customer, card, at)
    return customer


async def _pay_with(sandbox: _Sandbox, customer: str, card: str, at: datetime) -> None:
    method = await sandbox.call(f"/v1/payment_methods/{card}/attach", {"customer": customer}, at=at)
    settings = {"invoice_settings": {"default_payment_method": method["id"]}}
    await sandbox.call(f"/v1/customers/{customer}", settings, at=at)


async def _subscribe(
    sandbox: _Sandbox, customer: str, plan: Plan, at: datetime, **params: Any
) -> dict[str, Any]:
    quantity = params.pop("quantity", 1)
    return await sandbox.call(
        "/v1/subscriptions",
        {
            "customer": customer,
            "items": [{"price": plan.price_id("month"), "quantity": quantity}],
            **params,
        },
        at=at,
    )


async def _switch(
    sandbox: _Sandbox, subscription: dict[str, Any], plan: Plan, quantity: int, at: datetime
) -> None:
    item = subscription["items"]["data"][0]["id"]
    await sandbox.call(
        f"/v1/subscriptions/{subscription['id']}",
        {
            "items": [{"id": item, "price": plan.price_id("month"), "quantity": quantity}],
            "proration_behavior": "create_prorations",
        },
        at=at,
    )


async def _active(sandbox: _Sandbox, memory: _Memory, account: DemoAccount, now: datetime) -> None:
    """Two years: begun small, moved up twice, grown seat by seat, two hours ago the last time."""
    renewal = _on_every_month(now + timedelta(days=14))
    begin = _months_before(renewal, 25)
    details = {
        "address": {"line1": "12 Harbour Street", "city": "Dublin", "country": "IE"},
        "tax_id_data": [{"type": "eu_vat", "value": "IE1234567FA"}],
    }
    customer = await _create_customer(
        sandbox, account, begin, card="pm_card_mastercard", details=details
    )
    subscription = await _subscribe(sandbox, customer, _STARTER, begin)
    steps = (
        *((9, _PRO, 1), (15, _TEAM, 9), (17, _TEAM, 12), (18, _TEAM, 11)),
        *((20, _TEAM, 15), (21, _TEAM, 14), (22, _TEAM, 16), (23, _TEAM, 18)),
    )
    for months, plan, seats in steps:
        moment = _months_before(renewal, 25 - months) + timedelta(days=7)
        await sandbox.advance(customer, moment)
        await _switch(sandbox, subscription, plan, seats, moment)
    await memory.begin()
    renewed = _months_before(renewal, 1) + timedelta(hours=2)
    await sandbox.advance(customer, renewed)
    await memory.note(ChangeSource.WEBHOOK, renewed)
    paid_otherwise = now - timedelta(days=8)
    await sandbox.advance(customer, paid_otherwise)
    await _pay_with(sandbox, customer, await _last_card_of(sandbox, renewal), paid_otherwise)
    await memory.note(ChangeSource.PORTAL, paid_otherwise)
    grown = now - timedelta(hours=2)
    await sandbox.advance(customer, grown)
    await _switch(sandbox, subscription, _TEAM, 24, grown)
    await memory.note(ChangeSource.PORTAL, grown)
    await sandbox.advance(customer, now)


async def _last_card_of(sandbox: _Sandbox, renewal: datetime) -> str:
    """Return a new card that pays the renewal and expires before the one after it."""
    card = {
        "number": "4242424242424242",
        "exp_month": renewal.month,
        "exp_year": renewal.year,
    }
    params = {"type": "card", "card": card}
    method = await sandbox.call("/v1/payment_methods", params, at=renewal - timedelta(days=30))
    made: str = method["id"]
    return made


async def _trialing(
    sandbox: _Sandbox, memory: _Memory, account: DemoAccount, now: datetime
) -> None:
    """Nine days left, and no card yet: without one the plan ends and nothing is charged."""
    # An hour more than nine days, so that the page says nine however long starting takes.
    begin = now - timedelta(days=5) + timedelta(hours=1)
    customer = await _create_customer(sandbox, account, begin, card=None)
    await memory.begin()
    await _subscribe(
        sandbox,
        customer,
        _TEAM,
        begin,
        quantity=5,
        trial_period_days=14,
        trial_settings={"end_behavior": {"missing_payment_method": "cancel"}},
    )
    await memory.note(ChangeSource.CHECKOUT, begin)


async def _past_due(
    sandbox: _Sandbox, memory: _Memory, account: DemoAccount, now: datetime
) -> None:
    """Paid for three months; the card of the latest renewal, two days ago, was declined."""
    failed = _on_every_month(now - timedelta(days=2))
    begin = _months_before(failed, 4)
    customer = await _create_customer(sandbox, account, begin)
    await _subscribe(sandbox, customer, _PRO, begin)
    replaced = failed - timedelta(days=3)
    await sandbox.advance(customer, replaced)
    await memory.begin()
    await _pay_with(sandbox, customer, "pm_card_chargeCustomerFail", replaced)
    await memory.note(ChangeSource.PORTAL, replaced)
    await sandbox.advance(customer, now)
    await memory.note(ChangeSource.WEBHOOK, failed)


async def _canceling(
    sandbox: _Sandbox, memory: _Memory, account: DemoAccount, now: datetime
) -> None:
    """Pays in euros and has cancelled; the plan stays on for three more weeks."""
    end = _on_every_month(now + timedelta(days=21))
    begin = _months_before(end, 7)
    customer = await _create_customer(sandbox, account, begin, card="pm_card_mastercard")
    subscription = await _subscribe(sandbox, customer, _TEAM, begin, quantity=8, currency="eur")
    cancelled = now - timedelta(days=1, hours=3)
    await sandbox.advance(customer, cancelled)
    await memory.begin()
    await _cancel(sandbox, subscription, cancelled)
    await memory.note(ChangeSource.PORTAL, cancelled)


async def _ended(sandbox: _Sandbox, memory: _Memory, account: DemoAccount, now: datetime) -> None:
    """Was on Starter for half a year, and left."""
    ended = _on_every_month(now - timedelta(days=20))
    begin = _months_before(ended, 6)
    customer = await _create_customer(sandbox, account, begin)
    subscription = await _subscribe(sandbox, customer, _STARTER, begin)
    cancelled = ended - timedelta(days=10)
    await sandbox.advance(customer, cancelled)
    await memory.begin()
    await _cancel(sandbox, subscription, cancelled)
    await memory.note(ChangeSource.PORTAL, cancelled)
    await sandbox.advance(customer, now)
    await memory.note(ChangeSource.WEBHOOK, ended)


async def _cancel(sandbox: _Sandbox, subscription: dict[str, Any], at: datetime) -> None:
    path = f"/v1/subscriptions/{subscription['id']}"
    await sandbox.call(path, {"cancel_at_period_end": True}, at=at)


_History = Callable[[_Sandbox, _Memory, DemoAccount, datetime], Awaitable[None]]
_HISTORIES: Final[dict[str, _History]] = {
    "active": _active,
    "trialing": _trialing,
    "past due": _past_due,
    "canceling": _canceling,
    "ended": _ended,
}


def _customer_id(account: DemoAccount) -> str:
    return f"cus_demo_{account.key.replace(' ', '_')}"


def _on_every_month(moment: datetime) -> datetime:
    """Return `moment`, or a few days before it, on a day that every month has: renewals stay on it for two years."""
    return moment.replace(day=min(moment.day, 28))


def _months_before(moment: datetime, months: int) -> datetime:
    years, month = divmod(moment.year * 12 + moment.month - 1 - months, 12)
    return moment.replace(year=years, month=month + 1, day=min(moment.day, 28))
