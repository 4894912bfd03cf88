"""How often somebody may do something: the same in Redis and in one process, and what happens without Redis."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from structlog.testing import capture_logs

from billing_ui.accounts import limits
from billing_ui.accounts.clients import client_bound
from billing_ui.accounts.errors import InvalidCredentials
from billing_ui.accounts.limits import Limit, Limits, TooManyTries
from billing_ui.accounts.sessions import Identity
from billing_ui.models import Role
from billing_ui.settings import Settings
from tests.redis_server import RedisServer

EMAIL = "ada@example.com"


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A running Redis."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


def make_settings(**given: object) -> Settings:
    """Return settings with what a test is about."""
    return Settings(_env_file=None, **given)


@pytest.fixture(params=["in one process", "in Redis"])
async def counting(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Limits]:
    """Limits, counted in each of the two places."""
    given = {}
    if request.param == "in Redis":
        # On a machine that stands still for half a second, these would be counted in the process instead.
        monkeypatch.setattr(limits, "_REDIS_ANSWERS_WITHIN", 60.0)
        given["redis_url"] = request.getfixturevalue("redis").url
    opened = Limits(make_settings(**given))
    yield opened
    await opened.close()


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still."""
    return Clock()


@pytest.fixture
def here(clock: Clock) -> Limits:
    """Limits counted in this process, by `clock`."""
    return Limits(make_settings(), clock)


def somebody(**given: UUID | None) -> Identity:
    """Return a person with a session, or what is given instead."""
    known = {"session_id": uuid4(), "user_id": uuid4(), "token_id": None} | given
    return Identity(
        email=EMAIL, user_name="", team_id=uuid4(), team_name="Acme", role=Role.OWNER, **known
    )


async def sign_in_in_vain(counting: Limits, email: str = EMAIL) -> None:
    """Try to sign in with a wrong password."""
    with pytest.raises(InvalidCredentials):
        async with counting.counting_failed_sign_in(email):
            raise InvalidCredentials


async def sign_in(counting: Limits, email: str = EMAIL) -> None:
    """Sign in with the right password."""
    async with counting.counting_failed_sign_in(email):
        pass


# ---------------------------------------------------------------- the portal, and calls


async def test_a_person_opens_the_portal_thirty_times_a_minute_in_whatever_sessions(
    counting: Limits,
) -> None:
    person = uuid4()
    for _ in range(30):
        await counting.count_portal(somebody(user_id=person))
    with pytest.raises(TooManyTries) as refused:
        await counting.count_portal(somebody(user_id=person))
    assert 1 <= refused.value.retry_after <= 60
    await counting.count_portal(somebody())


async def test_a_token_makes_a_hundred_and_twenty_calls_a_minute(counting: Limits) -> None:
    token = somebody(token_id=uuid4(), session_id=None, user_id=None)
    for _ in range(60):
        await counting.count_call(token)
        await counting.count_portal(token)
    for refused in (counting.count_call, counting.count_portal):
        with pytest.raises(TooManyTries):
            await refused(token)
    await counting.count_call(somebody())


async def test_many_calls_at_once_are_no_more_than_many_in_a_row(counting: Limits) -> None:
    person = somebody()
    calls = (counting.count_portal(person) for _ in range(100))
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(result is None for result in results) == 30
    assert sum(isinstance(result, TooManyTries) for result in results) == 70


async def test_there_is_room_again_when_the_first_is_a_minute_ago(
    here: Limits, clock: Clock
) -> None:
    person = somebody()
    for _ in range(30):
        await here.count_portal(person)
        clock.now += 1
    clock.now += 10.5
    with pytest.raises(TooManyTries) as refused:
        await here.count_portal(person)
    assert refused.value.retry_after == 20
    assert str(refused.value) == "Too many tries. Try again in 20 seconds."
    clock.now += 20
    await here.count_portal(person)
    with pytest.raises(TooManyTries) as refused:
        await here.count_portal(person)
    assert str(refused.value) == "Too many tries. Try again in 1 second."


async def test_redis_has_room_again_by_its_own_clock(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "PORTAL", Limit("short", 2, 0.2))
    counting, person = Limits(make_settings(redis_url=redis.url)), somebody()
    await counting.count_portal(person)
    await counting.count_portal(person)
    async with asyncio.timeout(20):
        while True:
            try:
                await counting.count_portal(person)
            except TooManyTries:
                await asyncio.sleep(0.01)
            else:
                break
    await counting.close()


async def test_whom_nobody_asked_after_for_long_is_forgotten(here: Limits, clock: Clock) -> None:
    for _ in range(50):
        await here.count_portal(somebody())
    clock.now += 61
    await here.count_portal(somebody())
    assert len(here._here._times) == len(here._here._forgotten_at) == 2


async def test_nothing_is_counted_when_limits_are_off(clock: Clock) -> None:
    off, person = Limits(make_settings(rate_limits="off"), clock), somebody()
    for _ in range(200):
        await off.count_portal(person)
        await sign_in_in_vain(off)


# ---------------------------------------------------------------- failed sign-ins


async def test_ten_failed_sign_ins_are_the_last_for_a_quarter_of_an_hour(
    here: Limits, clock: Clock
) -> None:
    for _ in range(10):
        await sign_in_in_vain(here)
    with pytest.raises(TooManyTries) as refused:
        await sign_in(here)
    assert refused.value.retry_after == 15 * 60
    assert str(refused.value) == "Too many tries. Try again in 15 minutes."
    clock.now += 15 * 60
    await sign_in(here)


async def test_an_account_is_told_from_others_and_however_it_is_written(counting: Limits) -> None:
    name = uuid4().hex
    for _ in range(10):
        await sign_in_in_vain(counting, f"{name}@example.com")
    with pytest.raises(TooManyTries):
        await sign_in(counting, f" {name.upper()}@EXAMPLE.com ")
    await sign_in(counting, f"other-{name}@example.com")


async def test_what_succeeds_or_breaks_does_not_count(counting: Limits) -> None:
    email = f"{uuid4().hex}@example.com"
    for _ in range(20):
        await sign_in(counting, email)
    for _ in range(20):
        with pytest.raises(OSError, match="the database is away"):
            async with counting.counting_failed_sign_in(email):
                raise OSError("the database is away")
    for _ in range(9):
        await sign_in_in_vain(counting, email)
    await sign_in(counting, email)
    await sign_in_in_vain(counting, email)
    with pytest.raises(TooManyTries):
        await sign_in(counting, email)


async def test_many_guesses_at_once_are_counted_before_they_are_known_to_fail(
    counting: Limits,
) -> None:
    email, guess, made = f"{uuid4().hex}@example.com", asyncio.Event(), 0

    async def attempt() -> None:
        nonlocal made
        async with counting.counting_failed_sign_in(email):
            made += 1
            await guess.wait()
            raise InvalidCredentials

    tries = [asyncio.create_task(attempt()) for _ in range(50)]
    await asyncio.wait(tries, return_when=asyncio.FIRST_EXCEPTION)
    guess.set()
    await asyncio.gather(*tries, return_exceptions=True)
    assert made == 10


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", None, False),
        (None, None, True),
        ("a socket", "another", False),
    ],
)
async def test_somebody_elsewhere_cannot_keep_a_person_out(
    here: Limits, one: str | None, other: str | None, same: bool
) -> None:
    with client_bound(one, None):
        for _ in range(10):
            await sign_in_in_vain(here)
    with client_bound(other, None):
        if same:
            with pytest.raises(TooManyTries):
                await sign_in(here)
        else:
            await sign_in(here)


# ---------------------------------------------------------------- without Redis


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis that a test may stop."""
    server = RedisServer(tmp_path)
    yield server
    server.stop()


async def test_while_redis_is_away_each_process_counts_by_itself(
    own_redis: RedisServer, clock: Clock
) -> None:
    counting, person = Limits(make_settings(redis_url=own_redis.url), clock), somebody()
    with capture_logs() as logs:
        for _ in range(30):
            await counting.count_portal(person)
        with pytest.raises(TooManyTries):
            await counting.count_portal(person)
    # It is not asked again for every request, which would each have to wait for it.
    assert [entry["event"] for entry in logs] == ["limits_counted_in_each_process"]
    own_redis.start()
    clock.now += 6
    await counting.count_portal(person)
    await counting.close()


async def test_a_sign_in_begun_with_redis_ends_without_it(
    own_redis: RedisServer, clock: Clock
) -> None:
    own_redis.start()
    counting = Limits(make_settings(redis_url=own_redis.url), clock)
    async with counting.counting_failed_sign_in(EMAIL):
        own_redis.stop()
    await sign_in_in_vain(counting)
    await counting.close()


async def test_what_people_type_does_not_stand_in_redis(redis: RedisServer) -> None:
    counting = Limits(make_settings(redis_url=redis.url))
    await sign_in_in_vain(counting, "my secret password\ud800" * 1000)
    assert counting._redis is not None
    keys = await counting._redis._client.keys("*")
    assert keys
    assert all(b"secret" not in key and len(key) < 80 for key in keys)
    await counting.close()
