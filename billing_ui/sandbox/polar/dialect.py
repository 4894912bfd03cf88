"""What makes the shop Polar: UUIDs, products with one interval, orders, and Standard Webhooks."""

from collections.abc import Collection, Iterable
from uuid import uuid4

from billing_ui.sandbox.core.courier import Parcel
from billing_ui.sandbox.polar import api, webhooks
from billing_ui.sandbox.polar.errors import failure
from billing_ui.sandbox.shop.dialect import Answered, Asked, Change, Told
from billing_ui.sandbox.shop.model import Endpoint, Event, Kind
from billing_ui.sandbox.shop.shop import Shop


class PolarDialect:
    """Polar's way to speak of the shop; see `shop.dialect.Dialect`."""

    name = "polar"
    title = "Polar"
    paths = (api.PATH,)
    event_types: Collection[str] = webhooks.EVENT_TYPES
    one_price_per_product = True
    checkout_becomes_invoice = False
    portal_changes_plans = True

    def new_id(self, kind: Kind, shop: Shop) -> str:
        """Return the id of a new record, a UUID."""
        return str(uuid4())

    def answer(self, shop: Shop, asked: Asked) -> Answered:
        """Do what a request asks for."""
        return api.answer(shop, asked)

    def failure(self, status: int) -> Answered:
        """Return what Polar answers when it fails by itself."""
        return failure(status)

    def told(self, shop: Shop, change: Change) -> Iterable[Told]:
        """Return the events that tell of a change."""
        return webhooks.told(shop, change)

    def parcel(self, endpoint: Endpoint, event: Event, now: int) -> Parcel:
        """Return the request that brings an event, signed at `now`."""
        return webhooks.parcel(endpoint, event, now)
