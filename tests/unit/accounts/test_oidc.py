"""Single sign-on below the screens: which answers of a provider are believed, and whom they sign in."""

import asyncio
import hmac
import json
import time
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc.jwk import Key
from sqlmodel import select

from billing_ui.accounts import oidc_attempts
from billing_ui.accounts.audit import AuditAction
from billing_ui.accounts.errors import UnknownUser
from billing_ui.accounts.oidc import SignedIn, SingleSignOn, link_identity
from billing_ui.accounts.oidc_attempts import (
    Attempt,
    attempt_cookie,
    begin_attempt,
    find_attempt,
)
from billing_ui.accounts.oidc_client import Person, Provider
from billing_ui.accounts.oidc_errors import (
    ClocksDiffer,
    EmailOfAnother,
    IdentityTaken,
    NoEmail,
    NotBegunHere,
    NotSetUp,
    ProviderSignInFailed,
    RefusedThere,
    TookTooLong,
    UnknownProvider,
    Unreachable,
    Untrusted,
    UnverifiedEmail,
)
from billing_ui.accounts.oidc_keys import Issuer
from billing_ui.accounts.sessions import identify, sign_out
from billing_ui.accounts.users import create_user
from billing_ui.clock import utc_now
from billing_ui.database import Database
from billing_ui.models import AuditEntry, AuthSession, User, UserIdentity
from billing_ui.settings import OidcProvider, Settings
from tests.issuer import SigningIssuer, rsa_key, running_issuer, signed

CLIENT, SECRET = "billing+ui", "a secret: of 100%"
CODE = "the code"


@pytest.fixture(scope="module")
def running() -> Iterator[SigningIssuer]:
    """A running provider; RSA keys take a while to make."""
    with running_issuer() as opened:
        yield opened


@pytest.fixture
def issuer(running: SigningIssuer) -> SigningIssuer:
    """The provider as it describes itself."""
    del running.keys[1:]
    running.statuses, running.posted, running.pages = {}, [], {}
    describe(running)
    return running


def describe(issuer: SigningIssuer, /, **metadata: Any) -> None:
    """Let the provider describe itself, in the usual way but for `metadata`."""
    names = ("authorization", "token", "userinfo", "end_session")
    described = {
        "issuer": issuer.url,
        "jwks_uri": f"{issuer.url}/keys",
        **{f"{name}_endpoint": f"{issuer.url}/{name}" for name in names},
    }
    described = {name: value for name, value in (described | metadata).items() if value is not None}
    issuer.pages["/.well-known/openid-configuration"] = json.dumps(described)


def settings_for(issuer: SigningIssuer, **fields: Any) -> Settings:
    """Return settings with the provider as number 2."""
    provider = OidcProvider(
        **{"issuer": issuer.url, "client_id": CLIENT, "client_secret": SECRET} | fields
    )
    return Settings(_env_file=None, secret_key="for tests only", oidc_providers={2: provider})


def single_sign_on(database: Database, issuer: SigningIssuer, **fields: Any) -> SingleSignOn:
    """Return a fresh installation's single sign-on, which has asked the provider nothing yet."""
    return SingleSignOn(
        settings_for(issuer, **fields), database, {2: Issuer(issuer.url, monotonic=time.monotonic)}
    )


def provider_of(issuer: SigningIssuer, **fields: Any) -> Provider:
    """Return the provider as the application sees it."""
    settings = settings_for(issuer, **fields)
    return Provider(2, settings.oidc_providers[2], Issuer(issuer.url), settings)


@pytest.fixture
def attempt() -> Attempt:
    """A sign-in under way."""
    return begin_attempt(2, None)


def id_token(issuer: SigningIssuer, attempt: Attempt, **claims: Any) -> str:
    """Return an ID token, right in every way but for `claims`, in which times are seconds from now."""
    now = int(time.time())
    claims |= {name: now + claims[name] for name in ("exp", "iat", "nbf") if claims.get(name)}
    usual = {"nonce": attempt.nonce, "email": "ada@example.com", "email_verified": True}
    header = {"typ": "JWT"}
    return issuer.token(header=header, **({"aud": CLIENT} | usual | claims))


def gives(issuer: SigningIssuer, token: str | None, **more: Any) -> None:
    """Let the provider exchange any code for `token`."""
    answer = {"id_token": token, "access_token": "opaque", "token_type": "Bearer"} | more
    issuer.pages["/token"] = json.dumps(answer)


async def person_from(issuer: SigningIssuer, attempt: Attempt, **claims: Any) -> Person:
    """Return whom the application takes the provider's answer for."""
    gives(issuer, id_token(issuer, attempt, **claims))
    return await provider_of(issuer).person(CODE, attempt)


# ---------------------------------------------------------------- the ID token


@pytest.mark.parametrize(
    ("claims", "failure"),
    [
        ({"nonce": "of another sign-in"}, Untrusted),
        ({"nonce": None}, Untrusted),
        ({"nonce": ""}, Untrusted),
        ({"nonce": ["x"]}, Untrusted),
        ({"iss": "https://id.example.com"}, Untrusted),
        ({"iss": None}, Untrusted),
        ({"aud": "another-client"}, Untrusted),
        ({"aud": None}, Untrusted),
        ({"aud": []}, Untrusted),
        ({"aud": [CLIENT, "another-client"]}, Untrusted),
        ({"aud": [CLIENT, "another-client"], "azp": "another-client"}, Untrusted),
        ({"azp": "another-client"}, Untrusted),
        ({"sub": None}, Untrusted),
        ({"sub": ""}, Untrusted),
        ({"sub": "x" * 256}, Untrusted),
        ({"sub": 7}, Untrusted),
        ({"at_hash": "wrong"}, Untrusted),
        ({"exp": -3600}, ClocksDiffer),
        ({"iat": 3600}, ClocksDiffer),
        ({"nbf": 3600}, ClocksDiffer),
    ],
)
async def test_an_id_token_with_a_wrong_claim_is_not_believed(
    issuer: SigningIssuer,
    attempt: Attempt,
    claims: dict[str, Any],
    failure: type[ProviderSignInFailed],
) -> None:
    with pytest.raises(failure):
        await person_from(issuer, attempt, **claims)


@pytest.mark.parametrize("claims", [{"exp": None}, {"iat": None}])
async def test_an_id_token_that_tells_no_time_is_not_believed(
    issuer: SigningIssuer, attempt: Attempt, claims: dict[str, Any]
) -> None:
    with pytest.raises((Untrusted, ClocksDiffer)):
        await person_from(issuer, attempt, **claims)


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"aud": [CLIENT]},
        {"aud": [CLIENT, "another-client"], "azp": CLIENT},
        {"exp": -20, "iat": -320},
        {"iat": 30},
    ],
)
async def test_a_right_id_token_says_who_somebody_is(
    issuer: SigningIssuer, attempt: Attempt, claims: dict[str, Any]
) -> None:
    person = await person_from(issuer, attempt, name="Ada", **claims)
    assert (person.issuer, person.subject) == (issuer.url, "ada")
    assert (person.email, person.email_verified, person.name) == ("ada@example.com", True, "Ada")
    assert person.id_token not in repr(person)


def _part(value: dict[str, Any]) -> str:
    return urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _unsigned(token: str, header: dict[str, Any]) -> str:
    return f"{_part(header)}.{token.split('.')[1]}"


def _signed_with_the_public_key(token: str, key: Key) -> str:
    content = _unsigned(token, {"alg": "HS256", "kid": key.kid})
    digest = hmac.digest(key.as_pem(private=False), content.encode(), "sha256")
    return f"{content}.{urlsafe_b64encode(digest).rstrip(b'=').decode()}"


@pytest.mark.parametrize("kind", ["none", "NoNe", "HS256", "altered", "another key", "no key", ""])
async def test_a_signature_that_proves_nothing_is_not_believed(
    issuer: SigningIssuer, attempt: Attempt, kind: str
) -> None:
    right = id_token(issuer, attempt)
    header, payload, signature = right.split(".")
    claims = json.loads(b64decode(payload + "=="))
    wrong = {
        "none": f"{_unsigned(right, {'alg': 'none'})}.",
        "NoNe": f"{_unsigned(right, {'alg': 'NoNe'})}.",
        "HS256": _signed_with_the_public_key(right, issuer.keys[0]),
        "altered": f"{header}.{_part(claims | {'sub': 'mallory'})}.{signature}",
        "another key": signed({"alg": "RS256", "kid": "first"}, claims, rsa_key("first")),
        "no key": f"{header}.{payload}.",
        "": "",
    }
    gives(issuer, wrong[kind])
    with pytest.raises(Untrusted):
        await provider_of(issuer).person(CODE, attempt)


async def test_a_key_that_is_new_is_asked_for_when_the_first_token_with_it_comes(
    issuer: SigningIssuer, attempt: Attempt
) -> None:
    clock = [1000.0]
    settings = settings_for(issuer)
    keys = Issuer(issuer.url, monotonic=lambda: clock[0])
    provider = Provider(2, settings.oidc_providers[2], keys, settings)
    gives(issuer, id_token(issuer, attempt))
    await provider.person(CODE, attempt)
    issuer.keys.append(rsa_key("second"))
    gives(issuer, id_token(issuer, attempt, key=issuer.keys[1]))
    clock[0] += 6
    assert (await provider.person(CODE, attempt)).subject == "ada"


# ---------------------------------------------------------------- the exchange


@pytest.mark.parametrize(
    ("status", "answer", "failure"),
    [
        (400, '{"error": "invalid_grant"}', TookTooLong),
        (401, '{"error": "invalid_client"}', NotSetUp),
        (400, '{"error": "unauthorized_client"}', NotSetUp),
        (400, '{"error": "made-up"}', Untrusted),
        (400, "no JSON", Untrusted),
        (302, "", Untrusted),
        (500, '{"error": "server_error"}', Unreachable),
        (200, "no JSON", Untrusted),
        (200, "[]", Untrusted),
        (200, "{}", Untrusted),
        (200, '{"id_token": null}', Untrusted),
        (200, " " * 300_000, Untrusted),
        (200, "[" * 200_000, Untrusted),
    ],
)
async def test_a_code_that_is_not_exchanged_signs_nobody_in(
    issuer: SigningIssuer,
    attempt: Attempt,
    status: int,
    answer: str,
    failure: type[ProviderSignInFailed],
) -> None:
    issuer.pages["/token"], issuer.statuses["/token"] = answer, status
    with pytest.raises(failure):
        await provider_of(issuer).person(CODE, attempt)
    assert issuer.times_asked("/elsewhere") == 0


@pytest.mark.parametrize(
    ("methods", "secret", "basic", "posted_secret"),
    [
        (None, SECRET, True, None),
        (["client_secret_post", "client_secret_basic"], SECRET, True, None),
        (["client_secret_post"], SECRET, False, SECRET),
        (None, "", False, None),
    ],
)
async def test_the_code_is_exchanged_with_the_verifier_and_in_a_way_the_provider_knows(
    issuer: SigningIssuer,
    attempt: Attempt,
    methods: list[str] | None,
    secret: str,
    basic: bool,
    posted_secret: str | None,
) -> None:
    describe(issuer, token_endpoint_auth_methods_supported=methods)
    gives(issuer, id_token(issuer, attempt))
    provider = provider_of(issuer, client_secret=secret)
    await provider.person(CODE, attempt)
    ((headers, body),) = issuer.posted
    form = {name: values[0] for name, values in parse_qs(body).items()}
    assert form["grant_type"] == "authorization_code"
    assert (form["code"], form["code_verifier"]) == (CODE, attempt.verifier)
    assert form["redirect_uri"] == provider.redirect_uri
    assert form.get("client_secret") == posted_secret
    if basic:
        given = b64decode(headers["Authorization"].removeprefix("Basic ")).decode()
        assert given == "billing%2Bui:a+secret%3A+of+100%25"
    else:
        assert "Authorization" not in headers
        assert form["client_id"] == CLIENT


async def test_userinfo_is_asked_only_for_an_address_and_must_be_of_the_same_person(
    issuer: SigningIssuer, attempt: Attempt
) -> None:
    before = issuer.times_asked("/userinfo")
    await person_from(issuer, attempt)
    assert issuer.times_asked("/userinfo") == before
    said = {"sub": "ada", "email": "ada@example.org", "email_verified": True, "name": "Ada"}
    issuer.pages["/userinfo"] = json.dumps(said)
    person = await person_from(issuer, attempt, email=None, email_verified=None)
    assert (person.email, person.email_verified, person.name) == ("ada@example.org", True, "Ada")
    issuer.pages["/userinfo"] = json.dumps(said | {"sub": "grace"})
    with pytest.raises(Untrusted):
        await person_from(issuer, attempt, email=None)
    issuer.statuses["/userinfo"] = 403
    assert (await person_from(issuer, attempt, email=None)).email == ""


@pytest.mark.parametrize(
    ("claims", "vouched"),
    [
        ({"email_verified": "true"}, True),
        ({"email_verified": None, "xms_edov": 1}, True),
        ({"email_verified": False}, False),
        ({"email_verified": "false"}, False),
        ({"email_verified": None}, False),
        ({"email_verified": ["true"]}, False),
    ],
)
async def test_only_what_a_provider_calls_verified_is_verified(
    issuer: SigningIssuer, attempt: Attempt, claims: dict[str, Any], vouched: bool
) -> None:
    assert (await person_from(issuer, attempt, **claims)).email_verified is vouched


async def test_a_provider_without_what_is_needed_is_not_set_up(
    database: Database, issuer: SigningIssuer, attempt: Attempt
) -> None:
    describe(issuer, authorization_endpoint=None, token_endpoint=None)
    provider = provider_of(issuer)
    with pytest.raises(NotSetUp):
        await provider.authorization_url(attempt)
    with pytest.raises(NotSetUp):
        await provider.person(CODE, attempt)


async def test_a_provider_that_calls_itself_something_else_is_not_used(
    issuer: SigningIssuer, attempt: Attempt
) -> None:
    describe(issuer, issuer="https://id.example.com")
    with pytest.raises(Unreachable):
        await provider_of(issuer).authorization_url(attempt)


async def test_the_way_there_keeps_what_the_endpoint_has_in_its_query(
    issuer: SigningIssuer, attempt: Attempt
) -> None:
    describe(issuer, authorization_endpoint=f"{issuer.url}/authorize?tenant=acme")
    query = parse_qs(urlsplit(await provider_of(issuer).authorization_url(attempt)).query)
    assert query["tenant"] == ["acme"]
    assert query["client_id"] == [CLIENT]
    assert query["scope"] == ["openid email profile"]
    assert query["code_challenge_method"] == ["S256"]
    assert (query["state"], query["nonce"]) == ([attempt.state], [attempt.nonce])
    assert attempt.verifier not in str(query)


# ---------------------------------------------------------------- the answer


@pytest.mark.parametrize(
    ("announced", "answer", "failure"),
    [
        (False, {"error": "access_denied"}, RefusedThere),
        (False, {"error": "login_required"}, RefusedThere),
        (False, {"error": "temporarily_unavailable"}, Unreachable),
        (False, {"error": "invalid_scope"}, NotSetUp),
        (False, {}, NotSetUp),
        (False, {"code": CODE, "iss": "https://id.example.com"}, Untrusted),
        (True, {"code": CODE}, Untrusted),
        (True, {"code": CODE, "iss": "https://id.example.com"}, Untrusted),
        (True, {"error": "access_denied"}, Untrusted),
    ],
)
async def test_an_answer_without_a_code_of_this_provider_signs_nobody_in(
    database: Database,
    issuer: SigningIssuer,
    attempt: Attempt,
    announced: bool,
    answer: dict[str, str],
    failure: type[ProviderSignInFailed],
) -> None:
    describe(issuer, authorization_response_iss_parameter_supported=announced)
    gives(issuer, id_token(issuer, attempt))
    sso = single_sign_on(database, issuer)
    with pytest.raises(failure):
        await sso.finish(sso.provider("2"), attempt, answer)
    assert issuer.posted == []


@pytest.mark.parametrize("number", ["1", "02", "", "-2", "²", "two", "9" * 5000])
async def test_there_are_no_other_providers(
    database: Database, issuer: SigningIssuer, number: str
) -> None:
    with pytest.raises(UnknownProvider):
        single_sign_on(database, issuer).provider(number)


# ---------------------------------------------------------------- people


async def arrive(database: Database, issuer: SigningIssuer, **claims: Any) -> SignedIn:
    """Sign in whomever the claims are about."""
    attempt = begin_attempt(2, None)
    gives(issuer, id_token(issuer, attempt, **claims))
    sso = single_sign_on(database, issuer)
    return await sso.finish(sso.provider("2"), attempt, {"code": CODE})


async def people(database: Database) -> list[User]:
    """Return everybody."""
    async with database.read() as session:
        return list(await session.exec(select(User)))


async def test_somebody_new_becomes_a_user_in_no_team(
    database: Database, issuer: SigningIssuer
) -> None:
    done = await arrive(database, issuer, email="Ada@Example.com", name=" Ada ")
    identity = await identify(database, done.token)
    assert identity is not None
    assert (identity.user_id, identity.email) == (done.user_id, "ada@example.com")
    assert (identity.user_name, identity.team_id, identity.role) == ("Ada", None, None)
    assert (done.email, done.email_verified) == ("Ada@Example.com", True)


async def test_who_comes_again_is_the_same_whatever_their_address_has_become(
    database: Database, issuer: SigningIssuer
) -> None:
    first = await arrive(database, issuer)
    again = await arrive(database, issuer, email="ada@example.org", email_verified=False)
    assert first.user_id == again.user_id
    assert first.token != again.token
    assert (again.email, again.email_verified) == ("ada@example.org", False)
    assert [user.email for user in await people(database)] == ["ada@example.com"]


async def test_somebody_who_comes_for_the_first_time_twice_at_once_is_one_user(
    database: Database, issuer: SigningIssuer
) -> None:
    attempt = begin_attempt(2, None)
    gives(issuer, id_token(issuer, attempt))
    sso = single_sign_on(database, issuer)
    provider = sso.provider("2")
    done = await asyncio.gather(*(sso.finish(provider, attempt, {"code": CODE}) for _ in range(4)))
    assert len({one.user_id for one in done}) == 1
    assert len({one.token for one in done}) == 4
    assert len(await people(database)) == 1


async def test_an_address_that_somebody_has_is_never_a_way_to_be_them(
    database: Database, issuer: SigningIssuer
) -> None:
    await create_user(database, "ada@example.com", None)
    with pytest.raises(EmailOfAnother):
        await arrive(database, issuer)
    with pytest.raises(EmailOfAnother):
        await arrive(database, issuer, email="ADA@example.com ", sub="ada@example.com")
    async with database.read() as session:
        assert list(await session.exec(select(AuthSession))) == []
        assert list(await session.exec(select(UserIdentity))) == []
        told = list(await session.exec(select(AuditEntry)))
    assert [(one.action, one.actor_label) for one in told] == [
        ("sign_in_failed", "ada@example.com")
    ] * 2


@pytest.mark.parametrize(
    ("claims", "failure"),
    [
        ({"email_verified": False}, UnverifiedEmail),
        ({"email_verified": None}, UnverifiedEmail),
        ({"email": None}, NoEmail),
        ({"email": "no address"}, NoEmail),
        ({"email": 7}, NoEmail),
    ],
)
async def test_nobody_becomes_a_user_without_a_verified_address(
    database: Database,
    issuer: SigningIssuer,
    claims: dict[str, Any],
    failure: type[ProviderSignInFailed],
) -> None:
    with pytest.raises(failure):
        await arrive(database, issuer, **claims)
    assert await people(database) == []


async def test_an_operator_can_tie_a_user_to_who_they_are_at_the_provider(
    database: Database, issuer: SigningIssuer
) -> None:
    user = await create_user(database, "ada@example.com", None)
    for _ in range(2):
        await link_identity(database, "Ada@example.com", issuer.url, "ada")
    async with database.read() as session:
        [told] = await session.exec(select(AuditEntry))
    assert (told.action, told.target) == (AuditAction.IDENTITY_LINKED, "ada@example.com")
    assert told.details == {"issuer": issuer.url}
    assert (await arrive(database, issuer)).user_id == user.id
    await create_user(database, "grace@example.com", None)
    with pytest.raises(IdentityTaken):
        await link_identity(database, "grace@example.com", issuer.url, "ada")
    with pytest.raises(UnknownUser):
        await link_identity(database, "nobody@example.com", issuer.url, "nobody")


# ---------------------------------------------------------------- signing out


async def test_signing_out_at_the_provider_names_the_session_and_leads_back(
    database: Database, issuer: SigningIssuer
) -> None:
    done = await arrive(database, issuer)
    sso = single_sign_on(database, issuer)
    elsewhere = await sso.elsewhere(done.token)
    assert elsewhere is not None
    await sign_out(database, done.token)
    url = await sso.sign_out_url(elsewhere)
    assert url is not None
    assert url.startswith(f"{issuer.url}/end_session?")
    query = parse_qs(urlsplit(url).query)
    assert query["post_logout_redirect_uri"] == ["http://localhost:3000/sign-in"]
    assert query["client_id"] == [CLIENT]
    assert json.loads(b64decode(query["id_token_hint"][0].split(".")[1] + "=="))["sub"] == "ada"
    assert await sso.elsewhere(done.token) is None


async def test_the_kept_id_token_cannot_be_read_in_the_database(
    database: Database, issuer: SigningIssuer
) -> None:
    await arrive(database, issuer)
    async with database.read() as session:
        (row,) = await session.exec(select(AuthSession))
    assert row.issuer == issuer.url
    assert row.sealed_id_token is not None
    assert "eyJ" not in row.sealed_id_token


async def test_without_such_a_session_or_such_an_offer_nobody_is_sent_to_the_provider(
    database: Database, issuer: SigningIssuer
) -> None:
    done = await arrive(database, issuer)
    describe(issuer, end_session_endpoint=None)
    sso = single_sign_on(database, issuer)
    elsewhere = await sso.elsewhere(done.token)
    assert elsewhere is not None
    assert await sso.sign_out_url(elsewhere) is None
    assert await sso.elsewhere(None) is None
    assert await sso.elsewhere("made up") is None


# ---------------------------------------------------------------- what the browser keeps


def cookie_of(settings: Settings, attempt: Attempt) -> dict[str, str]:
    """Return the cookies of the browser that has begun `attempt`."""
    name, _, value = attempt_cookie(settings, attempt).partition(";")[0].partition("=")
    return {name: value}


def test_an_attempt_is_found_by_its_state_alone(issuer: SigningIssuer) -> None:
    settings = settings_for(issuer)
    one, other = begin_attempt(2, "/pricing"), begin_attempt(2, None)
    cookies = cookie_of(settings, one) | cookie_of(settings, other)
    assert find_attempt(settings, cookies, 2, one.state) == one
    assert find_attempt(settings, cookies, 2, other.state) == other
    for state in ("", "made up", one.state.upper(), one.nonce, "\udcff"):
        with pytest.raises(NotBegunHere):
            find_attempt(settings, cookies, 2, state)
    with pytest.raises(NotBegunHere):
        find_attempt(settings, cookies, 1, one.state)


def test_an_attempt_that_was_altered_or_sealed_elsewhere_is_none(issuer: SigningIssuer) -> None:
    settings = settings_for(issuer)
    one, other = begin_attempt(2, None), begin_attempt(2, None)
    ((name, value),) = cookie_of(settings, one).items()
    (foreign,) = cookie_of(settings, other).values()
    elsewhere = Settings(_env_file=None, secret_key="another secret")
    (another_key,) = cookie_of(elsewhere, one).values()
    for wrong in (value[:-4] + "AAA=", foreign, another_key, "", "é", "x" * 5000):
        with pytest.raises(NotBegunHere):
            find_attempt(settings, {name: wrong}, 2, one.state)


def test_an_attempt_ends_after_a_quarter_of_an_hour(
    issuer: SigningIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, attempt = settings_for(issuer), begin_attempt(2, None)
    cookies = cookie_of(settings, attempt)
    later = utc_now() + timedelta(minutes=16)
    monkeypatch.setattr(oidc_attempts, "utc_now", lambda: later)
    with pytest.raises(TookTooLong):
        find_attempt(settings, cookies, 2, attempt.state)


def test_nothing_of_an_attempt_can_be_read_in_the_cookie_or_in_a_log(
    issuer: SigningIssuer,
) -> None:
    attempt = begin_attempt(2, "/pricing")
    kept = str(cookie_of(settings_for(issuer), attempt)) + repr(attempt)
    for secret in (attempt.state, attempt.nonce, attempt.verifier):
        assert secret not in kept
    assert begin_attempt(2, "/" + "x" * 2000).destination is None
