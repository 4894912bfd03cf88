"""Payment methods, as far as a page shows them: never more than brand, last four digits and expiry."""

from uuid import UUID

from sqlmodel import Field, SQLModel


class PaymentMethod(SQLModel, table=True):
    """One way a customer pays."""

    __tablename__ = "payment_method"

    provider: str = Field(primary_key=True, max_length=20)
    id: str = Field(primary_key=True, max_length=255)
    customer_id: UUID = Field(foreign_key="customer.id", index=True, ondelete="CASCADE")
    type: str = Field(max_length=40)
    brand: str | None = Field(default=None, max_length=255)
    last4: str | None = Field(default=None, max_length=4)
    exp_month: int | None = None
    exp_year: int | None = None
    is_default: bool = False
