"""The shop by itself: money, time and state, of whichever provider."""

from dataclasses import replace

import pytest

from billing_ui.sandbox.core.cards import FAILS_WHEN_CHARGED, MASTERCARD, CardProblem
from billing_ui.sandbox.core.control import Seed, Storm
from billing_ui.sandbox.core.outbox import Outbox
from billing_ui.sandbox.core.periods import DAY
from billing_ui.sandbox.core.store import Store, equals
from billing_ui.sandbox.shop.errors import Impossible, Missing, PaymentFailed, ShopError, Taken
from billing_ui.sandbox.shop.model import (
    Card,
    CheckoutStatus,
    Customer,
    Event,
    Flow,
    Interval,
    Invoice,
    InvoiceStatus,
    Price,
    Reason,
    Status,
    Subscription,
)
from billing_ui.sandbox.shop.seeding import seed
from billing_ui.sandbox.shop.shop import Shop
from billing_ui.sandbox.shop.storms import storm
from tests.sandbox.shop_engine.plain import PlainDialect

BEGIN = 1_700_000_000
MONTH = 30 * DAY
"""From November 14, 2023, 22:13:20 UTC to December 14."""


def seats(shop: Shop, amount: int = 2000, interval: Interval = Interval.MONTH) -> Price:
    """Return the price of a new product with seats."""
    product = shop.create_product("Team", unit_label="seat")
    return shop.create_price(product.id, amount, interval=interval)


def payer(shop: Shop, email: str = "billing@example.com", number: str | None = None) -> Customer:
    """Return a new customer with a card."""
    customer = shop.create_customer(email)
    shop.add_card(customer.id, **({"number": number} if number else {}))
    return customer


def types(shop: Shop) -> list[str]:
    """Return what was told, in order."""
    return [event.type for event in shop.find(Event, oldest_first=True)]


def totals(shop: Shop) -> list[tuple[int, str]]:
    """Return total and status of all invoices, in order."""
    found = shop.find(Invoice, oldest_first=True)
    return [(invoice.total, str(invoice.status)) for invoice in found]


def test_a_subscription_is_paid_when_it_begins_and_again_every_month(shop: Shop) -> None:
    with shop.at(BEGIN):
        subscription = shop.subscribe(payer(shop).id, seats(shop).id, 3)
    assert shop.advance(BEGIN + 2 * 31 * DAY) == 2
    after = shop.get(Subscription, subscription.id)
    assert after.status is Status.ACTIVE
    assert after.period_end == shop.get(Subscription, subscription.id).next_due
    assert totals(shop) == [(6000, "paid")] * 3
    reasons = [invoice.reason for invoice in shop.find(Invoice, oldest_first=True)]
    assert reasons == [Reason.PURCHASE, Reason.RENEWAL, Reason.RENEWAL]
    assert types(shop)[-3:] == ["subscription_renewed", "invoice_created", "invoice_paid"]


def test_who_has_no_card_that_pays_cannot_subscribe_and_nothing_is_left_of_it(shop: Shop) -> None:
    price = seats(shop)
    without = shop.create_customer("none@example.com")
    failing = payer(shop, "fails@example.com", FAILS_WHEN_CHARGED)
    told = len(types(shop))
    for customer in (without, failing):
        with pytest.raises(PaymentFailed):
            shop.subscribe(customer.id, price.id)
    assert shop.find(Subscription) == []
    assert shop.find(Invoice) == []
    assert len(types(shop)) == told


def test_half_a_month_of_more_seats_costs_half_and_of_fewer_becomes_credit(shop: Shop) -> None:
    with shop.at(BEGIN):
        subscription = shop.subscribe(payer(shop).id, seats(shop).id, 2)
    with shop.at(BEGIN + MONTH // 2):
        shop.change_plan(subscription.id, quantity=4)
        assert totals(shop)[-1] == (2000, "paid")
        less = shop.change_plan(subscription.id, quantity=1)
    assert totals(shop)[-1] == (0, "paid")
    assert less.credit == 3000
    shop.advance(less.period_end)
    assert totals(shop)[-1] == (0, "paid")
    assert shop.get(Subscription, subscription.id).credit == 1000
    for invoice in shop.find(Invoice):
        assert sum(line.amount for line in invoice.lines) == invoice.total


def test_another_interval_begins_a_new_period(shop: Shop) -> None:
    with shop.at(BEGIN):
        monthly, yearly = seats(shop), seats(shop, 20_000, Interval.YEAR)
        subscription = shop.subscribe(payer(shop).id, monthly.id)
    with shop.at(BEGIN + MONTH // 2):
        after = shop.change_plan(subscription.id, yearly.id)
    assert after.period_start == after.anchor == BEGIN + MONTH // 2
    assert after.period_end == after.period_start + 366 * DAY
    assert totals(shop)[-1] == (19_000, "paid")


def test_a_change_that_is_not_paid_is_not_made(shop: Shop) -> None:
    customer = payer(shop)
    subscription = shop.subscribe(customer.id, seats(shop).id)
    shop.add_card(customer.id, FAILS_WHEN_CHARGED)
    told = len(types(shop))
    with pytest.raises(PaymentFailed, match="declined"):
        shop.change_plan(subscription.id, quantity=5)
    assert shop.get(Subscription, subscription.id) == subscription
    assert len(types(shop)) == told


def test_a_trial_with_a_card_goes_on_and_one_without_ends(shop: Shop) -> None:
    with shop.at(BEGIN):
        price = seats(shop)
        first = shop.subscribe(payer(shop).id, price.id, trial_days=14)
        other = shop.create_customer("none@example.com")
        second = shop.subscribe(other.id, price.id, trial_days=14)
    assert totals(shop) == []
    shop.advance(BEGIN + 14 * DAY)
    paying, gone = shop.get(Subscription, first.id), shop.get(Subscription, second.id)
    assert (paying.status, gone.status) == (Status.ACTIVE, Status.ENDED)
    assert paying.period_start == BEGIN + 14 * DAY
    assert totals(shop) == [(2000, "paid")]


def test_a_canceled_subscription_runs_to_its_end_unless_it_is_kept(shop: Shop) -> None:
    with shop.at(BEGIN):
        price = seats(shop)
        kept = shop.subscribe(payer(shop).id, price.id)
        left = shop.subscribe(payer(shop, "leaves@example.com").id, price.id)
        shop.cancel(kept.id, reason="unused")
        assert shop.keep(kept.id).cancel_reason is None
        canceled = shop.cancel(left.id, reason="too_expensive", comment="Sorry")
    assert (canceled.status, canceled.cancel_reason) == (Status.ACTIVE, "too_expensive")
    shop.advance(BEGIN + MONTH)
    assert shop.get(Subscription, kept.id).status is Status.ACTIVE
    ended = shop.get(Subscription, left.id)
    assert (ended.status, ended.ended_at) == (Status.ENDED, BEGIN + MONTH)
    with pytest.raises(Impossible):
        shop.keep(left.id)


@pytest.mark.parametrize(
    ("then", "status"), [("cancel", "ended"), ("unpaid", "unpaid"), ("past_due", "past_due")]
)
def test_a_renewal_is_tried_again_and_then_given_up(shop: Shop, then: str, status: str) -> None:
    shop.after_dunning = then  # type: ignore[assignment]
    with shop.at(BEGIN):
        customer = payer(shop)
        subscription = shop.subscribe(customer.id, seats(shop).id)
        shop.add_card(customer.id, FAILS_WHEN_CHARGED)
    shop.advance(BEGIN + MONTH)
    assert shop.get(Subscription, subscription.id).status is Status.PAST_DUE
    [invoice] = shop.open_invoices(subscription.id)
    assert (invoice.attempts, invoice.next_attempt) == (1, BEGIN + MONTH + 3 * DAY)
    shop.advance(BEGIN + MONTH + 15 * DAY)
    assert shop.get(Subscription, subscription.id).status == status
    assert shop.get(Invoice, invoice.id).attempts == 4
    assert types(shop).count("invoice_failed") == 4


def test_who_pays_late_is_active_again(shop: Shop) -> None:
    with shop.at(BEGIN):
        customer = payer(shop)
        subscription = shop.subscribe(customer.id, seats(shop).id)
        shop.add_card(customer.id, FAILS_WHEN_CHARGED)
    shop.advance(BEGIN + MONTH)
    [invoice] = shop.open_invoices(subscription.id)
    with shop.at(BEGIN + MONTH + DAY):
        with pytest.raises(PaymentFailed):
            shop.pay(invoice.id)
        shop.add_card(customer.id, MASTERCARD)
        paid = shop.pay(invoice.id)
    assert paid.card == {"brand": "mastercard", "last4": "4444", "exp_month": 12, "exp_year": 2025}
    assert shop.get(Subscription, subscription.id).status is Status.ACTIVE
    assert types(shop)[-1] == "subscription_recovered"


def test_a_pause_bills_nothing_and_ends_by_itself_or_by_hand(shop: Shop) -> None:
    with shop.at(BEGIN):
        price = seats(shop)
        first = shop.subscribe(payer(shop).id, price.id)
        second = shop.subscribe(payer(shop, "b@example.com").id, price.id)
        shop.pause(first.id, resumes_at=BEGIN + 40 * DAY)
        shop.pause(second.id)
        assert shop.resume(second.id).period_end == second.period_end
        shop.pause(second.id)
    shop.advance(BEGIN + 50 * DAY)
    resumed = shop.get(Subscription, first.id)
    assert (resumed.status, resumed.period_start) == (Status.ACTIVE, BEGIN + 40 * DAY)
    assert shop.get(Subscription, second.id).status is Status.PAUSED
    assert totals(shop) == [(2000, "paid")] * 3


def test_a_refund_gives_back_a_part_or_all(shop: Shop) -> None:
    shop.subscribe(payer(shop).id, seats(shop).id)
    [invoice] = shop.find(Invoice)
    assert shop.refund(invoice.id, 500).status is InvoiceStatus.PAID
    with pytest.raises(Impossible):
        shop.refund(invoice.id, 1501)
    assert shop.refund(invoice.id).status is InvoiceStatus.REFUNDED


def test_addresses_and_external_ids_are_unique_among_those_who_are_there(shop: Shop) -> None:
    first = shop.create_customer("Billing@Example.com", external_id="team-1")
    with pytest.raises(Taken, match="email"):
        shop.create_customer("billing@example.com")
    with pytest.raises(Taken, match="external id"):
        shop.create_customer("other@example.com", external_id="team-1")
    shop.delete_customer(first.id)
    again = shop.create_customer("billing@example.com", external_id="team-1")
    assert shop.find(Customer) == [again]
    assert shop.find(Customer, deleted=True) == [again, shop.get(Customer, first.id)]
    with pytest.raises(Impossible, match="deleted"):
        shop.update_customer(first.id, name="Nobody")


def test_a_deleted_customer_pays_nothing_more(shop: Shop) -> None:
    with shop.at(BEGIN):
        customer = payer(shop)
        subscription = shop.subscribe(customer.id, seats(shop).id)
        shop.delete_customer(customer.id)
    assert shop.get(Subscription, subscription.id).status is Status.ENDED
    assert shop.find(Card) == []
    assert shop.step(BEGIN + 365 * DAY) is False


def test_the_default_card_is_charged_and_its_removal_makes_another_the_default(shop: Shop) -> None:
    customer = payer(shop)
    second = shop.add_card(customer.id, MASTERCARD)
    assert [card.last4 for card in shop.cards(customer.id)] == ["4444", "4242"]
    shop.remove_card(second.id)
    [left] = shop.cards(customer.id)
    assert left.default
    with pytest.raises(CardProblem, match="declined"):
        shop.add_card(customer.id, "4000000000000002")
    with pytest.raises(CardProblem, match="number is incorrect"):
        shop.add_card(customer.id, "4242424242424241")


def test_only_what_is_on_sale_can_be_bought_and_only_seats_in_numbers(shop: Shop) -> None:
    customer, price = payer(shop), seats(shop)
    flat = shop.create_price(shop.create_product("Pro").id, 9900)
    with pytest.raises(Impossible):
        shop.subscribe(customer.id, flat.id, 2)
    subscription = shop.subscribe(customer.id, price.id)
    shop.update_price(price.id, archived=True)
    with pytest.raises(Impossible, match="not on sale"):
        shop.subscribe(customer.id, price.id)
    assert shop.change_plan(subscription.id, quantity=2).quantity == 2
    with pytest.raises(Missing):
        shop.subscribe(customer.id, "price_none")


def test_where_a_product_has_one_price_a_second_one_is_refused() -> None:
    store = Store(":memory:")
    dialect = PlainDialect(one_price_per_product=True)
    shop = Shop(store, Outbox(store), dialect, "http://127.0.0.1:1", "Acme")
    price = seats(shop)
    with pytest.raises(Impossible):
        shop.create_price(price.product, 20_000, interval=Interval.YEAR)


def test_a_checkout_makes_its_buyer_or_takes_the_known_one(shop: Shop) -> None:
    price = seats(shop)
    first = shop.open_checkout(price.id, 2, email="new@example.com", metadata={"team": "1"})
    bought = shop.complete_checkout(first.id, number="4242424242424242")
    assert (bought.metadata, bought.quantity) == ({"team": "1"}, 2)
    assert shop.get(Customer, bought.customer).email == "new@example.com"
    second = shop.open_checkout(price.id, email="NEW@example.com")
    assert shop.complete_checkout(second.id).customer == bought.customer
    with pytest.raises(Impossible, match="closed"):
        shop.complete_checkout(second.id)
    assert types(shop)[-1] == "checkout_completed"


def test_a_buyer_may_give_another_email_than_a_checkout_was_filled_in_with(shop: Shop) -> None:
    price, known = seats(shop), shop.create_customer("known@example.com")
    filled_in = shop.open_checkout(price.id, email=known.email)
    bought = shop.complete_checkout(filled_in.id, email="new@example.com", number=MASTERCARD)
    assert shop.get(Customer, bought.customer).email == "new@example.com"
    fixed = shop.open_checkout(price.id, customer_id=known.id)
    assert (
        shop.complete_checkout(fixed.id, email="x@example.com", number=MASTERCARD).customer
        == known.id
    )


def test_a_checkout_whose_card_fails_leaves_nobody_behind(shop: Shop) -> None:
    checkout = shop.open_checkout(seats(shop).id, email="new@example.com")
    with pytest.raises(PaymentFailed):
        shop.complete_checkout(checkout.id, number=FAILS_WHEN_CHARGED)
    assert shop.find(Customer) == []


def test_a_checkout_expires(shop: Shop) -> None:
    with shop.at(BEGIN):
        checkout = shop.open_checkout(seats(shop).id, email="a@example.com", valid_seconds=60)
    shop.advance(BEGIN + 60)
    assert shop.get(type(checkout), checkout.id).status is CheckoutStatus.EXPIRED


def test_a_portal_link_says_who_until_it_expires_and_nobody_can_make_one_up(shop: Shop) -> None:
    customer = payer(shop)
    link = shop.open_portal(customer.id, return_url="https://a.example/b?c=d", flow=Flow.CANCEL)
    token = link.url.rpartition("/")[2]
    assert shop.portal_visit(token) == replace(link, url="")
    for forged in (token[:-1] + ("0" if token[-1] != "0" else "1"), f"x{token}", "", "é.é"):
        assert shop.portal_visit(forged) is None
    assert shop.unsign("invoice", token) is None
    with shop.at(link.expires_at):
        assert shop.portal_visit(token) is None


def test_lists_are_newest_first_in_pages_that_miss_nothing(shop: Shop) -> None:
    made = [shop.create_customer(f"c{number}@example.com").id for number in range(5)]
    newest = made[::-1]
    assert [one.id for one in shop.find(Customer, limit=2, offset=2)] == newest[2:4]
    following = shop.find(Customer, shop.after(Customer, newest[1]))
    assert [one.id for one in following] == newest[2:]
    assert shop.count(Customer) == 5
    assert shop.count(Customer, equals("email", "c1@example.com")) == 1


def test_what_was_forgotten_begins_anew(shop: Shop) -> None:
    first = shop.create_customer("a@example.com")
    token = shop.open_portal(first.id).url.rpartition("/")[2]
    shop.wipe()
    assert shop.find(Customer) == []
    again = shop.create_customer("a@example.com")
    assert again.id == first.id
    assert shop.portal_visit(token) is None


def test_seeded_customers_have_a_past_that_nobody_is_told_of(shop: Shop) -> None:
    counts = list(seed(shop, Seed(customers=7, invoices_per_customer=3)))[-1]
    assert counts["customers"] == counts["subscriptions"] == shop.count(Customer) == 7
    assert counts["invoices"] == shop.count(Invoice) <= 21
    assert types(shop) == []
    for customer in shop.find(Customer):
        assert 1 <= shop.count(Invoice, customer=customer.id) <= 3
        [subscription] = shop.find(Subscription, customer=customer.id)
        assert subscription.period_start <= shop.now < subscription.period_end


def test_a_storm_makes_at_least_so_many_events_and_the_same_choices_again(shop: Shop) -> None:
    with pytest.raises(ShopError, match="no customer"):
        list(storm(shop, Storm(events=1)))
    list(seed(shop, Seed(customers=5)))
    assert list(storm(shop, Storm(events=200, seed=1)))[-1] >= 200
    assert len(types(shop)) >= 200


def test_what_is_rehearsed_does_not_happen(shop: Shop) -> None:
    subscription = shop.subscribe(payer(shop).id, seats(shop).id)
    with shop.rehearsal():
        assert shop.change_plan(subscription.id, quantity=9).quantity == 9
    assert shop.get(Subscription, subscription.id).quantity == 1
    assert shop.count(Invoice) == 1


def test_what_is_looked_up_all_the_time_is_found_by_an_index(shop: Shop) -> None:
    asked: list[str] = []
    shop.store._connection.set_trace_callback(asked.append)
    shop.customer_by_email("a@example.com")
    shop.customer_by_external_id("team-1")
    shop.latest_invoice("sub_1")
    shop.prices("prod_1")
    shop.store._connection.set_trace_callback(None)
    plans = [shop.store.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall() for sql in asked]
    assert [plan[0][3].split()[4] for plan in plans] == [
        "shop_customer_by_email",
        "shop_customer_by_external_id",
        "shop_invoice_by_subscription",
        "shop_price_by_product",
    ]


def test_no_page_leads_to_what_is_no_web_address(shop: Shop) -> None:
    customer, price = payer(shop), seats(shop)
    with pytest.raises(Impossible, match="no web address"):
        shop.open_portal(customer.id, return_url="javascript:alert(1)")
    with pytest.raises(Impossible, match="no web address"):
        shop.open_checkout(price.id, success_url="data:text/html,x")
