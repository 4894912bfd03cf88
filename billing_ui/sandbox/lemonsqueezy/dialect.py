"""What makes the shop Lemon Squeezy: numbers for ids, a JSON:API, and events signed over their body alone."""

from collections.abc import Collection, Iterable
from uuid import uuid4

from billing_ui.sandbox.core.courier import Parcel
from billing_ui.sandbox.lemonsqueezy import api, webhooks
from billing_ui.sandbox.lemonsqueezy.errors import failure
from billing_ui.sandbox.shop.dialect import Answered, Asked, Change, Told
from billing_ui.sandbox.shop.model import Endpoint, Event, Kind
from billing_ui.sandbox.shop.shop import Shop

_FIRST_NUMBER = 4_000_000
_WITH_UUIDS = (Kind.CHECKOUT, Kind.EVENT)


class LemonSqueezyDialect:
    """Lemon Squeezy's way to speak of the shop; see `shop.dialect.Dialect`."""

    name = "lemonsqueezy"
    title = "Lemon Squeezy"
    paths = ("/v1/",)
    event_types: Collection[str] = webhooks.EVENT_TYPES
    one_price_per_product = False
    checkout_becomes_invoice = False
    portal_changes_plans = True

    def new_id(self, kind: Kind, shop: Shop) -> str:
        """Return the id of a new record: a number, of checkouts a UUID."""
        return str(uuid4()) if kind in _WITH_UUIDS else str(_FIRST_NUMBER + shop.number())

    def answer(self, shop: Shop, asked: Asked) -> Answered:
        """Do what a request asks for."""
        return api.answer(shop, asked)

    def failure(self, status: int) -> Answered:
        """Return what Lemon Squeezy answers when it fails by itself."""
        return failure(status)

    def told(self, shop: Shop, change: Change) -> Iterable[Told]:
        """Return the events that tell of a change."""
        return webhooks.told(shop, change)

    def parcel(self, endpoint: Endpoint, event: Event, now: int) -> Parcel:
        """Return the request that brings an event; the signature has nothing to do with the time."""
        return webhooks.parcel(endpoint, event)
