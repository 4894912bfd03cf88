"""Payment methods: cards, how they come to a customer and how they leave."""

from datetime import UTC, datetime

from stripe import CustomerPaymentMethodService, PaymentMethod, PaymentMethodService

from billing_ui.sandbox.core.store import equals
from billing_ui.sandbox.stripe import cards
from billing_ui.sandbox.stripe.account import Account
from billing_ui.sandbox.stripe.errors import StripeError
from billing_ui.sandbox.stripe.fields import apply
from billing_ui.sandbox.stripe.operations import operation
from billing_ui.sandbox.stripe.shapes import Json
from billing_ui.sandbox.stripe.validator import Params

SHOWN = frozenset(
    {
        "allow_redisplay",
        "billing_details",
        "card",
        "created",
        "customer",
        "customer_account",
        "id",
        "livemode",
        "metadata",
        "object",
        "radar_options",
        "type",
    }
)


@operation(PaymentMethodService.create)
def create(account: Account, params: Params) -> Json:
    """Make a card out of its number or of a test token; it belongs to nobody yet."""
    kind = params.get("type", "card")
    if kind != "card":
        raise StripeError.unsupported("type")
    if "card" not in params:
        raise StripeError.missing("card")
    if set(params["card"]) - {"token", "number", "exp_month", "exp_year", "cvc"}:
        raise StripeError.unsupported("card[networks]")
    today = datetime.fromtimestamp(account.now, UTC)
    card = cards.read(params["card"], today.year, today.month)
    return _make(account, card, {key: params[key] for key in params if key != "card"})


@operation(PaymentMethodService.update)
def update(account: Account, params: Params, method_id: str) -> Json:
    """Change billing details, expiry or metadata of a card."""
    before = account.get("payment_method", method_id)
    if before["customer"] is None:
        raise StripeError(
            "You must save this PaymentMethod to a customer before you can update it."
        )
    after = apply(PaymentMethod, before, params)
    return account.save(before, after, "payment_method.updated")


@operation(PaymentMethodService.retrieve)
def retrieve(account: Account, params: Params, method_id: str) -> Json:
    """Return a payment method."""
    return account.get("payment_method", method_id)


@operation(PaymentMethodService.list)
def list_(account: Account, params: Params) -> Json:
    """List the payment methods of a customer."""
    if "customer" in params:
        account.get("customer", params["customer"], "customer")
    return _page(account, params, params.get("customer"), "/v1/payment_methods")


@operation(CustomerPaymentMethodService.list)
def list_of_customer(account: Account, params: Params, customer_id: str) -> Json:
    """List the payment methods of the customer in the path."""
    account.get("customer", customer_id)
    return _page(account, params, customer_id, f"/v1/customers/{customer_id}/payment_methods")


@operation(CustomerPaymentMethodService.retrieve)
def retrieve_of_customer(
    account: Account, params: Params, customer_id: str, method_id: str
) -> Json:
    """Return a payment method of the customer in the path."""
    method = account.get("payment_method", method_id)
    if method["customer"] != customer_id:
        raise StripeError.no_such("PaymentMethod", method_id)
    return method


def _page(account: Account, params: Params, customer_id: str | None, url: str) -> Json:
    names = ("type", "allow_redisplay")
    conditions = [equals(name, params[name]) for name in names if name in params]
    return account.page("payment_method", params, conditions, url=url, customer=customer_id)


@operation(PaymentMethodService.attach)
def attach(account: Account, params: Params, method_id: str) -> Json:
    """Attach a payment method to a customer."""
    if "customer" not in params:
        raise StripeError.missing("customer")
    account.get("customer", params["customer"], "customer")
    return attach_to(account, method_id, params["customer"], "id")


@operation(PaymentMethodService.detach)
def detach(account: Account, params: Params, method_id: str) -> Json:
    """Take a payment method away from its customer, and from everything it was the default of."""
    before = account.get("payment_method", method_id)
    customer_id = before["customer"]
    if customer_id is None:
        raise StripeError(
            "The payment method you provided is not attached to a customer so detachment is "
            "impossible."
        )
    after = account.save(
        before, {**before, "customer": None, "_used": True}, "payment_method.detached"
    )
    customer = account.get("customer", customer_id)
    settings = customer["invoice_settings"]
    if settings["default_payment_method"] == method_id:
        settings = {**settings, "default_payment_method": None}
        account.save(customer, {**customer, "invoice_settings": settings}, "customer.updated")
    using = [equals("default_payment_method", method_id)]
    for subscription in account.store.find("subscription", using, customer=customer_id):
        account.save(
            subscription,
            {**subscription, "default_payment_method": None},
            "customer.subscription.updated",
        )
    return after


def attach_to(account: Account, method_id: str, customer_id: str, param: str) -> Json:
    """Attach a payment method, or a new card for a test name such as `pm_card_visa`.

    Args:
        method_id: `pm_…`, `pm_card_NAME` or `tok_NAME`.
        customer_id: Whom to.
        param: The parameter that named it.

    Raises:
        StripeError: It does not exist, is used up, is another customer's, or is declined.
    """
    method = account.store.get(method_id)
    if method is None and method_id.startswith(("pm_card_", "tok_")):
        method = make_from_token(account, method_id, param)
    if method is None:
        method = account.get("payment_method", method_id, param)
    if method["customer"] == customer_id:
        return method
    if method["customer"] is not None:
        raise StripeError(
            "The payment method you provided has already been attached to a customer."
        )
    if method.get("_used"):
        raise StripeError(
            "This PaymentMethod was previously used without being attached to a Customer or was "
            "detached from a Customer, and may not be used again."
        )
    cards.refuse_to_attach(method["_number"])
    after = {**method, "customer": customer_id}
    account.store.put(after)
    account.tell("payment_method.attached", after)
    return after


def make_from_token(account: Account, name: str, param: str) -> Json:
    """Make the card a test name such as `tok_visa` or `pm_card_visa` stands for.

    Raises:
        StripeError: There is no such name.
    """
    number = cards.number_of(name, param)
    year = datetime.fromtimestamp(account.now, UTC).year + 2
    return _make(account, {"number": number, "exp_month": 12, "exp_year": year}, {"_alias": name})


def of_customer(account: Account, method_id: str, customer_id: str, param: str) -> Json:
    """Return a payment method that must be attached to the customer.

    A test name such as `pm_card_visa` stands for the card it became when it was attached; one
    that never was is attached now.

    Raises:
        StripeError: It is not theirs.
    """
    if method_id.startswith("pm_card_"):
        found = account.store.find(
            "payment_method", [equals("_alias", method_id)], customer=customer_id, limit=1
        )
        return found[0] if found else attach_to(account, method_id, customer_id, param)
    method = account.store.get(method_id)
    if method is None or method["object"] != "payment_method":
        raise StripeError.no_such("PaymentMethod", method_id, param)
    if method["customer"] != customer_id:
        raise StripeError(
            f"The customer does not have a payment method with the ID {method_id}. The payment "
            "method must be attached to the customer.",
            code="resource_missing",
            param=param,
        )
    return method


def default_of(account: Account, subscription: Json | None, customer: Json) -> Json | None:
    """Return what an invoice would be charged to: the subscription's or the customer's default."""
    method_id = subscription and subscription["default_payment_method"]
    method_id = method_id or customer["invoice_settings"]["default_payment_method"]
    return account.store.get(method_id) if method_id else None


def _make(account: Account, card: Params, params: Params) -> Json:
    private = {key: value for key, value in params.items() if key[0] == "_"}
    public = {key: value for key, value in params.items() if key[0] != "_"}
    document = {
        "id": account.new_id("pm"),
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": {},
        "card": cards.describe(card),
        "metadata": {},
        "radar_options": {},
        "type": "card",
        "_number": card["number"],
        **private,
    }
    method = account.create(PaymentMethod, apply(PaymentMethod, document, public))
    # Of the many kinds there are, Stripe shows the hash of this one only.
    shown = {key: value for key, value in method.items() if key in SHOWN or key[0] == "_"}
    account.store.put(shown)
    return shown
