"""Payment intents and the charges they make: how money moves off a card."""

from stripe import Charge, ChargeService, PaymentIntent, PaymentIntentService

from billing_ui.sandbox.core.ids import new_id, random_text
from billing_ui.sandbox.core.store import equals
from billing_ui.sandbox.stripe import cards, currencies
from billing_ui.sandbox.stripe.account import Account
from billing_ui.sandbox.stripe.errors import StripeError
from billing_ui.sandbox.stripe.fields import apply, created_within, refuse
from billing_ui.sandbox.stripe.operations import operation
from billing_ui.sandbox.stripe.resources import payment_methods
from billing_ui.sandbox.stripe.shapes import Json
from billing_ui.sandbox.stripe.validator import Params

UNSUPPORTED = frozenset(
    {
        "amount_details",
        "confirmation_token",
        "hooks",
        "mandate",
        "mandate_data",
        "on_behalf_of",
        "payment_details",
        "payment_method_data",
        "transfer_data",
    }
)
HANDLED = frozenset(
    {
        "automatic_payment_methods",
        "confirm",
        "currency",
        "error_on_requires_action",
        "off_session",
        "payment_method",
        "radar_options",
        "return_url",
        "use_stripe_sdk",
    }
)


@operation(PaymentIntentService.create)
def create(account: Account, params: Params) -> Json:
    """Make a payment intent, and confirm it where asked."""
    refuse(params, *UNSUPPORTED)
    if "customer" in params:
        account.get("customer", params["customer"], "customer")
    intent = _open(
        account,
        params["amount"],
        currencies.read(params["currency"], "currency"),
        params.get("customer"),
    )
    changed = apply(PaymentIntent, intent, params, handled=HANDLED)
    method = _method(account, params, changed)
    if method:
        changed = {**changed, "payment_method": method["id"], "status": "requires_confirmation"}
    account.store.put(changed)
    account.tell("payment_intent.created", changed)
    return _confirm(account, changed, method) if params.get("confirm") else changed


@operation(PaymentIntentService.confirm)
def confirm(account: Account, params: Params, intent_id: str) -> Json:
    """Charge a payment intent."""
    refuse(params, *UNSUPPORTED)
    intent = account.get("payment_intent", intent_id)
    if intent["status"] in ("succeeded", "canceled"):
        raise StripeError(
            "You cannot confirm this PaymentIntent because it has already "
            f"{'succeeded after being previously confirmed' if intent['latest_charge'] else 'been canceled'}.",
            code="payment_intent_unexpected_state",
        )
    if "_invoice" in intent:
        # It is the invoice that is paid; the intent is only the way.
        paying = {"payment_method": params.get("payment_method")}
        account.call("post", f"/v1/invoices/{intent['_invoice']}/pay", paying)
        return account.get("payment_intent", intent_id)
    changed = apply(PaymentIntent, intent, params, handled=HANDLED)
    method = _method(account, params, changed)
    if method is None and intent["payment_method"]:
        method = account.get("payment_method", intent["payment_method"])
    return _confirm(account, changed, method)


@operation(PaymentIntentService.cancel)
def cancel(account: Account, params: Params, intent_id: str) -> Json:
    """Give a payment intent up."""
    before = account.get("payment_intent", intent_id)
    if before["status"] in ("succeeded", "canceled"):
        raise StripeError(
            f"You cannot cancel this PaymentIntent because it has a status of {before['status']}.",
            code="payment_intent_unexpected_state",
        )
    after = {
        **before,
        "canceled_at": account.now,
        "cancellation_reason": params.get("cancellation_reason"),
        "status": "canceled",
    }
    return account.save(before, after, "payment_intent.canceled")


@operation(PaymentIntentService.retrieve)
def retrieve(account: Account, params: Params, intent_id: str) -> Json:
    """Return a payment intent."""
    return account.get("payment_intent", intent_id)


@operation(PaymentIntentService.list)
def list_(account: Account, params: Params) -> Json:
    """List payment intents, newest first."""
    return account.page(
        "payment_intent",
        params,
        created_within(params),
        url="/v1/payment_intents",
        customer=params.get("customer"),
    )


@operation(ChargeService.create)
def create_charge(account: Account, params: Params) -> Json:
    """Charge a test token such as `tok_visa` at once."""
    refuse(params, "application_fee", "application_fee_amount", "destination", "transfer_data")
    for name in ("amount", "currency", "source"):
        if name not in params:
            raise StripeError.missing(name)
    method = payment_methods.make_from_token(account, params["source"], "source")
    handled = ("amount", "currency", "source", "capture", "radar_options")
    made, problem = _charge_card(
        account, params["amount"], currencies.read(params["currency"], "currency"), method
    )
    changed = apply(Charge, made, params, handled=handled)
    account.store.put(changed)
    account.tell("charge.failed" if problem else "charge.succeeded", changed)
    if problem:
        problem.commits = True
        raise problem
    return changed


@operation(ChargeService.retrieve)
def retrieve_charge(account: Account, params: Params, charge_id: str) -> Json:
    """Return a charge."""
    return account.get("charge", charge_id)


@operation(ChargeService.list)
def list_charges(account: Account, params: Params) -> Json:
    """List charges, newest first."""
    refuse(params, "transfer_group")
    conditions = created_within(params)
    if "payment_intent" in params:
        conditions.append(equals("payment_intent", params["payment_intent"]))
    customer = params.get("customer")
    return account.page("charge", params, conditions, url="/v1/charges", customer=customer)


def charge(
    account: Account,
    *,
    amount: int,
    currency: str,
    customer: str | None,
    method: Json,
    intent_id: str | None = None,
    details: Params | None = None,
) -> tuple[Json, StripeError | None]:
    """Charge a payment method through a payment intent.

    Args:
        amount: Minor units.
        currency: The three-letter code.
        customer: The customer's id.
        method: The stored payment method.
        intent_id: An intent that failed before and is tried again; a new one when None.
        details: Further fields of a new intent, such as `description` and `metadata`.

    Returns:
        The intent as it is now, and the card's error when it was declined.
    """
    if intent_id is None:
        intent = _open(account, amount, currency, customer)
        intent = apply(PaymentIntent, intent, details or {})
        account.store.put(intent)
        account.tell("payment_intent.created", intent)
    else:
        intent = account.get("payment_intent", intent_id)
    return _attempt(account, intent, method)


def open_for_invoice(account: Account, invoice: Json) -> Json:
    """Open the intent by which an invoice is to be paid."""
    intent = _open(account, invoice["amount_due"], invoice["currency"], invoice["customer"])
    intent["_invoice"] = invoice["id"]
    account.store.put(intent)
    account.tell("payment_intent.created", intent)
    return intent


def _open(account: Account, amount: int, currency: str, customer: str | None) -> Json:
    if amount < 1:
        raise StripeError(
            "This value must be greater than or equal to 1.",
            code="parameter_invalid_integer",
            param="amount",
        )
    intent_id = account.new_id("pi")
    return account.create(
        PaymentIntent,
        {
            "id": intent_id,
            "object": "payment_intent",
            "amount": amount,
            "capture_method": "automatic",
            "client_secret": f"{intent_id}_secret_{random_text(24)}",
            "confirmation_method": "automatic",
            "currency": currency,
            "customer": customer,
            "payment_method_types": ["card"],
            "status": "requires_payment_method",
        },
    )


def _method(account: Account, params: Params, intent: Json) -> Json | None:
    name = params.get("payment_method")
    if not name:
        return None
    if intent["customer"]:
        return payment_methods.of_customer(account, name, intent["customer"], "payment_method")
    if name.startswith("pm_card_"):
        return payment_methods.make_from_token(account, name, "payment_method")
    return account.get("payment_method", name, "payment_method")


def _confirm(account: Account, intent: Json, method: Json | None) -> Json:
    if method is None:
        raise StripeError(
            "You cannot confirm this PaymentIntent because it's missing a payment method. Update "
            "the PaymentIntent with a payment method and then confirm it again.",
            code="payment_intent_unexpected_state",
        )
    after, problem = _attempt(account, intent, method)
    if problem:
        problem.commits = True
        raise problem
    return after


def _attempt(account: Account, before: Json, method: Json) -> tuple[Json, StripeError | None]:
    made, problem = _charge_card(account, before["amount"], before["currency"], method)
    made = {
        **made,
        "customer": before["customer"],
        "description": before["description"],
        "metadata": before["metadata"],
        "payment_intent": before["id"],
    }
    account.store.put(made)
    after = {**before, "latest_charge": made["id"]}
    if problem:
        shown = account.render(method)
        error = {**problem.body()["error"], "charge": made["id"], "payment_method": shown}
        after |= {"last_payment_error": error, "status": "requires_payment_method"}
        after["payment_method"] = None
    else:
        after |= {"last_payment_error": None, "status": "succeeded"}
        after |= {"amount_received": before["amount"], "payment_method": method["id"]}
    account.store.put(after)
    account.tell("charge.failed" if problem else "charge.succeeded", made)
    outcome = "payment_intent.payment_failed" if problem else "payment_intent.succeeded"
    account.tell(outcome, after)
    return after, problem


def _charge_card(
    account: Account, amount: int, currency: str, method: Json
) -> tuple[Json, StripeError | None]:
    """Store a charge of a card, failed or not, and return it with the card's error."""
    problem: StripeError | None = None
    try:
        cards.charge(method["_number"])
    except StripeError as error:
        problem = error
    card = method["card"]
    details = {name: card[name] for name in ("brand", "country", "fingerprint", "funding", "last4")}
    details |= {"exp_month": card["exp_month"], "exp_year": card["exp_year"]}
    details |= {"network": card["brand"], "checks": card["checks"]}
    made = account.create(
        Charge,
        {
            "id": new_id("ch"),
            "object": "charge",
            "amount": amount,
            "amount_captured": 0 if problem else amount,
            "billing_details": method["billing_details"],
            "captured": problem is None,
            "currency": currency,
            "failure_code": problem and problem.code,
            "failure_message": problem and problem.message,
            "fraud_details": {},
            "outcome": {
                "network_status": "declined_by_network" if problem else "approved_by_network",
                "reason": problem and problem.details.get("decline_code"),
                "risk_level": "normal",
                "seller_message": "The bank declined." if problem else "Payment complete.",
                "type": "issuer_declined" if problem else "authorized",
            },
            "paid": problem is None,
            "payment_method": method["id"],
            "payment_method_details": {"card": details, "type": "card"},
            "status": "failed" if problem else "succeeded",
        },
    )
    return made, problem
