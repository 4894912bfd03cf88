"""What an OpenID provider publishes about itself: its metadata and its keys, asked for seldom and kept for a while."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, Generic, TypeVar
from urllib.parse import urlsplit

import httpx
import structlog
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, Key, KeySet, OKPKey, RSAKey
from pydantic import BaseModel, ConfigDict, ValidationError

from billing_ui.accounts.errors import IssuerUnavailable
from billing_ui.settings import is_https_or_loopback

Thing = TypeVar("Thing")

log = structlog.get_logger(__name__)

FRESH_SECONDS: Final = 600.0
"""So old metadata and keys may be before they are asked for again: what the provider withdraws is refused then."""
STALE_SECONDS: Final = 86400.0
"""So old they may be while the provider cannot be reached."""
RETRY_SECONDS: Final = 5.0
"""At least this long lies between two questions for the same thing: a stranger's tokens must not flood a provider."""

_LIMIT_SECONDS: Final = 5.0
_LARGEST_ANSWER: Final = 512 * 1024
_WEAKEST_RSA_BITS: Final = 2048
_DISCOVERY_PATH: Final = "/.well-known/openid-configuration"


class Metadata(BaseModel):
    """What a provider says of itself (OpenID Connect Discovery 1.0, section 3), as far as it is used here."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    issuer: str
    jwks_uri: str
    authorization_endpoint: str | None = None
    token_endpoint: str | None = None
    userinfo_endpoint: str | None = None
    end_session_endpoint: str | None = None
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    authorization_response_iss_parameter_supported: bool = False

    @property
    def endpoints(self) -> tuple[str, ...]:
        """Every address in it, jwks_uri first."""
        found = (
            self.jwks_uri,
            self.authorization_endpoint,
            self.token_endpoint,
            self.userinfo_endpoint,
            self.end_session_endpoint,
        )
        return tuple(address for address in found if address is not None)


class Issuer:
    """One provider: its metadata and the keys it signs with.

    The network is asked when something is needed and old or unknown, by one caller at a time, and never more often
    than every few seconds. What is merely old is renewed by whoever comes first; the others use it meanwhile.
    """

    def __init__(self, issuer: str, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Ask nothing yet.

        Args:
            issuer: its identifier, an https URL (http on a loopback address), exactly as it is in tokens.
            monotonic: tells how many seconds went by.

        Raises:
            ValueError: `issuer` is no such URL.
        """
        if not is_safe_address(issuer):
            raise ValueError("an issuer is an https URL, or http on a loopback address")
        self.issuer = issuer
        self._metadata = _Kept(self._fetch_metadata, monotonic)
        self._keys = _Kept(self._fetch_keys, monotonic)

    async def metadata(self) -> Metadata:
        """Return what the provider says of itself.

        Raises:
            IssuerUnavailable: it does not answer, or not as a provider of this name does.
        """
        return await self._metadata.get()

    async def key_set(self, kid: str | None = None) -> KeySet:
        """Return the public keys the provider signs with; none of them is a shared secret.

        Args:
            kid: the key that is looked for. When it is not among the known ones they are asked for again, since
                providers change them; it may still be missing then.

        Raises:
            IssuerUnavailable: the provider does not answer, and without it nobody knows whether it has such a key.
        """
        return await self._keys.get(
            lambda keys: kid is None or any(key.kid == kid for key in keys.keys)
        )

    async def _fetch_metadata(self) -> Metadata:
        answer = await _get_json(self.issuer.rstrip("/") + _DISCOVERY_PATH)
        try:
            metadata = Metadata.model_validate(answer)
        except ValidationError as error:
            raise IssuerUnavailable(
                f"{self.issuer} does not describe itself as an OpenID provider does."
            ) from error
        if metadata.issuer != self.issuer:
            # OpenID Connect Discovery 1.0, section 4.3: they are the same, to the letter.
            raise IssuerUnavailable(
                f"{self.issuer} calls itself {metadata.issuer[:200]}. Set the issuer to exactly that."
            )
        if not all(is_safe_address(address) for address in metadata.endpoints):
            raise IssuerUnavailable(f"{self.issuer} names an address that is not https.")
        return metadata

    async def _fetch_keys(self) -> KeySet:
        answer = await _get_json((await self.metadata()).jwks_uri)
        listed = answer.get("keys")
        if not isinstance(listed, list):
            listed = []
        found = [key for entry in listed if (key := _usable_key(entry)) is not None]
        if not found:
            raise IssuerUnavailable(f"{self.issuer} publishes no key that could be used.")
        return KeySet(found)


def is_safe_address(address: str) -> bool:
    """Return whether nobody on the way can listen or change: https, or http that stays on this machine."""
    try:
        parts = urlsplit(address)
        safe = parts.scheme in ("http", "https") and is_https_or_loopback(address)
    except ValueError:
        return False
    return safe and bool(parts.hostname) and parts.username is None and not parts.fragment


class _Kept(Generic[Thing]):
    """Something fetched, kept while it is fresh, and longer while it cannot be fetched anew."""

    def __init__(
        self, fetch: Callable[[], Awaitable[Thing]], monotonic: Callable[[], float]
    ) -> None:
        """Fetch nothing yet; `fetch` raises IssuerUnavailable."""
        self._fetch = fetch
        self._monotonic = monotonic
        self._turn = asyncio.Lock()
        self._thing: Thing | None = None
        self._fetched_at = 0.0
        self._asked_at: float | None = None
        self._failure: str | None = None

    async def get(self, suits: Callable[[Thing], bool] = lambda _: True) -> Thing:
        """Return the thing, fetched anew when it is old, or when it is not one that `suits`.

        Raises:
            IssuerUnavailable: there is none, or none that suits, and the provider does not answer.
        """
        if self._is_missing(suits) or (self._is_old() and not self._turn.locked()):
            async with self._turn:
                if (self._is_missing(suits) or self._is_old()) and self._may_ask():
                    await self._ask()
        thing = self._usable()
        if thing is None or (self._failure is not None and not suits(thing)):
            raise IssuerUnavailable(self._failure)
        return thing

    async def _ask(self) -> None:
        self._asked_at = self._monotonic()
        try:
            self._thing = await self._fetch()
        except IssuerUnavailable as error:
            self._failure = str(error)
            log.warning("issuer_unavailable", reason=self._failure)
            return
        self._fetched_at = self._monotonic()
        self._failure = None

    def _usable(self) -> Thing | None:
        return self._thing if self._age() < STALE_SECONDS else None

    def _is_missing(self, suits: Callable[[Thing], bool]) -> bool:
        thing = self._usable()
        return thing is None or not suits(thing)

    def _is_old(self) -> bool:
        return self._age() >= FRESH_SECONDS

    def _age(self) -> float:
        return self._monotonic() - self._fetched_at

    def _may_ask(self) -> bool:
        return self._asked_at is None or self._monotonic() - self._asked_at >= RETRY_SECONDS


async def _get_json(address: str) -> dict[str, Any]:
    """Return the JSON object at `address`; no redirect is followed, and no endless answer read."""
    # A proxy of the environment stands between us and the world, not between us and ourselves.
    trust_env = urlsplit(address).scheme == "https"
    try:
        async with (
            asyncio.timeout(_LIMIT_SECONDS),
            httpx.AsyncClient(timeout=_LIMIT_SECONDS, trust_env=trust_env) as client,
            client.stream("GET", address, headers={"Accept": "application/json"}) as response,
        ):
            if response.status_code != httpx.codes.OK:
                raise IssuerUnavailable(f"{address} answers {response.status_code}.")
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > _LARGEST_ANSWER:
                    raise IssuerUnavailable(f"{address} answers more than is believable.")
    except (TimeoutError, httpx.HTTPError, httpx.InvalidURL) as error:
        raise IssuerUnavailable(f"{address} cannot be reached.") from error
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise IssuerUnavailable(f"{address} does not answer with JSON.") from error
    if not isinstance(answer, dict):
        raise IssuerUnavailable(f"{address} does not answer with a JSON object.")
    return answer


def _usable_key(entry: object) -> Key | None:
    """Return one entry of a key set as a public key to check signatures with, None when it is no such thing.

    RFC 7517, section 5: an entry that is not understood is passed over, and the others count.
    """
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
        return None
    try:
        key = JWKRegistry.import_key(entry)
    except (JoseError, ValueError, TypeError, KeyError) as error:
        log.warning("issuer_key_not_understood", kid=str(entry.get("kid"))[:100], reason=str(error))
        return None
    if isinstance(key, RSAKey):
        return key if key.raw_value.key_size >= _WEAKEST_RSA_BITS else None
    # A key of type "oct" is a shared secret: published, it is everybody's.
    return key if isinstance(key, ECKey | OKPKey) else None
