"""What a request to Paddle may say, and how it is refused when it says something else."""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from billing_ui.sandbox.paddle.ids import ulid
from billing_ui.sandbox.shop.dialect import Answered, Asked
from billing_ui.sandbox.shop.model import Json

Body = TypeVar("Body", bound="Strict")

_DOCS: Final = "https://developer.paddle.com/errors"


class Refusal(Exception):
    """Something Paddle answers with an error."""

    def __init__(
        self, status: int, code: str, detail: str, errors: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = errors or {}


def refused(refusal: Refusal) -> Answered:
    """Return a refusal in Paddle's shape."""
    error: Json = {
        "type": "api_error" if refusal.status >= 500 or refusal.status == 429 else "request_error",
        "code": refusal.code,
        "detail": refusal.detail,
        "documentation_url": f"{_DOCS}/{refusal.code}",
    }
    if refusal.errors:
        error["errors"] = [
            {"field": field, "message": message} for field, message in refusal.errors.items()
        ]
    return Answered(refusal.status, {"error": error, "meta": {"request_id": _request_id()}})


def found(data: Any, *, status: int = 200, pagination: Json | None = None) -> Answered:
    """Return an answer in Paddle's shape."""
    meta: Json = {"request_id": _request_id()}
    if pagination is not None:
        meta["pagination"] = pagination
    return Answered(status, {"data": data, "meta": meta})


def _request_id() -> str:
    return ulid(0)


def missing(what: str, record_id: str) -> Refusal:
    """Return that there is no such entity."""
    return Refusal(404, "not_found", f"{what} {record_id} not found.")


def invalid(**errors: str) -> Refusal:
    """Return that fields are wrong."""
    return Refusal(400, "bad_request", "Invalid request.", errors)


def read_query(asked: Asked, allowed: frozenset[str]) -> dict[str, str]:
    """Return the query, each name once.

    Raises:
        Refusal: A name is unknown, or stands there twice.
    """
    query: dict[str, str] = {}
    for name, value in asked.query:
        if name not in allowed:
            raise invalid(**{name: "unknown query parameter"})
        if name in query:
            raise invalid(**{name: "must stand once"})
        query[name] = value
    return query


def read_body(model: type[Body], asked: Asked) -> Body:
    """Return the body as what it must be.

    Raises:
        Refusal: It is something else.
    """
    try:
        values = json.loads(asked.body or b"{}")
    except ValueError:
        raise Refusal(400, "invalid_json", "The request body is not valid JSON.") from None
    if not isinstance(values, dict):
        raise Refusal(400, "invalid_json", "The request body must be a JSON object.")
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise invalid(
            **{
                ".".join(map(str, problem["loc"])) or "body": problem["msg"]
                for problem in error.errors()
            }
        ) from None


class Strict(BaseModel):
    """A body with known fields only, each of its own type."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @property
    def given(self) -> set[str]:
        """The fields that the request names."""
        return self.model_fields_set


Text = Annotated[str, Field(min_length=1, max_length=1024)]
Data = dict[str, Any] | None
Currency = Annotated[str, Field(pattern="^[A-Z]{3}$")]
Amount = Annotated[str, Field(pattern=r"^\d{1,12}$")]
State = Literal["active", "archived"]
Email = Annotated[str, Field(min_length=3, max_length=320, pattern=r"^[^@\s]+@[^@\s]+$")]
Units = Annotated[int, Field(ge=1, le=999_999_999)]


class CustomerBody(Strict):
    """Makes a customer."""

    email: Email
    name: Text | None = None
    custom_data: Data = None
    locale: Text = "en"


class CustomerChange(Strict):
    """Changes a customer."""

    email: Email = ""
    name: Text | None = None
    custom_data: Data = None
    locale: Text = "en"
    status: State = "active"


class PortalBody(Strict):
    """Opens the portal."""

    subscription_ids: Annotated[list[Text], Field(max_length=25)] = []


class Duration(Strict):
    """Some time."""

    interval: Literal["day", "week", "month", "year"]
    frequency: Units


class Trial(Duration):
    """How long something is free at first."""

    requires_payment_method: bool = True


class Money(Strict):
    """An amount in minor units."""

    amount: Amount
    currency_code: Currency


class Limits(Strict):
    """How many can be bought."""

    minimum: Units
    maximum: Units


class ProductBody(Strict):
    """Makes a product."""

    name: Text
    tax_category: Literal["standard", "saas", "digital-goods", "ebooks", "website-hosting"]
    type: Literal["standard"] | None = None
    description: Text | None = None
    image_url: Text | None = None
    custom_data: Data = None


class ProductChange(Strict):
    """Changes a product."""

    name: Text = ""
    description: Text | None = None
    image_url: Text | None = None
    custom_data: Data = None
    status: State = "active"


class PriceBody(Strict):
    """Makes a price."""

    description: Text
    product_id: Text
    unit_price: Money
    type: Literal["standard"] | None = None
    name: Text | None = None
    billing_cycle: Duration
    trial_period: Trial | None = None
    tax_mode: Literal["account_setting", "external", "internal", "location"] = "account_setting"
    quantity: Limits | None = None
    custom_data: Data = None


class PriceChange(Strict):
    """Changes a price."""

    description: Text = ""
    name: Text | None = None
    unit_price: Money | None = None
    quantity: Limits | None = None
    custom_data: Data = None
    status: State = "active"


class Item(Strict):
    """So many of a price."""

    price_id: Text
    quantity: Units = 1


Items = Annotated[list[Item], Field(min_length=1, max_length=1)]
"""The shop sells one price at a time."""


class CheckoutLink(Strict):
    """Where a checkout's page is."""

    url: str | None = None


class TransactionBody(Strict):
    """Makes a transaction, which is a checkout until it is paid."""

    items: Items
    customer_id: Text | None = None
    address_id: Text | None = None
    custom_data: Data = None
    currency_code: Currency | None = None
    collection_mode: Literal["automatic"] = "automatic"
    checkout: CheckoutLink | None = None


class TransactionChange(Strict):
    """Changes a transaction that is not billed."""

    items: Items | None = None
    custom_data: Data = None
    currency_code: Currency | None = None
    status: Literal["canceled", "billed"] | None = None


class SubscriptionChange(Strict):
    """Changes a subscription."""

    items: Items | None = None
    proration_billing_mode: Literal["prorated_immediately"] | None = None
    scheduled_change: None = None
    custom_data: Data = None


class When(Strict):
    """When something is to happen to a subscription."""

    effective_from: Literal["next_billing_period", "immediately"] | None = None
    resume_at: Text | None = None


class DestinationBody(Strict):
    """Makes a notification destination."""

    description: Text
    destination: Text
    subscribed_events: list[Text]
    type: Literal["url"]
    include_sensitive_fields: bool = False
    api_version: Literal[1] = 1
    traffic_source: Literal["all", "platform", "simulation"] = "all"
