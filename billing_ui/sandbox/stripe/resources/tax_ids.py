"""The tax IDs of customers, such as a VAT number."""

from stripe import CustomerTaxIdService, TaxId

from billing_ui.sandbox.stripe.account import Account
from billing_ui.sandbox.stripe.errors import StripeError
from billing_ui.sandbox.stripe.operations import operation
from billing_ui.sandbox.stripe.shapes import Json
from billing_ui.sandbox.stripe.validator import Params

MOST = 5
"""How many a customer may have, https://docs.stripe.com/billing/customer/tax-ids."""


@operation(CustomerTaxIdService.create)
def create(account: Account, params: Params, customer_id: str) -> Json:
    """Give a customer a tax ID."""
    account.get("customer", customer_id)
    for name in ("type", "value"):
        if not params.get(name):
            raise StripeError.missing(name)
    known = of_customer(account, customer_id)
    if len(known) >= MOST:
        raise StripeError(
            f"A customer can have at most {MOST} tax IDs.", code="customer_max_tax_ids"
        )
    return add(account, customer_id, params)


def add(account: Account, customer_id: str, params: Params) -> Json:
    """Store a tax ID of a customer; `params` are its `type` and `value`."""
    # A European number begins with its country; elsewhere the type does.
    names_country = params["value"] if params["type"] == "eu_vat" else params["type"]
    return account.create(
        TaxId,
        {
            "id": account.new_id("txi"),
            "object": "tax_id",
            "country": names_country[:2].upper(),
            "customer": customer_id,
            "owner": {"customer": customer_id, "type": "customer"},
            "type": params["type"],
            "value": params["value"],
            "verification": {"status": "pending"},
        },
        "customer.tax_id.created",
    )


def of_customer(account: Account, customer_id: str) -> list[Json]:
    """Return the tax IDs of a customer, newest first."""
    return account.store.find("tax_id", customer=customer_id)


@operation(CustomerTaxIdService.retrieve)
def retrieve(account: Account, params: Params, customer_id: str, tax_id: str) -> Json:
    """Return a tax ID of the customer in the path."""
    document = account.get("tax_id", tax_id)
    if document["customer"] != customer_id:
        raise StripeError.no_such("tax_id", tax_id)
    return document


@operation(CustomerTaxIdService.list)
def list_(account: Account, params: Params, customer_id: str) -> Json:
    """List the tax IDs of a customer."""
    account.get("customer", customer_id)
    url = f"/v1/customers/{customer_id}/tax_ids"
    return account.page("tax_id", params, url=url, customer=customer_id)


@operation(CustomerTaxIdService.delete)
def delete(account: Account, params: Params, customer_id: str, tax_id: str) -> Json:
    """Take a tax ID away from its customer."""
    document = retrieve(account, params, customer_id, tax_id)
    return account.delete(document, "customer.tax_id.deleted")
