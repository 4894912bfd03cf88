"""What the screens say: never what is not so, and never the API's words to a person."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from billing_ui.billing.summary import PlanSummary
from billing_ui.i18n import Reader, parse_locale
from billing_ui.payments.types import InvalidRequest, PaymentError, SubscriptionState
from billing_ui.states.failures import in_words
from billing_ui.states.plan_view import plan_view

US = Reader(parse_locale("en-US"), ZoneInfo("UTC"))


def plan(state: SubscriptionState, **fields: object) -> PlanSummary:
    """Return a plan without items, whose period ends on January 3, 2027."""
    blank = dict.fromkeys(PlanSummary.__dataclass_fields__)
    known = {
        "subscription_id": "sub_1",
        "name": "Pro",
        "state": state,
        "status": state.value,
        "items": (),
        "features": (),
        "currency": "usd",
        "interval_count": 1,
        "current_period_end": datetime(2027, 1, 3, tzinfo=UTC),
    }
    return PlanSummary(**blank | known | fields)  # type: ignore[arg-type]


def test_a_plan_past_due_that_is_set_to_cancel_does_not_say_that_it_renews() -> None:
    past_due = plan(SubscriptionState.PAST_DUE)
    assert plan_view(past_due, 1, US).also == "Renews on January 3, 2027"
    leaving = plan(SubscriptionState.PAST_DUE, cancel_at=datetime(2027, 1, 5, tzinfo=UTC))
    assert plan_view(leaving, 1, US).also == "Cancels on January 5, 2027"


@pytest.mark.parametrize(
    ("state", "resumes_at", "when", "icon", "also"),
    [
        ("active", None, "Pauses on January 3, 2027", "paused", ""),
        ("active", 10, "Pauses on January 3, 2027", "paused", "Resumes on January 10, 2027"),
        (
            "trialing",
            None,
            "Trial ends on January 3, 2027",
            "calendar",
            "Pauses on January 3, 2027",
        ),
        ("past_due", None, "Payment overdue", "warning", "Pauses on January 3, 2027"),
    ],
)
def test_a_plan_that_is_going_to_be_paused_does_not_say_that_it_renews(
    state: str, resumes_at: int | None, when: str, icon: str, also: str
) -> None:
    pausing = plan(
        SubscriptionState(state),
        trial_end=datetime(2027, 1, 3, tzinfo=UTC),
        pauses_at=datetime(2027, 1, 3, tzinfo=UTC),
        resumes_at=resumes_at and datetime(2027, 1, resumes_at, tzinfo=UTC),
    )
    view = plan_view(pausing, 1, US)
    assert (view.when, view.when_icon, view.also) == (when, icon, also)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            InvalidRequest("flow: your plan is already set to cancel."),
            "Your plan is already set to cancel.",
        ),
        (
            InvalidRequest("priceId: Pro is not for sale at this price."),
            "Pro is not for sale at this price.",
        ),
        (InvalidRequest("Your team already has a plan."), "Your team already has a plan."),
        (
            PaymentError("Stripe refused the request: it is late."),
            "Stripe refused the request: it is late.",
        ),
    ],
)
def test_a_person_is_not_told_the_name_of_a_field(error: PaymentError, words: str) -> None:
    assert in_words(error) == words
