"""The requests of a sign-in to an OpenID provider: the code's exchange, the ID token, and more about the person."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote_plus, urlsplit

import httpx
import structlog
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc.errors import ClaimError
from pydantic import BaseModel, Field, SecretStr, ValidationError

from billing_ui.accounts.errors import InvalidBearer, IssuerUnavailable
from billing_ui.accounts.oidc_attempts import Attempt
from billing_ui.accounts.oidc_errors import (
    ClocksDiffer,
    NotSetUp,
    TookTooLong,
    Unreachable,
    Untrusted,
)
from billing_ui.accounts.oidc_keys import Issuer, Metadata
from billing_ui.accounts.signed_tokens import LEEWAY_SECONDS, read_token, verified_claims
from billing_ui.clock import utc_now
from billing_ui.settings import OidcProvider, Settings, is_loopback

log = structlog.get_logger(__name__)

_SCOPE: Final = "openid email profile"
_LIMIT_SECONDS: Final = 10.0
_LARGEST_ANSWER: Final = 256 * 1024
_LONGEST_SUBJECT: Final = 255
_ABOUT_TIME: Final = frozenset({"exp", "iat", "nbf"})
# RFC 6749, section 5.2: what is wrong with how we are registered, not with this one sign-in.
_OUR_FAULT: Final = frozenset(
    {"invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_request"}
)


class Tokens(BaseModel):
    """What a code is exchanged for."""

    id_token: SecretStr
    access_token: SecretStr = Field(default=SecretStr(""))


@dataclass(frozen=True)
class Person:
    """Whom the provider vouches for.

    Attributes:
        issuer, subject: who they are; together they belong to nobody else, ever.
        email: their address, empty when the provider gives none.
        email_verified: the provider says that it is really theirs.
        id_token: what proves it, as the provider sent it.
    """

    issuer: str
    subject: str
    email: str
    email_verified: bool
    name: str
    id_token: str = field(repr=False)


class Provider:
    """One configured provider, and how this site talks to it."""

    def __init__(
        self, number: int, configured: OidcProvider, issuer: Issuer, settings: Settings
    ) -> None:
        """Ask nothing yet."""
        self.number = number
        self.configured = configured
        self.issuer = issuer
        # In development the backend has a port of its own.
        self.redirect_uri = f"{settings.browser_api_url}/auth/oidc/{number}/callback"

    async def metadata(self) -> Metadata:
        """Return what the provider says of itself.

        Raises:
            Unreachable: it does not answer.
        """
        try:
            return await self.issuer.metadata()
        except IssuerUnavailable:
            raise Unreachable from None

    async def authorization_url(self, attempt: Attempt) -> str:
        """Return where the browser begins `attempt`.

        Raises:
            Unreachable: the provider does not answer.
            NotSetUp: it signs nobody in by itself.
        """
        endpoint = (await self.metadata()).authorization_endpoint
        if endpoint is None:
            raise self._not_set_up("no authorization_endpoint")
        url: str = prepare_grant_uri(
            endpoint,
            client_id=self.configured.client_id,
            response_type="code",
            redirect_uri=self.redirect_uri,
            scope=_SCOPE,
            state=attempt.state,
            nonce=attempt.nonce,
            code_challenge=create_s256_code_challenge(attempt.verifier),  # type: ignore[no-untyped-call]
            code_challenge_method="S256",
        )
        return url

    async def person(self, code: str, attempt: Attempt) -> Person:
        """Return who has signed in at the provider, once everything it says about that was found right.

        Raises:
            Unreachable, NotSetUp, TookTooLong: the code cannot be exchanged.
            Untrusted, ClocksDiffer: the ID token is not what it has to be.
        """
        tokens = await self._exchange(code, attempt)
        claims = await self._verified(tokens, attempt)
        if not claims.get("email"):
            claims = claims | await self._userinfo(tokens, claims["sub"])
        return Person(
            issuer=self.issuer.issuer,
            subject=claims["sub"],
            email=_text(claims, "email"),
            email_verified=_is_vouched_for(claims),
            name=_text(claims, "name"),
            id_token=tokens.id_token.get_secret_value(),
        )

    async def _exchange(self, code: str, attempt: Attempt) -> Tokens:
        metadata = await self.metadata()
        if metadata.token_endpoint is None:
            raise self._not_set_up("no token_endpoint")
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "code_verifier": attempt.verifier,
        }
        client_id = self.configured.client_id
        secret = self.configured.client_secret.get_secret_value()
        auth: httpx.BasicAuth | None = None
        if secret and "client_secret_basic" in metadata.token_endpoint_auth_methods_supported:
            # RFC 6749, section 2.3.1: both are encoded like a form's fields first.
            auth = httpx.BasicAuth(quote_plus(client_id), quote_plus(secret))
        else:
            form |= {"client_id": client_id} | ({"client_secret": secret} if secret else {})
        status, answer = await self._ask("POST", metadata.token_endpoint, data=form, auth=auth)
        if status != httpx.codes.OK:
            raise self._refused_exchange(status, answer)
        try:
            return Tokens.model_validate(answer)
        except ValidationError:
            raise self._untrusted("The answer holds no ID token.") from None

    async def _verified(self, tokens: Tokens, attempt: Attempt) -> dict[str, Any]:
        """Return the claims of the ID token (OpenID Connect Core 1.0, section 3.1.3.7)."""
        client_id = self.configured.client_id
        try:
            token = read_token(tokens.id_token.get_secret_value())
            claims = await verified_claims(token, self.issuer, client_id)
            CodeIDToken(
                claims,
                token.signature.headers(),
                params={
                    "client_id": client_id,
                    "nonce": attempt.nonce,
                    "access_token": tokens.access_token.get_secret_value(),
                },
            ).validate(int(utc_now().timestamp()), LEEWAY_SECONDS)
        except IssuerUnavailable:
            raise Unreachable from None
        except InvalidBearer as error:
            cause = error.__cause__
            if isinstance(cause, ClaimError) and cause.claim in _ABOUT_TIME:
                log.warning("oidc_clocks_differ", provider=self.number, reason=error.reason)
                raise ClocksDiffer from None
            raise self._untrusted(error.reason) from None
        except ClaimError as error:
            raise self._untrusted(f"The claim {error.claim} is missing or wrong.") from None
        # OpenID Connect Core 1.0, section 2.
        if not 0 < len(claims["sub"]) <= _LONGEST_SUBJECT:
            raise self._untrusted("The claim sub is empty or too long.")
        return claims

    async def _userinfo(self, tokens: Tokens, subject: str) -> dict[str, Any]:
        """Return what the provider's userinfo says of the same person; nothing where it has none."""
        endpoint = (await self.metadata()).userinfo_endpoint
        access_token = tokens.access_token.get_secret_value()
        if endpoint is None or not access_token:
            return {}
        status, answer = await self._ask(
            "GET", endpoint, headers={"Authorization": f"Bearer {access_token}"}
        )
        if status != httpx.codes.OK:
            log.warning("oidc_userinfo_refused", provider=self.number, status=status)
            return {}
        # Section 5.3.2: the access token might be somebody else's.
        if answer.get("sub") != subject:
            raise self._untrusted("The userinfo is of somebody else.")
        return {
            name: answer[name] for name in ("email", "email_verified", "name") if name in answer
        }

    async def _ask(self, method: str, url: str, **request: Any) -> tuple[int, dict[str, Any]]:
        """Return status and JSON object of an answer, an empty one when it is none; follows no redirect."""
        headers = {"Accept": "application/json"} | request.pop("headers", {})
        loopback = is_loopback(urlsplit(url).hostname or "")
        try:
            async with (
                asyncio.timeout(_LIMIT_SECONDS),
                httpx.AsyncClient(timeout=_LIMIT_SECONDS, trust_env=not loopback) as client,
                client.stream(method, url, headers=headers, **request) as response,
            ):
                body = bytearray()
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > _LARGEST_ANSWER:
                        raise self._untrusted("The answer is too large.")
        except (TimeoutError, httpx.HTTPError, httpx.InvalidURL) as error:
            log.warning("oidc_unavailable", provider=self.number, reason=type(error).__name__)
            raise Unreachable from None
        if response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
            log.warning("oidc_unavailable", provider=self.number, status=response.status_code)
            raise Unreachable
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError):
            answer = None
        return response.status_code, answer if isinstance(answer, dict) else {}

    def _refused_exchange(self, status: int, answer: dict[str, Any]) -> Exception:
        reason = str(answer.get("error"))[:100]
        log.warning("oidc_refused", provider=self.number, status=status, reason=reason)
        if reason in _OUR_FAULT or status == httpx.codes.UNAUTHORIZED:
            return NotSetUp()
        # The code is too old, was used before, or belongs to another browser's sign-in.
        return TookTooLong() if reason == "invalid_grant" else Untrusted()

    def _untrusted(self, reason: str) -> Untrusted:
        log.warning("oidc_untrusted", provider=self.number, reason=reason)
        return Untrusted()

    def _not_set_up(self, reason: str) -> NotSetUp:
        log.warning("oidc_refused", provider=self.number, reason=reason)
        return NotSetUp()


def _text(claims: dict[str, Any], name: str) -> str:
    value = claims.get(name)
    return value if isinstance(value, str) else ""


def _is_vouched_for(claims: dict[str, Any]) -> bool:
    """Return whether the e-mail address is said to be verified; some providers say it in a word or a number.

    Entra ID says it in a claim of its own, `xms_edov`: the domain's owner has verified it.
    """
    said = (claims.get("email_verified"), claims.get("xms_edov"))
    return any(value is True or value in ("true", "1", 1) for value in said)
