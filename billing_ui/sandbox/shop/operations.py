"""What `/_control/shop` understands: the shop's own operations, by their names and arguments.

    POST /_control/shop   {"do": "subscribe", "customer_id": "…", "price_id": "…", "quantity": 3}

Every body may also have `at` (Unix seconds: when it happens) and `id` (that of what is made). The
answer is the record that came of it, as JSON.
"""

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from typing import Any, Literal

from pydantic import ConfigDict, Field, create_model

from billing_ui.sandbox.core.cards import CardProblem
from billing_ui.sandbox.core.control import Json, Moment, Refusal, Strict, read
from billing_ui.sandbox.core.store import equals
from billing_ui.sandbox.shop.errors import Missing, PaymentFailed, ShopError
from billing_ui.sandbox.shop.model import (
    Card,
    Checkout,
    Customer,
    Endpoint,
    Event,
    Interval,
    Invoice,
    Kind,
    Price,
    Product,
    Record,
    Subscription,
)
from billing_ui.sandbox.shop.shop import Shop

_CLASSES: dict[Kind, type[Record]] = {
    cls.kind: cls
    for cls in (Customer, Product, Price, Card, Subscription, Invoice, Checkout, Endpoint, Event)
}


class PlanPrice(Strict):
    """One price of a plan; `amount` is minor units."""

    amount: int
    currency: str = "usd"
    interval: Interval = Interval.MONTH
    interval_count: int = 1
    trial_days: int = 0
    id: str | None = None


def create_plan(
    shop: Shop,
    name: str,
    prices: list[PlanPrice],
    *,
    description: str | None = None,
    features: Sequence[str] = (),
    unit_label: str | None = None,
    metadata: Json | None = None,
) -> Json:
    """Make a plan: a product with its prices, or a product for each price where that is how it is.

    Returns:
        `products` and `prices`; the price at each place is the one that was asked for there.
    """
    products: list[Product] = []
    made: list[Price] = []
    for wish in prices:
        if not products or shop.dialect.one_price_per_product:
            products.append(
                shop.create_product(
                    name,
                    description=description,
                    features=features,
                    unit_label=unit_label,
                    metadata=metadata,
                )
            )
        with shop.wishing(wish.id):
            made.append(
                shop.create_price(
                    products[-1].id,
                    wish.amount,
                    currency=wish.currency,
                    interval=wish.interval,
                    interval_count=wish.interval_count,
                    trial_days=wish.trial_days,
                )
            )
    return {"products": [_shown(one) for one in products], "prices": [_shown(one) for one in made]}


def show(shop: Shop, kind: Kind, record_id: str) -> Json:
    """Return a record."""
    return _shown(shop.get(_CLASSES[kind], record_id))


def find(
    shop: Shop, kind: Kind, customer_id: str | None = None, limit: int = 100, **where: Any
) -> Json:
    """Return records of a kind, newest first, those where the fields of `where` are as given.

    Raises:
        Refusal: There is no such field.
    """
    known = {field.name for field in fields(_CLASSES[kind])}
    if not known.issuperset(where):
        raise Refusal(400, {"error": f"where: no such field among {', '.join(sorted(known))}"})
    conditions = [equals(name, value) for name, value in where.items()]
    found = shop.find(_CLASSES[kind], *conditions, customer=customer_id, limit=limit)
    return {"records": [_shown(record) for record in found], "count": len(found)}


def open_checkout(shop: Shop, **wish: Any) -> Json:
    """Open a checkout and return it with the address of its page."""
    checkout = shop.open_checkout(**wish)
    return {**_shown(checkout), "url": shop.checkout_url(checkout)}


def pay(shop: Shop, invoice_id: str) -> Invoice:
    """Pay an open invoice by the usual card."""
    return shop.pay(invoice_id)


def _by_name(
    function: Callable[..., Any], wishes: Callable[..., Any] | None = None
) -> tuple[Callable[..., Any], type[Strict]]:
    """Return an operation and the model of its arguments, which are those of `wishes` if given."""
    known: dict[str, Any] = {}
    for parameter in list(inspect.signature(wishes or function).parameters.values())[1:]:
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            continue
        default = ... if parameter.default is inspect.Parameter.empty else parameter.default
        known[parameter.name] = (parameter.annotation, default)
    return function, _model(function.__name__, known)


def _fields_of(
    function: Callable[..., Any], identity: str, record: type[Record]
) -> tuple[Callable[..., Any], type[Strict]]:
    """Return an operation that changes any fields of a record, and the model of its arguments."""
    known: dict[str, Any] = {
        field.name: (field.type, None)
        for field in fields(record)
        if field.name not in ("id", "created", "updated")
    }
    return function, _model(function.__name__, {identity: (str, ...), **known})


def _model(name: str, known: dict[str, Any]) -> type[Strict]:
    model: type[Strict] = create_model(
        name,
        __base__=Strict,
        do=(str, ...),
        at=(Moment | None, None),
        wanted_id=(str | None, Field(default=None, alias="id")),
        **known,
    )
    return model


class Find(Strict):
    """What `find` takes; `where` names fields and their values."""

    do: Literal["find"]
    at: Moment | None = None
    kind: Kind
    customer_id: str | None = None
    limit: int = Field(default=100, ge=1, le=10_000)
    where: dict[str, str | int | bool] = Field(default_factory=dict)


OPERATIONS: dict[str, tuple[Callable[..., Any], type[Strict]]] = {
    "create_customer": _by_name(Shop.create_customer),
    "update_customer": _fields_of(Shop.update_customer, "customer_id", Customer),
    "delete_customer": _by_name(Shop.delete_customer),
    "create_product": _by_name(Shop.create_product),
    "update_product": _fields_of(Shop.update_product, "product_id", Product),
    "create_price": _by_name(Shop.create_price),
    "update_price": _fields_of(Shop.update_price, "price_id", Price),
    "create_plan": _by_name(create_plan),
    "add_card": _by_name(Shop.add_card),
    "make_default": _by_name(Shop.make_default),
    "remove_card": _by_name(Shop.remove_card),
    "subscribe": _by_name(Shop.subscribe),
    "change_plan": _by_name(Shop.change_plan),
    "cancel": _by_name(Shop.cancel),
    "keep": _by_name(Shop.keep),
    "end_now": _by_name(Shop.end_now),
    "pause": _by_name(Shop.pause),
    "resume": _by_name(Shop.resume),
    "pay": _by_name(pay),
    "refund": _by_name(Shop.refund),
    "open_checkout": _by_name(open_checkout, Shop.open_checkout),
    "complete_checkout": _by_name(Shop.complete_checkout),
    "open_portal": _by_name(Shop.open_portal),
    "show": _by_name(show),
    "find": (find, Find),
}


class Operation(Strict):
    """What every body has."""

    model_config = ConfigDict(extra="allow")

    do: str


def operate(shop: Shop, body: bytes) -> Json:
    """Do what a body says.

    Raises:
        Refusal: 400 for what is no operation, 404 where something is missing, 402 where a card is
            at fault, 409 where it cannot be done now.
    """
    name = read(body, Operation).do
    if name not in OPERATIONS:
        raise Refusal(400, {"error": f"do: must be one of {', '.join(sorted(OPERATIONS))}"})
    function, model = OPERATIONS[name]
    wish = read(body, model)
    given = {field: getattr(wish, field) for field in wish.model_fields_set}
    del given["do"]
    at, wanted_id = given.pop("at", None), given.pop("wanted_id", None)
    given |= given.pop("where", {})
    with refusing(), shop.at(at), shop.wishing(wanted_id), shop.together():
        return _shown(function(shop, **given))


@contextmanager
def refusing() -> Iterator[None]:
    """Turn the shop's errors into those the control API answers with."""
    try:
        yield
    except Missing as error:
        raise Refusal(404, {"error": str(error)}) from None
    except CardProblem as problem:
        raise Refusal(402, {"error": str(problem), "code": problem.code}) from None
    except PaymentFailed as error:
        raise Refusal(402, {"error": str(error)}) from None
    except ShopError as error:
        raise Refusal(409, {"error": str(error)}) from None


def _shown(result: Any) -> Json:
    """Return a record as JSON."""
    if result is None:
        return {}
    return result if isinstance(result, dict) else asdict(result)
