"""Sessions: who holds a token, for how long, and what the cookie looks like."""

import hashlib
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import update
from sqlmodel import col, select

from billing_ui.accounts import sessions
from billing_ui.accounts.errors import InvalidCredentials
from billing_ui.accounts.passwords import verify_password
from billing_ui.accounts.sessions import (
    IDLE_LIFETIME,
    LIFETIME,
    Identity,
    identify,
    session_cookie,
    session_cookie_name,
    sign_in,
    sign_in_as,
    sign_out,
    token_from_cookie_header,
)
from billing_ui.accounts.teams import add_member, create_team
from billing_ui.accounts.users import create_user, reset_password
from billing_ui.clock import utc_now
from billing_ui.database import Database
from billing_ui.models import AuthSession, Membership, Role, User
from billing_ui.settings import Settings
from tests.unit.statements import noted_statements

PASSWORD = "correct horse"


async def _ada(database: Database) -> User:
    return await create_user(database, "Ada@Example.com ", PASSWORD, "Ada")


async def _stored(database: Database) -> list[AuthSession]:
    async with database.read() as session:
        return list((await session.exec(select(AuthSession))).all())


async def _age(database: Database, **moments: timedelta) -> None:
    async with database.write() as session:
        values = {name: utc_now() - age for name, age in moments.items()}
        await session.exec(update(AuthSession).values(**values))


async def test_a_token_tells_who_holds_it_and_their_role(database: Database) -> None:
    ada = await _ada(database)
    team = await create_team(database, "Acme")
    await add_member(database, team.id, ada.id, Role.BILLING_MANAGER)
    token = await sign_in(database, " ADA@example.COM", PASSWORD)
    (stored,) = await _stored(database)
    assert await identify(database, token) == Identity(
        session_id=stored.id,
        user_id=ada.id,
        email="ada@example.com",
        user_name="Ada",
        team_id=team.id,
        team_name="Acme",
        role=Role.BILLING_MANAGER,
    )


async def test_only_a_hash_of_the_token_is_stored(database: Database) -> None:
    token = await sign_in_as(database, (await _ada(database)).id)
    (stored,) = await _stored(database)
    assert stored.token_hash == hashlib.sha256(token.encode()).hexdigest()


async def test_a_user_without_a_team_is_known_but_has_none(database: Database) -> None:
    token = await sign_in_as(database, (await _ada(database)).id)
    identity = await identify(database, token)
    assert identity is not None
    assert (identity.team_id, identity.team_name, identity.role) == (None, "", None)


async def test_knowing_who_asks_takes_one_query(database: Database) -> None:
    ada = await _ada(database)
    await add_member(database, (await create_team(database, "Acme")).id, ada.id, Role.OWNER)
    token = await sign_in_as(database, ada.id)
    with noted_statements(database) as statements:
        await identify(database, token)
    [(statement, _)] = statements
    assert statement.startswith("SELECT")


async def test_the_team_a_session_looks_at_goes_before_the_one_joined_first(
    database: Database,
) -> None:
    ada = await _ada(database)
    first, second = await create_team(database, "First"), await create_team(database, "Second")
    await add_member(database, first.id, ada.id, Role.OWNER)
    await add_member(database, second.id, ada.id, Role.MEMBER)
    token = await sign_in_as(database, ada.id)
    assert (await _identity(database, token)).team_name == "First"
    async with database.write() as session:
        await session.exec(update(AuthSession).values(team_id=second.id))
    assert (await _identity(database, token)).team_name == "Second"


async def test_who_left_a_team_no_longer_sees_it(database: Database) -> None:
    ada = await _ada(database)
    team = await create_team(database, "Acme")
    await add_member(database, team.id, ada.id, Role.OWNER)
    token = await sign_in_as(database, ada.id)
    async with database.write() as session:
        await session.exec(update(AuthSession).values(team_id=team.id))
        membership = await session.get(Membership, (team.id, ada.id))
        await session.delete(membership)
    assert (await _identity(database, token)).team_id is None


@pytest.mark.parametrize("token", [None, "", "unknown", "é", "\udcff", "x" * 10_000])
async def test_no_session_has_a_token_nobody_was_given(
    database: Database, token: str | None
) -> None:
    await sign_in_as(database, (await _ada(database)).id)
    assert await identify(database, token) is None


async def test_a_token_ends_with_signing_out(database: Database) -> None:
    ada = await _ada(database)
    token, other = await sign_in_as(database, ada.id), await sign_in_as(database, ada.id)
    await sign_out(database, token)
    await sign_out(database, None)
    assert await identify(database, token) is None
    assert await identify(database, other) is not None


async def test_a_session_ends_however_much_it_is_used(database: Database) -> None:
    token = await sign_in_as(database, (await _ada(database)).id)
    (stored,) = await _stored(database)
    assert stored.expires_at - stored.created_at == LIFETIME
    await _age(database, expires_at=timedelta(0))
    assert await identify(database, token) is None


async def test_a_session_ends_when_nobody_comes_back(database: Database) -> None:
    token = await sign_in_as(database, (await _ada(database)).id)
    await _age(database, last_seen_at=IDLE_LIFETIME - timedelta(hours=1))
    assert await identify(database, token) is not None
    await _age(database, last_seen_at=IDLE_LIFETIME)
    assert await identify(database, token) is None


async def test_using_a_session_is_noted_at_most_once_a_minute(database: Database) -> None:
    token = await sign_in_as(database, (await _ada(database)).id)
    (fresh,) = await _stored(database)
    await identify(database, token)
    assert (await _stored(database))[0].last_seen_at == fresh.last_seen_at
    await _age(database, last_seen_at=timedelta(minutes=2))
    await identify(database, token)
    assert (await _stored(database))[0].last_seen_at >= fresh.last_seen_at


async def test_signing_in_clears_away_sessions_that_have_ended(database: Database) -> None:
    ada = await _ada(database)
    await sign_in_as(database, ada.id)
    await sign_in_as(database, ada.id)
    await _age(database, expires_at=timedelta(0))
    await sign_in_as(database, ada.id)
    assert len(await _stored(database)) == 1


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("ada@example.com", "wrong horse"),
        ("ada@example.com", ""),
        ("ada@example.com", PASSWORD + " "),
        ("nobody@example.com", PASSWORD),
        ("", PASSWORD),
        ("ada@example.com\x00", PASSWORD),
        ("ada@example.com' OR 1=1 --", PASSWORD),
        ("no-password@example.com", ""),
        ("no-password@example.com", PASSWORD),
        ("ada@example.com", "x" * 100_000),
    ],
)
async def test_wrong_credentials_are_refused_without_saying_which(
    database: Database, email: str, password: str
) -> None:
    await _ada(database)
    await create_user(database, "no-password@example.com", None)
    with pytest.raises(InvalidCredentials, match=r"^E-mail or password is wrong\.$"):
        await sign_in(database, email, password)
    assert await _stored(database) == []


async def test_an_unknown_email_takes_the_same_work_as_a_wrong_password(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _ada(database)
    compared: list[bool] = []
    verify = verify_password

    async def counting(password: str, stored: str | None) -> tuple[bool, str | None]:
        compared.append(stored is not None)
        return await verify(password, stored)

    monkeypatch.setattr(sessions, "verify_password", counting)
    for email in ("ada@example.com", "nobody@example.com", "not an address"):
        with pytest.raises(InvalidCredentials):
            await sign_in(database, email, "wrong horse")
    assert compared == [True, False, False]


async def test_a_password_hashed_with_outdated_parameters_is_hashed_anew(
    database: Database,
) -> None:
    from pwdlib import PasswordHash
    from pwdlib.hashers.argon2 import Argon2Hasher

    weak = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=8 * 1024),)).hash(PASSWORD)
    ada = await _ada(database)
    async with database.write() as session:
        await session.exec(update(User).where(col(User.id) == ada.id).values(password_hash=weak))
    await sign_in(database, "ada@example.com", PASSWORD)
    async with database.read() as session:
        stored = (await session.exec(select(User.password_hash))).one()
    assert stored != weak
    assert await sign_in(database, "ada@example.com", PASSWORD)


async def test_a_password_typed_in_another_unicode_form_is_the_same(database: Database) -> None:
    await create_user(
        database, "zoe@example.com", "zo\N{LATIN SMALL LETTER E WITH DIAERESIS}-zoe-zoe"
    )
    assert await sign_in(database, "zoe@example.com", "zoe\N{COMBINING DIAERESIS}-zoe-zoe")


async def test_a_new_password_ends_every_session_and_the_old_password(database: Database) -> None:
    await _ada(database)
    token = await sign_in(database, "ada@example.com", PASSWORD)
    await reset_password(database, "ada@example.com", "another horse")
    assert await identify(database, token) is None
    with pytest.raises(InvalidCredentials):
        await sign_in(database, "ada@example.com", PASSWORD)
    assert await sign_in(database, "ada@example.com", "another horse")


async def test_nobody_can_be_signed_in_who_does_not_exist(database: Database) -> None:
    with pytest.raises(InvalidCredentials):
        await sign_in_as(database, uuid4())


async def _identity(database: Database, token: str) -> Identity:
    identity = await identify(database, token)
    assert identity is not None
    return identity


# ---------------------------------------------------------------- the cookie

HTTP = Settings(_env_file=None, base_url="http://localhost:3000")
HTTPS = Settings(_env_file=None, base_url="https://billing.example", stripe_secret_key="sk_test_1")


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites() -> None:
    assert session_cookie(HTTP, "abc") == (
        "billing_session=abc; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax"
    )


def test_under_https_the_cookie_is_tied_to_the_host() -> None:
    assert session_cookie(HTTPS, "abc") == (
        "__Host-billing_session=abc; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax; Secure"
    )
    assert session_cookie_name(HTTPS) == "__Host-billing_session"


def test_the_cookie_can_be_removed() -> None:
    assert "billing_session=; Path=/; Max-Age=0;" in session_cookie(HTTP, None)


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("billing_session=abc", "abc"),
        ("theme=dark; billing_session=abc; x=y", "abc"),
        ("theme=dark;billing_session=a=b=c", "a=b=c"),
        ("billing_session=", None),
        ("billing_sessions=abc", None),
        ("x=billing_session=abc", None),
        ("__Host-billing_session=abc", None),
        (";;=;", None),
        ("", None),
        (None, None),
    ],
)
def test_the_token_is_found_among_other_cookies(header: str | None, token: str | None) -> None:
    assert token_from_cookie_header(HTTP, header) == token


def test_under_https_only_the_prefixed_cookie_counts() -> None:
    header = "billing_session=planted; __Host-billing_session=real"
    assert token_from_cookie_header(HTTPS, header) == "real"
    assert token_from_cookie_header(HTTPS, "billing_session=planted") is None


async def test_a_password_replaced_while_it_was_being_checked_opens_no_session(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _ada(database)
    check = verify_password

    async def check_slowly(password: str, stored: str | None) -> tuple[bool, str | None]:
        found = await check(password, stored)
        await reset_password(database, "ada@example.com", "another password")
        return found

    monkeypatch.setattr(sessions, "verify_password", check_slowly)
    with pytest.raises(InvalidCredentials):
        await sign_in(database, "ada@example.com", PASSWORD)
    assert await _stored(database) == []
