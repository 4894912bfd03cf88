"""The hosted portal over real HTTP: every action, and only what the configuration enables."""

import re
from typing import Any

import pytest

from tests.sandbox.browser import Browser, Page
from tests.sandbox.shop import Shop

GOOD_CARD = {"Card number": "5555 5555 5555 4444", "Expiry": "08 / 39", "CVC": "123"}


def enter(shop: Shop, customer: str, **fields: Any) -> Page:
    """Open a new portal session of a customer in a fresh browser."""
    return Browser().open(shop.portal(customer, **fields))


def test_the_start_page_shows_plan_price_and_renewal(shop: Shop) -> None:
    customer = shop.customer()
    shop.subscribe(customer, "Team", 24)
    page = enter(shop, customer)
    assert page.heading == "Manage your subscription"
    assert "Team Active $480.00 per month · 24 seats at $20.00" in page.text
    assert re.search(r"Renews on \w+ \d+, \d{4} with Visa ending in 4242\.", page.text)
    assert page.link("Return to Acme Cloud") == "https://app.example.com/billing"
    assert page.all("aside")[0].text == "Sandbox: demo data, no real money moves."


def test_a_plan_change_shows_the_money_first_and_then_happens(shop: Shop) -> None:
    customer = shop.customer()
    subscription = shop.subscribe(customer, "Pro")
    page = enter(shop, customer).press("Update plan")
    assert "Pro – $149.00 per month" in page.fields
    summary = page.press("Continue", {"Team – $20.00 per month": "on", "Quantity": "10"})
    assert "Team, 10 seats at $20.00 $200.00 per month" in summary.text
    assert "Nothing is due now." in summary.text
    assert shop.subscription(subscription.id)["items"].data[0].price.id == shop.plans["Pro"].monthly
    after = summary.press("Confirm")
    assert after.role("status") == "Your plan is updated."
    item = shop.subscription(subscription.id)["items"].data[0]
    assert (item.price.id, item.quantity) == (shop.plans["Team"].monthly, 10)


def test_the_summary_says_what_the_next_invoice_then_is(shop: Shop) -> None:
    customer = shop.customer()
    shop.subscribe(customer, "Team", 10)
    summary = enter(shop, customer).press("Update plan").press("Continue", {"Quantity": "20"})
    # A whole new period is ahead, so the ten new seats cost a whole month now and one then.
    assert re.search(r"Difference for .* \$(200\.00|199\.\d\d)", summary.text)
    assert re.search(r"Next invoice, \w+ \d+, \d{4} \$(600\.00|599\.\d\d)", summary.text)
    # Looking at it has changed nothing.
    assert shop.events("invoiceitem.created", customer) == []


def test_the_confirmed_difference_is_the_one_that_was_shown(shop: Shop) -> None:
    customer = shop.customer()
    shop.subscribe(customer, "Team", 10)
    summary = enter(shop, customer).press("Update plan").press("Continue", {"Quantity": "20"})
    shown = re.search(r"Difference for .*? \$([\d.]+)", summary.text)
    assert shown
    summary.press("Confirm")
    made = sum(item["amount"] for item in shop.events("invoiceitem.created", customer)) / 100
    # A second may pass between the two.
    assert abs(made - float(shown[1])) <= 0.01


def test_switching_to_a_year_charges_now(shop: Shop) -> None:
    customer = shop.customer()
    subscription = shop.subscribe(customer, "Pro")
    page = enter(shop, customer).press("Update plan")
    summary = page.press("Continue", {"Pro – $1,490.00 per year": "on"})
    assert "Pro, from now on $1,490.00 per year." in summary.text
    assert re.search(r"Due now \$1,341\.\d\d", summary.text)
    assert re.search(r"Then \$1,490\.00 per year from \w+ \d+, \d{4} on\.", summary.text)
    assert "Your plan is updated." in summary.press("Confirm").text
    invoices = shop.v1.invoices.list({"customer": customer}).data
    assert [invoice.status for invoice in invoices] == ["paid", "paid"]
    item = shop.subscription(subscription.id)["items"].data[0]
    assert item.price.id == shop.plans["Pro"].yearly


def test_a_trial_ends_with_a_plan_change(shop: Shop) -> None:
    customer = shop.customer()
    subscription = shop.subscribe(customer, "Pro", trial_period_days=14)
    page = enter(shop, customer).press("Update plan")
    summary = page.press("Continue", {"Starter – $29.00 per month": "on"})
    assert "Due now $29.00" in summary.text
    assert "Starter Active" in summary.press("Confirm").text
    assert shop.subscription(subscription.id).status == "active"


def test_a_trial_goes_on_where_the_configuration_says_so(shop: Shop) -> None:
    customer = shop.customer()
    shop.subscribe(customer, "Pro", trial_period_days=14)
    page = enter(shop, customer, configuration=shop.configuration(continue_trial=True))
    assert "Trialing" in page.text
    assert "Trial ends on" in page.text
    summary = page.press("Update plan").press("Continue", {"Starter – $29.00 per month": "on"})
    assert re.search(r"First invoice, \w+ \d+, \d{4} \$29\.00", summary.text)
    assert "Nothing is due now. Your trial goes on." in summary.text
    assert "Starter Trialing" in summary.press("Confirm").text


@pytest.mark.parametrize("quantity", ["0", "1", "51", "-3", "2.5", "ten", "", "9" * 40, "٣"])
def test_a_quantity_out_of_bounds_is_refused_at_its_field(shop: Shop, quantity: str) -> None:
    customer = shop.customer()
    shop.subscribe(customer, "Team", 10)
    page = enter(shop, customer).press("Update plan")
    again = page.press("Continue", {"Quantity": quantity})
    assert again.status == 422
    assert again.role("alert") == "Enter a whole number from 2 to 50."
    assert again.fields["Quantity"].attributes["aria-invalid"] == "true"


def test_a_plan_without_seats_is_taken_once(shop: Shop) -> None:
    customer = shop.customer()
    subscription = shop.subscribe(customer, "Team", 24)
    page = enter(shop, customer).press("Update plan")
    summary = page.press("Continue", {"Starter – $29.00 per month": "on"})
    assert "Starter $29.00 per month" in summary.text
    summary.press("Confirm")
    assert shop.subscription(subscription.id)["items"].data[0].quantity == 1


def test_choosing_what_one_has_already_says_so(shop: Shop) -> None:
    customer = shop.customer()
    shop.subscribe(customer, "Pro")
    page = enter(shop, customer).press("Update plan").press("Continue")
    assert (page.status, page.role("alert")) == (422, "This is your plan already.")


def test_only_prices_of_the_customers_currency_are_offered(shop: Shop) -> None:
    customer = shop.customer()
    shop.subscribe(customer, "Pro", currency="eur")
    dollars_only = shop.v1.prices.create(
        {
            "product": shop.plans["Starter"].product,
            "currency": "usd",
            "unit_amount": 900,
            "recurring": {"interval": "week"},
        }
    )
    starter = {"product": shop.plans["Starter"].product}
    prices = [shop.plans["Starter"].monthly, dollars_only.id]
    configuration = shop.configuration(
        subscription_update={
            "enabled": True,
            "default_allowed_updates": ["price"],
            "products": [{**starter, "prices": prices}],
        }
    )
    page = enter(shop, customer, configuration=configuration)
    assert "Pro Active €148.00 per month" in page.text
    offered = page.press("Update plan")
    assert list(offered.fields) == ["Starter – €28.00 per month"]


def test_canceling_asks_why_and_keeps_the_plan_to_its_end(shop: Shop) -> None:
    customer = shop.customer()
    subscription = shop.subscribe(customer, "Pro")
    page = enter(shop, customer).press("Cancel plan")
    assert re.search(r"Pro stays on until \w+ \d+, \d{4}\.", page.text)
    after = page.press("Cancel plan", {"I don’t use it enough": "on", "Anything else?": "Bye"})
    assert after.role("status") == "Your plan is canceled."
    assert "Canceling" in after.text
    assert "Cancels on" in after.text
    assert "Update plan" not in after.buttons
    assert "Cancel plan" not in after.buttons
    now = shop.subscription(subscription.id)
    assert now.cancel_at == now["items"].data[0].current_period_end
    assert now.cancel_at_period_end is False
    assert now.cancellation_details is not None
    assert now.cancellation_details.feedback == "unused"
    assert now.cancellation_details.comment == "Bye"


def test_a_cancellation_can_be_taken_back(shop: Shop) -> None:
    customer = shop.customer()
    subscription = shop.subscribe(customer, "Pro")
    page = enter(shop, customer).press("Cancel plan").press("Cancel plan")
    after = page.press("Don't cancel plan")
    assert after.role("status") == "Your plan is no longer set to cancel."
    assert "Renews on" in after.text
    assert shop.subscription(subscription.id).cancel_at is None


def test_pressing_a_button_twice_is_the_same_as_once(shop: Shop) -> None:
    customer = shop.customer()
    subscription = shop.subscribe(customer, "Team", 5)
    told = len(shop.events("customer.subscription.updated", customer))
    page = enter(shop, customer)
    summary = page.press("Update plan").press("Continue", {"Quantity": "6"})
    for _ in range(2):
        assert summary.press("Confirm").role("status") == "Your plan is updated."
    question = page.press("Cancel plan")
    for _ in range(2):
        canceled = question.press("Cancel plan")
        assert canceled.role("status") == "Your plan is canceled."
    for _ in range(2):
        assert canceled.press("Don't cancel plan").role("status")
    # Two prorations of the one change, one update for each button.
    assert len(shop.events("invoiceitem.created", customer)) == 2
    assert len(shop.events("customer.subscription.updated", customer)) == told + 3
    assert shop.subscription(subscription.id)["items"].data[0].quantity == 6


def test_a_plan_that_is_set_to_cancel_cannot_be_canceled_again(shop: Shop) -> None:
    customer = shop.customer()
    shop.subscribe(customer, "Pro")
    question = enter(shop, customer).press("Cancel plan")
    question.press("Cancel plan")
    again = question.browser.open(question.url)
    assert (again.status, again.heading) == (409, "Your plan is already set to cancel")


def test_somebody_on_an_archived_plan_can_still_cancel(shop: Shop) -> None:
    customer = shop.customer()
    subscription = shop.subscribe(customer, "Pro")
    configuration = shop.configuration()
    shop.v1.prices.update(shop.plans["Pro"].monthly, {"active": False})
    shop.v1.products.update(shop.plans["Pro"].product, {"active": False})
    page = enter(shop, customer, configuration=configuration)
    assert "Pro Active" in page.text
    offered = page.press("Update plan")
    assert not any(name.startswith("Pro") for name in offered.fields)
    assert "Canceling" in page.press("Cancel plan").press("Cancel plan").text
    assert shop.subscription(subscription.id).cancel_at is not None


def test_every_subscription_is_shown_with_its_own_buttons(shop: Shop) -> None:
    customer = shop.customer()
    first, second = shop.subscribe(customer, "Pro"), shop.subscribe(customer, "Starter")
    page = enter(shop, customer)
    assert page.buttons.count("Update plan") == page.buttons.count("Cancel plan") == 2
    page.press("Cancel plan", number=1).press("Cancel plan")
    canceled = [shop.subscription(one.id).cancel_at is not None for one in (second, first)]
    assert canceled == [False, True]


def test_a_customer_without_a_plan_sees_the_rest(shop: Shop) -> None:
    page = enter(shop, shop.customer())
    assert "You have no plan at the moment." in page.text
    assert "Update plan" not in page.buttons
    assert "Add payment method" in page.buttons


def test_a_new_card_becomes_the_default_of_customer_and_plan(shop: Shop) -> None:
    customer = shop.customer()
    old = shop.default_card(customer)
    subscription = shop.subscribe(customer, "Pro", default_payment_method=old)
    page = enter(shop, customer).press("Add payment method")
    after = page.press("Add payment method", GOOD_CARD)
    assert after.role("status") == "Your payment method is added and is now the default."
    assert "Mastercard ending in 4444 Default Expires 08/2039" in after.text
    new = shop.default_card(customer)
    assert new not in {None, old}
    assert shop.subscription(subscription.id).default_payment_method == new


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ({"Card number": "4242424242424241"}, "Your card number is incorrect."),
        ({"Card number": "4000000000000002"}, "Your card was declined."),
        ({"Card number": ""}, "Enter the card number."),
        (
            {"Card number": "４２４２４２４２４２４２４２４２"},
            "The card number may hold digits only.",
        ),
        ({"Expiry": "01 / 20"}, "Your card's expiration year is invalid."),
        ({"Expiry": "13 / 39"}, "Write the expiry date as MM / YY."),
        ({"Expiry": "soon"}, "Write the expiry date as MM / YY."),
        ({"CVC": "12"}, "The security code has 3 or 4 digits."),
    ],
)
def test_a_bad_card_is_refused_at_its_field(shop: Shop, typed: dict[str, str], says: str) -> None:
    customer = shop.customer()
    page = enter(shop, customer).press("Add payment method")
    again = page.press("Add payment method", {**GOOD_CARD, **typed})
    assert (again.status, again.role("alert")) == (422, says)
    (label,) = typed
    described = again.fields[label].attributes["aria-describedby"].split()[0]
    assert again.all("p", id=described)[0].text == says
    # What was typed stays, but for the security code.
    kept = {**GOOD_CARD, **typed}
    assert again.fields["Card number"].attributes["value"] == kept["Card number"]
    assert again.fields["CVC"].attributes["value"] == ""
    assert len(shop.v1.customers.payment_methods.list(customer).data) == 1


def test_another_card_can_be_made_default_and_the_old_one_removed(shop: Shop) -> None:
    customer = shop.customer()
    shop.subscribe(customer, "Pro")
    other = shop.v1.payment_methods.attach("pm_card_mastercard", {"customer": customer}).id
    page = enter(shop, customer)
    assert page.buttons.count("Make default") == page.buttons.count("Remove") == 1
    page = page.press("Make default")
    assert page.role("status") == "Your default payment method is changed."
    assert shop.default_card(customer) == other
    page = page.press("Remove")
    assert page.role("status") == "The payment method is removed."
    assert [one.id for one in shop.v1.customers.payment_methods.list(customer).data] == [other]
    # The card a running plan is paid with can only be replaced.
    assert "Remove" not in page.buttons


def test_billing_information_is_saved(shop: Shop) -> None:
    customer = shop.customer()
    form = enter(shop, customer).press("Update information")
    assert form.fields["E-mail"].attributes["value"] == "billing@example.com"
    typed = {
        "Name": "Ελληνική <b>Labs</b>",
        "E-mail": "new@example.com",
        "Phone": "+353 1 555 0100",
        "Country": "IE",
        "Address line 1": "12 Harbour Street",
        "City": "Dublin",
        "Postal code": "D01",
        "Tax ID type": "eu_vat",
        "Tax ID": "IE1234567FA",
    }
    page = form.press("Save", typed)
    assert page.role("status") == "Your billing information is saved."
    assert "Name Ελληνική <b>Labs</b> E-mail new@example.com" in page.text
    assert "12 Harbour Street, D01 Dublin, Ireland" in page.text
    now = shop.v1.customers.retrieve(customer, {"expand": ["tax_ids"]})
    assert (now.email, now.phone) == ("new@example.com", "+353 1 555 0100")
    assert now.address is not None
    assert now.address.country == "IE"
    assert now.tax_ids is not None
    assert [one.value for one in now.tax_ids.data] == ["IE1234567FA"]


def test_a_line_of_the_address_can_be_emptied_again(shop: Shop) -> None:
    customer = shop.customer(address={"line1": "12 Harbour Street", "city": "Dublin"})
    page = enter(shop, customer).press("Update information")
    page = page.press("Save", {"City": "", "Phone": ""})
    now = shop.v1.customers.retrieve(customer)
    assert now.address is not None
    assert (now.address.line1, now.address.city) == ("12 Harbour Street", None)
    page.press("Update information").press("Save", {"Address line 1": ""})
    assert shop.v1.customers.retrieve(customer).address is None


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ({"E-mail": ""}, "Enter an e-mail address."),
        ({"E-mail": "nobody"}, "Write the e-mail address like name@example.com."),
        ({"Country": "QQ"}, "Choose a country from the list."),
        ({"Tax ID": "IE1234567FA"}, "Choose what kind of tax ID it is."),
        ({"Tax ID type": "eu_vat"}, "Enter the tax ID, or choose “No tax ID”."),
    ],
)
def test_bad_billing_information_is_refused_at_its_field(
    shop: Shop, typed: dict[str, str], says: str
) -> None:
    customer = shop.customer()
    page = enter(shop, customer).press("Update information").press("Save", typed)
    assert (page.status, page.role("alert")) == (422, says)
    assert shop.v1.customers.retrieve(customer).email == "billing@example.com"


def test_the_history_lists_invoices_with_their_files(shop: Shop) -> None:
    customer = shop.customer()
    shop.subscribe(customer, "Pro")
    page = enter(shop, customer)
    (invoice,) = shop.v1.invoices.list({"customer": customer}).data
    assert "$149.00 Paid PDF" in page.text
    assert page.link("PDF") == invoice.invoice_pdf


def test_an_overdue_plan_can_be_paid_with_a_new_card(shop: Shop) -> None:
    customer = shop.customer("pm_card_chargeCustomerFail")
    subscription = shop.subscribe(customer, "Pro", trial_period_days=14)
    shop.v1.subscriptions.update(subscription.id, {"trial_end": "now"})
    page = enter(shop, customer)
    assert "Payment of $149.00 failed." in page.role("alert")
    assert page.link("Pay").startswith(f"{shop.origin}/i/")
    refused = page.press("Pay $149.00 now")
    assert refused.status == 402
    page = refused.press("Add payment method").press("Add payment method", GOOD_CARD)
    page = page.press("Pay $149.00 now")
    assert page.role("status") == "Thank you. The invoice is paid."
    assert shop.subscription(subscription.id).status == "active"


@pytest.mark.parametrize(
    ("feature", "button", "path"),
    [
        ("subscription_update", "Update plan", "/plans/{subscription}/update"),
        ("subscription_cancel", "Cancel plan", "/plans/{subscription}/cancel"),
        ("payment_method_update", "Add payment method", "/payment-methods/new"),
        ("customer_update", "Update information", "/billing-information"),
    ],
)
def test_what_is_not_enabled_is_neither_shown_nor_done(
    shop: Shop, feature: str, button: str, path: str
) -> None:
    customer = shop.customer()
    subscription = shop.subscribe(customer, "Pro")
    without: dict[str, Any] = {feature: {"enabled": False}}
    page = enter(shop, customer, configuration=shop.configuration(**without))
    assert button not in page.buttons
    wanted = page.url + path.format(subscription=subscription.id)
    assert page.browser.open(wanted).status == 404
    token = (
        page.all("input", name="token")[0].attributes["value"]
        if "token" in page.response.text
        else ""
    )
    posted = page.browser.send("post", wanted.replace("/update", "/confirm"), {"token": token})
    assert posted.status in {403, 404}
    assert shop.subscription(subscription.id).cancel_at is None


def test_a_history_that_is_not_enabled_is_not_shown(shop: Shop) -> None:
    configuration = shop.configuration(invoice_history={"enabled": False})
    page = enter(shop, shop.customer(), configuration=configuration)
    assert "Billing history" not in page.text


def test_amounts_and_dates_follow_the_session_then_the_browser(shop: Shop) -> None:
    customer = shop.customer()
    shop.subscribe(customer, "Pro")
    page = Browser(**{"Accept-Language": "de-DE,de;q=0.9"}).open(shop.portal(customer))
    assert "149,00\N{NO-BREAK SPACE}$".replace("\N{NO-BREAK SPACE}", " ") in page.text
    assert re.search(r"Renews on \d+\. \w+ \d{4}", page.text)
    british = Browser(**{"Accept-Language": "de"}).open(shop.portal(customer, locale="en-GB"))
    assert re.search(r"US\$149\.00 .* Renews on \d+ \w+ \d{4}", british.text)
