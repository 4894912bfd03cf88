"""Is everything at Stripe as it must be? Asked with calls that change nothing."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

import stripe

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
from billing_ui.payments.stripe.catalog import content_hash, fetch_catalog, portal_content
from billing_ui.payments.stripe.client import (
    PAGE,
    all_pages,
    is_missing,
    translate,
    translated,
)
from billing_ui.payments.stripe.mapping import metadata_of
from billing_ui.payments.stripe.webhooks import NEEDED_EVENTS, TOLERANCE_SECONDS
from billing_ui.payments.types import NoActivePrices, PortalConfigurationRef, ProductNotActive

if TYPE_CHECKING:
    from stripe.params.billing_portal import ConfigurationCreateParams

SKEW_WARNING_SECONDS: Final = 60

_NOBODY: Final = "cus_billing_ui_doctor"
_NOTHING: Final = "bpc_billing_ui_doctor"
_WEBHOOKS_PAGE: Final = "Stripe's dashboard under Developers → Webhooks"
_KEYS_PAGE: Final = "Stripe's dashboard under Developers → API keys"


async def inspect(
    client: stripe.StripeClient,
    expected: Expected,
    *,
    livemode: bool | None,
    webhook_secrets: tuple[str, ...],
    named_configuration: str | None,
) -> tuple[Finding, ...]:
    """Return what is right and what is wrong at Stripe.

    Args:
        expected: what the installation expects.
        livemode: the mode of the key that `client` uses, None when it does not tell.
        webhook_secrets: the signing secrets that are configured.
        named_configuration: the portal configuration that the settings name, None when we make our own.
    """
    try:
        first = await client.v1.customers.list_async({"limit": 1})
    except (stripe.AuthenticationError, stripe.APIConnectionError) as error:
        return (_unreachable(error),)
    except stripe.StripeError:
        # Reached, and the key is good for something: the rest will tell what is wrong.
        first = None
    parts = [
        _permissions(client),
        _configuration(client, named_configuration, expected.portal_configuration),
    ]
    if expected.webhook_url is not None:
        parts.append(_endpoint(client, expected.webhook_url))
    secrets = _secrets(webhook_secrets) if expected.webhook_url is not None else ()
    return (
        _mode(livemode, secure=expected.secure),
        *(_clock(first) if first is not None else ()),
        *secrets,
        *await gathered(parts, translated),
    )


def _unreachable(error: stripe.StripeError) -> Finding:
    if isinstance(error, stripe.AuthenticationError):
        return problem(
            "key",
            "Stripe refuses STRIPE_SECRET_KEY: it is unknown, revoked or expired.",
            f"Take a valid secret or restricted key from {_KEYS_PAGE} and set STRIPE_SECRET_KEY to it.",
        )
    return problem(
        "provider",
        str(translate(error)),
        "See that this machine can reach api.stripe.com, through a proxy (HTTPS_PROXY) where it must; "
        "STRIPE_API_BASE must be unset, unless the provider stands elsewhere.",
    )


# ---------------------------------------------------------------- key, mode and clock


def _mode(livemode: bool | None, *, secure: bool) -> Finding:
    if livemode is None:
        return problem(
            "mode",
            "STRIPE_SECRET_KEY does not look like a key of Stripe's, test or live.",
            f"Take one that begins with sk_ or rk_ from {_KEYS_PAGE}.",
        )
    return mode(
        live=livemode,
        secure=secure,
        to_go_live="For production set STRIPE_SECRET_KEY to a live key, and STRIPE_WEBHOOK_SECRET to the secret "
        "of the live endpoint.",
    )


def _clock(answer: stripe.StripeObject) -> Iterator[Finding]:
    response = answer.last_response
    date = header(response.headers if response else None, "date")
    return clock("Stripe", date, tolerance=TOLERANCE_SECONDS, warn_after=SKEW_WARNING_SECONDS)


# ---------------------------------------------------------------- permissions


async def _permissions(client: stripe.StripeClient) -> list[Finding]:
    """Find what a restricted key lacks.

    Stripe checks permissions before it looks for the thing asked about, so a write to something that does
    not exist tells them apart and changes nothing.
    """
    v1 = client.v1
    nowhere = "https://example.com/"
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "read Customers": lambda: v1.customers.list_async({"limit": 1}),
        "read Subscriptions": lambda: v1.subscriptions.list_async({"limit": 1}),
        "read Invoices": lambda: v1.invoices.list_async({"limit": 1}),
        "read Payment Methods": lambda: v1.payment_methods.list_async(
            {"limit": 1, "customer": _NOBODY}
        ),
        "read Products": lambda: v1.products.list_async({"limit": 1}),
        "read Prices": lambda: v1.prices.list_async({"limit": 1}),
        "read Events": lambda: v1.events.list_async({"limit": 1}),
        "write Customers": lambda: v1.customers.update_async(_NOBODY, {"metadata": {}}),
        "write Customer portal": lambda: v1.billing_portal.sessions.create_async(
            {"customer": _NOBODY, "configuration": _NOTHING, "return_url": nowhere}
        ),
        "write Checkout Sessions": lambda: v1.checkout.sessions.create_async(
            {"mode": "setup", "customer": _NOBODY, "currency": "usd", "success_url": nowhere}
        ),
    }
    allowed = await asyncio.gather(*(_is_allowed(call()) for call in calls.values()))
    missing = [name for name, is_allowed in zip(calls, allowed, strict=True) if not is_allowed]
    if not missing:
        return [fine("permissions", "The key may do everything that is needed.")]
    return [
        problem(
            "permissions",
            f"The key lacks the permission to {' and to '.join(missing)}.",
            f"Edit the restricted key in {_KEYS_PAGE}, and give it what is missing.",
        )
    ]


async def _is_allowed(call: Awaitable[object]) -> bool:
    try:
        await call
    except stripe.PermissionError:
        return False
    except stripe.InvalidRequestError:
        # There is no such customer, as was to be expected.
        return True
    return True


# ---------------------------------------------------------------- webhooks


def _secrets(secrets: tuple[str, ...]) -> Iterator[Finding]:
    mend = (
        f"Copy the endpoint's signing secret (whsec_…) from {_WEBHOOKS_PAGE} and set "
        "STRIPE_WEBHOOK_SECRET to it; several, while one is being replaced, are separated by commas."
    )
    if not secrets:
        yield problem(
            "webhook secret",
            "STRIPE_WEBHOOK_SECRET is not set, so every event is turned away.",
            f"{mend} Without a public address, set EVENTS_MODE=poll instead.",
        )
    elif not all(secret.startswith("whsec_") for secret in secrets):
        yield problem(
            "webhook secret",
            "STRIPE_WEBHOOK_SECRET holds something that is not the signing secret of an endpoint.",
            mend,
        )
    else:
        yield fine("webhook secret", "A signing secret is set.")


async def _endpoint(client: stripe.StripeClient, url: str) -> list[Finding]:
    check = "webhook endpoint"
    try:
        endpoints = await all_pages(client.v1.webhook_endpoints.list_async({"limit": PAGE}))
    except stripe.PermissionError:
        return [
            warning(
                check,
                "The key may not read webhook endpoints, so whether one points here is not known.",
                f'Give the key "read Webhook Endpoints" in {_KEYS_PAGE}, if only while running this.',
            )
        ]
    ours = [endpoint for endpoint in endpoints if endpoint.url == url]
    enabled = [endpoint for endpoint in ours if endpoint.status == "enabled"]
    if not ours:
        return [
            problem(
                check,
                f"Stripe has no webhook endpoint for {url}, so nothing is heard of changes there.",
                f"Add it in {_WEBHOOKS_PAGE}, with at least these events: {', '.join(NEEDED_EVENTS)}. "
                "If this is not the address Stripe reaches the dashboard under, set API_URL.",
            )
        ]
    if not enabled:
        return [
            problem(
                check,
                f"The webhook endpoint {ours[0].id} is disabled.",
                f"Enable it in {_WEBHOOKS_PAGE}.",
            )
        ]
    found = [finding for endpoint in enabled for finding in _of_endpoint(endpoint)]
    if len(enabled) > 1:
        found.append(
            warning(
                check,
                f"{len(enabled)} webhook endpoints point here, so each event comes as often.",
                f"Keep {enabled[0].id} and delete the others in {_WEBHOOKS_PAGE}.",
            )
        )
    return found or [
        fine(check, f"The webhook endpoint {enabled[0].id} is enabled and has every event needed.")
    ]


def _of_endpoint(endpoint: stripe.WebhookEndpoint) -> Iterator[Finding]:
    has = set(endpoint.enabled_events)
    missing = [] if "*" in has else [name for name in NEEDED_EVENTS if name not in has]
    if missing:
        yield problem(
            "webhook events",
            f"The webhook endpoint {endpoint.id} is not told of {', '.join(missing)}.",
            f"Add them to it in {_WEBHOOKS_PAGE}.",
        )
    # Versions are dates, with a name behind since 2024.
    version, known = endpoint.api_version or "", stripe.api_version
    if version[:10] > known[:10]:
        yield warning(
            "webhook version",
            f"The webhook endpoint {endpoint.id} speaks version {version}, which is newer than this "
            f"program knows ({known}).",
            f"Update this program, or make the endpoint anew with version {known}.",
        )


# ---------------------------------------------------------------- portal configuration


async def _configuration(
    client: stripe.StripeClient, named: str | None, known: PortalConfigurationRef | None
) -> list[Finding]:
    if named is not None:
        return [await _named_configuration(client, named)]
    try:
        content = portal_content(await fetch_catalog(client))
    except (ProductNotActive, NoActivePrices) as error:
        return [
            warning(
                "portal configuration",
                f"Nothing can be bought or switched to. {error}",
                "Activate a product with a recurring price in Stripe's dashboard.",
            )
        ]
    if known is None:
        return [fine("portal configuration", "It is made when somebody first opens the portal.")]
    return [await _own_configuration(client, known, content)]


async def _named_configuration(client: stripe.StripeClient, named: str) -> Finding:
    check, mend = (
        "portal configuration",
        "Set STRIPE_PORTAL_CONFIGURATION to an active one, or unset it to have one made.",
    )
    found = await _retrieve(client, named)
    if found is None:
        return problem(
            check, f"Stripe has no portal configuration {named} under this key and mode.", mend
        )
    if not found.active:
        return problem(check, f"The portal configuration {named} is not active.", mend)
    return fine(check, f"The portal configuration {named} that the settings name is active.")


async def _own_configuration(
    client: stripe.StripeClient, known: PortalConfigurationRef, content: "ConfigurationCreateParams"
) -> Finding:
    check = "portal configuration"
    anew = "Nothing need be done: the next click on Manage Billing makes it anew."
    found = await _retrieve(client, known.id)
    if found is None:
        return warning(check, f"Stripe has no portal configuration {known.id} any more.", anew)
    if not found.active:
        return warning(check, f"The portal configuration {known.id} is not active.", anew)
    if metadata_of(found, "content_hash") != known.hash:
        return warning(
            check,
            f"The portal configuration {known.id} was written by another installation with this account.",
            "Give each installation a configuration of its own with STRIPE_PORTAL_CONFIGURATION.",
        )
    if content_hash(content) != known.hash:
        return warning(
            check,
            f"The portal configuration {known.id} was made of an older catalogue.",
            "Nothing need be done when products or prices changed just now: it follows with the next "
            "refresh of the catalogue.",
        )
    if differing := sorted(_differences(content, found.to_dict(for_json=True))):
        return warning(
            check,
            f"Somebody changed the portal configuration {known.id}: {', '.join(differing)}.",
            "Undo it in Stripe's dashboard under Settings → Billing → Customer portal. To keep it, set "
            f"STRIPE_PORTAL_CONFIGURATION={known.id}; it is then never written again.",
        )
    return fine(check, f"The portal configuration {known.id} is as we made it.")


async def _retrieve(
    client: stripe.StripeClient, configuration_id: str
) -> "stripe.billing_portal.Configuration | None":
    try:
        return await client.v1.billing_portal.configurations.retrieve_async(
            configuration_id, {"expand": ["features.subscription_update.products"]}
        )
    except stripe.InvalidRequestError as error:
        if is_missing(error):
            return None
        raise


def _differences(wanted: object, found: object, path: str = "") -> Iterator[str]:
    """Yield where `found` says something else than `wanted`; what `wanted` does not mention may be anything."""
    if isinstance(wanted, Mapping):
        there = found if isinstance(found, Mapping) else {}
        for name, value in wanted.items():
            yield from _differences(value, there.get(name), f"{path}.{name}" if path else name)
    elif isinstance(wanted, list):
        if _unordered(wanted) != _unordered(found):
            yield path
    elif wanted != found:
        yield path


def _unordered(entries: object) -> object:
    """Return a list so that order does not matter; of products, what they are and what they cost."""
    if not isinstance(entries, list):
        return entries
    return sorted(
        str((entry["product"], sorted(entry["prices"]))) if isinstance(entry, dict) else str(entry)
        for entry in entries
    )
