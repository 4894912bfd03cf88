"""What can be bought: a copy of the provider's products and prices, and the portal configuration made of it."""

from datetime import datetime

from sqlalchemy import ForeignKeyConstraint
from sqlmodel import Field, SQLModel

from billing_ui.models.columns import JSON_DOCUMENT, UtcDateTime


class Product(SQLModel, table=True):
    """One product, with what the pricing page says of it."""

    provider: str = Field(primary_key=True, max_length=20)
    id: str = Field(primary_key=True, max_length=255)
    name: str = Field(max_length=512)
    description: str | None = None
    active: bool
    position: int
    features: list[str] = Field(default_factory=list, sa_type=JSON_DOCUMENT)
    unit_label: str | None = None
    default_price_id: str | None = Field(default=None, max_length=255)


class Price(SQLModel, table=True):
    """One price of a product; `amounts` holds minor units by lower-case currency."""

    __table_args__ = (
        ForeignKeyConstraint(
            ["provider", "product_id"], ["product.provider", "product.id"], ondelete="CASCADE"
        ),
    )

    provider: str = Field(primary_key=True, max_length=20)
    id: str = Field(primary_key=True, max_length=255)
    product_id: str = Field(max_length=255, index=True)
    active: bool
    position: int
    currency: str = Field(max_length=3)
    amounts: dict[str, int] = Field(sa_type=JSON_DOCUMENT)
    interval: str | None = Field(default=None, max_length=10)
    interval_count: int = 1


class Catalog(SQLModel, table=True):
    """When a provider's catalogue was last copied, and the same counters that a customer has."""

    provider: str = Field(primary_key=True, max_length=20)
    wanted: int = 1
    applied: int = 0
    fetch_no: int = 0
    applied_fetch_no: int = 0
    lease_owner: str | None = Field(default=None, max_length=64)
    lease_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    fetched_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class PortalConfiguration(SQLModel, table=True):
    """The portal configuration we made at a provider, and the hash of the content it was made of."""

    __tablename__ = "portal_configuration"

    provider: str = Field(primary_key=True, max_length=20)
    id: str = Field(max_length=255)
    hash: str = Field(max_length=64)
    updated_at: datetime = Field(sa_type=UtcDateTime)
