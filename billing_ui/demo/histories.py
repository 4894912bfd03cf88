"""What happened to each demo account, from its first day until now."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias

from billing_ui.accounts.demo import DemoAccount
from billing_ui.demo.calls import Sandbox
from billing_ui.demo.memory import Memory, customer_id_of
from billing_ui.demo.shop import PRO, STARTER, TEAM, Plan
from billing_ui.models import ChangeSource


async def _create_customer(
    sandbox: Sandbox,
    account: DemoAccount,
    at: datetime,
    *,
    card: str | None = "pm_card_visa",
    details: dict[str, Any] | None = None,
) -> str:
    customer = customer_id_of(account)
    params = {
        "name": account.team_name,
        "email": f"billing@{account.email.partition('@')[2]}",
        "metadata": {"team_id": str(account.team_id), "generation": "1"},
    }
    await sandbox.call("/v1/customers", params | (details or {}), at=at, object_id=customer)
    if card is not None:
        await _pay_with(sandbox, customer, card, at)
    return customer


async def _pay_with(sandbox: Sandbox, customer: str, card: str, at: datetime) -> None:
    method = await sandbox.call(f"/v1/payment_methods/{card}/attach", {"customer": customer}, at=at)
    settings = {"invoice_settings": {"default_payment_method": method["id"]}}
    await sandbox.call(f"/v1/customers/{customer}", settings, at=at)


async def _subscribe(
    sandbox: Sandbox, customer: str, plan: Plan, at: datetime, **params: Any
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
    sandbox: Sandbox, subscription: dict[str, Any], plan: Plan, quantity: int, at: datetime
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


async def _active(sandbox: Sandbox, memory: Memory, account: DemoAccount, now: datetime) -> None:
    """Two years: begun small, moved up twice, grown seat by seat, two hours ago the last time."""
    renewal = _on_every_month(now + timedelta(days=14))
    begin = months_before(renewal, 25)
    details = {
        "address": {"line1": "12 Harbour Street", "city": "Dublin", "country": "IE"},
        "tax_id_data": [{"type": "eu_vat", "value": "IE1234567FA"}],
    }
    customer = await _create_customer(
        sandbox, account, begin, card="pm_card_mastercard", details=details
    )
    subscription = await _subscribe(sandbox, customer, STARTER, begin)
    steps = (
        *((9, PRO, 1), (15, TEAM, 9), (17, TEAM, 12), (18, TEAM, 11)),
        *((20, TEAM, 15), (21, TEAM, 14), (22, TEAM, 16), (23, TEAM, 18)),
    )
    for months, plan, seats in steps:
        moment = months_before(renewal, 25 - months) + timedelta(days=7)
        await sandbox.advance(customer, moment)
        await _switch(sandbox, subscription, plan, seats, moment)
    await memory.begin()
    renewed = months_before(renewal, 1) + timedelta(hours=2)
    await sandbox.advance(customer, renewed)
    await memory.note(ChangeSource.WEBHOOK, renewed)
    paid_otherwise = now - timedelta(days=8)
    await sandbox.advance(customer, paid_otherwise)
    await _pay_with(sandbox, customer, await _last_card_of(sandbox, renewal), paid_otherwise)
    await memory.note(ChangeSource.PORTAL, paid_otherwise)
    grown = now - timedelta(hours=2)
    await sandbox.advance(customer, grown)
    await _switch(sandbox, subscription, TEAM, 24, grown)
    await memory.note(ChangeSource.PORTAL, grown)
    await sandbox.advance(customer, now)


async def _last_card_of(sandbox: Sandbox, renewal: datetime) -> str:
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


async def _trialing(sandbox: Sandbox, memory: Memory, account: DemoAccount, now: datetime) -> None:
    """Nine days left, and no card yet: without one the plan ends and nothing is charged."""
    # An hour more than nine days, so that the page says nine however long starting takes.
    begin = now - timedelta(days=5) + timedelta(hours=1)
    customer = await _create_customer(sandbox, account, begin, card=None)
    await memory.begin()
    await _subscribe(
        sandbox,
        customer,
        TEAM,
        begin,
        quantity=5,
        trial_period_days=14,
        trial_settings={"end_behavior": {"missing_payment_method": "cancel"}},
    )
    await memory.note(ChangeSource.CHECKOUT, begin)


async def _past_due(sandbox: Sandbox, memory: Memory, account: DemoAccount, now: datetime) -> None:
    """Paid for three months; the card of the latest renewal, two days ago, was declined."""
    failed = _on_every_month(now - timedelta(days=2))
    begin = months_before(failed, 4)
    customer = await _create_customer(sandbox, account, begin)
    await _subscribe(sandbox, customer, PRO, begin)
    replaced = failed - timedelta(days=3)
    await sandbox.advance(customer, replaced)
    await memory.begin()
    await _pay_with(sandbox, customer, "pm_card_chargeCustomerFail", replaced)
    await memory.note(ChangeSource.PORTAL, replaced)
    await sandbox.advance(customer, now)
    await memory.note(ChangeSource.WEBHOOK, failed)


async def _canceling(sandbox: Sandbox, memory: Memory, account: DemoAccount, now: datetime) -> None:
    """Pays in euros and has cancelled; the plan stays on for three more weeks."""
    end = _on_every_month(now + timedelta(days=21))
    begin = months_before(end, 7)
    customer = await _create_customer(sandbox, account, begin, card="pm_card_mastercard")
    subscription = await _subscribe(sandbox, customer, TEAM, begin, quantity=8, currency="eur")
    cancelled = now - timedelta(days=1, hours=3)
    await sandbox.advance(customer, cancelled)
    await memory.begin()
    await _cancel(sandbox, subscription, cancelled)
    await memory.note(ChangeSource.PORTAL, cancelled)


async def _ended(sandbox: Sandbox, memory: Memory, account: DemoAccount, now: datetime) -> None:
    """Was on Starter for half a year, and left."""
    ended = _on_every_month(now - timedelta(days=20))
    begin = months_before(ended, 6)
    customer = await _create_customer(sandbox, account, begin)
    subscription = await _subscribe(sandbox, customer, STARTER, begin)
    cancelled = ended - timedelta(days=10)
    await sandbox.advance(customer, cancelled)
    await memory.begin()
    await _cancel(sandbox, subscription, cancelled)
    await memory.note(ChangeSource.PORTAL, cancelled)
    await sandbox.advance(customer, now)
    await memory.note(ChangeSource.WEBHOOK, ended)


async def _cancel(sandbox: Sandbox, subscription: dict[str, Any], at: datetime) -> None:
    path = f"/v1/subscriptions/{subscription['id']}"
    await sandbox.call(path, {"cancel_at_period_end": True}, at=at)


History: TypeAlias = Callable[[Sandbox, Memory, DemoAccount, datetime], Awaitable[None]]
HISTORIES: Final[dict[str, History]] = {
    "active": _active,
    "trialing": _trialing,
    "past due": _past_due,
    "canceling": _canceling,
    "ended": _ended,
}
"""The history of each account that has one, by the account's key."""


def _on_every_month(moment: datetime) -> datetime:
    """Return `moment`, or a few days before it, on a day that every month has: renewals stay on it for two years."""
    return moment.replace(day=min(moment.day, 28))


def months_before(moment: datetime, months: int) -> datetime:
    """Return a moment so many months earlier, on a day that every month has."""
    years, month = divmod(moment.year * 12 + moment.month - 1 - months, 12)
    return moment.replace(year=years, month=month + 1, day=min(moment.day, 28))
