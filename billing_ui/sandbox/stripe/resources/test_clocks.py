"""Test clocks: a time of their own for a few customers, advanced by hand."""

from stripe.test_helpers import TestClock, TestClockService

from billing_ui.sandbox.core import periods
from billing_ui.sandbox.core.store import Condition, equals
from billing_ui.sandbox.stripe import subscribing
from billing_ui.sandbox.stripe.account import Account
from billing_ui.sandbox.stripe.errors import StripeError
from billing_ui.sandbox.stripe.fields import refuse
from billing_ui.sandbox.stripe.operations import operation
from billing_ui.sandbox.stripe.shapes import Json
from billing_ui.sandbox.stripe.validator import Params

KIND = "test_helpers.test_clock"
MOST_CUSTOMERS = 3
"""Customers a clock may have, https://docs.stripe.com/billing/testing/test-clocks."""
KEPT_FOR = 7 * periods.DAY
"""After how long a clock is deleted by itself, in seconds."""
LONGEST_WITHOUT_SUBSCRIPTION = {"interval": "year", "interval_count": 1}
"""Twice this a clock without subscriptions may advance at once."""


@operation(TestClockService.create)
def create(account: Account, params: Params) -> Json:
    """Make a clock that stands at a time."""
    refuse(params, "customer")
    deletes_after = account.wall_time + KEPT_FOR
    return account.create(
        TestClock,
        {
            "id": account.new_id("clock"),
            "object": KIND,
            "created": account.wall_time,
            "deletes_after": deletes_after,
            "frozen_time": params["frozen_time"],
            "name": params.get("name"),
            "status": "ready",
            "_customers": [],
            "_due": deletes_after,
        },
        f"{KIND}.created",
    )


@operation(TestClockService.retrieve)
def retrieve(account: Account, params: Params, clock_id: str) -> Json:
    """Return a clock."""
    return account.get(KIND, clock_id)


@operation(TestClockService.list)
def list_(account: Account, params: Params) -> Json:
    """List clocks, newest first."""
    return account.page(KIND, params, url="/v1/test_helpers/test_clocks")


@operation(TestClockService.advance)
def advance(account: Account, params: Params, clock_id: str) -> Json:
    """Begin to advance a clock; what is due on the way happens afterwards, each at its time."""
    before = account.get(KIND, clock_id)
    target = params["frozen_time"]
    if before["status"] != "ready":
        raise StripeError("The test clock is not ready: it can be advanced when it is.")
    if target <= before["frozen_time"]:
        raise StripeError(
            "The test clock can only be advanced to a time after its current frozen time.",
            param="frozen_time",
        )
    if target > _farthest(account, before):
        raise StripeError(
            "The test clock cannot be advanced by more than two intervals of its shortest "
            "subscription at a time, or by two years without one.",
            param="frozen_time",
        )
    details = {"advancing": {"target_frozen_time": target}}
    account.clock_bell.set()
    after = {**before, "status": "advancing", "status_details": details}
    return account.save(before, after, f"{KIND}.advancing")


def _farthest(account: Account, clock: Json) -> int:
    """Return until when a clock may be advanced at once, in Unix seconds."""
    intervals = [
        account.get("price", item["price"])["recurring"]
        for customer in clock["_customers"]
        for subscription in account.store.find("subscription", customer=customer)
        if subscription["status"] in subscribing.LIVE
        for item in subscription["items"]["data"]
    ]
    now = clock["frozen_time"]
    ends = [
        periods.add_interval(now, recurring["interval"], 2 * recurring["interval_count"])
        for recurring in intervals or [LONGEST_WITHOUT_SUBSCRIPTION]
    ]
    return min(ends)


@operation(TestClockService.delete)
def delete(account: Account, params: Params, clock_id: str) -> Json:
    """Delete a clock and the customers on it."""
    return remove(account, account.get(KIND, clock_id))


def remove(account: Account, clock: Json) -> Json:
    """Delete a clock and the customers on it."""
    for customer in clock["_customers"]:
        if not (account.store.get(customer) or {}).get("deleted"):
            with account.at(clock["frozen_time"], simulated=True):
                account.call("delete", f"/v1/customers/{customer}")
    return account.delete(clock, f"{KIND}.deleted")


def put_on(account: Account, clock_id: str, customer_id: str) -> None:
    """Let a new customer live by a clock."""
    clock = account.get(KIND, clock_id, "test_clock")
    customers = [*clock["_customers"], customer_id]
    if len(customers) > MOST_CUSTOMERS:
        raise StripeError(
            f"A test clock can have at most {MOST_CUSTOMERS} customers.", param="test_clock"
        )
    account.store.put({**clock, "_customers": customers})


def condition(account: Account, params: Params) -> Condition:
    """Return what a list is limited to: what is on the clock asked for, or else on none."""
    if "test_clock" not in params:
        return Condition("json_extract(body, '$.test_clock') IS NULL")
    return equals("test_clock", account.get(KIND, params["test_clock"], "test_clock")["id"])


def advancing(account: Account) -> Json | None:
    """Return a clock that is on its way to another time."""
    found = account.store.find(KIND, [equals("status", "advancing")], limit=1)
    return found[0] if found else None


def arrive(account: Account, before: Json) -> None:
    """Let a clock stand at the time it was advanced to."""
    target = before["status_details"]["advancing"]["target_frozen_time"]
    after = {**before, "frozen_time": target, "status": "ready"}
    account.save(before, {**after, "status_details": {"advancing": None}}, f"{KIND}.ready")


def fail(account: Account, before: Json) -> None:
    """Let a clock stand still for good."""
    after = {**before, "status": "internal_failure", "status_details": {"advancing": None}}
    account.save(before, after, f"{KIND}.internal_failure")
