"""Tokens that the company's own OpenID provider has signed: which are believed, and whose they are."""

import hmac
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest
from joserfc.jwk import Key, OctKey

from billing_ui.accounts import oidc_keys
from billing_ui.accounts.errors import InvalidBearer, IssuerUnavailable, NoTeam
from billing_ui.accounts.jwt_bearer import JwtBearers, TrustedIssuer
from billing_ui.accounts.oidc_keys import Issuer, is_safe_address
from billing_ui.accounts.sessions import Identity
from billing_ui.accounts.teams import add_member, create_team
from billing_ui.accounts.users import create_user
from billing_ui.database import Database
from billing_ui.models import Role, Team, User, UserIdentity
from tests.issuer import (
    AUDIENCE,
    SigningIssuer,
    ec_key,
    ed_key,
    rsa_key,
    running_issuer,
    signed,
)
from tests.unit.statements import noted_statements

_HOUR = 3600


class Passing:
    """A clock that goes on only when a test says so, in seconds."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def issuer() -> Iterator[SigningIssuer]:
    """A running issuer."""
    with running_issuer() as running:
        yield running


@pytest.fixture
def clock() -> Passing:
    """The clock by which keys grow old."""
    return Passing()


@pytest.fixture
def bearers(issuer: SigningIssuer, clock: Passing) -> JwtBearers:
    """Who trusts that issuer."""
    return JwtBearers([TrustedIssuer(Issuer(issuer.url, monotonic=clock), AUDIENCE)])


@pytest.fixture
async def ada(database: Database, issuer: SigningIssuer) -> User:
    """Somebody the issuer calls `ada`, in no team."""
    return await known(database, issuer.url, "ada")


async def known(database: Database, issuer: str, subject: str) -> User:
    """Return a new person who is `subject` at `issuer`."""
    user = await create_user(database, f"{uuid4().hex}@example.com", None, subject.title())
    async with database.write() as session:
        session.add(UserIdentity(issuer=issuer, subject=subject, user_id=user.id))
    return user


async def team_of(
    database: Database, user: User, role: Role = Role.OWNER, *, external_id: str | None = None
) -> Team:
    """Return a new team that `user` is in."""
    team = await create_team(database, f"Team {uuid4().hex[:6]}")
    if external_id is not None:
        async with database.write() as session:
            team.external_id = external_id
            session.add(team)
    await add_member(database, team.id, user.id, role)
    return team


async def test_a_token_stands_for_its_person_in_their_first_team(
    bearers: JwtBearers, issuer: SigningIssuer, database: Database, ada: User
) -> None:
    team = await team_of(database, ada, Role.BILLING_MANAGER)
    await team_of(database, ada)
    assert await bearers.identify(database, issuer.token()) == Identity(
        session_id=None,
        user_id=ada.id,
        email=ada.email,
        user_name="Ada",
        team_id=team.id,
        team_name=team.name,
        role=Role.BILLING_MANAGER,
    )


async def test_a_token_can_name_one_of_the_persons_teams_by_either_id(
    bearers: JwtBearers, issuer: SigningIssuer, database: Database, ada: User
) -> None:
    await team_of(database, ada)
    second = await team_of(database, ada, Role.MEMBER, external_id="northwind")
    for name in ("northwind", str(second.id)):
        identity = await bearers.identify(database, issuer.token(team=name))
        assert (identity.team_id, identity.role) == (second.id, Role.MEMBER)


async def test_what_the_product_calls_a_team_goes_before_the_id_of_another(
    bearers: JwtBearers, issuer: SigningIssuer, database: Database, ada: User
) -> None:
    first = await team_of(database, ada)
    namesake = await team_of(database, ada, external_id=str(first.id))
    identity = await bearers.identify(database, issuer.token(team=str(first.id)))
    assert identity.team_id == namesake.id


async def test_a_team_that_the_person_is_not_in_is_not_found(
    bearers: JwtBearers, issuer: SigningIssuer, database: Database, ada: User
) -> None:
    await team_of(database, ada)
    bob = await known(database, issuer.url, "bob")
    foreign = await team_of(database, bob, external_id="southwind")
    for name in ("southwind", str(foreign.id), "nowhere", str(uuid4()), "", "a\x00b", "\ud800"):
        with pytest.raises(NoTeam):
            await bearers.identify(database, issuer.token(team=name))


async def test_a_person_without_a_team_has_no_role(
    bearers: JwtBearers, issuer: SigningIssuer, database: Database, ada: User
) -> None:
    identity = await bearers.identify(database, issuer.token())
    assert (identity.user_id, identity.team_id, identity.role) == (ada.id, None, None)


async def test_whoever_is_not_known_here_is_refused(
    bearers: JwtBearers, issuer: SigningIssuer, database: Database, ada: User
) -> None:
    with pytest.raises(InvalidBearer) as refused:
        # The same e-mail is not the same person.
        await bearers.identify(database, issuer.token("eve", email=ada.email, email_verified=True))
    assert refused.value.reason == "The person in the token is not known here."


async def test_the_same_subject_at_another_issuer_is_somebody_else(
    database: Database, issuer: SigningIssuer, ada: User
) -> None:
    with running_issuer() as other:
        both = JwtBearers(TrustedIssuer(Issuer(each.url), AUDIENCE) for each in (issuer, other))
        assert (await both.identify(database, issuer.token())).user_id == ada.id
        with pytest.raises(InvalidBearer, match="Authentication required"):
            await both.identify(database, other.token())
        # Nor can one issuer speak in the other's name.
        with pytest.raises(InvalidBearer) as refused:
            await both.identify(database, other.token(iss=issuer.url))
    assert refused.value.reason == "The signature of the token is not right."


async def test_a_token_takes_one_statement(
    bearers: JwtBearers, issuer: SigningIssuer, database: Database, ada: User
) -> None:
    await team_of(database, ada, external_id="northwind")
    for claims in ({}, {"team": "northwind"}):
        with noted_statements(database) as noted:
            await bearers.identify(database, issuer.token(**claims))
        assert len(noted) == 1


def _with_other_claims(token: str) -> str:
    head, _, signature = token.split(".")
    other = signed({"alg": "none"}, {"sub": "eve"}, None).split(".")[1]
    return f"{head}.{other}.{signature}"


_REFUSED: dict[str, tuple[Callable[[SigningIssuer], str], str]] = {
    "of another issuer": (
        lambda issuer: issuer.token(iss="https://elsewhere.example.com"),
        "The token is from another issuer.",
    ),
    "of an issuer with one slash more": (
        lambda issuer: issuer.token(iss=f"{issuer.url}/"),
        "The token is from another issuer.",
    ),
    "of no issuer": (lambda issuer: issuer.token(iss=None), "The token is from another issuer."),
    "for another audience": (
        lambda issuer: issuer.token(aud="https://elsewhere.example.com"),
        "The token is for another audience.",
    ),
    "for several other audiences": (
        lambda issuer: issuer.token(aud=["one", "two"]),
        "The token is for another audience.",
    ),
    "for an audience that begins like ours": (
        lambda issuer: issuer.token(aud=f"{AUDIENCE}.evil.example"),
        "The token is for another audience.",
    ),
    "for nobody": (
        lambda issuer: issuer.token(aud=None),
        "The token is for another audience.",
    ),
    "for no text": (lambda issuer: issuer.token(aud=[1]), "The token is for another audience."),
    "unsigned": (
        lambda issuer: signed(
            {"alg": "none", "kid": "first"}, {"iss": issuer.url, "aud": AUDIENCE}, None
        ),
        "The token is signed with an algorithm that is not accepted.",
    ),
    "signed with the public key as a secret": (
        lambda issuer: _with_the_public_key_as_secret(issuer),
        "The token is signed with an algorithm that is not accepted.",
    ),
    "expired": (
        lambda issuer: issuer.token(exp=int(time.time()) - 61),
        "The token has expired.",
    ),
    "without an end": (
        lambda issuer: issuer.token(exp=None),
        "The token does not say until when it is valid.",
    ),
    "with an end that is no number": (
        lambda issuer: issuer.token(exp="tomorrow"),
        "The token does not say until when it is valid.",
    ),
    "not yet valid": (
        lambda issuer: issuer.token(nbf=int(time.time()) + 120),
        "The token is not valid yet.",
    ),
    "from the future": (
        lambda issuer: issuer.token(iat=int(time.time()) + 120),
        "The token is from the future.",
    ),
    "about nobody": (
        lambda issuer: issuer.token(sub=None),
        "The token does not say who it is about.",
    ),
    "about nothing at all": (
        lambda issuer: issuer.token(sub=None, exp=None),
        "The token lacks a claim.",
    ),
    "about no text": (
        lambda issuer: issuer.token(sub=7),
        "The token does not say who it is about.",
    ),
    "about what no text can be": (
        lambda issuer: issuer.token("a\x00b"),
        "The person in the token is not known here.",
    ),
    "about half a letter": (
        lambda issuer: issuer.token("\ud800"),
        "The person in the token is not known here.",
    ),
    "with a team that is no text": (
        lambda issuer: issuer.token(team=["northwind"]),
        "The team in the token is not a text.",
    ),
    "signed with an unknown key": (
        lambda issuer: issuer.token(key=rsa_key("unknown")),
        "The token is signed with a key that its issuer does not have.",
    ),
    "signed with another key of the same name": (
        lambda issuer: issuer.token(key=rsa_key("first")),
        "The signature of the token is not right.",
    ),
    "signed with a key it brings along": (
        lambda issuer: _with_its_own_key(issuer),
        "The token is signed with a key that its issuer does not have.",
    ),
    "signed in another way than its key is for": (
        lambda issuer: issuer.token(key=ec_key("first"), header={"alg": "ES256"}),
        "The token is signed with a key that its issuer does not have.",
    ),
    "tampered with": (
        lambda issuer: _with_other_claims(issuer.token()),
        "The token is from another issuer.",
    ),
    "tampered with in one letter": (
        lambda issuer: _with_one_claim_changed(issuer),
        "The signature of the token is not right.",
    ),
    "with half a signature": (
        lambda issuer: issuer.token()[:-100],
        "The signature of the token is not right.",
    ),
    "without a signature": (
        lambda issuer: issuer.token().rpartition(".")[0] + ".",
        "The signature of the token is not right.",
    ),
    "made for a sign-out": (
        lambda issuer: issuer.token(header={"typ": "logout+jwt"}),
        "The token is made for something else.",
    ),
    "with something critical that is not understood": (
        lambda issuer: _critical(issuer),
        "The token cannot be verified.",
    ),
    "too long": (lambda issuer: issuer.token(note="x" * 20_000), "The token is too long."),
    "no token at all": (lambda _: "a.b.c", "The token cannot be read."),
    "two dots": (lambda _: "..", "The token cannot be read."),
    "lists": (lambda _: "W10.W10.", "The token cannot be read."),
    "texts": (lambda _: "ImFsZyI.ImFsZyI.", "The token cannot be read."),
    "not in base64": (lambda _: "é.é.é", "The token cannot be read."),
}


def _with_its_own_key(issuer: SigningIssuer) -> str:
    key = rsa_key("mine")
    return issuer.token(
        key=key, header={"jwk": key.as_dict(private=False), "jku": "https://evil.example/keys"}
    )


def _with_one_claim_changed(issuer: SigningIssuer) -> str:
    ours, theirs = issuer.token("ada"), issuer.token("eve")
    return f"{ours.split('.')[0]}.{ours.split('.')[1]}.{theirs.split('.')[2]}"


def _with_the_public_key_as_secret(issuer: SigningIssuer) -> str:
    # By hand, as an attacker would: the library does not make it.
    secret = issuer.keys[0].as_pem(private=False)
    claims = issuer.token().split(".")[1]
    head = _base64(json.dumps({"alg": "HS256", "kid": "first"}).encode())
    proof = hmac.digest(secret, f"{head}.{claims}".encode(), "sha256")
    return f"{head}.{claims}.{_base64(proof)}"


def _critical(issuer: SigningIssuer) -> str:
    head = _base64(json.dumps({"alg": "RS256", "kid": "first", "crit": ["x"], "x": 1}).encode())
    return f"{head}.{issuer.token().split('.', 1)[1]}"


def _base64(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


@pytest.mark.parametrize("how", _REFUSED)
async def test_a_token_is_refused_when_it_is(
    how: str, bearers: JwtBearers, issuer: SigningIssuer, database: Database, ada: User
) -> None:
    await team_of(database, ada)
    make, reason = _REFUSED[how]
    with pytest.raises(InvalidBearer) as refused:
        await bearers.identify(database, make(issuer))
    assert (str(refused.value), refused.value.reason) == ("Authentication required", reason)
    assert '"' not in reason


async def test_clocks_may_differ_by_a_minute(
    bearers: JwtBearers, issuer: SigningIssuer, database: Database, ada: User
) -> None:
    now = int(time.time())
    for claims in ({"exp": now - 50}, {"nbf": now + 50}, {"iat": now + 50}, {"iat": None}):
        assert (await bearers.identify(database, issuer.token(**claims))).user_id == ada.id


@pytest.mark.parametrize("kind", ["JWT", "at+jwt", "application/at+jwt", "AT+JWT", None])
async def test_a_token_may_call_itself_an_access_token_or_nothing(
    kind: str | None, bearers: JwtBearers, issuer: SigningIssuer, database: Database, ada: User
) -> None:
    token = issuer.token(header={"typ": kind})
    assert (await bearers.identify(database, token)).user_id == ada.id


async def test_one_audience_of_several_is_enough(
    bearers: JwtBearers, issuer: SigningIssuer, database: Database, ada: User
) -> None:
    token = issuer.token(aud=["https://else.example", AUDIENCE])
    assert (await bearers.identify(database, token)).user_id == ada.id


_KEYS: dict[str, Callable[[], Key]] = {
    **dict.fromkeys(("RS256", "RS384", "RS512"), lambda: rsa_key("it")),
    **dict.fromkeys(("PS256", "PS384", "PS512"), lambda: rsa_key("it")),
    "ES256": lambda: ec_key("it", "P-256"),
    "ES384": lambda: ec_key("it", "P-384"),
    "ES512": lambda: ec_key("it", "P-521"),
    "EdDSA": lambda: ed_key("it"),
}


@pytest.mark.parametrize("algorithm", _KEYS)
@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
async def test_every_algorithm_with_a_public_key_is_accepted(
    algorithm: str, bearers: JwtBearers, issuer: SigningIssuer, database: Database, ada: User
) -> None:
    issuer.keys = [_KEYS[algorithm]()]
    token = issuer.token(header={"alg": algorithm})
    assert (await bearers.identify(database, token)).user_id == ada.id


async def test_a_token_that_names_no_key_is_accepted_where_there_is_only_one(
    bearers: JwtBearers, issuer: SigningIssuer, database: Database, ada: User, clock: Passing
) -> None:
    token = issuer.token(header={"kid": None})
    assert (await bearers.identify(database, token)).user_id == ada.id
    issuer.keys.append(rsa_key("second"))
    clock.now += oidc_keys.FRESH_SECONDS
    with pytest.raises(InvalidBearer):
        await bearers.identify(database, token)


async def test_keys_are_asked_for_once(
    bearers: JwtBearers, issuer: SigningIssuer, database: Database, ada: User
) -> None:
    for _ in range(5):
        assert (await bearers.identify(database, issuer.token())).user_id == ada.id
    assert issuer.asked == ["/.well-known/openid-configuration", "/keys"]


async def test_a_new_key_is_asked_for_when_a_token_names_it(
    bearers: JwtBearers, issuer: SigningIssuer, database: Database, ada: User, clock: Passing
) -> None:
    old = issuer.token()
    assert (await bearers.identify(database, old)).user_id == ada.id
    issuer.keys = [rsa_key("second"), *issuer.keys]
    clock.now += oidc_keys.RETRY_SECONDS
    for token in (issuer.token(), old):
        assert (await bearers.identify(database, token)).user_id == ada.id
    assert issuer.times_asked() == 2


async def test_a_key_that_was_withdrawn_is_refused_once_keys_are_old(
    bearers: JwtBearers, issuer: SigningIssuer, database: Database, ada: User, clock: Passing
) -> None:
    old = issuer.token()
    await bearers.identify(database, old)
    issuer.keys = [rsa_key("second")]
    clock.now += oidc_keys.FRESH_SECONDS
    with pytest.raises(InvalidBearer):
        await bearers.identify(database, old)
    assert (await bearers.identify(database, issuer.token())).user_id == ada.id


async def test_tokens_with_made_up_keys_do_not_flood_the_issuer(
    bearers: JwtBearers, issuer: SigningIssuer, database: Database, ada: User, clock: Passing
) -> None:
    await bearers.identify(database, issuer.token())
    clock.now += oidc_keys.RETRY_SECONDS
    for number in range(20):
        with pytest.raises(InvalidBearer):
            await bearers.identify(database, issuer.token(header={"kid": f"made-up-{number}"}))
    assert issuer.times_asked() == 2
    clock.now += oidc_keys.RETRY_SECONDS
    with pytest.raises(InvalidBearer):
        await bearers.identify(database, issuer.token(header={"kid": "made-up"}))
    assert issuer.times_asked() == 3


async def test_an_issuer_that_is_gone_is_not_needed_for_the_keys_we_have(
    bearers: JwtBearers, issuer: SigningIssuer, database: Database, ada: User, clock: Passing
) -> None:
    token = issuer.token(exp=int(time.time()) + 3 * 24 * _HOUR)
    await bearers.identify(database, token)
    unknown = issuer.token(key=rsa_key("second"))
    issuer.pages = {"/keys": "out of order"}
    clock.now += oidc_keys.FRESH_SECONDS
    assert (await bearers.identify(database, token)).user_id == ada.id
    # Whether it has this key by now, nobody can say.
    with pytest.raises(IssuerUnavailable, match="does not answer with JSON"):
        await bearers.identify(database, unknown)
    # What it may have withdrawn long ago is not believed for ever.
    clock.now += oidc_keys.STALE_SECONDS
    with pytest.raises(IssuerUnavailable):
        await bearers.identify(database, token)
    issuer.pages = {}
    clock.now += oidc_keys.RETRY_SECONDS
    assert (await bearers.identify(database, token)).user_id == ada.id


async def test_an_issuer_that_was_never_reached_is_unavailable_and_then_found(
    database: Database,
) -> None:
    clock = Passing()
    with running_issuer() as issuer:
        url, token = issuer.url, issuer.token()
    bearers = JwtBearers([TrustedIssuer(Issuer(url, monotonic=clock), AUDIENCE)])
    for _ in range(3):
        with pytest.raises(IssuerUnavailable, match="cannot be reached"):
            await bearers.identify(database, token)


_WELL_KNOWN = "/.well-known/openid-configuration"


@pytest.mark.parametrize(
    ("path", "text", "sentence"),
    [
        (_WELL_KNOWN, "<html>", "does not answer with JSON"),
        (_WELL_KNOWN, "[" * 100_000, "does not answer with JSON"),
        (_WELL_KNOWN, "[]", "does not answer with a JSON object"),
        (_WELL_KNOWN, "{}", "does not describe itself"),
        (_WELL_KNOWN, '{"issuer": "URL", "jwks_uri": 7}', "does not describe itself"),
        (_WELL_KNOWN, '{"issuer": "URL/", "jwks_uri": "URL/keys"}', "calls itself"),
        (_WELL_KNOWN, '{"issuer": "URL", "jwks_uri": "http://example.com/"}', "not https"),
        (_WELL_KNOWN, '{"issuer": "URL", "jwks_uri": "file:///etc/passwd"}', "not https"),
        (_WELL_KNOWN, '{"issuer": "URL", "jwks_uri": "URL/none"}', "answers 404"),
        (_WELL_KNOWN, "x" * 600_000, "more than is believable"),
        ("/keys", '{"keys": []}', "no key that could be used"),
        ("/keys", '{"keys": 7}', "no key that could be used"),
        ("/keys", '{"keys": [7, {}, {"kty": "oct", "k": "c2VjcmV0"}]}', "no key that could"),
    ],
)
async def test_an_issuer_that_answers_nonsense_is_unavailable(
    path: str, text: str, sentence: str, issuer: SigningIssuer
) -> None:
    issuer.pages = {path: text.replace("URL", issuer.url)}
    with pytest.raises(IssuerUnavailable, match=sentence):
        await Issuer(issuer.url).key_set()


async def test_only_keys_that_prove_something_are_kept(issuer: SigningIssuer) -> None:
    secret = OctKey.generate_key(256, {"kid": "secret"})
    sealing = rsa_key("sealing").as_dict(private=False, use="enc")
    listed = [
        *(secret.as_dict(), sealing, rsa_key("weak", 1024).as_dict(private=False)),
        *({"kty": "future", "kid": "x"}, {"kty": "RSA", "n": "!"}, None),
        ec_key("good").as_dict(private=False),
    ]
    issuer.pages = {"/keys": json.dumps({"keys": listed})}
    keys = await Issuer(issuer.url).key_set()
    assert [key.kid for key in keys.keys] == ["good"]


@pytest.mark.parametrize(
    ("address", "safe"),
    [
        ("https://id.example.com/realms/a", True),
        ("http://localhost:4000", True),
        ("http://127.0.0.1", True),
        ("http://[::1]:8000/", True),
        ("http://id.example.com", False),
        ("http://127.0.0.1.example.com", False),
        ("https://user:secret@id.example.com", False),
        ("https://id.example.com/#x", False),
        ("ftp://localhost", False),
        ("https://", False),
        ("https://[", False),
        ("", False),
    ],
)
def test_an_address_is_https_or_stays_on_this_machine(address: str, safe: bool) -> None:
    assert is_safe_address(address) is safe
    if not safe:
        with pytest.raises(ValueError, match="https"):
            Issuer(address)
