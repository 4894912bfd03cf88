"""Webhook endpoints: who is told of events, and the signed requests they are told by."""

import json
import time

from stripe import WebhookEndpoint, WebhookEndpointService, WebhookSignature

from billing_ui.sandbox.core.courier import Parcel
from billing_ui.sandbox.core.ids import random_text
from billing_ui.sandbox.core.outbox import Delivery
from billing_ui.sandbox.core.store import equals
from billing_ui.sandbox.stripe.account import Account
from billing_ui.sandbox.stripe.errors import StripeError
from billing_ui.sandbox.stripe.fields import apply, refuse
from billing_ui.sandbox.stripe.operations import operation
from billing_ui.sandbox.stripe.shapes import Json, complete
from billing_ui.sandbox.stripe.validator import Params
from billing_ui.sandbox.stripe.versions import as_of

KIND = "webhook_endpoint"
MOST = 16
"""Endpoints an account may have, https://docs.stripe.com/webhooks."""


@operation(WebhookEndpointService.create)
def create(account: Account, params: Params) -> Json:
    """Register an endpoint; this answer alone has its secret."""
    refuse(params, "connect")
    _check_events(params)
    if len(account.store.find(KIND, limit=MOST)) >= MOST:
        raise StripeError(f"You have reached the maximum of {MOST} test webhook endpoints.")
    document = complete(
        WebhookEndpoint,
        {
            "id": account.new_id("we"),
            "object": KIND,
            "created": account.now,
            "metadata": {},
            "status": "enabled",
        },
    )
    del document["secret"]
    endpoint = apply(WebhookEndpoint, document, params, handled=("connect",))
    secret = f"whsec_{random_text(32)}"
    account.store.put({**endpoint, "_secret": secret})
    return {**endpoint, "secret": secret}


def register_known(
    account: Account, url: str, secret: str, events: list[str], wanted_id: str | None = None
) -> Json:
    """Register an endpoint whose secret is known beforehand; there is one at each URL.

    One that is registered under its id again moves to `url`, and with it what still waits for it.
    """
    with account.store.transaction():
        known = account.store.get(wanted_id) if wanted_id else None
        found = [known] if known else account.store.find(KIND, [equals("url", url)], limit=1)
        path = "/v1/webhook_endpoints"
        params: Params = {"url": url, "enabled_events": events}
        if found:
            path = f"{path}/{found[0]['id']}"
            answer = account.call("post", path, {**params, "disabled": False})
        else:
            answer = account.call("post", path, params, wanted_id=wanted_id)
        account.store.put({**account.get(KIND, answer["id"]), "_secret": secret})
    return {**answer, "secret": secret}


@operation(WebhookEndpointService.update)
def update(account: Account, params: Params, endpoint_id: str) -> Json:
    """Change an endpoint, switch it off or on again."""
    _check_events(params)
    before = account.get(KIND, endpoint_id)
    after = apply(WebhookEndpoint, before, params, handled=("disabled",))
    if "disabled" in params:
        after["status"] = "disabled" if params["disabled"] else "enabled"
    return account.save(before, after)


@operation(WebhookEndpointService.retrieve)
def retrieve(account: Account, params: Params, endpoint_id: str) -> Json:
    """Return an endpoint, without its secret."""
    return account.get(KIND, endpoint_id)


@operation(WebhookEndpointService.list)
def list_(account: Account, params: Params) -> Json:
    """List endpoints, newest first."""
    return account.page(KIND, params, url="/v1/webhook_endpoints")


@operation(WebhookEndpointService.delete)
def delete(account: Account, params: Params, endpoint_id: str) -> Json:
    """Forget an endpoint; what still waits for it is never sent."""
    return account.delete(account.get(KIND, endpoint_id))


def pack(account: Account, delivery: Delivery) -> Parcel | None:
    """Return the request that tells an endpoint of an event, signed for this moment.

    None when the endpoint was switched off or deleted in the meantime.
    """
    endpoint, event = account.store.get(delivery.endpoint), account.store.get(delivery.event)
    if endpoint is None or event is None or endpoint.get("status") != "enabled":
        return None
    told = as_of(endpoint["api_version"], account.render(event))
    body = json.dumps(told, separators=(",", ":"))
    signature = WebhookSignature.generate_signature_header(
        body, endpoint["_secret"], int(time.time())
    )
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "Stripe-Signature": signature,
        "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
    }
    return Parcel(endpoint["url"], body.encode(), headers)


def _check_events(params: Params) -> None:
    events = params.get("enabled_events")
    if events is None:
        return
    if not events:
        raise StripeError(
            "Invalid array: enabled_events must contain at least one event.", param="enabled_events"
        )
    if "*" in events and len(events) > 1:
        raise StripeError(
            "If you are specifying `*`, it must be the only event.", param="enabled_events"
        )
