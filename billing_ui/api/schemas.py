"""What stands on the wire: request bodies, answers, and their camel-case names."""

from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

from fastapi.responses import JSONResponse
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr
from pydantic.alias_generators import to_camel
from typing_extensions import TypeForm

from billing_ui.api.errors import Code
from billing_ui.models import Role
from billing_ui.payments.types import FlowType, Quantity, SubscriptionState


class Wire(BaseModel):
    """A JSON object with camel-case names."""

    model_config = ConfigDict(alias_generator=to_camel, frozen=True)


class Answer(Wire):
    """Part of an answer; made here, so by its Python names."""

    model_config = ConfigDict(populate_by_name=True)


class Body(Wire):
    """A request body: exact types, and nothing unknown in it."""

    model_config = ConfigDict(extra="forbid", strict=True)


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must not hold control characters")
    return text


def _a_name(text: str) -> str:
    name = _printable(text).strip()
    if not name:
        raise ValueError("must not be blank")
    return name


Id = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_printable)]
"""The provider's id of something."""
NamedTeam = Annotated[
    Id | None,
    Field(
        description="External id or id of the team; an operator's token must name one, others may omit it."
    ),
]
ReturnUrl = Annotated[
    str,
    Field(
        max_length=2048,
        description="A path of this site, or an absolute http(s) URL on its origin or an allowed one.",
        examples=["/settings/billing"],
    ),
]


# ---------------------------------------------------------------- requests


class SignIn(Body):
    """E-mail and password of a person."""

    email: Annotated[str, Field(max_length=320)]
    password: SecretStr


class Flow(Body):
    """Where in the portal to begin."""

    # A JSON string is never an enum member already, which is what strict would ask for.
    type: Annotated[FlowType, Field(strict=False)]
    subscription_id: Annotated[
        Id | None, Field(description="Which subscription, for the subscription flows.")
    ] = None
    price_id: Annotated[
        Id | None, Field(description="The price to change to, for subscription_update_confirm.")
    ] = None
    quantity: Annotated[
        Quantity | None, Field(description="The quantity to change to, for the same flow.")
    ] = None


def _flow_by_name(value: Any) -> Any:
    return {"type": value} if isinstance(value, str) else value


class OpenPortal(Body):
    """What a portal link is made of."""

    return_url: ReturnUrl
    team: NamedTeam = None
    configuration: Annotated[
        Id | None, Field(description="One of the portal configurations this site allows.")
    ] = None
    flow: Annotated[
        Flow | None,
        BeforeValidator(_flow_by_name, json_schema_input_type=Flow | FlowType | None),
        Field(description="A flow, or only its type."),
    ] = None


class OpenOwnPortal(Body):
    """What a portal link of the signed-in person is made of."""

    return_url: ReturnUrl | None = None


class OpenCheckout(Body):
    """What is to be bought."""

    price_id: Id
    quantity: Quantity = 1
    return_url: ReturnUrl | None = None
    team: NamedTeam = None


ExternalId = Annotated[
    str,
    Field(min_length=1, max_length=255, description="What the product calls them."),
    AfterValidator(_printable),
]
Name = Annotated[str, Field(max_length=200), AfterValidator(_printable)]
Email = Annotated[str, Field(max_length=320), AfterValidator(_printable)]


class TeamMember(Body):
    """Somebody in a team, as the product tells of them."""

    external_id: Annotated[
        ExternalId | None,
        Field(description="What the product calls them; absent for somebody who has joined here."),
    ] = None
    email: Annotated[
        Email | None,
        Field(
            description="Required for somebody new. Without `externalId`, it names somebody who has joined here."
        ),
    ] = None
    name: Annotated[Name | None, Field(description="Absent leaves it as it is.")] = None
    # A JSON string is never an enum member already, which is what strict would ask for.
    role: Annotated[Role, Field(strict=False)]


class ProvisionTeam(Body):
    """A team as the product knows it."""

    name: Annotated[str, Field(max_length=200), AfterValidator(_a_name)]
    members: Annotated[
        list[TeamMember] | None,
        Field(
            max_length=500,
            description="All of the product's people in it; absent leaves them as they are.",
        ),
    ] = None


class MakeEntryLink(Body):
    """Whom to let in."""

    team: NamedTeam = None
    user: Annotated[ExternalId, Field(description="External id of a member of the team.")]
    email: Annotated[
        Email | None,
        Field(
            description="With an operator's token: makes somebody wholly unknown a plain member."
        ),
    ] = None
    return_url: Annotated[
        ReturnUrl | None,
        Field(
            description="A path of this site is where they go on to. Of another allowed origin, it is where the "
            "page's link back to the product leads."
        ),
    ] = None


class SignedEvent(BaseModel):
    """An event as its provider made it, in the provider's own shape; its signature stands in a header."""

    model_config = ConfigDict(extra="allow")


# ---------------------------------------------------------------- answers


class Token(Answer):
    """A session token, for `Authorization: Bearer …`; the cookie holds the same."""

    token: str


class Link(Answer):
    """Where to send the browser. It is a credential and short-lived: redirect to it, keep it nowhere."""

    url: str


class EntryLink(Answer):
    """Where to send the browser, until then, and only once: it is a credential. Redirect to it, keep it nowhere."""

    url: str
    expires_at: datetime


class ListedMember(Answer):
    """Somebody in a team; `externalId` is null for somebody who has joined here."""

    id: UUID
    external_id: str | None
    email: str
    name: str
    role: Role


class ListedTeam(Answer):
    """A team as it stands."""

    id: UUID
    external_id: str
    name: str
    members: tuple[ListedMember, ...]


class SubscriptionItem(Answer):
    """One price and quantity; `unitAmount` in minor units, null for tiered and metered prices."""

    price_id: str
    product_id: str
    plan_name: str
    quantity: int | None
    unit_amount: int | None
    currency: str
    interval: str | None


class Subscription(Answer):
    """One subscription. `cancelAt` is set whenever it is going to end; `status` is then `canceling`."""

    id: str
    status: SubscriptionState
    current_period_end: datetime | None
    cancel_at: datetime | None
    trial_end: datetime | None
    ended_at: datetime | None
    items: tuple[SubscriptionItem, ...]


class BillingState(Answer):
    """What the team has. `plan`, `status` and `currentPeriodEnd` are the first subscription's, null without one."""

    plan: str | None
    status: SubscriptionState | None
    current_period_end: datetime | None
    subscriptions: tuple[Subscription, ...]
    synced_at: Annotated[
        datetime | None, Field(description="How old the copy is that this was read from.")
    ]


class Invoice(Answer):
    """One invoice; `total` in minor units of `currency`."""

    id: str
    number: str | None
    created_at: datetime
    status: str
    total: int
    currency: str
    pdf_url: Annotated[
        str | None,
        Field(
            description="Where its PDF is had: at the provider or, if the provider gives it only when asked, "
            "here, by whoever may list invoices."
        ),
    ]
    hosted_url: str | None


class Invoices(Answer):
    """One page of invoices, newest first."""

    invoices: tuple[Invoice, ...]
    total: int
    next_cursor: Annotated[
        str | None,
        Field(description="Give it as `cursor` for the next, older page; null on the last."),
    ]


class Received(Answer):
    """The event is stored: it need not be sent again."""

    received: Literal[True] = True


class Health(Answer):
    """The state of this process."""

    status: Literal["ok"] = "ok"


Data = TypeVar("Data", bound=Answer)


class Success(BaseModel, Generic[Data]):
    """A good answer."""

    success: Literal[True]
    data: Data

    @classmethod
    def model_parametrized_name(cls, params: tuple[TypeForm[Any], ...]) -> str:
        """Return the name in the API's description, such as "TokenAnswer"."""
        return f"{getattr(params[0], '__name__', 'Data')}Answer"


class ErrorDetail(BaseModel):
    """What went wrong, for programs and for people."""

    code: Code
    message: str


class Failure(BaseModel):
    """A failure."""

    success: Literal[False]
    error: ErrorDetail


class PlainFailure(BaseModel):
    """A failure in bare words."""

    error: str


def success(data: Answer, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return `{"success": true, "data": …}`."""
    content = {"success": True, "data": data.model_dump(mode="json", by_alias=True)}
    return JSONResponse(content, headers=headers)
