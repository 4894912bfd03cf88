"""schemathesis over the API's own description: no call makes it fail, and every answer is one that it describes.

The calls are made as nobody, as the owner of a team that pays, and with an operator's token; half of them keep to the
description, the others do not. There are some 500 of them, and ten times as many in the soak.
"""

import asyncio
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from billing_ui.accounts.audit import OPERATOR
from billing_ui.accounts.permissions import Scope
from billing_ui.accounts.tokens import create_token
from billing_ui.api.app import create_api
from billing_ui.api.health import Readiness
from billing_ui.billing.services import Services
from billing_ui.models import Role
from billing_ui.settings import Settings
from tests.api.world import Provider, Shop, World
from tests.conftest import free_port

CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
WHO: Final = ("nobody", "owner", "operator")
CALLS: Final = 510
SOAK_CALLS: Final = 5_100


@dataclass(frozen=True)
class Running:
    """The API over HTTP, and the headers that each asker sends."""

    url: str
    headers: dict[str, dict[str, str]]


@pytest.fixture(scope="module")
def running(
    migrated_sqlite: Path,
    sandbox_url: str,
    provider: Provider,
    shop: Shop,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Running]:
    """The API, served in a thread of its own."""
    file = tmp_path_factory.mktemp("fuzz") / "billing.db"
    shutil.copy(migrated_sqlite, file)
    port = free_port()
    settings = Settings(
        _env_file=None,
        base_url=f"http://localhost:{port}",
        database_url=f"sqlite+aiosqlite:///{file}",
        secret_key="for tests only",
        stripe_secret_key="sk_test_tests",
        stripe_api_base=sandbox_url,
        rate_limits="off",
    )
    secrets: dict[str, str] = {}
    ready = threading.Event()
    servers: list[uvicorn.Server] = []

    async def serve() -> None:
        services = Services.open(settings)
        secrets.update(await _people(World(services, provider, shop)))
        api = create_api(lambda: services, Readiness(True, True, True))
        server = uvicorn.Server(
            uvicorn.Config(api, port=port, log_config=None, lifespan="off", access_log=False)
        )
        servers.append(server)
        ready.set()
        await server.serve()
        await services.close()

    thread = threading.Thread(target=asyncio.run, args=(serve(),), daemon=True)
    thread.start()
    assert ready.wait(60)
    url = f"http://127.0.0.1:{port}"
    with httpx.Client(transport=httpx.HTTPTransport(retries=10), trust_env=False) as client:
        assert client.get(f"{url}/healthz").is_success
    headers = {who: {"Authorization": f"Bearer {secret}"} for who, secret in secrets.items()}
    yield Running(url, {"nobody": {}} | headers)
    servers[0].should_exit = True
    thread.join(60)


async def _people(world: World) -> dict[str, str]:
    owner = await world.person(Role.OWNER)
    await world.customer(owner.team, subscribed=True)
    made = await create_token(
        world.services.database,
        team_id=None,
        actor=OPERATOR,
        name="fuzz",
        scopes=frozenset(Scope),
        lifetime=None,
    )
    return {"owner": owner.token, "operator": made.secret}


def _fuzz(running: Running, who: str, calls: int) -> int:
    """Call every operation, `calls` times all together or a few more; return how often it was."""
    with httpx.Client(trust_env=False) as client:
        document = client.get(f"{running.url}/api/openapi.json").json()
    schema = schemathesis.openapi.from_dict(document)
    operations = []
    for found in schema.get_all_operations():
        assert isinstance(found, Ok), found
        operations.append(found.ok())
    varied = [op for op in operations if list(op.iter_parameters()) or op.body]
    each = -(-calls // len(varied))
    made = 0
    for operation in operations:
        strategies = [operation.as_strategy(GenerationMode.POSITIVE)]
        if operation in varied:
            strategies.append(operation.as_strategy(GenerationMode.NEGATIVE))

        @examples(
            # Of an operation that takes nothing there is one call to make.
            max_examples=each if operation in varied else 1,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=st.one_of(strategies))
        def call(case: Any) -> None:
            nonlocal made
            made += 1
            response = case.call(base_url=running.url, headers=running.headers[who])
            case.validate_response(response, checks=CHECKS)

        call()
    return made


@pytest.mark.parametrize("who", WHO)
def test_every_answer_is_one_that_is_described(running: Running, who: str) -> None:
    assert _fuzz(running, who, CALLS // len(WHO)) >= CALLS // len(WHO)


@pytest.mark.soak
@pytest.mark.parametrize("who", WHO)
def test_every_answer_of_thousands_is_one_that_is_described(running: Running, who: str) -> None:
    assert _fuzz(running, who, SOAK_CALLS // len(WHO)) >= SOAK_CALLS // len(WHO)
