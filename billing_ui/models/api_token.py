"""API tokens, by which programs ask; only a hash of each is kept."""

from datetime import datetime
from uuid import UUID, uuid4

from sqlmodel import Field, SQLModel

from billing_ui.clock import utc_now
from billing_ui.models.columns import JSON_DOCUMENT, UtcDateTime


class ApiToken(SQLModel, table=True):
    """A token that acts for one team or, without one, for the operator, who names the team in each call.

    `hint` is the end of the token, to tell it from others by; `scopes` are names of `accounts.permissions.Scope`.
    """

    __tablename__ = "api_token"

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    name: str = Field(max_length=100)
    token_hash: str = Field(unique=True, max_length=64)
    hint: str = Field(max_length=4)
    team_id: UUID | None = Field(
        default=None, foreign_key="team.id", ondelete="CASCADE", index=True
    )
    created_by: UUID | None = Field(default=None, foreign_key="user.id", ondelete="SET NULL")
    scopes: list[str] = Field(sa_type=JSON_DOCUMENT)
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
    expires_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    last_used_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    revoked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
