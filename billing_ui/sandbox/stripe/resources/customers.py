"""Customers: who pays."""

from stripe import Customer, CustomerService

from billing_ui.sandbox.core.ids import random_text
from billing_ui.sandbox.core.store import equals
from billing_ui.sandbox.stripe import search, subscribing
from billing_ui.sandbox.stripe.account import Account
from billing_ui.sandbox.stripe.fields import apply, check_email, created_within, refuse
from billing_ui.sandbox.stripe.operations import INCLUDABLE, operation, view
from billing_ui.sandbox.stripe.resources import payment_methods, tax_ids, test_clocks
from billing_ui.sandbox.stripe.shapes import Json
from billing_ui.sandbox.stripe.validator import Params

INCLUDABLE["customer"] = {"cash_balance", "sources", "subscriptions", "tax", "tax_ids"}

SEARCHABLE = {"created", "email", "name", "phone"}


@operation(CustomerService.create)
def create(account: Account, params: Params) -> Json:
    """Make a customer, with a payment method attached where one is given."""
    check_email(params, "email")
    refuse(params, "cash_balance", "tax")
    payment_method = params.get("payment_method") or params.get("source")
    settings = params.get("invoice_settings", {})
    default = settings.get("default_payment_method") or params.get("source")
    document: Json = {
        "id": account.new_id("cus", 14),
        "balance": 0,
        "delinquent": False,
        "invoice_prefix": random_text(8).upper(),
        "invoice_settings": {},
        "metadata": {},
        "next_invoice_sequence": 1,
        "preferred_locales": [],
        "tax_exempt": "none",
    }
    plain = {**params, "invoice_settings": {**settings}}
    plain["invoice_settings"].pop("default_payment_method", None)
    handled = ("payment_method", "source", "tax_id_data")
    if "test_clock" in params:
        test_clocks.put_on(account, params["test_clock"], document["id"])
    customer = account.create(
        Customer, apply(Customer, document, plain, handled=handled), "customer.created"
    )
    for data in params.get("tax_id_data", []):
        tax_ids.add(account, customer["id"], data)
    if payment_method:
        param = "payment_method" if params.get("payment_method") else "source"
        payment_methods.attach_to(account, payment_method, customer["id"], param)
    if default:
        return _set_default(account, customer, default)
    return customer


@operation(CustomerService.update)
def update(account: Account, params: Params, customer_id: str) -> Json:
    """Change a customer."""
    check_email(params, "email")
    refuse(params, "cash_balance", "default_source", "tax", "validate")
    before = account.get("customer", customer_id)
    settings = dict(params.get("invoice_settings", {}))
    default = settings.pop("default_payment_method", None)
    if params.get("source"):
        default = payment_methods.attach_to(account, params["source"], customer_id, "source")["id"]
    plain = {**params, "invoice_settings": settings}
    after = apply(Customer, before, plain, handled=("source",))
    if default:
        after["invoice_settings"] = {
            **after["invoice_settings"],
            "default_payment_method": payment_methods.of_customer(
                account, default, customer_id, "invoice_settings[default_payment_method]"
            )["id"],
        }
    elif default == "":
        after["invoice_settings"] = {**after["invoice_settings"], "default_payment_method": None}
    return account.save(before, after, "customer.updated")


def _set_default(account: Account, customer: Json, payment_method: str) -> Json:
    method = payment_methods.of_customer(
        account, payment_method, customer["id"], "invoice_settings[default_payment_method]"
    )
    settings = {**customer["invoice_settings"], "default_payment_method": method["id"]}
    # Part of the creation, hence no second event.
    return account.save(customer, {**customer, "invoice_settings": settings})


@operation(CustomerService.retrieve)
def retrieve(account: Account, params: Params, customer_id: str) -> Json:
    """Return a customer; a deleted one as its tombstone."""
    document = account.store.get(customer_id)
    if document is not None and document["object"] == "customer":
        return document
    return account.get("customer", customer_id)


@operation(CustomerService.delete)
def delete(account: Account, params: Params, customer_id: str) -> Json:
    """Delete a customer and cancel what they subscribe to."""
    customer = account.get("customer", customer_id)
    for subscription in account.store.find("subscription", customer=customer_id):
        if subscription["status"] in subscribing.LIVE:
            subscribing.end(account, subscription, reason="cancellation_requested")
    for method in account.store.find("payment_method", customer=customer_id):
        account.save(method, {**method, "customer": None, "_used": True})
    return account.delete(customer, "customer.deleted")


@operation(CustomerService.list)
def list_(account: Account, params: Params) -> Json:
    """List customers, newest first."""
    conditions = [*created_within(params), test_clocks.condition(account, params)]
    if "email" in params:
        conditions.append(equals("email", params["email"]))
    return account.page("customer", params, conditions, url="/v1/customers")


@operation(CustomerService.search)
def search_(account: Account, params: Params) -> Json:
    """Search customers; here at once consistent, which Stripe's is not."""
    return search.results(account, "customer", params, SEARCHABLE)


@view("customer")
def _shown(account: Account, shown: Json, tree: Json) -> Json:
    if "subscriptions" in tree:
        live = [
            subscription
            for subscription in account.store.find("subscription", customer=shown["id"])
            if subscription["status"] in subscribing.LIVE
        ]
        url = f"/v1/customers/{shown['id']}/subscriptions"
        listed = {"object": "list", "data": live, "has_more": False, "url": url}
        shown["subscriptions"] = account.render(listed, tree["subscriptions"])
    if "tax_ids" in tree:
        found = tax_ids.of_customer(account, shown["id"])
        url = f"/v1/customers/{shown['id']}/tax_ids"
        listed = {"object": "list", "data": found, "has_more": False, "url": url}
        shown["tax_ids"] = account.render(listed, tree["tax_ids"])
    if "sources" in tree:
        url = f"/v1/customers/{shown['id']}/sources"
        shown["sources"] = {"object": "list", "data": [], "has_more": False, "url": url}
    return shown
