"""The tables; importing this package registers every one of them."""

from sqlmodel import SQLModel

from billing_ui.models.auth_session import AuthSession
from billing_ui.models.catalog import Catalog, PortalConfiguration, Price, Product
from billing_ui.models.customer import Customer, CustomerSnapshot
from billing_ui.models.invoice import Invoice
from billing_ui.models.payment_method import PaymentMethod
from billing_ui.models.portal_visit import PortalVisit, VisitKind
from billing_ui.models.subscription import Subscription, SubscriptionItem
from billing_ui.models.team import Membership, Role, Team
from billing_ui.models.user import User

__all__ = [
    "AuthSession",
    "Catalog",
    "Customer",
    "CustomerSnapshot",
    "Invoice",
    "Membership",
    "PaymentMethod",
    "PortalConfiguration",
    "PortalVisit",
    "Price",
    "Product",
    "Role",
    "SQLModel",
    "Subscription",
    "SubscriptionItem",
    "Team",
    "User",
    "VisitKind",
]
