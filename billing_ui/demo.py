"""The demo: teams and people of the sandbox, and two years of billing behind them."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import httpx
import structlog
from sqlmodel import select

from billing_ui.accounts.demo import DEMO_ACCOUNTS, DemoAccount
from billing_ui.accounts.teams import create_team
from billing_ui.accounts.users import add_user, new_user
from billing_ui.billing.catalog import refresh_catalog
from billing_ui.billing.customers import link_customer
from billing_ui.billing.services import Services
from billing_ui.billing.sync import sync_customer
from billing_ui.clock import utc_now
from billing_ui.models import Membership, Role, Team, User

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
    await _seed_sandbox(sandbox_url)
    await refresh_catalog(services)
    for account in DEMO_ACCOUNTS.values():
        async with services.database.read() as session:
            known = await session.get(Team, account.team_id)
        if known is None:
            await create_team(services.database, account.team_name, team_id=account.team_id)
        if account.key in _HISTORIES:
            customer_id = await link_customer(services, account.team_id, _customer_id(account))
            await sync_customer(services, customer_id)
    await _create_people(services)
    log.info("demo_ready")


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


async def _seed_sandbox(url: str) -> None:
    now = utc_now()
    async with httpx.AsyncClient(base_url=url, timeout=_TIMEOUT_SECONDS, trust_env=False) as client:
        sandbox = _Sandbox(client)
        await sandbox.reset()
        await _create_catalog(sandbox, _months_before(now, 30))
        for key, history in _HISTORIES.items():
            await history(sandbox, DEMO_ACCOUNTS[key], now)


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


async def _active(sandbox: _Sandbox, account: DemoAccount, now: datetime) -> None:
    """Two years: begun small, moved up twice, grown seat by seat."""
    renewal = now + timedelta(days=14)
    begin = _months_before(renewal, 25)
    details = {
        "address": {"line1": "12 Harbour Street", "city": "Dublin", "country": "IE"},
        "tax_id_data": [{"type": "eu_vat", "value": "IE1234567FA"}],
    }
    customer = await _create_customer(sandbox, account, begin, details=details)
    subscription = await _subscribe(sandbox, customer, _STARTER, begin)
    for months, plan, seats in ((9, _PRO, 1), (16, _TEAM, 10), (20, _TEAM, 18), (23, _TEAM, 24)):
        moment = _months_before(renewal, 25 - months) + timedelta(days=7)
        await sandbox.advance(customer, moment)
        await _switch(sandbox, subscription, plan, seats, moment)
    await sandbox.advance(customer, now)


async def _trialing(sandbox: _Sandbox, account: DemoAccount, now: datetime) -> None:
    """Nine days left, and no card yet: without one the plan ends and nothing is charged."""
    # An hour more than nine days, so that the page says nine however long starting takes.
    begin = now - timedelta(days=5) + timedelta(hours=1)
    customer = await _create_customer(sandbox, account, begin, card=None)
    await _subscribe(
        sandbox,
        customer,
        _TEAM,
        begin,
        quantity=5,
        trial_period_days=14,
        trial_settings={"end_behavior": {"missing_payment_method": "cancel"}},
    )


async def _past_due(sandbox: _Sandbox, account: DemoAccount, now: datetime) -> None:
    """Paid for three months; the card of the latest renewal, two days ago, was declined."""
    failed = now - timedelta(days=2)
    begin = _months_before(failed, 4)
    customer = await _create_customer(sandbox, account, begin)
    await _subscribe(sandbox, customer, _PRO, begin)
    await sandbox.advance(customer, failed - timedelta(days=3))
    await _pay_with(sandbox, customer, "pm_card_chargeCustomerFail", failed - timedelta(days=3))
    await sandbox.advance(customer, now)


async def _canceling(sandbox: _Sandbox, account: DemoAccount, now: datetime) -> None:
    """Pays in euros and has cancelled; the plan stays on for three more weeks."""
    end = now + timedelta(days=21)
    begin = _months_before(end, 7)
    customer = await _create_customer(sandbox, account, begin, card="pm_card_mastercard")
    subscription = await _subscribe(sandbox, customer, _TEAM, begin, quantity=8, currency="eur")
    cancelled = now - timedelta(days=1)
    await sandbox.advance(customer, cancelled)
    await sandbox.call(
        f"/v1/subscriptions/{subscription['id']}", {"cancel_at_period_end": True}, at=cancelled
    )


async def _ended(sandbox: _Sandbox, account: DemoAccount, now: datetime) -> None:
    """Was on Starter for half a year, and left."""
    ended = now - timedelta(days=20)
    begin = _months_before(ended, 6)
    customer = await _create_customer(sandbox, account, begin)
    subscription = await _subscribe(sandbox, customer, _STARTER, begin)
    await sandbox.advance(customer, ended - timedelta(days=10))
    await sandbox.call(
        f"/v1/subscriptions/{subscription['id']}",
        {"cancel_at_period_end": True},
        at=ended - timedelta(days=10),
    )
    await sandbox.advance(customer, now)


_HISTORIES: Final[dict[str, Callable[[_Sandbox, DemoAccount, datetime], Awaitable[None]]]] = {
    "active": _active,
    "trialing": _trialing,
    "past due": _past_due,
    "canceling": _canceling,
    "ended": _ended,
}


def _customer_id(account: DemoAccount) -> str:
    return f"cus_demo_{account.key.replace(' ', '_')}"


def _months_before(moment: datetime, months: int) -> datetime:
    years, month = divmod(moment.year * 12 + moment.month - 1 - months, 12)
    # Every month has a 28th, so the day stays the same over two years of renewals.
    return moment.replace(year=years, month=month + 1, day=min(moment.day, 28))
