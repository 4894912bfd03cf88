"""Calling the sandbox in the past, as if the demo had been lived through."""

from datetime import datetime
from typing import Any

import httpx


class SandboxRefused(Exception):
    """The sandbox refused a call of the demo; the message is its answer."""


class Sandbox:
    """The sandbox's own API, called in the past: every call says when it happened."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def reset(self) -> None:
        """Empty it."""
        await self._control("reset", {})

    async def call(
        self,
        path: str,
        params: dict[str, Any],
        *,
        at: datetime,
        object_id: str | None = None,
    ) -> dict[str, Any]:
        """Return what the API answers to a POST that happened at `at`.

        Args:
            object_id: the id of what is created, instead of a random one.
        """
        call = {"method": "post", "path": path, "params": params, "at": int(at.timestamp())}
        if object_id is not None:
            call["id"] = object_id
        answer = await self._control("batch", {"calls": [call]})
        result: dict[str, Any] = answer["results"][0]
        return result

    async def advance(self, customer: str, to: datetime) -> None:
        """Let everything happen to a customer that happens by itself until then."""
        await self._control("advance", {"customer": customer, "to": int(to.timestamp())})

    async def _control(self, action: str, body: dict[str, Any]) -> dict[str, Any]:
        response = await self._client.post(f"/_control/{action}", json=body)
        if not response.is_success:
            raise SandboxRefused(f"{action}: {response.status_code} {response.text}")
        answer: dict[str, Any] = response.json()
        return answer
