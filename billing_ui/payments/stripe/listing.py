"""Stripe's lists page by page, for copying a whole account: what of each customer stands on one page."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeAlias, cast

import stripe

from billing_ui.clock import from_unix
from billing_ui.payments.listing import by_customer
from billing_ui.payments.stripe import mapping
from billing_ui.payments.stripe.client import PAGE
from billing_ui.payments.types import (
    CatalogPrice,
    CatalogProduct,
    CatalogSnapshot,
    ListedPage,
    Listing,
    Snapshot,
    SnapshotCustomer,
    SnapshotItem,
    SnapshotSubscription,
)
from billing_ui.settings import Provider

_PATHS: Final = {
    Listing.CUSTOMERS: "/v1/customers",
    Listing.SUBSCRIPTIONS: "/v1/subscriptions",
    Listing.INVOICES: "/v1/invoices",
}
_PARAMS: Final[Mapping[Listing, Mapping[str, Any]]] = {
    Listing.CUSTOMERS: {"expand": ["data.tax_ids"]},
    Listing.SUBSCRIPTIONS: {"status": "all"},
    Listing.INVOICES: {},
}

Plans: TypeAlias = Mapping[str, tuple[CatalogProduct, CatalogPrice]]
"""Price id -> the product it belongs to, and the price."""


class Answer(stripe.StripeObject):
    """What Stripe answered, read like any object of the SDK, whose parts are made when they are looked at.

    The SDK makes an object of every part of an answer, seven hundred for a page of invoices. That takes ten
    times as long as everything else that is done with the page.
    """

    def __init__(self, data: dict[str, Any]) -> None:
        """Take an answer's JSON; it is not copied."""
        self._data = data

    def __getitem__(self, name: str) -> Any:
        """Return a field."""
        return _seen(self._data[name])

    def __iter__(self) -> Iterator[Any]:
        """Walk a list."""
        return iter(self["data"])

    def to_dict(self, recursive: bool = True, for_json: bool = False) -> dict[str, Any]:
        """Return the JSON itself."""
        return self._data


def _seen(value: Any) -> Any:
    if isinstance(value, dict):
        return Answer(value)
    if isinstance(value, list):
        return [_seen(part) for part in value]
    return value


async def list_page(
    client: stripe.StripeClient,
    listing: Listing,
    catalog: CatalogSnapshot,
    *,
    created_from: datetime | None,
    created_to: datetime | None,
    cursor: str | None,
) -> ListedPage:
    """Return one page of what was created in a range of time, newest first.

    See `payments.driver.Driver.list_page`. Product names lie deeper in a list of subscriptions than
    Stripe expands, so they come from `catalog`.

    Raises:
        stripe.StripeError: the call failed.
    """
    bounds = {"gte": created_from, "lt": created_to}
    created = {name: int(moment.timestamp()) for name, moment in bounds.items() if moment}
    params = {"limit": PAGE, **_PARAMS[listing]}
    if created:
        params["created"] = created
    if cursor:
        params["starting_after"] = cursor
    response = await client.raw_request_async("get", _PATHS[listing], **params)
    page = cast(dict[str, Any], response.data)
    found = [Answer(data) for data in page["data"]]
    return ListedPage(
        snapshots=tuple(_grouped(listing, found, _plans(catalog))),
        count=len(found),
        reached=from_unix(found[-1]["created"]) if found else None,
        cursor=found[-1]["id"] if found and page["has_more"] else None,
    )


def _grouped(listing: Listing, found: Sequence[Answer], plans: Plans) -> Iterable[Snapshot]:
    if listing is Listing.CUSTOMERS:
        for customer in found:
            yield _partial(mapping.customer_of(cast(stripe.Customer, customer)))
        return
    # An invoice or a subscription of an account, not of a customer, is none of ours.
    grouped = by_customer(found, lambda listed: mapping.id_of(listed["customer"]))
    for customer_id, theirs in grouped.items():
        who = SnapshotCustomer(id=customer_id)
        if listing is Listing.INVOICES:
            yield _partial(
                who,
                invoices=tuple(mapping.invoice_of(cast(stripe.Invoice, one)) for one in theirs),
            )
        else:
            yield _partial(
                who,
                subscriptions=tuple(
                    _subscription_of(cast(stripe.Subscription, one), plans) for one in theirs
                ),
            )


def _partial(customer: SnapshotCustomer, **fields: Any) -> Snapshot:
    return Snapshot(provider=Provider.STRIPE, customer=customer, partial=True, **fields)


def _subscription_of(subscription: stripe.Subscription, plans: Plans) -> SnapshotSubscription:
    mapped = mapping.subscription_of(subscription, subscription.items.data, {})
    return mapped.model_copy(update={"items": tuple(_named(item, plans) for item in mapped.items)})


def _named(item: SnapshotItem, plans: Plans) -> SnapshotItem:
    """Return an item with what only its product and the price's other currencies say."""
    if item.price_id not in plans:
        return item
    product, price = plans[item.price_id]
    return item.model_copy(
        update={
            "plan_name": product.name,
            "unit_label": product.unit_label,
            "unit_amount": price.amounts.get(item.currency),
        }
    )


def _plans(catalog: CatalogSnapshot) -> Plans:
    return {price.id: (product, price) for product in catalog.products for price in product.prices}
