"""Is everything at Lemon Squeezy as it must be? Asked with calls that change nothing."""

from collections.abc import AsyncIterator, Iterator
from typing import Final

from billing_ui.payments.inspection import Expected, Finding, fine, mode, problem, warning
from billing_ui.payments.lemonsqueezy.catalog import fetch_catalog, fetch_store
from billing_ui.payments.lemonsqueezy.client import Client, Refused, translated
from billing_ui.payments.lemonsqueezy.resources import Resource, WebhookAttributes
from billing_ui.payments.lemonsqueezy.webhooks import NEEDED_EVENTS
from billing_ui.payments.types import PaymentError

_API_PAGE: Final = "Lemon Squeezy's dashboard under Settings → API"
_STORES_PAGE: Final = "Lemon Squeezy's dashboard under Settings → Stores"
_WEBHOOKS_PAGE: Final = "Lemon Squeezy's dashboard under Settings → Webhooks"

# Of a secret Lemon Squeezy takes so many characters (https://docs.lemonsqueezy.com/api/webhooks/create-webhook).
_SECRET_LENGTH: Final = range(6, 41)


async def inspect(
    client: Client, expected: Expected, *, store_id: str, webhook_secrets: tuple[str, ...]
) -> tuple[Finding, ...]:
    """Return what is right and what is wrong at Lemon Squeezy.

    Args:
        expected: what the installation expects.
        store_id: the store that the settings name.
        webhook_secrets: the signing secrets that are configured.
    """
    found = []
    try:
        with translated():
            async for finding in _findings(client, expected, store_id, webhook_secrets):
                found.append(finding)
    except PaymentError as error:
        found.append(problem("provider", str(error), "Run this again in a moment."))
    return tuple(found)


async def _findings(
    client: Client, expected: Expected, store_id: str, secrets: tuple[str, ...]
) -> AsyncIterator[Finding]:
    try:
        user = await client.get("users", "me")
    except Refused as error:
        if error.status != 401:
            raise
        yield problem(
            "key",
            "Lemon Squeezy refuses LEMONSQUEEZY_API_KEY: it is unknown, deleted or expired.",
            f"Make a key in {_API_PAGE} and set LEMONSQUEEZY_API_KEY to it.",
        )
        return
    yield _mode(user.test_mode, secure=expected.secure)
    try:
        store = await fetch_store(client, store_id)
    except Refused as error:
        if not error.missing:
            raise
        yield problem(
            "store",
            f"Lemon Squeezy has no store {store_id} under this key and mode.",
            f"Set LEMONSQUEEZY_STORE_ID to the number of the store, which stands in {_STORES_PAGE}.",
        )
        return
    yield fine("store", f"The store is {store.name}, which sells in {store.currency}.")
    yield await _catalog(client, store_id, store.currency.lower())
    if expected.webhook_url is None:
        yield problem(
            "events",
            "EVENTS_MODE is poll, but Lemon Squeezy keeps no list of events that could be asked for.",
            "Set EVENTS_MODE=webhook, and API_URL to an address that Lemon Squeezy reaches.",
        )
        return
    for finding in _secrets(secrets):
        yield finding
    for finding in await _webhook(client, store_id, expected.webhook_url):
        yield finding


def _mode(test_mode: bool | None, *, secure: bool) -> Finding:
    if test_mode is None:
        return warning(
            "mode",
            "Lemon Squeezy does not say whether the key is one of test or of live mode.",
            f"See in {_API_PAGE} which mode it was made in.",
        )
    return mode(
        live=not test_mode,
        secure=secure,
        to_go_live="For production set LEMONSQUEEZY_API_KEY to a key made in live mode, and "
        "LEMONSQUEEZY_WEBHOOK_SECRET to the secret of the live webhook.",
    )


async def _catalog(client: Client, store_id: str, currency: str) -> Finding:
    catalog = await fetch_catalog(client, store_id, currency)
    sold = [
        price.id
        for product in catalog.products
        for price in product.prices
        if product.active and price.active and price.interval
    ]
    if not sold:
        return warning(
            "catalog",
            "The store has no published subscription product, so nothing can be bought.",
            "Publish a product with a subscription price in Lemon Squeezy's dashboard.",
        )
    return fine("catalog", f"{len(sold)} prices of subscriptions are for sale.")


def _secrets(secrets: tuple[str, ...]) -> Iterator[Finding]:
    mend = (
        f"Set LEMONSQUEEZY_WEBHOOK_SECRET to what was given as the webhook's signing secret in {_WEBHOOKS_PAGE}; "
        "several, while one is being replaced, are separated by commas."
    )
    if not secrets:
        yield problem(
            "webhook secret",
            "LEMONSQUEEZY_WEBHOOK_SECRET is not set, so every event is turned away.",
            mend,
        )
    elif not all(len(secret) in _SECRET_LENGTH for secret in secrets):
        yield problem(
            "webhook secret",
            "LEMONSQUEEZY_WEBHOOK_SECRET holds something that cannot be the secret of a webhook: those have "
            "6 to 40 characters.",
            mend,
        )
    else:
        yield fine("webhook secret", "A signing secret is set.")


async def _webhook(client: Client, store_id: str, url: str) -> list[Finding]:
    check, query = "webhook", {"filter[store_id]": store_id}
    ours = [
        webhook
        async for webhook in client.walk(WebhookAttributes, "webhooks", query)
        if webhook.attributes.url == url
    ]
    if not ours:
        return [
            problem(
                check,
                f"The store has no webhook for {url}, so nothing is heard of changes there.",
                f"Add it in {_WEBHOOKS_PAGE}, with at least these events: {', '.join(NEEDED_EVENTS)}. "
                "If this is not the address Lemon Squeezy reaches the dashboard under, set API_URL.",
            )
        ]
    found = [finding for webhook in ours for finding in _of_webhook(webhook)]
    if len(ours) > 1:
        found.append(
            warning(
                check,
                f"{len(ours)} webhooks point here, so each event comes as often.",
                f"Keep one and delete the others in {_WEBHOOKS_PAGE}.",
            )
        )
    return found or [fine(check, f"The webhook {ours[0].id} has every event needed.")]


def _of_webhook(webhook: Resource[WebhookAttributes]) -> Iterator[Finding]:
    missing = [name for name in NEEDED_EVENTS if name not in webhook.attributes.events]
    if missing:
        yield problem(
            "webhook events",
            f"The webhook {webhook.id} is not told of {', '.join(missing)}.",
            f"Add them to it in {_WEBHOOKS_PAGE}.",
        )
