"""A provider that shares the shop, as the sandbox's server wants it."""

import asyncio
import time
from collections.abc import Iterator
from functools import partial

from billing_ui.sandbox.core import control
from billing_ui.sandbox.core.courier import Parcel
from billing_ui.sandbox.core.faults import Faults
from billing_ui.sandbox.core.imitation import Imitation
from billing_ui.sandbox.core.outbox import Delivery, Outbox
from billing_ui.sandbox.core.periods import DAY
from billing_ui.sandbox.core.store import Store
from billing_ui.sandbox.shop import hosted, seeding, storms
from billing_ui.sandbox.shop.dialect import Dialect
from billing_ui.sandbox.shop.http import ShopAPI, call
from billing_ui.sandbox.shop.model import Endpoint, Event, Json
from billing_ui.sandbox.shop.operations import operate, refusing
from billing_ui.sandbox.shop.shop import Shop

DELIVERIES_KEPT_SECONDS = 30 * DAY
"""How long it is known what became of a delivery."""
AT_ONCE = 500
"""How many rows are forgotten in one go; requests are served in between."""


def imitate(dialect: Dialect, store: Store, faults: Faults, origin: str, name: str) -> Imitation:
    """Return a provider.

    Args:
        dialect: How it speaks.
        store: Where everything is kept.
        faults: What goes wrong with requests.
        origin: The sandbox's own address, such as `http://127.0.0.1:8420`.
        name: Whose shop it is: the seller on hosted pages and invoices.
    """
    outbox = Outbox(store)
    shop = Shop(store, outbox, dialect, origin, name)

    def register(url: str, secret: str, events: list[str], wanted_id: str | None) -> Json:
        endpoint = shop.register_endpoint(url, secret, tuple(events), wanted_id)
        return {"id": endpoint.id, "url": url, "secret": secret, "events": events}

    def step(held: bool) -> bool:
        return not held and shop.step(int(time.time()))

    return Imitation(
        title=dialect.title,
        hint=origin,
        paths=dialect.paths,
        api=ShopAPI(shop, faults),
        pages=hosted.routes(shop),
        control=_controlled(shop),
        outbox=outbox,
        pack=partial(_pack, shop),
        register=register,
        unregister=shop.disable_endpoint,
        step=step,
        prune=partial(_prune, shop),
        bell=asyncio.Event(),
    )


def _pack(shop: Shop, delivery: Delivery) -> Parcel | None:
    endpoint, event = shop.peek(Endpoint, delivery.endpoint), shop.peek(Event, delivery.event)
    if endpoint is None or event is None or not endpoint.enabled:
        return None
    return shop.dialect.parcel(endpoint, event, int(time.time()))


def _prune(shop: Shop) -> bool:
    with shop.together():
        gone = shop.outbox.forget(time.time() - DELIVERIES_KEPT_SECONDS, AT_ONCE)
    return gone == AT_ONCE


def _controlled(shop: Shop) -> control.Provider:
    def advance(customer: str, to: int) -> int:
        with refusing():
            return shop.advance(to, customer)

    def dun(then: control.Outcome) -> None:
        shop.after_dunning = then

    def seed(wish: control.Seed) -> Iterator[Json]:
        with refusing():
            yield from seeding.seed(shop, wish)

    def storm(wish: control.Storm) -> Iterator[int]:
        with refusing():
            yield from storms.storm(shop, wish)

    return control.Provider(
        call=partial(call, shop),
        together=shop.together,
        advance=advance,
        dun=dun,
        seed=seed,
        storm=storm,
        wipe=shop.wipe,
        operate=partial(operate, shop),
    )
