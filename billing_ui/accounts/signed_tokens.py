"""Tokens that an OpenID provider has signed (RFC 7519): checked to the last claim before any of it is believed."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from joserfc import jws
from joserfc.errors import ClaimError, ExpiredTokenError, JoseError
from joserfc.jwk import ECKey, Key, KeySet, OKPKey, RSAKey
from joserfc.jws import CompactSignature, JWSRegistry
from joserfc.jwt import Claims, JWTClaimsRegistry

from billing_ui.accounts.errors import InvalidBearer
from billing_ui.accounts.oidc_keys import Issuer
from billing_ui.clock import utc_now

ALGORITHMS: Final = (
    *("RS256", "RS384", "RS512"),
    *("PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512"),
    *("EdDSA", "Ed25519", "Ed448"),
)
"""Those with a private and a public key. `none` signs nothing, and `HS…` would take a public key for a secret."""
LEEWAY_SECONDS: Final = 60
"""So far the issuer's clock may be from ours."""
_TYPES: Final = frozenset({"jwt", "at+jwt", "application/at+jwt", "application/jwt"})
"""What the header may call it (RFC 9068, section 4): one made for something else, such as a sign-out, is none."""
_LONGEST: Final = 16_384

# Header names that we do not know change nothing: RFC 7515, section 4.
_REGISTRY: Final = JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)
# Some issuers put a chain of certificates there.
_REGISTRY.max_header_length = _LONGEST


def is_signed_token(text: str) -> bool:
    """Return whether `text` has the shape of a signed token; no token of ours has a dot."""
    return text.count(".") == 2


@dataclass(frozen=True)
class Unverified:
    """What a token says, none of which is known to be true."""

    issuer: str | None
    algorithm: str
    key_id: str | None
    signature: CompactSignature = field(repr=False)
    claims: Claims = field(repr=False)


def read_token(token: str) -> Unverified:
    """Return what a token says, to know whose keys to ask for.

    Raises:
        InvalidBearer: it cannot be read, is not made for this, or is signed in a way that proves nothing.
    """
    if len(token) > _LONGEST:
        raise InvalidBearer("The token is too long.")
    try:
        signature = jws.extract_compact(token.encode(), registry=_REGISTRY)
        header, claims = signature.headers(), json.loads(signature.payload or b"")
    except (JoseError, ValueError, RecursionError, AttributeError, TypeError) as error:
        raise InvalidBearer("The token cannot be read.") from error
    if not (isinstance(header, dict) and isinstance(claims, dict)):
        raise InvalidBearer("The token cannot be read.")
    algorithm, key_id, kind = header.get("alg"), header.get("kid"), header.get("typ", "JWT")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise InvalidBearer("The token is signed with an algorithm that is not accepted.")
    if not isinstance(kind, str) or kind.lower() not in _TYPES:
        raise InvalidBearer("The token is made for something else.")
    if not (key_id is None or isinstance(key_id, str)):
        raise InvalidBearer("The token cannot be read.")
    issuer = claims.get("iss")
    return Unverified(
        issuer if isinstance(issuer, str) else None, algorithm, key_id, signature, claims
    )


async def verified_claims(
    token: Unverified, issuer: Issuer, audience: str, *, now: Callable[[], datetime] = utc_now
) -> Claims:
    """Return what `issuer` says in `token`, once everything about it was found right.

    That is: the signature by one of the issuer's keys, and the claims `iss`, `sub`, `aud` and `exp`, with `nbf`
    and `iat` where there are any.

    Args:
        audience: for whom it must have been made.

    Raises:
        InvalidBearer: something is not right; its `reason` says what.
        IssuerUnavailable: the issuer's keys are needed, and it does not answer.
    """
    key = _key(await issuer.key_set(token.key_id), token)
    if key is None:
        raise InvalidBearer("The token is signed with a key that its issuer does not have.")
    try:
        genuine = jws.validate_compact(token.signature, key, registry=_REGISTRY)
    except (JoseError, ValueError) as error:
        raise InvalidBearer("The token cannot be verified.") from error
    if not genuine:
        raise InvalidBearer("The signature of the token is not right.")
    _check_claims(token.claims, issuer.issuer, audience, now())
    return token.claims


def _key(keys: KeySet, token: Unverified) -> Key | None:
    """Return the key that a token names; one that names none is taken only where there is no choice."""
    fitting = [key for key in keys.keys if _fits(key, token.algorithm)]
    if token.key_id is None:
        return fitting[0] if len(fitting) == 1 else None
    return next((key for key in fitting if key.kid == token.key_id), None)


def _fits(key: Key, algorithm: str) -> bool:
    if key.get("alg") not in (None, algorithm):
        return False
    match algorithm[:2]:
        case "RS" | "PS":
            return isinstance(key, RSAKey)
        case "ES":
            return isinstance(key, ECKey)
        case _:
            return isinstance(key, OKPKey)


def _check_claims(claims: Claims, issuer: str, audience: str, now: datetime) -> None:
    registry = JWTClaimsRegistry(
        now=int(now.timestamp()),
        leeway=LEEWAY_SECONDS,
        iss={"essential": True, "value": issuer},
        aud={"essential": True, "value": audience},
        sub={"essential": True},
        exp={"essential": True},
    )
    try:
        registry.validate(claims)
    except ExpiredTokenError as error:
        raise InvalidBearer("The token has expired.") from error
    except ClaimError as error:
        raise InvalidBearer(_REASONS.get(error.claim, "The token lacks a claim.")) from error


_REASONS: Final = {
    "iss": "The token is from another issuer.",
    "aud": "The token is for another audience.",
    "sub": "The token does not say who it is about.",
    "exp": "The token does not say until when it is valid.",
    "nbf": "The token is not valid yet.",
    "iat": "The token is from the future.",
}
