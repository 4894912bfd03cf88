"""What older API versions call otherwise, for callers that do not name the current one."""

import stripe

from billing_ui.sandbox.stripe.validator import Params

METHOD_TYPES = {"payment_method_types": "allowed_payment_method_types"}
RENAMED = {
    "/v1/checkout/sessions": METHOD_TYPES,
    "/v1/payment_intents": METHOD_TYPES,
    "/v1/setup_intents": METHOD_TYPES,
}
"""Path -> former name -> name of today."""


def modernize(version: str | None, path: str, params: Params) -> Params:
    """Return parameters as the current version names them.

    Answers are always those of the current version: only requests are understood in older words.

    Args:
        version: The caller's `Stripe-Version`, or None; whoever names today's is taken at its word.
        path: Such as `/v1/payment_intents`.
        params: As decoded from the wire.
    """
    if version == stripe.api_version or path not in RENAMED:
        return params
    return {RENAMED[path].get(name, name): value for name, value in params.items()}
