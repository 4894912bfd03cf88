"""The payment provider's side of the end-to-end tests: what it holds, and what goes wrong there."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final

import httpx

KEY: Final = "sk_test_end_to_end"

Json = dict[str, Any]


class Sandbox:
    """The sandbox that the running application uses."""

    def __init__(self, url: str) -> None:
        """Talk to the sandbox at `url`."""
        self.url = url
        self._client = httpx.AsyncClient(
            base_url=url,
            trust_env=False,
            headers={"Authorization": f"Bearer {KEY}"},
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._client.aclose()

    async def get(self, path: str, **query: str) -> Json:
        """Ask the provider's API."""
        response = await self._client.get(path, params=query)
        assert response.is_success, response.text
        answer: Json = response.json()
        return answer

    async def post(self, path: str, **form: str) -> Json:
        """Do something at the provider, as its dashboard would."""
        response = await self._client.post(path, data=form)
        assert response.is_success, response.text
        answer: Json = response.json()
        return answer

    async def delete(self, path: str) -> None:
        """Delete something at the provider, as its dashboard would."""
        response = await self._client.delete(path)
        assert response.is_success, response.text

    async def batch(self, *calls: Json) -> list[Json]:
        """Make several calls of the provider's API at once; `{name.id}` stands for an earlier answer's."""
        response = await self._client.post("/_control/batch", json={"calls": calls})
        assert response.is_success, response.text
        results: list[Json] = response.json()["results"]
        return results

    async def control(self, action: str, body: Json) -> Json:
        """Do what no provider offers: see the sandbox's control API."""
        response = await self._client.post(f"/_control/{action}", json=body, timeout=300)
        assert response.is_success, response.text
        answer: Json = response.json()
        return answer

    @asynccontextmanager
    async def failing(self, kind: str, path: str = "/v1", **details: Any) -> AsyncIterator[None]:
        """Let the provider fail meanwhile, whoever asks: the page of a test, or the worker.

        Args:
            kind: "drop", "error", "latency" or "rate_limit".
            path: the beginning of the paths it strikes.
            details: `seconds` of latency, `status` of an error, `retry_after` seconds, `method`.
        """
        await self.control("faults", {"kind": kind, "path": path, **details})
        try:
            yield
        finally:
            await self._end_faults("faults")

    async def tell_all(self) -> None:
        """Return when the application has been told of everything that happened so far."""
        await self.control("webhooks/flush", {})

    @asynccontextmanager
    async def telling_nothing(self) -> AsyncIterator[None]:
        """Lose the events of what happens meanwhile on their way to the application."""
        await self.tell_all()
        await self.control("webhook_faults", {"kind": "lost"})
        try:
            yield
            await self.tell_all()
        finally:
            await self._end_faults("webhook_faults")

    @asynccontextmanager
    async def giving_up(self, then: str) -> AsyncIterator[None]:
        """Let subscriptions that were charged in vain to the end become `then` meanwhile."""
        await self.control("dunning", {"then": then})
        try:
            yield
        finally:
            await self.control("dunning", {"then": "cancel"})

    async def subscription(self, customer: str) -> Json:
        """Return the only subscription of a customer, ended or not."""
        listed = await self.get("/v1/subscriptions", customer=customer, status="all")
        (subscription,) = listed["data"]
        found: Json = subscription
        return found

    async def customers_of(self, team_id: str) -> list[Json]:
        """Return every customer that says it belongs to a team."""
        found: list[Json] = []
        query = {"limit": "100"}
        while True:
            page = await self.get("/v1/customers", **query)
            found += [one for one in page["data"] if one["metadata"].get("team_id") == team_id]
            if not page["has_more"]:
                return found
            query["starting_after"] = page["data"][-1]["id"]

    async def _end_faults(self, kind: str) -> None:
        headers = {"Content-Type": "application/json"}
        response = await self._client.delete(f"/_control/{kind}", headers=headers)
        assert response.is_success, response.text


def renewal_of(subscription: Json) -> datetime:
    """Return when a subscription's period ends."""
    ends = min(item["current_period_end"] for item in subscription["items"]["data"])
    return datetime.fromtimestamp(ends, UTC)
