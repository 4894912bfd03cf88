"""Paddle's sandbox: what makes the shop one of Paddle's."""

from collections.abc import Iterable

from billing_ui.sandbox.core.courier import Parcel
from billing_ui.sandbox.paddle import webhooks
from billing_ui.sandbox.paddle.api import PATHS, answer, failure
from billing_ui.sandbox.paddle.ids import new_id
from billing_ui.sandbox.shop.dialect import Answered, Asked, Change, Told
from billing_ui.sandbox.shop.model import Endpoint, Event, Kind
from billing_ui.sandbox.shop.shop import Shop


class PaddleDialect:
    """How Paddle speaks of the shop; see `shop.dialect.Dialect` for every method."""

    name = "paddle"
    title = "Paddle"
    paths = PATHS
    event_types = webhooks.EVENT_TYPES
    one_price_per_product = False
    checkout_becomes_invoice = True
    portal_changes_plans = False

    def new_id(self, kind: Kind, shop: Shop) -> str:
        """Return the id of a new record."""
        return new_id(kind, shop.now)

    def answer(self, shop: Shop, asked: Asked) -> Answered:
        """Do what a request asks for."""
        return answer(shop, asked)

    def failure(self, status: int) -> Answered:
        """Return what Paddle answers when it fails by itself."""
        return failure(status)

    def told(self, shop: Shop, change: Change) -> Iterable[Told]:
        """Return the events that tell of a change."""
        return webhooks.told(shop, change)

    def parcel(self, endpoint: Endpoint, event: Event, now: int) -> Parcel:
        """Return the request that brings an event, signed now."""
        return webhooks.parcel(endpoint, event, now)
