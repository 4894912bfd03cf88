"""Signed-in sessions; only a hash of the token is kept."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID, uuid4

from sqlmodel import Field, SQLModel

from billing_ui.clock import utc_now
from billing_ui.models.columns import UtcDateTime


class SignInMethod(StrEnum):
    """How somebody proved who they are."""

    PASSWORD = "password"  # noqa: S105 - a name, not a secret
    OIDC = "oidc"
    ENTRY = "entry"
    """By a one-time link from the product, which knows them."""
    DEMO = "demo"


class AuthSession(SQLModel, table=True):
    """One sign-in on one browser or API client, and the team it looks at.

    `issuer` and `sealed_id_token` are of a sign-in at an OpenID provider, to sign out there as well; `came_from`
    is where the product that let its person in wants them back, a URL that was allowed.
    """

    __tablename__ = "auth_session"

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    token_hash: str = Field(unique=True, max_length=64)
    user_id: UUID = Field(foreign_key="user.id", ondelete="CASCADE", index=True)
    team_id: UUID | None = Field(default=None, foreign_key="team.id", ondelete="SET NULL")
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
    last_seen_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime)
    method: str = Field(default=SignInMethod.PASSWORD, max_length=20)
    user_agent: str | None = Field(default=None, max_length=400)
    address: str | None = Field(default=None, max_length=64)
    issuer: str | None = Field(default=None, max_length=500)
    sealed_id_token: str | None = None
    came_from: str | None = Field(default=None, max_length=2048)
