"""Invoice items: what waits for a customer's next invoice."""

from stripe import InvoiceItem, InvoiceItemService

from billing_ui.sandbox.core.store import Condition, equals
from billing_ui.sandbox.stripe import currencies, invoicing
from billing_ui.sandbox.stripe.account import Account
from billing_ui.sandbox.stripe.errors import StripeError
from billing_ui.sandbox.stripe.fields import apply, created_within, refuse
from billing_ui.sandbox.stripe.operations import operation
from billing_ui.sandbox.stripe.resources import prices
from billing_ui.sandbox.stripe.shapes import Json
from billing_ui.sandbox.stripe.validator import Params

UNSUPPORTED = frozenset(
    {
        "discounts",
        "quantity_decimal",
        "tax_behavior",
        "tax_code",
        "tax_rates",
    }
)
HANDLED = frozenset(
    {
        "amount",
        "currency",
        "customer",
        "customer_account",
        "invoice",
        "period",
        "price_data",
        "pricing",
        "quantity",
        "subscription",
        "unit_amount_decimal",
    }
)


@operation(InvoiceItemService.create)
def create(account: Account, params: Params) -> Json:
    """Make an item: an amount, or a price times a quantity."""
    refuse(params, *UNSUPPORTED, "price_data")
    if "customer" not in params:
        raise StripeError.missing("customer")
    customer = account.get("customer", params["customer"], "customer")
    draft = None
    if "invoice" in params:
        draft = account.get("invoice", params["invoice"], "invoice")
        if draft["status"] != "draft":
            raise StripeError(
                "You can only add items to a draft invoice.",
                code="invoice_not_editable",
                param="invoice",
            )
    usual = draft["currency"] if draft else customer["currency"] or "usd"
    currency = currencies.read(params.get("currency") or usual, "currency")
    amount, quantity, pricing = _amount(account, params, currency)
    item = account.create(
        InvoiceItem,
        apply(
            InvoiceItem,
            {
                "id": account.new_id("ii"),
                "object": "invoiceitem",
                "amount": amount,
                "currency": currency,
                "customer": customer["id"],
                "date": account.now,
                "discountable": True,
                "discounts": [],
                "invoice": draft and draft["id"],
                "metadata": {},
                "net_amount": amount,
                "parent": _parent(account, params),
                "period": params.get("period", {"start": account.now, "end": account.now}),
                "pricing": pricing,
                "quantity": quantity,
                "quantity_decimal": str(quantity),
                "test_clock": customer["test_clock"],
            },
            params,
            handled=HANDLED,
        ),
        "invoiceitem.created",
    )
    if draft:
        lines = [*draft["lines"]["data"], invoicing.line_of(item)]
        account.save(draft, invoicing.with_lines(draft, lines), "invoice.updated")
    return item


@operation(InvoiceItemService.retrieve)
def retrieve(account: Account, params: Params, item_id: str) -> Json:
    """Return an item."""
    return account.get("invoiceitem", item_id)


@operation(InvoiceItemService.list)
def list_(account: Account, params: Params) -> Json:
    """List items, newest first."""
    conditions = created_within(params)
    if "pending" in params:
        sql = f"json_extract(body, '$.invoice') IS {'' if params['pending'] else 'NOT '}NULL"
        conditions.append(Condition(sql))
    if "invoice" in params:
        conditions.append(equals("invoice", params["invoice"]))
    customer = params.get("customer")
    return account.page(
        "invoiceitem", params, conditions, url="/v1/invoiceitems", customer=customer
    )


@operation(InvoiceItemService.delete)
def delete(account: Account, params: Params, item_id: str) -> Json:
    """Delete an item that is on no invoice yet."""
    item = account.get("invoiceitem", item_id)
    if item["invoice"]:
        raise StripeError("You can only delete invoice items that are not attached to an invoice.")
    return account.delete(item, "invoiceitem.deleted")


def _amount(account: Account, params: Params, currency: str) -> tuple[int, int, Json | None]:
    """Return the amount in minor units, the quantity and the pricing of a new item."""
    quantity = params.get("quantity", 1)
    if "pricing" in params:
        price_id = params["pricing"].get("price")
        if not price_id:
            raise StripeError.missing("pricing[price]")
        price = account.get("price", price_id, "pricing[price]")
        if price["recurring"]:
            raise StripeError(
                "The price specified is set to `type=recurring` but this field only accepts "
                "prices with `type=one_time`.",
                param="pricing[price]",
            )
        amount = prices.cost(price, currency, quantity)
        if amount is None:
            raise StripeError(
                f"The price {price_id} has no amount in the currency `{currency}`.",
                param="pricing[price]",
            )
        details = {"price": price_id, "product": price["product"]}
        pricing = {
            "price_details": details,
            "type": "price_details",
            "unit_amount_decimal": prices.unit(price, currency),
        }
        return amount, quantity, pricing
    if "unit_amount_decimal" in params:
        return round(float(params["unit_amount_decimal"]) * quantity), quantity, None
    if "amount" not in params:
        raise StripeError.missing("amount")
    if "quantity" in params:
        raise StripeError("You may only specify one of these parameters: amount, quantity.")
    return params["amount"], 1, None


def _parent(account: Account, params: Params) -> Json | None:
    if "subscription" not in params:
        return None
    subscription = account.get("subscription", params["subscription"], "subscription")
    details = {"subscription": subscription["id"], "subscription_item": None}
    return {"subscription_details": details, "type": "subscription_details"}
