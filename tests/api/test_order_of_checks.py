"""A request that breaks several rules is told of the first one only, in the order the API promises."""

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import httpx
import pytest

from billing_ui.models import Role
from tests.api.world import World

EVIL = "https://evil.example/"


@dataclass(frozen=True)
class Rule:
    """One rule, and how each address answers when it is broken."""

    name: str
    status: int
    code: str
    message: str
    plain_status: int
    plain: str


RULES = (
    Rule("signed in", 401, "UNAUTHORIZED", "Authentication required", 401, "Unauthorized"),
    Rule("own origin", 403, "FORBIDDEN", "Only pages of http://localhost:3000", 403, "Forbidden"),
    Rule("body", 400, "INVALID_REQUEST", "surprise: unknown field", 400, "Invalid request body"),
    Rule("team", 404, "NOT_FOUND", "Team not found", 404, "No customer found"),
    Rule("role", 403, "FORBIDDEN", "Only an owner or billing manager", 403, "Forbidden"),
    Rule(
        "customer", 404, "NOT_FOUND", "No billing customer record found", 404, "No customer found"
    ),
    Rule(
        "provider",
        409,
        "PROVIDER_MISMATCH",
        "Customer provider (polar) does not match active provider (stripe)",
        400,
        "Customer provider (polar) does not match active provider (stripe)",
    ),
    Rule("return URL", 400, "INVALID_RETURN_URL", "returnUrl: ", 400, "Invalid return URL"),
)
# Without a team there is no role and no customer, and without a customer no provider to be wrong.
IMPOSSIBLE = {("team", "role"), ("team", "provider"), ("customer", "provider")}
BROKEN = [(rule,) for rule in RULES] + [
    (first, second)
    for first, second in combinations(RULES, 2)
    if (first.name, second.name) not in IMPOSSIBLE
]
IDS = [" and ".join(rule.name for rule in rules) for rules in BROKEN]
BEARER_BROKEN = [rules for rules in BROKEN if all(rule.name != "own origin" for rule in rules)]
BEARER_IDS = [" and ".join(rule.name for rule in rules) for rules in BEARER_BROKEN]
# Checkout makes the customer that is missing.
CHECKOUT_BROKEN = [rules for rules in BROKEN if all(rule.name != "customer" for rule in rules)]
CHECKOUT_IDS = [" and ".join(rule.name for rule in rules) for rules in CHECKOUT_BROKEN]


async def _send(
    client: httpx.AsyncClient,
    world: World,
    path: str,
    broken: set[str],
    body: dict[str, Any],
    *,
    by: str,
) -> httpx.Response:
    """Send a request that breaks the named rules and no other."""
    role = None if "team" in broken else Role.MEMBER if "role" in broken else Role.OWNER
    person = await world.person(role)
    if "provider" in broken:
        await world.customer_of_another_provider(person.team)
    elif "customer" not in broken and person.team is not None:
        await world.customer(person.team)
    headers = dict(person.bearer if by == "bearer" else person.cookie)
    if "signed in" in broken:
        headers.pop("Cookie", None)
        headers.pop("Authorization", None)
    if "own origin" in broken:
        headers["Origin"] = "https://evil.example"
    if "body" in broken:
        body = body | {"surprise": 1}
    if "return URL" in broken:
        body = body | {"returnUrl": EVIL}
    return await client.post(path, json=body, headers=headers)


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """SQLite alone: nothing here depends on the database."""
    return sqlite_url


@pytest.mark.parametrize("rules", BEARER_BROKEN, ids=BEARER_IDS)
async def test_the_portal_for_programs_names_the_first_broken_rule(
    client: httpx.AsyncClient, world: World, rules: tuple[Rule, ...]
) -> None:
    broken = {rule.name for rule in rules}
    response = await _send(
        client, world, "/api/billing/portal", broken, {"returnUrl": "/"}, by="bearer"
    )
    _expect_envelope(response, rules[0])


@pytest.mark.parametrize("rules", BROKEN, ids=IDS)
async def test_the_portal_for_browsers_names_the_first_broken_rule(
    client: httpx.AsyncClient, world: World, rules: tuple[Rule, ...]
) -> None:
    broken = {rule.name for rule in rules}
    response = await _send(client, world, "/api/payments/portal", broken, {}, by="cookie")
    assert response.status_code == rules[0].plain_status
    assert response.json() == {"error": rules[0].plain}


@pytest.mark.parametrize("rules", CHECKOUT_BROKEN, ids=CHECKOUT_IDS)
async def test_checkout_names_the_first_broken_rule(
    client: httpx.AsyncClient, world: World, rules: tuple[Rule, ...]
) -> None:
    broken = {rule.name for rule in rules}
    body = {"priceId": world.shop.price}
    response = await _send(client, world, "/api/billing/checkout", broken, body, by="cookie")
    _expect_envelope(response, rules[0])


def _expect_envelope(response: httpx.Response, rule: Rule) -> None:
    assert response.status_code == rule.status, response.text
    answer = response.json()
    assert answer["success"] is False
    assert answer["error"]["code"] == rule.code
    assert answer["error"]["message"].startswith(rule.message)
    assert set(answer) == {"success", "error"}
    assert set(answer["error"]) == {"code", "message"}
