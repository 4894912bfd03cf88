"""Filling an empty database with the demo."""

from datetime import timedelta
from typing import Final

import httpx
import structlog
from sqlmodel import select

from billing_ui.accounts.demo import DEMO_ACCOUNTS
from billing_ui.accounts.teams import create_team
from billing_ui.accounts.users import add_user, new_user
from billing_ui.billing.catalog import refresh_catalog
from billing_ui.billing.services import Services
from billing_ui.clock import utc_now
from billing_ui.demo.calls import Control
from billing_ui.demo.histories import HISTORIES, months_before
from billing_ui.demo.memory import Memory
from billing_ui.demo.seller import Seller
from billing_ui.demo.shop_seller import ShopSeller
from billing_ui.demo.stripe_seller import StripeSeller
from billing_ui.models import Membership, Role, Team, User
from billing_ui.settings import Provider

_TIMEOUT_SECONDS: Final = 60.0

log = structlog.get_logger(__name__)

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
_BILLING_MANAGER: Final = _COLLEAGUES[0]
_WEEKS_BETWEEN: Final = 5
"""Since one of them joined, until the next did."""


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
        seller = _seller(Control(client), services.settings.payment_provider)
        await seller.reset()
        await seller.create_catalog(months_before(now, 30))
        await refresh_catalog(services)
        for key, history in HISTORIES.items():
            account = DEMO_ACCOUNTS[key]
            memory = Memory(services, account, seller.customer_id(account))
            await history(seller, memory, account, now)
    await _create_people(services)
    log.info("demo_ready")


def _seller(control: Control, provider: Provider) -> Seller:
    if provider is Provider.STRIPE:
        return StripeSeller(control)
    return ShopSeller(control, provider)


async def _create_teams(services: Services) -> None:
    for account in DEMO_ACCOUNTS.values():
        async with services.database.read() as session:
            known = await session.get(Team, account.team_id)
        if known is None:
            await create_team(services.database, account.team_name, team_id=account.team_id)


async def _create_people(services: Services) -> None:
    """Create who signs in by a button, and the colleagues who take up seats beside them."""
    active, now = DEMO_ACCOUNTS["active"], utc_now()
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
            session.add(
                Membership(
                    team_id=account.team_id,
                    user_id=user.id,
                    role=account.role,
                    created_at=now - timedelta(weeks=(len(colleagues) + 1) * _WEEKS_BETWEEN),
                )
            )
        for number, user in enumerate(reversed(colleagues), 1):
            await add_user(session, user)
            session.add(
                Membership(
                    team_id=active.team_id,
                    user_id=user.id,
                    role=Role.BILLING_MANAGER if user.name == _BILLING_MANAGER else Role.MEMBER,
                    created_at=now - timedelta(weeks=number * _WEEKS_BETWEEN),
                )
            )
