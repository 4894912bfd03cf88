"""The shop's portal, checkout and invoices over real HTTP."""

import io
import re
from typing import Any

import httpx
import pytest
from pypdf import PdfReader

from tests.sandbox.browser import Browser, Page
from tests.sandbox.shop_engine.conftest import Do
from tests.sandbox.shop_engine.plain import PlainDialect

BACK = "https://app.example.com/billing?from=portal&x=1"
GOOD_CARD = {"Card number": "5555 5555 5555 4444", "Expiry": "08 / 39", "CVC": "123"}
FAILING_CARD = {"Card number": "4000 0000 0000 0341", "Expiry": "08 / 39", "CVC": "123"}


@pytest.fixture
def prices(do: Do) -> dict[str, str]:
    """The ids of what is sold: "Pro" and "Team" by the month, "Team year" by the year."""
    pro = do("create_plan", name="Pro", prices=[{"amount": 14900}])
    team = do(
        "create_plan",
        name="Team",
        unit_label="seat",
        prices=[{"amount": 2000}, {"amount": 20000, "interval": "year"}],
    )
    ids = [price["id"] for plan in (pro, team) for price in plan["prices"]]
    return dict(zip(("Pro", "Team", "Team year"), ids, strict=True))


@pytest.fixture
def customer(do: Do) -> str:
    """The id of a customer with a card."""
    made: str = do("create_customer", email="billing@example.com", name="Northwind Labs")["id"]
    do("add_card", customer_id=made)
    return made


def enter(do: Do, customer: str, **wish: Any) -> Page:
    """Open the portal in a fresh browser."""
    wish.setdefault("return_url", BACK)
    return Browser().open(do("open_portal", customer_id=customer, **wish)["url"])


def subscription(do: Do, customer: str) -> dict[str, Any]:
    """Return the customer's newest subscription."""
    found: dict[str, Any] = do("find", kind="subscription", customer_id=customer)["records"][0]
    return found


def test_the_start_page_shows_plan_cards_information_and_invoices(
    do: Do, customer: str, prices: dict[str, str]
) -> None:
    do("subscribe", customer_id=customer, price_id=prices["Team"], quantity=24)
    page = enter(do, customer)
    assert page.heading == "Manage your subscription"
    assert "Team Active $480.00 per month · 24 seats at $20.00" in page.text
    assert re.search(r"Renews on \w+ \d+, \d{4} with Visa ending in 4242\.", page.text)
    headings = [one.text for one in page.all("h2")]
    assert headings == ["Current plan", "Payment methods", "Billing information", "Billing history"]
    assert page.link("Return to Acme Cloud") == BACK
    assert page.all("aside")[0].text == "Sandbox: demo data, no real money moves."


def test_without_a_return_url_there_is_no_way_back(do: Do, customer: str) -> None:
    page = enter(do, customer, return_url=None)
    assert "You have no plan at the moment." in page.text
    assert not [one for one in page.all("a") if one.text.startswith("Return to")]


def test_a_plan_change_shows_the_money_first_and_then_happens(
    do: Do, customer: str, prices: dict[str, str]
) -> None:
    do("subscribe", customer_id=customer, price_id=prices["Pro"])
    page = enter(do, customer).press("Update plan")
    assert {"Pro – $149.00 per month", "Team – $200.00 per year", "Quantity"} <= set(page.fields)
    summary = page.press("Continue", {"Team – $20.00 per month": "on", "Quantity": "10"})
    assert "Team, 10 seats at $20.00 $200.00 per month" in summary.text
    due = re.search(r"Due now \$(\d+\.\d\d)", summary.text)
    assert due
    assert subscription(do, customer)["price"] == prices["Pro"]
    after = summary.press("Confirm")
    assert after.role("status") == "Your plan is updated."
    now = subscription(do, customer)
    assert (now["price"], now["quantity"]) == (prices["Team"], 10)
    [change] = do("find", kind="invoice", where={"reason": "change"})["records"]
    assert f"{change['total'] / 100:.2f}" == due[1]


def test_where_a_provider_has_no_such_page_no_plan_is_changed(
    do: Do, customer: str, prices: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    do("subscribe", customer_id=customer, price_id=prices["Pro"])
    monkeypatch.setattr(PlainDialect, "portal_changes_plans", False)
    page = enter(do, customer)
    assert "Update plan" not in page.buttons
    assert "Cancel plan" in page.buttons
    bold = page.browser.open(f"{page.url}/plans/{subscription(do, customer)['id']}/update")
    assert bold.status == 404


def test_a_change_whose_payment_fails_is_explained_and_not_made(
    do: Do, customer: str, prices: dict[str, str]
) -> None:
    do("subscribe", customer_id=customer, price_id=prices["Team"])
    do("add_card", customer_id=customer, number="4000000000000341")
    page = enter(do, customer).press("Update plan").press("Continue", {"Quantity": "9"})
    assert (page.status, page.role("alert")) == (402, "Your card was declined.")
    assert subscription(do, customer)["quantity"] == 1


@pytest.mark.parametrize(
    ("filled", "problem"),
    [
        ({"Quantity": "0"}, "Enter a whole number from 1 to 999999."),
        ({"Quantity": "seven"}, "Enter a whole number from 1 to 999999."),
        ({"Quantity": "1"}, "This is your plan already."),
    ],
)
def test_a_wish_that_cannot_be_is_said_beside_its_field(
    do: Do, customer: str, prices: dict[str, str], filled: dict[str, str], problem: str
) -> None:
    do("subscribe", customer_id=customer, price_id=prices["Team"])
    page = enter(do, customer).press("Update plan").press("Continue", filled)
    assert (page.status, page.role("alert")) == (422, problem)


def test_a_plan_is_canceled_with_a_reason_and_kept_again(
    do: Do, customer: str, prices: dict[str, str]
) -> None:
    do("subscribe", customer_id=customer, price_id=prices["Pro"])
    asked = enter(do, customer).press("Cancel plan")
    done = asked.press("Cancel plan", {"It’s too expensive": "on", "Anything else?": "Bye"})
    assert "Pro Canceling" in done.text
    now = subscription(do, customer)
    assert (now["cancel_at_period_end"], now["cancel_reason"]) == (True, "too_expensive")
    assert now["cancel_comment"] == "Bye"
    assert "Update plan" not in done.buttons
    kept = done.press("Don't cancel plan")
    assert kept.role("status") == "Your plan is no longer set to cancel."
    assert not subscription(do, customer)["cancel_at_period_end"]


def test_cards_are_added_made_the_default_and_removed(
    do: Do, customer: str, prices: dict[str, str]
) -> None:
    do("subscribe", customer_id=customer, price_id=prices["Pro"])
    page = enter(do, customer)
    assert "Remove" not in page.buttons
    added = page.press("Add payment method").press("Add payment method", GOOD_CARD)
    assert "Mastercard ending in 4444 Default" in added.text
    changed = added.press("Make default")
    assert "Visa ending in 4242 Default" in changed.text
    removed = changed.press("Remove")
    assert removed.role("status") == "The payment method is removed."
    assert "4444" not in removed.text


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"Card number": "4242 4242 4242 4241"}, "Your card number is incorrect."),
        ({"Card number": "4000 0000 0000 0002"}, "Your card was declined."),
        ({"Expiry": "01 / 20"}, "Your card's expiration year is invalid."),
        ({"Expiry": "soon"}, "Write the expiry date as MM / YY."),
        ({"CVC": "1"}, "The security code has 3 or 4 digits."),
    ],
)
def test_a_card_that_is_no_good_is_said_beside_its_field(
    do: Do, customer: str, wrong: dict[str, str], problem: str
) -> None:
    page = enter(do, customer).press("Add payment method")
    refused = page.press("Add payment method", GOOD_CARD | wrong)
    assert (refused.status, refused.role("alert")) == (422, problem)
    assert (
        "value" not in refused.fields["CVC"].attributes
        or not (refused.fields["CVC"].attributes["value"])
    )


def test_billing_information_is_saved_and_shown(do: Do, customer: str) -> None:
    do("create_customer", email="taken@example.com")
    page = enter(do, customer).press("Update information")
    typed = {"Name": "Northwind AG", "E-mail": "taken@example.com", "City": "Bern", "Country": "CH"}
    refused = page.press("Save", typed)
    assert refused.role("alert") == "Another customer has this e-mail address."
    saved = refused.press("Save", {"E-mail": "new@example.com"})
    assert saved.role("status") == "Your billing information is saved."
    assert "Northwind AG E-mail new@example.com" in saved.text
    assert "Bern, Switzerland" in saved.text


def test_an_overdue_invoice_is_paid_from_the_portal(
    do: Do, control: httpx.Client, prices: dict[str, str]
) -> None:
    begin = 1_700_000_000
    late = do("create_customer", email="late@example.com", at=begin)["id"]
    do("add_card", customer_id=late, at=begin)
    do("subscribe", customer_id=late, price_id=prices["Pro"], at=begin)
    do("add_card", customer_id=late, number="4000000000000341", at=begin)
    control.post("/advance", json={"customer": late, "to": begin + 31 * 86400})
    page = enter(do, late)
    assert "Payment of $149.00 failed." in page.role("alert")
    refused = page.press("Pay $149.00 now")
    assert refused.status == 402
    mended = refused.press("Add payment method").press("Add payment method", GOOD_CARD)
    paid = mended.press("Pay $149.00 now")
    assert paid.role("status") == "Thank you. The invoice is paid."
    assert subscription(do, late)["status"] == "active"


def test_an_invoice_is_a_pdf_with_its_lines_and_sum(
    do: Do, customer: str, prices: dict[str, str]
) -> None:
    do("subscribe", customer_id=customer, price_id=prices["Team"], quantity=3)
    page = enter(do, customer)
    answer = page.browser.client.get(page.link("PDF"))
    assert answer.headers["content-type"] == "application/pdf"
    assert 'filename="Invoice-INV-000001.pdf"' in answer.headers["content-disposition"]
    [sheet] = PdfReader(io.BytesIO(answer.content)).pages
    text = re.sub(r"\s+", " ", sheet.extract_text())
    for words in ("Northwind Labs", "Acme Cloud", "INV-000001", "Team", "$20.00", "$60.00", "Paid"):
        assert words in text


def test_an_invoice_says_whose_it_is_on_its_page_and_on_paper(
    do: Do, prices: dict[str, str]
) -> None:
    buyer = do("create_customer", email="ap@example.com", name="Fern AG", tax_id="DE136695976")[
        "id"
    ]
    do("add_card", customer_id=buyer)
    do("subscribe", customer_id=buyer, price_id=prices["Pro"])
    portal = enter(do, buyer)
    link = portal.link("PDF")
    page = portal.browser.open(link.removesuffix("/pdf"))
    assert "To Fern AG E-mail ap@example.com Tax ID DE136695976 Issued" in page.text
    assert "Pay by card" not in page.text
    [sheet] = PdfReader(io.BytesIO(page.browser.client.get(link).content)).pages
    for words in ("Fern AG", "ap@example.com", "DE136695976"):
        assert words in sheet.extract_text()


def test_an_open_invoice_is_paid_on_its_own_page(
    do: Do, control: httpx.Client, prices: dict[str, str]
) -> None:
    begin = 1_700_000_000
    late = do("create_customer", email="late@example.com", at=begin)["id"]
    do("add_card", customer_id=late, at=begin)
    do("subscribe", customer_id=late, price_id=prices["Pro"], at=begin)
    do("add_card", customer_id=late, number="4000000000000341", at=begin)
    control.post("/advance", json={"customer": late, "to": begin + 31 * 86400})
    portal = enter(do, late)
    page = portal.browser.open(portal.link("Pay"))
    assert "$149.00 due" in page.text
    refused = page.press("Pay $149.00", FAILING_CARD)
    assert (refused.status, refused.role("alert")) == (422, "Your card was declined.")
    paid = refused.press("Pay $149.00", GOOD_CARD)
    assert paid.role("status") == "Thank you. The invoice is paid."
    assert "Pay $149.00" not in paid.buttons


@pytest.mark.parametrize(
    ("flow", "heading"),
    [
        ("update", "Update plan"),
        ("cancel", "Cancel plan"),
        ("payment_method", "Add payment method"),
        ("information", "Billing information"),
    ],
)
def test_a_deep_link_opens_its_page_and_leads_out_again(
    do: Do, customer: str, prices: dict[str, str], flow: str, heading: str
) -> None:
    do("subscribe", customer_id=customer, price_id=prices["Team"])
    page = enter(do, customer, flow=flow)
    assert (page.heading, page.link("Go back")) == (heading, BACK)


def test_nobody_else_gets_in_and_a_forged_form_changes_nothing(
    do: Do, customer: str, prices: dict[str, str]
) -> None:
    do("subscribe", customer_id=customer, price_id=prices["Pro"])
    page = enter(do, customer)
    stranger = Browser().open(page.url)
    assert (stranger.status, stranger.heading) == (410, "This link has expired")
    method, url, values = page.press("Cancel plan").form("Cancel plan")
    forged = page.browser.send(method, url, values | {"token": "made-up"})
    assert (forged.status, forged.heading) == (403, "This form is out of date")
    other = do("create_customer", email="other@example.com")["id"]
    theirs = enter(do, other)
    foreign = theirs.browser.open(f"{theirs.url}/plans/{subscription(do, customer)['id']}/cancel")
    assert foreign.status == 404
    assert not subscription(do, customer)["cancel_at_period_end"]


def test_a_deleted_customers_portal_is_closed(do: Do, customer: str) -> None:
    page = enter(do, customer)
    do("delete_customer", customer_id=customer)
    assert page.browser.open(page.url).status == 410


def test_a_checkout_sells_to_somebody_new(do: Do, prices: dict[str, str]) -> None:
    checkout = do(
        "open_checkout",
        price_id=prices["Team"],
        quantity=5,
        success_url="https://app.example.com/done?id={CHECKOUT_ID}",
        return_url="https://app.example.com/pricing",
    )
    page = Browser().open(checkout["url"])
    assert page.heading == "Subscribe to Team"
    assert "Team 5 seats at $20.00 $100.00 Total due today $100.00" in page.text
    assert "Renews at $100.00 per month until you cancel." in page.text
    assert page.link("Back") == "https://app.example.com/pricing"
    refused = page.press("Subscribe", GOOD_CARD)
    assert refused.role("alert") == "Enter an e-mail address."
    declined = refused.press("Subscribe", FAILING_CARD | {"E-mail": "new@example.com"})
    assert declined.role("alert") == "Your card was declined."
    assert do("find", kind="customer")["count"] == 0
    declined.press("Subscribe", GOOD_CARD)
    assert page.browser.left_for == f"https://app.example.com/done?id={checkout['id']}"
    [buyer] = do("find", kind="customer")["records"]
    assert subscription(do, buyer["id"])["quantity"] == 5
    again = Browser().open(checkout["url"])
    assert (again.status, again.heading) == (410, "This is paid already")


def test_a_checkout_with_a_trial_charges_nothing_today(
    do: Do, customer: str, prices: dict[str, str]
) -> None:
    wish = {"price_id": prices["Pro"], "customer_id": customer, "trial_days": 14}
    page = Browser().open(do("open_checkout", **wish)["url"])
    assert "14 days free, then $149.00 per month." in page.text
    assert "Billed to billing@example.com" in page.text
    assert page.press("Subscribe", GOOD_CARD).heading == "Thank you"
    assert subscription(do, customer)["status"] == "trialing"


@pytest.mark.parametrize("path", ["/c/pay/made.up", "/i/made.up", "/i/made.up/pdf"])
def test_addresses_that_were_not_given_out_lead_nowhere(served: str, path: str) -> None:
    assert Browser().open(f"{served}{path}").status == 404
