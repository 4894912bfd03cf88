"""A provider with the plainest API there could be, for the tests of what real ones share."""

import hashlib
import hmac
import json
from collections.abc import Iterable
from dataclasses import asdict

from billing_ui.sandbox.core.courier import Parcel
from billing_ui.sandbox.shop.dialect import Answered, Asked, Change, ChangeKind, Told
from billing_ui.sandbox.shop.errors import ShopError
from billing_ui.sandbox.shop.model import Customer, Endpoint, Event, Kind
from billing_ui.sandbox.shop.shop import Shop


class PlainDialect:
    """`POST /plain/customers` makes a customer, `GET` lists them; every change is told by its kind."""

    name = "plain"
    title = "Plain"
    paths = ("/plain/",)
    event_types = tuple(ChangeKind)
    checkout_becomes_invoice = False
    portal_changes_plans = True

    def __init__(self, *, one_price_per_product: bool = False) -> None:
        self.one_price_per_product = one_price_per_product

    def new_id(self, kind: Kind, shop: Shop) -> str:
        return f"{kind}_{shop.number()}"

    def answer(self, shop: Shop, asked: Asked) -> Answered:
        if not asked.trusted and asked.headers.get("authorization") != "Bearer plain":
            return Answered(401, {"error": "no key"})
        if asked.path == "/plain/broken":
            raise ZeroDivisionError
        if asked.method == "GET":
            offset = int(dict(asked.query).get("offset", "0"))
            found = shop.find(Customer, offset=offset, limit=2)
            return Answered(200, {"data": [asdict(one) for one in found]})
        wish = json.loads(asked.body)
        try:
            customer = shop.create_customer(wish["email"])
        except ShopError as error:
            return Answered(422, {"error": str(error)})
        if wish.get("regretted"):
            return Answered(400, {"error": "regretted"})
        return Answered(201, asdict(customer), {"X-Plain": "yes"})

    def failure(self, status: int) -> Answered:
        return Answered(status, {"error": f"failed with {status}"})

    def told(self, shop: Shop, change: Change) -> Iterable[Told]:
        yield Told(change.kind, {"type": change.kind, "id": change.subject.id, "at": change.at})

    def parcel(self, endpoint: Endpoint, event: Event, now: int) -> Parcel:
        body = json.dumps(event.payload).encode()
        seal = hmac.new(endpoint.secret.encode(), body, hashlib.sha256).hexdigest()
        return Parcel(endpoint.url, body, {"X-Seal": seal, "Content-Type": "application/json"})
