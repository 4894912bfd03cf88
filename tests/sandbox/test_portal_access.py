"""Who gets into a portal session, for how long, and what a forged form can do: nothing."""

import re

import pytest

from tests.sandbox.browser import Browser, Page
from tests.sandbox.shop import Shop

USED = "This link was used or has expired"


def session_of(page: Page) -> str:
    """Return the id of the session a portal page belongs to."""
    found = re.search(r"/p/(bps_\w+)", page.url)
    assert found
    return found[1]


def test_the_first_visit_uses_the_link_up(shop: Shop) -> None:
    url = shop.portal(shop.customer())
    assert Browser().open(url).heading == "Manage your subscription"
    other = Browser().open(url)
    assert (other.status, other.heading) == (410, USED)


def test_who_opened_the_link_may_open_it_again(shop: Shop) -> None:
    url, browser = shop.portal(shop.customer()), Browser()
    browser.open(url)
    assert browser.open(url).heading == "Manage your subscription"


def test_a_preview_by_head_does_not_use_the_link_up(shop: Shop) -> None:
    url, browser = shop.portal(shop.customer()), Browser()
    browser.client.head(url)
    assert browser.open(url).heading == "Manage your subscription"


def test_an_unused_link_expires_after_an_hour(shop: Shop) -> None:
    url = shop.portal(shop.customer())
    shop.let_time_pass(shop.newest("billing_portal.session"), 3601)
    page = Browser().open(url)
    assert (page.status, page.heading) == (410, USED)


def test_a_visit_ends_after_an_hour(shop: Shop) -> None:
    page = Browser().open(shop.portal(shop.customer()))
    shop.let_time_pass(session_of(page), 3601)
    again = page.browser.open(page.url)
    assert (again.status, again.heading) == (410, USED)


@pytest.mark.parametrize("secret", ["x", "bps_1.x", "..%5C..", "%00", "é", "a" * 5000])
def test_an_invented_link_opens_nothing(shop: Shop, secret: str) -> None:
    assert Browser().open(f"{shop.origin}/p/session/{secret}").status == 410


def test_the_right_id_with_a_wrong_secret_opens_nothing(shop: Shop) -> None:
    url = shop.portal(shop.customer())
    assert Browser().open(url[:-1] + ("A" if url[-1] != "A" else "B")).status == 410
    assert Browser().open(url).status == 200


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(shop: Shop) -> None:
    browser = Browser()
    response = browser.client.get(shop.portal(shop.customer()))
    cookie = response.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Path=/p" in cookie
    assert "Max-Age=3600" in cookie


def test_one_visitor_cannot_enter_the_session_of_another(shop: Shop) -> None:
    mine = Browser().open(shop.portal(shop.customer()))
    theirs = Browser().open(shop.portal(shop.customer()))
    assert mine.browser.open(theirs.url).status == 410


def test_two_sessions_can_be_open_in_one_browser(shop: Shop) -> None:
    browser = Browser()
    first = browser.open(shop.portal(shop.customer(name="First")))
    second = browser.open(shop.portal(shop.customer(name="Second")))
    assert "First" in browser.open(first.url).text
    assert "Second" in browser.open(second.url).text


def test_every_page_says_how_it_may_be_used(shop: Shop) -> None:
    page = Browser().open(shop.portal(shop.customer()))
    headers = page.response.headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    policy = headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "<script" not in page.response.text


def test_a_form_without_its_token_changes_nothing(shop: Shop) -> None:
    customer = shop.customer()
    subscription = shop.subscribe(customer, "Pro")
    page = Browser().open(shop.portal(customer))
    method, url, values = page.press("Cancel plan").form("Cancel plan")
    foreign = Browser().open(shop.portal(customer)).press("Cancel plan").form("Cancel plan")[2]
    for forged in ({}, {"token": ""}, {"token": "0" * 64}, foreign):
        answer = page.browser.send(method, url, {**forged, "reason": "other"})
        assert (answer.status, answer.heading) == (403, "This form is out of date")
    assert shop.subscription(subscription.id).cancel_at is None
    assert page.browser.send(method, url, values).status == 200


def test_a_huge_form_is_refused(shop: Shop) -> None:
    page = Browser().open(shop.portal(shop.customer())).press("Update information")
    assert page.press("Save", {"Name": "x" * 100_000}).status == 403


def test_ids_of_other_customers_in_a_form_are_not_found(shop: Shop) -> None:
    mine, other = shop.customer(), shop.customer()
    subscription = shop.subscribe(other, "Pro")
    card = shop.default_card(other)
    page = Browser().open(shop.portal(mine))
    form = page.press("Add payment method").form("Add payment method")[2]
    for path in (
        f"/plans/{subscription.id}/cancel",
        f"/plans/{subscription.id}/keep",
        f"/plans/{subscription.id}/confirm",
        f"/payment-methods/{card}/default",
        f"/payment-methods/{card}/remove",
        f"/invoices/{subscription.latest_invoice}/pay",
        "/plans/sub_nothing/cancel",
    ):
        answer = page.browser.send("post", page.url + path, {"token": form["token"]})
        assert (answer.status, answer.heading) == (404, "This page isn’t available"), path
    assert shop.subscription(subscription.id).cancel_at is None
    assert shop.default_card(other) == card


def test_a_price_that_is_not_offered_cannot_be_confirmed(shop: Shop) -> None:
    customer = shop.customer()
    subscription = shop.subscribe(customer, "Pro")
    secret_price = shop.v1.prices.create(
        {
            "product": shop.plans["Team"].product,
            "currency": "usd",
            "unit_amount": 1,
            "recurring": {"interval": "month"},
        }
    ).id
    page = Browser().open(shop.portal(customer)).press("Update plan")
    summary = page.press("Continue", {"Starter – $29.00 per month": "on"})
    method, url, values = summary.form("Confirm")
    answer = page.browser.send(method, url, {**values, "price": secret_price})
    assert (answer.status, answer.role("alert")) == (422, "Choose a plan.")
    now = shop.subscription(subscription.id)["items"].data[0]
    assert now.price.id == shop.plans["Pro"].monthly


def test_fields_that_may_not_be_updated_are_ignored(shop: Shop) -> None:
    customer = shop.customer()
    allowed = {"enabled": True, "allowed_updates": ["name"]}
    configuration = shop.configuration(customer_update=allowed)
    page = Browser().open(shop.portal(customer, configuration=configuration))
    form = page.press("Update information")
    assert list(form.fields) == ["Name"]
    method, url, values = form.form("Save")
    page.browser.send(method, url, {**values, "name": "New", "email": "evil@example.com"})
    now = shop.v1.customers.retrieve(customer)
    assert (now.name, now.email) == ("New", "billing@example.com")


def test_the_portal_of_a_deleted_customer_is_closed(shop: Shop) -> None:
    customer = shop.customer()
    page = Browser().open(shop.portal(customer))
    shop.v1.customers.delete(customer)
    assert page.browser.open(page.url).status == 410
