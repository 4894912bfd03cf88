"""What may stand in the body of a request: everything else is refused, by a pointer to where it stands."""

import re
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    ValidationError,
)
from pydantic_core import from_json

from billing_ui.sandbox.lemonsqueezy.errors import Refusal, invalid

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_URL = re.compile(r"https?://\S+")


def _email(value: str) -> str:
    if not _EMAIL.fullmatch(value):
        raise ValueError("must be a valid email address.")
    return value


def _url(value: str) -> str:
    if not _URL.fullmatch(value):
        raise ValueError("must be a valid URL.")
    return value


_Text = Annotated[StrictStr, Field(min_length=1, max_length=255)]
_Email = Annotated[_Text, AfterValidator(_email)]
_Url = Annotated[StrictStr, AfterValidator(_url)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CustomerAttributes(_Part):
    """What a customer is created with."""

    name: _Text
    email: _Email
    city: _Text | None = None
    region: _Text | None = None
    country: Annotated[StrictStr, Field(pattern="^[A-Z]{2}$")] | None = None


class ProductOptions(_Part):
    """How the product is shown on a checkout, and where that leads."""

    name: StrictStr | None = None
    description: StrictStr | None = None
    media: list[_Url] | None = None
    redirect_url: _Url | None = None
    receipt_button_text: StrictStr | None = None
    receipt_link_url: _Url | None = None
    receipt_thank_you_note: StrictStr | None = None
    enabled_variants: list[StrictInt] | None = None
    confirmation_title: StrictStr | None = None
    confirmation_message: StrictStr | None = None
    confirmation_button_text: StrictStr | None = None


class CheckoutOptions(_Part):
    """How a checkout looks; none of it is done here."""

    embed: StrictBool | None = None
    media: StrictBool | None = None
    logo: StrictBool | None = None
    desc: StrictBool | None = None
    discount: StrictBool | None = None
    skip_trial: StrictBool | None = None
    subscription_preview: StrictBool | None = None


class BillingAddress(_Part):
    """What is filled in of the buyer's address."""

    country: StrictStr | None = None
    zip: StrictStr | None = None


class VariantQuantity(_Part):
    """How many of a variant are bought."""

    variant_id: StrictInt
    quantity: Annotated[StrictInt, Field(ge=1)]


class CheckoutData(_Part):
    """What is filled in on a checkout, and what its events bring back."""

    email: _Email | None = None
    name: StrictStr | None = None
    billing_address: BillingAddress | None = None
    tax_number: StrictStr | None = None
    discount_code: StrictStr | None = None
    custom: dict[str, StrictStr] | None = None
    variant_quantities: list[VariantQuantity] | None = None


class CheckoutAttributes(_Part):
    """What a checkout is created with."""

    custom_price: Annotated[StrictInt, Field(ge=0)] | None = None
    product_options: ProductOptions = ProductOptions()
    checkout_options: CheckoutOptions = CheckoutOptions()
    checkout_data: CheckoutData = CheckoutData()
    preview: StrictBool = False
    test_mode: StrictBool = True
    expires_at: AwareDatetime | None = None


class WebhookAttributes(_Part):
    """What a webhook is created with."""

    url: _Url
    events: Annotated[list[StrictStr], Field(min_length=1)]
    secret: Annotated[StrictStr, Field(min_length=6, max_length=40)]
    test_mode: StrictBool = True


class _Identifier(_Part):
    type: Literal["stores", "variants"]
    id: _Text


class _Related(_Part):
    data: _Identifier


class InStore(_Part):
    """What belongs to a store."""

    store: _Related


class OfVariant(InStore):
    """What belongs to a store, and is of a variant."""

    variant: _Related


Attributes = TypeVar("Attributes", bound=_Part)
Relations = TypeVar("Relations", bound=_Part)


class _Resource(_Part, Generic[Attributes, Relations]):
    type: StrictStr
    attributes: Attributes
    relationships: Relations


class _Body(_Part, Generic[Attributes, Relations]):
    data: _Resource[Attributes, Relations]


def read(
    kind: str, attributes: type[Attributes], relations: type[Relations], body: bytes
) -> tuple[Attributes, Relations]:
    """Return what a body says.

    Raises:
        Refusal: It is not what a resource of this kind is created with; all that is wrong is told at once.
    """
    # Made of types that are only known here: a checker sees the parameters as unsolved.
    model: Any = _Body[attributes, relations]  # type: ignore[valid-type]
    try:
        data = model.model_validate(from_json(body)).data
    except ValidationError as error:
        raise Refusal(422, *(_problem(part) for part in error.errors())) from None
    except ValueError:
        raise Refusal(400, ("The body is not JSON.", None)) from None
    if data.type != kind:
        raise Refusal(409, (f"The resource type must be {kind}.", {"pointer": "/data/type"}))
    return data.attributes, data.relationships


def check_related(related: _Related, name: str, kind: str) -> str:
    """Return the id that a relationship names, which must be of a kind.

    Raises:
        Refusal: It is of another.
    """
    if related.data.type != kind:
        raise invalid(f"/data/relationships/{name}", f"The {name} must be one of {kind}.")
    return related.data.id


def _problem(part: Any) -> tuple[str, dict[str, str]]:
    where = [str(step) for step in part["loc"]]
    field = where[-1] if where else "body"
    detail = {
        "missing": f"The {field} field is required.",
        "extra_forbidden": f"The field {field} is not supported.",
    }.get(part["type"], f"The {field} is not valid: {part['msg']}.")
    return detail, {"pointer": "/" + "/".join(where)}
