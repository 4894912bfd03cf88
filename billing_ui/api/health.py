"""Is the process alive, and is it ready to be sent people?"""

import asyncio
from dataclasses import dataclass
from typing import Final

import structlog
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from billing_ui.api.caller import services_of
from billing_ui.api.errors import Code, EnvelopeRoute, Problem, envelope
from billing_ui.api.openapi import answers
from billing_ui.api.schemas import Health, Success, success
from billing_ui.billing.live import LineBroken
from billing_ui.billing.live_redis import ask_redis
from billing_ui.database import Database

log = structlog.get_logger(__name__)

_ANSWER_SECONDS: Final = 2.0


@dataclass
class Readiness:
    """What the app's start has finished; the roof sets each when it is done, or needs no doing."""

    migrations: bool = False
    demo_data: bool = False
    sandbox: bool = False

    def missing(self) -> tuple[str, ...]:
        """Return the names of what is not done yet."""
        done = {
            "migrations": self.migrations,
            "demo data": self.demo_data,
            "sandbox": self.sandbox,
        }
        return tuple(name for name, ready in done.items() if not ready)


router = APIRouter(route_class=EnvelopeRoute, tags=["Health"])


@router.get("/healthz", responses=answers(Success[Health]))
async def healthz() -> JSONResponse:
    """Say that the process is alive."""
    return success(Health())


@router.get("/readyz", responses=answers(Success[Health], Code.NOT_READY))
async def readyz(request: Request) -> JSONResponse:
    """Say whether everything needed to serve people is there; if not, what is missing."""
    readiness: Readiness = request.app.state.readiness
    missing = list(readiness.missing())
    services = services_of(request)
    if not await _answers(services.database):
        missing.append("database")
    if not await _redis_answers(services.settings.redis_url.get_secret_value()):
        missing.append("Redis")
    if missing:
        return envelope(Problem(Code.NOT_READY, f"Not ready yet: {', '.join(missing)}", 1))
    return success(Health())


async def _answers(database: Database) -> bool:
    try:
        async with asyncio.timeout(_ANSWER_SECONDS), database.engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
    except (SQLAlchemyError, OSError, TimeoutError) as error:
        log.warning("database_unreachable", error=type(error).__name__)
        return False
    return True


async def _redis_answers(url: str) -> bool:
    if url:
        try:
            await ask_redis(url, _ANSWER_SECONDS)
        except LineBroken as error:
            log.warning("redis_unreachable", error=str(error))
            return False
    return True
