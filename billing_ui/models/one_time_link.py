"""Links that work once: into a team, to a new password, or from the product to its billing page."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID, uuid4

from sqlmodel import Field, SQLModel

from billing_ui.clock import utc_now
from billing_ui.models.columns import UtcDateTime


class LinkKind(StrEnum):
    """What a link is for; one of a kind is of no use for another."""

    INVITATION = "invitation"
    PASSWORD_RESET = "password_reset"  # noqa: S105 - a name, not a secret
    ENTRY = "entry"


class OneTimeLink(SQLModel, table=True):
    """A link that was handed out, of whose token only a hash is kept.

    Which of team, user, e-mail, role and destination are given depends on the kind; `destination` is the
    path or URL that the person goes on to.
    """

    __tablename__ = "one_time_link"

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    kind: str = Field(max_length=20)
    token_hash: str = Field(unique=True, max_length=64)
    team_id: UUID | None = Field(
        default=None, foreign_key="team.id", ondelete="CASCADE", index=True
    )
    user_id: UUID | None = Field(
        default=None, foreign_key="user.id", ondelete="CASCADE", index=True
    )
    email: str | None = Field(default=None, max_length=320)
    role: str | None = Field(default=None, max_length=20)
    destination: str | None = Field(default=None, max_length=2048)
    created_by: UUID | None = Field(default=None, foreign_key="user.id", ondelete="SET NULL")
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime, index=True)
    used_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    revoked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
