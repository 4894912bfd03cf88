"""What Prometheus reads: everything counted and timed, and what is looked up in the database for it."""

import ipaddress
import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import structlog
from fastapi import APIRouter, Request, Response
from prometheus_client.metrics_core import Metric
from sqlalchemy.exc import SQLAlchemyError

from billing_ui import metrics
from billing_ui.accounts.errors import Unauthenticated
from billing_ui.api.caller import bearer_token, services_of
from billing_ui.api.errors import EnvelopeRoute, NoSuchPath
from billing_ui.billing.backlog import Backlog, backlogs
from billing_ui.billing.jobs import known_jobs
from billing_ui.billing.services import Services
from billing_ui.billing.unknown_statuses import UnknownStatus, unknown_statuses
from billing_ui.models import Job
from billing_ui.settings import Settings

log = structlog.get_logger(__name__)

_BACKLOG: Final[tuple[tuple[str, str, Callable[[Backlog], float]], ...]] = (
    (
        "customers_out_of_date",
        "Customers that wait for a sync, the failing ones included.",
        lambda backlog: backlog.waiting,
    ),
    (
        "customers_in_bulk",
        "Those of them that were marked with many others, and give way to those that events told of.",
        lambda backlog: backlog.in_bulk,
    ),
    (
        "customers_failing",
        "Customers whose last sync failed and will be tried again.",
        lambda backlog: backlog.failing,
    ),
    (
        "customers_parked",
        "Customers given up on after their syncs had failed for long, until something marks them again.",
        lambda backlog: backlog.parked,
    ),
    (
        "queue_age_seconds",
        "How long the customer that has waited longest for a sync has been out of date, not counting the bulk.",
        lambda backlog: backlog.age_seconds,
    ),
)

_FORWARDED: Final = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")

router = APIRouter(route_class=EnvelopeRoute, include_in_schema=False)


@router.get("/metrics")
async def scrape(request: Request) -> Response:
    """Return all metrics in Prometheus' text format."""
    services = services_of(request)
    _require_scraper(request, services.settings)
    looked_up = await _looked_up(services)
    return Response(metrics.exposition(looked_up), media_type=metrics.CONTENT_TYPE)


def _require_scraper(request: Request, settings: Settings) -> None:
    """Let through who holds METRICS_TOKEN or, while there is none, who is on this very machine.

    Raises:
        Unauthenticated: there is a token, and this is not it.
        NoSuchPath: there is none, and the request comes from elsewhere, or may: through a proxy on this machine.
    """
    token = settings.metrics_token.get_secret_value()
    if token:
        given = bearer_token(request) or ""
        if not secrets.compare_digest(given.encode(), token.encode()):
            raise Unauthenticated
    elif not _is_local(request):
        raise NoSuchPath


def _is_local(request: Request) -> bool:
    if request.client is None or any(name in request.headers for name in _FORWARDED):
        return False
    try:
        address = ipaddress.ip_address(request.client.host)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped.is_loopback
    return address.is_loopback


async def _looked_up(services: Services) -> list[Metric]:
    try:
        waiting = await backlogs(services.database, services.settings.served_providers)
        rounds = await known_jobs(services)
        unknown = await unknown_statuses(services.database)
    except (SQLAlchemyError, OSError) as error:
        # What was counted in memory is wanted most of all just now.
        log.warning("database_unreachable", error=type(error).__name__)
        return [_database_up(False)]
    # A series that comes and goes is hard to alert on: every served provider always has one.
    served = [provider.value for provider in services.settings.served_providers]
    found = {backlog.provider: backlog for backlog in waiting}
    waiting = tuple(found.get(provider) or Backlog(provider) for provider in served)
    return [
        _database_up(True),
        *_of_backlogs(waiting),
        *_of_jobs(rounds),
        _of_unknown_statuses(served, unknown),
    ]


def _database_up(answers: bool) -> Metric:
    return metrics.gauge("database_up", "Whether the database answered this scrape.", answers)


def _of_backlogs(waiting: Sequence[Backlog]) -> Iterator[Metric]:
    for name, says, value in _BACKLOG:
        yield metrics.gauges(
            name, says, "provider", [(backlog.provider, value(backlog)) for backlog in waiting]
        )


def _of_unknown_statuses(served: Sequence[str], found: Sequence[UnknownStatus]) -> Metric:
    # Not by status: a provider's word could be anything.
    counts = Counter(dict.fromkeys(served, 0))
    for one in found:
        counts[one.provider] += one.subscriptions
    return metrics.gauges(
        "subscriptions_of_unknown_status",
        "Subscriptions whose status this version has no word for; `billing-ui doctor` names it.",
        "provider",
        counts.items(),
    )


def _of_jobs(rounds: Sequence[Job]) -> Iterator[Metric]:
    yield metrics.gauges(
        "job_finished_timestamp_seconds",
        "When a job last ended (Unix time).",
        "job",
        [(job.name, job.finished_at.timestamp()) for job in rounds if job.finished_at],
    )
    yield metrics.gauges(
        "job_failures",
        "How often a job failed since it last went well.",
        "job",
        [(job.name, job.failures) for job in rounds],
    )
