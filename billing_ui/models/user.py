"""People who can sign in."""

from datetime import datetime
from uuid import UUID, uuid4

from sqlmodel import Field, SQLModel

from billing_ui.clock import utc_now
from billing_ui.models.columns import UtcDateTime


class User(SQLModel, table=True):
    """A person. E-mail addresses are stored lower case and are unique.

    `external_id` is what the product that the person comes from calls them.
    """

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    email: str = Field(unique=True, max_length=320)
    name: str = Field(default="", max_length=200)
    password_hash: str | None = Field(default=None, max_length=200)
    external_id: str | None = Field(default=None, max_length=255, unique=True, index=True)
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
