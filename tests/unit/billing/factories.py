"""Snapshots, catalogues and people for the tests of the use cases."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from babel import Locale

from billing_ui.accounts.sessions import Identity
from billing_ui.billing.recovery import recover
from billing_ui.billing.services import Services
from billing_ui.billing.visits import VisitBanner, read_outcome
from billing_ui.i18n import Reader
from billing_ui.models import Customer, Membership, Role, Team, User
from billing_ui.payments.types import (
    CatalogPrice,
    CatalogProduct,
    CatalogSnapshot,
    Snapshot,
    SnapshotCustomer,
    SnapshotInvoice,
    SnapshotItem,
    SnapshotPaymentMethod,
    SnapshotSubscription,
    SubscriptionState,
)

NOW = datetime(2026, 12, 3, 12, tzinfo=UTC)
RENEWAL = datetime(2027, 1, 3, 12, tzinfo=UTC)
AMERICAN = Reader(Locale.parse("en_US"), ZoneInfo("UTC"))

PRO, TEAM, STARTER = "price_pro_month", "price_team_month", "price_starter_month"
PRO_YEARLY = "price_pro_year"
_PLANS: dict[str, tuple[str, int, str]] = {
    STARTER: ("Starter", 2900, "month"),
    PRO: ("Pro", 14900, "month"),
    PRO_YEARLY: ("Pro", 149000, "year"),
    TEAM: ("Team", 2000, "month"),
}


def item(price: str = PRO, quantity: int | None = 1, **fields: Any) -> SnapshotItem:
    """Return an item of one of the plans."""
    name, amount, interval = _PLANS[price]
    defaults: dict[str, Any] = {
        "id": "si_1",
        "price_id": price,
        "product_id": f"prod_{name.lower()}",
        "plan_name": name,
        "unit_label": "seat" if name == "Team" else None,
        "quantity": quantity,
        "unit_amount": amount,
        "currency": "usd",
        "interval": interval,
        "current_period_end": RENEWAL,
    }
    return SnapshotItem(**defaults | fields)


def subscription(price: str = PRO, quantity: int | None = 1, **fields: Any) -> SnapshotSubscription:
    """Return an active subscription that renews on January 3, 2027."""
    defaults: dict[str, Any] = {
        "id": "sub_1",
        "status": "active",
        "state": SubscriptionState.ACTIVE,
        "currency": "usd",
        "created_at": NOW,
        "items": (item(price, quantity),),
        "current_period_start": NOW,
        "current_period_end": RENEWAL,
    }
    return SnapshotSubscription(**defaults | fields)


def canceling(price: str = PRO, **fields: Any) -> SnapshotSubscription:
    """Return a subscription that ends on January 3, 2027."""
    return subscription(price, state=SubscriptionState.CANCELING, cancel_at=RENEWAL, **fields)


def ended(price: str = PRO, **fields: Any) -> SnapshotSubscription:
    """Return a subscription that ended on December 3, 2026."""
    defaults: dict[str, Any] = {
        "status": "canceled",
        "state": SubscriptionState.ENDED,
        "ended_at": NOW,
    }
    return subscription(price, **defaults | fields)


def card(last4: str = "4242", *, default: bool = True, **fields: Any) -> SnapshotPaymentMethod:
    """Return a Visa card."""
    defaults: dict[str, Any] = {
        "id": f"pm_{last4}",
        "type": "card",
        "brand": "visa",
        "last4": last4,
        "exp_month": 4,
        "exp_year": 2030,
        "is_default": default,
    }
    return SnapshotPaymentMethod(**defaults | fields)


def invoice(number: int = 1, /, **fields: Any) -> SnapshotInvoice:
    """Return a paid invoice; a later number is a later one."""
    total = fields.pop("total", 17460)
    paid = fields.get("status", "paid") == "paid"
    defaults: dict[str, Any] = {
        "id": f"in_{number:04}",
        "number": f"ACME-{number:04}",
        "status": "paid",
        "currency": "usd",
        "total": total,
        "amount_due": total,
        "amount_paid": total if paid else 0,
        "amount_remaining": 0 if paid else total,
        "created_at": datetime.fromtimestamp(NOW.timestamp() + number * 3600, UTC),
        "attempt_count": 1,
    }
    return SnapshotInvoice(**defaults | fields)


def snapshot(
    *subscriptions: SnapshotSubscription,
    customer: str | SnapshotCustomer = "cus_1",
    payment_methods: tuple[SnapshotPaymentMethod, ...] = (),
    invoices: tuple[SnapshotInvoice, ...] = (),
    partial: bool = False,
    provider: str = "stripe",
) -> Snapshot:
    """Return a customer's state."""
    who = SnapshotCustomer(id=customer) if isinstance(customer, str) else customer
    return Snapshot(
        provider=provider,
        customer=who,
        subscriptions=subscriptions,
        payment_methods=payment_methods,
        invoices=invoices,
        partial=partial,
    )


def catalog(*, archived: tuple[str, ...] = (), provider: str = "stripe") -> CatalogSnapshot:
    """Return three plans, Pro also by the year; products or prices named in `archived` are not active."""
    names = dict.fromkeys(name for name, _, _ in _PLANS.values())
    products = tuple(
        CatalogProduct(
            id=f"prod_{name.lower()}",
            name=name,
            active=f"prod_{name.lower()}" not in archived,
            features=(f"All of {name}",),
            unit_label="seat" if name == "Team" else None,
            prices=tuple(
                CatalogPrice(
                    id=price,
                    product_id=f"prod_{name.lower()}",
                    active=price not in archived,
                    currency="usd",
                    amounts={"usd": amount, "eur": amount},
                    interval="year" if interval == "year" else "month",
                )
                for price, (plan, amount, interval) in _PLANS.items()
                if plan == name
            ),
        )
        for name in names
    )
    return CatalogSnapshot(provider=provider, products=products)


@dataclass(frozen=True)
class Account:
    """A team, an owner of it who is signed in, and its customer, if it has one."""

    identity: Identity
    team_id: UUID
    customer_id: UUID | None = None

    @property
    def customer(self) -> UUID:
        """Our id of the customer."""
        assert self.customer_id is not None
        return self.customer_id


async def new_account(
    services: Services,
    *,
    customer: str | None = None,
    provider: str = "stripe",
    role: Role = Role.OWNER,
    name: str = "Northwind Labs",
) -> Account:
    """Create a team with one signed-in person and, with `customer`, a customer of that id at `provider`."""
    team = Team(name=name)
    user = User(email=f"{uuid4().hex[:8]}@example.com")
    row = None
    async with services.database.write() as session:
        session.add_all([team, user])
        await session.flush()
        session.add(Membership(team_id=team.id, user_id=user.id, role=role))
        if customer is not None:
            row = Customer(team_id=team.id, provider=provider, provider_customer_id=customer)
            session.add(row)
    identity = Identity(
        session_id=uuid4(),
        user_id=user.id,
        email=user.email,
        user_name=user.name,
        team_id=team.id,
        team_name=team.name,
        role=role,
    )
    return Account(identity, team.id, row.id if row else None)


async def latest_outcome(services: Services, identity: Identity) -> VisitBanner | None:
    """Return what somebody's page tells of their last visit."""
    async with services.database.read() as session:
        return await read_outcome(session, identity)


async def recover_all(services: Services) -> int:
    """Accept what the lists of events tell, of each provider that has one; returns how many were new."""
    drivers = [one for one in services.drivers.usable() if one.capabilities.event_list]
    return sum([await recover(services, driver) for driver in drivers])


async def new_member(services: Services, account: Account, role: Role = Role.MEMBER) -> Identity:
    """Add another signed-in person to a team."""
    user = User(email=f"{uuid4().hex[:8]}@example.com")
    async with services.database.write() as session:
        session.add(user)
        await session.flush()
        session.add(Membership(team_id=account.team_id, user_id=user.id, role=role))
    return Identity(
        session_id=uuid4(),
        user_id=user.id,
        email=user.email,
        user_name="",
        team_id=account.team_id,
        team_name=account.identity.team_name,
        role=role,
    )
