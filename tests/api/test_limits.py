"""How the API says that a limit is reached, and what counts towards it."""

from collections.abc import AsyncIterator

import httpx
import pytest

from billing_ui.accounts.clients import client_bound
from billing_ui.accounts.errors import InvalidCredentials
from billing_ui.accounts.limits import CALLS, FAILED_SIGN_INS, PORTAL
from billing_ui.accounts.sessions import identify
from billing_ui.accounts.users import create_user
from billing_ui.api.app import create_api
from billing_ui.api.health import Readiness
from billing_ui.billing.services import Services
from billing_ui.models import Role
from billing_ui.settings import Settings
from tests.api.world import BASE_URL, Person, World, client_of

EMAIL, PASSWORD = "ada@example.com", "correct horse & co"
OURS = {"Origin": BASE_URL}


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """SQLite alone: nothing here depends on the database."""
    return sqlite_url


@pytest.fixture
async def owner(world: World) -> Person:
    """The owner of a team with a customer."""
    person = await world.person()
    await world.customer(person.team)
    return person


async def use_up_portal(services: Services, person: Person, *, but: int = 0) -> None:
    """Count as many portals as the person may open, but a few."""
    identity = await identify(services.database, person.token)
    assert identity is not None
    for _ in range(PORTAL.times - but):
        await services.limits.count_portal(identity)


async def use_up_calls(services: Services, person: Person) -> None:
    """Count as many calls as the person's token may make."""
    identity = await identify(services.database, person.token)
    assert identity is not None
    for _ in range(CALLS.times):
        await services.limits.count_call(identity)


def expect_limited(response: httpx.Response) -> None:
    """Expect that an answer names the limit, and when to come again."""
    assert response.status_code == 429
    seconds = int(response.headers["retry-after"])
    assert 1 <= seconds <= 60
    assert response.json() == {
        "success": False,
        "error": {
            "code": "RATE_LIMITED",
            "message": f"Too many tries. Try again in {seconds} seconds.",
        },
    }


# ---------------------------------------------------------------- the portal


async def test_the_thirty_first_portal_within_a_minute_is_refused(
    client: httpx.AsyncClient, services: Services, owner: Person
) -> None:
    await use_up_portal(services, owner, but=1)
    body = {"returnUrl": "/"}
    last = await client.post("/api/billing/portal", json=body, headers=owner.bearer)
    assert last.status_code == 200
    refused = await client.post("/api/billing/portal", json=body, headers=owner.bearer)
    expect_limited(refused)
    # The browser's address counts the same person.
    plain = await client.post("/api/payments/portal", headers=owner.cookie)
    assert plain.status_code == 429
    assert plain.json() == {"error": "Too many requests"}
    assert 1 <= int(plain.headers["retry-after"]) <= 60


@pytest.mark.parametrize(
    ("body", "status"),
    [({}, 400), ({"returnUrl": "https://evil.example/"}, 400), ({"returnUrl": 1}, 400)],
)
async def test_a_call_that_is_wrong_in_itself_is_told_so_first_and_does_not_count(
    client: httpx.AsyncClient, services: Services, owner: Person, body: object, status: int
) -> None:
    await use_up_portal(services, owner, but=1)
    for _ in range(3):
        wrong = await client.post("/api/billing/portal", json=body, headers=owner.bearer)
        assert wrong.status_code == status
    right = await client.post("/api/billing/portal", json={"returnUrl": "/"}, headers=owner.bearer)
    assert right.status_code == 200
    wrong = await client.post("/api/billing/portal", json=body, headers=owner.bearer)
    assert wrong.status_code == status


async def test_whoever_may_not_open_the_portal_is_not_counted(
    client: httpx.AsyncClient, world: World, owner: Person
) -> None:
    member = await world.person(Role.MEMBER, team=owner.team)
    for _ in range(PORTAL.times + 1):
        refused = await client.post(
            "/api/billing/portal", json={"returnUrl": "/"}, headers=member.bearer
        )
        assert refused.status_code == 403


async def test_one_persons_limit_is_not_anothers(
    client: httpx.AsyncClient, services: Services, world: World, owner: Person
) -> None:
    colleague = await world.person(Role.BILLING_MANAGER, team=owner.team)
    await use_up_portal(services, owner)
    response = await client.post("/api/payments/portal", headers=colleague.cookie)
    assert response.status_code == 200


# ---------------------------------------------------------------- every call


@pytest.mark.parametrize(
    "path", ["/api/billing/subscription", "/api/billing/invoices", "/api/billing/portal"]
)
async def test_the_hundred_and_twenty_first_call_of_a_token_within_a_minute_is_refused(
    client: httpx.AsyncClient, services: Services, owner: Person, path: str
) -> None:
    await use_up_calls(services, owner)
    method, body = ("POST", {"returnUrl": "/"}) if path.endswith("portal") else ("GET", None)
    expect_limited(await client.request(method, path, json=body, headers=owner.bearer))


async def test_checkout_counts_as_a_call_before_the_provider_is_asked(
    client: httpx.AsyncClient, services: Services, world: World
) -> None:
    person = await world.person()
    await use_up_calls(services, person)
    response = await client.post(
        "/api/billing/checkout", json={"priceId": world.shop.price}, headers=person.bearer
    )
    expect_limited(response)
    unknown = await client.post(
        "/api/billing/checkout", json={"priceId": "price_none"}, headers=person.bearer
    )
    assert unknown.status_code == 400


# ---------------------------------------------------------------- signing in


@pytest.fixture
async def ada(services: Services) -> str:
    """Somebody with a password; her e-mail."""
    await create_user(services.database, EMAIL, PASSWORD)
    return EMAIL


async def fail_to_sign_in(services: Services, times: int = FAILED_SIGN_INS.times) -> None:
    """Count failed tries, from the address the tests' client has."""
    for _ in range(times):
        with client_bound("127.0.0.1", None), pytest.raises(InvalidCredentials):
            async with services.limits.counting_failed_sign_in(EMAIL):
                raise InvalidCredentials


async def test_after_ten_failed_sign_ins_not_even_the_right_password_is_looked_at(
    client: httpx.AsyncClient, services: Services, ada: str
) -> None:
    await fail_to_sign_in(services, FAILED_SIGN_INS.times - 1)
    wrong = {"email": ada, "password": "wrong"}
    right = {"email": ada, "password": PASSWORD}
    assert (await client.post("/api/auth/sign-in", json=right)).status_code == 200
    assert (await client.post("/api/auth/sign-in", json=wrong)).status_code == 401
    refused = await client.post("/api/auth/sign-in", json=right)
    assert refused.status_code == 429
    assert refused.json()["error"] == {
        "code": "RATE_LIMITED",
        "message": "Too many tries. Try again in 15 minutes.",
    }
    assert "set-cookie" not in refused.headers
    form = await client.post("/auth/sign-in", data=right | {"next": "/pricing"}, headers=OURS)
    assert form.status_code == 303
    assert form.headers["location"] == f"{BASE_URL}/sign-in?error=limited&next=%2Fpricing"
    assert "set-cookie" not in form.headers


async def test_an_account_nobody_has_is_limited_just_the_same(
    client: httpx.AsyncClient, services: Services
) -> None:
    await fail_to_sign_in(services)
    response = await client.post("/api/auth/sign-in", json={"email": EMAIL, "password": "x"})
    assert response.status_code == 429


@pytest.fixture
async def behind_proxy(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an installation behind one proxy."""
    services = Services.open(settings.model_copy(update={"trusted_proxy_hops": 1}))
    await create_user(services.database, EMAIL, PASSWORD)
    async with client_of(create_api(lambda: services, Readiness())) as opened:
        yield opened
    await services.close()


async def test_behind_a_proxy_people_are_told_apart_by_what_it_says_and_not_by_what_they_say(
    behind_proxy: httpx.AsyncClient,
) -> None:
    wrong, right = ({"email": EMAIL, "password": word} for word in ("wrong", PASSWORD))
    for number in range(FAILED_SIGN_INS.times):
        claimed = {"X-Forwarded-For": f"203.0.113.{number}, 192.0.2.1"}
        answer = await behind_proxy.post("/api/auth/sign-in", json=wrong, headers=claimed)
        assert answer.status_code == 401
    guesser = {"X-Forwarded-For": "203.0.113.99, 192.0.2.1"}
    ada = {"X-Forwarded-For": "192.0.2.1, 198.51.100.7"}
    limited = await behind_proxy.post("/api/auth/sign-in", json=right, headers=guesser)
    assert limited.status_code == 429
    welcome = await behind_proxy.post("/api/auth/sign-in", json=right, headers=ada)
    assert welcome.status_code == 200


async def test_limits_can_be_switched_off(settings: Settings) -> None:
    services = Services.open(settings.model_copy(update={"rate_limits": "off"}))
    await create_user(services.database, EMAIL, PASSWORD)
    async with client_of(create_api(lambda: services, Readiness())) as client:
        for _ in range(FAILED_SIGN_INS.times + 2):
            wrong = {"email": EMAIL, "password": "wrong"}
            assert (await client.post("/api/auth/sign-in", json=wrong)).status_code == 401
    await services.close()
