"""Is everything at Polar as it must be? Asked with calls that change nothing."""

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from typing import Final

from polar.base import PolarError
from polar.v2026_10.outputs import Organization, WebhookEndpoint

from billing_ui.clock import utc_now
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
from billing_ui.payments.polar.client import (
    PAGE,
    KeyRefused,
    PolarClient,
    ScopeMissing,
    translated,
)
from billing_ui.payments.polar.webhooks import NEEDED_EVENTS, TOLERANCE_SECONDS, log_page
from billing_ui.payments.types import PaymentError

SKEW_WARNING_SECONDS: Final = 60

_NOBODY: Final = "00000000-0000-4000-8000-000000000000"
_TOKENS_PAGE: Final = "Polar's dashboard under Settings → General → Developers"
_WEBHOOKS_PAGE: Final = "Polar's dashboard under Settings → Webhooks"
_LOOKED_BACK: Final = timedelta(days=1)

Check = Callable[[], Awaitable[object]]


async def inspect(
    client: PolarClient,
    expected: Expected,
    *,
    testing: bool,
    webhook_secrets: tuple[str, ...],
) -> tuple[Finding, ...]:
    """Return what is right and what is wrong at Polar.

    Args:
        client: of the organization.
        expected: what the installation expects.
        testing: whether the API is another one than that where real money moves.
        webhook_secrets: the signing secrets that are configured.
    """
    try:
        first = await client.send_request(
            client.build_request("GET", "/v1/customers/", query_params={"limit": 1})
        )
        date = first.headers.get("date", "")
    except KeyRefused:
        return (
            problem(
                "key",
                "Polar refuses POLAR_ACCESS_TOKEN: it is unknown, revoked or expired, or of Polar's other "
                "environment.",
                f"Take a valid organization access token from {_TOKENS_PAGE} and set POLAR_ACCESS_TOKEN to it. "
                "For Polar's sandbox set POLAR_API_BASE=https://sandbox-api.polar.sh too.",
            ),
        )
    except ScopeMissing:
        # Reached, and the key is good for something: the rest will tell what is wrong.
        date = ""
    except PaymentError as error:
        return (
            problem(
                "provider",
                str(error),
                "See that this machine can reach api.polar.sh, through a proxy (HTTPS_PROXY) where it must; "
                "POLAR_API_BASE must be unset, unless the provider stands elsewhere.",
            ),
        )
    parts = [_scopes(client), _organization(client)]
    if expected.webhook_url is not None:
        parts.append(_endpoint(client, expected.webhook_url, webhook_secrets))
    return (
        mode(
            live=not testing,
            secure=expected.secure,
            to_go_live="For production set POLAR_ACCESS_TOKEN to one of polar.sh, and unset POLAR_API_BASE.",
        ),
        *clock("Polar", date, tolerance=TOLERANCE_SECONDS, warn_after=SKEW_WARNING_SECONDS),
        *await gathered(parts, translated),
    )


# ---------------------------------------------------------------- what the token may do


async def _scopes(client: PolarClient) -> list[Finding]:
    """Find out what the token may do by reading a little, and by asking for what nobody can be given."""
    checks: dict[str, Check] = {
        "customers:read": lambda: client.customers.list(limit=1),
        "customers:write": lambda: client.customers.update(_NOBODY),
        "customer_sessions:write": lambda: client.customer_sessions.create(customer_id=_NOBODY),
        "members:read": lambda: client.customers.members.get(_NOBODY, _NOBODY),
        "checkouts:write": lambda: client.checkouts.create(products=[_NOBODY]),
        "subscriptions:read": lambda: client.subscriptions.list(limit=1),
        "orders:read": lambda: client.orders.list(limit=1),
        "products:read": lambda: client.products.list(limit=1),
        "events:read": lambda: log_page(client, limit=1),
        "organizations:read": lambda: client.organizations.list(limit=1),
        "webhooks:read": lambda: client.webhooks.list_webhook_endpoints(limit=1),
    }
    lacking = await asyncio.gather(*(_lacks(check) for check in checks.values()))
    missing = [scope for scope, lacks in zip(checks, lacking, strict=True) if lacks]
    if missing:
        return [
            problem(
                "permissions",
                f"POLAR_ACCESS_TOKEN lacks {', '.join(missing)}.",
                f"Give the token these scopes in {_TOKENS_PAGE}.",
            )
        ]
    return [fine("permissions", "The access token may do everything that is needed.")]


async def _lacks(check: Check) -> bool:
    try:
        await check()
    except ScopeMissing:
        return True
    except PolarError:
        # There is nobody of that id: the token may ask.
        return False
    return False


# ---------------------------------------------------------------- the organization


async def _organization(client: PolarClient) -> list[Finding]:
    found = (await client.organizations.list(limit=2)).items
    if len(found) != 1:
        return [
            problem(
                "organization",
                "The access token is of a person, not of one organization.",
                f"Take an organization access token from {_TOKENS_PAGE}.",
            )
        ]
    return list(_settings(found[0]))


def _settings(organization: Organization) -> Iterator[Finding]:
    page = "Polar's dashboard under Settings → Billing"
    if organization.subscription_settings.allow_multiple_subscriptions:
        yield warning(
            "organization",
            "A customer may subscribe several times: two open checkouts can charge a team twice.",
            f"Switch off multiple subscriptions in {page}.",
        )
    portal = organization.customer_portal_settings.subscription
    if not portal.update_plan:
        yield warning(
            "portal",
            "Customers can't change their plan in Polar's portal.",
            f"Allow plan changes in {page}.",
        )
    if not organization.subscription_settings.allow_multiple_subscriptions and portal.update_plan:
        yield fine("organization", f"The organization {organization.name} is set up as needed.")


# ---------------------------------------------------------------- the webhook endpoint


async def _endpoint(client: PolarClient, url: str, secrets: tuple[str, ...]) -> list[Finding]:
    check = "webhook"
    if not secrets:
        return [
            problem(
                check,
                "POLAR_WEBHOOK_SECRET is not set: every webhook is refused.",
                f"Copy the endpoint's secret from {_WEBHOOKS_PAGE}.",
            )
        ]
    endpoints = (await client.webhooks.list_webhook_endpoints(limit=PAGE)).items
    at_url = (endpoint for endpoint in endpoints if endpoint.url == url)
    # One that is switched off does no harm beside one that is not.
    ours = min(at_url, key=lambda endpoint: not endpoint.enabled, default=None)
    if ours is None:
        return [
            problem(
                check,
                f"Polar sends no events to {url}.",
                f"Add an endpoint with this address and the format Raw in {_WEBHOOKS_PAGE}.",
            )
        ]
    wrong = list(_faults(ours, secrets)) + await _failures(client, ours)
    return wrong or [fine(check, f"Polar sends the events needed to {url}.")]


def _faults(endpoint: WebhookEndpoint, secrets: tuple[str, ...]) -> Iterator[Finding]:
    check = "webhook"
    if not endpoint.enabled:
        yield problem(
            check,
            f"The endpoint {endpoint.url} is switched off, as Polar does after many failures.",
            f"Switch it on in {_WEBHOOKS_PAGE}.",
        )
    if endpoint.format != "raw":
        yield problem(
            check,
            f"The endpoint is sent messages in the format {endpoint.format}.",
            f"Set the format Raw in {_WEBHOOKS_PAGE}.",
        )
    if missing := sorted(set(NEEDED_EVENTS) - set(endpoint.events)):
        yield warning(
            check,
            f"The endpoint is not told of {', '.join(missing)}.",
            f"Add these events in {_WEBHOOKS_PAGE}. Until then they are found some minutes later.",
        )
    known = endpoint.secret.encode()
    if not any(hmac.compare_digest(known, secret.encode()) for secret in secrets):
        yield problem(
            check,
            "POLAR_WEBHOOK_SECRET is not the endpoint's secret: every webhook is refused.",
            f"Copy the endpoint's secret from {_WEBHOOKS_PAGE}.",
        )


async def _failures(client: PolarClient, endpoint: WebhookEndpoint) -> list[Finding]:
    failed = await client.webhooks.list_webhook_deliveries(
        endpoint_id=endpoint.id,
        succeeded=False,
        start_timestamp=(utc_now() - _LOOKED_BACK).isoformat(),
        limit=1,
    )
    if not failed.items:
        return []
    code = failed.items[0].http_code
    answered = f"answered with {code}" if code else "not answered"
    return [
        warning(
            "deliveries",
            f"Within a day {failed.pagination.total_count} deliveries failed; the last one was {answered}.",
            "401 means another signing secret, 404 another address, no answer a firewall. Meanwhile "
            "recovery finds what was missed, some minutes later.",
        )
    ]
