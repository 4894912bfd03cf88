"""Subscription items, one by one."""

import pytest
import stripe

from tests.sandbox.shop import Shop


def test_items_are_added_changed_and_taken_away(shop: Shop) -> None:
    customer = shop.customer()
    subscription = shop.subscribe(customer, "Pro")
    items = shop.v1.subscription_items
    before = len(shop.events("customer.subscription.updated", customer))
    added = items.create(
        {"subscription": subscription.id, "price": shop.plans["Team"].monthly, "quantity": 3}
    )
    assert (added.quantity, added.price.unit_amount) == (3, 2000)
    assert added.subscription == subscription.id
    changed = items.update(added.id, {"quantity": 8, "proration_behavior": "none"})
    assert changed.quantity == 8
    found = items.retrieve(added.id, {"expand": ["price.product"]})
    assert not isinstance(found.price.product, str)
    assert found.price.product.name == "Team"
    listed = items.list({"subscription": subscription.id}).data
    assert [item.id for item in listed] == [subscription["items"].data[0].id, added.id]
    assert items.delete(added.id).deleted
    assert len(items.list({"subscription": subscription.id}).data) == 1
    assert len(shop.events("customer.subscription.updated", customer)) == before + 3
    with pytest.raises(stripe.InvalidRequestError, match="No such subscription_item"):
        items.retrieve(added.id)


def test_the_last_item_stays(shop: Shop) -> None:
    subscription = shop.subscribe(shop.customer(), "Pro")
    with pytest.raises(stripe.InvalidRequestError, match="at least one active item"):
        shop.v1.subscription_items.delete(subscription["items"].data[0].id)


def test_what_is_wrong_is_named_as_it_was_sent(shop: Shop) -> None:
    subscription = shop.subscribe(shop.customer(), "Pro")
    with pytest.raises(stripe.InvalidRequestError, match="No such price") as caught:
        shop.v1.subscription_items.create({"subscription": subscription.id, "price": "price_none"})
    assert caught.value.param == "price"
    with pytest.raises(stripe.InvalidRequestError) as caught:
        shop.v1.subscription_items.list({"subscription": "sub_none"})
    assert caught.value.param == "subscription"
