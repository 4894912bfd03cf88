"""Is everything at Paddle as it must be? Asked with calls that change nothing."""

import asyncio
import hmac
from collections.abc import Awaitable, Iterator, Mapping
from typing import Any, Final

from paddle_billing import Client
from paddle_billing.Entities.NotificationSetting import NotificationSetting
from paddle_billing.Resources.NotificationSettings.Operations import ListNotificationSettings
from paddle_billing.Resources.Shared.Operations import Pager

from billing_ui.payments.client import first_failure
from billing_ui.payments.inspection import (
    Expected,
    Finding,
    clock,
    fine,
    gathered,
    mode,
    problem,
    warning,
)
from billing_ui.payments.mapping import header
from billing_ui.payments.paddle.catalog import fetch_catalog
from billing_ui.payments.paddle.client import Forbidden, Paddle, Refused
from billing_ui.payments.paddle.webhooks import NEEDED_EVENTS, TOLERANCE_SECONDS
from billing_ui.payments.types import PaymentError, ProviderUnavailable

_KEYS_PAGE: Final = "Paddle's dashboard under Developer tools → Authentication"
_WEBHOOKS_PAGE: Final = "Paddle's dashboard under Developer tools → Notifications"
_CHECKOUT_PAGE: Final = "Paddle's dashboard under Checkout → Checkout settings"
_SKEW_WARNING_SECONDS: Final = 2
_READS: Final[Mapping[str, str]] = {
    "customer.read": "/customers",
    "subscription.read": "/subscriptions",
    "transaction.read": "/transactions",
    "product.read": "/products",
    "price.read": "/prices",
}


async def inspect(
    paddle: Paddle, expected: Expected, *, api_key: str, webhook_secrets: tuple[str, ...]
) -> tuple[Finding, ...]:
    """Return what is right and what is wrong at Paddle.

    Args:
        expected: what the installation expects.
        api_key: looked at for its mode, never shown.
        webhook_secrets: the configured secrets of the notification destination.
    """
    try:
        date = await paddle.call(_date)
    except Forbidden:
        date = ""
    except Refused:
        return (_refused_key(),)
    except PaymentError as error:
        return (_unreachable(error),)
    parts: list[Awaitable[list[Finding]]] = [
        _permissions(paddle),
        _catalog(paddle),
        _payment_link(paddle),
    ]
    if expected.webhook_url is not None:
        parts.append(_destination(paddle, expected.webhook_url, webhook_secrets))
    return (
        _mode(api_key, secure=expected.secure),
        *clock("Paddle", date, tolerance=TOLERANCE_SECONDS, warn_after=_SKEW_WARNING_SECONDS),
        *await gathered(parts, first_failure),
    )


def _refused_key() -> Finding:
    return problem(
        "key",
        "Paddle refuses PADDLE_API_KEY: it is unknown, revoked, expired, or of the other environment.",
        f"Take a valid API key from {_KEYS_PAGE} and set PADDLE_API_KEY to it. An older key that does not "
        "begin with pdl_ does not tell its environment: for the sandbox's set "
        "PADDLE_API_BASE=https://sandbox-api.paddle.com.",
    )


def _unreachable(error: PaymentError) -> Finding:
    mend = (
        "See that this machine can reach api.paddle.com, through a proxy (HTTPS_PROXY) where it must; "
        "PADDLE_API_BASE must be unset, unless the provider stands elsewhere."
    )
    if isinstance(error, ProviderUnavailable) and error.retry_after is not None:
        mend = "Run this again in a moment."
    return problem("provider", str(error), mend)


def _date(client: Client) -> str:
    return header(client.get_raw("/event-types").headers, "date")


# ---------------------------------------------------------------- the key


def _mode(api_key: str, *, secure: bool) -> Finding:
    live = api_key.startswith("pdl_live_")
    if not live and not api_key.startswith("pdl_sdbx_"):
        return warning(
            "mode",
            "PADDLE_API_KEY does not tell whether it is a live one.",
            f"Make a new one in {_KEYS_PAGE}; they begin with pdl_live_ or pdl_sdbx_.",
        )
    return mode(
        live=live,
        secure=secure,
        to_go_live="For production set PADDLE_API_KEY and PADDLE_WEBHOOK_SECRET to those of the live account.",
    )


# ---------------------------------------------------------------- permissions, catalogue and checkout


async def _permissions(paddle: Paddle) -> list[Finding]:
    """Find what the key may not read; what it may write can only be told by writing."""
    allowed = await asyncio.gather(*(_is_allowed(paddle, path) for path in _READS.values()))
    missing = [name for name, is_allowed in zip(_READS, allowed, strict=True) if not is_allowed]
    if not missing:
        return [fine("permissions", "The key may read everything that is needed.")]
    return [
        problem(
            "permissions",
            f"The key lacks the permissions {', '.join(missing)}.",
            f"Edit it in {_KEYS_PAGE}. It also needs customer.write, customer_portal_session.write, "
            "transaction.write, address.read, business.read, payment_method.read and notification.read.",
        )
    ]


async def _is_allowed(paddle: Paddle, path: str) -> bool:
    def ask(client: Client) -> Any:
        return client.get_raw(path, {"per_page": "1"})

    try:
        await paddle.call(ask)
    except Forbidden:
        return False
    return True


async def _catalog(paddle: Paddle) -> list[Finding]:
    catalog = await fetch_catalog(paddle)
    offered = any(
        price.active and price.interval
        for product in catalog.products
        if product.active
        for price in product.prices
    )
    if offered:
        return [fine("catalogue", "There is an active product with an active recurring price.")]
    return [
        warning(
            "catalogue",
            "Nothing can be bought: no active product has an active recurring price.",
            "Activate a product with a recurring price in Paddle's dashboard under Catalog.",
        )
    ]


async def _payment_link(paddle: Paddle) -> list[Finding]:
    """Look for the page that checkouts open on, where the key may; it is newer than the SDK."""

    def ask(client: Client) -> Any:
        return client.get_raw("/settings/checkout-url").json()["data"]

    check = "payment link"
    try:
        link = (await paddle.call(ask)).get("default_url")
    except Refused:
        return [
            warning(
                check,
                "The key may not read the checkout settings, so whether a default payment link is set is "
                "not known. Without one nothing can be bought.",
                f"See that one is set in {_CHECKOUT_PAGE}, or give the key checkout_settings.read.",
            )
        ]
    if link:
        return [fine(check, "A default payment link is set.")]
    return [
        problem(
            check,
            "No default payment link is set, so nothing can be bought.",
            f"Set it in {_CHECKOUT_PAGE} to a page of yours that loads Paddle.js.",
        )
    ]


# ---------------------------------------------------------------- webhooks


async def _destination(paddle: Paddle, url: str, secrets: tuple[str, ...]) -> list[Finding]:
    check = "webhook destination"
    no_secret = [] if secrets else [_no_secret()]
    try:
        settings = await paddle.call(_all_destinations)
    except Forbidden:
        return [
            *no_secret,
            warning(
                check,
                "The key may not read notification destinations, so whether one points here is not known.",
                f"Give the key notification_setting.read in {_KEYS_PAGE}, if only while running this.",
            ),
        ]
    ours = [one for one in settings if one.destination == url]
    active = [one for one in ours if one.active]
    if not ours:
        return [
            *no_secret,
            problem(
                check,
                f"Paddle has no notification destination for {url}, so nothing is heard of changes there.",
                f"Add it in {_WEBHOOKS_PAGE}, with at least these events: {', '.join(NEEDED_EVENTS)}. "
                "If this is not the address Paddle reaches the dashboard under, set API_URL.",
            ),
        ]
    if not active:
        return [
            *no_secret,
            problem(
                check,
                f"The notification destination {ours[0].id} is not active.",
                f"Activate it in {_WEBHOOKS_PAGE}.",
            ),
        ]
    found = [finding for one in active for finding in _of_destination(one, secrets)]
    return [
        *no_secret,
        *(
            found
            or [
                fine(
                    check,
                    f"The notification destination {active[0].id} is active, has every event needed, and "
                    "its secret is set.",
                )
            ]
        ),
    ]


def _all_destinations(client: Client) -> list[NotificationSetting]:
    # At most ten can be active, so the first page holds all that matter.
    return list(
        client.notification_settings.list(ListNotificationSettings(Pager(per_page=200))).items
    )


def _of_destination(one: NotificationSetting, secrets: tuple[str, ...]) -> Iterator[Finding]:
    has = {event.name.value for event in one.subscribed_events}
    missing = [name for name in NEEDED_EVENTS if name not in has]
    if missing:
        yield problem(
            "webhook events",
            f"The notification destination {one.id} is not told of {', '.join(missing)}.",
            f"Add them to it in {_WEBHOOKS_PAGE}.",
        )
    key = one.endpoint_secret_key.encode()
    if secrets and not any(hmac.compare_digest(key, secret.encode()) for secret in secrets):
        yield problem(
            "webhook secret",
            f"PADDLE_WEBHOOK_SECRET is not the secret of the notification destination {one.id}, so its "
            "events are turned away.",
            f"Copy the secret key (pdl_ntfset_…) from {_WEBHOOKS_PAGE}; several, while one is being "
            "replaced, are separated by commas.",
        )


def _no_secret() -> Finding:
    return problem(
        "webhook secret",
        "PADDLE_WEBHOOK_SECRET is not set, so every event is turned away.",
        f"Copy the destination's secret key (pdl_ntfset_…) from {_WEBHOOKS_PAGE} and set "
        "PADDLE_WEBHOOK_SECRET to it. Without a public address, set EVENTS_MODE=poll instead.",
    )
