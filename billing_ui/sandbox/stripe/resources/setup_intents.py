"""Setup intents: a card is checked and kept for later, and nothing is charged."""

from stripe import SetupIntent, SetupIntentService

from billing_ui.sandbox.core.ids import random_text
from billing_ui.sandbox.stripe import cards
from billing_ui.sandbox.stripe.account import Account
from billing_ui.sandbox.stripe.errors import StripeError
from billing_ui.sandbox.stripe.fields import apply, created_within, refuse
from billing_ui.sandbox.stripe.operations import operation
from billing_ui.sandbox.stripe.resources import payment_methods
from billing_ui.sandbox.stripe.shapes import Json
from billing_ui.sandbox.stripe.validator import Params

UNSUPPORTED = frozenset(
    {
        "attach_to_self",
        "confirmation_token",
        "flow_directions",
        "mandate_data",
        "on_behalf_of",
        "payment_method_configuration",
        "payment_method_data",
        "single_use",
    }
)
HANDLED = frozenset(
    {
        "automatic_payment_methods",
        "confirm",
        "payment_method",
        "return_url",
        "use_stripe_sdk",
    }
)


@operation(SetupIntentService.create)
def create(account: Account, params: Params) -> Json:
    """Make a setup intent, and confirm it where asked."""
    refuse(params, *UNSUPPORTED)
    if "customer" in params:
        account.get("customer", params["customer"], "customer")
    intent_id = account.new_id("seti")
    document = {
        "id": intent_id,
        "object": "setup_intent",
        "client_secret": f"{intent_id}_secret_{random_text(24)}",
        "metadata": {},
        "payment_method_types": ["card"],
        "status": "requires_payment_method",
        "usage": "off_session",
    }
    document = apply(SetupIntent, document, params, handled=HANDLED)
    method_id = params.get("payment_method")
    if method_id:
        document |= {"payment_method": method_id, "status": "requires_confirmation"}
    intent = account.create(SetupIntent, document, "setup_intent.created")
    return _confirm(account, intent, method_id) if params.get("confirm") else intent


@operation(SetupIntentService.confirm)
def confirm(account: Account, params: Params, intent_id: str) -> Json:
    """Check the card and keep it."""
    refuse(params, *UNSUPPORTED)
    intent = account.get("setup_intent", intent_id)
    if intent["status"] in ("succeeded", "canceled"):
        raise StripeError(
            f"You cannot confirm this SetupIntent because it has a status of {intent['status']}.",
            code="setup_intent_unexpected_state",
        )
    return _confirm(account, intent, params.get("payment_method") or intent["payment_method"])


@operation(SetupIntentService.cancel)
def cancel(account: Account, params: Params, intent_id: str) -> Json:
    """Give a setup intent up."""
    before = account.get("setup_intent", intent_id)
    if before["status"] in ("succeeded", "canceled"):
        raise StripeError(
            f"You cannot cancel this SetupIntent because it has a status of {before['status']}.",
            code="setup_intent_unexpected_state",
        )
    reason = params.get("cancellation_reason")
    after = {**before, "cancellation_reason": reason, "status": "canceled"}
    return account.save(before, after, "setup_intent.canceled")


@operation(SetupIntentService.retrieve)
def retrieve(account: Account, params: Params, intent_id: str) -> Json:
    """Return a setup intent."""
    refuse(params, "client_secret")
    return account.get("setup_intent", intent_id)


@operation(SetupIntentService.list)
def list_(account: Account, params: Params) -> Json:
    """List setup intents, newest first."""
    refuse(params, "attach_to_self", "payment_method")
    return account.page(
        "setup_intent",
        params,
        created_within(params),
        url="/v1/setup_intents",
        customer=params.get("customer"),
    )


def _confirm(account: Account, before: Json, method_id: str | None) -> Json:
    if method_id is None:
        raise StripeError(
            "You cannot confirm this SetupIntent because it's missing a payment method.",
            code="setup_intent_unexpected_state",
        )
    if before["customer"]:
        method = payment_methods.attach_to(account, method_id, before["customer"], "payment_method")
    elif method_id.startswith("pm_card_"):
        method = payment_methods.make_from_token(account, method_id, "payment_method")
    else:
        method = account.get("payment_method", method_id, "payment_method")
        cards.refuse_to_attach(method["_number"])
    after = {**before, "payment_method": method["id"], "status": "succeeded"}
    account.store.put(after)
    account.tell("setup_intent.succeeded", after)
    return after
