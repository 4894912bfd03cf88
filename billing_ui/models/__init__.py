"""The tables; importing this package registers every one of them."""

from sqlmodel import SQLModel

from billing_ui.models.api_token import ApiToken
from billing_ui.models.audit_entry import ActorKind, AuditEntry
from billing_ui.models.auth_session import AuthSession, SignInMethod
from billing_ui.models.catalog import Catalog, PortalConfiguration, Price, Product
from billing_ui.models.change import ChangeSource, RecordedChange
from billing_ui.models.customer import Customer, CustomerSnapshot, Urgency
from billing_ui.models.inbox_event import EventSource, InboxEvent
from billing_ui.models.invoice import Invoice
from billing_ui.models.job import Job, ProviderPace
from billing_ui.models.one_time_link import LinkKind, OneTimeLink
from billing_ui.models.payment_method import PaymentMethod
from billing_ui.models.portal_visit import PortalVisit, VisitKind
from billing_ui.models.subscription import Subscription, SubscriptionItem
from billing_ui.models.team import Membership, Role, Team
from billing_ui.models.user import User
from billing_ui.models.user_identity import UserIdentity

__all__ = [
    "ActorKind",
    "ApiToken",
    "AuditEntry",
    "AuthSession",
    "Catalog",
    "ChangeSource",
    "Customer",
    "CustomerSnapshot",
    "EventSource",
    "InboxEvent",
    "Invoice",
    "Job",
    "LinkKind",
    "Membership",
    "OneTimeLink",
    "PaymentMethod",
    "PortalConfiguration",
    "PortalVisit",
    "Price",
    "Product",
    "ProviderPace",
    "RecordedChange",
    "Role",
    "SQLModel",
    "SignInMethod",
    "Subscription",
    "SubscriptionItem",
    "Team",
    "Urgency",
    "User",
    "UserIdentity",
    "VisitKind",
]
