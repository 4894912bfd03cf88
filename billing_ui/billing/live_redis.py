"""The way from process to process over Redis: publish and subscribe."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from billing_ui.billing.live import Line, LineBroken

_CHANNEL: Final = "billing-ui:live"
_ANSWER_SECONDS: Final = 5.0
_CHECK_SECONDS: Final = 10.0


async def ask_redis(url: str, within: float) -> None:
    """Return once the Redis at `url` has answered.

    Args:
        within: how many seconds that may take.

    Raises:
        LineBroken: it has not.
    """
    try:
        async with asyncio.timeout(within), Redis.from_url(url) as redis:
            # It says that its answer may come at once, which it does in the other kind of client only.
            await redis.ping()  # type: ignore[misc]
    except (RedisError, OSError, ValueError, TimeoutError) as error:
        raise LineBroken(f"Redis does not answer ({type(error).__name__}).") from None


@asynccontextmanager
async def redis_line(url: str) -> AsyncIterator[Line]:
    """Connect to the Redis at `url` and listen from then on."""
    client = Redis.from_url(
        url,
        socket_connect_timeout=_ANSWER_SECONDS,
        socket_timeout=_ANSWER_SECONDS,
        # By itself the library would connect and subscribe anew, and nobody learned that messages were lost.
        retry=Retry(NoBackoff(), 0),
    )
    try:
        async with client.pubsub() as subscription:
            with _named_failures():
                await subscription.subscribe(_CHANNEL)
                # Redis has subscribed us once it says so.
                if await subscription.get_message(timeout=_ANSWER_SECONDS) is None:
                    raise LineBroken("Redis did not answer in time")
            yield _RedisLine(client, subscription)
    finally:
        await client.aclose()


class _RedisLine:
    def __init__(self, client: Redis, subscription: PubSub) -> None:
        self._client = client
        self._subscription = subscription

    async def send(self, message: str) -> None:
        with _named_failures():
            await self._client.publish(_CHANNEL, message)

    async def listen(self, hear: Callable[[str], None]) -> None:
        loop = asyncio.get_running_loop()
        heard_at = loop.time()
        with _named_failures():
            while True:
                message = await self._subscription.get_message(timeout=_CHECK_SECONDS)
                now = loop.time()
                if message is not None:
                    heard_at = now
                    if message["type"] == "message":
                        hear(message["data"].decode())
                elif now - heard_at > 2 * _CHECK_SECONDS + _ANSWER_SECONDS:
                    raise LineBroken("Redis does not answer")
                else:
                    await self._subscription.ping()


@contextmanager
def _named_failures() -> Iterator[None]:
    try:
        yield
    except (RedisError, OSError) as error:
        raise LineBroken(f"Redis: {error}") from error
