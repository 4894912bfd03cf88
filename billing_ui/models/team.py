"""Teams, which pay, and the roles of their members."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID, uuid4

from sqlmodel import Field, SQLModel

from billing_ui.clock import utc_now
from billing_ui.models.columns import UtcDateTime


class Role(StrEnum):
    """What a member is in a team; what each may do stands in `accounts.permissions`."""

    OWNER = "owner"
    BILLING_MANAGER = "billing_manager"
    MEMBER = "member"


class Team(SQLModel, table=True):
    """Who pays. `external_id` is what the product that the team comes from calls it."""

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    name: str = Field(max_length=200)
    external_id: str | None = Field(default=None, max_length=255, unique=True, index=True)
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)


class Membership(SQLModel, table=True):
    """One person's role in one team."""

    team_id: UUID = Field(foreign_key="team.id", primary_key=True, ondelete="CASCADE")
    user_id: UUID = Field(foreign_key="user.id", primary_key=True, ondelete="CASCADE", index=True)
    role: str = Field(max_length=20)
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
