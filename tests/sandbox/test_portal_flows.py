"""Deep links: a session made for one thing opens there and then goes where it was told to."""

from typing import Any

import pytest

from tests.sandbox.browser import Browser, Page
from tests.sandbox.shop import Shop
from tests.sandbox.test_portal import GOOD_CARD

DONE = "https://app.example.com/done?from=portal"


def flow(shop: Shop, kind: str, subscription: str, **after: Any) -> dict[str, Any]:
    """Return the flow_data of a kind."""
    data: dict[str, Any] = {"type": kind}
    if kind in {"subscription_cancel", "subscription_update"}:
        data[kind] = {"subscription": subscription}
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
    return page.press("Continue", {"Starter – $29.00 per month": "on"}).press("Confirm")


KINDS = {
    "payment_method_update": "Add payment method",
    "customer_update": "Billing information",
    "subscription_cancel": "Cancel plan",
    "subscription_update": "Update plan",
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
