"""Subscriptions: begun, changed, cancelled, as the API has them."""

from stripe import Subscription, SubscriptionService

from billing_ui.sandbox.core.store import Condition, equals, one_of
from billing_ui.sandbox.stripe import (
    billing,
    invoicing,
    search,
    subscribing,
    subscription_items,
    terms,
)
from billing_ui.sandbox.stripe.account import Account
from billing_ui.sandbox.stripe.errors import StripeError
from billing_ui.sandbox.stripe.fields import apply, created_within, refuse
from billing_ui.sandbox.stripe.operations import operation, view
from billing_ui.sandbox.stripe.resources import payment_methods, prices, test_clocks
from billing_ui.sandbox.stripe.shapes import Json
from billing_ui.sandbox.stripe.validator import Params

UNSUPPORTED = frozenset(
    {
        "add_invoice_items",
        "application_fee_percent",
        "backdate_start_date",
        "billing_cycle_anchor_config",
        "billing_schedules",
        "billing_thresholds",
        "default_source",
        "default_tax_rates",
        "discounts",
        "on_behalf_of",
        "pending_invoice_item_interval",
        "transfer_data",
        "trial_from_plan",
    }
)

HANDLED = frozenset(
    {
        "automatic_tax",
        "billing_cycle_anchor",
        "billing_mode",
        "cancel_at",
        "cancel_at_period_end",
        "currency",
        "customer",
        "default_payment_method",
        "items",
        "off_session",
        "payment_behavior",
        "proration_behavior",
        "proration_date",
        "trial_end",
        "trial_period_days",
    }
)


@operation(SubscriptionService.create)
def create(account: Account, params: Params) -> Json:
    """Subscribe a customer to prices; the first invoice is made and charged in the same breath."""
    refuse(params, *UNSUPPORTED, "billing_cycle_anchor")
    _refuse_more(params)
    if "customer" not in params:
        raise StripeError.missing("customer")
    if not params.get("items"):
        raise StripeError.missing("items")
    customer = account.get("customer", params["customer"], "customer")
    chosen = [
        subscription_items.recurring_price(account, item, f"items[{index}]")
        for index, item in enumerate(params["items"])
    ]
    currency = terms.currency(params, customer, chosen)
    for index, price in enumerate(chosen):
        subscription_items.check_currency(price, currency, f"items[{index}][price]")
    trial_end = terms.trial_end(account, params)
    subscription = _new(account, params, customer, chosen, currency, trial_end)
    subscription = terms.with_cancellation(account, subscription, params)
    account.store.put(subscription)
    account.tell("customer.subscription.created", subscription)
    return _bill_first(account, subscription, params)


def _new(
    account: Account,
    params: Params,
    customer: Json,
    chosen: list[Json],
    currency: str,
    trial_end: int | None,
) -> Json:
    """Store and return a subscription that is not yet paid for."""
    subscription_id = account.new_id("sub")
    now = account.now
    anchor = trial_end or now
    items = []
    for item, price in zip(params["items"], chosen, strict=True):
        period = billing.period_around(now, now, price["recurring"])
        period = (now, trial_end) if trial_end else period
        items.append(subscription_items.make(account, subscription_id, price, item, period))
    subscription_items.check_distinct(items)
    if params.get("collection_method") == "send_invoice" and "days_until_due" not in params:
        raise StripeError(
            "If invoices are sent to the customer, you must pass `days_until_due`.",
            param="days_until_due",
        )
    method = params.get("default_payment_method")
    if method:
        method = payment_methods.of_customer(
            account, method, customer["id"], "default_payment_method"
        )["id"]
    document = {
        "id": subscription_id,
        "object": "subscription",
        "billing_cycle_anchor": anchor,
        "billing_mode": terms.billing_mode(params),
        "cancellation_details": {},
        "collection_method": "charge_automatically",
        "currency": currency,
        "customer": customer["id"],
        "default_payment_method": method,
        "default_tax_rates": [],
        "invoice_settings": {"issuer": {"type": "self"}},
        "items": {
            "object": "list",
            "data": items,
            "has_more": False,
            "total_count": len(items),
            "url": f"/v1/subscription_items?subscription={subscription_id}",
        },
        "managed_payments": {"enabled": False},
        "metadata": {},
        "payment_settings": {"save_default_payment_method": "off"},
        "start_date": now,
        "status": "trialing" if trial_end else "incomplete",
        "test_clock": customer["test_clock"],
        "trial_end": trial_end,
        "trial_settings": {"end_behavior": {"missing_payment_method": "create_invoice"}},
        "trial_start": now if trial_end else None,
    }
    document = apply(Subscription, document, params, handled=HANDLED)
    return account.create(Subscription, document)


def _bill_first(account: Account, subscription: Json, params: Params) -> Json:
    """Make the first invoice and charge it, as `payment_behavior` says."""
    trial = subscription["status"] == "trialing"
    items = subscription["items"]["data"]
    invoice = subscribing.bill(
        account,
        subscription,
        "subscription_create",
        subscription_items.lines(account, subscription, items, trial),
    )
    sends = subscription["collection_method"] == "send_invoice"
    behavior = params.get("payment_behavior", "allow_incomplete")
    problem: StripeError | None = None
    if sends:
        _now_active(account, subscription["id"])
    else:
        invoice = invoicing.finalize(account, invoice)
        if invoice["status"] == "open" and behavior == "default_incomplete":
            invoicing.await_payment(account, invoice)
        elif invoice["status"] == "open":
            invoice, problem = invoicing.collect(account, invoice)
    if problem and (problem.code == "resource_missing" or behavior == "error_if_incomplete"):
        raise problem
    created = account.get("subscription", subscription["id"])
    account.store.put(billing.with_due(created))
    return created


def _now_active(account: Account, subscription_id: str) -> None:
    before = account.get("subscription", subscription_id)
    if before["status"] == "incomplete":
        account.save(before, {**before, "status": "active"}, "customer.subscription.updated")


@operation(SubscriptionService.update)
def update(account: Account, params: Params, subscription_id: str) -> Json:
    """Change a subscription; prorates and bills what the change is worth."""
    refuse(params, *UNSUPPORTED)
    _refuse_more(params)
    before = account.get("subscription", subscription_id)
    late = [name for name in params if name not in ("cancellation_details", "metadata")]
    if late and before["status"] not in subscribing.LIVE:
        raise StripeError(
            "A canceled subscription can only update its cancellation_details and metadata.",
            param=late[0],
        )
    after = apply(Subscription, before, params, handled=HANDLED)
    if params.get("default_payment_method"):
        method = payment_methods.of_customer(
            account,
            params["default_payment_method"],
            before["customer"],
            "default_payment_method",
        )
        after["default_payment_method"] = method["id"]
    after = terms.with_cancellation(account, after, params)
    after = terms.with_trial(account, after, params)
    bills_now = terms.ends_trial(before, after)
    if "items" in params or params.get("billing_cycle_anchor", {}).get("type") == "now":
        after, restarted = _with_items(account, before, after, params)
        bills_now = bills_now or restarted
    after = billing.with_due(after)
    account.save(before, after, "customer.subscription.updated")
    always = params.get("proration_behavior") == "always_invoice" and "items" in params
    if bills_now or always:
        _bill_change(account, after, params, new_period=bills_now)
    return account.get("subscription", subscription_id)


def _with_items(account: Account, before: Json, after: Json, params: Params) -> tuple[Json, bool]:
    """Return a subscription with its new items, and whether a new billing period begins now."""
    old = {item["id"]: item for item in before["items"]["data"]}
    items = subscription_items.changed(account, after, params.get("items", []))
    restart = params.get("billing_cycle_anchor", {}).get("type") == "now"
    restart = restart or any(
        item["id"] in old
        and subscription_items.interval_of(account, item)
        != subscription_items.interval_of(account, old[item["id"]])
        for item in items
    )
    trialing = after["status"] == "trialing"
    restart = restart and not trialing
    # Time on trial was free: of it nothing can be credited.
    was_free = trialing or before["status"] == "trialing"
    if params.get("proration_behavior") != "none" and not was_free:
        moment = params.get("proration_date", account.now)
        start, end = billing.period_of(before)
        if not start <= moment <= end:
            raise StripeError(
                "The proration date must be within the current billing period.",
                param="proration_date",
            )
        _prorate(account, before, old, items, moment, restart)
    if restart:
        after = {**after, "billing_cycle_anchor": account.now}
        items = [subscription_items.restarted(account, item) for item in items]
    listed = {**after["items"], "data": items, "total_count": len(items)}
    return {**after, "items": listed}, restart


def _prorate(
    account: Account,
    subscription: Json,
    old: dict[str, Json],
    items: list[Json],
    moment: int,
    restart: bool,
) -> None:
    """Credit what is no longer used, and charge what is used from now on."""
    kept = {item["id"]: item for item in items}
    for item_id, item in old.items():
        now = kept.get(item_id)
        same = now and (now["price"], now["quantity"]) == (item["price"], item["quantity"])
        if restart or not same:
            subscription_items.prorate(account, subscription, item, -1, moment)
    for item in items:
        was = old.get(item["id"])
        same = was and (was["price"], was["quantity"]) == (item["price"], item["quantity"])
        if not restart and not same:
            subscription_items.prorate(account, subscription, item, 1, moment)


def _bill_change(account: Account, subscription: Json, params: Params, *, new_period: bool) -> None:
    """Invoice a change at once: what is pending, and the new period where one begins."""
    items = subscription["items"]["data"] if new_period else []
    lines = subscription_items.lines(account, subscription, items, trial=False)
    invoice = subscribing.bill(account, subscription, "subscription_update", lines)
    invoice = invoicing.finalize(account, invoice)
    if invoice["status"] != "open" or subscription["collection_method"] == "send_invoice":
        return
    invoice, problem = invoicing.collect(account, invoice)
    if problem and params.get("payment_behavior") == "error_if_incomplete":
        raise problem


@operation(SubscriptionService.cancel)
def cancel(account: Account, params: Params, subscription_id: str) -> Json:
    """Cancel a subscription now."""
    before = account.get("subscription", subscription_id)
    if before["status"] not in subscribing.LIVE:
        raise StripeError.no_such("subscription", subscription_id)
    details = params.get("cancellation_details", {})
    before = apply(Subscription, before, {"cancellation_details": details})
    if params.get("prorate"):
        for item in before["items"]["data"]:
            subscription_items.prorate(account, before, item, -1, account.now)
    ended = subscribing.end(account, before, reason="cancellation_requested")
    if params.get("invoice_now"):
        invoicing.finalize(account, subscribing.bill(account, ended, "subscription_update", []))
    return account.get("subscription", subscription_id)


@operation(SubscriptionService.resume)
def resume(account: Account, params: Params, subscription_id: str) -> Json:
    """Take up a paused subscription again: a new period begins and is billed."""
    before = account.get("subscription", subscription_id)
    if before["status"] != "paused":
        raise StripeError("You can only resume subscriptions with a `paused` status.")
    items = [subscription_items.restarted(account, item) for item in before["items"]["data"]]
    after = {
        **before,
        "billing_cycle_anchor": account.now,
        "items": {**before["items"], "data": items},
        "status": "active",
        "status_details": None,
    }
    account.save(before, billing.with_due(after), "customer.subscription.updated")
    account.tell("customer.subscription.resumed", after)
    _bill_change(account, after, params, new_period=True)
    return account.get("subscription", subscription_id)


@operation(SubscriptionService.retrieve)
def retrieve(account: Account, params: Params, subscription_id: str) -> Json:
    """Return a subscription, cancelled ones too."""
    return account.get("subscription", subscription_id)


@operation(SubscriptionService.list)
def list_(account: Account, params: Params) -> Json:
    """List subscriptions, newest first; cancelled ones only when asked for."""
    refuse(params, "automatic_tax", "current_period_end", "current_period_start")
    conditions = created_within(params)
    if "customer" not in params or "test_clock" in params:
        conditions.append(test_clocks.condition(account, params))
    status = params.get("status")
    if status is None:
        conditions.append(Condition("json_extract(body, '$.status') <> 'canceled'"))
    elif status == "ended":
        conditions.append(one_of("status", ("canceled", "incomplete_expired")))
    elif status != "all":
        conditions.append(equals("status", status))
    if "collection_method" in params:
        conditions.append(equals("collection_method", params["collection_method"]))
    price = params.get("price") or params.get("plan")
    if price:
        sql = (
            "EXISTS (SELECT 1 FROM json_each(body, '$.items.data') AS item"
            " WHERE json_extract(item.value, '$.price') = ?)"
        )
        conditions.append(Condition(sql, (price,)))
    customer = params.get("customer")
    if customer:
        account.get("customer", customer, "customer")
    return account.page(
        "subscription", params, conditions, url="/v1/subscriptions", customer=customer
    )


@operation(SubscriptionService.search)
def search_(account: Account, params: Params) -> Json:
    """Search subscriptions by metadata, status or creation."""
    return search.results(account, "subscription", params, {"created", "status"})


def _refuse_more(params: Params) -> None:
    if params.get("payment_behavior") == "pending_if_incomplete":
        raise StripeError.unsupported("payment_behavior")
    if params.get("automatic_tax", {}).get("enabled"):
        raise StripeError.unsupported("automatic_tax[enabled]")


@view("subscription")
def _shown(account: Account, shown: Json, tree: Json) -> Json:
    branch = tree.get("items", {}).get("data", {})
    items = [account.render(item, branch) for item in shown["items"]["data"]]
    return {**shown, "items": {**shown["items"], "data": items}}


@view("subscription_item")
def _item_shown(account: Account, shown: Json, tree: Json) -> Json:
    """Show an item with its price as it is now, and as the plan of old."""
    stored = account.get("price", shown["price"])
    price = account.render(stored, tree.get("price"))
    return {**shown, "plan": prices.plan_of(stored), "price": price}
