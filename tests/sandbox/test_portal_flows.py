"""Deep links: a session made for one thing opens there and then goes where it was told to."""

from typing import Any

import pytest
import stripe

from tests.sandbox.browser import Browser, Page
from tests.sandbox.shop import Shop
from tests.sandbox.test_portal import GOOD_CARD

DONE = "https://app.example.com/done?from=portal"


def flow(shop: Shop, kind: str, subscription: str, **after: Any) -> dict[str, Any]:
    """Return the flow_data of a kind."""
    data: dict[str, Any] = {"type": kind}
    if kind.startswith("subscription_"):
        data[kind] = {"subscription": subscription}
    if kind == "subscription_update_confirm":
        item = shop.subscription(subscription)["items"].data[0].id
        data[kind]["items"] = [{"id": item, "price": shop.plans["Starter"].monthly}]
    if after:
        data["after_completion"] = after
    return data


def complete(page: Page, kind: str) -> Page:
    """Do on a flow's page what the flow is for."""
    match kind:
        case "payment_method_update":
            return page.press("Add payment method", GOOD_CARD)
        case "customer_update":
            return page.press("Save", {"Name": "New name"})
        case "subscription_cancel":
            return page.press("Cancel plan")
        case "subscription_update_confirm":
            assert "From Pro to Starter." in page.text
            return page.press("Confirm")
    return page.press("Continue", {"Starter – $29.00 per month": "on"}).press("Confirm")


KINDS = {
    "payment_method_update": "Add payment method",
    "customer_update": "Billing information",
    "subscription_cancel": "Cancel plan",
    "subscription_update": "Update plan",
    "subscription_update_confirm": "Confirm your plan",
}


@pytest.mark.parametrize(("kind", "heading"), KINDS.items())
def test_a_flow_opens_on_its_page_and_redirects_when_done(
    shop: Shop, kind: str, heading: str
) -> None:
    customer = shop.customer()
    subscription = shop.subscribe(customer, "Pro").id
    data = flow(shop, kind, subscription, type="redirect", redirect={"return_url": DONE})
    page = Browser().open(shop.portal(customer, flow_data=data))
    assert page.heading == heading
    # Going back from a deep link leads out, not into a portal nobody asked for.
    assert page.link("Go back") == "https://app.example.com/billing"
    policy = page.response.headers["content-security-policy"]
    assert "form-action 'self' https://app.example.com" in policy
    complete(page, kind)
    assert page.browser.left_for == DONE


@pytest.mark.parametrize("kind", KINDS)
def test_a_flow_without_more_ends_on_the_start_page(shop: Shop, kind: str) -> None:
    customer = shop.customer()
    subscription = shop.subscribe(customer, "Pro").id
    data = flow(shop, kind, subscription)
    page = complete(Browser().open(shop.portal(customer, flow_data=data)), kind)
    assert page.heading == "Manage your subscription"
    assert page.role("status")


def test_a_flow_can_end_on_a_confirmation(shop: Shop) -> None:
    customer = shop.customer()
    subscription = shop.subscribe(customer, "Pro").id
    words = {"type": "hosted_confirmation", "hosted_confirmation": {"custom_message": "See you!"}}
    data = flow(shop, "subscription_cancel", subscription, **words)
    page = Browser().open(shop.portal(customer, flow_data=data)).press("Cancel plan")
    assert (page.heading, "See you!" in page.text) == ("All done", True)
    assert page.link("Continue") == "https://app.example.com/billing"


def test_another_action_does_not_complete_the_flow(shop: Shop) -> None:
    customer = shop.customer()
    subscription = shop.subscribe(customer, "Pro").id
    redirect = {"type": "redirect", "redirect": {"return_url": DONE}}
    data = flow(shop, "payment_method_update", subscription, **redirect)
    page = Browser().open(shop.portal(customer, flow_data=data))
    portal = page.url.removesuffix("/payment-methods/new")
    after = page.browser.open(portal).press("Cancel plan").press("Cancel plan")
    assert after.role("status") == "Your plan is canceled."
    assert page.browser.left_for is None


# ----------------------------------------------------------------------- a change to be confirmed


def confirming(shop: Shop, subscription: str, **item: Any) -> dict[str, Any]:
    """Return the flow_data that has only a change of the subscription's item confirmed."""
    known = shop.subscription(subscription)["items"].data[0].id
    change = {"subscription": subscription, "items": [{"id": known, **item}]}
    return {"type": "subscription_update_confirm", "subscription_update_confirm": change}


def test_a_change_can_be_left_to_be_confirmed(shop: Shop) -> None:
    customer = shop.customer()
    subscription = shop.subscribe(customer, "Starter").id
    team = shop.plans["Team"].monthly
    data = confirming(shop, subscription, price=team, quantity=7)
    page = Browser().open(shop.portal(customer, flow_data=data))
    assert page.heading == "Confirm your plan"
    assert "7 × Team" in page.text or "Team × 7" in page.text or "7 seats" in page.text
    page.press("Confirm")
    item = shop.subscription(subscription)["items"].data[0]
    assert (item.price.id, item.quantity) == (team, 7)


@pytest.mark.parametrize(
    ("item", "message", "param"),
    [
        ({"price": "price_none"}, "No such price: 'price_none'", "[price]"),
        ({"id": "si_none"}, "No such subscription_item: 'si_none'", "[id]"),
        ({}, "must change the price or the quantity", ""),
        ({"quantity": 3}, "cannot be adjusted", "[quantity]"),
        ({"price": "Team", "quantity": 51}, "must be between 2 and 50", "[quantity]"),
        ({"price": "Team", "quantity": -1}, "Quantity must be between", "[quantity]"),
        ({"price": "elsewhere"}, "is not included in the portal configuration's", "[price]"),
        ({"nonsense": "1"}, "Received unknown parameter", "[nonsense]"),
    ],
)
def test_a_change_that_cannot_be_confirmed_is_refused(
    shop: Shop, item: dict[str, Any], message: str, param: str
) -> None:
    customer = shop.customer()
    subscription = shop.subscribe(customer, "Pro").id
    if item.get("price") == "Team":
        item = {**item, "price": shop.plans["Team"].monthly}
    if item.get("price") == "elsewhere":
        other = shop.v1.prices.create(
            {
                "currency": "usd",
                "unit_amount": 100,
                "recurring": {"interval": "month"},
                "product_data": {"name": "Hidden"},
            }
        )
        item = {"price": other.id}
    with pytest.raises(stripe.InvalidRequestError, match=message) as caught:
        shop.portal(customer, flow_data=confirming(shop, subscription, **item))
    assert caught.value.param == f"flow_data[subscription_update_confirm][items][0]{param}"


def test_one_item_of_one_subscription_is_confirmed_at_a_time(shop: Shop) -> None:
    customer = shop.customer()
    one = shop.subscribe(customer, "Pro").id
    data = confirming(shop, one, price=shop.plans["Starter"].monthly)
    data["subscription_update_confirm"]["items"] *= 2
    with pytest.raises(stripe.InvalidRequestError, match="exactly one subscription item"):
        shop.portal(customer, flow_data=data)
    items: Any = [{"price": shop.plans[name].monthly} for name in ("Pro", "Starter")]
    two = shop.v1.subscriptions.create({"customer": customer, "items": items}).id
    with pytest.raises(stripe.InvalidRequestError, match="contains multiple items"):
        shop.portal(customer, flow_data=confirming(shop, two, quantity=2))
