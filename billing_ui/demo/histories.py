"""What happened to each demo account, from its first day until now."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from billing_ui.accounts.demo import DemoAccount
from billing_ui.demo.memory import Memory
from billing_ui.demo.plans import PRO, STARTER, TEAM
from billing_ui.demo.seller import FAILING, MASTERCARD, VISA, Card, Details, Seller
from billing_ui.models import ChangeSource


async def _active(seller: Seller, memory: Memory, account: DemoAccount, now: datetime) -> None:
    """Two years: begun small, moved up twice, grown seat by seat, two hours ago the last time."""
    renewal = _on_every_month(now + timedelta(days=14))
    begin = months_before(renewal, 25)
    details = Details("12 Harbour Street", "Dublin", "IE", vat="IE1234567FA")
    customer = await seller.create_customer(account, begin, details)
    await seller.pay_with(customer, MASTERCARD, begin)
    subscription = await seller.subscribe(customer, STARTER, begin)
    steps = (
        *((9, PRO, 1), (15, TEAM, 9), (17, TEAM, 12), (18, TEAM, 11)),
        *((20, TEAM, 15), (21, TEAM, 14), (22, TEAM, 16), (23, TEAM, 18)),
    )
    for months, plan, seats in steps:
        moment = months_before(renewal, 25 - months) + timedelta(days=7)
        await seller.advance(customer, moment)
        await seller.change(subscription, plan, seats, moment)
    await memory.begin()
    renewed = months_before(renewal, 1) + timedelta(hours=2)
    await seller.advance(customer, renewed)
    await memory.note(ChangeSource.WEBHOOK, renewed)
    paid_otherwise = now - timedelta(days=8)
    await seller.advance(customer, paid_otherwise)
    await seller.pay_with(customer, _last_card_of(renewal), paid_otherwise)
    await memory.note(ChangeSource.PORTAL, paid_otherwise)
    grown = now - timedelta(hours=2)
    await seller.advance(customer, grown)
    await seller.change(subscription, TEAM, 24, grown)
    await memory.note(ChangeSource.PORTAL, grown)
    await seller.advance(customer, now)


def _last_card_of(renewal: datetime) -> Card:
    """Return a card that pays the renewal and expires before the one after it."""
    return replace(VISA, exp_month=renewal.month, exp_year=renewal.year)


async def _trialing(seller: Seller, memory: Memory, account: DemoAccount, now: datetime) -> None:
    """Nine days left, and no card yet: without one the plan ends and nothing is charged."""
    # An hour more than nine days, so that the page says nine however long starting takes.
    begin = now - timedelta(days=5) + timedelta(hours=1)
    customer = await seller.create_customer(account, begin)
    await memory.begin()
    await seller.subscribe(customer, TEAM, begin, quantity=5, trial_days=14)
    await memory.note(ChangeSource.CHECKOUT, begin)


async def _past_due(seller: Seller, memory: Memory, account: DemoAccount, now: datetime) -> None:
    """Paid for three months; the card of the latest renewal, two days ago, was declined."""
    failed = _on_every_month(now - timedelta(days=2))
    begin = months_before(failed, 4)
    customer = await seller.create_customer(account, begin)
    await seller.pay_with(customer, VISA, begin)
    await seller.subscribe(customer, PRO, begin)
    replaced = failed - timedelta(days=3)
    await seller.advance(customer, replaced)
    await memory.begin()
    await seller.pay_with(customer, FAILING, replaced)
    await memory.note(ChangeSource.PORTAL, replaced)
    await seller.advance(customer, now)
    await memory.note(ChangeSource.WEBHOOK, failed)


async def _canceling(seller: Seller, memory: Memory, account: DemoAccount, now: datetime) -> None:
    """Pays in euros and has cancelled; the plan stays on for three more weeks."""
    end = _on_every_month(now + timedelta(days=21))
    begin = months_before(end, 7)
    customer = await seller.create_customer(account, begin)
    await seller.pay_with(customer, MASTERCARD, begin)
    subscription = await seller.subscribe(customer, TEAM, begin, quantity=8, euros=True)
    cancelled = now - timedelta(days=1, hours=3)
    await seller.advance(customer, cancelled)
    await memory.begin()
    await seller.cancel(subscription, cancelled)
    await memory.note(ChangeSource.PORTAL, cancelled)


async def _ended(seller: Seller, memory: Memory, account: DemoAccount, now: datetime) -> None:
    """Was on Starter for half a year, and left."""
    ended = _on_every_month(now - timedelta(days=20))
    begin = months_before(ended, 6)
    customer = await seller.create_customer(account, begin)
    await seller.pay_with(customer, VISA, begin)
    subscription = await seller.subscribe(customer, STARTER, begin)
    cancelled = ended - timedelta(days=10)
    await seller.advance(customer, cancelled)
    await memory.begin()
    await seller.cancel(subscription, cancelled)
    await memory.note(ChangeSource.PORTAL, cancelled)
    await seller.advance(customer, now)
    await memory.note(ChangeSource.WEBHOOK, ended)


History: TypeAlias = Callable[[Seller, Memory, DemoAccount, datetime], Awaitable[None]]
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
