"""Who a person is at an OpenID provider."""

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import UniqueConstraint
from sqlmodel import Field, SQLModel

from billing_ui.clock import utc_now
from billing_ui.models.columns import UtcDateTime


class UserIdentity(SQLModel, table=True):
    """One account at one issuer, and whose it is; issuer and subject together are what tells people apart."""

    __tablename__ = "user_identity"
    __table_args__ = (UniqueConstraint("issuer", "subject", name="uq_user_identity_subject"),)

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    issuer: str = Field(max_length=500)
    # OpenID Connect Core 1.0, section 2: a subject has 255 ASCII characters at most.
    subject: str = Field(max_length=255)
    user_id: UUID = Field(foreign_key="user.id", ondelete="CASCADE", index=True)
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
