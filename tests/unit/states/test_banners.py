"""The banners above the plan in words, and what each offers to press.

The frames of the mock-up `states.html`, and where each is reached:

1  past due                      demo account "past due"
2  trialing                      demo account "trialing"
3  canceling                     demo account "canceling"
4  provider unreachable          tests/e2e/test_billing_states.py
5  opening the portal            tests/e2e/test_provider_failures.py
6  the portal didn't open        tests/e2e/test_provider_failures.py
7  member without billing rights demo account "member"
8  no plan                       demo account "no plan"
9  loading                       tests/e2e/test_billing_states.py
10 a change while it is open     tests/e2e/test_billing_states.py
11 ended                         demo account "ended"
12 two subscriptions             tests/e2e/test_billing_states.py

Unpaid, incomplete and paused plans are shown here only.
"""

from datetime import UTC, datetime
from typing import Any

import pytest

from billing_ui.billing.banners import (
    OnHold,
    OnTrial,
    Paused,
    PaymentFailed,
    PaymentUnfinished,
    SetToCancel,
)
from billing_ui.states.banner_view import BannerView, banner_views
from tests.unit.billing.factories import AMERICAN

RETRY = datetime(2026, 12, 13, 9, tzinfo=UTC)
END = datetime(2027, 1, 3, tzinfo=UTC)
PAY = "https://pay.example.com/i"


def views(*banners: Any, portal: bool = True, payment: bool = True) -> list[BannerView]:
    """Return banners as an American reads them."""
    return banner_views(banners, "stripe", AMERICAN, portal=portal, payment=payment)


def failed(**fields: Any) -> PaymentFailed:
    """Return the banner of a payment that failed."""
    defaults: dict[str, Any] = {
        "plan": "Team",
        "amount": 48000,
        "currency": "usd",
        "next_attempt_at": RETRY,
        "by_card": True,
        "pay_url": PAY,
    }
    return PaymentFailed(**defaults | fields)


def test_a_failed_payment_interrupts_and_its_mending_is_the_solid_button() -> None:
    [view] = views(failed())
    assert (view.tone, view.role) == ("red", "alert")
    assert view.title == "Payment of $480.00 failed."
    assert view.detail == (
        "Stripe tries again on December 13, 2026. Update your card to keep Team."
    )
    assert (view.action, view.label, view.solid) == ("payment", "Update payment method", "action")
    assert (view.pay_label, view.pay_url) == ("Pay invoice", PAY)


@pytest.mark.parametrize(
    ("fields", "detail"),
    [
        ({"next_attempt_at": None}, "Update your card to keep Team."),
        (
            {"by_card": False},
            "Stripe tries again on December 13, 2026. Update your payment method to keep Team.",
        ),
    ],
)
def test_a_failed_payment_says_only_what_is_known(fields: dict[str, Any], detail: str) -> None:
    [view] = views(failed(**fields))
    assert view.detail == detail


def test_without_an_amount_the_last_payment_failed() -> None:
    [view] = views(failed(amount=None, pay_url=None))
    assert (view.title, view.pay_label) == ("Your last payment failed.", "")


def test_where_the_portal_takes_no_card_the_invoice_itself_is_paid() -> None:
    [view] = views(failed(), payment=False)
    assert (view.action, view.solid) == ("", "pay")
    assert view.detail.endswith("Pay the invoice to keep Team.")


def test_where_nothing_can_be_pressed_nothing_is_asked_for() -> None:
    [view] = views(failed(pay_url=None), portal=False, payment=False)
    assert (view.action, view.pay_url, view.solid) == ("", "", "")
    assert view.detail == "Stripe tries again on December 13, 2026."


def test_where_the_portal_opens_at_its_first_page_alone_that_is_where_to_mend_it() -> None:
    [view] = views(failed(pay_url=None), payment=False)
    assert (view.action, view.pay_url, view.solid) == ("", "", "")
    assert view.detail.endswith("Update your card in Stripe's portal to keep Team.")


def test_two_failed_payments_name_their_plans_and_are_mended_by_one_solid_button() -> None:
    first, second = views(failed(), failed(plan="Support"))
    assert first.title == "Payment of $480.00 for Team failed."
    assert second.title == "Payment of $480.00 for Support failed."
    assert (first.solid, second.solid) == ("action", "")
    assert (first.action, second.action) == ("payment", "")
    assert second.pay_label == "Pay invoice"


def test_a_plan_on_hold_is_switched_on_by_paying() -> None:
    [view] = views(OnHold("Team", PAY))
    assert (view.role, view.title) == ("alert", "Team is on hold.")
    assert view.detail == "Pay the open invoice to switch it back on."
    assert (view.pay_label, view.solid) == ("Pay invoice", "pay")


def test_an_unfinished_payment_is_confirmed() -> None:
    [view] = views(PaymentUnfinished("Team", PAY))
    assert (view.role, view.title) == ("alert", "Payment not finished.")
    assert view.detail == "Confirm it with your bank to start Team."
    assert (view.pay_label, view.solid) == ("Confirm payment", "pay")


def test_a_plan_set_to_cancel_can_be_kept_and_says_how() -> None:
    [view] = views(SetToCancel("Team", END, last_charge=True))
    assert (view.tone, view.role, view.title) == ("amber", "status", "Your plan is set to cancel.")
    assert view.detail == "Team stays on until January 3, 2027. You will not be charged again."
    assert (view.action, view.label, view.solid) == ("keep", "Keep my plan", "")
    assert "Don't cancel plan" in view.hint


def test_a_plan_with_something_left_to_charge_does_not_say_it_is_over() -> None:
    [view] = views(SetToCancel("Team", END, last_charge=False), portal=False)
    assert view.detail == "Team stays on until January 3, 2027."
    assert (view.action, view.hint) == ("", "")


@pytest.mark.parametrize(
    ("days", "title"),
    [
        (9, "9 days left in your trial."),
        (1, "1 day left in your trial."),
        (0, "Last day of your trial."),
    ],
)
def test_a_trial_counts_its_days(days: int, title: str) -> None:
    [view] = views(OnTrial("Team", days, can_pay=True, ends_unpaid=True))
    assert (view.tone, view.role, view.title) == ("blue", "status", title)
    assert (view.detail, view.action) == ("", "")


def test_a_trial_without_a_payment_method_asks_for_one() -> None:
    [view] = views(OnTrial("Team", 9, can_pay=False, ends_unpaid=True))
    assert view.detail == (
        "Add a payment method to stay on Team. Without one, the plan ends and nothing is charged."
    )
    assert (view.action, view.label, view.solid) == ("payment", "Add payment method", "")


def test_only_a_trial_that_ends_unpaid_says_that_nothing_is_charged() -> None:
    [view] = views(OnTrial("Team", 9, can_pay=False, ends_unpaid=False))
    assert view.detail == "Add a payment method to stay on Team."


@pytest.mark.parametrize(("at", "detail"), [(END, "Resumes on January 3, 2027."), (None, "")])
def test_a_paused_plan_says_when_it_resumes(at: datetime | None, detail: str) -> None:
    [view] = views(Paused("Team", at))
    assert (view.role, view.title, view.detail) == ("status", "Your plan is paused.", detail)
