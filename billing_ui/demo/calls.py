"""Calling the sandbox's control API."""

from datetime import datetime
from typing import Any

import httpx


class SandboxRefused(Exception):
    """The sandbox refused a call of the demo; the message is its answer."""


class Control:
    """The control API, which is the same for every provider."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        """Ask by `client`, whose base URL is the sandbox."""
        self._client = client

    async def reset(self) -> None:
        """Empty the sandbox."""
        await self.do("reset", {})

    async def advance(self, customer: str, to: datetime) -> None:
        """Let everything happen to a customer that happens by itself until then."""
        await self.do("advance", {"customer": customer, "to": seconds(to)})

    async def do(self, action: str, body: dict[str, Any]) -> dict[str, Any]:
        """Return what an action of the control API answers.

        Raises:
            SandboxRefused: it was not accepted.
        """
        response = await self._client.post(f"/_control/{action}", json=body)
        if not response.is_success:
            raise SandboxRefused(f"{action}: {response.status_code} {response.text}")
        answer: dict[str, Any] = response.json()
        return answer


def seconds(moment: datetime) -> int:
    """Return a moment as Unix seconds."""
    return int(moment.timestamp())
