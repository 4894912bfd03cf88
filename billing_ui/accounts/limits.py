"""How often somebody may do something: counted in Redis when there is one, else in this process."""

import hashlib
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Final, TypeVar

import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from billing_ui.accounts.clients import current_client
from billing_ui.accounts.errors import AccountError, InvalidCredentials
from billing_ui.accounts.sessions import Identity
from billing_ui.settings import Settings

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Limit:
    """So many times within any `seconds` on end."""

    name: str
    times: int
    seconds: float


PORTAL: Final = Limit("portal", 30, 60.0)
"""Of one person."""
DOWNLOADS: Final = Limit("downloads", 30, 60.0)
"""Of files that a provider is asked for, by one person."""
CALLS: Final = Limit("calls", 120, 60.0)
"""By one token: an API token, a session's, or one that stands for a person without either."""
LOOKUPS: Final = Limit("lookups", 10, 60.0)
"""Of prices that our copy of the catalogue does not have, by one team."""
FAILED_SIGN_INS: Final = Limit("sign-in", 10, 15 * 60.0)
"""To one account from one address, so that nobody elsewhere can keep its person out."""

_REDIS_ANSWERS_WITHIN: Final = 0.5
_REDIS_IS_LEFT_ALONE_FOR: Final = 5.0
_TIDY_EVERY: Final = 60.0
_IN_MINUTES_FROM: Final = 90
# Whoever has one IPv6 address usually has all that begin with the same 64 bits.
_ONE_SUBSCRIBER: Final = 64

T = TypeVar("T")


class TooManyTries(AccountError):
    """A limit is reached; in `retry_after` seconds, a whole number, there is room for one more."""

    def __init__(self, seconds: float) -> None:
        """Say how long to wait."""
        self.retry_after = max(1, math.ceil(seconds))
        super().__init__(f"Too many tries. Try again in {_in_words(self.retry_after)}.")


class Limits:
    """Counts what people and programs do; only what was found valid and allowed is to be counted.

    While Redis does not answer every process counts by itself. A limit is then as many times higher as there
    are processes, which is better than a site that is down, and than one without limits.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        """Count as `settings` say; nothing connects yet. `clock` tells seconds."""
        self._on = settings.rate_limits == "on"
        self._clock = clock
        self._here = _Here(clock)
        url = settings.redis_url.get_secret_value()
        self._redis = _InRedis(url) if url else None
        self._ask_redis_from = -math.inf

    async def count_call(self, identity: Identity) -> None:
        """Count one call of the API.

        Raises:
            TooManyTries: there were too many by the same token.
        """
        await self._count(CALLS, identity.token_id or identity.session_id or identity.user_id)

    async def count_portal(self, identity: Identity) -> None:
        """Count one opening of the portal, which is a call besides.

        Raises:
            TooManyTries: there were too many by the same person or the same token.
        """
        await self.count_call(identity)
        if identity.user_id is not None:
            await self._count(PORTAL, identity.user_id)

    async def count_download(self, identity: Identity) -> None:
        """Count one download of a file that the provider is asked for, which is a call besides.

        Raises:
            TooManyTries: there were too many by the same person or the same token.
        """
        await self.count_call(identity)
        if identity.user_id is not None:
            await self._count(DOWNLOADS, identity.user_id)

    async def count_lookup(self, identity: Identity) -> None:
        """Count one look at the provider for a price that our copy of the catalogue does not have.

        Raises:
            TooManyTries: there were too many for the same team.
        """
        await self._count(LOOKUPS, identity.team_id)

    @asynccontextmanager
    async def counting_failed_sign_in(self, email: str) -> AsyncIterator[None]:
        """Count what is done within, unless it ends otherwise than with `InvalidCredentials`.

        It is counted before it is known, so that many tries at once are no more than many in a row.

        Raises:
            TooManyTries: too many have failed with this e-mail from the client's address.
        """
        who = f"{email.strip().lower()} {_subscriber(current_client().address)}"
        await self._count(FAILED_SIGN_INS, who)
        failed = False
        try:
            yield
        except InvalidCredentials:
            failed = True
            raise
        finally:
            if not failed:
                await self._forget_newest(FAILED_SIGN_INS, who)

    async def close(self) -> None:
        """Close every connection."""
        if self._redis is not None:
            await self._redis.close()

    async def _count(self, limit: Limit, who: object) -> None:
        if not self._on:
            return
        key = _key(limit, who)
        left = await self._of_redis(lambda redis: redis.count(key, limit))
        if left is None:
            left = self._here.count(key, limit)
        if left > 0:
            raise TooManyTries(left)

    async def _forget_newest(self, limit: Limit, who: object) -> None:
        if self._on:
            key = _key(limit, who)
            if await self._of_redis(lambda redis: redis.forget_newest(key)) is None:
                self._here.forget_newest(key)

    async def _of_redis(self, ask: "Callable[[_InRedis], Awaitable[T]]") -> T | None:
        """Return what Redis answers, and None without one or while it does not answer."""
        if self._redis is None or self._clock() < self._ask_redis_from:
            return None
        try:
            return await ask(self._redis)
        except (RedisError, OSError) as error:
            # Not by every request: each would wait for an answer that does not come.
            self._ask_redis_from = self._clock() + _REDIS_IS_LEFT_ALONE_FOR
            log.warning("limits_counted_in_each_process", reason=type(error).__name__)
            return None


class _Here:
    """Counts in this process: for each key, when the last times were."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._times: dict[str, deque[float]] = {}
        self._forgotten_at: dict[str, float] = {}
        self._tidy_at = clock() + _TIDY_EVERY

    def count(self, key: str, limit: Limit) -> float:
        """Count once more and return 0, or return the seconds until there is room for that."""
        now = self._clock()
        if now >= self._tidy_at:
            self._tidy(now)
        times = self._times.setdefault(key, deque(maxlen=limit.times))
        if len(times) == limit.times and (left := times[0] + limit.seconds - now) > 0:
            return left
        times.append(now)
        self._forgotten_at[key] = now + limit.seconds
        return 0.0

    def forget_newest(self, key: str) -> None:
        """Take the last time back."""
        if times := self._times.get(key):
            times.pop()

    def _tidy(self, now: float) -> None:
        # Once in a while and not at every count, which would take the longer the more people there are.
        self._tidy_at = now + _TIDY_EVERY
        for key in [key for key, at in self._forgotten_at.items() if at <= now]:
            del self._forgotten_at[key], self._times[key]


class _InRedis:
    """Counts in Redis, by its clock: for each key a list of when the last times were, the newest first."""

    _COUNT: Final = """
        local parts = redis.call('TIME')
        local now, times, seconds = parts[1] + parts[2] / 1000000, tonumber(ARGV[1]), tonumber(ARGV[2])
        local oldest = redis.call('LINDEX', KEYS[1], times - 1)
        if oldest and oldest + seconds > now then return tostring(oldest + seconds - now) end
        redis.call('LPUSH', KEYS[1], string.format('%.6f', now))
        redis.call('LTRIM', KEYS[1], 0, times - 1)
        redis.call('EXPIRE', KEYS[1], math.ceil(seconds))
        return '0'
    """
    _FORGET_NEWEST: Final = "return redis.call('LPOP', KEYS[1]) and 1 or 0"

    def __init__(self, url: str) -> None:
        self._client = Redis.from_url(
            url,
            socket_connect_timeout=_REDIS_ANSWERS_WITHIN,
            socket_timeout=_REDIS_ANSWERS_WITHIN,
            retry=Retry(NoBackoff(), 0),
        )
        self._count = self._client.register_script(self._COUNT)
        self._forget_newest = self._client.register_script(self._FORGET_NEWEST)

    async def count(self, key: str, limit: Limit) -> float:
        """Count once more and return 0, or return the seconds until there is room for that."""
        return float(await self._count([key], [limit.times, limit.seconds]))

    async def forget_newest(self, key: str) -> bool:
        """Take the last time back; return whether there was one."""
        return bool(await self._forget_newest([key]))

    async def close(self) -> None:
        """Close every connection."""
        await self._client.aclose()


def _key(limit: Limit, who: object) -> str:
    # Hashed: what people type into a form may be long, and is nobody's business in Redis.
    digest = hashlib.blake2b(str(who).encode("utf-8", "surrogatepass"), digest_size=16)
    return f"billing-ui:{limit.name}:{digest.hexdigest()}"


def _subscriber(address: str | None) -> str:
    """Return what stands for everybody who may share `address` with its owner."""
    try:
        parsed = ip_address(address or "")
    except ValueError:
        return address or ""
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(IPv6Network((int(parsed), _ONE_SUBSCRIBER), strict=False))
    return str(parsed)


def _in_words(seconds: int) -> str:
    if seconds > _IN_MINUTES_FROM:
        return f"{math.ceil(seconds / 60)} minutes"
    return "1 second" if seconds == 1 else f"{seconds} seconds"
