"""What differs between two snapshots, named and said."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_ui.billing.changes import (
    Change,
    NextDate,
    describe_visit,
    dump_changes,
    load_changes,
    tell,
)
from billing_ui.billing.comparison import compare, next_date
from billing_ui.payments.types import (
    Address,
    Snapshot,
    SnapshotCustomer,
    SubscriptionState,
    TaxId,
)
from tests.unit.billing.factories import (
    AMERICAN,
    NOW,
    PRO,
    PRO_YEARLY,
    RENEWAL,
    STARTER,
    TEAM,
    canceling,
    card,
    ended,
    invoice,
    item,
    snapshot,
    subscription,
)

FEBRUARY = datetime(2027, 2, 3, 12, tzinfo=UTC)
PAST_DUE: dict[str, Any] = {"status": "past_due", "state": SubscriptionState.PAST_DUE}
TRIALING: dict[str, Any] = {
    "status": "trialing",
    "state": SubscriptionState.TRIALING,
    "trial_end": RENEWAL,
}


def who(**fields: Any) -> SnapshotCustomer:
    """Return a customer with billing details."""
    return SnapshotCustomer(**{"id": "cus_1", "name": "Northwind Labs"} | fields)


def support(**fields: Any) -> Any:
    """Return a second subscription beside the plan."""
    only = item(STARTER, id="si_2", plan_name="Priority support")
    return subscription(STARTER, id="sub_2", items=(only,), **fields)


SENTENCES = [
    pytest.param(
        snapshot(subscription(PRO)),
        snapshot(subscription(TEAM)),
        ["Plan changed from Pro to Team. Renews on January 3, 2027."],
        id="plan",
    ),
    pytest.param(
        snapshot(subscription(PRO)),
        snapshot(subscription(TEAM, 24)),
        ["Plan changed from Pro to Team. Renews on January 3, 2027.", "Seats set to 24."],
        id="plan and seats",
    ),
    pytest.param(
        snapshot(subscription(TEAM, 24)),
        snapshot(subscription(PRO, 1)),
        ["Plan changed from Team to Pro. Renews on January 3, 2027."],
        id="a plan without seats has no number of them",
    ),
    pytest.param(
        snapshot(subscription(PRO)),
        snapshot(subscription(PRO_YEARLY, current_period_end=FEBRUARY)),
        ["Pro is now billed yearly. Renews on February 3, 2027."],
        id="interval",
    ),
    pytest.param(
        snapshot(subscription(TEAM)),
        snapshot(subscription(PRO_YEARLY)),
        ["Plan changed from Team to Pro, billed yearly. Renews on January 3, 2027."],
        id="plan and interval",
    ),
    pytest.param(
        snapshot(subscription(PRO)),
        snapshot(subscription(items=(item(PRO, price_id="price_new", unit_amount=15900),))),
        ["The price of Pro changed from $149.00 to $159.00. Renews on January 3, 2027."],
        id="price",
    ),
    pytest.param(
        snapshot(subscription(PRO)),
        snapshot(subscription(items=(item(TEAM, id="si_other"),))),
        ["Plan changed from Pro to Team. Renews on January 3, 2027."],
        id="an item replaced instead of changed",
    ),
    pytest.param(
        snapshot(subscription(TEAM, 10)),
        snapshot(subscription(TEAM, 1024)),
        ["Seats set to 1,024."],
        id="seats",
    ),
    pytest.param(
        snapshot(subscription(PRO, 1)),
        snapshot(subscription(PRO, 3)),
        ["Quantity set to 3."],
        id="quantity",
    ),
    pytest.param(
        snapshot(subscription(PRO)),
        snapshot(subscription(items=(item(PRO), item(STARTER, id="si_2")))),
        ["Starter added to your plan."],
        id="item added",
    ),
    pytest.param(
        snapshot(subscription(items=(item(PRO), item(STARTER, id="si_2")))),
        snapshot(subscription(PRO)),
        ["Starter removed from your plan."],
        id="item removed",
    ),
    pytest.param(
        snapshot(subscription(PRO)),
        snapshot(canceling(PRO)),
        ["Your plan is set to cancel on January 3, 2027."],
        id="cancellation scheduled",
    ),
    pytest.param(
        snapshot(canceling(PRO)),
        snapshot(subscription(PRO)),
        ["Cancellation withdrawn. Renews on January 3, 2027."],
        id="cancellation withdrawn",
    ),
    pytest.param(
        snapshot(subscription(PRO, **TRIALING)),
        snapshot(canceling(PRO, status="trialing", trial_end=RENEWAL)),
        ["Your plan is set to cancel on January 3, 2027."],
        id="a trial that is canceled",
    ),
    pytest.param(
        snapshot(canceling(PRO, status="trialing", trial_end=RENEWAL)),
        snapshot(subscription(PRO, **TRIALING)),
        ["Cancellation withdrawn. Trial ends on January 3, 2027."],
        id="a trial that is kept",
    ),
    pytest.param(
        snapshot(subscription(PRO), support()),
        snapshot(subscription(PRO), support(state="canceling", cancel_at=RENEWAL)),
        ["Priority support is set to cancel on January 3, 2027."],
        id="one of several is canceled",
    ),
    pytest.param(
        snapshot(subscription(PRO), support(state="canceling", cancel_at=RENEWAL)),
        snapshot(subscription(PRO), support()),
        ["Cancellation of Priority support withdrawn. Renews on January 3, 2027."],
        id="one of several is kept",
    ),
    pytest.param(
        snapshot(subscription(PRO)),
        snapshot(subscription(PRO, pauses_at=RENEWAL)),
        ["Your plan is set to pause on January 3, 2027."],
        id="pause scheduled",
    ),
    pytest.param(
        snapshot(subscription(PRO, pauses_at=RENEWAL), support()),
        snapshot(subscription(PRO), support()),
        ["Pro is no longer set to pause. Renews on January 3, 2027."],
        id="pause withdrawn",
    ),
    pytest.param(
        snapshot(subscription(PRO, pauses_at=RENEWAL)),
        snapshot(subscription(PRO, status="paused", state=SubscriptionState.PAUSED)),
        ["Pro is paused."],
        id="paused as scheduled",
    ),
    pytest.param(
        snapshot(subscription(PRO, pauses_at=RENEWAL)),
        snapshot(canceling(PRO)),
        ["Your plan is set to cancel on January 3, 2027."],
        id="canceled instead of paused",
    ),
    pytest.param(
        snapshot(subscription(PRO, pauses_at=RENEWAL)),
        snapshot(subscription(TEAM, pauses_at=RENEWAL)),
        ["Plan changed from Pro to Team. Pauses on January 3, 2027."],
        id="another plan before the pause",
    ),
    pytest.param(
        snapshot(subscription(PRO)),
        snapshot(subscription(PRO, **PAST_DUE)),
        ["Pro is past due. Renews on January 3, 2027."],
        id="past due",
    ),
    pytest.param(
        snapshot(subscription(PRO, **PAST_DUE)),
        snapshot(subscription(PRO, current_period_end=FEBRUARY)),
        ["Pro is active. Renews on February 3, 2027."],
        id="paid again",
    ),
    pytest.param(
        snapshot(subscription(PRO)),
        snapshot(subscription(PRO, status="active", state=SubscriptionState.PAUSED)),
        ["Pro is paused."],
        id="paused without another status",
    ),
    pytest.param(
        snapshot(subscription(PRO)),
        snapshot(subscription(PRO, status="on_ice", state=SubscriptionState.UNKNOWN)),
        ["Pro is now on ice."],
        id="a status we do not know",
    ),
    pytest.param(
        snapshot(subscription(PRO)),
        snapshot(subscription(PRO, current_period_end=FEBRUARY)),
        ["Pro now renews on February 3, 2027."],
        id="renewal",
    ),
    pytest.param(
        snapshot(subscription(PRO, **TRIALING)),
        snapshot(subscription(PRO, **TRIALING | {"trial_end": FEBRUARY})),
        ["The trial of Pro now ends on February 3, 2027."],
        id="trial extended",
    ),
    pytest.param(
        snapshot(subscription(PRO)),
        snapshot(ended(PRO)),
        ["Pro ended on December 3, 2026."],
        id="ended",
    ),
    pytest.param(snapshot(subscription(PRO)), snapshot(), ["Pro ended."], id="vanished"),
    pytest.param(
        snapshot(ended(PRO)),
        snapshot(ended(PRO), subscription(TEAM, id="sub_2")),
        ["Team started. Renews on January 3, 2027."],
        id="started",
    ),
    pytest.param(
        snapshot(),
        snapshot(subscription(PRO, **TRIALING)),
        ["Your trial of Pro started. Trial ends on January 3, 2027."],
        id="trial started",
    ),
    pytest.param(
        snapshot(payment_methods=(card("0005"),)),
        snapshot(payment_methods=(card("4242"),)),
        ["Payment method changed to Visa ending in 4242."],
        id="card replaced",
    ),
    pytest.param(
        snapshot(payment_methods=(card("0005"),)),
        snapshot(payment_methods=(card("0005", default=False), card("4242"))),
        ["Payment method changed to Visa ending in 4242."],
        id="another card is the default one",
    ),
    pytest.param(
        snapshot(payment_methods=(card("0005"),)),
        snapshot(payment_methods=(card("0005"), card("4242", default=False))),
        ["Payment method Visa ending in 4242 added."],
        id="card added beside",
    ),
    pytest.param(
        snapshot(),
        snapshot(payment_methods=(card(),)),
        ["Payment method Visa ending in 4242 added."],
        id="first card",
    ),
    pytest.param(
        snapshot(payment_methods=(card("0005"), card("4242", default=False))),
        snapshot(payment_methods=(card("0005"),)),
        ["Payment method Visa ending in 4242 removed."],
        id="card removed",
    ),
    pytest.param(
        snapshot(payment_methods=(card("4242", default=False), card("0005"))),
        snapshot(payment_methods=(card("4242", default=False),)),
        ["Payment method changed to Visa ending in 4242."],
        id="the default card is gone, one is left",
    ),
    pytest.param(
        snapshot(payment_methods=(card(),)),
        snapshot(payment_methods=(card(exp_year=2031, exp_month=1),)),
        ["Visa ending in 4242 now expires 01/2031."],
        id="card renewed",
    ),
    pytest.param(
        snapshot(),
        snapshot(payment_methods=(card(type="sepa_debit", brand=None, last4="3000"),)),
        ["Payment method SEPA debit ending in 3000 added."],
        id="not a card",
    ),
    pytest.param(
        snapshot(customer=who()),
        snapshot(customer=who(name="Southwind")),
        ["Billing details updated: name."],
        id="one detail",
    ),
    pytest.param(
        snapshot(customer=who()),
        snapshot(
            customer=who(
                email="new@example.com",
                address=Address(country="IE"),
                tax_ids=(TaxId(type="eu_vat", value="IE1"),),
            )
        ),
        ["Billing details updated: e-mail, address and tax ID."],
        id="several details",
    ),
    pytest.param(
        snapshot(invoices=(invoice(1),)),
        snapshot(invoices=(invoice(2), invoice(1))),
        ["Invoice ACME-0002 paid, $174.60."],
        id="a new invoice, paid",
    ),
    pytest.param(
        snapshot(invoices=(invoice(1, status="open"),)),
        snapshot(invoices=(invoice(1),)),
        ["Invoice ACME-0001 paid, $174.60."],
        id="an open invoice, paid now",
    ),
    pytest.param(
        snapshot(invoices=(invoice(1),)),
        snapshot(invoices=(invoice(2, status="open", total=48000), invoice(1))),
        ["Payment of $480.00 for invoice ACME-0002 failed."],
        id="payment failed",
    ),
    pytest.param(
        snapshot(invoices=(invoice(1, status="open"),)),
        snapshot(invoices=(invoice(1, status="open", attempt_count=2, number=None),)),
        ["Payment of $174.60 for an invoice failed."],
        id="payment failed again",
    ),
    pytest.param(
        snapshot(invoices=(invoice(1),)),
        snapshot(invoices=(invoice(2, total=0), invoice(1))),
        [],
        id="an invoice over nothing is no news",
    ),
    pytest.param(
        snapshot(invoices=(invoice(5), invoice(4))),
        snapshot(invoices=(invoice(4), invoice(3))),
        [],
        id="an old invoice that comes back into view is no news",
    ),
    pytest.param(
        snapshot(subscription(PRO)),
        snapshot(customer=who(deleted=True, name=None)),
        ["Your billing account was deleted at the payment provider.", "Pro ended."],
        id="customer deleted",
    ),
    pytest.param(
        None,
        snapshot(subscription(PRO), payment_methods=(card(),), invoices=(invoice(),)),
        ["Pro started. Renews on January 3, 2027."],
        id="nothing before",
    ),
]


@pytest.mark.parametrize(("before", "after", "sentences"), SENTENCES)
def test_a_change_is_said_in_one_sentence(
    before: Snapshot | None, after: Snapshot, sentences: list[str]
) -> None:
    changes = compare(before, after)
    assert [str(tell(change, AMERICAN)) for change in changes] == sentences


# ---------------------------------------------------------------- the banner


def test_one_change_is_the_heading_itself() -> None:
    text = describe_visit(compare(snapshot(subscription(PRO)), snapshot(canceling(PRO))), AMERICAN)
    assert (text.heading, text.detail) == ("Your plan is set to cancel on January 3, 2027.", "")


def test_what_comes_next_follows_the_heading() -> None:
    text = describe_visit(
        compare(snapshot(subscription(PRO)), snapshot(subscription(TEAM))), AMERICAN
    )
    assert text.heading == "Plan changed from Pro to Team."
    assert (text.detail, text.changes) == ("Renews on January 3, 2027.", ())


def test_nothing_changed_says_what_the_plan_still_is() -> None:
    text = describe_visit((), AMERICAN, plan="Team", upcoming=NextDate(what="cancels", at=RENEWAL))
    assert text.heading == "Nothing changed"
    assert text.detail == (
        "You made no changes in the portal. Your plan is still Team and cancels on January 3, 2027."
    )


def test_nothing_changed_says_that_the_plan_is_still_going_to_be_paused() -> None:
    upcoming = next_date(subscription(TEAM, pauses_at=RENEWAL))
    text = describe_visit((), AMERICAN, plan="Team", upcoming=upcoming)
    assert text.detail.endswith("Your plan is still Team and pauses on January 3, 2027.")


def test_nothing_bought_is_not_called_a_change_in_the_portal() -> None:
    text = describe_visit((), AMERICAN, place="checkout")
    assert text.detail == "You made no changes at checkout."


# ---------------------------------------------------------------- for all snapshots

prices = st.sampled_from([PRO, PRO_YEARLY, TEAM, STARTER])
moments = st.integers(0, 400).map(lambda days: NOW + timedelta(days=days))
items = st.builds(
    lambda price, quantity, name: item(price, quantity, id=name),
    prices,
    st.none() | st.integers(1, 99),
    st.sampled_from(["si_1", "si_2", "si_3"]),
)
subscriptions = st.builds(
    lambda name, state, cancel_at, pauses_at, end, of: subscription(
        id=name,
        state=state,
        status=state.value,
        cancel_at=cancel_at if state is SubscriptionState.CANCELING else None,
        pauses_at=pauses_at if state is SubscriptionState.ACTIVE else None,
        ended_at=NOW if state is SubscriptionState.ENDED else None,
        trial_end=end,
        current_period_end=end,
        items=tuple(of),
    ),
    st.sampled_from(["sub_1", "sub_2", "sub_3"]),
    st.sampled_from(list(SubscriptionState)),
    moments,
    st.none() | moments,
    moments,
    st.lists(items, min_size=1, max_size=3, unique_by=lambda one: one.id),
)
cards = st.builds(
    lambda last4, default, year: card(last4, default=default, exp_year=year),
    st.sampled_from(["4242", "0005", "1117"]),
    st.booleans(),
    st.integers(2026, 2031),
)
invoices = st.builds(
    lambda number, status, total, tried: invoice(
        number, status=status, total=total, attempt_count=tried
    ),
    st.integers(1, 9),
    st.sampled_from(["draft", "open", "paid", "void", "uncollectible"]),
    st.integers(0, 10**9),
    st.integers(0, 4),
)
snapshots = st.builds(
    lambda subs, cards_, invoices_, name, email, deleted: snapshot(
        *subs,
        customer=who(name=name, email=email, deleted=deleted),
        payment_methods=tuple(cards_),
        invoices=tuple(invoices_),
    ),
    st.lists(subscriptions, max_size=3, unique_by=lambda one: one.id),
    st.lists(cards, max_size=3, unique_by=lambda one: one.id),
    st.lists(invoices, max_size=5, unique_by=lambda one: one.id),
    st.none() | st.sampled_from(["Northwind", "Southwind"]),
    st.none() | st.sampled_from(["a@example.com", "b@example.com"]),
    st.booleans(),
)


@given(snapshots)
def test_a_snapshot_differs_in_nothing_from_itself(one: Snapshot) -> None:
    assert compare(one, one) == ()


@given(snapshots, snapshots)
def test_every_change_survives_its_json(before: Snapshot, after: Snapshot) -> None:
    changes = compare(before, after)
    assert load_changes(dump_changes(changes)) == changes


@given(snapshots, snapshots)
def test_every_change_is_a_whole_sentence(before: Snapshot, after: Snapshot) -> None:
    for change in compare(before, after):
        sentence = str(tell(change, AMERICAN))
        assert sentence[0].isupper()
        assert sentence.endswith(".")
        assert "None" not in sentence


@given(snapshots, snapshots, st.randoms(use_true_random=False))
def test_the_order_in_which_a_provider_lists_things_says_nothing(
    before: Snapshot, after: Snapshot, random: Any
) -> None:
    def shuffled(one: Snapshot) -> Snapshot:
        return one.model_copy(
            update={
                name: tuple(random.sample(getattr(one, name), len(getattr(one, name))))
                for name in ("subscriptions", "payment_methods", "invoices")
            }
        )

    def as_set(changes: tuple[Change, ...]) -> list[str]:
        return sorted(change.model_dump_json() for change in changes)

    assert as_set(compare(shuffled(before), shuffled(after))) == as_set(compare(before, after))


@given(snapshots, snapshots)
def test_no_change_means_that_what_people_pay_for_is_the_same(
    before: Snapshot, after: Snapshot
) -> None:
    if compare(before, after):
        return

    def bought(one: Snapshot) -> list[tuple[str, str, object]]:
        return sorted(
            (s.id, i.price_id, s.cancel_at, s.pauses_at)
            for s in one.subscriptions
            if s.state is not SubscriptionState.ENDED
            for i in s.items
        )

    assert bought(before) == bought(after)


@given(snapshots)
def test_with_nothing_before_only_live_subscriptions_are_news(after: Snapshot) -> None:
    kinds = [change.kind for change in compare(None, after)]
    assert kinds == ["subscription_started"] * sum(s.state.live for s in after.subscriptions)
